--- Sets of capabilities as values (capabilities(7)).
--
-- A set *is* the list of its names, in the order of their numbers: whatever takes a list of capabilities
-- (cella.sys, a plan, a container) takes a set. What a kernel newer than libcap has is in it as its number. The
-- highest is that of the running kernel (pitfalls I02), asked at run time.

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

local function from_digits(digits, shown, path)
  digits = digits:gsub("^0+", "")
  if #digits > 16 then fail(path, "the mask %s has more than 64 bits", shown) end
  local members = names.mask_members(digits)
  for number in pairs(members) do
    if number > M.last then
      fail(path, "the mask %s has bit %d, and this kernel's highest capability is %d (%s)", shown, number, M.last,
        tostring(label[M.last]))
    end
  end
  return members
end

local function from_number(mask, path)
  local whole = mask == math.floor(mask) and (not math.type or math.type(mask) == "integer") -- luacheck: ignore 143
  if not whole or mask < 0 or mask > 9007199254740992 then
    fail(path, "a mask is an integer from 0 to 2^53 (above that: hexadecimal text), not %s", tostring(mask))
  end
  -- In halves: %x of LuaJIT and 5.1 is not sure to take more than 32 bits, and wants no float on 5.3 and later.
  local high = (mask - mask % 4294967296) / 4294967296
  local digits = ("%04x%04x%04x%04x"):format(math.floor(high / 65536), high % 65536,
    math.floor(mask % 4294967296 / 65536), mask % 65536)
  return from_digits(digits, "0x" .. digits:gsub("^0+(.)", "%1"), path)
end

local function add_item(members, item, path)
  if type(item) == "string" then
    local lower = item:lower()
    if lower == "all" then
      for number = 0, M.last do members[number] = true end
      return
    elseif lower == "none" then
      return
    elseif item:sub(1, 1) == "-" and not item:find("^%-%d") then
      members[names.named(item:sub(2), path)] = nil
      return
    end
  end
  members[names.number(item, path)] = true
end

local function from_text(text, path)
  if text:find("\0", 1, true) then fail(path, "the text has a NUL byte in it") end
  local digits = text:match("^0[xX](%x+)$") or #text == 16 and text:match("^%x+$")
  if digits then return from_digits(digits, text, path) end
  local members = {}
  if text:find("^%s*$") then return members end
  for item in (text:gsub("%s*,%s*", ",") .. ","):gmatch("([^,]*),") do
    if item == "" then fail(path, "an empty name in %s", validate.show(text)) end
    for word in item:gmatch("%S+") do add_item(members, word, path) end
  end
  return members
end

--- A rule of cella.validate: whatever caps.set takes, as a set.
function M.rule(value, path)
  if is_set(value) then
    return value
  elseif type(value) == "number" then
    return from_members(from_number(value, path))
  elseif type(value) == "string" then
    return from_members(from_text(value, path))
  elseif type(value) ~= "table" or getmetatable(value) ~= nil then
    fail(path, "a set of capabilities, a list, a text or a mask expected, got %s", validate.show(value))
  end
  local members = {}
  for key in pairs(value) do
    if type(key) ~= "number" or key < 1 or key > #value or key ~= math.floor(key) then
      fail(validate.join(path, key), "no such key in a list of capabilities")
    end
  end
  for i = 1, #value do add_item(members, value[i], validate.join(path, i)) end
  return from_members(members)
end

--- Makes a set from text ("net_raw,cap_chown", "all,-sys_admin"), a list of names and numbers, or a mask (a number,
--- or hexadecimal text: "0x3000", or 16 digits as /proc/PID/status has them). Names with or without `cap_`, in any
--- case; "-name" takes one away from those before it. Raises at a name or number that this kernel does not have.
---@param value any
---@param level integer?  of the caller that an error points to
---@return cella.caps.set
function M.new(value, level)
  if value == nil then error("capabilities: missing", (level or 1) + 1) end
  local set = validate.check(M.rule, value, "capabilities", (level or 1) + 1)
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
