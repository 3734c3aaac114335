--- How many system calls a start makes, as strace(1) sees them: of the parent, per start and wait, and of all others
--- until the command is executed.

local here = require "bench.here"
local effects = require "bench.effects"
local systems = require "bench.systems"

local M = {}

local STARTS = 3

-- The calls of a run of so many starts, in their order: whose, which, and whether it is an exec that succeeded.
local function trace(group, row)
  local file = here.directory() .. "/trace"
  local argv = systems.argv(group, row, group.command, STARTS)
  argv[1] = assert(here.find(argv[1]))
  local output, problem = effects.run(table.move(argv, 1, #argv, 6, { "strace", "-f", "-qq", "-o", file }))
  if not output then return nil, problem end
  local calls, begun = {}, {}
  for line in io.lines(file) do
    local pid, name, rest = line:match "^(%d+) +([%w_]+)(%(.*)$"
    local of, resumed = line:match "^(%d+) +<%.%.%. ([%w_]+) resumed"
    if pid then
      local call = { pid = pid, name = name, exec = name:find "^execve" and rest:find "= 0$" and true }
      calls[#calls + 1] = call
      if rest:find "<unfinished" then begun[pid .. name] = call end
    elseif of and resumed:find "^execve" and line:find "= 0$" then
      local call = begun[of .. resumed]
      if call then call.exec = true end
    end
  end
  return calls
end

-- The calls from one start of the parent's to its next, of those in the middle: what is done once is behind them, and
-- nothing of the end of the process is among them. A start may be of several children.
local function period(calls)
  local born = {}
  for i, call in ipairs(calls) do
    if call.pid == calls[1].pid and call.name:find "^clone" or call.name == "vfork" then born[#born + 1] = i end
  end
  local each = #born // STARTS
  if each == 0 or #born % STARTS ~= 0 then return nil, ("%d children of %d starts"):format(#born, STARTS) end
  return table.move(calls, born[each * (STARTS - 2) + 1], born[each * (STARTS - 1) + 1] - 1, 1, {})
end

--- Counts those of one start and wait.
---@return { parent: integer, child: integer }?, string?
function M.count(group, row)
  if not here.find "strace" then return nil, "there is no strace" end
  local all, problem = trace(group, row)
  local calls
  if all then calls, problem = period(all) end
  if not calls then return nil, problem end
  local parent, child, before_exec = 0, 0, 0
  for _, call in ipairs(calls) do
    if call.pid == all[1].pid then
      parent = parent + 1
    else
      child = child + 1
      if call.exec then before_exec = child end
    end
  end
  return { parent = parent, child = before_exec }
end

return M
