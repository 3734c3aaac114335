--- Reads ID maps: the kernel's text, Lua tables and processes in, canonical extents out. The rules
--- are those of user_namespaces(7), and stricter where the kernel is careless: it cuts numbers to 32
--- bits, so that 4294967296 becomes root, and drops what follows a NUL byte.

local algebra = require "cella.idmap.algebra"
local validate = require "cella.validate"

local M = {}

--- 4294967295 is (uid_t)-1: it means "no ID" to the kernel, and "leave it" to setresuid(2).
M.last_id = 4294967294

-- An array, so that the message of two broken fields is always that of the first.
local FIELDS = {
  { name = "inside", low = 0, high = M.last_id },
  { name = "outside", low = 0, high = M.last_id },
  { name = "count", low = 1, high = M.last_id + 1 },
}

local NAMES = { "count", "inside", "outside" }

--- A value as a message shows it: text in quotes, on one line, and not endless.
---@return string
function M.show(value)
  if type(value) == "string" then
    local text = value:sub(1, 60):gsub("[%z\1-\31\127\"\\]", function(c) return ("\\%d"):format(c:byte()) end)
    return '"' .. text .. (#value > 60 and '..."' or '"')
  elseif type(value) == "number" then
    return tostring(value)
  end
  return value == nil and "nil" or "a " .. type(value)
end

--- Whether a value is an integer from `low` to `high`. A float is none, even 8.0, where Lua can tell:
--- an ID that went through a float was computed by something that does not know what an ID is.
---@return boolean
function M.is_integer(value, low, high)
  if type(value) ~= "number" then return false end
  local whole
  if math.type then whole = math.type(value) == "integer" else whole = value % 1 == 0 end
  return whole and value >= low and value <= high
end

--- What to say of a value that `is_integer` refused.
---@return string
function M.not_integer(name, value, low, high)
  return ("%s must be an integer from %.0f to %.0f, not %s"):format(name, low, high, M.show(value))
end

local function unknown_key(key)
  if type(key) ~= "string" then
    return ("unknown key %s; the keys are inside, outside and count"):format(M.show(key))
  end
  local nearest = validate.nearest(key:sub(1, 60), NAMES, true)
  return ("unknown key %s; the nearest known key is %q"):format(M.show(key), nearest)
end

-- What a metatable makes of a table may be another thing each time that somebody looks, and have no end.
local NOT_PLAIN = "must be a plain table, and has a metatable"

local function fault(extent)
  if type(extent) ~= "table" then
    return "must be a table { inside = , outside = , count = }, not " .. M.show(extent)
  elseif getmetatable(extent) ~= nil then
    return NOT_PLAIN
  end
  -- First, as a misspelt key is also a missing one.
  for key in pairs(extent) do
    if key ~= "inside" and key ~= "outside" and key ~= "count" then
      return unknown_key(key)
    end
  end
  for _, field in ipairs(FIELDS) do
    local value = extent[field.name]
    if not M.is_integer(value, field.low, field.high) then
      return M.not_integer(field.name, value, field.low, field.high)
    end
  end
  for _, side in ipairs { "inside", "outside" } do
    if extent[side] + extent.count - 1 > M.last_id then
      return ("%s %.0f with count %.0f goes beyond %.0f, the last ID"):format(
        side, extent[side], extent.count, M.last_id)
    end
  end
end

-- The kernel takes 340; those that are not for it are sorted and compared in Lua.
local MOST = 65536

local function canonical(extents)
  local numbered = {}
  if #extents > MOST then return nil, ("%d extents, and there may be %d"):format(#extents, MOST) end
  for number, extent in ipairs(extents) do
    local message = fault(extent)
    if message then
      return nil, ("extent %d: %s"):format(number, message)
    end
    -- Adding 0 makes 0 of the -0 that a Lua without integers has, and would print.
    numbered[number] = {
      inside = extent.inside + 0, outside = extent.outside + 0, count = extent.count, number = number,
    }
  end
  for _, side in ipairs { "inside", "outside" } do
    local a, b, id = algebra.clash(algebra.sorted(numbered, side), side)
    if a then
      return nil, ("extents %d and %d overlap %s at %.0f"):format(
        math.min(a.number, b.number), math.max(a.number, b.number), side, id)
    end
  end
  local list, written = {}, algebra.sorted(numbered, "inside")
  for _, extent in ipairs(written) do
    algebra.append(list, extent.inside, extent.outside, extent.count)
  end
  -- To the kernel these are still several extents: see algebra.pieces.
  if #written > #list then list.written = written end
  return list
end

--- Reads the text of uid_map: one extent per line, three decimal numbers with blanks around them.
--- No text at all is the empty map, as a process shows it whose map is not yet written.
---@param text string
---@return cella.idmap.Extent[]? extents
---@return string? message
function M.text(text)
  if text:find("\0", 1, true) then
    return nil, "the text has a NUL byte, and the kernel would ignore what follows it"
  end
  local extents = {}
  local _, newlines = text:gsub("\n", "")
  if newlines > MOST then return nil, ("more than %d extents"):format(MOST) end
  -- The kernel needs no newline at the end, and takes one, but no empty line.
  local lines = (text == "" or text:sub(-1) == "\n") and text or text .. "\n"
  for line in lines:gmatch("([^\n]*)\n") do
    -- Not %s, which follows the locale; these are the blanks of the kernel.
    local inside, outside, count = line:match(
      "^[ \t\v\f\r]*(%d+)[ \t\v\f\r]+(%d+)[ \t\v\f\r]+(%d+)[ \t\v\f\r]*$")
    if not inside then
      return nil, ("extent %d: must be three decimal numbers, inside, outside and count, not %s"):format(
        #extents + 1, M.show(line))
    end
    extents[#extents + 1] = {
      inside = tonumber(inside), outside = tonumber(outside), count = tonumber(count),
    }
  end
  return canonical(extents)
end

--- Reads `{ inside = , outside = , count = }`, or a list of such tables.
---@param value cella.idmap.Extent|cella.idmap.Extent[]
---@return cella.idmap.Extent[]? extents
---@return string? message
function M.table(value)
  if getmetatable(value) ~= nil then return nil, "an ID map " .. NOT_PLAIN end
  local keys = 0
  for key in pairs(value) do
    if type(key) ~= "number" then
      return canonical { value }
    end
    keys = keys + 1
  end
  -- `#` may stop at any hole, and the extents behind it would be lost.
  for number = 1, keys do
    if value[number] == nil then
      return nil, ("extent %d: is missing from the list"):format(number)
    end
  end
  return canonical(value)
end

--- Reads /proc/PID/uid_map, gid_map or projid_map.
---@param pid integer|"self"
---@param kind "uid"|"gid"|"projid"
---@param known string?  a text that need not be read again
---@return cella.idmap.Extent[]|true|nil extents  true: the text is the known one
---@return string|table|nil text  or the error
function M.process(pid, kind, known)
  local path = ("/proc/%s/%s_map"):format(pid == "self" and pid or ("%.0f"):format(pid), kind)
  local function fail(message, errno, why)
    -- The message of io.open begins with the path, that of read does not.
    message = message:gsub("^/proc/[^:]*: ", "")
    return nil, require("cella.error").new { op = "idmap.of", path = path, message = message, errno = errno, why = why }
  end
  local file, message, errno = io.open(path)
  if not file then
    return fail(message, errno)
  end
  local text
  text, message, errno = file:read("*a")
  file:close()
  if not text then
    return fail(message, errno)
  end
  if text == known then return true, text end
  local extents
  extents, message = M.text(text)
  if not extents then
    -- The kernel writes correct maps, except that (uid_t)-1 is what it shows for an ID of a namespace
    -- that the reader does not see into.
    return fail(message, nil, text:find(" 4294967295 ", 1, true)
      and "4294967295 stands for an ID that has no number in this process's user namespace" or nil)
  end
  return extents, text
end

return M
