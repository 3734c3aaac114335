-- Policies of system calls as values: what is said, what it means, how it is printed; and that the compiled program
-- answers as the policy does. No kernel is asked.

local bpf = require "spec.support.bpf"
local calls = require "cella.seccomp.calls"
local named = require "cella.seccomp.named"
local seccomp = require "cella.seccomp"
local trial = require "spec.support.trial"

local load_text = loadstring or load -- luacheck: ignore

local function read_back(policy)
  local chunk = assert(load_text("local seccomp = ... return " .. tostring(policy)))
  return chunk(seccomp)
end

describe("a policy", function()
  local policy = seccomp.policy {
    default = "allow",
    errno = { EPERM = { "mount", "keyctl", ioctl = { { 1, "==", "tiocsti" } } }, ENOSYS = { "clone3" } },
    kill = { ptrace = { { 0, "~=", "traceme" } } },
    log = { "uname" },
    allow = { socket = { { 0, "in", { "unix", "inet", "inet6" } } } },
  }

  it("answers by name and by arguments", function()
    assert.equal("allow", policy:answer "read")
    assert.equal("EPERM", policy:answer "mount")
    assert.equal("ENOSYS", policy:answer "clone3")
    assert.equal("log", policy:answer "uname")
    assert.equal("kill", policy:answer("ptrace", 16))
    assert.equal("allow", policy:answer("ptrace", 0))
    assert.equal("allow", policy:answer("socket", 10))
    assert.equal("EPERM", policy:answer("socket", 40))
    assert.equal("EPERM", policy:answer("ioctl", 0, 0x5412))
    assert.equal("allow", policy:answer("ioctl", 0, 0x5413))
  end)

  it("compares what the kernel reads of an argument", function()
    assert.equal("EPERM", policy:answer("ioctl", 0, "0xabcd000000005412"))
    assert.equal("EPERM", policy:answer("socket", "0x100000028"))
    assert.equal("allow", policy:answer("socket", "0x100000001"))
    local long = seccomp.policy { default = "allow", errno = { EPERM = { unshare = { { 0, "==", "user" } } } } }
    assert.equal("EPERM", long:answer("unshare", 0x10000000))
    assert.equal("allow", long:answer("unshare", "0x110000000"))
    local mode = seccomp.policy { default = "allow", errno = { EPERM = { fchmod = { { 1, "&", 2048 } } } } }
    assert.equal("EPERM", mode:answer("fchmod", 0, 0x70000 + 2048))
    assert.equal("allow", mode:answer("fchmod", 0, 0x70000))
  end)

  it("asks the strictest of its conditions first, and takes a list without a condition last", function()
    local several = seccomp.policy { default = "allow", kill = { kill = { { 1, "==", 9 } } },
      errno = { EPERM = { kill = { { 1, ">=", 9 } } }, ESRCH = { "kill" } }, allow = { kill = { { 1, "<", 20 } } } }
    assert.equal("kill", several:answer("kill", 1, 9))
    assert.equal("EPERM", several:answer("kill", 1, 15))
    assert.equal("allow", several:answer("kill", 1, 2))
    local one = seccomp.policy { default = "allow",
      errno = { EPERM = { kill = { { 1, "==", 9 } } }, ESRCH = { "kill" } } }
    assert.equal("ESRCH", one:answer("kill", 1, 2))
  end)

  it("is printed as the Lua that makes it", function()
    for _, one in ipairs { policy, seccomp.named "default", seccomp.named "nesting", seccomp.named "strict",
      policy + { "mount" }, policy - { "getpid" }, policy * seccomp.named "strict", policy + seccomp.named "strict",
      seccomp.policy { default = "kill", calls = { socket = { { { 0, "==", "unix" }, "allow" },
        { { 0, "<", 20 }, "EPERM" }, "ENOSYS" } } },
      seccomp.policy { default = "EPERM", allow = { lseek = { { 1, "==", "0xfedcba9876543210" } } } } } do
      local again = read_back(one)
      assert.equal(tostring(one), tostring(again))
      assert.is_true(one == again)
    end
    assert.truthy(tostring(policy):find('socket = { { 0, "in", { "unix", "inet", "inet6" } } }', 1, true))
    assert.is_false(policy == policy + { "mount" })
  end)

  it("is explained in words, with the reason where default refuses", function()
    local sentence = policy:explain "socket"
    assert.equal("allowed if argument 0 (32 bits) is one of unix, inet, inet6; else refused with EPERM", sentence)
    local _, reason = seccomp.named "default":explain "bpf"
    assert.equal("code for the kernel itself: nothing is left to confine", reason)
    assert.is_nil((select(2, policy:explain "read")))
  end)

  it("tells what a machine lacks", function()
    local old = seccomp.policy { default = "EPERM", allow = { "open", "openat", "riscv_hwprobe" } }
    assert.same({ "riscv_hwprobe" }, old:lacking "x86_64")
    assert.same({ "open", "riscv_hwprobe" }, old:lacking "aarch64")
    assert.same({ "open" }, old:lacking "riscv64")
  end)

  describe("refuses", function()
    local function refused(words, description)
      local message = trial.raised(seccomp.policy, description)
      assert.truthy(message:find(words, 1, true), message)
    end
    local function on(condition) return { default = "allow", kill = { socket = { condition } } } end

    it("names that are none, with the nearest", function()
      refused("default: missing", {})
      refused("did you mean 'allow'", { default = "alow" })
      refused("errno.EPERM[1]: the string \"mout\" is not the name of a system call; did you mean 'mount'", {
        default = "allow", errno = { EPERM = { "mout" } } })
      refused("did you mean 'EPERM'", { default = "allow", errno = { EPRM = { "mount" } } })
      refused("did you mean 'default'", { defalt = "allow" })
      refused("did you mean 'notify'", { default = "allow", notfy = { "mount" } })
      refused("errno = { EPERM", { default = "allow", deny = { "mount" } })
      refused("did you mean 'unix'", on { 0, "==", "unx" })
      refused("its values are numbers", { default = "allow", kill = { kill = { { 1, "==", "term" } } } })
    end)

    it("a call in two lists", function()
      refused("mount is in kill[1] too", { default = "allow", kill = { "mount" }, errno = { EPERM = { "mount" } } })
      refused("it is in another list too", { default = "allow", kill = { "mount" }, calls = { mount = { "EPERM" } } })
    end)

    it("conditions that mean nothing", function()
      refused("argument 1 of openat is an address", { default = "allow", kill = { openat = { { 1, "==", 0 } } } })
      refused("socket has no argument 3", on { 3, "==", 0 })
      refused("getpid has no argument", { default = "allow", kill = { getpid = { { 0, "==", 0 } } } })
      refused("more bits than the kernel reads of argument 0 of socket, which are 32", on { 0, "==", "0x100000001" })
      refused("less than an argument of 32 bits can be", on { 0, "==", -2147483649 })
      refused("never hold", on { 0, "<", 0 })
      refused("always hold", on { 0, "<=", -1 })
      refused("without a sign", on { 0, "<", -5 })
      refused("an empty list", on { 0, "in", {} })
      local many = {}
      for i = 1, 4097 do many[i] = i end
      refused("4097 values", on { 0, "in", many })
      refused("no bit", on { 0, "&", 0 })
      refused("not in the mask", on { 0, "&==", 1, 2 })
      refused("3 items expected", on { 0, "==", 1, 2 })
      refused("not one of", on { 0, "!=", 1 })
      refused("no condition", { default = "allow", kill = { socket = {} } })
    end)

    it("a list with a hole, whose rest would be lost", function()
      local first, second = { 0, "==", 1 }, { 1, "==", 2 }
      refused("kill.socket[2]: missing", { default = "allow", kill = { socket = { first, nil, second } } })
      refused("kill.socket[2]: missing", { default = "allow", kill = { socket = { { first }, nil, { second } } } })
      refused("kill.socket[1][2]: missing", { default = "allow", kill = { socket = { { first, nil, second } } } })
      refused("kill[2]: missing", { default = "allow", kill = { "mount", nil, "socket" } })
      refused("calls.socket[1][2]: missing", { default = "allow",
        calls = { socket = { { first, nil, second, "kill" }, "log" } } })
      refused("calls.socket.y: no such key", { default = "allow",
        calls = { socket = { { first, "kill" }, "log", y = 1 } } })
      refused("kill.socket[1][3][2]: missing", on { 0, "in", { 1, nil, 3 } })
      refused("kill.socket[1][3][2]: missing", on { 0, "&", { 1, nil, 4 } })
    end)

    it("operands that are none", function()
      assert.truthy(trial.raised(function() return policy + 5 end):find("a policy or a list", 1, true))
      assert.truthy(trial.raised(function() return policy - policy end):find("one * other", 1, true))
      assert.truthy(trial.raised(function() return policy * { "mount" } end):find("two policies", 1, true))
      assert.truthy(trial.raised(seccomp.named, "defalt"):find("did you mean 'default'", 1, true))
    end)
  end)
end)

