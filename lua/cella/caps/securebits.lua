--- The securebits flags of a process as lists of names (capabilities(7), "The securebits flags").

local validate = require "cella.validate"

local M = {}

--- In the order of their bits; each lock follows what it locks.
M.names = {
  "noroot", "noroot_locked", "no_setuid_fixup", "no_setuid_fixup_locked", "keep_caps", "keep_caps_locked",
  "no_cap_ambient_raise", "no_cap_ambient_raise_locked", "exec_restrict_file", "exec_restrict_file_locked",
  "exec_deny_interactive", "exec_deny_interactive_locked",
}

local BIT = {}
for i, name in ipairs(M.names) do BIT[name] = 2 ^ (i - 1) end

local list_rule = validate.rule.list(validate.rule.one_of(M.names))

local function from_members(members)
  local list = {}
  for _, name in ipairs(M.names) do
    if members[name] then list[#list + 1] = name end
  end
  return list
end

--- The names as the keys of a table.
---@param list string[]
---@return table<string, true>
function M.members(list)
  local members = {}
  for _, name in ipairs(list) do members[name] = true end
  return members
end

--- A rule of cella.validate: a list of names, in any order; a copy in the order of the bits.
function M.rule(value, path)
  return from_members(M.members(list_rule(value, path)))
end

--- The number that prctl(2) takes.
---@param list string[]
---@return integer
function M.number(list)
  local number = 0
  for _, name in ipairs(list) do number = number + BIT[name] end
  return math.floor(number)
end

--- The names of a number; nil where it has bits without a name.
---@param number integer
---@return string[]?
function M.from_number(number)
  local members = {}
  for _, name in ipairs(M.names) do
    if number % 2 == 1 then members[name] = true end
    number = math.floor(number / 2)
  end
  if number > 0 then return nil end
  return from_members(members)
end

function M.has(list, wanted)
  for _, name in ipairs(list) do
    if name == wanted then return true end
  end
  return false
end

function M.with(list, wanted)
  local members = M.members(list)
  members[wanted] = true
  return from_members(members)
end

function M.without(list, unwanted)
  local copy = {}
  for _, name in ipairs(list) do
    if name ~= unwanted then copy[#copy + 1] = name end
  end
  return copy
end

function M.equal(a, b)
  return table.concat(a, ",") == table.concat(b, ",")
end

return M
