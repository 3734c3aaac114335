--- Policies of system calls as values: what each call of a program is answered, before the kernel looks at it
--- (seccomp(2)).
---
---     local seccomp = require "cella.seccomp"
---     local policy = seccomp.policy {
---       default = "allow",
---       errno = { EPERM = { "mount", "keyctl" } },
---       allow = { socket = { { 0, "in", { "unix", "inet", "inet6" } } } },
---     }
---     cella.container { seccomp = policy - { "ptrace" } }
--
-- `default` is what all calls get that are not named: "allow", "log", "notify", "kill", or the name of an error.
-- `allow`, `log`, `notify` and `kill` are lists of calls, and `errno` has such a list for each error. An item of a list
-- is a name; a key is one too, with conditions on the arguments that all have to hold: { { 0, "==", 5 }, ... }, or a
-- list of several such lists, of which one has to. Of conditions that hold the strictest counts; where none does, the
-- list that has the call without one; where there is no such list, the default; and what `allow` has on a condition
-- alone is else refused (EPERM).

local blame = require "cella.blame"
local action = require "cella.seccomp.action"
local calls = require "cella.seccomp.calls"
local compile = require "cella.seccomp.compile"
local core = require "cella.core"
local Error = require "cella.error"
local grammar = require "cella.seccomp.grammar"
local named = require "cella.seccomp.named"
local opened = require "cella.seccomp.opened"
local rules_of = require "cella.seccomp.rules"
local text = require "cella.seccomp.text"
local told = require "cella.seccomp.told"
local validate = require "cella.validate"
local word = require "cella.seccomp.word"

local unpack = table.unpack or unpack -- luacheck: ignore 143

---@class cella.seccomp.module
local M = {}

--- What each system call of a program is answered: what `seccomp.policy` makes.
---@class cella.seccomp.policy
---@operator add(cella.seccomp.policy|table): cella.seccomp.policy
---@operator sub(table): cella.seccomp.policy
---@operator mul(cella.seccomp.policy): cella.seccomp.policy
local Policy = { __name = "cella.seccomp.policy" }
local methods = {}
Policy.__index = methods

-- What a policy is made of is nobody's to change: a compiled program is kept.
local inside = setmetatable({}, { __mode = "k" })

local function is_policy(value)
  return type(value) == "table" and getmetatable(value) == Policy
end

local function of_rules(rules, name)
  local self = setmetatable({}, Policy)
  inside[self] = { rules = rules, name = name, programs = {} }
  return self
end

local function own(self)
  return inside[self] or blame("a policy expected, as cella.seccomp.policy makes them: policy:METHOD() has a colon")
end

--- Makes a policy of a table (see above). Raises at what is no call, action or value, with the nearest that there is.
---@param description cella.seccomp.keys
---@return cella.seccomp.policy
function M.policy(description)
  return of_rules(validate.check(grammar.rule, description, ""))
end

local by_name = {}

-- One that has a name.
local function of_name(name)
  by_name[name] = by_name[name] or of_rules(validate.check(grammar.rule, named.table(name), ""), name)
  return by_name[name]
end

--- The names of the policies that have some: "default", "nesting", "strict".
---@return string[]
function M.names()
  local list = {}
  for i, name in ipairs(named.NAMES) do list[i] = name end
  return list
end

--- A policy by its name. Raises where there is none.
---@param name "default"|"nesting"|"strict"
---@return cella.seccomp.policy
function M.named(name)
  return of_name(validate.check(validate.rule.one_of(named.NAMES), name, "name"))
end

local by_capabilities = {}

