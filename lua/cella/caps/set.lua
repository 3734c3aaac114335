--- Sets of capabilities as values (capabilities(7)).
--
-- A set *is* the list of its names, in the order of their numbers: whatever takes a list of capabilities
-- (cella.sys, a plan, a container) takes a set. What a kernel newer than libcap has is in it as its number. The
-- highest is that of the running kernel, asked at run time.

local core = require "cella.core"
local names = require "cella.caps.names"
local validate = require "cella.validate"

---@class cella.caps.set
---@operator add(any): cella.caps.set
---@operator sub(any): cella.caps.set
---@operator mul(any): cella.caps.set
---@operator unm: cella.caps.set
local Set = { __name = "cella.caps.set" }
local methods = {}

local M = {}

M.last = names.last

local label, number_of = names.label, names.number_of

-- From a table of numbers (number -> true) to the value.
local function from_members(members)
  local list = {}
  for number = 0, M.last do
    if members[number] then list[#list + 1] = label[number] end
  end
  return setmetatable(list, Set)
end

local function is_set(value)
  return type(value) == "table" and getmetatable(value) == Set
end
M.is = is_set

local function members_of(set)
  local members = {}
  for _, item in ipairs(set) do members[number_of[item] or item] = true end
  return members
end

local fail = validate.fail

local function from_number(mask, path)
  local whole = mask == math.floor(mask) and (not math.type or math.type(mask) == "integer") -- luacheck: ignore 143
  if not whole or mask < 0 or mask > 9007199254740992 then
    fail(path, "a mask is an integer from 0 to 2^53 (above that: hexadecimal text), not %s", tostring(mask))
  end
  -- In halves: %x of LuaJIT and 5.1 is not sure to take more than 32 bits, and wants no float on 5.3 and later.
  local high = (mask - mask % 4294967296) / 4294967296
  local digits = ("%04x%04x%04x%04x"):format(math.floor(high / 65536), high % 65536,
    math.floor(mask % 4294967296 / 65536), mask % 65536)
  local read, problem = core.caps.read(digits)
  if not read then fail(path, "%s", problem) end
  return names.mask_members(read)
end

--- A rule of cella.validate: a list or a text, as a set. (Not a number: 13 could be a capability, or a mask of three.)
function M.rule(value, path)
  if is_set(value) then return value end
  if type(value) ~= "string" and type(value) ~= "table" or type(value) == "table" and getmetatable(value) ~= nil then
    fail(path, "a set of capabilities, a list or a text expected, got %s%s", validate.show(value),
      type(value) == "number" and " (a capability by its number is { number }, a mask is caps.set(number))" or "")
  end
  local digits, problem, item, name = core.caps.read(value)
  if digits then return from_members(names.mask_members(digits)) end
  if not item and type(value) == "table" then
    for key in pairs(value) do
      if type(key) ~= "number" or key < 1 or key > #value or key ~= math.floor(key) then
        fail(validate.join(path, key), "no such key in a list of capabilities")
      end
    end
  end
  fail(item and validate.join(path, item) or path, "%s%s", problem, name and names.instead_of(name) or "")
end

--- Makes a set from text ("net_raw,cap_chown", "all,-sys_admin"), a list of names and numbers, or a mask (a number,
--- or hexadecimal text: "0x3000", or 16 digits as /proc/PID/status has them). Names with or without `cap_`, in any
--- case; "-name" takes one away from those before it. Raises at a name or number that this kernel does not have.
---@param value any
---@param level integer?  of the caller that an error points to
---@return cella.caps.set
function M.new(value, level)
  if value == nil then error("capabilities: missing", (level or 1) + 1) end
  local set
  if type(value) == "number" then
    local function mask(number, path) return from_members(from_number(number, path)) end
    set = validate.check(mask, value, "capabilities", (level or 1) + 1)
  else
    set = validate.check(M.rule, value, "capabilities", (level or 1) + 1)
  end
  return set -- no tail call: the level counts this frame
end

--- Every capability of the running kernel.
---@return cella.caps.set
function M.all()
  return from_members(names.mask_members(("f"):rep(16)))
end

--- A set from the mask of 16 digits that the core gives. Bits that this kernel does not have are left out.
function M.from_mask(digits)
  return from_members(names.mask_members(digits))
end

M.none = from_members {}

local function operands(a, b)
  return members_of(M.new(a, 3)), members_of(M.new(b, 3))
end

function Set.__add(a, b)
  a, b = operands(a, b)
  for number in pairs(b) do a[number] = true end
  return from_members(a)
end

function Set.__sub(a, b)
  a, b = operands(a, b)
  for number in pairs(b) do a[number] = nil end
  return from_members(a)
end

function Set.__mul(a, b)
  a, b = operands(a, b)
  local both = {}
  for number in pairs(a) do both[number] = b[number] end
  return from_members(both)
end

-- Lua compares two sets only; whether they are the same lists is the same question.
function Set.__eq(a, b)
  return table.concat(a, ",") == table.concat(b, ",")
end

function Set.__le(a, b)
  a, b = operands(a, b)
  for number in pairs(a) do
    if not b[number] then return false end
  end
  return true
end

function Set.__lt(a, b)
  return a <= b and a ~= b
end

--- `-set`: every capability of this kernel that is not in it.
function Set.__unm(a)
  return M.all() - a
end

--- "none", "all", the names with commas, or "all,-name" where those that lack are fewer; caps.set takes it back.
function Set:__tostring()
  if #self == 0 then return "none" end
  if #self == M.last + 1 then return "all" end
  -- A number behind "-" would not be read as one that lacks.
  local lacking = #self > (M.last + 1) / 2 and (-self):names() or {}
  for _, item in ipairs(lacking) do
    if type(item) == "number" then lacking = {} end
  end
  if #lacking == 0 then return table.concat(self, ",") end
  return "all,-" .. table.concat(lacking, ",-")
end

function Set.__newindex()
  error("a set of capabilities does not change: make another with + and -", 2)
end

Set.__index = methods

--- Whether it holds a capability. Raises at a name that there is not.
---@param name string|integer
---@return boolean
function methods:has(name)
  local number = validate.check(names.number, name, "capability", 2)
  return members_of(self)[number] == true
end

--- Whether it holds every one of another set.
---@param other any
---@return boolean
function methods:contains(other)
  return M.new(other, 2) <= self
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
    if item ~= nil then return number_of[item] or item, item end
  end
end

--- The mask as 16 hexadecimal digits, as /proc/PID/status shows it (proc(5)).
---@return string
function methods:mask()
  local members, digits = members_of(self), {}
  for position = 60, 0, -4 do
    local nibble = 0
    for bit = 3, 0, -1 do nibble = nibble * 2 + (members[position + bit] and 1 or 0) end
    digits[#digits + 1] = ("%x"):format(nibble)
  end
  return table.concat(digits)
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
