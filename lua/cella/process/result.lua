--- How a program ended, as a person reads it.

local printable = require "cella.printable"

---@class cella.result
---@field reason "exited"|"signaled"|"timeout"|"cpu"|"output"|"oom"  the last four: the limit that ended it
---@field limit number?    of these four: how much it was, in seconds or bytes; of "oom" where the container's own limit
---  of memory is known
---@field code integer?    the exit status, 0 to 255, where the program exited
---@field signal string?   the name of the signal that ended it ("kill")
---@field signal_number integer?
---@field stdout string?   what was captured
---@field stderr string?
---@field network_lost string?  how the helper of a user-mode network ended, where that was before the program
---@field truncated boolean?  true where more was written than the bounds let through; the rest was discarded
---@field values table?    what a function returned, as table.pack has it
---@field error cella.failure?  what a function raised
---@field lost string?      why there is neither, where the program was a function
---@field confinement cella.confinement.held?  what a container's program was confined by
---@field usage table      user_seconds, system_seconds, max_rss (bytes), wall_seconds, and with a cgroup those of
---  cella.cgroup.usage
-- `__plain`: all that the metatable does is to print. A function in a container may return such a table, which comes
-- home without it.
local Result = { __name = "cella.result", __plain = true }

local M = {}

---@param fields table
---@return cella.result
function M.new(fields) return setmetatable(fields, Result) end

-- "64M", or bytes.
local function size(bytes)
  for _, unit in ipairs { { "G", 1024 ^ 3 }, { "M", 1024 ^ 2 }, { "K", 1024 } } do
    if bytes >= unit[2] and bytes % unit[2] == 0 then return ("%.0f%s"):format(bytes / unit[2], unit[1]) end
  end
  return ("%.0f bytes"):format(bytes)
end

local reasons = {}

function reasons.exited(result) return ("exited %d"):format(result.code) end

function reasons.signaled(result)
  return ("ended by the signal %s"):format(result.signal)
    .. (result.signal == tostring(result.signal_number) and "" or (" (%d)"):format(result.signal_number))
end

function reasons.timeout(result) return ("killed: timed out after %g s"):format(result.limit) end

function reasons.cpu(result) return ("killed: used more than %g s of processor time"):format(result.limit) end

function reasons.output(result)
  return ("%s: wrote more than %s"):format(result.code and ("exited %d"):format(result.code) or "killed",
    size(result.limit))
end

function reasons.oom(result)
  return "killed: needed more memory than " .. (result.limit and "its limit of " .. size(result.limit) or "there is")
end

function Result:__tostring()
  local text = Result.__name
  local say = reasons[self.reason]
  local ok, said = pcall(say or tostring, say and self)
  if say and ok then text = said end -- else somebody has changed its fields
  if self.values then
    text = text .. (", returned %d value%s"):format(self.values.n, self.values.n == 1 and "" or "s")
  elseif self.error then
    text = text .. ", raised: " .. tostring(self.error.message)
  elseif self.lost then
    text = text .. "; " .. self.lost
  end
  if self.truncated and self.reason ~= "output" then text = text .. ", with more output than was kept" end
  return printable.text(text)
end

return M
