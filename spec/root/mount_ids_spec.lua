-- ID-mapped mounts, by what stat(1) says inside; and what the host has afterwards.

local cella = require "cella"
local kernel = require "cella.host.kernel"
local mappable = require "cella.host.mappable"
local mountinfo = require "cella.mountinfo"
local private_host = require "spec.support.private_host"
local rootfs = require "spec.support.rootfs"
local trial = require "spec.support.trial"

local unpack = table.unpack or unpack -- luacheck: ignore 143

local IDS = 'ids = { uid = "0 1000 100", gid = "0 1000 100" }'

describe("an ID-mapped mount", function()
  local lacks = trial.lacks_user_namespaces() or private_host.lacks_several()
  if lacks then
    pending(lacks)
    return
  end

  local root, directory
  setup(function() root = rootfs.new() end)
  teardown(function() root:remove() end)
  trial.around(before_each, after_each, function(own) directory = own end, private_host.clean)

  -- What a script says in a container, where a tmpfs of the caller's user namespace has files of 0:0 and 7:8.
  local function on_disk(description, script, after)
    return private_host.sh(([[
      D=%s; mount -t tmpfs disk $D && cd $D && chmod 777 . && touch a b && chown 7:8 b
      %s 2>&1
      %s
    ]]):format(directory, private_host.run(description, script), after or ""), true)
  end

  local function container(who, mounts)
    return ("{ %s, root = %q, mounts = { %s } }"):format(who, root.path, mounts)
  end

  local function bind(idmap, more, source)
    return container(IDS, ('{ type = "bind", source = %s, destination = "/mnt", %s %s }'):format(
      source or ("%q"):format(directory), idmap and ("idmap = %s,"):format(idmap) or "", more or ""))
  end

  local no_maps = kernel.is_older(kernel.version(), "6.3") and "needs a kernel that ID-maps a tmpfs (Linux 6.3)"
  local function able(name, body)
    it(name, function()
      if no_maps then pending(no_maps) end
      body()
    end)
  end

  it("is one where the kernel has them, and else refused by name #vm", function()
    local said = on_disk(bind "true", "echo ran")
    if not no_maps then return assert.equal("ran\n", said) end
    assert.is_nil(said:find("ran\n", 1, true), said)
    local words = kernel.is_older(kernel.version(), "5.12") and { "ENOSYS", "this needs Linux 5.12, and this is " }
      or { "EINVAL", directory .. " (tmpfs) refuses: tmpfs can be ID-mapped from Linux 6.3 on, and this is " }
    for _, one in ipairs(words) do assert.matches(one, said, 1, true) end
  end)

  local STAT = "cd /mnt && stat -c %n=%u:%g a b"

  able("shows the IDs on disk as the container's own", function()
    assert.equal("a=0:0\nb=7:8\n", on_disk(bind "true", STAT))
    -- Without it they are nobody's.
    assert.equal("a=65534:65534\nb=65534:65534\n", on_disk(bind(nil), STAT))
  end)

  able("shows those that are named as those that are named", function()
    assert.equal("a=65534:65534\nb=0:5\n", on_disk(bind '{ uid = "0 7 1", gid = "5 8 1" }', STAT))
  end)

  able("takes values of cella.idmap", function()
    local map = 'require("cella.idmap").new "0 7 1"'
    assert.equal("0:65534\n", on_disk(bind(("{ uid = %s, gid = %s }"):format(map, map)), "stat -c %u:%g /mnt/b"))
  end)

  able("gives what is made inside the IDs on disk", function()
    assert.equal("0:0\n", on_disk(bind "true", "touch /mnt/new", "stat -c %u:%g $D/new"))
  end)

  able("lets the container's root write where it is the owner on disk, and not without", function()
    local write = "echo x >> /mnt/a && echo wrote"
    assert.equal("wrote\n", on_disk(bind "true", write))
    assert.is_nil(on_disk(bind(nil), write):find "wrote")
  end)

  able("works without a user namespace of the container's own", function()
    local description = container('namespaces = { user = "host" }', ([[{ type = "bind", source = %q,
      destination = "/mnt", idmap = { uid = "0 7 1", gid = "0 8 1" } }]]):format(directory))
    assert.equal("a=65534:65534\nb=0:0\n", on_disk(description, STAT))
  end)

  able("has all that is mounted below it mapped, or nothing of that", function()
    local mount = "mkdir -p sub && mount -t tmpfs sub sub && touch sub/c && chown 9:9 sub/c"
    local function below(more, script)
      return private_host.sh(([[
        cd %s && mount -t tmpfs disk . && cd %s && %s
        %s 2>&1
      ]]):format(directory, directory, mount, private_host.run(bind("true", more), script)), true)
    end
    assert.equal("9:9\n", below("", "stat -c %u:%g /mnt/sub/c"))
    assert.is_truthy(below("recursive = false", "stat -c %u:%g /mnt/sub/c"):find("No such file", 1, true))
  end)

  able("may be of what a descriptor stands for", function()
    local description = bind("true", nil, "{ fd = 9 }")
    local said = private_host.sh(([[
      D=%s; mount -t tmpfs disk $D && touch $D/a && chown 3:4 $D/a
      %s 9<$D 2>&1
    ]]):format(directory, private_host.run(description, "stat -c %u:%g /mnt/a")), true)
    assert.equal("3:4\n", said)
  end)

  able("may be left out where the source is missing, if that is asked for", function()
    local none = ("%q"):format(directory .. "/none")
    local missing = bind("true", "optional = true", none)
    assert.equal("empty\n", on_disk(missing, "[ -z \"$(ls /mnt)\" ] && echo empty"))
    assert.is_truthy(on_disk(bind("true", nil, none), "echo ran"):find("ENOENT", 1, true))
  end)

  able("may be read-only, and keeps other flags", function()
    local said = on_disk(bind("true", "readonly = true, noexec = true"),
      "touch /mnt/a; stat -c %u /mnt/a")
    assert.is_truthy(said:find("Read-only file system", 1, true), said)
    assert.is_truthy(said:find("\n0\n", 1, true), said)
  end)

  able("may be the root", function()
    local function as_root(more)
      return private_host.sh(([[
        D=%s; mount -t tmpfs disk $D && cp -a %s/. $D/ && chown -R 0:0 $D && chmod 755 $D
        %s 2>&1
      ]]):format(directory, root.path, private_host.run(("{ %s, root = { path = %q, %s } }"):format(IDS, directory,
        more), "stat -c %u:%g /mnt")), true)
    end
    assert.equal("0:0\n", as_root "idmap = true")
    assert.equal("65534:65534\n", as_root "")
  end)

  -- What the lower directories of an overlay look like, on a tmpfs with a directory more.
  local function overlay(idmap, script, more, after)
    return private_host.sh(([[
      D=%s; mount -t tmpfs disk $D && cd $D && chmod 755 . && mkdir one two w up && touch one/a two/b && chown 7:8 two/b
      %s 2>&1
      %s
    ]]):format(directory, private_host.run(container(IDS, ('{ type = "overlay", lower = { %q, %q }, '
      .. 'destination = "/mnt", %s %s }'):format(directory .. "/one", directory .. "/two", idmap and "idmap = " .. idmap
      .. "," or "", more or 'upper = "tmpfs"')), script), after or ""), true)
  end

  -- The kernel that is here: an overlay of such mounts came later than they did.
  local function overlays(name, body)
    able(name, function()
      local said = overlay("true", "true")
      if said:find("needs Linux 5.19", 1, true) then return pending "needs Linux 5.19" end
      body()
    end)
  end

  overlays("may be each of the lower directories of an overlay #slow", function()
    assert.equal("a=0:0\nb=7:8\n", overlay("true", STAT))
    assert.equal("a=65534:65534\nb=0:5\n", overlay('{ uid = "0 7 1", gid = "5 8 1" }', STAT))
    assert.equal("a=0:0\nb=7:8\n", overlay("true", STAT, "noexec = true")) -- and without an upper one
    -- Without it they are nobody's.
    assert.equal("a=65534:65534\nb=65534:65534\n", overlay(nil, STAT))
  end)

  overlays("of an overlay is written to above, as who is root there, and not below #slow", function()
    local write = "echo x >> /mnt/a && stat -c %u:%g=%s /mnt/a"
    assert.equal("0:0=2\n0:0=0\n", overlay("true", write, nil, "stat -c %u:%g=%s $D/one/a"))
    assert.is_nil(overlay(nil, write):find "=2")
  end)

  overlays("of an overlay has a name of any length, is relative, or a descriptor #slow", function()
    local long = ("x"):rep(200)
    local function of(lower)
      return private_host.sh(([[
        D=%s; mount -t tmpfs disk $D && cd $D && chmod 755 . && mkdir -p %s/%s "a:b,c" && touch %s/%s/a "a:b,c/b"
        mkdir fd; touch fd/c; exec 7< fd
        %s 2>&1
      ]]):format(directory, long, long, long, long, private_host.run(container(IDS, ('{ type = "overlay", '
        .. 'lower = { %s }, destination = "/mnt", idmap = true }'):format(lower)),
        "cd /mnt && stat -c %n=%u:%g *")), true)
    end
    assert.equal("a=0:0\nb=0:0\n", of(("%q, %q"):format(("%s/%s/%s"):format(directory, long, long),
      directory .. "/a:b,c")))
    assert.equal("a=0:0\nb=0:0\n", of(('%q, "./a:b,c"'):format(("%s/%s"):format(long, long))))
    assert.equal("b=0:0\nc=0:0\n", of '{ fd = 7 }, "./a:b,c"')
  end)

  it("of an overlay is refused by name before Linux 5.19", function()
    local facts = require("cella.host").facts { kernel = { major = 5, minor = 15 } }
    local description = { ids = trial.several_ids(), root = root.path, mounts = { { type = "overlay",
      lower = { "/usr/bin", "/usr/lib" }, destination = "/mnt", idmap = true } } }
    local box = cella.container(description)
    local said = trial.raised(box.build, box.description, { "true" }, facts)
    assert.matches("mounts[1].idmap: an overlay of ID-mapped directories needs Linux 5.19", said, 1, true)
  end)

  able("keeps what is mounted on it from the host, which shares the mount that it was made of", function()
    for _, ids in ipairs { IDS, 'namespaces = { user = "host" }' } do
      local map = ids == IDS and "true" or '{ uid = "0 0 1", gid = "0 0 1" }'
      local said = private_host.sh(([[
        D=%s; mount -t tmpfs disk $D && mkdir $D/sub && cd $D
        before=$(cat /proc/self/mountinfo)
        %s > $D/out 2>&1 <$D &
        n=0; until [ -s $D/out ] || [ $n = 500 ]; do n=$((n + 1)); sleep 0.01; done
        [ "$before" = "$(cat /proc/self/mountinfo)" ] && echo nothing came out
        touch $D/go; wait; cat $D/out
      ]]):format(directory, private_host.run(container(ids, ([[
        { type = "bind", source = %q, destination = "/mnt", idmap = %s },
        { type = "tmpfs", destination = "/mnt/sub" }]]):format(directory, map)),
        "echo ready; n=0; until [ -e /mnt/go ] || [ $n = 500 ]; do n=$((n + 1)); sleep 0.01; done")), true)
      assert.equal("nothing came out\nready\n", said)
    end
  end)

  describe("is refused", function()
    local function says(said, ...)
      assert.is_nil(said:find("ran\n", 1, true), said)
      for _, words in ipairs { ... } do assert.is_truthy(said:find(words, 1, true), said) end
    end

    able("of file systems that the kernel does not map, which are named", function()
      says(on_disk(bind("true", nil, '"/proc"'), "echo ran"), "EINVAL", "/proc (proc) refuses",
        "proc, sysfs and devtmpfs")
      -- One that is mounted below.
      local said = private_host.sh(([[
        D=%s; mount -t tmpfs disk $D && mkdir $D/p && mount --bind /proc/sys $D/p
        %s 2>&1
      ]]):format(directory, private_host.run(bind "true", "echo ran")), true)
      if trial.lacks_root() then
        assert.is_nil(said:find("ran\n", 1, true), said)
      else
        says(said, "EINVAL", directory .. "/p (proc) refuses")
      end
    end)

    if trial.lacks_root() then
      it("of the host's files for those who are root in a user namespace only", function()
        local words = { "mount_setattr", "EPERM", "CAP_SYS_ADMIN in the user namespace that owns the file system" }
        -- What kind of mount it is comes first.
        local needs = mappable.needs(mountinfo.on("/usr/bin").kind)
        if kernel.is_older(kernel.version(), "5.12") then
          words = { "ENOSYS", "this needs Linux 5.12, and this is " }
        elseif needs ~= nil then
          words = { "EINVAL", "/usr/bin (", ") refuses: " }
        end
        says(on_disk(bind("true", nil, '"/usr/bin"'), "echo ran"), unpack(words))
      end)

      it("for those who are no root at all", function()
        local err = trial.refused { root = root.path, mounts = {
          { type = "bind", source = directory, destination = "/mnt", idmap = true } } }
        assert.equal("user_namespace EPERM parent", ("%s %s %s"):format(err.op, err.code, err.side))
        assert.is_truthy(err.why:find("CAP_SYS_ADMIN in the user namespace that owns the file system", 1, true))
      end)
    end

    local function raised(mount)
      local description = { mounts = { mount }, ids = trial.several_ids() }
      return trial.raised(function() return cella.container(description):plan { "true" } end)
    end

    it("where it makes no sense, before anything happens", function()
      local function of(idmap)
        return { type = "bind", source = "/usr", destination = "/mnt", idmap = idmap }
      end
      assert.matches("mounts%[1%]%.idmap: true, or { uid =, gid = } expected, got false", raised(of(false)))
      assert.matches("mounts%[1%]%.idmap%.gid: missing", raised(of { uid = "0 0 1" }))
      assert.matches("mounts%[1%]%.idmap%.uid: ", raised(of { uid = "0 0 1\n0 5 1", gid = "0 0 1" }))
      assert.matches("mounts%[1%]%.idmap%.uid: 1990 to 2009 are not all in the container's map",
        raised(of { uid = "1990 0 20", gid = "0 0 1" }))
      assert.matches("mounts%[1%]%.idmap: a file from data is the container's own", raised { type = "bind",
        source = { content = "x" }, destination = "/mnt", idmap = true })
      assert.matches("mounts%[1%]%.idmap: unknown key", raised { type = "tmpfs", destination = "/mnt", idmap = true })
      assert.matches("mounts%[1%]%.idmap: flags of the host's .* not locked", trial.raised(cella.container,
        { capabilities = { "sys_admin" }, lock_mounts = false, mounts = { of(true) } }))
      assert.matches("mounts%[1%]%.idmap: true is the container's own map", trial.raised(cella.container,
        { namespaces = { user = "host" }, mounts = { of(true) } }))
    end)
  end)
end)
