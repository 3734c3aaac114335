-- A policy on a program: each call that it refuses is tried from inside, by its number, and answers something else
-- without it.

local able = require "spec.support.able"
local calls = require "cella.seccomp.calls"
local cella = require "cella"
local core = require "cella.core"
local kernels = require "cella.host.kernel"
local named = require "cella.seccomp.named"
local refused_with = require "spec.support.refused"
local seccomp = require "cella.seccomp"
local trial = require "spec.support.trial"

local unpack = table.unpack or unpack -- luacheck: ignore 143

local needs = able.needs(function(reason) pending(reason) end)
local MACHINE = core.machine
-- What an interpreter of every day loads.
local BUILD = os.getenv "CELLA_BUILD" or "build/lua5.4"
if BUILD:find "sanitized" then BUILD = "build/lua5.4" end
local X32 = 0x40000000

describe("a program under a policy", function()
  local directory, probe, problem

  setup(function()
    directory = trial.directory()
    probe = directory .. "/syscalls"
    problem = trial.sh(("cc -O1 -Wall -Werror -static -o %s spec/support/syscalls.c && chmod 755 %s"):format(probe,
      directory))
  end)

  teardown(function() trial.remove_directory(directory) end)

  local function box(policy, keys)
    local description = { seccomp = policy,
      mounts = { { type = "bind", source = directory, destination = "/probe", readonly = true } } }
    for key, value in pairs(keys or {}) do description[key] = value end
    return cella.container(description)
  end

  local function run(policy, keys, ...)
    local command = { "/probe/syscalls", stdout = "capture", ... }
    local result, err = box(policy, keys):run(command)
    if not result then error(tostring(err), 2) end
    return result
  end

  -- What each of the calls is answered, as a list.
  local function answers(policy, keys, ...)
    local list = {}
    for line in run(policy, keys, ...).stdout:gmatch "[^\n]+" do list[#list + 1] = line end
    return list
  end

  local function number(name) return ("%d"):format(calls.of(name).numbers[MACHINE]) end
  local function call(name, ...)
    return table.concat({ number(name), ... }, ",")
  end

  local function it_needs(title, what, body)
    it(title, needs(what, function()
      assert.equal("", problem)
      return body()
    end))
  end

  -- The policy with another answer to all that it refuses, which the kernel gives to none of these calls.
  local function marked(name)
    local said = named.table(name)
    local list = {}
    for _, group in pairs(said.errno) do
      for key, value in pairs(group) do
        if type(key) == "number" then
          list[#list + 1] = value
        else
          list[key] = list[key] and { list[key], value } or value -- one of these conditions, or the other
        end
      end
    end
    said.errno = { EXFULL = list }
    return said
  end

  it_needs("is refused each call of default, by the filter and not by the kernel", "user_namespaces", function()
    local words, expected = {}, {}
    for _, group in ipairs(named.groups()) do
      for key, value in pairs(group.calls) do
        local name = type(key) == "number" and value or key
        if calls.of(name).numbers[MACHINE] then
          words[#words + 1], expected[#expected + 1] = call(name, unpack(refused_with(name, group.errno))), group.errno
        end
      end
    end
    assert.is_true(#words > 50)
    local unpack_words = table.unpack or unpack
    assert.same(expected, answers("default", nil, unpack_words(words)))
    for i in ipairs(expected) do expected[i] = "EXFULL" end
    assert.same(expected, answers(marked "default", nil, unpack_words(words)))
    -- The control: none is answered so where there is no such filter. (clone would make another process.)
    local harmless = {}
    for _, word in ipairs(words) do
      if not word:find("^" .. number "clone" .. ",") then harmless[#harmless + 1] = word end
    end
    local control = answers(false, nil, unpack_words(harmless))
    assert.equal(#harmless, #control)
    for i, answer in ipairs(control) do assert.not_equal("EXFULL", answer, harmless[i]) end
  end)

  it_needs("is the default, whoever is asked, and one word takes it away", "user_namespaces", function()
    -- (default answers ENOSYS, the kernel another error.)
    local asked = call("userfaultfd", "0x80000000")
    assert.same({ "ENOSYS" }, answers(nil, nil, asked))
    assert.not_same({ "ENOSYS" }, answers(false, nil, asked)) -- the control
    for name, keys in pairs { ["no init"] = { init = false }, ["set-user-ID programs"] = { no_new_privs = false },
      both = { no_new_privs = false, init = false }, keyrings = { keyrings = "host" }, ["no IDs"] = { ids = false },
      ["no namespace of processes"] = { namespaces = { pid = "host" } },
      privileged = { capabilities = "all", no_new_privs = false }, nesting = { nesting = true } } do
      assert.same({ "ENOSYS" }, answers(nil, keys, asked), name)
    end
    local values = assert(cella.container({}):run(function()
      return io.open("/proc/self/status"):read "*a":match "Seccomp:%s*(%d)"
    end)).values
    assert.equal("2", values[1])
  end)

  it_needs("has the calls that the capabilities are for which it keeps", "user_namespaces", function()
    local asked = { call("ptrace", 16), call("mount"), call("chroot"), call("unshare", "0x10000000"), call "clone3",
      call("userfaultfd", "0x80000000") }
    local function refused(keys)
      local list = {}
      for i, answer in ipairs(answers(keys.seccomp, keys, unpack(asked))) do
        list[i] = (answer == "EPERM" or answer == "ENOSYS") and "-" or "+"
      end
      return table.concat(list)
    end
    assert.equal("------", refused {})
    assert.equal("------", refused { capabilities = { "net_bind_service" } })
    assert.equal("+-----", refused { capabilities = { "sys_ptrace" } })
    assert.equal("--+---", refused { capabilities = { "sys_chroot" } })
    assert.equal("-+-++-", refused { capabilities = { "sys_admin" } })
    assert.equal("+++++-", refused { capabilities = "all" })
    -- Who says a policy gets that one.
    assert.equal("------", (refused { capabilities = "all", seccomp = seccomp.named "default" }))
    local text = tostring(box(nil, { capabilities = { "sys_ptrace", "chown" } }):plan { "true" })
    assert.truthy(text:find('"default, opened by sys_ptrace")', 1, true), text)
  end)

  it_needs("is not without it by its init, which it could trace", "user_namespaces", function()
    local function filters(keys)
      keys.mounts = { { type = "bind", source = directory, destination = "/probe", readonly = true } }
      local said = assert(cella.container(keys):run(trial.script "cat /proc/1/status /proc/self/status"))
      return { said.stdout:match "Seccomp_filters:%s*(%d+).*Seccomp_filters:%s*(%d+)" }
    end
    local own = filters { seccomp = false, keyrings = "host" }[1] -- of who runs this
    assert.same({ own, ("%d"):format(own + 2) }, filters {}) -- the control
    local both = ("%d"):format(own + 2)
    assert.same({ both, both }, filters { capabilities = { "sys_ptrace" } })
    assert.same({ both, both }, filters { capabilities = { "sys_ptrace" }, no_new_privs = false })
    assert.same({ both, both }, filters { capabilities = { "sys_ptrace" }, seccomp = seccomp.named "nesting" })
    local one = ("%d"):format(own + 1)
    assert.same({ one, one }, filters { capabilities = { "sys_ptrace" }, seccomp = false })
    -- And what may be in the way of an init is refused, not left out.
    local function raised(keys)
      return trial.raised(function() cella.container(keys):plan { "true" } end)
    end
    local strict = { capabilities = { "sys_ptrace" }, seccomp = "strict" }
    assert.matches("an init cannot be under this policy", raised(strict))
    for _, refused in ipairs { "wait4", "clone", "ppoll" } do
      assert.matches("an init cannot be under this policy", raised { capabilities = { "sys_ptrace" },
        seccomp = { default = "allow", errno = { EPERM = { refused } } } })
    end
    strict.init = false
    assert.truthy(cella.container(strict):plan { "true" })
  end)

  it_needs("has no other way to TCP, to packets, to its init's limits and to its parent's children", "user_namespaces",
    function()
      local asked = { call("socket", 2, 1, 262), call("socket", 10, "0x80801", 262), call("socket", 2, 1, 256),
        call("socket", 2, 10, 3), call("socket", 2, "0x8000a", 3), call("prlimit64", 1, 7, 0, 0),
        call("prlimit64", "0x100000001", 7, 0, 0), call("clone", "0x8011", 0) }
      assert.same({ "EPROTONOSUPPORT", "EPROTONOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "ESOCKTNOSUPPORT",
        "EPERM", "EPERM", "EINVAL" }, answers("default", { capabilities = { "net_raw" } }, unpack(asked)))
      -- Who asks for all packets is refused by what comes first, and so is a protocol that is not there yet.
      assert.same({ "EPROTONOSUPPORT", "EPROTONOSUPPORT" }, answers("default", { capabilities = { "net_raw" } },
        call("socket", 2, 10, 0x300), call("socket", 2, 1, 299)))
      assert.same({ "0", "0", "0", "0" }, answers("default", { capabilities = { "net_raw" } }, call("socket", 2, 1, 6),
        call("socket", 10, 2, 17), call("prlimit64", 0, 7, 0, 0), call("socket", 2, 3, 255)))
      -- By the width that the kernel reads.
      local policy = { default = "allow", errno = { EXFULL = { ptrace = { { 1, "<", 1000 } } } } }
      assert.same({ "EXFULL", "EXFULL" }, answers(policy, nil, call("ptrace", 16, 7),
        call("ptrace", 16, "0x100000007")))
    end)

  it_needs("makes the calls that default leaves", "user_namespaces", function()
    assert.same({ "0", "0", "0", "0", "0", "0" }, answers("default", nil, call "getpid", call("socket", 1, 1),
      call("socket", 2, 1), call("socket", 16, 3, 0), call("personality", "0xffffffff"), call("unshare", 0x200)))
    assert.equal("EPROTONOSUPPORT", answers(false, nil, call("socket", 16, 3, 29))[1]:gsub("^0$", "EPROTONOSUPPORT"))
    assert.equal("EAFNOSUPPORT", answers("default", nil, call("socket", 16, 3, 12))[1])
  end)

  it_needs("is held by conditions whatever is in the upper half of a register", "user_namespaces", function()
    local policy = { default = "allow", allow = { socket = { { 0, "==", "unix" } } },
      errno = { EXFULL = { ioctl = { { 1, "==", "tiocsti" } }, umask = { { 0, "==", 18 } } } } }
    assert.same({ "EXFULL", "EXFULL", "EPERM", "0", "EXFULL", "ENOTTY" }, answers(policy, { },
      call("ioctl", 0, "0x5412"), call("ioctl", 0, "0xdead000000005412"), call("socket", "0x100000002", 1),
      call("socket", "0x100000001", 1), call("umask", "0x700000012"), call("ioctl", 0, "0x5413")))
    assert.same({ "ENOTTY", "0", "0" }, answers(false, nil, call("ioctl", 0, "0xdead000000005412"),
      call("socket", "0x100000002", 1), call("umask", "0x700000012")))
  end)

  it_needs("is held where the kernel takes a long, and goes on with an int of it", "user_namespaces", function()
    local function with(condition, name)
      return { default = "allow", errno = { EXFULL = { [name] = { condition } } } }
    end
    -- The kernel's own answer shows that it takes the one for the other: 10 is no open descriptor.
    for _, name in ipairs { "readv", "writev", "preadv", "pwritev", "preadv2", "pwritev2" } do
      local words = { call(name, "10"), call(name, "0x10000000a") }
      assert.same({ "EBADF", "EBADF" }, answers(false, nil, unpack(words)))
      assert.same({ "EXFULL", "EXFULL" }, answers(with({ 0, "==", 10 }, name), nil, unpack(words)), name)
    end
    local map = call("mmap", "0", "4096", "1", "2", "0x10000000a", "0")
    assert.same({ "EBADF" }, answers(false, nil, map))
    assert.same({ "EXFULL" }, answers(with({ 4, "==", 10 }, "mmap"), nil, map))
    local bind = call("mbind", "0", "0", "0x100000000")
    -- Where it is older it refuses what is no int, and the filter is stricter than it has to be.
    local all = kernels.is_older(kernels.version(), "5.15") and answers(false, nil, bind)[1] == "EINVAL"
    if not all then assert.same(answers(false, nil, call("mbind", "0", "0", "0")), answers(false, nil, bind)) end
    assert.same({ "EXFULL" }, answers(with({ 2, "==", 0 }, "mbind"), nil, bind))
    -- (Without a filter this makes a process.)
    assert.same({ "EXFULL" }, answers(with({ 0, "==", 17 }, "clone"), nil, call("clone", "0x100000011")))
  end)

  it_needs("that could not be executed is told of, also where it may neither write nor exit", "user_namespaces",
    function()
      for _, init in ipairs { true, false } do
        local result, err = box({ default = "EXFULL", allow = { "execve" } }, { init = init }):run { "/probe/nothing",
          setup_timeout = 5 }
        assert.is_nil(result)
        assert.same({ "execve", "ENOENT" }, { err.op, err.code })
      end
    end)

  it_needs("has no way around by the numbers of others #vm", "user_namespaces", function()
    if MACHINE ~= "x86_64" then return pending "needs x86_64, which has three sets of numbers" end
    local allowing = { default = "allow" }
    assert.same({ "ENOSYS" }, answers(allowing, nil, ("%.0f"):format(X32 + 39)))
    -- 20 is getpid there; without a filter it is answered, where the kernel runs 32-bit programs.
    local control = answers(false, nil, "in", "int80:20")
    if control[1] ~= "0" then return pending "needs a kernel that takes int 0x80 (CONFIG_IA32_EMULATION)" end
    assert.same({ "SIGSYS" }, answers(allowing, nil, "in", "int80:20"))
  end)

  it_needs("gets ENOSYS for calls that are newer than the policy, also where all is refused", "user_namespaces",
    function()
      local strict = seccomp.named "strict"
      assert.same({ "ENOSYS", "ENOSYS", "EPERM" }, answers(strict, nil, ("%d"):format(calls.NEWEST + 1), "4000",
        call "mount"))
      local unnamed = MACHINE == "x86_64" and "400" or "244"
      assert.same({ "ENOSYS", "EPERM" }, answers(strict, nil, unnamed, call "mount"))
    end)

  it_needs("is ended by kill, with all its threads, and goes on under log", "user_namespaces", function()
    local policy = { default = "allow", kill = { "getppid" }, log = { "getpgid" } }
    local result = run(policy, nil, call "getpid", call "getpgid", call "getppid", call "getpid")
    assert.equal("signaled sys", result.reason .. " " .. tostring(result.signal))
    assert.equal("0\n0\n", result.stdout)
    assert.same({ "SIGSYS" }, answers(policy, nil, "in", call "getppid"))
    assert.same({ "0", "0" }, answers(false, nil, call "getpgid", call "getppid"))
  end)

  it_needs("hands it on to all that it starts", "user_namespaces", function()
    local policy = { default = "allow", errno = { EXFULL = { "getppid" } } }
    local result = assert(box(policy):run { "/bin/sh", "-c", "/bin/sh -c '/probe/syscalls " .. number "getppid" .. "'",
      stdout = "capture" })
    assert.equal("EXFULL\n", result.stdout)
    local mode = assert(box(policy):run(trial.script "sh -c 'grep Seccomp: /proc/self/status'"))
    assert.equal("Seccomp:\t2\n", mode.stdout)
  end)

  it_needs("is alone under it, and the init is not", "user_namespaces", function()
    local count = trial.script "grep -h Seccomp_filters /proc/1/status /proc/self/status"
    local own = tonumber(trial.status("self", "Seccomp_filters") or "0")
    local result = assert(box("default"):run(count))
    assert.equal(("Seccomp_filters:\t%d\nSeccomp_filters:\t%d\n"):format(own, own + 2), result.stdout)
    result = assert(box("default", { keyrings = "host" }):run(count))
    assert.equal(("Seccomp_filters:\t%d\nSeccomp_filters:\t%d\n"):format(own, own + 1), result.stdout)
    result = assert(box("default", { init = false }):run(trial.script "grep -h Seccomp_filters /proc/self/status"))
    assert.equal(("Seccomp_filters:\t%d\n"):format(own + 2), result.stdout)
    result = assert(box(false):run(trial.script "grep -h Seccomp_filters /proc/self/status"))
    assert.equal(("Seccomp_filters:\t%d\n"):format(own + 1), result.stdout)
  end)

  it_needs("may have no prctl, no write and no exit", "user_namespaces", function()
    local policy = { default = "EXFULL", allow = { "execve", "write" } }
    local function reason(said)
      return assert(box(said):run { "/probe/syscalls", number "getpid", stderr = "null" }).reason
    end
    assert.equal("signaled", reason(policy)) -- libc comes to no end of its own
    assert.equal("signaled", reason { default = "kill", allow = { "execve", "prctl", "faccessat", "clock_gettime",
      "exit_group" } })
  end)

  it_needs("can be a Lua function", "user_namespaces", function()
    for _, policy in ipairs { "default", "strict" } do
      local result = assert(box(policy):run(function(word)
        local pipe = io.open("/proc/self/status")
        local text = pipe and pipe:read "*a" or ""
        local made = io.open("/tmp/made", "w")
        return word, text:match "Seccomp:%s*(%d)", made ~= nil
      end, "hello"))
      assert.same({ "hello", "2", policy == "default", n = 3 }, result.values)
    end
  end)

  it_needs("has computing programs, and those that read, under strict", "user_namespaces", function()
    local function output(policy, command)
      command.stdout, command.stderr = "capture", "capture"
      return assert(box(policy):run(command))
    end
    local result = output("strict", { "lua5.4", "-e",
      "print(2^10, io.open('/etc/passwd') ~= nil, io.open('/tmp/x', 'w'))" })
    assert.equal("1024.0\ttrue\tnil\t/tmp/x: Operation not permitted\t1\n", result.stdout .. result.stderr)
    result = output("default", { "lua5.4", "-e", "print(io.open('/tmp/x', 'w') ~= nil)" })
    assert.equal("true\n", result.stdout .. result.stderr)
    assert.equal("EPERM EPERM", table.concat(answers("strict", nil, call("socket", 1, 1), call("clone", 17)), " "))
  end)

  it_needs("can make containers under nesting, and not under default", "user_namespaces", function()
    local nested = [[
      unshare --user --map-root-user --mount sh -c 'mount -t tmpfs none /tmp && echo inside']]
    local result = assert(box("nesting", { capabilities = "setfcap" }):run(trial.script(nested)))
    assert.equal("inside\n", result.stdout .. result.stderr)
    result = assert(box("default", { capabilities = "setfcap" }):run(trial.script(nested)))
    assert.truthy(result.stderr:find("unshare failed: Operation not permitted", 1, true), result.stderr)
  end)

  it_needs("can be cella itself under nesting; under default it says what is in its way", "user_namespaces", function()
    -- One that is built here lies in the checkout.
    local lua = trial.lua
    if lua:sub(1, #trial.top) == trial.top then lua = "/mnt" .. lua:sub(#trial.top + 1) end
    local function nested(policy)
      local result, err = cella.container {
        seccomp = policy, root = "/", capabilities = "all",
        environment = { LUA_PATH = "/mnt/lua/?.lua;;", LUA_CPATH = "/mnt/" .. BUILD .. "/?.so;;" },
        mounts = { { type = "bind", source = trial.top, destination = "/mnt", readonly = true },
          { type = "tmpfs", destination = "/tmp", mode = 1023 } },
      }:run { lua, "-e", [[
        local box = require("cella").container { seccomp = "default" }
        local result, err = box:run { "sh", "-c", "unshare --user true", stderr = "capture" }
        print(result and result.stderr or err)
      ]], stdout = "capture", stderr = "capture" }
      if not result then error(tostring(err), 2) end
      return result.stdout .. result.stderr
    end
    assert.equal("unshare: unshare failed: Operation not permitted\n\n", nested "nesting")
    local message = nested(seccomp.named "default")
    assert.truthy(message:find("a seccomp filter that this process is under", 1, true), message)
  end)
end)

describe("the programs that are there", function()
  it("are what the compiler makes of the policies", function()
    assert.equal("", trial.sh("CELLA_BUILD=" .. BUILD .. " " .. trial.interpreter() .. " tools/seccomp.lua check"))
    for _, machine in ipairs(calls.MACHINES) do
      local made = require("cella.seccomp.made." .. machine)
      for _, name in ipairs { "default", "nesting" } do
        local policy = seccomp.named(name)
        assert.is_true(made[name].program == policy:filter(machine), machine)
        assert.equal(policy:mark(), made[name].mark)
      end
    end
  end)
end)

describe("the key seccomp", function()
  it("is refused where it is no policy", function()
    local message = trial.raised(cella.container, { seccomp = "defalt" })
    assert.truthy(message:find("seccomp: the string \"defalt\" is not one of default, nesting, strict; did you mean "
      .. "'default'?", 1, true), message)
    message = trial.raised(cella.container, { seccomp = true })
    assert.truthy(message:find("seccomp: a policy, its table, its name", 1, true), message)
    message = trial.raised(cella.container, { seccomp = { default = "allow", errno = { EPERM = { "mout" } } } })
    assert.truthy(message:find("seccomp.errno.EPERM[1]", 1, true), message)
    assert.truthy(cella.container { seccomp = false })
  end)

  it("is refused where no program could be started under it", function()
    local box = cella.container { seccomp = { default = "allow", errno = { EPERM = { "execve" } } } }
    local message = trial.raised(box.run, box, { "true" })
    assert.truthy(message:find("seccomp: a policy that refuses execve(2) cannot start a program", 1, true), message)
    box = cella.container { seccomp = { default = "allow", kill = { "prctl" } } }
    message = trial.raised(box.plan, box, { "true" })
    assert.truthy(message:find("kills at prctl(2)", 1, true), message)
    box = cella.container { seccomp = { default = "allow", errno = { EPERM = { "write" } } } }
    message = trial.raised(box.run, box, function() end)
    assert.truthy(message:find("refuses write(2) cannot have a function", 1, true), message)
  end)

  it("needs no_new_privs, or sys_admin that stays", function()
    local message = trial.raised(cella.container, { seccomp = "strict", no_new_privs = false })
    assert.truthy(message:find("seccomp: without no_new_privs the kernel takes a filter only of who has sys_admin", 1,
      true), message)
    assert.truthy(cella.container { seccomp = "strict", no_new_privs = false, capabilities = "sys_admin" })
    assert.truthy(cella.container { seccomp = false, no_new_privs = false })
  end)

  it("is in the plan, last before exec and by its name", needs("user_namespaces", function()
    local function steps(policy)
      local list = assert(cella.container { seccomp = policy }:plan { "true" }):steps()
      return list[#list - 2].text, list[#list - 1].text, list[#list].op
    end
    local filter, expected, last = steps "default"
    assert.truthy(filter:find('^seccomp%(".*, "default"%)$'), filter)
    assert.equal(("expect_seccomp(%d)"):format(seccomp.named "default":mark()), expected)
    assert.equal("execve", last)
    filter = steps { default = "allow", kill = { "mount" } }
    assert.truthy(filter:find('"default allow, 1 calls otherwise")', 1, true), filter)
  end))

  it("is read back: a filter that is not there, or another, stops the start #vm", needs("user_namespaces", function()
    local policy, other = seccomp.named "default", seccomp.named "strict"
    local function start(with)
      local plan = cella.plan():no_new_privs()
      if with then plan:seccomp(with:filter()) end
      return plan:expect_seccomp(policy:mark()):exec({ "true" }):run()
    end
    assert(start(policy))
    for _, with in ipairs { false, other } do
      local result, err = start(with)
      assert.is_nil(result)
      assert.equal("expect_seccomp ENOTRECOVERABLE", ("%s %s"):format(err.op, err.code))
    end
  end))

  it("is predicted of a plan: the kernel takes it under no_new_privs, or of who has sys_admin", function()
    local caps = require "cella.caps"
    local filter = seccomp.named "default":filter()
    local function predicted(effective, with_no_new_privs)
      local state = caps.new_state { effective = effective, permitted = effective, inheritable = "none",
        ambient = "none", bounding = "all", securebits = {}, no_new_privs = false, uid = 1000, gid = 1000 }
      local plan = cella.plan()
      if with_no_new_privs then plan:no_new_privs() end
      return caps.check_plan(plan:seccomp(filter):exec { "true" }, { state = state })
    end
    local ok, err = predicted("none", false)
    assert.is_nil(ok)
    assert.equal("seccomp EACCES 13", ("%s %s %d"):format(err.op, err.code, err.errno))
    assert.is_true(predicted("none", true))
    assert.is_true(predicted("sys_admin", false))
    -- And so it is.
    local result
    result, err = cella.plan():seccomp(filter):exec({ "true" }):run()
    if not result then assert.equal("seccomp EACCES 13", ("%s %s %d"):format(err.op, err.code, err.errno)) end
    assert.equal(trial.lacks_root() == nil, result ~= nil)
  end)

  it("works with no_new_privs = false and sys_admin", needs("user_namespaces", function()
    local result = assert(cella.container { seccomp = "nesting", no_new_privs = false, capabilities = "sys_admin" }
      :run(trial.script "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status"))
    assert.equal("NoNewPrivs:\t0\nSeccomp:\t2\n", result.stdout)
  end))

  it("is that of a container in a pool, too", needs("user_namespaces", function()
    local box = cella.container { seccomp = { default = "allow", errno = { EXFULL = { "chroot" } } } }
    local pool = assert(cella.pool { box, size = 1 })
    local result = assert(pool:run(trial.script "LC_ALL=C chroot / true"))
    pool:close()
    assert.truthy(result.stderr:find("Exchange full", 1, true), result.stderr)
  end))
end)

describe("who enters a container with a policy", function()
  local process
  local function start(description)
    process = assert(cella.container(description):spawn { "sleep", "1000" })
    return process
  end
  after_each(function()
    if process then process:close() end
    process = nil
  end)

  local SCRIPT = "unshare --user true; grep Seccomp_filters /proc/self/status"
  local function enter(options, by_number)
    local entrance
    if by_number then
      options.pid = process.pid
      entrance = assert(cella.enter(options))
    else
      entrance = assert(process:enter(options))
    end
    local result, err = entrance:run(trial.script(SCRIPT))
    entrance:close()
    return result, err
  end
  local function filters(result)
    local own = trial.status("self", "Seccomp_filters") or "0"
    return tonumber(result.stdout:match "Seccomp_filters:%s*(%d+)") - tonumber(own)
  end

  it("by its handle is under the same", needs("user_namespaces", function()
    start { seccomp = "default" }
    local result = assert(enter {})
    assert.equal(2, filters(result))
    assert.truthy(result.stderr:find("unshare failed: Operation not permitted", 1, true), result.stderr)
    assert.equal(2, filters(assert(enter { seccomp = "default" })))
    process:close()
    start { seccomp = false, user_namespaces = true }
    result = assert(enter {})
    assert.equal("1 ", ("%d %s"):format(filters(result), result.stderr)) -- the control
    assert.equal(2, filters(assert(enter { seccomp = "default" })))
  end))

  it("is not under another, or none, unless that is said", needs("user_namespaces", function()
    start { seccomp = "default", user_namespaces = true }
    for _, policy in ipairs { "strict", false } do
      local result, err = enter { seccomp = policy }
      assert.is_nil(result)
      assert.truthy(err.message:find("is under another policy", 1, true), err.message)
    end
    local result = assert(enter { seccomp = false, exceed = { "seccomp" } })
    assert.equal("1 ", ("%d %s"):format(filters(result), result.stderr))
    assert.equal(2, filters(assert(enter { seccomp = "nesting", exceed = { "seccomp" } })))
  end))

  it("by a number is under the same, where it is one of cella's own or is said", needs("user_namespaces", function()
    for _, keys in ipairs { {}, { seccomp = "default" }, { nesting = true }, { capabilities = { "sys_chroot" } },
      { keyrings = "host" } } do
      start(keys)
      local own = tonumber(trial.status("self", "Seccomp_filters") or "0")
      local theirs = tonumber(trial.status(process.pid, "Seccomp_filters"))
      local result = assert(enter({ keyrings = keys.keyrings }, true))
      assert.equal(theirs - own, filters(result))
      assert.equal(keys.nesting or false, result.stderr == "", result.stderr)
      process:close()
    end
    local result, err
    -- Without no_new_privs the filter is the init's too, which is not believed then.
    for _, keyrings in ipairs { "none", "host" } do
      start { no_new_privs = false, keyrings = keyrings }
      result, err = enter({ keyrings = keyrings }, true)
      assert.is_nil(result)
      assert.matches("seccomp filters?, which cannot be put on another", err.message)
      process:close()
    end
    start { seccomp = { default = "allow", errno = { EPERM = { "unshare" } } } }
    result, err = enter({}, true)
    assert.is_nil(result)
    assert.truthy(err.message:find("under a policy that is not cella's own", 1, true), err.message)
    result, err = enter({ seccomp = "default" }, true)
    assert.is_nil(result)
    assert.truthy(err.message:find("under a policy that is not cella's own", 1, true), err.message)
    local same = { default = "allow", errno = { EPERM = { "unshare" } } }
    assert.equal(2, filters(assert(enter({ seccomp = same }, true))))
    assert.equal(2, filters(assert(enter({ seccomp = "default", exceed = { "seccomp" } }, true))))
  end))

  it("is refused where nothing could be started under it", needs("user_namespaces", function()
    start { seccomp = "default" }
    local result, err = enter { seccomp = { default = "allow", kill = { "execve" } }, exceed = { "seccomp" } }
    assert.is_nil(result)
    assert.truthy(err.why:find("refuses execve(2)", 1, true), err.why)
  end))
end)
