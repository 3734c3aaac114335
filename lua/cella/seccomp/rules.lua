--- What a policy says, as cella keeps it: for each call a list of clauses, of which the first that holds counts, and
--- what is answered where none does.

local action = require "cella.seccomp.action"
local condition = require "cella.seccomp.condition"

local M = {}

---@class cella.seccomp.clause
---@field conditions cella.seccomp.condition[]  all of them have to hold
---@field action string

---@class cella.seccomp.answer
---@field clauses cella.seccomp.clause[]  in the order in which they are asked
---@field final string                    the action where none holds

---@class cella.seccomp.rules
---@field default string
---@field calls table<string, cella.seccomp.answer>  those alone that get another answer than the default

--- The answer to a call.
---@param rules cella.seccomp.rules
---@param name string
---@return cella.seccomp.answer
function M.of(rules, name)
  return rules.calls[name] or { clauses = {}, final = rules.default }
end

-- Conditions in an order of their own, each once; and the text by which two lists of them are the same.
local function sorted(conditions, name)
  local texts, by_text = {}, {}
  for _, one in ipairs(conditions) do
    local text = condition.text(one, name)
    if not by_text[text] then texts[#texts + 1] = text end
    by_text[text] = one
  end
  table.sort(texts)
  local result = {}
  for i, text in ipairs(texts) do result[i] = by_text[text] end
  return result, texts
end

local function is_subset(texts, others)
  local has = {}
  for _, text in ipairs(others) do has[text] = true end
  for _, text in ipairs(texts) do
    if not has[text] then return false end
  end
  return true
end

-- Without those that hold only where another of them does.
local function without_narrower(run)
  local kept = {}
  for i, clause in ipairs(run) do
    local narrower = false
    for j, other in ipairs(run) do narrower = narrower or i ~= j and is_subset(other.texts, clause.texts) end
    if not narrower then kept[#kept + 1] = clause end
  end
  return kept
end

-- Neighbours of one action may stand in any order: they stand in that of their texts.
local function sort_runs(clauses)
  local from, sorted_clauses = 1, {}
  while from <= #clauses do
    local to = from
    while clauses[to + 1] and clauses[to + 1].action == clauses[from].action do to = to + 1 end
    local run = {}
    for i = from, to do run[#run + 1] = clauses[i] end
    run = without_narrower(run)
    table.sort(run, function(a, b) return a.text < b.text end)
    for _, clause in ipairs(run) do sorted_clauses[#sorted_clauses + 1] = clause end
    from = to + 1
  end
  return sorted_clauses
end

--- An answer without what can never count, in the one form that all that say the same are brought to.
---@param name string
---@param clauses cella.seccomp.clause[]
---@param final string
---@return cella.seccomp.answer
function M.answer(name, clauses, final)
  local kept = {}
  for _, clause in ipairs(clauses) do
    local conditions, texts = sorted(clause.conditions, name)
    local reached = #conditions > 0
    for _, before in ipairs(kept) do reached = reached and not is_subset(before.texts, texts) end
    if reached then
      kept[#kept + 1] = { conditions = conditions, action = clause.action, texts = texts,
        text = table.concat(texts, ", ") }
    elseif #conditions == 0 then
      final = clause.action
      break
    end
  end
  while kept[#kept] and kept[#kept].action == final do kept[#kept] = nil end
  local result = {}
  for i, clause in ipairs(sort_runs(kept)) do
    result[i] = { conditions = clause.conditions, action = clause.action, text = clause.text }
  end
  return { clauses = result, final = final }
end

--- Puts an answer among the rules, unless it is what the default says.
---@param rules cella.seccomp.rules
---@param name string
---@param clauses cella.seccomp.clause[]
---@param final string
function M.put(rules, name, clauses, final)
  local answer = M.answer(name, clauses, final)
  rules.calls[name] = (#answer.clauses > 0 or answer.final ~= rules.default) and answer or nil
end

--- Both at once: each call gets what `choose` takes of the two actions.
---@param one cella.seccomp.rules
---@param other cella.seccomp.rules
---@param choose fun(one: string, other: string): string
---@return cella.seccomp.rules
function M.combine(one, other, choose)
  local result = { default = choose(one.default, other.default), calls = {} }
  local names = {}
  for _, rules in ipairs { one, other } do
    for name in pairs(rules.calls) do names[name] = true end
  end
  for name in pairs(names) do
    local first, second, clauses = M.of(one, name), M.of(other, name), {}
    -- The first of each that holds: with all of the second, a clause of the first; then the second's alone.
    local function add(left, right)
      local conditions = {}
      for _, clause in ipairs { left, right } do
        for _, item in ipairs(clause.conditions or {}) do conditions[#conditions + 1] = item end
      end
      clauses[#clauses + 1] = { conditions = conditions, action = choose(left.action, right.action) }
    end
    local last = { action = second.final }
    for _, left in ipairs(first.clauses) do
      for _, right in ipairs(second.clauses) do add(left, right) end
      add(left, last)
    end
    for _, right in ipairs(second.clauses) do add({ action = first.final }, right) end
    M.put(result, name, clauses, choose(first.final, second.final))
  end
  return result
end

--- What is answered to a call with these arguments.
---@param rules cella.seccomp.rules
---@param name string
---@param arguments string[]  words
---@return string action
function M.decide(rules, name, arguments)
  local answer = M.of(rules, name)
  for _, clause in ipairs(answer.clauses) do
    local holds = true
    for _, item in ipairs(clause.conditions) do holds = holds and condition.holds(item, arguments) end
    if holds then return clause.action end
  end
  return answer.final
end

--- Clauses in the order in which they are asked where a policy does not say one: the strictest first.
---@param clauses cella.seccomp.clause[]
---@return cella.seccomp.clause[]
function M.strictest_first(clauses)
  local places = {}
  for i, clause in ipairs(clauses) do places[clause] = i end
  table.sort(clauses, function(a, b)
    if a.action == b.action then return places[a] < places[b] end
    return action.is_asked_before(a.action, b.action)
  end)
  return clauses
end

--- Whether the clauses stand in that order.
---@param clauses cella.seccomp.clause[]
---@return boolean
function M.are_strictest_first(clauses)
  for i = 2, #clauses do
    if action.is_asked_before(clauses[i].action, clauses[i - 1].action) then return false end
  end
  return true
end

--- What is answered where a policy says a call with conditions alone, and none holds.
---@param default string
---@param clauses cella.seccomp.clause[]
---@return string action
function M.otherwise(default, clauses)
  for _, clause in ipairs(clauses) do
    -- What is allowed on a condition is refused without it.
    if clause.action == "allow" and action.permits(default) then return "EPERM" end
  end
  return default
end

return M
