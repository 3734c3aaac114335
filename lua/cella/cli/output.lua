--- The standard output, which remembers whether all that was written to it has arrived: who redirects it to a file has
--- no other way to know.

---@class cella.cli.output
---@field failed string?  the first failure
local Output = {}
Output.__index = Output

local M = {}

---@param file file*
---@return cella.cli.output
function M.of(file) return setmetatable({ file = file }, Output) end

local function remember(self, ok, message)
  if ok then return self end
  self.failed = self.failed or tostring(message)
  return nil, message
end

--- As that of a file.
function Output:write(...) return remember(self, self.file:write(...)) end

--- As that of a file.
function Output:flush() return remember(self, self.file:flush()) end

return M
