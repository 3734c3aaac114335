-- cella.explain, by its effect: a common failure says which rule was broken and what can be done about it. Each failure
-- here is a real one.

local cella = require "cella"
local core = require "cella.core"
local private_host = require "spec.support.private_host"
local rootfs = require "spec.support.rootfs"
local sys = require "cella.sys"
local policy = require "cella.policy"
local trial = require "spec.support.trial"

-- Nothing is to be refused because nobody inside could write to it: the errors are about other things.
local function refused(description, command)
  if description.ids == nil and (description.namespaces or {}).user == nil then description.ids = policy.root() end
  return trial.refused(description, command)
end

local _, uid = sys.getresuid()
local _, gid = sys.getresgid()

local PROC = { type = "proc", destination = "/proc" }

describe("the error", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local several, no_several = trial.several_ids()

  local root, directory
  setup(function() root = rootfs.new() end)
  teardown(function() root:remove() end)
  trial.around(before_each, after_each, function(own) directory = own end)

  local function with_ids(name, body)
    it(name, function()
      if not several then
        pending(no_several)
        return
      end
      body()
    end)
  end

  local function as_root(name, body)
    it(name, function()
      if trial.lacks_root() then
        pending(trial.lacks_root())
        return
      end
      body()
    end)
  end

  -- That an error is of this operation and code, and that its reason has these words.
  local function says(err, op, code, ...)
    assert.equal(op, err.op, tostring(err))
    assert.equal(code, err.code, tostring(err))
    assert.is_string(err.why, tostring(err))
    for _, words in ipairs { ... } do
      assert.truthy(err.why:find(words, 1, true), ("%q is not in %q"):format(words, err.why))
    end
    -- A person who prints the error sees it.
    assert.truthy(tostring(err):find(err.why, 1, true))
  end

  -- Runs Lua, an expression that is an error, in a process that `prefix`, a shell's words, has put into some state.
  -- Returns op, code and why, and all that was said; raises if there was no error.
  local function elsewhere(prefix, source)
    local code = ([[
      local cella = require "cella"
      local function run(box) return select(2, box:run { "true" }) end
      local err = %s
      if not err then return print "it ran" end
      for _, key in ipairs { "op", "code", "why" } do print(key .. "=" .. tostring(err[key])) end
    ]]):format(source)
    local text = trial.sh((prefix:gsub("LUA", function()
      return ("%s -e %s"):format(trial.interpreter(), trial.quote(code))
    end)))
    local err = {}
    err.op, err.code, err.why = text:match "op=(.-)\ncode=(.-)\nwhy=(.*)\n$"
    if not err.op then error(text, 2) end
    return err, text
  end

  local function says_there(prefix, source, op, code, ...)
    local err, text = elsewhere(prefix, source)
    assert.equal(op, err.op, text)
    assert.equal(code, err.code, text)
    for _, words in ipairs { ... } do
      assert.truthy((err.why or ""):find(words, 1, true), ("%q is not in %s"):format(words, text))
    end
  end

  local function ran(prefix, source)
    local _, text = pcall(elsewhere, prefix, source)
    return tostring(text):find "it ran\n$" ~= nil
  end

  describe("has", function()
    it("the operation, its number in the plan, the side that took it, what it was about, and the code", function()
      local box = cella.container { root = "/no/such/root" }
      local result, err = box:run { "true" }
      assert.is_nil(result)
      assert.equal("open_tree", err.op)
      assert.equal("child", err.side)
      assert.equal("/no/such/root", err.path)
      assert.equal(2, err.errno)
      assert.equal("ENOENT", err.code)
      assert.equal("No such file or directory", err.message)
      local step = box:plan({ "true" }):steps()[err.step]
      assert.equal("open_tree", step.op)
      assert.equal("child", step.side)
      assert.truthy(tostring(err):find(("step %d (child), %s: No such file or directory (ENOENT)"):format(err.step,
        step.text), 1, true), tostring(err))
    end)

    it("the side of the parent where that failed", function()
      local _, err = cella.container({}):run { "true", stdin = { path = "/no/such/file" } }
      assert.equal("parent", err.side)
      assert.equal("/no/such/file", err.path)
      assert.equal("ENOENT", err.code)
    end)

    it("the program's name where that is what failed", function()
      local _, err = cella.container({}):run { "no-such-program" }
      assert.equal("execve", err.op)
      assert.equal("no-such-program", err.path)
    end)

    it("nothing to do with how a program ends: that is a result", function()
      local result, err = cella.container({}):run { "sh", "-c", "exit 125" }
      assert.equal(125, result.code)
      assert.is_nil(err)
    end)
  end)

  describe("about a program says", function()
    local function of(words, more)
      words.stdout, words.stderr = "null", "null"
      local _, err = cella.container(more or { root = root.path }):run(words)
      return err
    end

    after_each(function() root:shell "rm -rf work; mkdir -m 755 work" end)

    it("that it is not in the container's PATH", function()
      says(of { "no-such-program" }, "execve", "ENOENT", "no such program in the container's PATH")
    end)

    it("that it is not in the container, though it may be on the host", function()
      says(of { "/usr/bin/lua5.4" }, "execve", "ENOENT", "no such program in the container")
    end)

    it("that its interpreter is missing", function()
      root:write("work/script", "#!/no/such/interpreter\n", "755")
      says(of { "/work/script" }, "execve", "ENOENT", "not its interpreter")
    end)

    it("that its dynamic linker is missing", function()
      root:shell "mkdir work/root && cp usr/bin/id work/root/id"
      says(of({ "/id" }, { root = root.path .. "/work/root" }), "execve", "ENOENT", "dynamic linker")
    end)

    it("that it may not be executed", function()
      root:write("work/script", "#!/bin/sh\n", "644")
      says(of { "/work/script" }, "execve", "EACCES", "not executable")
      says(of { "/work" }, "execve", "EACCES", "directory")
    end)

    it("that it lies on a mount without programs", function()
      root:write("work/script", "#!/bin/sh\n", "755")
      local mounts = { { type = "bind", source = root.path .. "/work", destination = "/mnt", noexec = true,
        readonly = true } }
      says(of({ "/mnt/script" }, { root = root.path, mounts = mounts }), "execve", "EACCES", "noexec mount")
    end)

    it("that it is no program at all", function()
      root:write("work/text", "nothing to execute\n", "755")
      says(of { "/work/text" }, "execve", "ENOEXEC", "neither a program for this machine nor a script")
    end)

    it("that it is being written to", function()
      root:shell "cp usr/bin/id work/id"
      local file = trial.hold(io.open(root.path .. "/work/id", "r+b"))
      local err = of { "/work/id" }
      file:close()
      if not err then
        pending "this kernel executes a file that is open for writing (Linux 6.11 and 6.12)"
        return
      end
      says(err, "execve", "ETXTBSY", "open for writing")
    end)

    it("that its arguments are too long", function()
      says(of { "env", ("x"):rep(131072) }, "execve", "E2BIG", "131071 bytes")
    end)

    as_root("that it has capabilities which nobody can get here", function()
      root:shell "cp usr/bin/id work/id && PATH=$PATH:/usr/sbin:/sbin setcap cap_net_raw=ep work/id"
      local description = { root = root.path, no_new_privs = false }
      says(of({ "/work/id" }, description), "execve", "EPERM", "file capabilities outside the bounding set")
      description.capabilities = { "net_raw" }
      assert.is_nil(of({ "/work/id" }, description))
    end)
  end)

  describe("about places says", function()
    it("that the working directory is not in the container", function()
      says(refused { root = root.path, cwd = "/home" }, "chdir", "ENOENT", "does not exist in the container")
    end)

    with_ids("that the container's user may not enter the working directory", function()
      local description = { root = root.path, ids = several, user = { uid = 7, gid = 7 }, cwd = "/work" }
      root:shell "chmod 700 work"
      says(refused(description), "chdir", "EACCES", "may not search")
      root:shell "chmod 755 work"
      assert.is_true((trial.succeeds(description, "true")))
    end)

    with_ids("that the container's root, which is somebody else, has to get to its root directory", function()
      trial.sh(("mkdir -p %s/closed/root && chmod 700 %s/closed"):format(directory, directory))
      local err = refused { root = directory .. "/closed/root", ids = several }
      says(err, "open_tree", "EACCES", "search every directory of the path")
    end)

    it("that a source is not on the host", function()
      local mounts = { { type = "bind", source = "/no/such/source", destination = "/mnt" } }
      says(refused { root = root.path, mounts = mounts }, "open_tree", "ENOENT", "on the host")
    end)

    it("that a place to mount on is not in the root, why it is not made, and what can be done", function()
      local mounts = { { type = "tmpfs", destination = "/no/such/place" } }
      says(refused { root = root.path, mounts = mounts }, "openat2", "ENOENT", "no such path in the new root",
        "nothing is created on the host", "mount a tmpfs over its parent")
    end)

    it("that part of a path is no directory", function()
      local mounts = { { type = "tmpfs", destination = "/usr/bin/id/place" } }
      says(refused { root = root.path, mounts = mounts }, "openat2", "ENOTDIR", "not a directory in the new root")
    end)

    it("that a file cannot cover a directory", function()
      local mounts = { { type = "bind", source = "/etc/passwd", destination = "/mnt" } }
      says(refused { root = root.path, mounts = mounts }, "move_mount", "EISDIR", "a file on a file")
    end)

    it("that a part of a mount cannot be had alone", function()
      local mounts = { { type = "bind", source = "/", destination = "/mnt", recursive = false } }
      says(refused { root = root.path, mounts = mounts }, "open_tree", "EINVAL", "bind recursively")
    end)
  end)

  describe("about file systems says #vm", function()
    it("that a fresh /proc needs processes of its own", function()
      says(refused { mounts = { PROC }, namespaces = { pid = "host" } }, "fsconfig", "EPERM", "pid namespace")
    end)

    it("that sysfs needs a network of its own", function()
      says(refused { mounts = { { type = "sysfs", destination = "/sys" } }, namespaces = { net = "host" } },
        "fsopen", "EPERM", "network namespace")
    end)

    it("that message queues need an ipc namespace", function()
      says(refused { mounts = { { type = "mqueue", destination = "/mnt" } }, namespaces = { ipc = "host" } },
        "fsconfig", "EPERM", "ipc namespace")
    end)

    it("what it is that covers part of /proc, so that no fresh one can be mounted", function()
      local prefix = [[unshare --user --map-root-user --mount sh -c 'mount -t tmpfs c /proc/irq && exec "$@"' - LUA]]
      local source = 'run(cella.container { ids = require "cella.policy".root(), '
        .. 'mounts = { { type = "proc", destination = "/proc" } } })'
      says_there(prefix, source, "fsmount", "EPERM", "/proc/irq", "whole")
      -- Without the cover it works.
      assert.is_true(ran("unshare --user --map-root-user --mount LUA", source))
    end)
  end)

  describe("about mounts says", function()
    local function of(mounts, namespaces)
      return refused { root = root.path, mounts = mounts, namespaces = namespaces }
    end

    it("that cgroup2 needs a cgroup namespace", function()
      says(of({ { type = "cgroup2", destination = "/mnt" } }, { cgroup = "host" }), "fsconfig", "EPERM",
        "cgroup namespace")
    end)

    it("that flags which a more privileged mount namespace has set are kept", function()
      local bind = { type = "bind", source = "/usr", destination = "/mnt", noatime = true }
      says(of { bind }, "mount_setattr", "EPERM", "more privileged mount namespace", "access times")
    end)

    it("that a file on it is open for writing", function()
      local plan = cella.plan { namespaces = { "user", "mount" }, ids = { uid = ("0 %d 1"):format(uid),
        gid = ("0 %d 1"):format(gid), via = "self" } }
      local context = plan:fsopen "tmpfs"
      plan:fsconfig(context, "create")
      local mount = plan:fsmount(context)
      local file = plan:openat2("file", { "wronly", "creat" }, "beneath", mount)
      plan:mount_setattr(mount, false, "rdonly")
      plan:close(file)
      local _, err = plan:exec({ "true" }):run()
      says(err, "mount_setattr", "EBUSY", "open for writing")
    end)

    it("that a link has led to where nothing may be made", function()
      trial.sh(("mkdir %s/d && ln -s /work/there %s/d/link"):format(directory, directory))
      local err = of { { type = "tmpfs", destination = "/mnt" }, { type = "tmpfs", destination = "/work" },
        { type = "directory", destination = "/work/there" },
        { type = "bind", source = directory .. "/d", destination = "/mnt/d" },
        { type = "symlink", destination = "/mnt/link", target = "/work/there" },
        { type = "file", destination = "/mnt/link/file", content = "" } }
      says(err, "expect_same_filesystem", "EXDEV", "nothing is created on the host")
    end)

    it("that something is there already", function()
      local tmpfs = { type = "tmpfs", destination = "/mnt" }
      for op, entry in pairs {
        openat2 = { type = "file", content = "" }, mkdir = { type = "directory" },
        symlink = { type = "symlink", target = "x" },
      } do
        entry.destination = "/mnt/there"
        says(of { tmpfs, { type = "directory", destination = "/mnt/there" }, entry }, op, "EEXIST", "existing = true")
      end
    end)

    it("that a link is where a mount point would be made, or that a name is too long", function()
      local tmpfs = { type = "tmpfs", destination = "/mnt" }
      local link = { type = "symlink", destination = "/mnt/l", target = "no" }
      says(of { tmpfs, link, { type = "tmpfs", destination = "/mnt/l" } }, "make_target", "EEXIST", "leads to nothing")
      says(of { tmpfs, { type = "tmpfs", destination = "/mnt/" .. ("x"):rep(256) } }, "mkdir", "ENAMETOOLONG",
        "255 bytes")
    end)

    it("that there is no /proc", function()
      local there = "unshare --user --map-root-user --mount sh -c 'mount -t tmpfs none /proc; exec \"$@\"' - LUA"
      says_there(there, 'run(cella.container { namespaces = { user = "host" } })', "stat", "ENOENT", "no /proc mounted")
    end)

    it("that /proc is of another pid namespace: numbers in there are others' processes", function()
      local there = "unshare --user --map-root-user --pid --fork LUA"
      says_there(there, 'run(cella.container { ids = { uid = "0 0 1", gid = "0 0 1", via = "parent" } })', "write_file",
        "EXDEV", "of another pid namespace")
    end)

    as_root("that the caller is in a root directory where nothing is mounted", function()
      local said = private_host.sh(([[
        D=%s; mount -t tmpfs disk $D && mkdir $D/root && cd $D/root || exit
        for d in /*; do [ -d $d ] && [ ! -L $d ] && mkdir .$d && mount --rbind $d .$d; [ ! -L $d ] || cp -a $d .; done
        exec chroot . sh -c %s 2>&1
      ]]):format(directory, trial.quote(("cd %s; "):format(trial.top)
        .. private_host.run('{ namespaces = { user = "host" } }', "echo ran"))))
      private_host.clean()
      for _, words in ipairs { 'mount("none", "/"', "EINVAL", "it is chrooted" } do
        assert.truthy(said:find(words, 1, true), said)
      end
    end)

    it("that a link in the root has led over the root", function()
      local link = { type = "symlink", destination = "/l", target = "/" }
      local err = refused { root = { link }, readonly_paths = { "/l" } }
      says(err, "expect_root", "ENOTRECOVERABLE", "over the new root", "a link in it")
    end)

    it("that a tmpfs is full, or read-only", function()
      local function file(keys)
        local tmpfs = { type = "tmpfs", destination = "/mnt" }
        for key, value in pairs(keys) do tmpfs[key] = value end
        return of { tmpfs, { type = "file", destination = "/mnt/file", content = ("x"):rep(100000) } }
      end
      says(file { size = 4096 }, "write", "ENOSPC", "`size`")
      says(file { inodes = 1 }, "openat2", "ENOSPC", "`inodes`")
      local err = refused { root = { { type = "bind", source = "/usr", destination = "/usr" },
        { type = "tmpfs", destination = "/mnt" }, { type = "remount", destination = "/mnt", readonly = true },
        { type = "directory", destination = "/mnt/x" } } }
      says(err, "mkdir", "EROFS", "read-only mount")
    end)

    it("that flags are those of a mount", function()
      local err = refused { root = root.path, mounts = { { type = "remount", destination = "/usr", readonly = true } } }
      says(err, "mount_setattr", "EINVAL", "nothing is mounted right there")
    end)

    it("what an overlay wants", function()
      local function overlay(keys)
        keys.type, keys.destination = "overlay", "/mnt"
        local err = of { keys }
        if err.code == "EPERM" then pending "needs overlays in user namespaces (Linux 5.11)" end
        return err
      end
      says(overlay { lower = "/usr/bin" }, "fsconfig", "EINVAL", "at least two lower directories")
      says(overlay { lower = { "/usr/bin", "/usr" } }, "fsconfig", "ELOOP", "lies in another")
      says(overlay { lower = { "/usr/bin", "/no/such" } }, "fsconfig", "ENOENT", "on the host")
      says(overlay { lower = "/", upper = "tmpfs" }, "fsconfig", "EINVAL", "/ came from a more privileged")
      trial.sh(("mkdir %s/upper %s/work"):format(directory, directory))
      says(overlay { lower = "/usr/bin", upper = directory .. "/upper", work = "/dev/shm" }, "fsconfig", "EINVAL",
        "upper and work have to be on one mount")
    end)

    it("that what a descriptor stands for has gone", function()
      trial.sh(("mkdir %s/gone"):format(directory))
      local fd = assert(core.open(directory .. "/gone", { "path", "directory" }))
      trial.sh(("rmdir %s/gone"):format(directory))
      local err = of { { type = "bind", source = { fd = fd:number() }, destination = "/mnt" } }
      fd:close()
      says(err, "open_tree_of", "ENOENT", "no path any more")
      says(of { { type = "bind", source = { fd = 987654 }, destination = "/mnt" } }, "dup", "EBADF",
        "no such descriptor")
    end)

    it("how many mounts there may be, where there are as many #slow", function()
      -- Doubled sixteen times they are more than half of the limit.
      if trial.read "/proc/sys/fs/mount-max" ~= "100000\n" then pending "needs fs.mount-max to be 100000" end
      local said = private_host.sh(([[
        D=%s; mount -t tmpfs many $D && mount --make-private $D && mkdir $D/a && cd $D
        for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do mkdir $D/a/$i || exit; mount --rbind $D/a $D/a/$i; done
        %s 2>&1
      ]]):format(directory, private_host.run(([[{ root = %q, mounts = { { type = "bind", source = %q,
        destination = "/mnt" } } }]]):format(root.path, directory), "echo ran")))
      private_host.clean()
      for _, words in ipairs { "ENOSPC", "fs.mount-max is 100000" } do
        assert.truthy(said:find(words, 1, true), said)
      end
    end)
  end)

  describe("about namespaces says", function()
    local plan = '(select(2, cella.plan({ namespaces = { "user", "net" } }):exec({ "true" }):run()))'
    local limited = "unshare --user --map-root-user sh -c "
      .. [['echo 0 > /proc/sys/user/max_%s_namespaces && exec "$@"' - LUA]]

    it("that no user namespaces may be made", function()
      says_there(limited:format "user", plan, "clone3", "ENOSPC", "user.max_user_namespaces is 0")
    end)

    it("which limit it is that is reached", function()
      says_there(limited:format "net", plan, "clone3", "ENOSPC", "user.max_net_namespaces is 0")
    end)

    it("that they are nested too deep #slow", function()
      local deep = ("unshare --user --map-root-user "):rep(32)
      says_there(deep .. "unshare --user --map-root-user LUA", plan, "clone3", "ENOSPC", "33 deep")
      assert.is_true(ran(deep .. "LUA", plan))
      local twice = '(select(2, cella.plan({ namespaces = { "user" } }):unshare("user"):exec({ "true" }):run()))'
      says_there(deep .. "LUA", twice, "unshare", "ENOSPC", "33 deep")
    end)

    it("that the caller is chrooted", function()
      local chrooted = "unshare --user --map-root-user --mount sh -c "
        .. [['mount --rbind / %s && PATH=$PATH:/usr/sbin:/sbin exec chroot %s "$@"' - LUA]]
      says_there(chrooted:format(directory, directory), plan, "clone3", "EPERM", "chrooted")
    end)

    it("that the caller's own IDs have no mapping", function()
      says_there("unshare --user LUA", plan, "clone3", "EPERM", "has no mapping in its user namespace")
    end)

    if trial.lacks_root() then
      it("that without a user namespace they need privileges, and that one would help", function()
        says(refused { namespaces = { user = "host" } }, "clone3", "EPERM", "CAP_SYS_ADMIN",
          "user namespace of its own")
      end)
    end

    it("that a process to join is gone", function()
      says(refused { namespaces = { net = { pid = 2147483647 } } }, "open", "ESRCH", "has ended, or never was")
    end)

    it("that a descriptor is no namespace of that kind", function()
      says(refused { namespaces = { net = "/proc/self/ns/uts" } }, "setns", "EINVAL", "not a namespace of that type")
    end)

    it("that a clock cannot go back before its beginning", function()
      local err = refused { namespaces = { time = { monotonic = -1000000000 } } }
      says(err, "write_file", "ERANGE", "time_namespaces(7)")
    end)
  end)

  describe("about IDs says", function()
    local function error_of(ids, more)
      local plan = cella.plan { namespaces = { "user" }, ids = ids }
      if more then more(plan) end
      local result, err = plan:exec({ "true" }):run()
      assert.is_nil(result)
      return err
    end

    local me = { uid = ("0 %d 1"):format(uid), gid = ("0 %d 1"):format(gid), via = "self" }

    if trial.lacks_root() then
      it("that others than one's own take a privilege, or subordinate IDs", function()
        local err = error_of { uid = "0 0 1", gid = "0 0 1", via = "parent", setgroups = "deny" }
        assert.equal("EPERM", err.code)
        assert.is_string(err.why, tostring(err))
        assert.truthy(err.why:find("CAP_SETUID", 1, true) or err.why:find("newuidmap", 1, true), err.why)
      end)

      it("of each way to write a map why it does not work here", function()
        local err = refused { ids = { uid = "0 0 1000", gid = "0 0 1000" } }
        local text = tostring(err)
        for _, words in ipairs { "CAP_SETUID", "its own uid", "newuidmap" } do
          assert.truthy(text:find(words, 1, true), text)
        end
      end)
    end

    if trial.lacks_root() then
      it("that a user maps no IDs behind a join", function()
        local base = trial.hold(cella.container({ namespaces = { net = "host" },
          user_namespaces = true }):spawn { "sleep", "60" })
        local inside = { uid = "0 0 1", gid = "0 0 1" }
        for _, via in ipairs { "self", "parent" } do
          local _, err = cella.plan({ namespaces = { "user" }, join = { { type = "user", pid = base.pid } },
            ids = { uid = inside.uid, gid = inside.gid, via = via } }):exec({ "true" }):run()
          assert.equal("EACCES", err.code)
          assert.matches("who has joined a user, pid or mount namespace", tostring(err.why))
        end
      end)
    end

    it("that a helper is not installed", function()
      local err = error_of { uid = me.uid, gid = me.gid, via = "helper", newuidmap = "/no/such/newuidmap" }
      assert.equal("newuidmap", err.op)
      assert.truthy(err.why and err.why:find("uidmap", 1, true), tostring(err))
    end)

    it("that a range is not among the caller's subordinate IDs", function()
      if trial.sh "command -v newuidmap" == "" then
        pending "needs newuidmap"
        return
      end
      local err = error_of { uid = "0 4000000000 10", gid = "0 4000000000 10", via = "helper" }
      assert.equal("newuidmap", err.op)
      assert.truthy(err.why and err.why:find("subordinate IDs", 1, true), tostring(err))
      assert.truthy(err.why:find("usermod", 1, true), err.why)
    end)

    if trial.lacks_root() then
      with_ids("that a helper gains nothing under no_new_privs", function()
        local source = ('(select(2, cella.plan({ namespaces = { "user" }, ids = %s }):exec({ "true" }):run()))'):format(
          ("{ uid = %q, gid = %q, via = 'helper' }"):format(several.uid, several.gid))
        says_there("setpriv --no-new-privs LUA", source, "newuidmap", "nil", "no_new_privs")
        assert.is_true(ran("LUA", source))
      end)
    end

    it("that a user to become is not in the map", function()
      says(error_of(me, function(plan) plan:setresuid(5, 5, 5) end), "setresuid", "EINVAL", "no mapping")
      says(error_of(me, function(plan) plan:setresgid(5, 5, 5) end), "setresgid", "EINVAL", "no mapping")
    end)

    it("that setgroups is denied, and not that a privilege is lacking", function()
      says(error_of(me, function(plan) plan:setgroups {} end), "setgroups", "EPERM", "setgroups is denied")
    end)
  end)

  describe("about privileges says", function()
    local function error_of(record)
      local plan = cella.plan { namespaces = { "user" } }
      record(plan)
      local result, err = plan:exec({ "true" }):run()
      assert.is_nil(result)
      return err
    end

    it("that the host name is another namespace's", function()
      says(error_of(function(plan) plan:sethostname(sys.gethostname()) end), "sethostname", "EPERM", "CAP_SYS_ADMIN",
        "user namespace that owns")
    end)

    it("that a capability which is gone cannot be had back", function()
      says(error_of(function(plan)
        plan:capset("none", "none", "none")
        plan:capset({ "chown" }, { "chown" }, "none")
      end), "capset", "EPERM", "does not have")
    end)

    it("that an ambient capability has to be permitted and inheritable", function()
      says(error_of(function(plan) plan:ambient_raise { "chown" } end), "ambient_raise", "EPERM",
        "permitted and inheritable")
    end)

    it("that the bounding set takes a capability to change", function()
      says(error_of(function(plan)
        plan:capset("none", "none", "none")
        plan:capbset_drop { "chown" }
      end), "capbset_drop", "EPERM", "CAP_SETPCAP")
    end)

    it("what the limit is that cannot be raised", function()
      local _, hard = sys.getrlimit "nofile"
      says(refused { rlimits = { nofile = hard + 1 } }, "setrlimit", "EPERM", tostring(hard), "CAP_SYS_RESOURCE")
    end)

    it("how many descriptors there may be, where there are too many #slow", function()
      -- As many files as there can be, and then `free` fewer.
      local source = "(function() cella.load_everything() local files = {} "
        .. 'repeat files[#files + 1] = io.open "/dev/null" until #files >= 13 - %d return %s end)()'
      local plan = '(select(2, cella.plan({ namespaces = { "user" } }):exec({ "true", stdin = "null" }):run()))'
      local container = "run(cella.container {})"
      for _, what in ipairs { plan, container } do
        -- What this process was started with is not to count.
        local err, text = elsewhere("for n in 3 4 5 6 7 8 9; do eval \"exec $n>&-\"; done; ulimit -n 16; LUA",
          source:format(1, what))
        assert.equal("EMFILE", err.code, text)
        assert.truthy((err.why or ""):find("RLIMIT_NOFILE of the caller is 16", 1, true), text)
        assert.is_true(ran("ulimit -n 40; LUA", source:format(1, what)))
      end
      -- Where none is free to load what is needed, that is what is said.
      local _, text = pcall(elsewhere, "ulimit -n 16; LUA",
        ("(function() local files, file = {} repeat file = io.open '/dev/null' files[#files + 1] = file until not file "
        .. "return %s end)()"):format(plan))
      assert.truthy(text:find("module 'cella.plan' cannot be loaded: Too many open files", 1, true), text)
    end)

    it("that what was read back is not what was asked for", function()
      says(error_of(function(plan) plan:expect_ids(4000000000, 0) end), "expect_ids", "ENOTRECOVERABLE",
        "the program was not run")
    end)
  end)
end)
