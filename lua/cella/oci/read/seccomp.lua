--- The filter of a config.json as a policy of cella.seccomp.
--
-- What is not as in libseccomp: a call by another machine's numbers (32 bits) is never made, whatever `architectures`
-- names; and names that cella does not know are left out where all that is lost is a permission, as the call is then
-- answered as all others are.

local action = require "cella.seccomp.action"
local calls = require "cella.seccomp.calls"
local core = require "cella.core"
local json = require "cella.oci.json"
local schema = require "cella.oci.read.schema"
local seccomp = require "cella.seccomp"

local fail = schema.fail
local M = {}

local EPERM = 1
local ACTIONS = { SCMP_ACT_ALLOW = "allow", SCMP_ACT_LOG = "log", SCMP_ACT_KILL = "kill",
  SCMP_ACT_KILL_PROCESS = "kill", SCMP_ACT_KILL_THREAD = "kill" }

local function action_of(name, number, path)
  if name == "SCMP_ACT_ERRNO" then
    local errno = core.errno_name(schema.within(number or EPERM, path .. ".errnoRet", 1, 133))
    if not errno or not action.errno(errno) then fail(path .. ".errnoRet", "no errno that a filter can answer") end
    return errno
  end
  local found = ACTIONS[name]
  if not found then fail(path, "the action %s is not supported", tostring(name)) end
  if number ~= nil and number ~= 0 then fail(path, "errnoRet without SCMP_ACT_ERRNO") end
  return found
end

local MACHINES = { x86_64 = "SCMP_ARCH_X86_64", aarch64 = "SCMP_ARCH_AARCH64", riscv64 = "SCMP_ARCH_RISCV64" }

local function check_machines(list, path)
  if not list or #list == 0 then return end
  for _, name in ipairs(list) do
    if name == MACHINES[core.machine] then return end
  end
  fail(path, "%s, which this machine is, is not among them", tostring(MACHINES[core.machine]))
end

local FLAGS = { SECCOMP_FILTER_FLAG_TSYNC = true } -- the program has one thread when it gets its filter

-- A number of 64 bits as a condition has it: hexadecimal where it is beyond what a number holds.
local function value_of(value, path)
  if value == nil then return 0 end
  if not json.is_integer(value) then return schema.within(value, path, 0, schema.MOST) end
  local digits = tostring(value)
  if digits:find "^-" then fail(path, "an integer from 0 to 2^64-1 expected") end
  -- To base 16, a decimal digit at a time.
  local high, low = 0, 0
  for digit in digits:gmatch "." do
    low = low * 10 + tonumber(digit)
    high = high * 10 + math.floor(low / 4294967296)
    low = low % 4294967296
    if high >= 4294967296 then fail(path, "an integer from 0 to 2^64-1 expected") end
  end
  return ("0x%08x%08x"):format(high, low)
end

local OPERATORS = { SCMP_CMP_NE = "~=", SCMP_CMP_LT = "<", SCMP_CMP_LE = "<=", SCMP_CMP_EQ = "==", SCMP_CMP_GE = ">=",
  SCMP_CMP_GT = ">" }

local function condition_of(arg, path)
  local index = schema.within(schema.required(arg.index, path .. ".index"), path .. ".index", 0, 5)
  local value = value_of(arg.value, path .. ".value")
  if arg.op == "SCMP_CMP_MASKED_EQ" then
    return { index, "&==", value, value_of(arg.valueTwo, path .. ".valueTwo") }
  end
  local operator = OPERATORS[arg.op] or fail(path .. ".op", "no such comparison: %s", tostring(arg.op))
  if arg.valueTwo ~= nil and arg.valueTwo ~= 0 then fail(path .. ".valueTwo", "it is for SCMP_CMP_MASKED_EQ alone") end
  return { index, operator, value }
end

-- On arguments, in all: each is several of the instructions of a filter, of which there can be 4096.
local MOST_CONDITIONS = 1024

-- Each entry as conditions and an answer, by the calls that it names.
local function entries_of(description, default)
  local by_call, count = {}, 0
  for i, entry in ipairs(description.syscalls or {}) do
    local path = ("linux.seccomp.syscalls[%d]"):format(i - 1)
    local answer = action_of(schema.required(entry.action, path .. ".action"), entry.errnoRet, path)
    local conditions = {}
    for j, arg in ipairs(entry.args or {}) do
      conditions[j] = condition_of(arg, ("%s.args[%d]"):format(path, j - 1))
    end
    count = count + #conditions * #schema.required(entry.names, path .. ".names")
    if count > MOST_CONDITIONS then fail(path .. ".args", "more than %d comparisons in all", MOST_CONDITIONS) end
    for _, name in ipairs(entry.names) do
      if calls.of(name) then
        by_call[name] = by_call[name] or {}
        table.insert(by_call[name], { conditions = conditions, answer = answer, path = path })
      elseif not action.permits(answer) and action.permits(default) then
        fail(path .. ".names", "%q is to be refused, and cella knows no such call", name:sub(1, 80))
      end
    end
  end
  return by_call
end

-- The answers of a call, in full: { { CONDITION, ..., ACTION }, ..., ACTION }. Of entries with conditions the first
-- counts that holds; of those without any the strictest: engines write a call into a list of all that is allowed, and
-- then into one of what is not.
local function answers_of(entries, default)
  local answers, final = {}, nil
  for _, entry in ipairs(entries) do
    if #entry.conditions == 0 then
      final = final and action.stricter(final, entry.answer) or entry.answer
    else
      local clause = {}
      for i, condition in ipairs(entry.conditions) do clause[i] = condition end
      clause[#clause + 1] = entry.answer
      answers[#answers + 1] = clause
    end
  end
  -- An entry without conditions holds always: those with some are asked before it.
  answers[#answers + 1] = final or default
  return answers
end

--- The policy of linux.seccomp; false where there is none. Raises { refused = message }.
---@param description table?
---@return cella.seccomp.policy|false
function M.policy(description)
  if not description then return false end
  local default = action_of(schema.required(description.defaultAction, "linux.seccomp.defaultAction"),
    description.defaultErrnoRet, "linux.seccomp.defaultAction")
  check_machines(description.architectures, "linux.seccomp.architectures")
  for _, flag in ipairs(description.flags or {}) do
    if not FLAGS[flag] then fail("linux.seccomp.flags", "%s is not supported", flag:sub(1, 80)) end
  end
  local policy = { default = default, calls = {} }
  for name, entries in pairs(entries_of(description, default)) do policy.calls[name] = answers_of(entries, default) end
  local ok, result = pcall(seccomp.policy, policy)
  if not ok then fail("linux.seccomp", "%s", tostring(result):gsub("^[^ ]*: ", "")) end
  return result
end

return M
