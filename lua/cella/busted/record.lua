--- What a file's container has told (report.lua), as a tree: runs of the suite, each of blocks and tests.

local core = require "cella.core"
local report = require "cella.busted.report"

local M = {}

---@class cella.busted.node
---@field name string?
---@field trace table
---@field children cella.busted.node[]?  of a block, and of a run
---@field told table[]         what was raised in it, in order: kind, message, trace
---@field due table[]?         of a block: what was raised in hooks of its, beside their descriptor
---@field randomseed number?   of a block, and of a run: by which its children were shuffled
---@field descriptor string?   of a test: "it" or "pending"
---@field duration number?     of a test
---@field printed integer[]?  of a test: how much had been printed when the one before it ended, when it began, and when
---  it ended; of a run: when its last test ended, and when its file did

local function block(message)
  return { name = message.name, trace = message.trace, children = {}, told = {}, due = {} }
end

-- Messages one after the other; what has no end is left out.
local function each(data)
  local at = 1
  return function()
    local size = tonumber(data:sub(at, at + report.HEADER - 1))
    if not size or #data < at + report.HEADER + size - 1 then return nil end
    local from = at + report.HEADER
    at = from + size
    local kind, values = core.serialize.decode(data:sub(from, at - 1), report.LIMIT)
    return kind == "v" and type(values[1]) == "table" and values[1] or nil
  end
end

local take = {}

function take.run(state)
  state.run = block { trace = {} }
  state.runs[#state.runs + 1], state.open, state.test = state.run, { state.run }, nil
end

function take.file(state) state.has_file = true end

function take.block(state, message)
  local node = block(message)
  table.insert(state.open[#state.open].children, node)
  table.insert(state.open, node)
end

take["end"] = function(state, message)
  if #state.open > 1 then table.remove(state.open).randomseed = message.randomseed end
end

function take.test(state, message)
  state.test = { name = message.name, trace = message.trace, descriptor = message.descriptor, told = {},
    printed = { state.printed, message.printed, message.printed } }
  table.insert(state.open[#state.open].children, state.test)
end

function take.over(state, message)
  local test = state.test
  if not test then return end
  test.duration, test.printed[3] = message.duration, message.printed
  state.printed, state.test = message.printed, nil
end

function take.told(state, message)
  if message.descriptor == "it" and state.test then
    table.insert(state.test.told, message)
  elseif message.descriptor == "describe" or message.descriptor == "file" then
    table.insert(state.open[#state.open].told, message)
  else
    table.insert(state.open[math.min(message.depth + 1, #state.open)].due, message)
  end
end

function take.tail(state, message)
  state.run.randomseed = message.randomseed
  state.run.printed, state.printed = { state.printed, message.printed }, message.printed
end

function take.exit(state, message)
  state.is_whole, state.lines = true, message.lines
end

-- What may come while there is no run.
local EARLY = { run = true, exit = true, file = true }

--- Reads it.
---@param data string
---@return { runs: cella.busted.node[], test: cella.busted.node?, is_whole: boolean?, has_failed: boolean?,
---  has_file: boolean?, lines: table?, printed: integer }
---  `test` is the one that was at work when it ended before its time
function M.read(data)
  local state = { runs = {}, printed = 0 }
  for message in each(data) do
    local f = take[message.event]
    -- A file that busted does not find is told of before the run.
    if message.event == "told" and message.kind ~= "pending" then state.has_failed = true end
    if f and (state.run or EARLY[message.event]) then f(state, message) end
  end
  return state
end

return M
