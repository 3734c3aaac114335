--- Errors of the runtime.

local Error = require "cella.error"

--- nil and an error. Where the kernel has refused something its words are those of the errno: what the core's message
--- says beside them, the path and the operation, the error has by itself. A message of our own stays as it is.
---@param op string
---@param path string?
---@param message string?
---@param errno integer?
---@param why string?
---@return nil, cella.error
return function(op, path, message, errno, why)
  return nil, Error.new { op = op, path = path, errno = errno, why = why, message = not errno and message or nil }
end
