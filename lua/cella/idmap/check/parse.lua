--- Reads the text of a map as others read it: the kernel (map_write in kernel/user_namespace.c), and newuidmap(1).
--- Both are careless, and each in its own way, so that a text may be accepted and mean something else.

local read = require "cella.idmap.read"

local M = {}

local WRAP = 4294967296
local PAGE = 4096
M.MAX_EXTENTS = 340

-- isspace() of the kernel, which counts the no-break space of Latin-1.
local BLANK = "[ \t\v\f\r\n\160]*"

-- simple_strtoul() into 32 bits: what is too large loses its upper bits.
local function truncated(digits)
  local value = 0
  for digit in digits:gmatch("%d") do value = (value * 10 + tonumber(digit)) % WRAP end
  return value
end

local NAMES = { "inside", "outside", "count" }

local function refuse(rule, remedy)
  return nil, "EINVAL", rule, remedy
end

-- The three numbers of a line, as text; nil where the kernel finds something else.
local function numbers_of(line)
  local found = { line:match("^" .. BLANK .. "(%d+)([^%d].-)(%d+)([^%d].-)(%d+)" .. BLANK .. "$") }
  if #found ~= 5 then return nil end
  for _, gap in ipairs { found[2], found[4] } do
    if not gap:find("^" .. BLANK .. "$") then return nil end
  end
  return { found[1], found[3], found[5] }
end

local function overlap(extents, new)
  for number, old in ipairs(extents) do
    for _, side in ipairs { "inside", "outside" } do
      local first = math.max(old[side], new[side])
      if first < math.min(old[side] + old.count, new[side] + new.count) then return number, side, first end
    end
  end
end

--- Checks one extent as map_write does; `number` is its position. Nothing if there is nothing wrong.
local function fault(extent, number, extents)
  for _, side in ipairs { "inside", "outside" } do
    if extent[side] == WRAP - 1 then
      return refuse(("range %d: %s ID 4294967295 is reserved: it means \"no ID\""):format(number, side),
        "the last ID is 4294967294")
    end
  end
  if extent.count == 0 then
    return refuse(("range %d is empty"):format(number), "leave it away, or give it a count from 1")
  end
  for _, side in ipairs { "inside", "outside" } do
    if extent[side] + extent.count > WRAP - 1 then
      return refuse(("range %d wraps: %s %.0f and %.0f IDs go beyond 4294967294"):format(number, side, extent[side],
        extent.count), ("from there on there are %.0f IDs"):format(WRAP - 1 - extent[side]))
    end
  end
  local other, side, id = overlap(extents, extent)
  if other then
    return refuse(("ranges %d and %d overlap (%s) at ID %.0f"):format(other, number, side, id),
      "each ID can be there once inside and once outside")
  end
end

local function too_long(size)
  return refuse(("the map text is %d bytes; the kernel takes at most %d (page size - 1) in one write"):format(size,
    PAGE - 1), "use fewer ranges: there is no second write")
end

local function too_many(count)
  return refuse(("%d ranges; the kernel allows %d"):format(count, M.MAX_EXTENTS), "use fewer ranges")
end

--- The size first: the kernel looks at it before everything else but who writes to whom.
function M.size(text)
  if #text >= PAGE then return too_long(#text) end
  return true
end

