--- Errors of the runtime: what the core says, without the path, which the error has by itself.

local Error = require "cella.error"

local M = {}

--- What stands behind the last colon of a message.
---@param message string?
---@return string?
function M.message(message) return message and (message:match ": ([^:]*)$" or message) end

--- nil and an error.
---@param op string
---@param path string?
---@param message string?
---@param errno integer?
---@param why string?
---@return nil, cella.error
function M.new(op, path, message, errno, why)
  return nil, Error.new { op = op, path = path, errno = errno, why = why, message = M.message(message) }
end

return M
