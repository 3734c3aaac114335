--- The error of a call that came to nothing.

local Error = require "cella.error"

local function of_call(job)
  if job.greets then return "start" end
  return job.source and "load " .. job.name or ("%s.%s"):format(job.name, job.call)
end

--- The error of a worker's call, or of its start: with the `reason` of the manual, and the name of the call before the
--- message, where one is under way.
---@param self cella.worker
---@param reason string
---@param message string
---@param fields table?
---@return cella.error
local function failed(self, reason, message, fields)
  local err = Error.new { op = "worker", message = message }
  err.reason = reason
  for key, value in pairs(fields or {}) do err[key] = value end
  if self.job and not (fields and fields.traceback) then err.message = of_call(self.job) .. ": " .. message end
  return err
end

return failed