--- What the kernel makes of a text.
---@param text string
---@return { inside: integer, outside: integer, count: integer }[]? extents  as they are written, not joined
---@return table|string warnings  what it understood differently; or the code of the error
---@return string? rule
---@return string? remedy
function M.kernel(text)
  local warnings, extents = {}, {}
  local nul = text:find("\0", 1, true)
  if nul then
    warnings[1] = {
      code = "nul",
      message = ("there is a NUL byte at position %d, and the kernel ignores what follows it"):format(nul),
      remedy = "write text without NUL",
    }
    text = text:sub(1, nul - 1)
  end
  if text:sub(-1) == "\n" then text = text:sub(1, -2) end -- one is the end of the last line
  local number, lines = 0, 1
  for _ in text:gmatch("\n") do lines = lines + 1 end
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    local digits = numbers_of(line)
    if not digits then
      if text == "" then
        return refuse("the map is empty, and the kernel takes no empty map", "map at least one ID")
      end
      return refuse(("range %d: %s is not three decimal numbers, inside, outside and count"):format(
        number, read.show(line)),
        line:find("^%s*$") and "leave the empty line away" or "write a line for each range, in decimal")
    end
    local extent = {}
    for i, name in ipairs(NAMES) do
      extent[name] = truncated(digits[i])
      if ("%.0f"):format(extent[name]) ~= (digits[i]:gsub("^0+(%d)", "%1")) then
        warnings[#warnings + 1] = {
          code = "truncated",
          message = ("range %d: the kernel cuts %s %s to 32 bits, and it becomes %.0f%s"):format(
            number, name, digits[i], extent[name], extent[name] == 0 and name ~= "count" and ", which is root" or ""),
          remedy = "an ID is a number from 0 to 4294967294",
        }
      end
    end
    local _, code, rule, remedy = fault(extent, number, extents)
    if code then return nil, code, rule, remedy end
    if number == M.MAX_EXTENTS and lines > number then return too_many(lines) end
    extents[number] = extent
  end
  return extents, warnings
end

--- What newuidmap(1) makes of the same numbers as its arguments: getulong() takes 0x and a leading 0 for hexadecimal
--- and octal. Sums beyond 2^32-1 it calls an overflow.
---@return table? extents
---@return table|string warnings_or_code
---@return string? rule
---@return string? remedy
function M.helper(text)
  local function refused(rule, remedy) return nil, "refused", rule, remedy end
  local warnings, extents, words = {}, {}, {}
  for word in text:gmatch("%S+") do words[#words + 1] = word end
  if #words % 3 ~= 0 then
    return refused(("the helper takes three numbers for each range, and there are %d"):format(#words),
      "give inside, outside and count of each range")
  end
  for i = 1, #words, 3 do
    local number, extent = (i + 2) / 3, {}
    for j, name in ipairs(NAMES) do
      local word = words[i + j - 1]
      local value
      if word:find("^0[xX]%x+$") then
        value = tonumber(word:sub(3), 16)
      elseif word:find("^0[0-7]+$") then
        value = tonumber(word, 8)
      elseif word:find("^%d+$") and (word == "0" or word:sub(1, 1) ~= "0") then
        value = tonumber(word)
      elseif word:find("^%-%d+$") then
        return refused(("range %d: %s is negative (\"subuid overflow detected\")"):format(number, word),
          "an ID is a number from 0 to 4294967294")
      else
        return refused(("range %d: the helper does not take %s for a number"):format(number, read.show(word)),
          "write decimal numbers")
      end
      if #word > 1 and word:sub(1, 1) == "0" and tonumber(word, 10) ~= value then
        warnings[#warnings + 1] = {
          code = "base", message = ("range %d: the helper reads %s as %.0f, which the kernel would not"):format(number,
            word, value), remedy = "write decimal numbers without leading zeros",
        }
      end
      extent[name] = value
    end
    for _, side in ipairs { "inside", "outside" } do
      if extent[side] > WRAP - 1 or extent.count > WRAP - 1 or extent[side] + extent.count > WRAP - 1 then
        return refused(("range %d: %s %.0f and count %.0f go beyond 32 bits (\"subuid overflow detected\")"):format(
          number, side, extent[side], extent.count), "an ID is a number from 0 to 4294967294")
      end
    end
    extents[number] = extent
  end
  return extents, warnings
end

--- What the kernel says of extents that a helper writes, whose text it makes: an error as of `kernel`, or true.
function M.written(extents)
  local bytes = 0
  if #extents == 0 then return M.kernel "" end
  for _, extent in ipairs(extents) do
    bytes = bytes + #("%.0f %.0f %.0f\n"):format(extent.inside, extent.outside, extent.count)
  end
  if bytes >= PAGE then return too_long(bytes) end
  local seen = {}
  for number, extent in ipairs(extents) do
    local _, code, rule, remedy = fault(extent, number, seen)
    if code then return nil, code, rule, remedy end
    if number == M.MAX_EXTENTS and #extents > number then return too_many(#extents) end
    seen[number] = extent
  end
  return true
end

return M
