--- Checks the rows of a group, and lets those that are good take turns.

local calls = require "bench.calls"
local effects = require "bench.effects"
local figures = require "bench.figures"
local here = require "bench.here"
local idle = require "bench.idle"
local meter = require "bench.meter"

local M = {}

-- What is known of a row before it is timed.
local function inspect(group, row, options)
  local entry = { name = row.name, own = row.own, heap = row.heap, series = row.series, samples = {}, cpus = {} }
  local program = row.start.program
  if row.missing then
    entry.missing = row.missing
  elseif options.largest_heap and (row.heap or 0) > options.largest_heap then
    entry.missing = "it takes too long to fill the heap"
  elseif program and not here.find(program) then
    entry.missing = program .. " is not installed"
  else
    entry.effects, entry.failed = effects.check(group, row)
  end
  if entry.effects then entry.lacks = row.lacks or row.effects and "not the whole of shape S" or nil end
  if entry.effects and group.calls and options.calls then
    entry.calls, entry.calls_missing = calls.count(group, row)
  end
  return entry
end

-- One visit at a row: its sample is the median of a few starts, or the mean of those that are in flight together.
local function visit(group, row, entry, worker, options)
  local walls, cpus = {}, {}
  local at_once = group.at_once or 1
  local count = at_once == 1 and 1 or 2 * at_once
  for i = 1, at_once == 1 and options.each or 1 do
    local answer = worker:ask(("start %d %d"):format(count, at_once))
    walls[i] = answer[row.metric or group.metric or "wall"] / count
    cpus[i] = answer.cpu / count
  end
  table.insert(entry.samples, figures.median(walls))
  table.insert(entry.cpus, figures.median(cpus))
end

local function take_turns(group, pairs_of, options)
  local running = {}
  local function drop(one, problem)
    one.entry.failed = tostring(problem)
    one.gone = true
    if one.worker then one.worker:close() end
  end
  for _, one in ipairs(pairs_of) do
    local ok, problem = pcall(function()
      one.worker = meter.open(group, one.row)
      one.worker:ask "start 1 1"
    end)
    if ok then running[#running + 1] = one else drop(one, problem) end
  end
  for _ = 1, options.rounds do
    for _, one in ipairs(figures.shuffled(running)) do
      if not one.gone then
        local ok, problem = pcall(visit, group, one.row, one.entry, one.worker, options)
        if not ok then drop(one, problem) end
      end
    end
  end
  for _, one in ipairs(running) do
    if not one.gone then one.worker:close() end
  end
end

-- Of the entries, those that were timed to the end, by name.
local function good_entries(entries)
  local good = {}
  for _, entry in ipairs(entries) do
    if entry.effects and not entry.failed and #entry.samples > 0 then good[entry.name] = entry end
  end
  return good
end

local function compare(entry, base, inverse)
  if not base then return nil end
  if inverse then return figures.paired(base.samples, entry.samples) end
  return figures.paired(entry.samples, base.samples)
end

local function summarize(group, entries)
  local good = good_entries(entries)
  for i, entry in ipairs(entries) do
    local row = group.rows[i]
    if good[entry.name] then
      entry.median, entry.best_tenth = figures.median(entry.samples), figures.best_tenth(entry.samples)
      entry.cpu = figures.median(entry.cpus)
      entry.base = row.base or group.base
      entry.to_base = compare(entry, good[entry.base], group.inverse)
      if row.floor then entry.to_floor = compare(entry, good[row.floor], group.inverse) end
    end
  end
end

--- Measures a group.
---@param group table
---@param options table  rounds, starts of `each` in a round, `idle` containers and idle_rounds, whether `calls` are
---  counted, and largest_heap
---@return { name: string, title: string, rows: table[] }
function M.group(group, options)
  local entries, good = {}, {}
  for i, row in ipairs(group.rows) do
    entries[i] = inspect(group, row, options)
    if entries[i].effects and not entries[i].failed then good[#good + 1] = { row = row, entry = entries[i] } end
  end
  if group.idle then
    for _ = 1, options.idle_rounds do
      for _, one in ipairs(figures.shuffled(good)) do idle.measure(group, one.row, one.entry, options.idle) end
    end
  else
    take_turns(group, good, options)
  end
  summarize(group, entries)
  return { name = group.name, title = group.title, base = group.base, metric = group.metric or "wall",
    inverse = group.inverse, idle = group.idle and options.idle or nil, rows = entries }
end

return M
