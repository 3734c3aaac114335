--- JSON in a file of somebody's, who is not to be trusted: it has a bound, and its fields are checked.

local core = require "cella.core"
local Error = require "cella.error"
local json = require "cella.oci.json"
local open = require "cella.open"
local schema = require "cella.oci.read.schema"

local M = {}

local MOST_BYTES = 4 * 1024 * 1024

-- What is in a regular file that is not too long; nobody is waited for at the other end of a pipe.
local function read_file(path, most)
  local fd, message, errno = open.to_read(path, 5)
  if not fd then
    return nil, Error.new { op = "open", path = path, errno = errno, message = not errno and message or nil }
  end
  local status = core.file_status(fd:number())
  local function refuse(words)
    fd:close()
    return nil, Error.new { op = "read", path = path, message = words }
  end
  if not status or status.type ~= "file" then return refuse "a regular file expected" end
  local parts, size = {}, 0
  while true do
    local data
    data, message, errno = fd:read()
    if data == nil then
      fd:close()
      return nil, Error.new { op = "read", path = path, errno = errno, message = not errno and message or nil }
    end
    if not data or data == "" then break end
    size = size + #data
    if size > most then return refuse(("longer than %d bytes"):format(most)) end
    parts[#parts + 1] = data
  end
  fd:close()
  return table.concat(parts)
end

--- Nil, and an error that names the document.
---@param path string
---@param message string
---@return nil, cella.error
function M.refused(path, message)
  return nil, Error.new { op = "config", path = path, message = message }
end

--- Calls what raises { refused = message }, and makes an error of that.
---@param path string  of the document
---@param call function
---@param ... any
---@return any, cella.error?
function M.checked(path, call, ...)
  local ok, result = pcall(call, ...)
  if ok then return result end
  if type(result) == "table" and result.refused then return M.refused(path, result.refused) end
  error(result, 0)
end

--- Reads the JSON in a file, and checks its fields.
---@param path string
---@param at string?  what of a config.json it is
---@return table?, cella.error?, string? text
function M.read(path, at)
  local text, err = read_file(path, MOST_BYTES)
  if not text then return nil, err end
  local value, message = json.decode(text, MOST_BYTES)
  if message then return M.refused(path, message) end
  if type(value) ~= "table" then return M.refused(path, "an object expected") end
  local ok
  ok, err = M.checked(path, function()
    schema.check(value, at)
    return true
  end)
  if not ok then return nil, err end
  return value, nil, text
end

return M
