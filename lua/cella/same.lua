--- Whether two processes are in the same namespaces (namespaces(7)).
---
---     local same = assert(cella.same(4242, 4243))
---     print(same)
---     print(same.all, same.user.same)

local core = require "cella.core"
local Error = require "cella.error"
local kinds = require "cella.kinds"
local targets = require "cella.enter.target"
local validate = require "cella.validate"

local M = {}

---@class cella.same.namespace
---@field same boolean
---@field first integer   the number of the first process's
---@field second integer

---@class cella.same  a field for each type of namespaces that was asked for and that the kernel has
---@field all boolean           whether all are the same
---@field [string] cella.same.namespace
local Same = { __name = "cella.same" }
Same.__index = Same

function Same:__tostring()
  local lines = {}
  for _, kind in ipairs(kinds.list) do
    local one = rawget(self, kind)
    if one then
      lines[#lines + 1] = one.same and ("%-6s  the same   %.0f"):format(kind, one.first)
        or ("%-6s  different  %.0f  %.0f"):format(kind, one.first, one.second)
    end
  end
  return table.concat(lines, "\n")
end

local rule = validate.rule
local pid_rule = rule.integer(1, 2147483647)
local kind_rule = rule.one_of(kinds.list)

-- Not every kernel has them all.
local function is_there(kind) return core.inode("/proc/self/ns/" .. kinds.link(kind)) ~= nil end

local function compare(one, other, wanted)
  local same = setmetatable({ all = true }, Same)
  for _, kind in ipairs(wanted) do
    if is_there(kind) then
      local first, second, err
      first, err = one:inode(kind)
      if not first then return nil, err end
      second, err = other:inode(kind)
      if not second then return nil, err end
      same[kind] = { same = first == second, first = first, second = second }
      same.all = same.all and first == second
    end
  end
  for _, target in ipairs { one, other } do
    if target:ended() then
      return nil, Error.new { op = "same", errno = 3, path = ("/proc/%d"):format(target.pid),
        why = ("process %d has ended meanwhile"):format(target.pid) }
    end
  end
  return same
end

local function named(result, err)
  if err and err.op == "enter" then err.op = "same" end
  return result, err
end

--- Compares the namespaces of two processes. Both are held meanwhile, so that their numbers stay their own.
---@param one integer
---@param other integer
---@param types string[]?  "user", "mount" and so on; all where none are named
---@return cella.same?, cella.error?
function M.of(one, other, types)
  validate.check(pid_rule, one, "one")
  validate.check(pid_rule, other, "other")
  if types ~= nil then types = validate.check(rule.list(kind_rule), types, "types") end
  local first, err = targets.hold(one)
  if not first then return named(nil, err) end
  local second
  second, err = targets.hold(other)
  if not second then
    first:close()
    return named(nil, err)
  end
  local same
  same, err = compare(first, second, types or kinds.list)
  first:close()
  second:close()
  return named(same, err)
end

return M
