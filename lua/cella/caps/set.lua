--- Sets of capabilities as values (capabilities(7)).
--
-- A set *is* the list of its names, in the order of their numbers: whatever takes a list of capabilities
-- (cella.sys, a plan, a container) takes a set. What a kernel newer than libcap has is in it as its number. The
-- highest is that of the running kernel, asked at run time.
--
-- Inside of cella.caps a set is a mask, a value of the core with the same algebra: the list is made for who asks.

local blame = require "cella.blame"
local core = require "cella.core"
local names = require "cella.caps.names"
local validate = require "cella.validate"

---@class cella.caps.mask
---@operator add(cella.caps.mask): cella.caps.mask
---@operator sub(cella.caps.mask): cella.caps.mask
---@operator mul(cella.caps.mask): cella.caps.mask
---@operator unm: cella.caps.mask

---@class cella.caps.set
---@operator add(any): cella.caps.set
---@operator sub(any): cella.caps.set
---@operator mul(any): cella.caps.set
---@operator unm: cella.caps.set
local Set = { __name = "cella.caps.set" }
local methods = {}

local M = {}

M.last = names.last

local NONE = core.caps.mask(("0"):rep(16))

--- Masks: of nothing, and of all that the running kernel has.
M.NONE, M.ALL = NONE, -NONE

--- The set of a mask. Bits that this kernel does not have are left out.
---@param mask cella.caps.mask
---@return cella.caps.set
function M.of(mask)
  return setmetatable(mask:names(), Set)
end

local function is_set(value)
  return type(value) == "table" and getmetatable(value) == Set
end
M.is = is_set

local fail = validate.fail

local function from_number(number, path)
  local whole = number == math.floor(number)
    and (not math.type or math.type(number) == "integer") -- luacheck: ignore 143
  if not whole or number < 0 or number > 9007199254740992 then
    fail(path, "a mask is an integer from 0 to 2^53 (above that: hexadecimal text), not %s", tostring(number))
  end
  -- In halves: %x of LuaJIT and 5.1 is not sure to take more than 32 bits, and wants no float on 5.3 and later.
  local high = (number - number % 4294967296) / 4294967296
  local digits = ("%04x%04x%04x%04x"):format(math.floor(high / 65536), high % 65536,
    math.floor(number % 4294967296 / 65536), number % 65536)
  local mask, problem = core.caps.read(digits)
  if not mask then fail(path, "%s", problem) end
  return mask
end

--- A rule of cella.validate: a list, a text or a set, as a mask. (Not a number: 13 could be a capability, or a mask of
--- three.)
function M.mask_rule(value, path)
  local kind = type(value)
  if kind == "userdata" then
    local mask = core.caps.read(value)
    if mask then return mask end
  end
  if kind ~= "table" and kind ~= "string" or kind == "table" and getmetatable(value) ~= nil and not is_set(value) then
    fail(path, "a set of capabilities, a list or a text expected, got %s%s", validate.show(value),
      kind == "number" and " (a capability by its number is { number }, a mask is caps.set(number))" or "")
  end
  local mask, problem, item, name = core.caps.read(value)
  if mask then return mask end
  if not item and kind == "table" then
    validate.count_items(value, path, "a list of capabilities")
  end
  fail(item and validate.join(path, item) or path, "%s%s", problem, name and names.instead_of(name) or "")
end

--- The same, as a set.
function M.rule(value, path)
  return is_set(value) and value or M.of(M.mask_rule(value, path))
end

local function any_rule(value, path)
  return type(value) == "number" and from_number(value, path) or M.mask_rule(value, path)
end

--- The mask of whatever M.new takes.
---@param value any
---@return cella.caps.mask
function M.mask(value)
  if value == nil then blame("capabilities: missing") end
  return validate.check(any_rule, value, "capabilities")
end

--- Five masks that are the same: who is to have these capabilities and no others, through exec too.
---@param value any  as of M.mask
---@return table<"bounding"|"permitted"|"effective"|"inheritable"|"ambient", cella.caps.mask>
function M.in_all(value)
  local keep = M.mask(value)
  return { bounding = keep, permitted = keep, effective = keep, inheritable = keep, ambient = keep }
end

--- Makes a set from text ("net_raw,cap_chown", "all,-sys_admin"), a list of names and numbers, or a mask (a number,
--- or hexadecimal text: "0x3000", or 16 digits as /proc/PID/status has them). Names with or without `cap_`, in any
--- case; "-name" takes one away from those before it. Raises at a name or number that this kernel does not have.
---@param value any
---@return cella.caps.set
function M.new(value)
  if is_set(value) then return value end
  return M.of(M.mask(value))
end

--- Every capability of the running kernel.
---@return cella.caps.set
function M.all()
  return M.of(M.ALL)
end

M.none = M.of(NONE)

function Set.__add(a, b)
  return M.of(M.mask(a) + M.mask(b))
end

function Set.__sub(a, b)
  return M.of(M.mask(a) - M.mask(b))
end

function Set.__mul(a, b)
  return M.of(M.mask(a) * M.mask(b))
end

-- Lua compares two sets only; whether they are the same lists is the same question.
function Set.__eq(a, b)
  return table.concat(a, ",") == table.concat(b, ",")
end

function Set.__le(a, b)
  return M.mask(b):contains(M.mask(a))
end

function Set.__lt(a, b)
  return a <= b and a ~= b
end

--- `-set`: every capability of this kernel that is not in it.
function Set.__unm(a)
  return M.of(-M.mask(a))
end

--- "none", "all", the names with commas, or "all,-name" where those that lack are fewer; caps.set takes it back.
function Set:__tostring()
  return tostring(M.mask(self))
end

function Set.__newindex()
  blame("a set of capabilities does not change: make another with + and -")
end

Set.__index = methods

--- Whether it holds a capability. Raises at a name that there is not.
---@param name string|integer
---@return boolean
function methods:has(name)
  local number = validate.check(names.number, name, "capability")
  return M.mask(self):has(number)
end

--- Whether it holds every one of another set.
---@param other any
---@return boolean
function methods:contains(other)
  local mask = M.mask(other)
  return M.mask(self):contains(mask)
end

--- Its names as a new plain list, in the order of their numbers.
---@return (string|integer)[]
function methods:names()
  local list = {}
  for i, item in ipairs(self) do list[i] = item end
  return list
end

--- `for number, name in set:each() do`; an unnamed one has its number for a name.
function methods:each()
  local i = 0
  return function()
    i = i + 1
    local item = rawget(self, i)
    if item ~= nil then return names.number_of[item] or item, item end
  end
end

--- The mask as 16 hexadecimal digits, as /proc/PID/status shows it (proc(5)).
---@return string
function methods:mask()
  return M.mask(self):digits()
end

--- Whether it is empty.
---@return boolean
function methods:empty()
  return rawget(self, 1) == nil
end

--- Those of this kernel that it does not hold: `-set`.
---@return cella.caps.set
function methods:complement()
  return -self
end

return M
