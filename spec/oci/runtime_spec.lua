-- cella-oci by hand: what a container engine does with a runtime.
local bundles = require "spec.support.bundle"
local cella = require "cella"
local cgroups = require "cella.oci.cgroup"
local core = require "cella.core"
local Error = require "cella.error"
local headless = require "spec.support.headless"
local json = require "cella.oci.json"
local runtime = require "cella.oci.runtime"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

local pending_without = trial.lacks_user_namespaces

describe("cella-oci", function()
  local directory

  local function run(words) return bundles.runtime(directory, words) end
  local function said(words) return bundles.said(directory, words) end
  local function state(id) return json.decode(said { "state", id }) end
  local function bundle(args, change) return bundles.make(directory, args, change) end

  -- Whatever a spec has left there; before its directory goes.
  after_each(function()
    if not trial.read(directory .. "/bundle/config.json") then return end
    for id in said { "list", "--quiet" }:gmatch "%S+" do run { "delete", "--force", id } end
  end)
  trial.around(before_each, after_each, function(own) directory = own end)

  if pending_without() then
    pending("needs user namespaces, which this host refuses")
    return
  end

  it("runs a bundle, and ends as its program does", function()
    local path = bundle { "sh", "-c", "echo $PWD; id -u; cat /proc/sys/kernel/hostname; exit 3" }
    local result = run { "run", "--bundle", path, "one" }
    assert.equal("/\n0\ncella\n", result.stdout, result.stderr)
    assert.equal(3, result.status)
    assert.equal("", said { "list", "--quiet" })
  end)

  it("creates, and starts later: nobody has to be there meanwhile", function()
    local path = bundle({ "sh", "-c", "echo here >/out; sleep 1000" }, bundles.writable)
    said { "create", "--bundle", path, "--pid-file", directory .. "/pid", "one" }
    local one = state "one"
    assert.equal("created", one.status)
    assert.equal(tostring(one.pid), trial.read(directory .. "/pid"))
    assert.equal(path, one.bundle)
    assert.is_nil(trial.read(path .. "/rootfs/out"))
    -- A second of the name, and a deletion of what is there: neither.
    assert.matches("there is a container with that ID", run { "create", "--bundle", path, "one" }.stderr, 1, true)
    said { "start", "one" }
    assert.equal("running", state "one".status)
    trial.wait_for(function() return trial.read(path .. "/rootfs/out") == "here\n" end, "the program")
    assert.matches("cannot start a container that is running", run { "start", "one" }.stderr, 1, true)
    assert.matches("cannot delete a container that is running", run { "delete", "one" }.stderr, 1, true)
    said { "kill", "one", "KILL" }
    trial.wait_for(function() return state "one".status == "stopped" end, "its end")
    assert.equal(0, state "one".pid)
    assert.matches("container not running", run { "kill", "one", "TERM" }.stderr, 1, true)
    said { "delete", "one" }
    assert.matches("container does not exist", run { "state", "one" }.stderr, 1, true)
    said { "delete", "--force", "one" }
  end)

  it("gives pipes that it was handed to the program's user, who may open them by their names #slow", function()
    if trial.lacks_root() then return pending("needs root") end
    local function change(config) config.process.user = { uid = 7, gid = 7 } end
    local path = bundle({ "sh", "-c", "id -u; echo opened >/dev/stdout" }, change)
    assert.equal("7\nopened\n", run({ "run", "--bundle", path, "one" }).stdout)
    said { "create", "--bundle", bundle({ "sleep", "1000" }, change), "one" }
    said { "start", "one" }
    local result = run { "exec", "--user", "8:8", "one", "sh", "-c", "id -u; echo again >/dev/stdout" }
    assert.equal("8\nagain\n", result.stdout, result.stderr)
  end)

  it("gives pipes to the program's user in a user namespace that it joins #slow", function()
    if trial.lacks_root() then return pending("needs root") end
    local holder = assert(cella.container { ids = { uid = "0 100000 1000", gid = "0 100000 1000" }, init = false }
      :spawn { "/bin/sleep", "1000" })
    local path = bundle({ "sh", "-c", "id -u; echo opened >/dev/stdout" }, function(config)
      config.process.user = { uid = 7, gid = 7 }
      table.insert(config.linux.namespaces, { type = "user", path = ("/proc/%d/ns/user"):format(holder.pid) })
      config.process.capabilities = {}
      table.remove(config.mounts) -- sysfs, of the network namespace
    end)
    trial.sh(("chmod 755 %s; chown -R 100000:100000 %s/rootfs"):format(directory, path))
    local result = run { "run", "--bundle", path, "one" }
    holder:kill "kill"
    holder:wait()
    assert.equal("7\nopened\n", result.stdout, result.stderr)
  end)

  -- A user namespace's root, 100000 out here.
  local function with_ids(config)
    table.insert(config.linux.namespaces, { type = "user" })
    config.linux.uidMappings = { { containerID = 0, hostID = 100000, size = 1000 } }
    config.linux.gidMappings = { { containerID = 0, hostID = 100000, size = 1000 } }
  end

  -- As podman 5 keeps what it binds into a pod.
  it("binds what the container's root cannot reach, and nothing beside it #slow", function()
    if trial.lacks_root() then return pending("needs root") end
    trial.sh(("mkdir -p %s/closed/open; echo secret >%s/closed/secret; echo text >%s/closed/open/file"):format(
      directory, directory, directory))
    local sources = { ["/volume"] = "/closed/open", ["/above"] = "", ["/bin/text"] = "/closed/open/file" }
    local path = bundle({ "sh", "-c", "cat /volume/file /bin/text; cat /above/closed/open/file /above/closed/secret" },
      function(config)
        with_ids(config)
        for at, source in pairs(sources) do
          table.insert(config.mounts, { destination = at, type = "bind", source = directory .. source,
            options = { "rbind", "ro" } })
        end
      end)
    trial.sh(("chmod 755 %s; chmod 700 %s/closed; chown -R 100000:100000 %s/rootfs"):format(directory, directory, path))
    local result = run { "run", "--bundle", path, "one" }
    assert.equal("text\ntext\n", result.stdout, result.stderr)
    assert.matches("/above/closed/open/file': Permission denied", result.stderr, 1, true)
    assert.matches("/above/closed/secret': Permission denied", result.stderr, 1, true)
    -- The rules of the container's own root are those of its file system: nobody else is let in.
    trial.sh(("chmod 700 %s/rootfs; chown 0:0 %s/rootfs"):format(path, path))
    assert.matches("belongs to uid 0 outside", run({ "run", "--bundle", path, "one" }).stderr, 1, true)
  end)

  -- podman asks for 1048576 files and processes, whatever the host has. Inside nobody could raise a limit.
  it("has limits above this process's, in a user namespace too, where the caller may raise them #vm", function()
    if trial.lacks_root() then return pending("needs root") end
    if not require("cella.host").facts().capabilities.sys_resource then return pending("needs CAP_SYS_RESOURCE") end
    local path = bundle({ "sh", "-c", "ulimit -Sn; ulimit -Hn" }, function(config)
      with_ids(config)
      config.process.rlimits = { { type = "RLIMIT_NOFILE", soft = 300, hard = 500 } }
    end)
    trial.sh(("chmod 755 %s; chown -R 100000:100000 %s/rootfs"):format(directory, path))
    local function limited(...)
      local result = trial.host { "sh", "-c", 'ulimit -n 400; "$@"; ulimit -Hn; exit', "sh", trial.lua,
        trial.top .. "/bin/cella-oci", "--root", directory .. "/states", ... }
      assert.equal("300\n500\n400\n", result.stdout, result.stderr)
    end
    limited("run", "--bundle", path, "one")
    local document = json.decode(trial.read(path .. "/config.json"))
    bundles.write(path, { "sleep", "1000" }, with_ids)
    said { "create", "--bundle", path, "one" }
    said { "start", "one" }
    trial.write(directory .. "/process.json", json.encode(document.process))
    limited("exec", "--process", directory .. "/process.json", "one")
  end)

  it("keeps the flags that a bind has on the host, whatever the container may mount #slow", function()
    if trial.lacks_root() then return pending("needs root") end
    local path = bundle({ "sh", "-c", [[mount -o remount,bind,rw /theirs && touch /theirs/x
      mount -o remount,bind,rw /own || echo locked, too]] }, function(config)
      with_ids(config)
      for _, set in pairs(config.process.capabilities) do table.insert(set, "CAP_SYS_ADMIN") end
      for at, options in pairs { ["/theirs"] = { "rbind" }, ["/own"] = { "rbind", "ro" } } do
        table.insert(config.mounts, { destination = at, type = "bind", source = directory .. "/there",
          options = options })
      end
    end)
    trial.sh(("chmod 755 %s; chown -R 100000:100000 %s/rootfs"):format(directory, path))
    -- In mounts of its own: other specs look at those that they share.
    local result = trial.host { "unshare", "--mount", "--propagation", "private", "sh", "-c",
      'mkdir "$0/there" && mount -t tmpfs -o ro none "$0/there" && exec "$@"', directory, trial.lua,
      trial.top .. "/bin/cella-oci", "--root", directory .. "/states", "run", "--bundle", path, "one" }
    assert.equal("locked, too\n", result.stdout, result.stderr)
    assert.matches("mount: permission denied", result.stderr, 1, true)
  end)

  -- podman binds /run/.containerenv, where a volume is mounted at /run.
  it("gives what is mounted in a bind a place there, where that can be written to", function()
    trial.sh(("mkdir -p %s/volume; echo text >%s/file"):format(directory, directory))
    local function nested(...)
      local options = { ... }
      return bundle({ "cat", "/data/in/file" }, function(config)
        table.insert(config.mounts, { destination = "/data", type = "bind", source = directory .. "/volume",
          options = options })
        table.insert(config.mounts, { destination = "/data/in/file", type = "bind", source = directory .. "/file",
          options = { "bind", "ro" } })
      end)
    end
    assert.matches("there is no such path in the new root",
      run({ "run", "--bundle", nested("rbind", "ro"), "one" }).stderr, 1, true)
    assert.equal("text\n", said { "run", "--bundle", nested "rbind", "one" })
    assert.equal("", trial.read(directory .. "/volume/in/file"))
  end)

  -- As podman 5 has it for what holds a pod together.
  it("has a /dev that is read-only, and others mounted in it #slow", function()
    local path = bundle({ "sh", "-c", "true >/dev/null && echo opened; touch /dev/x || echo refused; touch /dev/shm/x "
      .. "&& echo written" }, function(config)
      for _, mount in ipairs(config.mounts) do
        if mount.destination == "/dev" then table.insert(mount.options, "ro") end
      end
    end)
    local result = run { "run", "--bundle", path, "one" }
    assert.equal("opened\nrefused\nwritten\n", result.stdout, result.stderr)
    assert.matches("Read-only file system", result.stderr, 1, true)
  end)

  -- Engines write down the maps of a namespace that they have made for another container, of a pod for one.
  it("joins a user namespace that has the maps of the bundle, and no other #slow", function()
    if trial.lacks_root() then return pending("needs root") end
    local holder = assert(cella.container { ids = { uid = "0 100000 1000", gid = "0 100000 1000" }, init = false }
      :spawn { "/bin/sleep", "1000" })
    local function joined(first)
      local path = bundle({ "cat", "/proc/self/uid_map" }, function(config)
        table.insert(config.linux.namespaces, { type = "user", path = ("/proc/%d/ns/user"):format(holder.pid) })
        config.linux.uidMappings = { { containerID = 0, hostID = first, size = 1000 } }
        config.linux.gidMappings = { { containerID = 0, hostID = 100000, size = 1000 } }
        config.process.capabilities = {}
        table.remove(config.mounts) -- sysfs, of the network namespace
      end)
      trial.sh(("chmod 755 %s; chown -R 100000:100000 %s/rootfs"):format(directory, path))
      return run { "run", "--bundle", path, "one" }
    end
    local good, bad = joined(100000), joined(100001)
    holder:kill "kill"
    holder:wait()
    assert.equal("0 100000 1000\n", (good.stdout:gsub("^ +", ""):gsub(" +", " ")), good.stderr)
    assert.matches("linux.uidMappings: the user namespace that is joined has other maps", bad.stderr, 1, true)
    assert.equal("", bad.stdout)
    assert.equal("", said { "list", "--quiet" })
  end)

  it("executes as another user with the groups and the umask of the container's own #slow", function()
    if trial.lacks_root() then return pending("needs root") end
    local path = bundle({ "sleep", "1000" }, function(config)
      config.process.user = { uid = 7, gid = 8, additionalGids = { 9, 10 }, umask = 63 }
    end)
    said { "create", "--bundle", path, "one" }
    said { "start", "one" }
    local script = "id -u; id -g; grep Groups: /proc/self/status; umask"
    local function as(words)
      local line = { "exec" }
      for _, word in ipairs(words) do line[#line + 1] = word end
      for _, word in ipairs { "one", "sh", "-c", script } do line[#line + 1] = word end
      return (said(line):gsub("%s+", " "))
    end
    assert.equal("7 8 Groups: 9 10 0077 ", as {})
    assert.equal("1 8 Groups: 9 10 0077 ", as { "--user", "1" })
    assert.equal("1 2 Groups: 9 10 0077 ", as { "--user", "1:2" })
    assert.equal("1 2 Groups: 9 10 11 0077 ", as { "--user", "1:2", "--additional-gids", "11" })
    for _, wrong in ipairs { "root", "1:", ":1", "1:x", "99999999999" } do
      assert.matches("--user: UID or UID:GID expected: names are in a file that is the container's business",
        run { "exec", "--user", wrong, "one", "true" }.stderr, 1, true)
    end
  end)

  it("says at create what cannot be started, and leaves nothing #slow", function()
    local path = bundle { "no-such-program" }
    local result = run { "--log", directory .. "/log", "--log-format", "json", "create", "--bundle", path, "one" }
    assert.equal(1, result.status)
    assert.matches("expect_program.*ENOENT", result.stderr)
    local entry = json.decode(trial.read(directory .. "/log"))
    assert.equal("error", entry.level)
    assert.matches("ENOENT", entry.msg, 1, true)
    assert.equal("", said { "list", "--quiet" })
  end)

  it("executes another program in there #slow", function()
    local path = bundle { "sleep", "1000" }
    said { "create", "--bundle", path, "one" }
    said { "start", "one" }
    local result = run { "exec", "--env", "A=b", "one", "sh", "-c", "echo $A $$; cat /proc/1/cmdline; exit 4" }
    assert.matches("^b [0-9]+\nsleep%z1000%z$", result.stdout, result.stderr)
    assert.equal(4, result.status)
    trial.write(directory .. "/process.json", json.encode {
      args = { "sh", "-c", "umask; grep NoNewPrivs /proc/self/status" }, cwd = "/", env = { "PATH=/bin" },
      user = { uid = 0, gid = 0, umask = 63 }, noNewPrivileges = true })
    assert.equal("0077\nNoNewPrivs:\t1\n", said { "exec", "--process", directory .. "/process.json", "one" })
    assert.matches("cella%-oci: .*ENOENT", run { "exec", "one", "no-such-program" }.stderr)
    local pids = json.decode(said { "ps", "--format", "json", "one" })
    assert.equal(1, #pids)
    assert.equal(pids[1], state "one".pid)
  end)

  it("executes detached, time and again, and says each time what there is not #slow", function()
    said { "create", "--bundle", bundle { "sleep", "1000" }, "one" }
    said { "start", "one" }
    -- The process that is between both is stopped before the program is executed, wherever it is by then.
    for _ = 1, 8 do
      said { "exec", "--detach", "one", "true" }
      assert.matches("ENOENT", run { "exec", "--detach", "one", "no-such-program" }.stderr, 1, true)
    end
  end)

  it("runs hooks with the state on their standard input, at their points #slow", function()
    local function hook(name, more)
      local one = { path = "/bin/sh", args = { "sh", "-c", "cat >" .. directory .. "/" .. name .. (more or "") } }
      return { one }
    end
    local path = bundle({ "true" }, function(config)
      config.annotations = { ["org.example.key"] = "value" }
      config.hooks = { createRuntime = hook "create", poststart = hook "start", poststop = hook "stop" }
    end)
    said { "create", "--bundle", path, "one" }
    local given = json.decode(trial.read(directory .. "/create"))
    assert.equal("one", given.id)
    assert.equal("value", given.annotations["org.example.key"])
    assert.is_nil(trial.read(directory .. "/start"))
    said { "start", "one" }
    assert.is_string(trial.read(directory .. "/start"))
    assert.is_nil(trial.read(directory .. "/stop"))
    said { "delete", "--force", "one" }
    assert.equal("stopped", json.decode(trial.read(directory .. "/stop")).status)

    path = bundle({ "true" }, function(config)
      config.hooks = { createRuntime = hook("again", "; echo no >&2; exit 5") }
    end)
    local result = run { "create", "--bundle", path, "two" }
    assert.matches("hooks.createRuntime[0]: has ended with status 5: no", result.stderr, 1, true)
    path = bundle({ "true" }, function(config)
      config.hooks = { createRuntime = { { path = "/bin/sh", args = { "sh", "-c", "sleep 1000" }, timeout = 1 } } }
    end)
    result = run { "create", "--bundle", path, "two" }
    assert.matches("hooks.createRuntime[0]: has not ended after 1 seconds", result.stderr, 1, true)
    assert.equal("", said { "list", "--quiet" })
  end)

  it("runs hooks in the container's namespaces: before its root is the root, and before its program #slow", function()
    local look = "exec >%s; cat; echo; for n in mnt uts pid; do readlink /proc/self/ns/$n; done; id -u; "
      .. "cat /proc/self/status; cat /proc/self/mountinfo"
    local path = bundle({ "sh", "-c", "for n in mnt uts pid; do readlink /proc/1/ns/$n; done; cat /started" },
      function(config)
        config.root.readonly = false
        config.hooks = {
          createContainer = { { path = "/bin/sh", args = { "sh", "-c", look:format(directory .. "/create") } } },
          startContainer = { { path = "/bin/sh", args = { "sh", "-c", look:format "/started" },
            env = { "PATH=/bin" } } },
        }
      end)
    trial.sh(("ln -s busybox %s/rootfs/bin/readlink"):format(path))
    local result = run { "run", "--bundle", path, "one" }
    assert.equal(0, result.status, result.stderr)
    local namespaces, state_json, same = result.stdout:match "^([^{]*)({[^\n]*)\n([^0-9]*%d+[^0-9]*%d+[^0-9]*%d+%]\n)"
    assert.equal(namespaces, same)
    assert.equal("created", json.decode(state_json).status)
    assert.equal(1, json.decode(state_json).pid)
    -- Confined as the program is.
    assert.truthy(result.stdout:find("NoNewPrivs:\t1", 1, true))
    assert.truthy(result.stdout:find("CapBnd:\t0000000020000420", 1, true), result.stdout)
    local there = trial.read(directory .. "/create")
    assert.equal("creating", json.decode(there:match "^[^\n]*").status)
    assert.equal(1, json.decode(there:match "^[^\n]*").pid)
    assert.truthy(there:find(namespaces, 1, true), there)
    -- The mounts of the container are there, over the host's root, and it runs in that.
    assert.truthy(there:find(" /dev/mqueue ", 1, true), there)

    path = bundle({ "true" }, function(config)
      config.hooks = { createContainer = { { path = "/bin/sh", args = { "sh", "-c", "echo no >&2; exit 5" } } } }
    end)
    result = run { "create", "--bundle", path, "two" }
    assert.matches("hooks.createContainer[0]: has ended with status 5: no", result.stderr, 1, true)
    path = bundle({ "true" }, function(config)
      config.hooks = { startContainer = { { path = "/bin/sh", args = { "sh", "-c", "echo no >&2; exit 6" } } } }
    end)
    said { "create", "--bundle", path, "two" }
    result = run { "start", "two" }
    assert.matches("hooks.startContainer[0]: has ended with status 6: no", result.stderr, 1, true)
    trial.wait_for(function() return state "two".status == "stopped" end, "its end")
    said { "delete", "two" }
    path = bundle({ "true" }, function(config)
      config.hooks = { startContainer = { { path = "/bin/sleep", args = { "sleep", "1000" }, timeout = 1 } } }
    end)
    trial.sh(("ln -sf busybox %s/rootfs/bin/sleep"):format(path))
    said { "create", "--bundle", path, "two" }
    result = run { "start", "two" }
    assert.matches("hooks.startContainer[0]: has not ended after 1 seconds", result.stderr, 1, true)
    said { "delete", "--force", "two" }
  end)

  it("gives hooks their environment and nothing else, the program's nice value, and none of the caller's groups",
    function()
      local nice = "set -- $(/bin/cat /proc/$$/stat); echo ${19}"
      local environ = "/bin/cat /proc/$$/environ >"
      local path = bundle({ "sleep", "1000" }, function(config)
        bundles.writable(config)
        config.process.scheduler = { policy = "SCHED_OTHER", nice = 17 }
        config.hooks = {
          createRuntime = { { path = "/bin/sh", args = { "sh", "-c", environ .. directory .. "/env" },
            env = { "A=b" } } },
          startContainer = { { path = "/bin/sh", args = { "sh", "-c", environ .. "/env; " .. nice .. " >/nice" } } },
        }
      end)
      said { "create", "--bundle", path, "one", environment = { TERM = "xterm", PATH = os.getenv "PATH",
        LUA_PATH = package.path, LUA_CPATH = package.cpath } }
      said { "start", "one" }
      assert.equal("A=b\0", trial.read(directory .. "/env"))
      assert.equal("", trial.read(path .. "/rootfs/env"))
      assert.equal("17\n", trial.read(path .. "/rootfs/nice"))
      -- What enters has it too.
      assert.equal("17\n", said { "exec", "one", "sh", "-c", nice })
      said { "delete", "--force", "one" }
      if trial.lacks_root() then return end
      path = bundle({ "true" }, function(config)
        table.insert(config.linux.namespaces, { type = "user" })
        config.linux.uidMappings = { { containerID = 0, hostID = 100000, size = 1000 } }
        config.linux.gidMappings = config.linux.uidMappings
        config.hooks = { createContainer = { { path = "/bin/sh",
          args = { "sh", "-c", "/bin/grep -E '^(Uid|Groups):' /proc/self/status >&2; exit 5" } } } }
      end)
      local result = assert(cella.plan():setgroups({ 4, 5 }):exec { trial.lua, trial.top .. "/bin/cella-oci", "--root",
        directory .. "/states", "create", "--bundle", path, "two", stdin = "null", stdout = "capture",
        stderr = "capture" }:run {})
      assert.matches("Uid:\\x090\\.*Groups:[^0-9]*/bin/sh", result.stderr)
    end)

  it("tells what is no UTF-8 as well as it can, or refuses it; and where its log cannot be", function()
    local path = bundle { "true" }
    local function with(words)
      words.environment = { USER = "\255", PATH = os.getenv "PATH", LUA_PATH = package.path, LUA_CPATH = package.cpath }
      return run(words)
    end
    local result = with { "create", "--bundle", path, "one" }
    assert.equal(0, result.status, result.stderr)
    assert.equal("\\xff", state "one".owner)
    said { "delete", "one" }
    trial.sh(("ln -s bundle '%s/\255'"):format(directory))
    result = with { "create", "--bundle", directory .. "/\255", "two" }
    assert.equal(1, result.status)
    assert.matches("bundle: the path is no UTF-8", result.stderr, 1, true)
    for _, command in ipairs { "create", "list" } do
      local words = { trial.lua, trial.top .. "/bin/cella-oci", "--root", directory .. "/states", "--log",
        directory .. "/none/log", command }
      if command == "create" then words[7], words[8], words[9], words[10] = command, "--bundle", path, "two" end
      result = trial.host(words)
      assert.equal(1, result.status)
      assert.matches("--log: " .. directory .. "/none/log: No such file or directory", result.stderr, 1, true)
    end
    assert.equal("", said { "list", "--quiet" })
  end)

  it("says which source of a file system is none", function()
    local kind = not trial.lacks_root() and (trial.read "/proc/filesystems" or ""):match "%f[^\n]\t(ext4)\n"
    if not kind then return pending("needs root, and ext4") end
    for source, words in pairs { ["/no/such"] = "there is no such device", ["/etc/passwd"] = "is no block device",
      ["/etc/passwd/x"] = "no directory" } do
      local result = run { "create", "--bundle", bundle({ "true" }, function(config)
        table.insert(config.mounts, { destination = "/tmp", type = kind, source = source })
      end), "one" }
      assert.equal(1, result.status)
      assert.matches("its source is " .. source .. ": ", result.stderr, 1, true)
      assert.matches(words, result.stderr, 1, true)
    end
  end)

  it("lists all that there are, and says of which nothing can be told", function()
    assert.equal("", said { "list", "--quiet" })
    local path = bundle { "sleep", "1000" }
    said { "create", "--bundle", path, "one" }
    for _, text in ipairs { "x", "[1]", '{"pid":"x","start":"y"}', '{"pid":1.5}', '{"annotations":5}',
      '{"annotations":{"a":1}}', '{"hooks":{"poststop":1}}', '{"bundle":[]}', '{"cgroup":5}', '{"created":1}' } do
      trial.sh(("mkdir -p -m 700 %s/states/broken"):format(directory))
      trial.write(directory .. "/states/broken/state.json", text)
      for _, words in ipairs { { "list" }, { "list", "--quiet" }, { "list", "--format", "json" } } do
        local result = run(words)
        assert.equal(1, result.status, text)
        assert.matches("one", result.stdout, 1, true)
        assert.is_nil(result.stdout:find("broken", 1, true))
        assert.matches("states/broken/state.json", result.stderr, 1, true)
        assert.matches("no state of a container", result.stderr, 1, true)
      end
      assert.matches("no state of a container", run({ "state", "broken" }).stderr, 1, true)
    end
    trial.sh(("rm -r %s/states/broken"):format(directory))
    said { "list" }
    -- Of a directory that somebody else may write to nothing is believed.
    trial.sh(("chmod 777 %s/states"):format(directory))
    local result = run { "list" }
    trial.sh(("chmod 700 %s/states"):format(directory))
    assert.equal(1, result.status)
    assert.matches("others may write to this directory", result.stderr, 1, true)
    said { "delete", "--force", "one" }
  end)

  it("signals all where it knows which these are, and refuses it otherwise", function()
    local function shared(config)
      for i, one in ipairs(config.linux.namespaces) do
        if one.type == "pid" then table.remove(config.linux.namespaces, i) end
      end
      -- A new proc would be that of another pid namespace.
      if config.mounts[1].type == "proc" then
        config.mounts[1] = { destination = "/proc", type = "bind", source = "/proc", options = { "rbind" } }
      end
    end
    local result = run { "create", "--bundle", bundle({ "sleep", "1000" }, shared), "one" }
    assert.equal(0, result.status, result.stderr)
    assert.matches("nobody knows which processes are the container's", result.stderr, 1, true)
    said { "start", "one" }
    for _, signal in ipairs { "KILL", "TERM" } do
      result = run { "kill", "--all", "one", signal }
      assert.equal(1, result.status)
      assert.matches("--all: the container has no cgroup", result.stderr, 1, true)
    end
    assert.equal("running", state "one".status)
    said { "kill", "one", "KILL" }
    trial.wait_for(function() return state "one".status == "stopped" end, "its end")
    said { "delete", "one" }
    -- The first of a pid namespace has all of it end.
    result = run { "create", "--bundle", bundle { "sleep", "1000" }, "two" }
    assert.equal("", result.stderr)
    said { "start", "two" }
    assert.matches("only KILL is for all", run { "kill", "--all", "two", "TERM" }.stderr, 1, true)
    said { "kill", "--all", "two", "KILL" }
    trial.wait_for(function() return state "two".status == "stopped" end, "its end")
    said { "delete", "two" }
  end)

  it("is creating until its process waits, and lets nobody else in there start the program", function()
    local path = bundle({ "sleep", "1000" }, function(config)
      bundles.writable(config)
      local look = { { path = "/bin/sh", args = { "sh", "-c", ("exec '%s' '%s/bin/cella-oci' --root %s/states state "
        .. "one >%s/$0.json"):format(trial.lua, trial.top, directory, directory) },
        env = { "LUA_PATH=" .. (os.getenv "LUA_PATH" or ";;"), "LUA_CPATH=" .. (os.getenv "LUA_CPATH" or ";;"),
          "PATH=" .. os.getenv "PATH" } } }
      config.hooks = { createRuntime = look, startContainer = { { path = "/bin/sh",
        args = { "sh", "-c", "echo -n x >/proc/1/fd/3 && exit 1; echo $? >/tried" } } } }
    end)
    trial.sh(("ln -sf busybox %s/rootfs/bin/sleep"):format(path))
    said { "create", "--bundle", path, "one" }
    assert.equal("creating", json.decode(trial.read(directory .. "/sh.json")).status)
    local let_go = { "exec", "one", "sh", "-c", "echo -n x >/proc/1/fd/3" }
    assert.matches("Permission denied", run(let_go).stderr, 1, true)
    assert.equal("created", state("one").status)
    said { "start", "one" }
    assert.equal("1\n", trial.read(path .. "/rootfs/tried"))
    assert.equal("running", state("one").status)
    said { "delete", "--force", "one" }

    -- A control: who may trace it may do that, and it is seen.
    bundle({ "sleep", "1000" }, function(config)
      for _, set in pairs(config.process.capabilities) do table.insert(set, "CAP_SYS_PTRACE") end
    end)
    said { "create", "--bundle", path, "one" }
    said(let_go)
    assert.equal("running", state("one").status)
    assert.matches("cannot start a container that is running", run { "start", "one" }.stderr, 1, true)
  end)

  it("takes no empty path for that of a bundle", function()
    assert.matches("--bundle: the path is empty", run { "create", "--bundle", "", "one" }.stderr, 1, true)
    assert.matches("--bundle: the path is empty", run { "spec", "--bundle", "" }.stderr, 1, true)
  end)

  it("writes its pid file beside what others have there, or says what is wrong with the path", function()
    local path = bundle { "sleep", "1000" }
    trial.sh(("cd %s && ln -sf busybox bundle/rootfs/bin/sleep && mkdir -p pf/dir && echo mine >pf/.profile")
      :format(directory))
    local place = directory .. "/pf"
    local function tried(words, at)
      local result = run(words(at))
      assert.not_equal(0, result.status)
      return result.stderr
    end
    local function create(at) return { "create", "--bundle", path, "--pid-file", at, "one" } end
    local function exec(at) return { "exec", "--pid-file", at, "two", "true" } end
    said { "create", "--bundle", path, "--pid-file", place .. "/profile", "two" }
    assert.equal(tostring(state("two").pid), trial.read(place .. "/profile"))
    for _, words in ipairs { create, exec } do
      for _, at in ipairs { "/dir", "/dir/", "/", "/.", "/none/" } do
        assert.matches("that of a file expected", tried(words, place .. at), 1, true)
      end
      assert.matches("the path is empty", tried(words, ""), 1, true)
      assert.matches(place .. "/none/", tried(words, place .. "/none/pid"), 1, true)
    end
    -- Where the last step fails nothing stays.
    assert.matches("File name too long", tried(create, place .. "/" .. ("x"):rep(300)), 1, true)
    assert.equal(".\n..\n.profile\ndir\nprofile\n", trial.sh("ls -a " .. place))
    assert.equal("mine\n", trial.read(place .. "/.profile"))
    assert.equal("two\n", said { "list", "--quiet" })
    said { "exec", "--pid-file", place .. "/profile", "two", "true" }
    assert.not_equal(tostring(state("two").pid), trial.read(place .. "/profile"))
  end)

  it("puts no pid file in the place of a device, or of anything that is no file", function()
    local path = bundle { "true" }
    trial.sh(("cd %s && mkfifo fifo && ln -s /dev/null link && echo 1 >pid && ln -s pid to-a-file"):format(directory))
    for _, name in ipairs { "fifo", "link" } do
      local result = run { "create", "--bundle", path, "--pid-file", directory .. "/" .. name, "one" }
      assert.equal(1, result.status)
      assert.matches("something else is there", result.stderr, 1, true)
    end
    assert.equal("fifo\nsymbolic link\n", trial.sh(("cd %s; stat -c %%F fifo link"):format(directory)))
    assert.equal("", said { "list", "--quiet" })
    said { "create", "--bundle", path, "--pid-file", directory .. "/to-a-file", "one" }
    assert.equal(tostring(state "one".pid), trial.read(directory .. "/to-a-file"))
  end)

  it("knows that a container runs whose first thread has ended", function()
    local path = bundle({ "/bin/headless" })
    headless.at(path .. "/rootfs/bin/headless")
    said { "run", "--detach", "--bundle", path, "one", stdin = "null", stdout = "null", stderr = "null" }
    local pid = state("one").pid
    headless.await(pid)
    assert.equal("running", state("one").status)
    assert.equal(pid, state("one").pid)
    assert.equal(pid, json.decode(said { "list", "--format", "json" })[1].pid)
    assert.matches("cannot delete a container that is running", run { "delete", "one" }.stderr, 1, true)
    assert.matches("the first thread of process", run { "exec", "one", "true" }.stderr, 1, true)
    assert.matches(("\n%d "):format(pid), said { "ps", "one" }, 1, true)
    said { "kill", "one", "0" }
    said { "kill", "one", "KILL" }
    trial.wait_for(function() return not trial.runs(pid) end, "the end of all threads")
    assert.equal("stopped", state("one").status)
    said { "delete", "one" }
    said { "run", "--detach", "--bundle", path, "one", stdin = "null", stdout = "null", stderr = "null" }
    pid = state("one").pid
    headless.await(pid)
    said { "delete", "--force", "one" }
    assert.is_false(trial.runs(pid))
  end)

  it("deletes by force what waits for a hook, and ends the hook #slow", function()
    local path = bundle { "true" }
    trial.sh(("ln -sf busybox %s/rootfs/bin/sleep"):format(path))
    local function hook(script) return { { path = "/bin/sh", args = { "sh", "-c", script .. "; sleep 1000" } } } end
    local there = directory .. "/there"
    local script = ("echo $$ >%s"):format(there)
    for point, words in pairs { createRuntime = { "create", "--bundle", path, "one" },
      createContainer = { "create", "--bundle", path, "one" }, startContainer = { "start", "one" },
      poststart = { "start", "one" } } do
      bundle({ "sleep", "1000" }, function(config)
        bundles.writable(config)
        config.hooks = { [point] = hook(point == "startContainer" and "touch /there" or script) }
      end)
      if point == "startContainer" or point == "poststart" then said { "create", "--bundle", path, "one" } end
      local waiting = assert(cella.plan():exec { trial.lua, trial.top .. "/bin/cella-oci", "--root",
        directory .. "/states", words[1], words[2], words[3], words[4], stdin = "null", stdout = "capture",
        stderr = "capture" }:spawn {})
      local seen = point == "startContainer" and path .. "/rootfs/there" or there
      trial.wait_for(function() return trial.read(seen) end, "the hook of " .. point)
      said { "delete", "--force", "one" }
      local result = assert(waiting:wait(10))
      assert.equal(1, result.code, point)
      assert.equal("", said { "list", "--quiet" })
      os.remove(seen)
    end
  end)

  it("runs poststop hooks when the container is gone: one that never ends holds nobody else", function()
    local path = bundle({ "true" }, function(config)
      config.hooks = { poststop = { { path = "/bin/sh", args = { "sh", "-c", ("cat >%s/seen; echo $$ >%s/pid; "
        .. "exec sleep 1000"):format(directory, directory) } } } }
    end)
    said { "create", "--bundle", path, "one" }
    local waiting = assert(cella.plan():exec { trial.lua, trial.top .. "/bin/cella-oci", "--root",
      directory .. "/states", "delete", "one", stdin = "null", stdout = "capture", stderr = "capture" }:spawn {})
    trial.wait_for(function() return (trial.read(directory .. "/pid") or ""):find "\n" end, "the hook")
    local seen = json.decode(trial.read(directory .. "/seen"))
    assert.same({ "one", "stopped" }, { seen.id, seen.status })
    assert.matches("container does not exist", run { "delete", "one" }.stderr, 1, true)
    said { "delete", "--force", "one" }
    said { "create", "--bundle", bundle { "true" }, "one" } -- the name is free
    assert.is_nil((waiting:wait(0)))
    trial.sh("kill -9 " .. trial.read(directory .. "/pid"))
    local result = assert(waiting:wait(10))
    assert.equal(0, result.code, result.stderr)
    assert.matches("hooks.poststop[0]: has ended with kill", result.stderr, 1, true)
    assert.equal("created", state "one".status)
  end)

  it("says who holds the lock of a container, as long as it waits for it", function()
    said { "create", "--bundle", bundle({ "sleep", "1000" }, function(config)
      config.hooks = { poststart = { { path = "/bin/sh", args = { "sh", "-c", ("echo here >%s/there; sleep 1000")
        :format(directory) } } } }
    end), "one" }
    local waiting = assert(cella.plan():exec { trial.lua, trial.top .. "/bin/cella-oci", "--root",
      directory .. "/states", "start", "one", stdin = "null", stdout = "capture", stderr = "capture" }:spawn {})
    trial.wait_for(function() return trial.read(directory .. "/there") end, "the hook")
    local now, seconds = core.now, 0
    core.now = function()
      seconds = seconds + 1
      return now() + seconds
    end
    local ok, deleted, err = pcall(runtime.delete, { root = directory .. "/states", id = "one" })
    core.now = now
    assert.is_true(ok, deleted)
    assert.is_nil(deleted)
    local message = tostring(err)
    assert.matches(("process %d, "):format(waiting.pid), message, 1, true)
    assert.matches("start one: holds the lock for more than 10 seconds", message, 1, true)
    said { "delete", "--force", "one" }
    assert.equal(1, assert(waiting:wait(10)).code)
  end)

  it("needs the bundle's config.json at create alone: it may change then, or go", function()
    local function hook(name) return { { path = "/bin/sh", args = { "sh", "-c", "cat >" .. directory .. name } } } end
    local path = bundle({ "sleep", "1000" }, function(config)
      config.hooks = { poststart = hook "/start", poststop = hook "/stop" }
      table.insert(config.process.env, "KEPT=yes")
    end)
    said { "create", "--bundle", path, "one" }
    trial.write(path .. "/config.json", '{ "hooks": 1 }')
    said { "start", "one" }
    assert.is_string(trial.read(directory .. "/start"))
    assert.equal("yes\n", said { "exec", "one", "sh", "-c", "echo $KEPT" })
    os.remove(path .. "/config.json")
    assert.equal("yes\n", said { "exec", "one", "sh", "-c", "echo $KEPT" })
    said { "delete", "--force", "one" }
    assert.is_string(trial.read(directory .. "/stop"))
    trial.write(path .. "/config.json", "{}") -- for after_each
  end)

  it("says that a program was not executed, and ends the container", function()
    said { "create", "--bundle", bundle { "sleep", "1000" }, "one" }
    local pid = state "one".pid
    trial.sh("kill -STOP " .. pid)
    local now, seconds = core.now, 0
    core.now = function()
      seconds = seconds + 1
      return now() + seconds
    end
    local ok, started, err = pcall(runtime.start, { root = directory .. "/states", id = "one" })
    core.now = now
    assert.is_true(ok, started)
    assert.is_nil(started)
    assert.matches("the program is not executed after 10 seconds", tostring(err), 1, true)
    trial.wait_for(function() return state "one".status == "stopped" end, "its end")
  end)

  it("fails where this process cannot leave the container's cgroup again", function()
    local enter = cgroups.enter
    cgroups.enter = function() return function() return nil, Error.new { op = "back", message = "no way" } end end
    local ok, made, err = pcall(runtime.create, { root = directory .. "/states", id = "one",
      bundle = bundle { "sleep", "1000" } })
    cgroups.enter = enter
    assert.is_true(ok, made)
    assert.is_nil(made)
    assert.equal("back: no way", tostring(err))
    assert.equal("", said { "list", "--quiet" })
  end)

  it("has the HOME that passwd in the container says, where the bundle says none #slow", function()
    local path = bundle({ "sh", "-c", "echo $HOME" }, function(config)
      config.process.user = { uid = 0, gid = 0 }
    end)
    local function home() return said { "run", "--bundle", path, "one" } end
    assert.equal("/\n", home())
    trial.sh(("cd %s/rootfs; mkdir etc; echo root:x:0:0::/home/own:/bin/sh >etc/passwd"):format(path))
    assert.equal("/home/own\n", home())
    -- What its root has there is seen as in there, and read if it is a file.
    trial.sh(("cd %s; echo root:x:0:0::/outside:/bin/sh >passwd; ln -sf ../../passwd rootfs/etc/passwd"):format(path))
    assert.equal("/\n", home())
    trial.sh(("cd %s/rootfs/etc; rm passwd; mkfifo passwd"):format(path))
    assert.equal("/\n", home())
    trial.sh(("cd %s/rootfs/etc; rm passwd; touch passwd"):format(path))
    local function mounted(config)
      table.insert(config.mounts, { destination = "/etc/passwd", type = "bind", source = "passwd",
        options = { "bind", "ro" } })
    end
    bundles.write(path, { "sh", "-c", "echo $HOME" }, mounted)
    assert.equal("/outside\n", home())
    said { "create", "--bundle", bundle({ "sleep", "1000" }, mounted), "one" }
    said { "start", "one" }
    assert.equal("/outside\n", said { "exec", "one", "sh", "-c", "echo $HOME" })
    assert.equal("/given\n", said { "exec", "--env", "HOME=/given", "one", "sh", "-c", "echo $HOME" })
  end)

  it("takes nobody for a container's process that has only its number", function()
    local path = bundle { "sleep", "1000" }
    said { "create", "--bundle", path, "one" }
    local file = directory .. "/states/one/state.json"
    local data = json.decode(trial.read(file))
    local pid = data.pid
    assert.equal("created", state "one".status)
    data.start = data.start .. "0" -- as if the number had come to another
    trial.write(file, json.encode(data))
    assert.equal("stopped", state "one".status)
    assert.matches("container not running", run { "kill", "one", "KILL" }.stderr, 1, true)
    assert.is_true(trial.runs(pid))
    trial.sh("kill -9 " .. pid)
  end)

  describe("whose state.json is broken", function()
    local file, pid
    before_each(function()
      said { "create", "--bundle", bundle({ "sleep", "1000" }, function(config)
        config.hooks = { poststop = { { path = "/bin/sh",
          args = { "sh", "-c", ("cat >%s/stopped"):format(directory) } } } }
      end), "one" }
      file = directory .. "/states/one/state.json"
      pid = state "one".pid
    end)
    after_each(function()
      if trial.runs(pid) then trial.sh("kill -9 " .. pid) end
    end)

    -- What is said, after the name is free again.
    local function deleted()
      local refused = run { "delete", "one" }
      assert.equal(1, refused.status)
      assert.matches("no state of a container", refused.stderr, 1, true)
      assert.matches("delete --force deletes it as far as is known of it", refused.stderr, 1, true)
      assert.is_true(trial.runs(pid))
      local result = run { "delete", "--force", "one" }
      assert.equal(0, result.status, result.stderr)
      assert.matches("no state of a container", result.stderr, 1, true)
      assert.equal("", trial.sh(("ls -A %s/states"):format(directory)))
      return result.stderr
    end

    local UNKNOWN = "which process is the container's is not known: if it is still there it goes on"

    it("is deleted by force, and its process killed, where that is certain", function()
      local data = json.decode(trial.read(file))
      data.created = 5
      trial.write(file, json.encode(data))
      assert.is_nil(deleted():find("left alone", 1, true))
      trial.wait_for(function() return not trial.runs(pid) end, "its end")
      assert.equal("stopped", json.decode(trial.read(directory .. "/stopped")).status)
    end)

    it("is deleted by force as far as it is whole, where it is cut off", function()
      local text = trial.read(file)
      -- Braces, commas and quotes in a string are no ends.
      local data = json.decode(text)
      data.annotations = { a = '}, "pid": 1, "start": "1-2", \\"' }
      local whole = json.encode(data)
      trial.write(file, whole:sub(1, whole:find('"rootfs"', 1, true) + 12))
      local said_so = deleted()
      assert.matches(UNKNOWN, said_so, 1, true) -- the start was behind that
      assert.is_true(trial.runs(pid))
      assert.is_string(trial.read(directory .. "/stopped"))
    end)

    it("is deleted by force with its process, where all of that is in front of the cut", function()
      trial.write(file, (trial.read(file):gsub("}%s*$", ',"z":')))
      assert.is_nil(deleted():find("left alone", 1, true))
      trial.wait_for(function() return not trial.runs(pid) end, "its end")
    end)

    it("is deleted by force, and nobody killed, where nothing is known of it", function()
      for _, text in ipairs { "", "x", "[1]", ("%z"):rep(100), ('{"pid":%d}'):format(pid),
        ('{"pid":%d,"start":5}'):format(pid), ('{"pid":%d,"start":"1'):format(pid) } do
        trial.write(file, text)
        if text:find "^{.*}$" and not text:find "start" then trial.write(file, text:gsub("}$", ',"bundle":5}')) end
        local said_so = deleted()
        assert.matches(UNKNOWN, said_so, 1, true)
        assert.matches("its poststop hooks, if it has some, are not run", said_so, 1, true)
        assert.is_true(trial.runs(pid), text)
        assert.is_nil(trial.read(directory .. "/stopped"))
        trial.sh("kill -9 " .. pid)
        said { "create", "--bundle", directory .. "/bundle", "one" }
        pid = state "one".pid
      end
    end)

    it("is deleted by force, and who has its process's number now is not killed", function()
      local data = json.decode(trial.read(file))
      local other = assert(cella.plan():exec({ "/bin/sleep", "1000" }):spawn {})
      data.pid, data.created = other.pid, 5 -- with the start of the container's own
      data.start = data.start:gsub("^%d+", function(ticks) return ("%.0f"):format(ticks - 1000) end)
      trial.write(file, json.encode(data))
      deleted()
      assert.is_nil((other:wait(0)))
      other:kill "kill"
      other:wait()
    end)
  end)

  it("can delete what a create that was killed has left #slow", function()
    trial.sh(("mkdir -p -m 700 %s/states/one %s/states/two"):format(directory, directory))
    trial.write(directory .. "/states/two/state.json", "{}")
    assert.equal("one\ntwo\n", said { "list", "--quiet" })
    assert.equal("stopped", state "one".status)
    said { "delete", "one" }
    said { "delete", "two" }
    assert.equal("", said { "list", "--quiet" })
  end)

  it("lets one of two commands at once have the name #slow", function()
    local path = bundle { "sleep", "1000" }
    local line = ("%s %s/bin/cella-oci --root %s/states create --bundle %s one"):format(trial.lua, trial.top,
      directory, path)
    local statuses = trial.sh(("for i in 1 2 3; do { %s >/dev/null 2>&1; echo $?; } & done; wait"):format(line))
    local _, good = statuses:gsub("0\n", "")
    local _, bad = statuses:gsub("1\n", "")
    assert.equal(1, good, statuses)
    assert.equal(2, bad, statuses)
    assert.equal("created", state "one".status)
    -- The same of those that there is one of.
    local function at_once(words)
      local command = ("%s %s/bin/cella-oci --root %s/states %s"):format(trial.lua, trial.top, directory, words)
      local list = trial.sh(("for i in 1 2 3; do { %s 2>&1; echo =$?; } & done; wait"):format(command))
      return select(2, list:gsub("=0\n", "")), list
    end
    assert.equal(1, at_once "start one")
    assert.equal("running", state "one".status)
    local deleted, why = at_once "delete --force one"
    assert.equal(3, deleted, why)
    assert.equal("", said { "list", "--quiet" })
  end)

  it("trusts no directory of states that others may write to #slow", function()
    trial.sh(("mkdir -p %s/states && chmod 777 %s/states"):format(directory, directory))
    local result = run { "create", "--bundle", bundle { "true" }, "one" }
    assert.matches("others may write to this directory", result.stderr, 1, true)
    trial.sh(("chmod 755 %s/states"):format(directory))
  end)

  it("trusts no way to the directory of states on which others may put another", function()
    local way = directory .. "/way"
    trial.sh(("mkdir -p %s/states/x %s/else/x && ln -s %s/else %s/link && echo mine >%s/else/x/start"):format(way,
      directory, directory, way, directory))
    local function at(root, ...)
      return run({ "--root", root, ... })
    end
    for _, root in ipairs { way .. "/states", way .. "/link", directory .. "/else/../way/link" } do
      -- The control: nobody else may write there.
      trial.sh("chmod 755 " .. way)
      assert.equal(0, at(root, "list").status)
      trial.sh("chmod 777 " .. way)
      for _, words in ipairs { { "list" }, { "state", "x" }, { "delete", "--force", "x" },
        { "create", "--bundle", bundle { "true" }, "y" } } do
        local result = at(root, portable.unpack(words))
        assert.not_equal(0, result.status, words[1])
        assert.matches("others may write to this directory, which is on the way", result.stderr, 1, true)
      end
      -- As in /tmp: what is there is whose it is.
      trial.sh("chmod 1777 " .. way)
      assert.equal(0, at(root, "list").status)
    end
    assert.equal("mine\n", trial.read(directory .. "/else/x/start"))
    -- As in an engine's user namespace, in which the host's root is called as somebody of the engine's.
    if not trial.lacks_root() then
      trial.sh(("mkdir -p %s/engine/states && chown -R 100000:100000 %s/engine"):format(directory, directory))
      local rest = ("%s %s --root %s/engine/states list 2>&1"):format(trial.lua,
        trial.quote(trial.top .. "/bin/cella-oci"), directory)
      local process = trial.hold(cella.plan { namespaces = { "user" }, ids = { via = "parent",
        uid = { inside = 0, outside = 100000, count = 65536 }, gid = { inside = 0, outside = 100000, count = 65536 } } }
        :setresgid(0, 0, 0):setresuid(0, 0, 0):exec({ "sh", "-c", rest, stdin = "null", stdout = "capture" }):spawn())
      assert.matches("^ID", assert(process:wait()).stdout)
    end
    assert.matches("--root: the path is empty", at("", "list").stderr, 1, true)
  end)

  it("refuses what it does not know, by its name #slow", function()
    for message, words in pairs {
      ["no command \"crete\"; did you mean create?"] = { "crete" },
      ["create has no option --bundel; did you mean --bundle?"] = { "create", "--bundel", "/", "x" },
      ["the ID of a container is missing"] = { "start" },
      ["no name of a container"] = { "create", "--bundle", "/", "../x" },
      ["--no-pivot is not supported"] = { "create", "--no-pivot", "x" },
      ["--systemd-cgroup is not supported"] = { "--systemd-cgroup", "state", "x" },
      ["no signal \"TREM\""] = { "kill", "x", "TREM" },
      ["container does not exist"] = { "state", "x" },
      ["--log-format: text or json expected"] = { "--log-format", "xml", "list" },
    } do
      local result = run(words)
      assert.equal(1, result.status, message)
      assert.matches(message, result.stderr, 1, true)
    end
    assert.matches("^cella%-oci version ", said { "--version" })
    assert.matches("create [--bundle DIR]", said { "--help" }, 1, true)
    assert.equal("1.0.0", json.decode(said { "features" }).ociVersionMin)
  end)

  it("writes a config.json to begin with, over none #slow", function()
    said { "spec", "--bundle", directory }
    assert.equal("sh", json.decode(trial.read(directory .. "/config.json")).process.args[1])
    assert.matches("exists", run { "spec", "--bundle", directory }.stderr, 1, true)
  end)
end)
