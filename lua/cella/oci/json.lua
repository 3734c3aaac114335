--- JSON (RFC 8259) of which nothing is believed: what is read may be written by somebody hostile.
---
--- Text is looked through before a library (dkjson) makes values of it, which takes much that is no JSON: how long and
--- how deep it is, that no name is there twice in an object, that strings are UTF-8 without a NUL, and that an integer
--- stays the one that is written, also where a number of Lua's cannot hold it.

local blame = require "cella.blame"

local M = {}

local MOST_BYTES = 4 * 1024 * 1024
local MOST_DEPTH = 64
local LONGEST_NUMBER = 64

-- 2^53: above, not every Lua has all integers.
local EXACT = "9007199254740992"

-- Of decimal digits, without leading zeros.
local function is_exact(digits)
  local bare = digits:gsub("^-", "")
  return #bare < #EXACT or #bare == #EXACT and bare <= EXACT
end

local library

-- dkjson(3) of Debian's lua-dkjson, and of LuaRocks.
local function load_library()
  if library then return library end
  local found, module = pcall(require, "dkjson")
  if found and type(module) == "table" then
    library = module
    return module
  end
  return nil, "JSON needs the Lua module dkjson, which is not there: Debian's package is lua-dkjson, and luarocks "
    .. "install dkjson"
end

--- Raises nothing: whether there is what makes and reads JSON.
---@return true?, string?
function M.available()
  local ok, message = load_library()
  if not ok then return nil, message end
  return true
end

--- An integer that a number of Lua's cannot hold in each Lua: `digits` is how it is written.
---@class cella.oci.json.integer
---@field digits string
local Integer = { __name = "cella.oci.json.integer", __jsontype = "number" }
function Integer:__tostring() return self.digits end
function Integer.__eq(one, other) return one.digits == other.digits end
function Integer:__tojson() return self.digits end

--- An integer of any size, from its decimal digits: a number where that is the same in each Lua.
---@param digits string  "18446744073709551615"
---@return integer|cella.oci.json.integer
function M.integer(digits)
  if type(digits) ~= "string" or not (digits:find "^%-?[1-9][0-9]*$" or digits == "0") or #digits > LONGEST_NUMBER then
    blame "digits: decimal digits expected, as JSON has them"
  end
  if is_exact(digits) then return tonumber(digits) end
  return setmetatable({ digits = digits }, Integer)
end

--- Whether a value is an integer that no number of Lua's holds.
---@param value any
---@return boolean
function M.is_integer(value) return type(value) == "table" and getmetatable(value) == Integer end

--- Says that a table is a list, also where it is empty.
function M.array(list) return setmetatable(list, { __jsontype = "array" }) end

--- Says that a table is an object, also where it is empty.
function M.object(table_of_fields) return setmetatable(table_of_fields, { __jsontype = "object" }) end

-- How many bytes the character at a place has, if that is one of UTF-8: none too long, no surrogate, none beyond
-- U+10FFFF.
local function size_of_character(text, at)
  local first = text:byte(at)
  local low, high = 128, 191
  local size
  if first >= 194 and first <= 223 then
    size = 2
  elseif first >= 224 and first <= 239 then
    size = 3
    if first == 224 then low = 160 elseif first == 237 then high = 159 end
  elseif first >= 240 and first <= 244 then
    size = 4
    if first == 240 then low = 144 elseif first == 244 then high = 143 end
  else
    return nil
  end
  for i = at + 1, at + size - 1 do
    local byte = text:byte(i)
    if not byte or byte < low or byte > high then return nil end
    low, high = 128, 191
  end
  return size
end

-- The first byte, from a place on, that is of no UTF-8 character.
local function not_utf8(text, at, last)
  -- Not in the rest of the text, which may be long: there are many strings in it.
  if not text:sub(at, last):find "[\128-\255]" then return nil end
  at = text:find("[\128-\255]", at)
  while at and at <= last do
    local size = size_of_character(text, at)
    if not size or at + size - 1 > last then return at end
    at = text:find("[\128-\255]", at + size)
  end
  return nil
end

