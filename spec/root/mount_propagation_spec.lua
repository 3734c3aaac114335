-- Propagation of mounts (mount_namespaces(7)), by the optional fields of /proc/self/mountinfo and by what arrives.

local cella = require "cella"
local private_host = require "spec.support.private_host"
local rootfs = require "spec.support.rootfs"
local trial = require "spec.support.trial"

describe("the propagation of a mount #slow", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local root, directory
  setup(function() root = rootfs.new() end)
  teardown(function() root:remove() end)
  trial.around(before_each, after_each, function(own) directory = own end, private_host.clean)

  local PROC = '{ type = "proc", destination = "/proc" }'
  -- Whatever follows the flags of a mount, up to the dash: "shared:N", "master:N", "unbindable", or nothing.
  local FIELDS = [[fields() { while read -r _ _ _ _ point _ rest; do
    [ "$point" = "$1" ] && { rest=${rest%%%%- *}; for field in $rest; do printf '%%s ' "${field%%%%:*}"; done; echo; }
    done </proc/self/mountinfo; }; ]]

  -- What a script says in a container that binds a shared mount of the host with another one below it.
  local function bound(keys, script, user)
    return private_host.sh(([[
      D=%s; mount -t tmpfs disk $D && mkdir $D/sub $D/later && mount -t tmpfs sub $D/sub
      %s 2>&1
    ]]):format(directory, private_host.run(([[{ namespaces = { user = %q }, root = %q, mounts = { %s,
      { type = "bind", source = %q, destination = "/mnt", %s } } }]]):format(user or "new", root.path, PROC, directory,
      keys), FIELDS:format() .. script)))
  end

  for _, user in ipairs { "new", "host" } do
    describe(user == "new" and "with a user namespace" or "without a user namespace", function()
      for keys, field in pairs {
        [""] = "", ['propagation = "private"'] = "", ['propagation = "slave"'] = "master ",
        ['propagation = "shared"'] = "shared ", ['propagation = "unbindable"'] = "unbindable ",
      } do
        it(("is what was asked for, for all that is bound: %s"):format(keys == "" and "nothing" or keys), function()
          assert.equal(field .. "\n" .. field .. "\n", bound(keys, "fields /mnt; fields /mnt/sub", user))
        end)
      end

      if user == "host" then -- otherwise the kernel has locked what is below to it
        it("is of the top alone where the bind is", function()
          local keys = 'recursive = false, propagation = "shared"'
          assert.equal("shared \n", bound(keys, "fields /mnt; fields /mnt/sub", user))
        end)
      end

      -- What arrives at a container's /mnt/later of what the host mounts there, and the host's of what it mounts.
      local function arrives(keys)
        return private_host.sh(([[
          D=%s; mount -t tmpfs disk $D && mkdir $D/later $D/inner
          before=$(cat /proc/self/mountinfo)
          %s >$D/out 2>&1 &
          n=0; until [ -s $D/out ] || [ $n = 500 ]; do n=$((n + 1)); sleep 0.01; done
          [ "$before" = "$(cat /proc/self/mountinfo)" ] || echo came out
          mount -t tmpfs later $D/later && touch $D/go
          wait; cat $D/out
        ]]):format(directory, private_host.run(([[{ namespaces = { user = %q }, root = %q, mounts = { %s,
          { type = "bind", source = %q, destination = "/mnt", %s },
          { type = "tmpfs", destination = "/mnt/inner" } } }]]):format(user, root.path, PROC, directory, keys),
          "echo ready; n=0; until [ -e /mnt/go ] || [ $n = 500 ]; do n=$((n + 1)); sleep 0.01; done; "
          .. "while read -r _ _ _ _ at _; do [ $at = /mnt/later ] && echo arrived; done </proc/self/mountinfo; true")))
      end

      it("slave lets in what the host mounts later, and nothing out", function()
        assert.equal("ready\narrived\n", arrives 'propagation = "slave"')
      end)

      it("slave lets in nothing below what is a read-only path", function()
        local script = "echo ready; n=0; until [ -e /mnt/go ] || [ $n = 500 ]; do n=$((n + 1)); sleep 0.01; done; "
          .. "for d in /mnt /mnt/later; do { >$d/new; } 2>/dev/null && echo wrote; done; true"
        assert.equal("ready\n", private_host.sh(([[
          D=%s; mount -t tmpfs disk $D && mkdir $D/later
          %s >$D/out 2>&1 &
          n=0; until [ -s $D/out ] || [ $n = 500 ]; do n=$((n + 1)); sleep 0.01; done
          mount -t tmpfs later $D/later && touch $D/go
          wait; cat $D/out
        ]]):format(directory, private_host.run(([[{ namespaces = { user = %q }, root = %q, readonly_paths = { "/mnt" },
          mounts = { %s, { type = "bind", source = %q, destination = "/mnt", propagation = "slave" } } }]]):format(user,
          root.path, PROC, directory), script))))
      end)

      it("private and shared let in nothing, and nothing out: a shared mount shares with its copies inside", function()
        for _, keys in ipairs { "", 'propagation = "shared"', 'propagation = "unbindable"' } do
          assert.equal("ready\n", arrives(keys), keys)
        end
      end)
    end)
  end

  it("may be that of a root", function()
    local function of(description, user)
      return private_host.sh(([[
        D=%s; mount -t tmpfs disk $D && cp -a %s/. $D && mount -t tmpfs sub $D/work
        %s 2>&1
      ]]):format(directory, root.path, private_host.run(("{ namespaces = { user = %q }, root = %s, mounts = { %s } }")
        :format(user, description, PROC), FIELDS:format() .. "fields /; fields /work; fields /proc")))
    end
    for _, user in ipairs { "new", "host" } do
      for propagation, said in pairs {
        private = "\n\n\n", slave = "master \nmaster \n\n", shared = "shared \nshared \nshared \n",
      } do
        local description = ("{ path = %q, propagation = %q }"):format(directory, propagation)
        local seen = of(description, user)
        -- What is mounted on a shared mount is shared as well (mount_namespaces(7)).
        assert.equal(said:gsub("shared \n$", "\n"), (seen:gsub("shared \n$", "\n")), propagation .. user)
      end
    end
    local parts = [[{ propagation = "shared", { type = "bind", source = "/", destination = "/host", readonly = true },
      { type = "symlink", target = "host/bin", destination = "/bin" },
      { type = "symlink", target = "host/usr", destination = "/usr" },
      { type = "symlink", target = "host/lib", destination = "/lib" },
      { type = "symlink", target = "host/lib64", destination = "/lib64" } }]]
    assert.equal("shared \n", of(parts, "new"):match "^[^\n]*\n")
  end)

  it("shared is possible for what lies over /, too", function()
    local binds = [[{ type = "bind", source = "/usr", destination = "/usr", readonly = true },
      { type = "symlink", target = "usr/bin", destination = "/bin" },
      { type = "symlink", target = "usr/lib", destination = "/lib" },
      { type = "symlink", target = "usr/lib64", destination = "/lib64" }, ]]
    local over = 'destination = "/", propagation = "shared" }'
    for _, top in ipairs { ('{ type = "bind", source = %q, '):format(root.path) .. over,
      '{ type = "tmpfs", ' .. over } do
      for _, user in ipairs { "new", "host" } do
        if user == "new" or not trial.lacks_root() then
          local parts = "{ " .. top .. ", " .. (top:find "tmpfs" and binds or "") .. "}"
          local said = private_host.sh(private_host.run(("{ namespaces = { user = %q }, root = %s }")
            :format(user, parts), FIELDS:format() .. "fields /"))
          assert.equal("shared \n", said)
        end
      end
    end
  end)

  it("may be that of a file system of the container's own", function()
    local function of(keys)
      return trial.inside({ root = root.path, mounts = { { type = "proc", destination = "/proc" }, keys } },
        FIELDS:format() .. "fields /mnt")
    end
    assert.equal("shared \n", of { type = "tmpfs", destination = "/mnt", propagation = "shared" })
    assert.equal("unbindable \n", of { type = "tmpfs", destination = "/mnt", propagation = "unbindable" })
    assert.equal("\n", of { type = "tmpfs", destination = "/mnt" })
  end)

  it("is refused where it makes no sense", function()
    local function raised(description) return trial.raised(cella.container, description) end
    local function mount(keys)
      keys.destination = "/mnt"
      return raised { mounts = { keys } }
    end
    assert.matches("mounts%[1%]%.propagation: the string \"slave\" is not one of private, shared, unbindable",
      mount { type = "tmpfs", propagation = "slave" })
    assert.matches("mounts%[1%]%.propagation: .*rprivate.*did you mean 'private'",
      mount { type = "bind", source = "/usr", propagation = "rprivate" })
    assert.matches("mounts%[1%]%.propagation: what the host mounts there later would not be read%-only",
      mount { type = "bind", source = "/usr", readonly = true, propagation = "slave" })
    assert.matches("mounts%[1%]%.propagation: unknown key", mount { type = "remount", propagation = "shared" })
    assert.matches("root%.propagation: what the host", raised { root = { path = "/", propagation = "slave" } })
    assert.matches("root%.propagation: what the host", trial.raised(function()
      return cella.container({ root = { path = "/usr/..", propagation = "slave" } }):plan { "true" }
    end))
  end)
end)
