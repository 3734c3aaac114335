--- Permission bits as a table of a user's says them: octal digits as text, "1777", or the number that they are.

local validate = require "cella.validate"

local M = {}

local MOST = 4095 -- 07777

-- { others, group, owner } of a mode.
local function classes(mode)
  local result = {}
  for i = 1, 3 do
    result[i] = mode % 8
    mode = math.floor(mode / 8)
  end
  return result
end

local function has(bits, bit) return math.floor(bits / bit) % 2 == 1 end

local function within(bits, of)
  for _, bit in ipairs { 1, 2, 4 } do
    if has(bits, bit) and not has(of, bit) then return false end
  end
  return true
end

-- The owner may read, his group may no more than he may, and others no more than that.
local function is_usual(mode)
  local class = classes(mode)
  return has(class[3], 4) and within(class[2], class[3]) and within(class[1], class[2])
end

-- 1777 for 01777: Lua has no octal numbers, and 0755 is 755 to it too. 511 is what 0777 is, and much more often meant
-- so than 0511.
local function looks_octal(number)
  local digits = ("%.0f"):format(number)
  if #digits < 3 or #digits > 4 or digits:find "[^0-7]" or number == 511 then return false end
  return is_usual(tonumber(digits, 8))
end

-- Octal text as a number; nil where it is none.
local function of_text(text)
  local digits = text:match "^0o([0-7]+)$" or text:match "^[0-7]+$"
  local number = digits and #digits <= 5 and tonumber(digits, 8)
  return number and number <= MOST and number or nil
end

local EXPECTED = 'octal digits as text, "755", or an integer from 0 to 4095 expected, got %s'

--- A mode of a file that is there: any number from 0 to 4095, or octal text. Returns the number.
---@return integer
function M.any(value, path)
  local number = type(value) == "string" and of_text(value) or value
  if not validate.is_integer(number) or number < 0 or number > MOST then
    validate.fail(path, EXPECTED .. "%s", validate.show(value), validate.float_hint(number, 0, MOST))
  end
  return number
end

--- What umask(2) takes away of a mode: octal text. As numbers nearly all that are meant are others, so none are taken.
---@return integer
function M.mask_rule(value, path)
  local mask = type(value) == "string" and of_text(value)
  if not mask or mask > 511 then
    validate.fail(path, 'octal digits as text, "022", up to "777", expected, got %s', validate.show(value))
  end
  return mask
end

--- A mode that somebody has written: the same, but no number whose digits are those of a usual mode. Returns octal
--- text.
---@return string
function M.rule(value, path)
  if type(value) == "number" and looks_octal(value) then
    local meant = tonumber(("%.0f"):format(value), 8)
    validate.fail(path, '%.0f is not the mode 0%o, because Lua has no octal numbers: write "%.0f", or %d', value,
      meant, value, meant)
  end
  return ("%o"):format(M.any(value, path))
end

return M
