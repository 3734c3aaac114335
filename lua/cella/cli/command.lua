--- The program of a command line, for commands that start nothing.

local M = {}

--- The command that a line means: what stands behind `--`, run as the file says of its own; nil where that is meant.
---@param box cella.container
---@param request { command: string[]? }
---@return table?
function M.of(box, request)
  local given = request.command
  if not given then return nil end
  local own, command = box.description.command, {}
  for key, value in pairs(type(own) == "table" and own or {}) do
    if type(key) == "string" and key ~= "n" then command[key] = value end
  end
  for i, word in ipairs(given) do command[i] = word end
  return command
end

return M