--- A named policy for who keeps capabilities: it has the calls that they are for (cella.seccomp.opened) too.
---@param name "default"|"nesting"
---@param capabilities string[]  of those that open calls, in order
---@return cella.seccomp.policy
function M.opened(name, capabilities)
  local label = ("%s, opened by %s"):format(name, table.concat(capabilities, " "))
  if not by_capabilities[label] then
    local list = {}
    for _, capability in ipairs(capabilities) do
      for _, call in ipairs(opened[capability]) do list[#list + 1] = call end
    end
    local policy = of_name(name) + list
    inside[policy].label = label
    by_capabilities[label] = policy
  end
  return by_capabilities[label]
end

--- A policy under which a start may fork for its parent.
---@param policy cella.seccomp.policy
---@return cella.seccomp.policy
function M.handing_on(policy)
  local opened_too = policy + named.handed_on()
  inside[opened_too].label = policy:name() or inside[policy].label
  return opened_too
end

local closing_tcp = setmetatable({}, { __mode = "k" })

--- A policy without the ways to TCP that Landlock's rules do not know (cella.seccomp.named).
---@param policy cella.seccomp.policy
---@return cella.seccomp.policy
function M.closing_tcp(policy)
  if not closing_tcp[policy] then
    local closed = policy * M.policy(named.past_tcp())
    inside[closed].label = (policy:name() or inside[policy].label or "policy") .. ", past Landlock's TCP nothing"
    closing_tcp[policy] = closed
  end
  return closing_tcp[policy]
end

--- Whether there is none of them under it.
---@return boolean
function methods:closes_tcp() return M.closing_tcp(self) == self end

--- True for policies.
---@param value any
---@return boolean
function M.is(value) return is_policy(value) end

--- A rule of cella.validate, of the key `seccomp`: the name of a policy, a policy or its table; false is none.
---@param value any
---@param path string
---@return cella.seccomp.policy|false
function M.rule(value, path)
  if value == false then return false end
  local policy = value
  if type(value) == "string" then
    policy = of_name(validate.rule.one_of(named.NAMES)(value, path, "or it is a policy: cella.seccomp.policy { ... }"))
  elseif type(value) ~= "table" then
    validate.fail(path, "a policy, its table, its name (%s) or false expected, got %s", table.concat(named.NAMES, ", "),
      validate.show(value))
  elseif not is_policy(value) then
    policy = of_rules(grammar.rule(value, path))
  end
  local program, err = policy:filter()
  if not program then validate.fail(path, "%s", err.message) end
  return policy
end

-- Another policy, or rules that allow (or refuse) a list of calls and say nothing of others.
local function operand(value, given, default)
  if is_policy(value) then return inside[value].rules end
  if type(value) ~= "table" then
    blame(("a policy or a list of system calls expected, got %s"):format(validate.show(value)))
  end
  return validate.check(function(list, path) return grammar.of_list(list, path, given, default) end, value, "")
end

--- policy + other: what either allows; or a policy and a list of calls, { "mount", socket = CONDITIONS }, which it
--- allows too.
function Policy.__add(one, other)
  if not is_policy(one) then one, other = other, one end
  -- Nothing is stricter than "kill": what the list does not have stays as it is.
  return of_rules(rules_of.combine(own(one).rules, operand(other, "allow", "kill"), action.milder))
end

--- policy * other: what both allow, as where a program has both filters.
function Policy.__mul(one, other)
  if not (is_policy(one) and is_policy(other)) then blame("policy * other: two policies expected") end
  return of_rules(rules_of.combine(inside[one].rules, inside[other].rules, action.stricter))
end

--- policy - list: a policy without a list of calls, { "mount", socket = CONDITIONS }, which get its default where that
--- is a refusal, and else EPERM.
function Policy.__sub(one, list)
  if not is_policy(one) or is_policy(list) then
    blame("policy - list: a policy and a list of system calls expected; what two policies both allow is one * other")
  end
  local rules = own(one).rules
  local refusal = action.permits(rules.default) and "EPERM" or rules.default
  return of_rules(rules_of.combine(rules, operand(list, refusal, "allow"), action.stricter))
end

--- Whether two policies answer every call alike, as far as they say so in the same conditions.
function Policy.__eq(one, other)
  return text.of(own(one).rules) == text.of(own(other).rules)
end

--- The policy as Lua that makes it.
function Policy:__tostring()
  return "seccomp.policy " .. text.of(own(self).rules)
end

-- Of a text, the same on every machine.
local function hash(content)
  local value = 0
  for i = 1, #content do value = (value * 257 + content:byte(i)) % 4294967291 end
  return value
end

--- By what a filter of this policy is known where it is read back: sys.expect_seccomp.
---@return integer
function methods:mark()
  local mine = own(self)
  mine.mark = mine.mark or hash(text.of(mine.rules))
  return math.floor(mine.mark)
end

--- The filter, as sys.seccomp and plan:seccomp take it. It is made once.
---@param machine "x86_64"|"aarch64"|"riscv64"|nil  this one
---@return string? filter, cella.error? err
function methods:filter(machine)
  local mine = own(self)
  if machine ~= nil then validate.check(validate.rule.one_of(calls.MACHINES), machine, "machine") end
  machine = machine or core.machine
  if not mine.programs[machine] then
    local program, problem = compile.program(mine.rules, machine, self:mark())
    if not program then return nil, Error.new { op = "seccomp", message = problem } end
    mine.programs[machine] = program
  end
  return mine.programs[machine]
end

local function title(policy)
  local mine, count = own(policy), 0
  for _ in pairs(mine.rules.calls) do count = count + 1 end
  return policy:name() or mine.label or ("default %s, %d calls otherwise"):format(mine.rules.default, count)
end

--- What a start takes of a policy: cella.confinement.
---@param policy cella.seccomp.policy|false|nil
---@return cella.filter|false
function M.filter_of(policy)
  if not policy then return false end
  return { program = assert(policy:filter()), mark = policy:mark(), name = title(policy), policy = policy,
    unheard = told.notify(own(policy).rules) }
end

--- The same, where somebody hears of calls: see cella.seccomp.told.
---@param policy cella.seccomp.policy|false
---@param more table<string, true>
---@return cella.filter
function M.told_filter(policy, more)
  local decides = policy or M.policy { default = "allow" }
  local mine = own(decides)
  mine.told = mine.told or setmetatable({}, { __mode = "k" })
  mine.told[more] = mine.told[more] or of_rules(told.rules(mine.rules, more))
  local filter = mine.told[more]
  return { program = assert(filter:filter()), mark = filter:mark(), policy = policy or nil,
    name = (policy and title(policy) .. ", " or "") .. "what is denied is told" }
end

--- What is answered to a call, by its registers: six words (cella.seccomp.word).
---@param policy cella.seccomp.policy
---@param name string
---@param words string[]
---@return string action
function M.decide(policy, name, words) return rules_of.decide(own(policy).rules, name, words) end

--- What a policy says, as cella keeps it: for who writes it in another form (cella.oci.export.seccomp), and changes
--- nothing.
---@param policy cella.seccomp.policy
---@return cella.seccomp.rules
function M.rules(policy) return own(policy).rules end

--- Its name, where it has one.
---@return string?
function methods:name() return own(self).name end

local function call_of(name) return validate.check(grammar.call_rule, name, "name").name end

--- What a call is answered, with these arguments (integers, or hexadecimal text; 0 if not given): "allow", "log",
--- "notify", "kill", or the name of an error.
---@param name string
---@param ... integer|string
---@return string action
function methods:answer(name, ...)
  local mine, arguments = own(self), {}
  name = call_of(name)
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    local digits = type(value) == "string" and value:match "^0x([0-9a-f]+)$"
    if digits and #digits <= 16 then
      arguments[i] = ("0"):rep(16 - #digits) .. digits
    else
      arguments[i] = word.of_number(validate.check(validate.rule.integer(-9007199254740992, 9007199254740992), value,
        ("argument %d"):format(i - 1)))
    end
  end
  return rules_of.decide(mine.rules, name, arguments)
end

--- What a call is answered, in a sentence, and why where "default" refuses it.
---@param name string
---@return string sentence, string? reason
function methods:explain(name)
  name = call_of(name)
  return text.answer(own(self).rules, name), named.reason(name)
end

--- Which of the calls that it names a machine does not have.
---@param machine "x86_64"|"aarch64"|"riscv64"|nil  this one
---@return string[]
function methods:lacking(machine)
  if machine ~= nil then validate.check(validate.rule.one_of(calls.MACHINES), machine, "machine") end
  local names = {}
  for name in pairs(own(self).rules.calls) do
    if not calls.of(name).numbers[machine or core.machine] then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- Whether it has calls of which the caller is to hear first (`notify`).
---@return boolean
function methods:notifies() return told.notify(own(self).rules) end

-- What is still called behind the filter, and could be the end of the process.
local LATER = { "prctl", "faccessat", "clock_gettime", "exit_group" }
local FUNCTIONS = { "write", "exit_group" }

-- What a start calls behind the switch of IDs (spec/plan/strace_spec.lua has what each step calls).
local BEHIND = { "capget", "capset", "chdir", "clock_gettime", "close", "close_range", "dup3", "execve", "exit_group",
  "faccessat", "fcntl", "fstatfs", "getcwd", "getgroups", "getpriority", "getresgid", "getresuid",
  "newfstatat", "openat2", "prctl", "read", "recvmsg", "rt_sigaction", "rt_sigprocmask",
  "sched_getaffinity", "sendmsg", "sendto", "setfsgid", "setfsuid", "setsid", "write" }

-- And what an init calls until it ends.
local INIT = { "execveat", "getrusage", "kill", "madvise", "munmap", "pidfd_open", "pipe2", "ppoll", "rt_sigtimedwait",
  "signalfd4", "wait4" }

-- What is called with these arguments alone.
local WITH = {
  -- CLONE_CHILD_CLEARTID, in the runner CLONE_VM, SIGCHLD.
  { "clone", "0x200111" }, { "clone", "0x200100" }, { "clone", "0x200011" },
  { "personality", "0xffffffff" },
  { "prlimit64", 0 }, -- of the process itself
  -- TIOCSCTTY, TIOCGWINSZ, TIOCSWINSZ, TIOCGPTPEER, TIOCGPTN, TIOCSPTLCK, TCGETS2, TCSETS2
  { "ioctl", 0, "0x540e" }, { "ioctl", 0, "0x5413" }, { "ioctl", 0, "0x5414" }, { "ioctl", 0, "0x5441" },
  { "ioctl", 0, "0x80045430" }, { "ioctl", 0, "0x40045431" }, { "ioctl", 0, "0x802c542a" },
  { "ioctl", 0, "0x402c542b" },
}

--- Whether all steps of a start behind the switch of IDs may be done under it, and what an init does, so that it may
--- come before them: where it needs a privilege that the program is not to have, or is to hold the init too.
---@return boolean
function methods:may_be_first()
  local rules = own(self).rules
  for _, list in ipairs { BEHIND, INIT } do
    for _, name in ipairs(list) do
      local answer = rules_of.of(rules, name)
      if not action.permits(answer.final) then return false end
      for _, clause in ipairs(answer.clauses) do
        if not action.permits(clause.action) then return false end
      end
    end
  end
  for _, call in ipairs(WITH) do
    if not action.permits(self:answer(unpack(call))) then return false end
  end
  return true
end

--- Why no program can be started under it, or nil.
---@param is_function boolean?  the program is a Lua function
---@return string?
function methods:refuses_start(is_function)
  local rules = own(self).rules
  if is_function then
    if told.notify(rules) then return "a policy that has `notify` cannot have a function as the program" end
    for _, name in ipairs(FUNCTIONS) do
      local answer = rules_of.of(rules, name)
      if #answer.clauses > 0 or not action.permits(answer.final) then
        return ("a policy that refuses %s(2) cannot have a function as the program"):format(name)
      end
    end
    return nil
  end
  local answer = rules_of.of(rules, "execve")
  if not action.permits(answer.final) then return "a policy that refuses execve(2) cannot start a program" end
  for _, name in ipairs(LATER) do
    local ends = rules_of.of(rules, name).final == "kill"
    for _, clause in ipairs(rules_of.of(rules, name).clauses) do ends = ends or clause.action == "kill" end
    if ends then return ("a policy that kills at %s(2) cannot start a program"):format(name) end
  end
  return nil
end

return M
