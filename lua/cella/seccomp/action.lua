--- What a filter answers to a system call: "allow", "log", "notify", the name of an error, or "kill".

local ascii = require "cella.ascii"
local core = require "cella.core"
local validate = require "cella.validate"

local M = {}

local HIGHEST_ERRNO = 134 -- EFTYPE, on all machines

local errnos, names

local function read()
  errnos, names = {}, {}
  for number = 1, HIGHEST_ERRNO do
    local name = core.errno_name(number)
    if name then
      errnos[name] = number
      names[#names + 1] = name
    end
  end
end

--- The number of an error; nil of what is none.
---@param name any
---@return integer?
function M.errno(name)
  if not errnos then read() end
  return errnos[name]
end

--- A rule: the name of an error.
function M.errno_rule(value, path)
  if M.errno(value) then return value end
  local near = type(value) == "string" and validate.nearest(ascii.upper(value), names)
  validate.fail(path, "%s is not the name of an error%s", validate.show(value),
    near and "; did you mean '" .. near .. "'?" or ', as "EPERM" is')
end

--- A rule: an action.
function M.rule(value, path)
  if value == "allow" or value == "log" or value == "notify" or value == "kill" or M.errno(value) then return value end
  local near = type(value) == "string" and validate.nearest(value, { "allow", "log", "notify", "kill" })
  validate.fail(path, '%s is not "allow", "log", "notify", "kill" or the name of an error%s', validate.show(value),
    near and "; did you mean '" .. near .. "'?" or "")
end

--- Whether a program's call is performed.
---@param action string
---@return boolean
function M.permits(action) return action == "allow" or action == "log" or action == "notify" end

-- As the kernel has it where several filters answer. An error is 4.
local STRICTNESS = { allow = 1, log = 2, notify = 3, kill = 5 }

--- Of two actions the stricter; of two errors the first.
---@param one string
---@param other string
---@return string
function M.stricter(one, other)
  return (STRICTNESS[other] or 4) > (STRICTNESS[one] or 4) and other or one
end

--- Of two actions the one that is less strict; of two errors the first.
---@param one string
---@param other string
---@return string
function M.milder(one, other)
  return (STRICTNESS[other] or 4) < (STRICTNESS[one] or 4) and other or one
end

--- Whether of two conditions the one with this action is asked first, where the order is not said.
---@param one string
---@param other string
---@return boolean
function M.is_asked_before(one, other)
  local first, second = STRICTNESS[one] or 4, STRICTNESS[other] or 4
  if first ~= second then return first > second end
  return first == 4 and one < other
end

return M
