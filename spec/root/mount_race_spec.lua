-- Somebody exchanges directories for links while containers are put together of them, hundreds of times: a mount lands
-- in the root or nowhere, a descriptor's source is what it was or nothing, and the host stays as it is.

local cella = require "cella"
local core = require "cella.core"
local rootfs = require "spec.support.rootfs"
local trial = require "spec.support.trial"

local TIMES = trial.lacks_root() and 150 or 250 -- with a user namespace and without

describe("while somebody exchanges directories for links #slow", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local root, directory, victim, refused
  setup(function()
    root = rootfs.new()
    directory = trial.directory()
    local said = trial.sh(("cc -O1 -o %s/exchange spec/support/exchange.c"):format(directory))
    if said ~= "" then refused = "needs a C compiler: " .. said end
  end)
  teardown(function()
    root:remove()
    trial.remove_directory(directory)
  end)
  trial.around(before_each, after_each, function(own)
    victim = own
    trial.sh("cd " .. victim .. " && chmod 777 . && mkdir -m 777 sub && echo secret > sub/file && chmod 666 sub/file")
  end, function() root:shell "rm -rf trapdir" end)

  local function fingerprint()
    return trial.sh(("cd %s && find . -printf '%%p %%y %%m %%U %%G %%s %%l\\n' | sort; find . -type f -exec cksum {} +")
      :format(victim)) .. trial.read "/proc/self/mountinfo"
  end

  -- Calls attempt() again and again while `one` and `other` are exchanged. Returns how often they were.
  local function race(one, other, attempt)
    local from, to = assert(core.pipe())
    local process = assert(cella.plan():exec({ directory .. "/exchange", one, other, stdin = from:number(),
      stdout = "capture" }):spawn { timeout = 300 })
    from:close()
    local ok, message = pcall(function()
      for i = 1, TIMES do attempt(i) end
    end)
    to:close()
    local result = assert(process:wait())
    if not ok then error(message, 0) end
    return tonumber(result.stdout)
  end

  -- As little of a container as mounts can be had in: many hundreds of them are to be made.
  local function container(user, mounts)
    local namespaces = { user = user, pid = "host", ipc = "host", uts = "host", net = "host", cgroup = "host" }
    return cella.container { namespaces = namespaces, root = root.path, mounts = mounts }
  end

  for _, user in ipairs { "new", "host" } do
    describe(user == "new" and "with a user namespace" or "without a user namespace", function()
      local function able(name, body)
        it(name, function()
          local reason = refused or user == "host" and trial.lacks_root()
          if reason then pending(reason) end
          local was = fingerprint()
          body()
          assert.equal(was, fingerprint())
        end)
      end

      able("mounts land in the root, or nowhere", function()
        root:shell(([[mkdir -m 777 trapdir && cd trapdir && mkdir -m 777 place place/sub && : > place/sub/file
          chmod 666 place/sub/file; ln -s %s link]]):format(victim))
        local plans = {}
        for i, mount in ipairs {
          { type = "tmpfs", destination = "/trapdir/place" },
          { type = "tmpfs", destination = "/trapdir/place/sub" },
          { type = "bind", source = "/usr/bin", destination = "/trapdir/place/sub", readonly = true },
          { type = "bind", source = "/etc/passwd", destination = "/trapdir/place/sub/file", readonly = true },
        } do
          -- The program writes where the mount is, if it is there: a tmpfs takes it, the others are read-only.
          local script = ("[ -f %s ] || echo x > %s/x"):format(mount.destination, mount.destination)
          plans[i] = assert(container(user, { mount }):plan { "/bin/sh", "-c", script, stdin = "null",
            stderr = "null" })
        end
        local ran, codes = 0, {}
        local exchanged = race(root.path .. "/trapdir/place", root.path .. "/trapdir/link", function(i)
          local result, err = plans[(i - 1) % #plans + 1]:run()
          if result then ran = ran + 1 else codes[err.code] = (codes[err.code] or 0) + 1 end
        end)
        assert.is_true(exchanged > 0 and ran > 0, ("%d %d"):format(exchanged, ran))
        -- Seen as a link it leads to where there is nothing: in the root.
        for code in pairs(codes) do
          assert.is_truthy(code == "ENOENT" or code == "EAGAIN" or code == "ENOTDIR", code)
        end
        -- In the root only mount points were there.
        assert.equal("file\n", root:shell "cd trapdir; [ -L link ] || place=link; ls ${place:-place}/sub")
      end)

      able("what has become the host's root is not written to: neither as a root nor as a bind", function()
        trial.sh(("cd %s && mkdir -m 777 image bound && : >image/busybox"):format(victim))
        local namespaces = { user = user, pid = "host", ipc = "host", uts = "host", net = "host", cgroup = "host" }
        local function exchanged(name)
          trial.sh(("cd %s && mv %s kept && ln -s / %s"):format(victim, name, name))
        end
        local function back(name) trial.sh(("cd %s && rm %s && mv kept %s"):format(victim, name, name)) end
        local binaries = { { type = "bind", source = "/bin/busybox", destination = "/busybox", readonly = true } }
        local image = cella.container { namespaces = namespaces, root = victim .. "/image", mounts = binaries }
        local bound = container(user, { { type = "bind", source = victim .. "/bound", destination = "/mnt" } })
        local plans = {
          image = assert(image:plan { "/busybox", "sh", "-c", "echo >/new; exit 7", stderr = "null" }),
          bound = assert(bound:plan { "/bin/sh", "-c", "echo >/mnt/new; exit 7", stderr = "null" }),
        }
        for name, plan in pairs(plans) do
          exchanged(name)
          local result, err = plan:run()
          back(name)
          assert.is_nil(result)
          assert.equal("expect_not_root", err.op)
          assert.truthy(err.why:find "the host's root")
          assert.equal(7, assert(plan:run()).code)
          assert.equal("new\n", trial.sh(("cd %s/%s && ls new && rm new"):format(victim, name)))
        end
        trial.sh(("cd %s && rm -r image bound"):format(victim))
      end)

      able("a source that a descriptor stands for is what it was, or nothing", function()
        trial.sh(("mkdir -p %s/other/sub && echo other > %s/other/sub/file && mkdir %s/keep && mv %s/sub %s/keep/sub")
          :format(victim, victim, victim, victim, victim))
        local source = assert(core.open(victim .. "/keep/sub", { "path", "directory" }))
        local mount = { type = "bind", source = { fd = source:number() }, destination = "/mnt" }
        local plan = assert(container(user, { mount }):plan { "cat", "/mnt/file", stdin = "null",
          stdout = "capture" })
        local ran, exchanged = 0, nil
        local ok, message = pcall(function()
          exchanged = race(victim .. "/keep", victim .. "/other", function()
            local result, err = plan:run()
            if result then
              ran = ran + 1
              assert.equal("secret\n", result.stdout)
            else
              -- Its name leads elsewhere, or nowhere.
              assert.is_truthy(err.op == "open_tree_of" and (err.code == "ESTALE" or err.code == "ENOENT"),
                tostring(err))
            end
          end)
        end)
        source:close()
        if exchanged and exchanged % 2 == 1 then
          trial.sh(("cd %s && mv keep x && mv other keep && mv x other"):format(victim))
        end
        assert(ok, message)
        assert.is_true(exchanged > 0 and ran > 0, ("%d %d"):format(exchanged, ran))
        trial.sh(("cd %s && mv keep/sub sub && rm -r keep other"):format(victim))
      end)
    end)
  end
end)
