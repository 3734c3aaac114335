--- Numbers of 64 bits, as a filter compares them, in every Lua: 16 hexadecimal digits.

local M = {}

local HALF = 4294967296

--- The word of two halves.
---@param high number  0 to 2^32-1
---@param low number
---@return string
function M.of_halves(high, low)
  return ("%08x%08x"):format(high, low)
end

--- The two halves of a word.
---@param word string
---@return number high, number low
function M.halves(word)
  return tonumber(word:sub(1, 8), 16), tonumber(word:sub(9), 16)
end

--- The word of an integer from -2^53 to 2^53; what is below zero in two's complement.
---@param number number
---@return string
function M.of_number(number)
  return M.of_halves(math.floor(number / HALF) % HALF, number % HALF)
end

--- The lowest bits of a word, the others 0.
---@param word string
---@param bits integer  a multiple of 4
---@return string
function M.lowest(word, bits)
  local digits = bits / 4
  return ("0"):rep(16 - digits) .. word:sub(17 - digits)
end

local function each_digit(one, other, act)
  local digits = {}
  for i = 1, 16 do
    local a, b = tonumber(one:sub(i, i), 16), tonumber(other:sub(i, i), 16)
    local result, bit = 0, 1
    for _ = 1, 4 do
      if act(a % 2, b % 2) then result = result + bit end
      a, b, bit = math.floor(a / 2), math.floor(b / 2), bit * 2
    end
    digits[i] = ("%x"):format(result)
  end
  return table.concat(digits)
end

--- The bits that are in both.
---@return string
function M.both(one, other)
  return each_digit(one, other, function(a, b) return a == 1 and b == 1 end)
end

--- The bits that are in either.
---@return string
function M.either(one, other)
  return each_digit(one, other, function(a, b) return a == 1 or b == 1 end)
end

--- The bits of one that are not in the other.
---@return string
function M.without(one, other)
  return each_digit(one, other, function(a, b) return a == 1 and b == 0 end)
end

M.ZERO = ("0"):rep(16)

--- As Lua has it: a decimal number, or hexadecimal text above 2^53.
---@param word string
---@return string
function M.text(word)
  local high, low = M.halves(word)
  if high < 2097152 then return ("%.0f"):format(high * HALF + low) end
  return ('"0x%s"'):format((word:gsub("^0+", "")))
end

return M
