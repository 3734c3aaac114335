--- Values as a person at a prompt reads them.

local words = require "cella.words"

local M = {}

local DEEPEST, WIDE, MOST = 4, 100, 200

local function is_name(key)
  return type(key) == "string" and key:find "^[A-Za-z_][A-Za-z0-9_]*$" ~= nil
end

local function quoted(text)
  return (("%q"):format(text):gsub("\\\n", "\\n"):gsub("\r", "\\r"))
end

-- Lists first, then names in order, then the rest.
local function keys_of(value)
  local keys, is_item = {}, {}
  for i in ipairs(value) do
    keys[#keys + 1], is_item[i] = i, true
  end
  local others = {}
  for key in pairs(value) do
    if not is_item[key] then others[#others + 1] = key end
  end
  table.sort(others, function(a, b)
    if type(a) == type(b) and (type(a) == "string" or type(a) == "number") then return a < b end
    return tostring(a) < tostring(b)
  end)
  for _, key in ipairs(others) do keys[#keys + 1] = key end
  return keys, #keys - #others
end

local show

local function show_table(value, depth, seen)
  if seen[value] then return "{ the one above }" end
  if depth > DEEPEST then return "{ ... }" end
  seen[value] = true
  local keys, items = keys_of(value)
  local parts, is_long = {}, false
  for i, key in ipairs(keys) do
    if i > MOST then
      parts[i] = ("... %d more"):format(#keys - MOST)
      break
    end
    local text = show(value[key], depth + 1, seen)
    if i > items then text = (is_name(key) and key or "[" .. show(key, depth + 1, seen) .. "]") .. " = " .. text end
    is_long = is_long or text:find "\n" ~= nil
    parts[i] = text
  end
  seen[value] = nil
  if #parts == 0 then return "{}" end
  local line = "{ " .. table.concat(parts, ", ") .. " }"
  if not is_long and #line + 2 * depth <= WIDE then return line end
  local indent = ("  "):rep(depth)
  return "{\n" .. indent .. table.concat(parts, ",\n" .. indent) .. ",\n" .. ("  "):rep(depth - 1) .. "}"
end

show = function(value, depth, seen)
  if type(value) == "string" then return quoted(value) end
  if type(value) == "table" then
    local class = getmetatable(value)
    if class == nil then return show_table(value, depth, seen) end
    -- What says itself what it is, may do so in lines.
    return (words.of(value):gsub("\n", "\n" .. ("  "):rep(depth - 1)))
  end
  return words.of(value)
end

--- A value: as it would be written, or as it says itself what it is.
---@param value any
---@return string
function M.show(value) return show(value, 1, {}) end

--- What a call has returned; nothing for nothing. A failure as cella and Lua's own io tell it, nil and why, is told as
--- that.
---@param results table  with n
---@return string?
function M.results(results)
  if results.n == 0 then return nil end
  if results[1] == nil and results.n > 1 and results[2] ~= nil then
    local message = words.of(results[2])
    return "nil: " .. message .. (results[3] ~= nil and (" (errno %s)"):format(words.of(results[3])) or "")
  end
  local last = results.n
  while last > 1 and results[1] ~= nil and results[last] == nil do last = last - 1 end -- of the error there is none
  local parts = {}
  for i = 1, last do parts[i] = M.show(results[i]) end
  return table.concat(parts, "  ")
end

return M
