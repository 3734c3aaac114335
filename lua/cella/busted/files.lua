--- `cella busted`: a spec file runs in a container of its own, by busted there, and busted here gets, in place of the
--- file, blocks and tests that do as those did. So the report, the counts and the exit status are busted's own.

local blocks = require "cella.busted.blocks"
local boxed = require "cella.busted"
local core = require "cella.core"
local coverage = require "cella.busted.coverage"
local listen = require "cella.busted.listen"
local replay = require "cella.busted.replay"
local report = require "cella.busted.report"
local runs = require "cella.busted.runs"

local M = {}

local state      -- of cella.busted
local has_begun  -- the suite, here; where names are listed it has not

-- What the process of a file did that busted does not: words, and what that means for the test at work.
local function forged(file)
  local record_of = file.record
  local problem = record_of.problem
  local is_ended = file.result.reason == "exited"
  if not problem and record_of.is_cut and is_ended then problem = "the last message is not whole" end
  if not problem then return nil end
  return ("the process of this file has written what busted does not to descriptor %d: %s"):format(report.NUMBER,
    problem), "what follows is left out"
end

-- What became of a file that has not come to its end: of the test at work, or else of the file.
local function blame_end(file)
  local record_of = file.record
  local words, outcome = forged(file)
  if record_of.is_whole and not words then
    -- Only then it ends as busted does that has told this.
    local result = file.result
    if not record_of.has_file then
      return "busted has not found this file in its container, which has the working directory, and what mounts say"
    end
    if #record_of.runs == 0 and has_begun then return "busted has told of no test of this file in its container" end
    if result.reason == "exited" and result.code == (record_of.has_failed and 1 or 0) then
      if file.is_shown then return end
      return ("the process of this file has written more than %.0f bytes, of which the rest is left out"):format(
        runs.MOST_OUTPUT)
    end
    return replay.ended(result, "the process of this file, done with its tests,")
  end
  if not words then
    words = file.is_interrupted and "interrupted by SIGINT" or replay.ended(file.result, "the process of this file")
    outcome = "what follows in it has not run"
  end
  local node = record_of.test
  if node then
    local place = { source = node.trace.source, short_src = node.trace.short_src or file.name, what = "Lua",
      currentline = node.trace.currentline or 0, traceback = "" }
    node.printed[3] = #file.output
    table.insert(node.told, { kind = "failure", trace = place, message = ("%s:%d: %s; %s")
      :format(place.short_src, place.currentline, words, outcome) })
    record_of.printed = #file.output
    return
  end
  return words
end

local function place_of(file, words)
  return { source = "@" .. file.name, short_src = file.name, what = "main", currentline = 1, traceback = "",
    message = words }
end

-- What stands for a file.
local function performer(file)
  return function()
    runs.await(file)
    if runs.is_left_out(file) then return end
    file.runs = (file.runs or 0) + 1
    local words = file.problem and "the box of this file cannot be started: " .. file.problem
    if not words and file.runs == 1 then
      words = blame_end(file)
      if file.record.lines then coverage.add(file.record.lines) end
    end
    file.nodes = {}
    local run = file.record and file.record.runs[file.runs]
    words = words and ("%s:1: %s"):format(file.name, words)
    if not run and words then
      state.spot = place_of(file, words)
      error(words, 0)
    end
    file.last_words = words -- told where the file ends: busted runs no test of one that has raised
    if run then blocks.declare(file, run) end
  end
end

-- What became of the file itself, beside what became of its tests.
local function tell_end(file, element)
  local words = file.last_words
  if not words then return end
  file.last_words = nil
  state.busted.publish({ "error", "file" }, element, state.busted.parent(element), words, place_of(file, words))
end

-- The same where names are listed, and no test is told of.
local function tell_early(file, element)
  if #file.record.runs > 0 then return end
  for _, message in ipairs(file.record.early) do
    message.trace.message = message.message
    state.busted.publish({ message.kind, "file" }, element, state.busted.parent(element), message.message,
      message.trace)
  end
end

local events = {}

-- The file and the node that a block or a test stands for.
local function node_of(element)
  for _, file in ipairs(runs.all()) do
    local node = file.nodes and file.nodes[element.run]
    if node then return file, node end
  end
end

-- Where the order of tests is random busted names what it is made by; with several runs another for each, of which a
-- container, in which all of them take place, knows none.
function events.suite_start(_, _, count, seed)
  if seed and count == 1 then runs.order(seed) end
end

events.file_start, events.describe_start = blocks.open, blocks.open

function events.test_start(element)
  blocks.begin_test(element)
  local file, node = node_of(element)
  if node then blocks.print_part(file, node.printed[1], node.printed[2]) end
end

function events.test_end(element)
  local _, node = node_of(element)
  if node and node.duration then element.duration = node.duration end
end

function events.describe_end(element)
  local _, node = node_of(element)
  if node then blocks.tell_due(element, node.due) end
end

function events.file_end(element)
  for _, file in ipairs(runs.all()) do
    if file.run == element.run and file.record then
      local run = file.record.runs[file.runs]
      if run then
        if run.printed then blocks.print_part(file, run.printed[1], run.printed[2]) end
        blocks.tell_due(element, run.due)
      end
      tell_end(file, element)
      if file.runs >= #file.record.runs then blocks.print_rest(file) end
      tell_early(file, element)
    end
  end
end

-- Where names are listed nothing else is told of.
function events.exit()
  for _, file in ipairs(runs.all()) do blocks.print_rest(file) end
end

-- busted registers its files before it executes the first.
local function register(name, run, trace, attributes)
  if state.passing then return false end
  local file = { name = name }
  runs.add(file)
  -- What is raised here was raised elsewhere.
  local function get_trace(whose, here)
    for field, value in pairs(state.spot or {}) do here[field] = value end
    return run.getTrace(whose, here)
  end
  file.run = setmetatable({ getTrace = run.getTrace and get_trace }, { __call = performer(file) })
  state.passing = true
  state.busted.publish({ "register", "file" }, name, file.run, trace, attributes)
  state.passing = false
  return true
end

--- Once busted's interface is there (an -e of its own), before it looks for files.
function M.attach()
  state = boxed.give_way()
  blocks.attach(state)
  runs.prepare(core.readlink "/proc/self/cwd")
  for name, handle in pairs(events) do
    local first, second = name:match "^([a-z]+)_?([a-z]*)$"
    listen(state.busted, { first, second ~= "" and second or nil }, function(...)
      handle(...)
      return false
    end)
  end
  listen(state.busted, { "register", "file" }, register)
  state.busted.subscribe({ "suite", "start" }, function()
    has_begun = true
    return nil, true
  end)
end

return M
