--- The start of a program for which nobody waits: a coroutine that pauses where the caller would wait, and goes on when
--- the process is stepped.

local core = require "cella.core"
local Error = require "cella.error"
local words = require "cella.words"

---@class cella.process.starting
---@field give_up fun()  ends what it has begun besides the child
---@field till number?  when it has to go on, whatever is ready, by the clock of core.now()
local Starting = {}
Starting.__index = Starting

local M = {}

---@param run fun(pause: fun(number: integer?, seconds: number)): any, cella.error?
---@param give_up fun()  ends what `run` has begun, where nobody goes on with it
---@return cella.process.starting
function M.new(run, give_up)
  return setmetatable({ give_up = give_up, thread = coroutine.create(function()
    return run(function(number, seconds) coroutine.yield(number, seconds) end)
  end) }, Starting)
end

local function nothing() end

--- Goes on with the start as far as that is possible now. `set` wakes the caller when there is more to do.
---@param set table  cella.process.events
---@return boolean over
---@return any result        what `run` returned; nil where it failed
---@return cella.error? err
function Starting:go_on(set)
  -- Before its number could be another's.
  set:remove(self.number)
  self.number = nil
  local ok, first, second = coroutine.resume(self.thread)
  if not ok then
    return true, nil, Error.is(first) and first or Error.new { op = "spawn", message = words.of(first) }
  end
  if coroutine.status(self.thread) == "dead" then return true, first, second end
  self.till = core.now() + second
  if first then
    local added, err = set:add(first, nothing)
    if not added then return true, nil, err end
    self.number = first
  end
  return false
end

--- Before the program is executed there is nothing of it to act on.
---@param op string
---@return nil, cella.error
function Starting.refuse(_, op)
  return nil, Error.new { op = op, code = "EAGAIN", message = "the program has not been executed yet",
    why = "it was started with `wait = false`: when it runs, `process.pid` is there" }
end

return M
