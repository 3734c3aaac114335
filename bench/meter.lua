--- A process that starts what a row starts, as often as it is told, and says how long that took.

local core = require "cella.core"
local Plan = require "cella.plan"
local systems = require "bench.systems"

---@class bench.meter
local Meter = {}
Meter.__index = Meter

local M = {}

--- Starts the process.
---@return bench.meter
function M.open(group, row)
  local self = setmetatable({ name = row.name, answers = {}, said = {}, here = 0 }, Meter)
  local argv = systems.argv(group, row, group.command)
  argv.stdin = "pipe"
  -- What is started has the same standard output: a program that is to stay says "." when it runs.
  argv.stdout = function(line)
    if line == "." then self.here = self.here + 1 else table.insert(self.answers, line) end
  end
  argv.stderr = function(line) table.insert(self.said, line) end
  self.process = assert(Plan.new():exec(argv):spawn())
  return self
end

-- Takes what the process says until `is_there` is satisfied.
local function listen(self, is_there)
  while not is_there() do
    if self.process:step() then
      self.process:wait()
      error(("%s: %s"):format(self.name, table.concat(self.said, "\n")), 0)
    end
    if not is_there() then core.poll({ self.process:pollfd() }, self.process:timeout()) end
  end
end

--- Says a line, and waits for the answer. Returns seconds; raises where the process has ended.
---@param request string
---@return { wall: number, cpu: number, blocked: number }
function Meter:ask(request)
  self.process:write(request .. "\n")
  listen(self, function() return #self.answers > 0 end)
  local wall, cpu, blocked = table.remove(self.answers):match "^(%d+) (%d+) (%d+)$"
  return { wall = wall / 1e9, cpu = cpu / 1e9, blocked = blocked / 1e9 }
end

--- Waits until so many programs have said that they run.
---@param count integer
function Meter:wait_for_programs(count)
  listen(self, function() return self.here >= count end)
end

function Meter:close()
  self.process:close()
end

return M
