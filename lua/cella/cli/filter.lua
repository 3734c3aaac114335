--- Policies of system calls as words of a command line: a name, or a file that returns one.

local common = require "cella.cli.common"
local lists = require "cella.list"
local seccomp = require "cella.seccomp"
local validate = require "cella.validate"

local M = {}

local function no_policy(word, message)
  local file = io.open(word)
  if file then
    file:close()
    common.stop("%s", message)
  end
  local names = seccomp.names()
  names[#names + 1] = "none"
  local near = validate.nearest(word, names)
  common.stop("%s: no policy (%s), and no file%s", word, table.concat(names, ", "),
    near and "; did you mean '" .. near .. "'?" or "")
end

--- The policy that a word means; false where that is none. Stops the command where it means nothing; what is wrong with
--- a policy is the second result.
---@param word string
---@return cella.seccomp.policy|false|nil policy, string? problem
function M.read(word)
  if word == "none" then return false end
  if lists.contains(seccomp.names(), word) then return seccomp.named(word) end
  local chunk, message = loadfile(word)
  if not chunk then no_policy(word, message) end
  local ok, value = pcall(chunk)
  if not ok then return nil, tostring(value) end
  if type(value) ~= "table" then
    return nil, ("%s: returns no policy: the last line has to be `return seccomp.policy { ... }`, or a policy's table")
      :format(word)
  end
  local policy
  ok, policy = pcall(seccomp.rule, value, "")
  if ok then return policy end
  if type(policy) == "table" and policy.validation then
    return nil, ("%s: %s"):format(word, (policy.validation:gsub("^: ", "")))
  end
  error(policy, 0)
end

--- The same, for who has no use for one that is wrong.
---@param word string
---@return cella.seccomp.policy|false
function M.take(word)
  local policy, problem = M.read(word)
  if policy == nil then common.stop("%s", problem) end
  return policy
end

--- What the key `seccomp` is for a word. Two names are said as names: to them a capability that is kept opens calls.
---@param word string
---@return cella.seccomp.policy|string|false
function M.key(word)
  if word == "default" or word == "nesting" then return word end
  return M.take(word)
end

return M
