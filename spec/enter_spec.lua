-- cella.enter: who enters is what the process there is, as the kernel says of both.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local enter = require "cella.enter"
local host = require "cella.host"
local outside = require "spec.support.outside"
local policy = require "cella.policy"
local targets = require "cella.enter.target"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

local PROC = { type = "proc", destination = "/proc" }
local SLEEP = { "sleep", "1000", stdin = "null" }

-- A filter that allows everything: ret ALLOW.
local ALLOW = "\6\0\0\0\0\0\255\127"

describe("a process that is entered", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local _, no_several = trial.several_ids()
  if type(no_several) ~= "string" then no_several = nil end

  local before, held
  before_each(function()
    before, held = trial.look(), {}
  end)
  after_each(function()
    for i = #held, 1, -1 do held[i]:close() end
    held = {}
    collectgarbage()
    trial.nothing_left(before)
  end)

  local function hold(value, err)
    if not value then error(tostring(err), 2) end
    held[#held + 1] = value
    return value
  end

  -- A container whose program sleeps.
  local function sleeper(keys)
    keys.mounts = keys.mounts or { PROC }
    return hold(cella.container(keys):spawn(SLEEP))
  end

  local function entering(process, options)
    return hold(process:enter(options))
  end

  local function refused(process, options, command)
    local result, err = entering(process, options):run(command or { "true" })
    if result then error("it was not refused", 2) end
    return err
  end

  local function word(entrance, script)
    local result, err = entrance:run { "sh", "-c", script, stdin = "null", stdout = "capture", stderr = "capture" }
    if not result then error(tostring(err), 2) end
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
    return (result.stdout:gsub("\n$", ""))
  end

  local CONFINED = { "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
    "Umask" }

  local function mount_of(path)
    local fd = assert(core.open(path, { "path", "directory" }))
    local text = trial.read("/proc/self/fdinfo/" .. fd:number())
    fd:close()
    return text:match "mnt_id:%s*(%d+)"
  end

  -- What the kernel says of the confinement of a process.
  local function confinement(pid)
    local status = assert(trial.read(("/proc/%d/status"):format(pid)))
    local found = {
      cgroup = trial.read(("/proc/%d/cgroup"):format(pid)), limits = trial.read(("/proc/%d/limits"):format(pid)),
      root = { core.inode(("/proc/%d/root"):format(pid)) }, cwd = { core.inode(("/proc/%d/cwd"):format(pid)) },
      mounts = mount_of(("/proc/%d/root"):format(pid)) .. " " .. mount_of(("/proc/%d/cwd"):format(pid)),
    }
    for _, field in ipairs(CONFINED) do found[field] = status:match("\n" .. field .. ":[ \t]*([^\n]*)") end
    for _, kind in ipairs(targets.KINDS) do
      found["namespace " .. kind] = assert(core.inode(("/proc/%d/ns/%s"):format(pid, targets.LINK[kind])))
    end
    return found
  end

  -- That a program that enters is confined as the one that is there.
  local function assert_same(process, options)
    local guest = hold(entering(process, options):spawn(SLEEP))
    assert.same(confinement(process.pid), confinement(guest.pid))
    return guest
  end

  describe("has company that is as it is", function()
    it("in an ordinary container", function()
      local process = sleeper {}
      assert_same(process)
      -- This process is not: the comparison can tell.
      local mine, theirs = confinement(require("cella.sys").getpid()), confinement(process.pid)
      for _, what in ipairs { "CapBnd", "NoNewPrivs", "namespace user", "namespace pid", "namespace net", "mounts" } do
        assert.not_same(mine[what], theirs[what], what)
      end
    end)

    it("with capabilities, limits and a working directory", function()
      assert_same(sleeper { capabilities = { "chown", "net_bind_service" }, cwd = "/usr",
        rlimits = { nofile = { soft = 50, hard = 99 }, core = 0 } })
    end)

    it("as another user with groups", function()
      if no_several then return pending(no_several) end
      local process = sleeper { ids = (trial.several_ids()), user = { uid = 33, gid = 34, groups = { 5, 6 } },
        capabilities = { "kill" } }
      assert_same(process)
      assert.equal("33 34 34 5 6", word(entering(process), "echo $(id -u) $(id -g) $(id -G)"))
    end)

    it("where the map has the caller alone, and setgroups is denied", function()
      assert_same(sleeper { ids = policy.root() })
      assert_same(sleeper { ids = policy.me() })
    end)

    it("without no_new_privs", function() assert_same(sleeper { no_new_privs = false }) end)

    it("in a time namespace", function()
      local process = sleeper { namespaces = { time = { monotonic = 86400 } } }
      assert_same(process)
    end)

    it("where the program is process 1", function() assert_same(sleeper { init = false }) end)

    it("in some new namespaces only", function()
      assert_same(sleeper { namespaces = { net = "host", ipc = "host", pid = "host" }, mounts = {} })
    end)

    it("where there is no /proc", function()
      assert_same(sleeper { root = { parts = nil, path = "/" }, mounts = {
        { type = "tmpfs", destination = "/proc" } } })
    end)

    it("of root's, without a user namespace", needs("root", function()
      assert_same(sleeper { namespaces = { user = "host" }, capabilities = { "chown", "kill" } })
      assert_same(sleeper { namespaces = { user = "host" }, user = { uid = 1, gid = 2, groups = { 3 } } })
    end))

    it("in a container in a container", function()
      -- Its program is in a user namespace below that of the one that is ours.
      local process = hold(cella.container { capabilities = { "sys_admin", "setfcap", "setuid", "setgid" }, no_new_privs = false,
        mounts = { PROC } }:spawn { "unshare", "--user", "--map-root-user", "--uts", "sleep", "1000", stdin = "null" })
      trial.wait_for(function()
        return (trial.read(("/proc/%d/comm"):format(process.pid)) or ""):find "sleep"
      end, "unshare")
      assert_same(process)
    end)
  end)

  it("keeps less than a plain join would give", function()
    local process = sleeper {}
    local show = "while read name value; do case $name in CapEff:|CapBnd:|NoNewPrivs:) echo $value;; esac; done "
      .. "</proc/self/status"
    local pidfd, join = hold(core.pidfd(process.pid)), {}
    for i, kind in ipairs { "user", "mount", "pid", "ipc", "uts", "net", "cgroup" } do
      join[i] = { type = kind, pidfd = pidfd:number() }
    end
    local plain = assert(cella.plan { join = join }:exec({ "sh", "-c", show, stdin = "null", stdout = "capture" }):run())
    local all = require("cella.caps").set("all"):mask()
    assert.equal(("%s\n%s\n0\n"):format(all, all), plain.stdout)
    assert.equal(("%s\n%s\n1"):format(("0"):rep(16), ("0"):rep(16)), word(entering(process), show))
  end)

  it("is seen by who enters, and sees it", function()
    local process = sleeper { hostname = "moon" }
    assert.equal("moon sleep", word(entering(process),
      "echo $(hostname) $(for p in /proc/[0-9]*; do read c < $p/comm; case $c in sleep) echo $c;; esac; done)"))
  end)

  describe("is where one is", function()
    it("in its root directory, and in its own working directory", function()
      local process = sleeper { cwd = "/usr/bin" }
      assert.equal("/usr/bin", word(entering(process), "pwd"))
    end)

    it("unless another directory is wanted, for all or for one", function()
      local entrance = entering(sleeper { cwd = "/usr" }, { cwd = "/usr/bin" })
      assert.equal("/usr/bin", word(entrance, "pwd"))
      local result = assert(entrance:run { "pwd", cwd = "/", stdout = "capture" })
      assert.equal("/\n", result.stdout)
    end)

    it("behind its chroot, be that the same directory by another mount", needs("user_namespaces", function()
      local theirs, guests, ours = outside.as_namespace_root [[
        local function mount_of(pid)
          local fd = assert(core.open(("/proc/%s/root"):format(pid), { "path", "directory" }))
          return (read("/proc/self/fdinfo/" .. fd:number()):match "mnt_id:%s*(%d+)")
        end
        own_mounts()
        assert(sys.mount("none", "/tmp", "tmpfs"))
        assert(sys.mkdir("/tmp/root", 493))
        assert(sys.mount("/", "/tmp/root", nil, { "bind", "rec" }))
        local process = assert(cella.plan():chroot("/tmp/root"):chdir("/"):exec({ "sleep", "1000" }):spawn())
        local guest = assert(assert(process:enter()):spawn { "sleep", "1000" })
        local found = { mount_of(process.pid), mount_of(guest.pid), mount_of "self" }
        guest:close()
        process:close()
        return table.unpack(found)
      ]]
      assert.equal(theirs, guests)
      assert.not_equal(ours, guests)
    end))
  end)

  describe("lends nothing of the caller's:", function()
    it("no descriptor, no variable, no ignored signal", function()
      local process = sleeper {}
      local file = hold(core.open("/proc", { "path", "directory" }))
      assert(require("cella.sys").dup2(file:number(), 700)) -- not close-on-exec
      local ok, seen = pcall(word, entering(process), "echo /proc/self/fd/*; env | cut -d= -f1 | sort")
      require("cella.sys").close(700)
      assert(ok, seen)
      assert.equal("/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2", seen:match "^[^\n]*":gsub(" /proc/self/fd/3$", ""), nil)
      for name in seen:gmatch "\n([^\n]+)" do
        assert.truthy(({ PATH = true, PWD = true, TERM = true })[name], name)
      end
    end)

    it("no working directory", function()
      local process = sleeper { root = "/", namespaces = {} }
      local err = refused(process, { cwd = "/proc/self/fd/700" })
      assert.equal("chdir", err.op)
    end)

    it("no session", function()
      local guest = hold(entering(sleeper {}):spawn(SLEEP))
      local session = trial.read(("/proc/%d/stat"):format(guest.pid)):match "%) %a %d+ %d+ (%d+)"
      assert.equal(guest.pid, tonumber(session))
    end)
  end)

  -- Somebody with every capability in the container looks for a Lua that is not a program of the container's yet, and
  -- lets it go on when he has looked.
  local LOOKER = [[
    until [ "$found" ]; do
      for comm in /proc/[0-9]*/comm; do
        read name <$comm || continue
        case $name in lua*|spec-runner) found=${comm%/comm} ;; esac
      done 2>/dev/null
    done
    seen=nothing
    readlink $found/fd/* >/dev/null 2>&1 && seen=descriptors
    readlink $found/exe >/dev/null 2>&1 && seen="$seen exe"
    ls $found/root/ >/dev/null 2>&1 && seen="$seen root"
    cat $found/environ >/dev/null 2>&1 && [ "$(cat $found/environ 2>/dev/null | wc -c)" -gt 0 ] && seen="$seen environment"
    echo $seen
    echo go >&3
  ]]

  -- What is seen of the child of a plan that waits. `make` gets the pid of the container's program and returns the plan.
  local function look_at(process, make)
    local pidfd, join = hold(core.pidfd(process.pid)), {}
    for i, kind in ipairs { "user", "mount", "pid" } do join[i] = { type = kind, pidfd = pidfd:number() } end
    local directory = trial.directory()
    trial.host { "mkfifo", directory .. "/gate" }
    local gate = hold(core.open(directory .. "/gate", "rdwr"))
    trial.remove_directory(directory)
    local looker = hold(cella.plan { join = join }:exec({ "sh", "-c", LOOKER, stdin = "null", stdout = "capture",
      fds = { [3] = gate:number() } }):spawn { timeout = 30 })
    local plan = make(join)
    plan:wait_for_byte(plan:input_descriptor(gate:number()))
    assert(plan:exec { "true", stdin = "null" }:run { timeout = 30 })
    return (assert(looker:wait()).stdout:gsub("\n$", ""))
  end

  describe("cannot look at who is about to enter", function()
    it("when that is all of it already, but for the program", function()
      local process = sleeper {}
      local entrance = entering(process)
      assert.equal("nothing", look_at(process, function()
        return assert(enter.prepare(entrance.description, nil, host.facts()))
      end))
    end)

    it("when it has just come", function()
      local process = sleeper {}
      assert.equal("nothing", look_at(process, function(join) return cella.plan { join = join } end))
    end)

    it("as it could if that were dumpable", function()
      local process = sleeper {}
      local seen = look_at(process, function(join)
        local plan = cella.plan()
        plan:setns(plan:input_descriptor(join[1].pidfd), { "user", "mount", "pid" })
        return plan:fork()
      end)
      assert.equal("descriptors exe root environment", seen)
    end)
  end)
end)
