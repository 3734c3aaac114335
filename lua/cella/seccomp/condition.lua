--- A condition on an argument of a system call: { 0, "in", { "unix", "inet" } }, { 1, "==", 5 }, { 0, "&", "user" }.
--
-- Compared is what the kernel itself reads of the argument, without a sign: of an int the lower half of the register,
-- whatever a program has left in the other.

local ascii = require "cella.ascii"
local calls = require "cella.seccomp.calls"
local constants = require "cella.seccomp.constants"
local lists = require "cella.list"
local validate = require "cella.validate"
local word = require "cella.seccomp.word"

local fail, join = validate.fail, validate.join
local M = {}

---@class cella.seccomp.condition
---@field index integer
---@field op string
---@field bits integer     how many of the argument are compared
---@field values string[]  words (cella.seccomp.word): what it is compared with; of "&==" the mask and the value

local OPERATORS = { "==", "~=", "<", "<=", ">", ">=", "in", "&", "&==" }
local operator_rule = validate.rule.one_of(OPERATORS)
local index_rule = validate.rule.integer(0, 5)

local MOST = 9007199254740992

-- In a filter each takes an instruction at least, of which there may be so many.
local MOST_VALUES = 4096

-- One number, name or hexadecimal text, as a word.
local function value_word(value, path, call, index, bits)
  local found
  if type(value) == "string" then
    local digits = value:match "^0[xX]([0-9a-fA-F]+)$"
    if digits then
      digits = ascii.lower((digits:gsub("^0+", "")))
      if #digits > 16 then fail(path, "%s has more than 64 bits", validate.show(value)) end
      found = ("0"):rep(16 - #digits) .. digits
    else
      local names = constants.of(call.name, index)
      if not names[value] then
        local known = lists.sorted_keys(names)
        local near = validate.nearest(value, known)
        fail(path, "%s is no value of argument %d of %s%s", validate.show(value), index, call.name,
          near and "; did you mean '" .. near .. "'?" or #known == 0 and ": its values are numbers" or "")
      end
      found = word.of_number(names[value])
    end
  else
    local number = validate.rule.integer(-MOST, MOST)(value, path)
    local negative = number < 0
    if negative and bits < 64 then
      if number < -2 ^ (bits - 1) then
        fail(path, "%s is less than an argument of %d bits can be", validate.show(value), bits)
      end
      number = number + 2 ^ bits
    end
    found = word.of_number(number)
  end
  if word.lowest(found, bits) ~= found then
    fail(path, "%s has more bits than the kernel reads of argument %d of %s, which are %d", validate.show(value),
      index, call.name, bits)
  end
  return found
end

-- Flags: one, or several in a list, or'ed together.
local function mask_word(value, path, call, index, bits)
  if type(value) ~= "table" then return value_word(value, path, call, index, bits) end
  validate.check_plain(value, path, "a list")
  local result = word.ZERO
  for i = 1, validate.count_items(value, path) do
    result = word.either(result, value_word(value[i], join(path, i), call, index, bits))
  end
  return result
end

local function sorted_set(words)
  local seen, result = {}, {}
  for _, one in ipairs(words) do
    if not seen[one] then result[#result + 1] = one end
    seen[one] = true
  end
  table.sort(result)
  return result
end

local function expect_items(value, path, expected, got)
  if got == expected then return end
  fail(path, "%d items expected, { ARGUMENT, %q, %s }, got %d", expected, value[2],
    value[2] == "in" and "{ VALUE, ... }" or value[2] == "&==" and "MASK, VALUE" or "VALUE", got)
end

--- A rule: checks a condition on an argument of `call`.
---@param value any
---@param path string
---@param call cella.seccomp.call
---@return cella.seccomp.condition
function M.rule(value, path, call)
  validate.check_plain(value, path, '{ ARGUMENT, "==", VALUE }')
  local count = validate.count_items(value, path, "a condition")
  local index = index_rule(value[1], join(path, 1))
  local op = operator_rule(value[2], join(path, 2))
  local bits, is_address = calls.width(call, index)
  if not bits then
    fail(join(path, 1), call.arguments == "" and "%s has no argument" or "%s has no argument %d: the first is 0, and "
      .. "it has %d", call.name, index, #call.arguments)
  elseif is_address then
    fail(join(path, 1), "argument %d of %s is an address, and a filter does not see what lies there", index, call.name)
  end
  expect_items(value, path, op == "&==" and 4 or 3, count)
  local condition = { index = index, op = op, bits = bits, values = {} }
  if op == "in" then
    local items = value[3]
    validate.check_plain(items, join(path, 3), "a list")
    local many = validate.count_items(items, join(path, 3))
    if many == 0 then fail(join(path, 3), "an empty list: the condition would never hold") end
    if many > MOST_VALUES then fail(join(path, 3), "%d values, and no filter has room for them", many) end
    for i = 1, many do
      condition.values[i] = value_word(items[i], join(join(path, 3), i), call, index, bits)
    end
    condition.values = sorted_set(condition.values)
    if #condition.values == 1 then condition.op = "==" end
    return condition
  end
  local is_mask = op == "&" or op == "&=="
  for i = 3, count do
    local read = is_mask and mask_word or value_word
    condition.values[i - 2] = read(value[i], join(path, i), call, index, bits)
  end
  local first, second = condition.values[1], condition.values[2]
  if is_mask and first == word.ZERO then
    fail(join(path, 3), "no bit: the condition would %s hold", op == "&" and "never" or "always")
  elseif second and word.both(first, second) ~= second then
    fail(join(path, 4), "has bits that are not in the mask: the condition would never hold")
  end
  local highest = ("0"):rep(16 - bits / 4) .. ("f"):rep(bits / 4)
  if (op == "<" or op == ">=") and first == word.ZERO or (op == ">" or op == "<=") and first == highest then
    fail(join(path, 3), "the condition would %s hold: arguments are compared without a sign",
      (op == "<" or op == ">") and "never" or "always")
  elseif (op == "<" or op == "<=" or op == ">" or op == ">=") and type(value[3]) == "number" and value[3] < 0 then
    fail(join(path, 3), "arguments are compared without a sign: none is below 0")
  end
  return condition
end

local HOLDS = {
  ["=="] = function(have, values) return have == values[1] end,
  ["~="] = function(have, values) return have ~= values[1] end,
  ["<"] = function(have, values) return have < values[1] end,
  ["<="] = function(have, values) return have <= values[1] end,
  [">"] = function(have, values) return have > values[1] end,
  [">="] = function(have, values) return have >= values[1] end,
  ["in"] = function(have, values) return lists.contains(values, have) end,
  ["&"] = function(have, values) return word.both(have, values[1]) ~= word.ZERO end,
  ["&=="] = function(have, values) return word.both(have, values[1]) == values[2] end,
}

--- Whether it holds of the arguments of a call.
---@param condition cella.seccomp.condition
---@param arguments string[]  words; the first argument is item 1
---@return boolean
function M.holds(condition, arguments)
  return HOLDS[condition.op](word.lowest(arguments[condition.index + 1] or word.ZERO, condition.bits), condition.values)
end

local function shown(name, condition, value)
  local high, low = word.halves(value)
  local constant = high == 0 and constants.name(name, condition.index, low)
  return constant and ("%q"):format(constant) or word.text(value)
end

-- A mask by the names of its flags.
local function shown_mask(name, condition, value)
  local high, low = word.halves(value)
  local names = high == 0 and constants.flags(name, condition.index, low)
  if not names or #names < 2 then return shown(name, condition, value) end
  return '{ "' .. table.concat(names, '", "') .. '" }'
end

--- The condition as Lua: what M.rule takes.
---@param condition cella.seccomp.condition
---@param name string  of the call
---@return string
function M.text(condition, name)
  local items = {}
  local is_mask = condition.op == "&" or condition.op == "&=="
  for i, value in ipairs(condition.values) do
    items[i] = (is_mask and i == 1 and shown_mask or shown)(name, condition, value)
  end
  local words = table.concat(items, ", ")
  return ('{ %d, "%s", %s }'):format(condition.index, condition.op,
    condition.op == "in" and "{ " .. words .. " }" or words)
end

local WORDS = {
  ["=="] = "is %s", ["~="] = "is not %s", ["<"] = "is below %s", ["<="] = "is at most %s", [">"] = "is above %s",
  [">="] = "is at least %s", ["in"] = "is one of %s", ["&"] = "has a bit of %s", ["&=="] = "masked with %s is %s",
}

--- The condition in words.
---@param condition cella.seccomp.condition
---@param name string  of the call
---@return string
function M.words(condition, name)
  local items = {}
  local is_mask = condition.op == "&" or condition.op == "&=="
  for i, value in ipairs(condition.values) do
    items[i] = (is_mask and i == 1 and shown_mask or shown)(name, condition, value):gsub('"', "")
    items[i] = items[i]:gsub("^{ (.*) }$", "%1")
  end
  if condition.op == "in" then items = { table.concat(items, ", ") } end
  return ("argument %d (%d bits) "):format(condition.index, condition.bits)
    .. WORDS[condition.op]:format(items[1], items[2])
end

return M
