--- A policy as a user writes it, checked: from a table to rules.

local action = require "cella.seccomp.action"
local calls = require "cella.seccomp.calls"
local condition = require "cella.seccomp.condition"
local lists = require "cella.list"
local rules = require "cella.seccomp.rules"
local validate = require "cella.validate"

local fail, join, rule = validate.fail, validate.join, validate.rule
local M = {}

--- A rule: the name of a system call.
---@return cella.seccomp.call
function M.call_rule(value, path)
  local call = calls.of(value)
  if call then return call end
  local near = type(value) == "string" and validate.nearest(value, calls.names())
  fail(path, "%s is not the name of a system call%s", validate.show(value),
    near and "; did you mean '" .. near .. "'?" or type(value) == "string" and " that cella knows" or "")
end

-- Conditions that all have to hold.
local function conditions_rule(value, path, call)
  local list = {}
  for i = 1, validate.count_items(value, path, "a list of conditions") do
    list[i] = condition.rule(value[i], join(path, i), call)
  end
  return list
end

-- { CONDITION, ... }, or a list of several of them, of which one has to hold.
local function alternatives_rule(value, path, call)
  validate.check_plain(value, path, "a list of conditions")
  if validate.count_items(value, path, "a list of conditions") == 0 then
    fail(path, "no condition: a call without any is an item of the list, %q", call.name)
  end
  local first = value[1]
  if type(first) ~= "table" or type(rawget(first, 1)) ~= "table" then
    return { conditions_rule(value, path, call) }
  end
  local result = {}
  for i, item in ipairs(value) do
    validate.check_plain(item, join(path, i), "a list of conditions")
    if #item == 0 then fail(join(path, i), "no condition") end
    result[i] = conditions_rule(item, join(path, i), call)
  end
  return result
end

--- Goes through a list of calls: { "mount", socket = CONDITIONS }.
---@param value any
---@param path string
---@param add fun(call: cella.seccomp.call, conditions: cella.seccomp.condition[]?, path: string)
function M.each(value, path, add)
  validate.check_plain(value, path, "a list of system calls")
  validate.count_items(value, path, nil, true)
  for _, key in ipairs(lists.sorted_keys(value)) do
    local at = join(path, key)
    if type(key) == "number" then
      add(M.call_rule(value[key], at), nil, at)
    else
      local call = M.call_rule(key, at)
      for _, conditions in ipairs(alternatives_rule(value[key], at, call)) do add(call, conditions, at) end
    end
  end
end

--- The rules of which a list of calls gets `given`, and all others `default`.
---@param value any
---@param path string
---@param given string
---@param default string
---@return cella.seccomp.rules
function M.of_list(value, path, given, default)
  local result, clauses = { default = default, calls = {} }, {}
  M.each(value, path, function(call, conditions)
    clauses[call.name] = clauses[call.name] or {}
    table.insert(clauses[call.name], { conditions = conditions or {}, action = given })
  end)
  for name, list in pairs(clauses) do rules.put(result, name, list, default) end
  return result
end

-- An answer in full: { { CONDITION, ..., ACTION }, ..., ACTION }
local function answer_rule(value, path, call)
  validate.check_plain(value, path, "a list of answers")
  local answers, clauses = validate.count_items(value, path, "a list of answers"), {}
  for i = 1, answers - 1 do
    local at = join(path, i)
    validate.check_plain(value[i], at, "{ CONDITION, ACTION }")
    local last = validate.count_items(value[i], at, "{ CONDITION, ..., ACTION }")
    if last < 2 then fail(at, "{ CONDITION, ..., ACTION } expected") end
    local conditions = {}
    for j = 1, last - 1 do conditions[j] = value[i][j] end
    clauses[i] = { conditions = conditions_rule(conditions, at, call),
      action = action.rule(value[i][last], join(at, last)) }
  end
  return { clauses = clauses, final = action.rule(value[answers], join(path, answers)) }
end

local function anything(value) return value end

local fields = { default = action.rule, allow = anything, log = anything, notify = anything, kill = anything,
  errno = anything, calls = anything }
local table_rule = rule.record(fields, nil, nil, "seccomp")

--- A rule: a policy's table, as rules.
---@param value any
---@param path string
---@return cella.seccomp.rules
function M.rule(value, path)
  local said = table_rule(value, path)
  local default = said.default or fail(join(path, "default"), "missing: what is answered to calls that are not named")
  local result = { default = default, calls = {} }
  local always, where, clauses = {}, {}, {}
  local function read(list, at, given)
    M.each(list, at, function(call, conditions, place)
      local name = call.name
      clauses[name] = clauses[name] or {}
      if conditions then
        table.insert(clauses[name], { conditions = conditions, action = given })
      elseif always[name] and always[name] ~= given then
        fail(place, "%s is in %s too, and has no condition in either", name, where[name])
      else
        always[name], where[name] = given, place
      end
    end)
  end
  for _, name in ipairs { "allow", "log", "notify", "kill" } do
    if said[name] ~= nil then read(said[name], join(path, name), name) end
  end
  if said.errno ~= nil then
    local at = join(path, "errno")
    validate.check_plain(said.errno, at, "{ EPERM = { ... } }")
    for _, name in ipairs(lists.sorted_keys(said.errno)) do
      action.errno_rule(name, join(at, name))
      read(said.errno[name], join(at, name), name)
    end
  end
  for name, list in pairs(clauses) do
    rules.put(result, name, rules.strictest_first(list), always[name] or rules.otherwise(default, list))
  end
  if said.calls ~= nil then
    local at = join(path, "calls")
    validate.check_plain(said.calls, at, "a table of answers by the names of calls")
    for _, name in ipairs(lists.sorted_keys(said.calls)) do
      local call = M.call_rule(name, join(at, name))
      if clauses[name] then fail(join(at, name), "it is in another list too") end
      local answer = answer_rule(said.calls[name], join(at, name), call)
      rules.put(result, name, answer.clauses, answer.final)
    end
  end
  return result
end

return M
