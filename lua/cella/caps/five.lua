--- Five sets of capabilities of a program, each said by itself: what of that the kernel can bring about, and what exec
--- makes of it (capabilities(7)).

local blame = require "cella.blame"
local set = require "cella.caps.set"
local validate = require "cella.validate"

local M = {}

--- As OCI and proc(5) name them.
M.NAMES = { "bounding", "permitted", "effective", "inheritable", "ambient" }

---@class cella.caps.five
---@field bounding cella.caps.mask
---@field permitted cella.caps.mask
---@field effective cella.caps.mask
---@field inheritable cella.caps.mask
---@field ambient cella.caps.mask
local Five = { __name = "cella.caps.five" }
local methods = {}
Five.__index = methods

--- True for what the rule returns.
---@param value any
---@return boolean
function M.is(value) return type(value) == "table" and getmetatable(value) == Five end

--- Whether one of the sets holds a capability: who has it in one may come to have it in effect.
---@param name string
---@return boolean
function methods:has(name)
  for _, field in ipairs(M.NAMES) do
    if self[field]:has(name) then return true end
  end
  return false
end

---@return boolean
function methods:empty() return self.bounding:empty() end

function Five:__tostring()
  local words = {}
  for i, field in ipairs(M.NAMES) do words[i] = ("%s %s"):format(field, tostring(self[field])) end
  return table.concat(words, "; ")
end

local fields = {}
for _, field in ipairs(M.NAMES) do fields[field] = set.mask_rule end
local record = validate.rule.record(fields, nil, nil, "capabilities")

-- Which is in which, and why.
local WITHIN = {
  { "permitted", "bounding", "exec permits nothing that is not in there" },
  { "inheritable", "bounding", "the kernel takes nothing into inheritable that is not in there" },
  { "effective", "permitted", "only what is permitted can be in effect" },
  { "ambient", "permitted", "only what is permitted can be ambient" },
  { "ambient", "inheritable", "only what is inheritable can be ambient" },
}

--- A rule of cella.validate: { bounding =, permitted =, effective =, inheritable =, ambient = }; one that is left out
--- is empty.
---@return cella.caps.five
function M.rule(value, path)
  local sets = record(value, path)
  for _, field in ipairs(M.NAMES) do sets[field] = sets[field] or set.NONE end
  for _, one in ipairs(WITHIN) do
    local field, other, why = one[1], one[2], one[3]
    local lacking = sets[field] - sets[other]
    if not lacking:empty() then
      validate.fail(validate.join(path, field), "%s not in %s: %s (capabilities(7))", tostring(lacking), other, why)
    end
  end
  return setmetatable(sets, Five)
end

--- Masks of all five, from a set, which is all of them, or from what the rule has returned.
---@param value cella.caps.five|cella.caps.set
---@return cella.caps.five|table<string, cella.caps.mask>
function M.masks(value)
  if M.is(value) then return value end
  return set.in_all(value)
end

--- Whether a capability is in effect.
---@param value cella.caps.five|cella.caps.set
---@param name string
---@return boolean
function M.in_effect(value, name)
  if M.is(value) then return value.effective:has(name) end
  return value:has(name)
end

-- What user 0 has after exec.
local function of_root(sets, no_new_privs)
  local more = sets.bounding + sets.inheritable - sets.permitted
  if not no_new_privs and not more:empty() then
    return "permitted", ("user 0 gets by exec all that is in bounding or inheritable, %s too; with no_new_privs it "
      .. "does not"):format(tostring(more))
  end
  local idle = sets.permitted - sets.effective
  if not idle:empty() then
    return "effective", ("user 0 has in effect after exec all that it is permitted, %s too"):format(tostring(idle))
  end
  return nil
end

-- And everybody else.
local function of_user(sets, uid)
  local lost = sets.permitted - sets.ambient
  if not lost:empty() then
    return "permitted", ("exec leaves user %.0f what is ambient: %s has to be in ambient and inheritable too"):format(
      uid, tostring(lost))
  end
  local idle = sets.ambient - sets.effective
  if not idle:empty() then
    return "effective", ("what is ambient is in effect after exec, %s too"):format(tostring(idle))
  end
  return nil
end

--- Why a program, of a file without capabilities and set-ID bits, will not have these sets after exec; nil where it
--- will.
---@param sets cella.caps.five
---@param uid integer  inside
---@param no_new_privs boolean
---@return string? key, string? why
function M.exec_changes(sets, uid, no_new_privs)
  if uid == 0 then return of_root(sets, no_new_privs) end
  return of_user(sets, uid)
end

--- Raises where exec would make other sets of them.
---@param value cella.caps.five|cella.caps.set
---@param uid integer
---@param no_new_privs boolean
function M.check(value, uid, no_new_privs)
  if not M.is(value) then return end
  local key, why = M.exec_changes(value, uid, no_new_privs)
  if key then blame(("capabilities.%s: %s (capabilities(7))"):format(key, why)) end
end

return M
