-- Whether a bundle comes back: its config.json as a container's table, shown as Lua, exported again, and read again.

local calls = require "cella.seccomp.calls"
local cella = require "cella"
local core = require "cella.core"
local json = require "cella.oci.json"
local literal = require "spec.support.literal"
local oci = require "cella.oci"

local M = {}

-- Words of a type of mount's that are numbers.
local OCTAL = { mode = true, ptmxmode = true }

-- Without what is the same in other words: the order of sets, leading zeros, what is the default.
local function plain(value, key)
  if OCTAL[key] then return tonumber(value, 8) end
  if key == "propagation" and value == "private" then return nil end
  if type(value) ~= "table" then return value end
  local meta = getmetatable(value)
  if meta and meta.__tostring then return tostring(value) end
  local result = {}
  for name, one in pairs(value) do result[name] = plain(one, name) end
  return result
end

-- What a policy answers to each call: with arguments that engines ask for, and some that nobody asks for. Rules that
-- say the same in other words answer the same.
local VALUES = { "0x0", "0x1", "0x2", "0x8", "0x9", "0x10", "0x28", "0x20000", "0x20008", "0xffffffff", "0x7e020000",
  "0x10000000", "0x800000010" }

local function answers_of(policy)
  local result = {}
  for _, name in ipairs(calls.names()) do
    local list = {}
    for _, value in ipairs(VALUES) do
      for _, third in ipairs { "0x0", "0x9" } do
        list[#list + 1] = tostring(policy:answer(name, value, value, third))
      end
    end
    result[#result + 1] = name .. ": " .. table.concat(list, " ")
  end
  return table.concat(result, "\n")
end

local function table_of(bundle)
  local keys = plain(bundle.container)
  for _, set in pairs(keys.capabilities) do table.sort(set) end
  for _, mount in ipairs(keys.mounts) do
    -- Below a file nothing is mounted.
    local status = mount.type == "bind" and core.file_status(mount.source)
    if status and status.type ~= "directory" then mount.recursive = nil end
    mount.readonly = mount.readonly or nil
  end
  -- All 32 bits of an argument that has no more, or the argument.
  keys.seccomp = keys.seccomp and keys.seccomp:gsub('"&==", 4294967295, ', '"==", ')
  keys.umask = keys.umask or "022"
  if keys.domainname == "(none)" then keys.domainname = nil end
  return { keys = keys, command = plain(bundle.command) }
end

local function differences(one, other, path, found)
  if type(one) ~= "table" or type(other) ~= "table" then
    if one ~= other then
      found[#found + 1] = ("%s: %s, and then %s"):format(path, literal.write(one), literal.write(other))
    end
    return found
  end
  for key, value in pairs(one) do differences(value, other[key], path .. "." .. tostring(key), found) end
  for key, value in pairs(other) do
    if one[key] == nil then differences(nil, value, path .. "." .. tostring(key), found) end
  end
  return found
end

-- The container's table as a program in Lua says it. A policy of system calls has a form of its own (cella.seccomp).
local function shown(bundle)
  local keys = {}
  for key, value in pairs(bundle.container) do keys[key] = value end
  local policy = keys.seccomp
  keys.seccomp = nil
  local again = literal.read(literal.write(keys))
  again.seccomp = policy
  return again
end

-- A runtime gives HOME where nobody says it, so that there is no word for none: it is said here.
local function read(directory)
  local bundle, err = oci.read(directory)
  if not bundle then return nil, err end
  if bundle.command.environment.HOME == false then bundle.command.environment.HOME = "/" end
  return bundle
end

--- "equal"; "refused: " and why; or what differs, a line each.
---@param directory string  of the bundle
---@param other string      one beside it, for what is exported
---@return string
function M.try(directory, other)
  local bundle, err = read(directory)
  if not bundle then return "refused: " .. tostring(err) end
  local box = cella.container(shown(bundle))
  local ok, config, why_not = pcall(box.oci, box, bundle.command)
  if ok and not config then return "refused: " .. tostring(why_not) end
  if not ok then return "refused: " .. tostring(config) end
  local file = assert(io.open(other .. "/config.json", "w"))
  file:write(json.encode(config))
  file:close()
  local again
  again, err = read(other)
  if not again then return "not read again: " .. tostring(err) end
  local one, two = table_of(bundle), table_of(again)
  local first, second = bundle.container.seccomp, again.container.seccomp
  if first and second and one.keys.seccomp ~= two.keys.seccomp then
    one.keys.seccomp, two.keys.seccomp = answers_of(first), answers_of(second)
  end
  local found = differences(one, two, "", {})
  table.sort(found)
  return #found == 0 and "equal" or table.concat(found, "\n")
end

return M
