--- A policy's rules for a person: the Lua table that says the same, and sentences.

local action = require "cella.seccomp.action"
local condition = require "cella.seccomp.condition"
local lists = require "cella.list"
local rules_of = require "cella.seccomp.rules"

local M = {}

local WIDTH = 100

local function conditions_text(name, clause)
  local items = {}
  for i, one in ipairs(clause.conditions) do items[i] = condition.text(one, name) end
  return table.concat(items, ", ")
end

-- Items behind each other, as many as a line holds.
local function wrapped(items, indent)
  local whole = table.concat(items, ", ")
  if #whole + #indent < WIDTH - 10 then return "{ " .. whole .. " }" end
  local lines, line = {}, ""
  for _, item in ipairs(items) do
    if line ~= "" and #line + #item + #indent + 4 > WIDTH then
      lines[#lines + 1], line = line, ""
    end
    line = line .. (line == "" and "" or " ") .. item .. ","
  end
  lines[#lines + 1] = line
  local inner = "\n" .. indent .. "  "
  return "{" .. inner .. table.concat(lines, inner) .. "\n" .. indent .. "}"
end

-- The calls of each action: names, then those with conditions; and those whose order has to be said.
local function sort_out(rules)
  local groups, ordered = {}, {}
  local function group(given)
    groups[given] = groups[given] or { names = {}, conditional = {} }
    return groups[given]
  end
  for _, name in ipairs(lists.sorted_keys(rules.calls)) do
    local answer = rules.calls[name]
    if not rules_of.are_strictest_first(answer.clauses) then
      ordered[#ordered + 1] = name
    else
      local alternatives = {}
      for _, clause in ipairs(answer.clauses) do
        alternatives[clause.action] = alternatives[clause.action] or {}
        table.insert(alternatives[clause.action], conditions_text(name, clause))
      end
      for given, list in pairs(alternatives) do
        local text = #list == 1 and list[1] or "{ " .. table.concat(list, " }, { ") .. " }"
        table.insert(group(given).conditional, ("%s = { %s }"):format(name, text))
      end
      if #answer.clauses == 0 or rules_of.otherwise(rules.default, answer.clauses) ~= answer.final then
        table.insert(group(answer.final).names, ("%q"):format(name))
      end
    end
  end
  return groups, ordered
end

local function group_text(group, indent)
  local items = {}
  for _, name in ipairs(group.names) do items[#items + 1] = name end
  for _, text in ipairs(group.conditional) do items[#items + 1] = text end
  return wrapped(items, indent)
end

local function answer_text(name, answer)
  local items = {}
  for i, clause in ipairs(answer.clauses) do
    items[i] = ("{ %s, %q }"):format(conditions_text(name, clause), clause.action)
  end
  items[#items + 1] = ("%q"):format(answer.final)
  return ("%s = { %s }"):format(name, table.concat(items, ", "))
end

--- The rules as the table that cella.seccomp.policy takes.
---@param rules cella.seccomp.rules
---@return string
function M.of(rules)
  local groups, ordered = sort_out(rules)
  local lines = { "{", ("  default = %q,"):format(rules.default) }
  for _, name in ipairs { "allow", "log", "notify", "kill" } do
    if groups[name] then lines[#lines + 1] = ("  %s = %s,"):format(name, group_text(groups[name], "  ")) end
  end
  local errors = {}
  for name in pairs(groups) do
    if action.errno(name) then errors[#errors + 1] = name end
  end
  table.sort(errors)
  if #errors > 0 then lines[#lines + 1] = "  errno = {" end
  for _, name in ipairs(errors) do
    lines[#lines + 1] = ("    %s = %s,"):format(name, group_text(groups[name], "    "))
  end
  if #errors > 0 then lines[#lines + 1] = "  }," end
  if #ordered > 0 then
    local items = {}
    for i, name in ipairs(ordered) do items[i] = answer_text(name, rules.calls[name]) end
    lines[#lines + 1] = ("  calls = %s,"):format(wrapped(items, "  "))
  end
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n")
end

local WORDS = { allow = "allowed", log = "allowed, and logged by the kernel",
  notify = "allowed, once the caller has heard of it", kill = "the end of the process (SIGSYS)" }

local function action_words(given) return WORDS[given] or "refused with " .. given end

--- What is answered to a call, in a sentence.
---@param rules cella.seccomp.rules
---@param name string
---@return string
function M.answer(rules, name)
  local answer, parts = rules_of.of(rules, name), {}
  for i, clause in ipairs(answer.clauses) do
    local items = {}
    for j, one in ipairs(clause.conditions) do items[j] = condition.words(one, name) end
    parts[i] = ("%s if %s"):format(action_words(clause.action), table.concat(items, " and "))
  end
  parts[#parts + 1] = (#parts > 0 and "else " or "") .. action_words(answer.final)
  return table.concat(parts, "; ")
end

return M
