--- The log of `cella run --debug`: a line for each step of a start once it is done, and what becomes of the program.

local core = require "cella.core"
local printable = require "cella.printable"

local M = {}

-- [2026-11-27T14:43:04.123456Z namespaces   child ] text
local function line(at, stage, side, text)
  local whole = math.floor(at)
  return ("[%s.%06dZ %-12s %-6s] %s\n"):format(os.date("!%Y-%m-%dT%H:%M:%S", whole), math.floor((at - whole) * 1e6),
    stage, side, printable.line(text))
end

local function now()
  local seconds, nanoseconds = core.wall_clock()
  return seconds + nanoseconds / 1e9
end

local function duration(seconds)
  if not seconds then return "" end
  if seconds < 0.001 then return (" (%.0f us)"):format(seconds * 1e6) end
  return (" (%.2f ms)"):format(seconds * 1e3)
end

--- What the key `log` of a command takes.
---@param err file*
---@return fun(step: cella.plan.done)
function M.steps(err)
  return function(step)
    err:write(line(step.at, step.stage, step.side, step.text .. duration(step.took)))
  end
end

--- The program runs.
---@param err file*
---@param process cella.process
function M.started(err, process)
  err:write(line(now(), "command", "parent", ("the program runs: process %d"):format(process.pid)))
end

--- The program has ended.
---@param err file*
---@param result cella.result
function M.ended(err, result)
  local how = result.code and ("exited with %d"):format(result.code) or ("killed by %s"):format(tostring(result.signal))
  if result.reason ~= "exited" and result.reason ~= "signaled" then how = ("%s: %s"):format(result.reason, how) end
  err:write(line(now(), "command", "parent", how))
end

return M
