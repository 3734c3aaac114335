--- Checks a table against a description of what it may hold, before anything is done with it.
--
-- What is refused is named by its full path ("mounts[2].source"), with what was wrong and, for a key that
-- does not exist, the nearest one that does. Errors are raised: they are the programmer's.

local ascii = require "cella.ascii"
local blame = require "cella.blame"
local lists = require "cella.list"

local M = {}

-- No name is as long. What is longer is like none, and asking how much so would take its length squared.
local LONGEST_NAME = 40

-- Levenshtein's distance; the words are short.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local above = row[j]
      local change = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(above + 1, row[j - 1] + 1, diagonal + change)
      diagonal = above
    end
  end
  return row[#b]
end

--- The name in `names` (a list) that is most like `wanted`, or nil if none is like it; with `any` the nearest anyway.
---@param wanted any
---@param names string[]
---@param any boolean?
---@return string?
function M.nearest(wanted, names, any)
  local best, least = nil, math.huge
  wanted = tostring(wanted)
  -- As the kernel's headers have it: RLIMIT_NOFILE, SIGTERM.
  local bare = #wanted <= LONGEST_NAME and ascii.lower(wanted):gsub("^[a-z]+_", ""):gsub("^sig", "")
  for _, name in ipairs(names) do
    if name == bare then return name end
  end
  if #wanted > LONGEST_NAME then
    if not any then return nil end
    wanted = wanted:sub(1, LONGEST_NAME)
  end
  for _, name in ipairs(names) do
    local d = distance(wanted, name)
    if d < least or d == least and best and name < best then
      best, least = name, d
    end
  end
  -- Of three letters two are most of the word.
  if any or least <= math.max(#wanted > 3 and 2 or 1, #wanted / 3) then return best end
  -- What is said in full elsewhere: "network".
  best = nil
  for _, name in ipairs(names) do
    if #name >= 3 and wanted:sub(1, #name) == name and (best == nil or #name > #best) then best = name end
  end
  return best
end

local function fail(path, ...)
  error({ path = path, validation = path .. ": " .. string.format(...) }, 0)
end

-- A message is for people: of long strings they see the beginning.
local SHOWN = 400

local function quoted(text)
  if #text <= SHOWN then return ("%q"):format(text) end
  return ("%q... (%d bytes)"):format(text:sub(1, SHOWN), #text)
end

--- A value as a person would write it.
function M.show(value)
  if type(value) == "string" then
    return "the string " .. quoted(value)
  elseif type(value) == "number" or type(value) == "boolean" or value == nil then
    return tostring(value)
  end
  return "a " .. type(value)
end

-- Each rule is a function(value, path) that returns the value to use, or fails.
local rule = {}
M.rule = rule

local function join(path, key)
  if type(key) == "number" then return path .. "[" .. key .. "]" end
  if type(key) ~= "string" then return path .. "[" .. M.show(key) .. "]" end
  -- Not %a, which is another in each locale.
  if #key > SHOWN or not key:find("^[A-Za-z_][A-Za-z0-9_]*$") then return path .. "[" .. quoted(key) .. "]" end
  return path == "" and key or path .. "." .. key
end

--- Lists, maps and records are tables that hold what they show: what a metatable makes of one may be another thing each
--- time that somebody looks, and have no end.
local function check_plain(value, path, expected)
  if type(value) ~= "table" then fail(path, "%s expected, got %s", expected, M.show(value)) end
  if getmetatable(value) ~= nil then fail(path, "a plain table expected, got one with a metatable") end
end
M.check_plain = check_plain

--- Whether a number is an integer for the Lua that runs: 2^20 is one for 5.1, and a float for 5.4.
---@param value any
function M.is_integer(value)
  if type(value) ~= "number" or value ~= math.floor(value) then return false end
  return not math.type or math.type(value) == "integer"
end

--- What follows the words that refuse a number as none of the integers of a range: nothing, but where it would be one.
---@param value any
---@param low number
---@param high number
---@return string
function M.float_hint(value, low, high)
  if type(value) ~= "number" or value ~= math.floor(value) or value < low or value > high or M.is_integer(value) then
    return ""
  end
  return ", which is a float: math.tointeger makes an integer of it"
end

--- An integer of the given range. Floats, and strings that look like numbers, are refused.
function rule.integer(low, high)
  return function(value, path)
    if not M.is_integer(value) or value < low or value > high then
      local hint = M.float_hint(value, low, high)
      local words = ("an integer from %.0f to %.0f expected, got %s%s"):format(low, high, M.show(value), hint)
      error({ path = path, validation = path .. ": " .. words, hint = hint }, 0)
    end
    return value
  end
end

--- A user or group ID: 0 to 2^32-2. 2^32-1 means "unchanged" to the kernel.
rule.id = rule.integer(0, 4294967294)

--- A finite number, not negative.
function rule.seconds(value, path)
  if type(value) ~= "number" or value ~= value or value < 0 or value > 1e9 then
    fail(path, "seconds from 0 to 1000000000 expected, got %s", M.show(value))
  end
  return value
end

function rule.boolean(value, path)
  if type(value) ~= "boolean" then fail(path, "true or false expected, got %s", M.show(value)) end
  return value
end

--- A function, or what can be called like one.
function rule.callable(value, path)
  local meta = type(value) == "table" and getmetatable(value)
  if type(value) ~= "function" and not (type(meta) == "table" and rawget(meta, "__call")) then
    fail(path, "a function expected, got %s", M.show(value))
  end
  return value
end

--- Text that reaches the kernel: no NUL, which C would cut it at.
function rule.string(value, path)
  if type(value) ~= "string" then fail(path, "a string expected, got %s", M.show(value)) end
  if value:find("\0", 1, true) then fail(path, "the string has a NUL byte in it") end
  return value
end

-- In every Lua and every locale alike: 80 and 80.0 are "80", one half is "0.5".
local function decimal(number)
  if math.type and math.type(number) == "integer" then return ("%d"):format(number) end
  if number == math.floor(number) and math.abs(number) < 2 ^ 63 then return ("%.0f"):format(number + 0) end
  return (("%.14g"):format(number):gsub("[^%d+%-e]+", "."))
end

--- Text that reaches the kernel, or a number in its place, which is written as a person would.
function rule.text(value, path)
  if type(value) ~= "number" then
    if type(value) ~= "string" then fail(path, "a string or a number expected, got %s", M.show(value)) end
    return rule.string(value, path)
  end
  if value ~= value or value == math.huge or value == -math.huge then
    fail(path, "a string or a finite number expected, got %s", M.show(value))
  end
  return decimal(value)
end

--- A name that also goes into lines of text: no newline.
function rule.line(value, path)
  rule.string(value, path)
  if value:find("\n", 1, true) then fail(path, "the string has a newline in it") end
  return value
end

function rule.path(value, path)
  rule.line(value, path)
  if value == "" then fail(path, "the path is empty") end
  if #value > 4095 then fail(path, "the path is longer than 4095 bytes") end
  return value
end

--- A path inside the container: it has to start at the root, and has no business going up.
function rule.absolute(value, path)
  rule.path(value, path)
  if value:sub(1, 1) ~= "/" then fail(path, "an absolute path expected, got %s", M.show(value)) end
  if ("/" .. value .. "/"):find("/../", 1, true) then fail(path, "'..' in %s", M.show(value)) end
  return value
end

--- One of the given words. `otherwise` says what else there is, for who has written none that is like them.
function rule.one_of(words)
  return function(value, path, otherwise)
    for _, word in ipairs(words) do
      if value == word then return value end
    end
    local near = type(value) == "string" and M.nearest(value, words)
    fail(path, "%s is not one of %s%s", M.show(value), table.concat(words, ", "),
      near and "; did you mean '" .. near .. "'?" or otherwise and "; " .. otherwise or "")
  end
end

-- More than anything takes, and few enough to be looked at; the kernel takes more arguments of a program.
local MOST, MOST_ITEMS = 65536, 1048576

--- How many items a list has. One with a hole (a misspelt variable, say) is refused: how long that is each Lua decides
--- differently, and what follows the hole would be lost without a word.
---@param value table
---@param path string
---@param words string?  what it is, where that is not just a list
---@param mixed boolean?  it may have keys that are no numbers
function M.count_items(value, path, words, mixed)
  local last = 0
  for key in next, value do
    if type(key) == "number" and key >= 1 and key == math.floor(key) and key < math.huge then
      last = math.max(last, key)
    elseif type(key) == "number" or not mixed then
      fail(join(path, key), "no such key in %s", words or "a list")
    end
  end
  for i = 1, last do
    if value[i] == nil then fail(join(path, i), "missing") end
  end
  return last
end

--- A list of which each item follows the rule.
function rule.list(item)
  return function(value, path)
    check_plain(value, path, "a list")
    local length = M.count_items(value, path)
    if length > MOST then fail(path, "%d items, and there may be %d", length, MOST) end
    local copy = {}
    for i = 1, length do copy[i] = item(value[i], join(path, i)) end
    return copy
  end
end

--- A table from keys to values.
function rule.map(key_rule, value_rule)
  return function(value, path)
    check_plain(value, path, "a table")
    local count = 0
    for _ in next, value do
      count = count + 1
      if count > MOST then fail(path, "more than %d keys", MOST) end
    end
    local copy = {}
    for _, key in ipairs(lists.sorted_keys(value)) do
      copy[key_rule(key, join(path, key))] = value_rule(value[key], join(path, key))
    end
    return copy
  end
end

--- Whichever of several rules holds; what the value may be is said in words.
function rule.any(words, ...)
  local rules = { ... }
  return function(value, path)
    local deepest
    local hint = ""
    for _, one in ipairs(rules) do
      local ok, result = pcall(one, value, path)
      if ok then return result end
      -- The rule that got into the value before it failed has the most to say.
      if type(result) ~= "table" then error(result, 0) end
      if result.path ~= path then deepest = result else hint = result.hint or hint end
    end
    if deepest then error(deepest, 0) end
    fail(path, "%s expected, got %s%s", words, M.show(value), hint)
  end
end

-- A path is made only for the item that fails: there may be very many.
local function copy_items(copy, value, last, item, path)
  local at
  local ok, err = pcall(function()
    for i = 1, last do
      at = i
      if value[i] == nil then fail("", "missing") end
      copy[i] = item(value[i], "")
    end
  end)
  if ok then return end
  -- What follows a hole (a misspelt variable, say) would be lost without a word.
  if value[at] == nil then fail(join(path, at), "missing") end
  item(value[at], join(path, at))
  error(err, 0)
end

-- Loaded when something is wrong.
local function what_is_meant(whose, key)
  local loaded, hints = pcall(require, "cella.hints")
  return loaded and hints.of(whose, key) or nil
end

local function no_such_key(key, names, whose)
  local hint = whose and what_is_meant(whose, key)
  if hint then return hint end
  local near = type(key) == "string" and M.nearest(key, names)
  return near and "did you mean '" .. near .. "'?" or "there are " .. table.concat(names, ", ")
end

--- A table with named fields, and no others: `{ name = rule, ... }`. A name in `required` has to be there. With
--- `items`, the table may also be a list of values that follow that rule. `whose` is its name in `cella.hints`.
function rule.record(fields, required, items, whose)
  local names = lists.sorted_keys(fields)
  return function(value, path)
    check_plain(value, path, "a table")
    local last, unknown = 0, nil
    for key in next, value do
      if items and type(key) == "number" then
        if key < 1 or key > MOST_ITEMS or key ~= math.floor(key) then fail(join(path, key), "no such key in a list") end
        last = math.max(last, key)
      elseif fields[key] == nil and (unknown == nil or tostring(key) < tostring(unknown)) then
        unknown = key
      end
    end
    if unknown ~= nil then
      fail(join(path, unknown), "unknown key; %s", no_such_key(unknown, names, whose))
    end
    local copy = {}
    if last > 0 then copy_items(copy, value, last, items, path) end
    for _, key in ipairs(names) do
      if value[key] ~= nil then copy[key] = fields[key](value[key], join(path, key)) end
    end
    for _, key in ipairs(required or {}) do
      if copy[key] == nil then fail(join(path, key), "missing") end
    end
    return copy
  end
end

--- Refuses with a message of one's own, from inside a rule.
M.fail = fail
M.join = join

--- Checks `value` and returns a copy. Raises the message at the user's line that gave it.
---@param check function
---@param value any
---@param path string  name of the whole, "" for none
function M.check(check, value, path)
  local ok, result = pcall(check, value, path)
  if ok then return result end
  if type(result) == "table" and result.validation then
    blame((result.validation:gsub("^: ", "")))
  end
  error(result, 0)
end

return M
