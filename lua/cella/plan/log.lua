--- What a start says while it goes on: each step once it is done, to a function of the caller's. Only a start that has
--- such a function loads this.
---
--- The child notes when each of its steps was done, in memory that it shares with the caller; the caller reads that
--- when it hears of the child anyway: where the child waits for it, and when the program is executed or something has
--- failed. So a child's steps are told in bundles, with the times at which they were done. The times are of
--- CLOCK_REALTIME: a time namespace shifts the others.

local call = require "cella.call"
local core = require "cella.core"
local Error = require "cella.error"
local failures = require "cella.plan.failure"
local stages = require "cella.plan.stage"
local words = require "cella.words"

local M = {}

---@class cella.plan.done: cella.plan.step  a step that is done: as in plan:steps(), and
---@field stage cella.plan.stage  what it is for
---@field at number      when it was done: seconds since 1970, UTC
---@field took number?   seconds: a step of the parent's from its beginning; one of the child's since the one before was
---  done, the first since clone3 was begun

---@class cella.plan.log
---@field failure cella.error?  what the caller's function raised: the start ends with it
local Log = {}
Log.__index = Log

-- Seconds between two times, each { seconds, nanoseconds }.
local function between(from, to)
  return to[1] - from[1] + (to[2] - from[2]) / 1e9
end

---@param plan cella.plan
---@param tell fun(step: cella.plan.done)
---@return cella.plan.log
function M.new(plan, tell)
  local steps = plan:steps()
  return setmetatable({ plan = plan, tell = tell, steps = steps, stages = stages.of(steps), told = 0,
    parent = { core.wall_clock() } }, Log)
end

local function say(self, number, at, took)
  if self.failure then return end
  local step = { stage = self.stages[number], at = at[1] + at[2] / 1e9, took = took }
  for key, value in pairs(self.steps[number]) do step[key] = value end
  local ok, err = call.whole(self.tell, step)
  if not ok then self.failure = Error.new { op = "log", message = words.of(err), cause = err } end
end

--- What the parent does next begins now.
function Log:begin()
  self.parent = { core.wall_clock() }
end

--- A step of the parent's is done.
---@param number integer  in plan:steps()
function Log:done(number)
  local now = { core.wall_clock() }
  if self.steps[number].op == "clone3" then self.child = self.parent end
  say(self, number, now, between(self.parent, now))
  self.parent = { core.wall_clock() }
end

--- A child that was there before (cella.pool) goes on with these steps: clone3 is not one of them.
function Log:goes_on()
  self.child = { core.wall_clock() }
end

--- Steps of the child's are done, up to one of them.
---@param child userdata
---@param last integer  among the child's
function Log:child_steps(child, last)
  local heard = { core.wall_clock() } -- of what notes nothing: the exec
  for index = self.told + 1, last do
    local seconds, nanoseconds = child:stamp(index)
    local at = seconds and { seconds, nanoseconds } or heard
    -- A clock that somebody has set back tells nothing about how long it took.
    local took = self.child and between(self.child, at)
    if took and took < 0 then took = nil end
    say(self, failures.number_of_child_step(self.plan, index), at, took)
    self.child = at
  end
  self.told = math.max(self.told, last)
end

--- The start is over: the child's other steps, up to the one that failed.
---@param child userdata
---@param ok boolean?
---@param err cella.error?
function Log:finish(child, ok, err)
  local last = self.told
  for index = self.told + 1, self.plan.recorder:size() do
    if not ok and failures.number_of_child_step(self.plan, index) >= (err and err.step or 0) then break end
    last = index
  end
  self:child_steps(child, last)
end

return M
