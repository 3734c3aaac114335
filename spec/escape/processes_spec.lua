-- Other processes: the host's, the container's init, and who comes in from outside.

local cella = require "cella"
local core = require "cella.core"
local escape = require "spec.support.escape"
local policy = require "cella.policy"
local trial = require "spec.support.trial"

teardown(escape.remove)

describe("processes #slow", function()
  local host

  setup(function() host = escape.host "/tmp" end)
  teardown(function() host:close() end)

  it("of the host are reached from the host", function()
    local said = escape.outside { "kill=" .. host.pid, "ptrace=" .. host.pid, "vm_read=" .. host.pid,
      "pidfd=" .. host.pid, "pidfd_getfd=" .. host.pid, "open=/proc/" .. host.pid .. "/mem", "prlimit=" .. host.pid,
      "exists=/proc/" .. host.pid .. "/root/usr", "kill_all" }
    for name, answer in pairs(said) do assert.equal("yes", answer, name) end
  end)

  -- Without the filter, which answers ptrace(2) and its like before the kernel does (calls_spec).
  for _, container in ipairs(escape.each_container { seccomp = false }) do
    it("of the host are none in " .. container.name, function()
      local attempts, gone = {}, { "no ESRCH", "no EINVAL" }
      -- Their number means nobody there, or somebody else.
      for _, name in ipairs { "kill", "ptrace", "vm_read", "pidfd", "pidfd_getfd", "prlimit" } do
        attempts[name .. "=" .. host.pid] = gone
      end
      attempts["exists=/proc/" .. host.pid] = "no ENOENT"
      attempts["exists=/proc/" .. host.pid .. "/root/usr"] = "no ENOENT"
      local said = escape.refuse(container, attempts)
      assert.truthy(said)
    end)

    it("are its own alone in " .. container.name, function()
      local said = container.try(container.description, { "processes" })
      for line in said.processes:gmatch "[^\n]+" do
        assert.truthy(tonumber(line:match "^%d+") < 20, line)
      end
    end)

    it("number 1 cannot be traced, read, entered or ended in " .. container.name, function()
      local refused = { "no EPERM", "no EACCES" }
      local attempts = { ["ptrace=1"] = refused, ["vm_read=1"] = refused, ["pidfd_getfd=1"] = refused,
        ["prlimit=1"] = { "no EPERM", "yes" }, ["init=" .. escape.pid_namespace()] = "it works on" }
      for _, name in ipairs { "mem", "exe", "root/usr", "cwd/usr", "fd/0" } do
        attempts["read=/proc/1/" .. name] = { "no EPERM", "no EACCES" }
      end
      for _, name in ipairs { "environ", "auxv", "maps", "stack", "syscall" } do
        attempts["content=/proc/1/" .. name] = { "no EPERM", "no EACCES", "no ENOENT" }
      end
      attempts["write=/proc/1/mem"] = refused
      attempts["write=/proc/1/exe"] = refused
      for _, kind in ipairs { "user", "mnt", "pid", "net", "ipc", "uts", "cgroup" } do
        attempts["namespace=/proc/1/ns/" .. kind] = refused
        attempts["setns=/proc/1/ns/" .. kind] = refused
      end
      for _, kind in ipairs { "user", "pid" } do
        attempts["parent=/proc/self/ns/" .. kind] = "no EPERM"
      end
      if container.description.namespaces then attempts["parent=/proc/self/ns/user"] = "no %w+" end
      escape.refuse(container, attempts)
    end)
  end

  it("of the host are there with the host's pid namespace", function()
    local said = escape.inside({ root = "/", namespaces = { pid = "host" },
      ids = not trial.lacks_root() and policy.root() or nil },
      { "kill=" .. host.pid })
    assert.equal("yes", said["kill=" .. host.pid])
  end)

  it("of the host are none where only the user namespace is its", function()
    if trial.lacks_root() then return pending "needs root, without whom there is no container without one" end
    for _, description in ipairs {
      { namespaces = { user = "host" } },
      { namespaces = { user = "host" }, root = "/" },
      { namespaces = { user = "host" }, root = "/", user = { uid = 65534, gid = 65534, groups = {} } },
    } do
      escape.refuse({ name = "it", description = description, try = escape.inside },
        { ["exists=/proc/" .. host.pid .. "/root/usr"] = "no ENOENT", ["exists=/proc/" .. host.pid] = "no ENOENT" })
    end
  end)

  -- A container in which somebody waits for who comes in.
  local function ambush(description, attempt)
    local file, begins = assert(io.open(escape.program(), "rb")), nil
    local process = assert(cella.container(description):spawn { "/proc/self/fd/9", attempt, fds = { [9] = file },
      stdin = "null", stdout = function(line) begins = line end })
    file:close()
    trial.wait_for(function() return process:step() or begins end, "the hostile program")
    assert.truthy(begins:find("begins", 1, true), begins)
    return process
  end

  local patience = tonumber(os.getenv "CELLA_PATIENCE") or 1

  local function enter(process, command)
    local before = core.now()
    local entrance = process:enter()
    local result, err = entrance:run(command)
    entrance:close()
    process:close()
    -- Less than the hostile program waits.
    assert.truthy(core.now() - before < 20 * patience)
    return result, err
  end

  it("who comes in is stopped for no longer than the caller waits", function()
    local process = ambush({}, "stop_all=" .. escape.pid_namespace())
    -- It is stopped before its program or in it, or it was quicker than that.
    local result, err = enter(process, { "true", timeout = 1 })
    assert.truthy(result or err)
  end)

  it("who has come in and is traced keeps no caller waiting", function()
    local process = ambush({}, "keep")
    local result, err = enter(process, { "sleep", "1", timeout = 2 })
    assert.truthy(result or err)
    if err then assert.truthy(tostring(err):find("ptrace", 1, true), tostring(err)) end
  end)

  local function tracing(keep)
    return { namespaces = { user = "host" }, root = "/", capabilities = keep }
  end

  it("who comes in where some have sys_ptrace names nobody whom the caller kills", function()
    if trial.lacks_root() then return pending "needs root, whose capabilities count outside" end
    local victim = escape.host "/tmp"
    enter(ambush(tracing { "sys_ptrace" }, ("forge_numbers=%d:%d"):format(victim.pid, core.sys.getpid())),
      { "true", setup_timeout = 1 })
    local state = trial.sh(("grep State: /proc/%d/status 2>&1"):format(victim.pid))
    victim:close()
    assert.truthy(state:find "sleeping", state)
  end)

  for _, numbers in ipairs { "2147483647:5", "-5:5", "3:100000", "3:-7", "100:0" } do
    it("who comes in where some have sys_ptrace and write that he was at " .. numbers .. ": an error", function()
      if trial.lacks_root() then return pending "needs root, whose capabilities count outside" end
      local attempt = ("forge_progress=%s:%d"):format(numbers, core.sys.getpid())
      local result, err = enter(ambush(tracing { "sys_ptrace" }, attempt), { "true", setup_timeout = 2 })
      -- He may have been quicker.
      assert.truthy(result or tostring(err):find "%(E%u+%)" or tostring(err):find "killed", tostring(err))
    end)
  end

  it("number 1, robbed of what it tells by, tells of no signal that there is none of", function()
    local file = assert(io.open(escape.program(), "rb"))
    local result, err = cella.container({ capabilities = { "sys_ptrace" } }):run { "/proc/self/fd/9", "forge_end=200",
      fds = { [9] = file }, stdin = "null", stdout = "capture" }
    file:close()
    assert(result, tostring(err))
    assert.equal("forge_end=200\tyes\n", result.stdout)
  end)

  for _, what in ipairs { "z", "" } do
    it(("who comes in where some have sys_ptrace and say %q keeps no caller waiting"):format(what), function()
      if trial.lacks_root() then return pending "needs root, whose capabilities count outside" end
      local result, err = enter(ambush(tracing { "sys_ptrace", "sys_admin" }, "flood=" .. what),
        { "true", setup_timeout = 1 })
      assert.truthy(result or err)
    end)
  end

  local function hunt(description)
    local file = assert(io.open(escape.program(), "rb"))
    local interpreter = trial.sh("stat -L -c %d:%i \"$(command -v " .. trial.lua .. ")\""):gsub("\n$", "")
    local process = assert(cella.container(description):spawn { "/proc/self/fd/9", "hunt=2:" .. interpreter,
      fds = { [9] = file }, stdin = "null", stdout = "capture" })
    file:close()
    local entrance = assert(process:enter())
    local till = core.now() + 1.5
    repeat
      assert(entrance:run { "true", timeout = 10 })
    until core.now() > till
    entrance:close()
    local result = assert(process:wait())
    process:close()
    return (result.stdout:gsub("[^\n]*\t", ""))
  end

  it("that come in are not seen with the caller's interpreter or environment", function()
    assert.equal("saw others\n", hunt {})
    if not trial.lacks_root() then assert.equal("saw others\n", hunt { ids = policy.root() }) end
  end)
end)