--- Whether text is UTF-8.
---@param text string
---@return boolean
function M.is_utf8(text) return not_utf8(text, 1, #text) == nil end

-- What is wrong with a text, and where, is raised as such a table.
local function fail(at, message, ...) error({ at = at, message = message:format(...) }, 0) end

local HEX = "^[0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f]"

-- Looks through an escape, `at` its backslash. Returns the place behind it.
local function skip_escape(text, at)
  local letter = text:sub(at + 1, at + 1)
  if letter ~= "" and ('"\\/bfnrt'):find(letter, 1, true) then return at + 2 end
  if letter ~= "u" or not text:find(HEX, at + 2) then fail(at, "no such escape") end
  local code = tonumber(text:sub(at + 2, at + 5), 16)
  if code == 0 then fail(at, "a NUL in a string") end
  if code >= 56320 and code <= 57343 then fail(at, "half a surrogate pair") end -- U+DC00 to U+DFFF
  if code < 55296 or code > 57343 then return at + 6 end
  local low = text:sub(at + 6, at + 7) == "\\u" and text:find(HEX, at + 8) and tonumber(text:sub(at + 8, at + 11), 16)
  if not low or low < 56320 or low > 57343 then fail(at, "half a surrogate pair") end
  return at + 12
end

-- Looks through a string, `at` its first quote. Returns the place behind it, and whether it has escapes.
local function skip_string(text, at)
  local place, escaped = at + 1, false
  while true do
    place = text:find('[%z\1-\31"\\]', place)
    if not place then fail(at, "a string without an end") end
    local byte = text:byte(place)
    if byte == 34 then break end -- "
    if byte ~= 92 then fail(place, "a control character in a string") end -- \
    place, escaped = skip_escape(text, place), true
  end
  local wrong = not_utf8(text, at, place)
  if wrong then fail(wrong, "what is no UTF-8 in a string") end
  return place + 1, escaped
end

-- Looks through a number. Returns the place behind it, and its text where that is an integer that is not the same in
-- each Lua.
local function skip_number(text, at)
  local _, last = text:find("^%-?[1-9][0-9]*", at)
  if not last then _, last = text:find("^%-?0", at) end
  if not last then return nil end
  local whole = last
  local _, fraction = text:find("^%.[0-9]+", last + 1)
  last = fraction or last
  local _, exponent = text:find("^[eE][+-]?[0-9]+", last + 1)
  last = exponent or last
  if text:find("^[0-9A-Za-z_.+-]", last + 1) then fail(at, "no number as JSON has them") end
  if last - at >= LONGEST_NUMBER then fail(at, "a number of more than %d characters", LONGEST_NUMBER) end
  if last > whole then
    local number = tonumber(text:sub(at, last))
    if not number or number ~= number or math.abs(number) == math.huge then fail(at, "a number that is too large") end
    return last + 1
  end
  local digits = text:sub(at, last)
  if digits == "-0" then return last + 1, nil end
  return last + 1, not is_exact(digits) and digits or nil
end

local WORDS = { t = "true", f = "false", n = "null" }

-- The name that a string stands for.
local function name_of(text, first, last, escaped)
  if not escaped then return text:sub(first + 1, last - 1) end
  return (library.decode(text:sub(first, last)))
end

-- What stands for an integer that no number holds, until there are values: a name that no text of JSON can have here.
local MARK = "\0"
local MARKED = '{"\\u0000":"%s"}'

-- Goes through the whole text. Returns it, with what stands for the integers that are too large in their places.
local function look_through(text)
  local above = {}        -- objects and lists around this place: { keys = table? }
  local pieces, from = {}, 1
  local within = nil      -- the innermost
  local expects = "value" -- what may come: value, first (or the end), name, colon, more (a comma or the end)
  local at = 1
  local function done() expects = within and "more" or "end" end
  local function open(frame)
    if #above >= MOST_DEPTH then fail(at, "more than %d objects and lists in each other", MOST_DEPTH) end
    above[#above + 1] = frame
    within, expects = frame, "first"
    at = at + 1
  end
  local function close()
    above[#above] = nil
    within = above[#above]
    at = at + 1
    done()
  end
  local function value(character)
    if character == "{" then return open { keys = {} } end
    if character == "[" then return open {} end
    if character == '"' then
      at = skip_string(text, at)
    elseif WORDS[character] then
      local word = WORDS[character]
      if text:sub(at, at + #word - 1) ~= word or text:find("^[0-9A-Za-z_]", at + #word) then fail(at, "no value") end
      if word == "null" and within and not within.keys then fail(at, "null in a list") end
      at = at + #word
    else
      local behind, digits = skip_number(text, at)
      if not behind then fail(at, "a value expected") end
      if digits then
        pieces[#pieces + 1] = text:sub(from, at - 1)
        pieces[#pieces + 1] = MARKED:format(digits)
        from = behind
      end
      at = behind
    end
    done()
  end
  local function name(character)
    if character ~= '"' then fail(at, "a name in quotes expected") end
    local behind, escaped = skip_string(text, at)
    local key = name_of(text, at, behind - 1, escaped)
    if within.keys[key] then fail(at, "the name %q is there twice", key:sub(1, 80)) end
    within.keys[key] = true
    at, expects = behind, "colon"
  end
  while true do
    at = text:find("[^ \t\r\n]", at)
    if not at then break end
    local character = text:sub(at, at)
    local closing = within and (within.keys and "}" or "]")
    if (expects == "first" or expects == "more") and character == closing then
      close()
    elseif expects == "first" or expects == "value" or expects == "name" then
      if within and within.keys and expects ~= "value" then name(character) else value(character) end
    elseif expects == "colon" then
      if character ~= ":" then fail(at, "a colon expected") end
      at, expects = at + 1, "value"
    elseif expects == "more" then
      if character ~= "," then fail(at, "a comma or %s expected", closing) end
      at, expects = at + 1, within.keys and "name" or "value"
    else
      fail(at, "there is more behind the value")
    end
  end
  if expects ~= "end" then fail(#text + 1, "it ends too early") end
  pieces[#pieces + 1] = text:sub(from)
  return table.concat(pieces)
end

-- Integers in the place of what stands for them.
local function finish(value)
  if type(value) ~= "table" then return value end
  if value[MARK] then return setmetatable({ digits = value[MARK] }, Integer) end
  for key, item in pairs(value) do value[key] = finish(item) end
  return value
end

local function place_of(text, at)
  local line, start = 1, 1
  for newline in text:gmatch "()\n" do
    if newline >= at then break end
    line, start = line + 1, newline + 1
  end
  return line, at - start + 1
end

--- Values of a text: plain tables, of which a null of an object is no field. A list and an object that are empty are
--- the same; else one has numbers for keys, and the other strings. An integer beyond 2^53 is a
--- cella.oci.json.integer.
---@param text string
---@param most_bytes integer?  4 MiB
---@return any value  nil where it is null, too
---@return string? err  what is wrong, and where
function M.decode(text, most_bytes)
  if type(text) ~= "string" then blame("text: a string expected, got a " .. type(text)) end
  local ok, message = load_library()
  if not ok then return nil, message end
  local most = most_bytes or MOST_BYTES
  if #text > most then return nil, ("it is longer than %d bytes"):format(most) end
  local good, result = pcall(look_through, text)
  if not good then
    if type(result) ~= "table" then error(result, 0) end
    local line, column = place_of(text, result.at)
    return nil, ("line %d, column %d: %s"):format(line, column, result.message)
  end
  local value, _, err = library.decode(result, 1, nil, nil, nil)
  if err then return nil, tostring(err) end
  return finish(value)
end

-- More than any document of ours has, and few enough to be looked at.
local MOST_VALUES = 1048576

-- A copy in which each number is one that the library writes as it is in each Lua, and what is no JSON is refused.
-- `names` gets all names of objects.
local function prepare(value, path, depth, names, count)
  count.values = count.values + 1
  if count.values > MOST_VALUES then fail(path, "more than %d values", MOST_VALUES) end
  local kind = type(value)
  if kind == "boolean" or M.is_integer(value) then return value end
  if kind == "string" then
    if value:find("%z") then fail(path, "the string has a NUL byte in it") end
    if not M.is_utf8(value) then fail(path, "the string is no UTF-8, and JSON has no other") end
    return value
  elseif kind == "number" then
    if value ~= value or math.abs(value) == math.huge then fail(path, "JSON has no such number") end
    if value ~= math.floor(value) then return value end
    local is_integer = math.type and math.type(value) == "integer"
    return setmetatable({ digits = is_integer and ("%d"):format(value) or ("%.0f"):format(value) }, Integer)
  elseif kind ~= "table" then
    fail(path, "a %s is nothing that JSON has", kind)
  end
  if depth > MOST_DEPTH then fail(path, "more than %d tables in each other", MOST_DEPTH) end
  local meta = getmetatable(value)
  local as = meta and meta.__jsontype
  if meta and as ~= "array" and as ~= "object" then fail(path, "a plain table expected, got one with a metatable") end
  local copy, last, length = {}, 0, 0
  for key, item in next, value do
    if type(key) == "number" and as ~= "object" then
      last, length = math.max(last, key), length + 1
      copy[key] = prepare(item, ("%s[%s]"):format(path, tostring(key)), depth + 1, names, count)
    elseif type(key) == "string" and as ~= "array" then
      as = "object"
      names[prepare(key, path .. " (a name)", depth + 1, names, count)] = true
      copy[key] = prepare(item, path == "" and key or path .. "." .. key, depth + 1, names, count)
    else
      fail(path, "neither a list nor a table with names alone")
    end
  end
  if as == "object" and length > 0 then fail(path, "neither a list nor a table with names alone") end
  if last ~= length then fail(path, "a list with a hole") end
  return setmetatable(copy, { __jsontype = as or length > 0 and "array" or "object" })
end

--- JSON of plain tables, strings in UTF-8, numbers, booleans and cella.oci.json.integer, names in their order, several
--- lines of it with `indent`. A table that is empty is an object, unless `array` has said otherwise. Raises at what is
--- none of these, with its path.
---@param value any
---@param indent boolean?
---@return string?, string? err  where there is no library
function M.encode(value, indent)
  local ok, message = load_library()
  if not ok then return nil, message end
  local names = {}
  local good, copy = pcall(prepare, value, "", 1, names, { values = 0 })
  if not good then
    if type(copy) ~= "table" then error(copy, 0) end
    blame((copy.at == "" and "" or copy.at .. ": ") .. copy.message)
  end
  local order = {}
  for name in pairs(names) do order[#order + 1] = name end
  table.sort(order)
  return (library.encode(copy, { indent = indent or false, keyorder = order }))
end

return M
