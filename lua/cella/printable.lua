--- Text for a terminal. Names of files and processes are their owners' to choose, and a terminal obeys the escape
--- sequences in them: control characters (of ASCII and of ISO 6429's second set, which is 128 to 159) and what is no
--- UTF-8 are shown as \xHH, and so are characters that end a line or turn the order in which the rest of it is shown
--- (U+2028 to U+202E, U+2066 to U+2069). Other UTF-8 stays as it is, and so does a backslash: what is shown is to be
--- read, not to be undone.

local M = {}

local function escaped(byte) return ("\\x%02x"):format(byte) end

-- The bytes that a UTF-8 sequence with this first byte has, and the range of the second: none too long, no surrogate,
-- nothing beyond U+10FFFF, and no control character.
local function shape(first)
  if first == 194 then return 2, 160, 191 end
  if first > 194 and first < 224 then return 2, 128, 191 end
  if first == 224 then return 3, 160, 191 end
  if first == 237 then return 3, 128, 159 end
  if first > 224 and first < 240 then return 3, 128, 191 end
  if first == 240 then return 4, 144, 191 end
  if first > 240 and first < 244 then return 4, 128, 191 end
  if first == 244 then return 4, 128, 143 end
end

local function size_of_sequence(bytes, at)
  local size, low, high = shape(bytes:byte(at))
  if not size or at + size - 1 > #bytes then return nil end
  for i = at + 1, at + size - 1 do
    local byte = bytes:byte(i)
    if byte < low or byte > high then return nil end
    low, high = 128, 191
  end
  return size
end

-- U+2028 to U+202E, and U+2066 to U+2069.
local function is_of_layout(bytes, at)
  local first, second, third = bytes:byte(at, at + 2)
  if first ~= 226 then return false end
  return second == 128 and third >= 168 and third <= 174 or second == 129 and third >= 166 and third <= 169
end

local function beyond_ascii(bytes, with_layout)
  local parts, at = {}, 1
  while at <= #bytes do
    local size = size_of_sequence(bytes, at)
    if size and not with_layout and is_of_layout(bytes, at) then size = nil end
    parts[#parts + 1] = size and bytes:sub(at, at + size - 1) or escaped(bytes:byte(at))
    at = at + (size or 1)
  end
  return table.concat(parts)
end

local function control(character) return escaped(character:byte()) end

--- What is escaped further, as in JSON: ASCII stays as it is, control characters too; what is beyond it and no UTF-8
--- is shown as \xHH.
---@param text string
---@return string
function M.utf8(text)
  return (text:gsub("[\128-\255]+", function(bytes) return beyond_ascii(bytes, true) end))
end

--- Text of several lines: newlines and tabs stay.
---@param text string
---@return string
function M.text(text)
  return (text:gsub("[%z\1-\8\11-\31\127]", control):gsub("[\128-\255]+", beyond_ascii))
end

--- What is on one line with other things: newlines and tabs are shown as well.
---@param text string
---@return string
function M.line(text)
  return (text:gsub("[%z\1-\31\127]", control):gsub("[\128-\255]+", beyond_ascii))
end

return M
