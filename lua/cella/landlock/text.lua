--- A policy's table as Lua that makes it.

local M = {}

local function item(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

-- A list; of one item that alone.
local function some(value)
  if type(value) ~= "table" then return item(value) end
  if #value == 1 then return item(value[1]) end
  local list = {}
  for i, one in ipairs(value) do list[i] = item(one) end
  return #list == 0 and "{}" or "{ " .. table.concat(list, ", ") .. " }"
end

local function file_text(one)
  return ("{ path = %s, allow = %s%s }"):format(some(one.path), some(one.allow),
    one.optional and ", optional = true" or "")
end

local function ports_text(said)
  local list = {}
  for _, what in ipairs { "bind", "connect" } do
    if said[what] then list[#list + 1] = ("%s = %s"):format(what, some(said[what])) end
  end
  return #list == 0 and "{}" or "{ " .. table.concat(list, ", ") .. " }"
end

--- The table that was given.
---@param said table
---@return string
function M.of(said)
  local lines = {}
  local function add(key, text) lines[#lines + 1] = ("  %s = %s,\n"):format(key, text) end
  if said.files then
    local list = {}
    for i, one in ipairs(said.files) do list[i] = "    " .. file_text(one) .. ",\n" end
    add("files", #list == 0 and "{}" or "{\n" .. table.concat(list) .. "  }")
  end
  if said.restrict then add("restrict", some(said.restrict)) end
  if said.tcp then add("tcp", ports_text(said.tcp)) end
  if said.udp then add("udp", ports_text(said.udp)) end
  if said.scopes then
    local list = {}
    for i, one in ipairs(said.scopes) do list[i] = item(one) end
    add("scopes", #list == 0 and "{}" or "{ " .. table.concat(list, ", ") .. " }")
  end
  if said.at_least then add("at_least", tostring(said.at_least)) end
  return "{\n" .. table.concat(lines) .. "}"
end

return M
