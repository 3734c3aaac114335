--- YAML of plain tables, for people to read: every text is in double quotes, as JSON has it, so that nothing in it
--- means anything (YAML 1.2, of which JSON is a part).

local json = require "cella.oci.json"
local lists = require "cella.list"

local M = {}

-- What some readers take for true, false or nothing.
local WORDS = { y = true, n = true, yes = true, no = true, on = true, off = true, ["true"] = true, ["false"] = true,
  null = true }

local function name_of(key)
  return key:find "^[A-Za-z][A-Za-z0-9]*$" and not WORDS[key] and key or M.text(key)
end

-- U+0080 to U+009F, the separators of lines and the mark of byte order: no YAML has them as they are.
local function escape(character)
  local one, two, three = character:byte(1, 3)
  local code = three and (one - 224) * 4096 + (two - 128) * 64 + three - 128 or (one - 192) * 64 + two - 128
  return ("\\u%04x"):format(code)
end

--- A text in quotes.
---@param text string
---@return string
function M.text(text)
  local quoted = json.encode(text):gsub("\127", "\\u007f")
  for _, pattern in ipairs { "\194[\128-\159]", "\226\128[\168\169]", "\239\187\191", "\239\191[\190\191]" } do
    quoted = quoted:gsub(pattern, escape)
  end
  return quoted
end

local function is_list(value)
  local meta = getmetatable(value)
  if meta and meta.__jsontype then return meta.__jsontype == "array" end
  return value[1] ~= nil
end

-- With names in the order that people are used to; others follow by their letters.
local function names_of(value, first)
  local names, taken = {}, {}
  for _, name in ipairs(first) do
    if value[name] ~= nil then names[#names + 1], taken[name] = name, true end
  end
  for _, name in ipairs(lists.sorted_keys(value)) do
    if not taken[name] then names[#names + 1] = name end
  end
  return names
end

-- The lines of a value, and whether it is one that stands behind its name.
local function lines_of(value, first)
  if type(value) == "string" then return { M.text(value) }, true end
  if type(value) ~= "table" or json.is_integer(value) then return { json.encode(value) }, true end
  if next(value) == nil then return { is_list(value) and "[]" or "{}" }, true end
  local lines = {}
  if is_list(value) then
    for _, item in ipairs(value) do
      for i, line in ipairs((lines_of(item, first))) do lines[#lines + 1] = (i == 1 and "- " or "  ") .. line end
    end
    return lines, false
  end
  for _, name in ipairs(names_of(value, first)) do
    local inner, is_short = lines_of(value[name], first)
    lines[#lines + 1] = name_of(name) .. ":" .. (is_short and " " .. inner[1] or "")
    for _, line in ipairs(is_short and {} or inner) do lines[#lines + 1] = "  " .. line end
  end
  return lines, false
end

--- The text of a document. Raises at what JSON has not.
---@param value table
---@param first string[]?  names that come before others, in their order
---@return string? text, string? err  nil where there is no library for JSON
function M.encode(value, first)
  local ok, message = json.encode(value)
  if not ok then return nil, message end
  return table.concat((lines_of(value, first or {})), "\n") .. "\n"
end

return M
