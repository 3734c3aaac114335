--- The filter under which whoever waits for the program hears of calls: of those that the policy has under `notify`,
--- and, where all that is denied is to be told, of those that it refuses and of a list more.
--
-- What the filter itself answers "notify" to, the policy decides: by its rules, and by the registers of the call, which
-- nobody changes any more. So a call that it refuses is refused, whatever else is looked at before, and if nobody
-- answers any more, the kernel does so with ENOSYS.

local action = require "cella.seccomp.action"
local lists = require "cella.list"
local rules_of = require "cella.seccomp.rules"

local M = {}

-- libc asks for it first, hears ENOSYS, and goes on with clone(2): nobody is denied anything.
local FALLS_BACK = { clone3 = true }

-- The first call behind the filter: that of the runner, which so sleeps until there is somebody who answers.
local FIRST = "execve"

local function turned(given, name, refusals, more)
  if given == "kill" or given == "notify" then return given end
  if action.permits(given) then
    return (name == FIRST or more and more[name]) and "notify" or given
  end
  return refusals and not FALLS_BACK[name] and "notify" or given
end

--- Whether rules have "notify" somewhere.
---@param rules cella.seccomp.rules
---@return boolean
function M.notify(rules)
  if rules.default == "notify" then return true end
  for _, answer in pairs(rules.calls) do
    if answer.final == "notify" then return true end
    for _, clause in ipairs(answer.clauses) do
      if clause.action == "notify" then return true end
    end
  end
  return false
end

--- The rules of the filter.
---@param rules cella.seccomp.rules
---@param more table<string, true>?  of what the policy allows too; nil where what is denied is not to be told
---@return cella.seccomp.rules
function M.rules(rules, more)
  local result = { default = turned(rules.default, nil, more, nil), calls = {} }
  local names = { [FIRST] = true }
  for _, of in ipairs { rules.calls, more or {}, FALLS_BACK } do
    for name in pairs(of) do names[name] = true end
  end
  for _, name in ipairs(lists.sorted_keys(names)) do
    local answer, clauses = rules_of.of(rules, name), {}
    for i, clause in ipairs(answer.clauses) do
      clauses[i] = { conditions = clause.conditions, action = turned(clause.action, name, more, more) }
    end
    rules_of.put(result, name, clauses, turned(answer.final, name, more, more))
  end
  return result
end

return M