-- Values that are near those that policies in here compare with.
local INTERESTING = { "0x0", "0x1", "0x2", "0x3", "0x10", "0x28", "0x241", "0x5412", "0x5413", "0x7fffffff",
  "0x80000000", "0xffffffff", "0x100000000", "0x100000001", "0x100005412", "0x10000000", "0x110000000",
  "0x7fffffffffffffff", "0x8000000000000000", "0xffffffffffffffff", "0xfedcba9876543210", "0xfedcba9876543211" }

describe("the algebra of policies", function()
  local one = seccomp.policy { default = "allow", errno = { EPERM = { "mount", socket = { { 0, ">", 16 } } } } }
  local other = seccomp.policy { default = "EACCES", kill = { socket = { { 0, "==", 40 } } },
    allow = { "read", socket = { { 0, "&", 3 } } }, log = { "mount" } }
  local STRICTNESS = { allow = 1, log = 2, kill = 4 }
  local function strictness(action) return STRICTNESS[action] or 3 end

  it("takes of both the milder or the stricter answer, whatever the arguments are", function()
    local union, both = one + other, one * other
    for _, name in ipairs { "read", "mount", "socket", "getpid" } do
      for _, value in ipairs(INTERESTING) do
        local a, b = strictness(one:answer(name, value)), strictness(other:answer(name, value))
        assert.equal(math.min(a, b), strictness(union:answer(name, value)), name .. value)
        assert.equal(math.max(a, b), strictness(both:answer(name, value)), name .. value)
      end
    end
    assert.is_true(one + one == one)
    assert.is_true(one * one == one)
  end)

  it("allows a list more, or less", function()
    local more = seccomp.named "strict" + { "mount", socket = { { 0, "==", "unix" } } }
    assert.equal("allow EPERM allow", more:answer "mount" .. " " .. more:answer("socket", 2) .. " "
      .. more:answer("socket", 1))
    local less = one - { "read", kill = { { 1, "==", 9 } } }
    assert.equal("EPERM allow EPERM", less:answer "read" .. " " .. less:answer("kill", 1, 15) .. " "
      .. less:answer("kill", 1, 9))
    assert.equal("EACCES", (other - { "read" }):answer "read")
  end)
end)

