--- Errors as values: what failed, where, and what to do about it.
--
-- Everything above `cella.sys` returns `nil, err` for what the world did and raises for what the
-- programmer did.

local core = require "cella.core"
local everywhere = require "cella.explain.everywhere"
local printable = require "cella.printable"

---@class cella.error
---@field op string          the operation: a man-page name ("mount"), or a stage ("newuidmap")
---@field step integer?      its number in the plan
---@field side "parent"|"child"|nil
---@field path string?       the file or program that it was about
---@field errno integer?
---@field code string?       "EPERM"
---@field message string     what the kernel or the helper said
---@field why string?        the rule that was broken and the remedy, in a sentence
---@field remedy string?     what removes the cause, as commands or a text to paste, where there are any
---@field text string?       the step as the plan prints it
---@field cause any          what a hook raised, or its message
---@field reason string?     of a worker: why a call came to nothing
---@field traceback string?  of a worker: what was raised, and where
---@field value any          of a worker: what was raised, where that is plain data
---@field result cella.result?  of hooks.exited, and of a worker: how the program ended
---@field policy string?     of a policy: its name
---@field tried { name: string, err: any }[]?  of policy.first and cella.first: what did not work
local Error = { __name = "cella.error" }
Error.__index = Error

function Error:__tostring()
  local where = self.op
  if self.step then
    where = ("step %d (%s), %s"):format(self.step, self.side or "child", self.text or self.op)
  end
  local text = ("%s: %s"):format(where, self.message)
  if self.code and not text:find(self.code, 1, true) then
    text = text .. " (" .. self.code .. ")"
  end
  if self.path and not text:find(self.path, 1, true) then
    text = text .. "\n  " .. printable.line(self.path)
  end
  if self.why then
    text = text .. "\n  " .. self.why
  end
  return printable.text(text)
end

local M = {}

--- Makes an error. `errno` fills in `code` and, where there is none, `message`; and `why` where a limit was reached.
---@param fields table
---@return cella.error
function M.new(fields)
  if fields.errno and fields.errno > 0 then
    fields.code = fields.code or core.errno_name(fields.errno)
    fields.message = fields.message or core.strerror(fields.errno)
  end
  fields.message = fields.message or "failed"
  if not fields.why then
    local why = everywhere[fields.code]
    fields.why = type(why) == "function" and why() or why
  end
  return setmetatable(fields, Error)
end

--- Passes on what a function of the core returned, or raises what it failed with, for who has nobody to return it to.
---@param op string
function M.must(op, value, message, errno, ...)
  if value ~= nil then return value, message, errno, ... end
  error(M.new { op = op, errno = errno, message = not errno and message or nil }, 0)
end

--- True for errors made here.
---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == Error
end

return M
