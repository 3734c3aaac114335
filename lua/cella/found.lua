--- A program that another process has started, and let go: found again by what process:identity() has told, and by
--- nothing that could mean another by now. It is nobody's child here: how it ends is not told, only that it has.

local blame = require "cella.blame"
local core = require "cella.core"
local Error = require "cella.error"
local identity = require "cella.process.identity"
local lazy = require "cella.lazy"
---@module "cella.enter"
local enter = lazy "cella.enter"
local targets = require "cella.enter.target"
local validate = require "cella.validate"

---@class cella.found
---@field pid integer
---@field identity string  as it was given
local Found = { __name = "cella.found" }
Found.__index = Found

local M = {}

local function gone(text, why)
  return nil, Error.new { op = "find", code = "ESRCH", errno = 3, message = "the process is not there any more",
    why = why:format(text) }
end

-- Whether a process that is held is the one that started then; nil and words where that cannot be told.
local function is_it(target, wanted)
  local stat = target:read "stat"
  if not stat then return false end
  local start, why = identity.start(stat)
  if why then return nil, why end
  return start ~= nil and identity.is_same(start, wanted.start) and not target:ended()
end

local function untold(why) return nil, Error.new { op = "find", code = "EINVAL", errno = 22, message = why } end

--- Finds a program by what `process:identity()` has told of it, in whatever process, of the same pid namespace. Nil and
--- an error where it has ended (ESRCH), also where another has its number by now. To be closed, which does nothing to
--- the program.
---@param text string
---@return cella.found?, cella.error?
function M.find(text)
  local wanted = identity.parse(text)
  if not wanted then
    blame("identity: what process:identity() returns expected, got " .. validate.show(text))
  end
  local boot, err = identity.boot()
  if not boot then return nil, err end
  if boot ~= wanted.boot then return gone(wanted.pid, "it was process %d before the machine was started anew") end
  local target
  target, err = targets.hold(wanted.pid)
  if not target then
    if err.code == "ESRCH" then return gone(wanted.pid, "it was process %d, which has ended") end
    return nil, err
  end
  local is, why = is_it(target, wanted)
  if not is then
    target:close()
    if why then return untold(why) end
    return gone(wanted.pid, "it was process %d, and another has that number by now")
  end
  return setmetatable({ pid = wanted.pid, identity = text, target = target, wanted = wanted }, Found)
end

local function number(self, method)
  if type(self) ~= "table" or getmetatable(self) ~= Found then
    blame(("found: a program that was found expected: found:%s() has a colon, not a dot"):format(method))
  end
  local fd = self.target.pidfd:number()
  if not fd then blame(method .. ": it is closed") end
  return fd
end

--- Whether it has ended.
---@return boolean
function Found:ended()
  number(self, "ended")
  return self.target:ended()
end

--- Sends a signal to the program, and never to another. (With an init "kill" ends all that is in there with it.)
---@param signal string  "term"
---@return boolean?, cella.error?
function Found:kill(signal)
  local fd = number(self, "kill")
  local good, ok, message, errno = pcall(core.sys.pidfd_send_signal, fd, signal)
  if not good then blame("signal: " .. (tostring(ok):match "%((.*)%)$" or tostring(ok))) end
  if ok then return true end
  return nil, Error.new { op = "pidfd_send_signal", errno = errno, message = message:match ": (.*)$" or message }
end

--- Waits until it has ended, and no longer than a number of seconds, if one is given. Returns whether it has.
---@param timeout number?
---@return boolean
function Found:wait(timeout)
  local fd = number(self, "wait")
  if timeout ~= nil then validate.check(validate.rule.seconds, timeout, "timeout") end
  local till = timeout and core.now() + timeout or math.huge
  while not self.target:ended() do
    local left = till - core.now()
    if left <= 0 then return false end
    core.poll({ fd }, math.min(left, 3600))
  end
  return true
end

--- Another program where it is, confined as it is: the options of cella.enter, but for who is entered.
---@param options cella.enter.keys?
---@return cella.entrance?, cella.error?
function Found:enter(options)
  number(self, "enter")
  if options ~= nil and type(options) ~= "table" then blame("a table expected, got " .. validate.show(options)) end
  local copy = {}
  for key, value in pairs(options or {}) do copy[key] = value end
  copy.pid = self.pid
  local entrance, err = enter.new(copy)
  if not entrance then return nil, err end
  local is, why = is_it(entrance.description.target, self.wanted)
  if is then return entrance end
  entrance:close()
  if why then return untold(why) end
  return gone(self.pid, "it was process %d, which has ended")
end

--- Lets go of it; it lives on.
function Found:close()
  self.target:close()
end

Found.__close = Found.close

function Found:__tostring()
  local state = not self.target.pidfd:number() and "closed" or self.target:ended() and "ended" or "running"
  return ("%s (pid %d, %s)"):format(Found.__name, self.pid, state)
end

return M