describe("a compiled policy", function()
  local many = { default = "allow", errno = { EPERM = {}, EACCES = {} }, kill = {}, allow = {} }
  -- So much that jumps have to be made in two.
  for i, name in ipairs(calls.names()) do
    local call = calls.of(name)
    if call.arguments:find "^[il][il]" then
      local list = i % 2 == 0 and many.errno.EPERM or many.errno.EACCES
      list[name] = { { { 0, "in", { 1, 2, 3, 5, 8, 13, 21, 34 } }, { 1, "~=", i } }, { { 0, ">", 0x5412 } } }
    end
  end
  local policies = {
    default = seccomp.named "default", nesting = seccomp.named "nesting", strict = seccomp.named "strict",
    many = seccomp.policy(many),
    wide = seccomp.policy { default = "EPERM", allow = { lseek = { { 1, "==", "0xfedcba9876543210" } },
      brk = { { 0, "<", "0x110000000" } }, munmap = { { 0, ">=", "0x100000001" }, { 1, "<=", 16 } },
      mprotect = { { 2, "&==", "0xffffffff00000003", "0x100000001" } }, unshare = { { 0, "&", "0x8000000010000000" } },
      dup = { { 0, "~=", 3 } }, close = { { 0, ">", "0xfffffffe" } }, fchmod = { { 1, "==", 2 } },
      tgkill = { { 0, "==", "0x80000000" }, { 1, "in", { 0, 1, "0xffffffff" } } } } },
  }
  local MACHINES = { x86_64 = 0xc000003e, aarch64 = 0xc00000b7, riscv64 = 0xc00000f3 }

  -- The numbers of the errors that these policies answer.
  local ERRNO = { EPERM = 1, EACCES = 13, ENOSYS = 38, EAFNOSUPPORT = 97, ESOCKTNOSUPPORT = 94,
    EPROTONOSUPPORT = 93, EINVAL = 22 }
  local function code(action)
    return ({ allow = 0x7fff0000, log = 0x7ffc0000, kill = 0x80000000 })[action] or 0x50000 + ERRNO[action]
  end

  for machine, architecture in pairs(MACHINES) do
    it("answers as the policy does: " .. machine, function()
      for which, policy in pairs(policies) do
        local program = bpf.new(assert(policy:filter(machine)))
        for _, name in ipairs(calls.names()) do
          local number = calls.of(name).numbers[machine]
          for i, value in ipairs(number and INTERESTING or {}) do
            local arguments = { value, INTERESTING[(i * 7 + #name) % #INTERESTING + 1],
              INTERESTING[(i * 5 + 3) % #INTERESTING + 1] }
            local expected = code(policy:answer(name, arguments[1], arguments[2], arguments[3]))
            local found = program:run(architecture, number, arguments)
            if expected ~= found then
              error(("%s %s %s: %x expected, got %x"):format(which, name, table.concat(arguments, " "), expected,
                found))
            end
          end
        end
      end
    end)

    it("knows its architecture, and no numbers but those with names: " .. machine, function()
      local taken = {}
      for _, name in ipairs(calls.names()) do taken[calls.of(name).numbers[machine] or -1] = true end
      for _, policy in pairs(policies) do
        local program = bpf.new(policy:filter(machine))
        for _, other in ipairs { 0x40000003, 0xc000003e, 0xc00000b7, 0xc00000f3, 0 } do
          if other ~= architecture then assert.equal(0x80000000, program:run(other, 0, {})) end
        end
        for number = 0, 600 do
          if not taken[number] then assert.equal(code "ENOSYS", program:run(architecture, number, {})) end
        end
        for _, number in ipairs { 0x40000000, 0x40000000 + 39, 0x7fffffff, 0xffffffff } do
          assert.equal(code "ENOSYS", program:run(architecture, number, {}))
        end
      end
    end)

    it("answers to its own mark alone: " .. machine, function()
      local prctl = calls.of "prctl".numbers[machine]
      local function asked(policy, mark, high)
        local program = bpf.new(policy:filter(machine))
        return program:run(architecture, prctl, { "0x15", ("0x%x%08x"):format(high or 0x63656c6c, mark) })
      end
      local killing = seccomp.policy { default = "kill" }
      assert.equal(0x50000 + 114, asked(killing, killing:mark()))
      assert.equal(0x80000000, asked(killing, killing:mark(), 0x63656c6d))
      assert.equal(0x80000000, asked(killing, seccomp.named "default":mark()))
      assert.equal(0x7fff0000, asked(seccomp.named "default", killing:mark()))
    end)
  end

  it("is too long where it cannot be put on anything", function()
    local values = {}
    for i = 1, 3000 do values[i] = i end
    local policy = seccomp.policy { default = "allow",
      kill = { close = { { 0, "in", values } }, dup = { { 0, "in", values } } } }
    local filter, err = policy:filter()
    assert.is_nil(filter)
    assert.truthy(tostring(err):find("instructions, and the kernel 4096 at most", 1, true), tostring(err))
    local message = trial.raised(require("cella").container, { seccomp = policy })
    assert.truthy(message:find("seccomp: the policy takes", 1, true), message)
  end)
end)

describe("the document", function()
  local text = assert(trial.read "doc/seccomp.md")

  it("has each call that default refuses, with the answer and the reason", function()
    local default, nesting = seccomp.named "default", seccomp.named "nesting"
    local count = 0
    for _, group in ipairs(named.groups()) do
      for key, value in pairs(group.calls) do
        local name = type(key) == "number" and value or key
        local row
        for line in text:gmatch "[^\n]+" do
          if line:find("^| `") and line:find(("`%s`"):format(name), 1, true)
            and line:find("| " .. group.errno .. " |", 1, true) then row = line end
        end
        assert.truthy(row, name)
        assert.truthy(row:find("| " .. group.reason .. " |", 1, true), name)
        local _, reason = default:explain(name)
        assert.truthy(reason:find(group.reason, 1, true), name)
        count = count + 1
      end
    end
    assert.is_true(count > 70)
    -- And nothing else is refused.
    for _, name in ipairs(calls.names()) do
      if not named.reason(name) then assert.equal("allowed", (default:explain(name)), name) end
    end
    assert.equal("allow", nesting:answer "mount")
    assert.equal("EPERM", nesting:answer "bpf")
  end)
end)
