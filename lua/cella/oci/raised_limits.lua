--- Limits that a program is to have, and that are above those of this process: raised here, where this process may,
--- because nobody may in a user namespace, where they are set.

local sys = require("cella.core").sys

local function put_back(raised, ...)
  for _, one in ipairs(raised) do sys.setrlimit(one[1], one[2], one[3]) end
  return ...
end

--- Calls a function that does not raise, with hard limits that are as high as is wanted. Returns what that returns.
---@param wanted table<string, { soft: integer|"unlimited", hard: integer|"unlimited" }>?
---@param call function
---@param ... any  its arguments
return function(wanted, call, ...)
  local raised = {}
  for name, limit in pairs(wanted or {}) do
    local soft, hard = sys.getrlimit(name)
    if soft and hard ~= "unlimited" and (limit.hard == "unlimited" or limit.hard > hard)
      and sys.setrlimit(name, soft, limit.hard) then
      raised[#raised + 1] = { name, soft, hard }
    end
  end
  return put_back(raised, call(...))
end
