--- `cella busted`: a spec file runs in a container of its own, by busted there, and busted here gets, in place of the
--- file, blocks and tests that do as those did. So the report, the counts and the exit status are busted's own.

local boxed = require "cella.busted"
local boxes = require "cella.busted.box"
local core = require "cella.core"
local coverage = require "cella.busted.coverage"
local Events = require "cella.process.events"
local keys_module = require "cella.busted.keys"
local listen = require "cella.busted.listen"
local record = require "cella.busted.record"
local replay = require "cella.busted.replay"
local report = require "cella.busted.report"
local wait = require "cella.process.wait"

local M = {}

local INTERRUPTED = 130 -- as a shell has it of SIGINT
local MOST_OUTPUT = 64 * 1024 * 1024 -- of one file, to each stream: bytes

local state          -- of cella.busted
local files = {}     -- in the order in which they are started
local running = {}   -- processes, and what file each is of
local options        -- of M.begin
local current        -- the element of the test that is being replayed
local opened         -- the element of the block or file that is being replayed
local has_begun      -- the suite, here; where names are listed it has not
local interrupt      -- SIGINT, as something to wait for: from the first file on

-- What the container of a file is: that of a test, but for the time that it may take.
local function container_of()
  if not options.box then
    local box, command = boxes.of(keys_module.merge({ timeout = math.huge }, options.keys))
    options.box, options.command = box, command
  end
  return options.box, options.command
end

local function environment_of(box, name)
  local whole = {}
  for variable, value in pairs(box.description.environment) do whole[variable] = value end
  local version = _VERSION:match "%d%.%d":gsub("%.", "_")
  whole.LUA_PATH, whole.LUA_CPATH = options.path, options.cpath
  whole["LUA_PATH_" .. version], whole["LUA_CPATH_" .. version] = false, false
  whole[report.FILE] = name
  return whole
end

-- What a container of a file has open here while it runs, and what a start and all else take.
local DESCRIPTORS, SPARE = 6, 40
local EMFILE = 24

-- As many files at once as there may be descriptors for.
local function bound_jobs()
  local most = core.sys.getrlimit "nofile"
  if type(most) ~= "number" then return end
  local wanted = options.jobs
  options.jobs = math.min(wanted, math.max(1, math.floor((most - SPARE) / DESCRIPTORS)))
  if options.jobs == wanted then return end
  io.stderr:write(("cella busted: %d files at once, not %d, which take %d descriptors: there may be %.0f (ulimit -n)\n")
    :format(options.jobs, wanted, wanted * DESCRIPTORS + SPARE, most))
end

-- Three files for what is written by a container; or nil and why not.
local function open_outputs(file)
  for _, name in ipairs { "out", "err", "told" } do
    local message, number
    file[name], message, number = io.tmpfile()
    if not file[name] then return nil, message, number end
  end
  return true
end

local function close_outputs(file)
  for _, name in ipairs { "out", "err", "told" } do
    if file[name] then file[name]:close() end
    file[name] = nil
  end
end

-- There is none to start: it waits for another to end where that may be of use.
local function put_off(file, words, number)
  close_outputs(file)
  if number == EMFILE and #running > 0 then
    options.jobs = #running
  else
    file.problem = words
  end
end

local function start(file)
  local opened_all, message, number = open_outputs(file)
  if not opened_all then return put_off(file, message, number) end
  local made, box, command = pcall(container_of)
  if not made then
    file.problem = tostring(box)
    return
  end
  local whole = { options.interpreter, options.program }
  for _, word in ipairs(options.words) do whole[#whole + 1] = word end
  whole[#whole + 1], whole[#whole + 2] = "--ignore-lua", "--output=cella.busted.report"
  -- busted has gone there (-C), and what it was told leads nowhere from there.
  if options.directory then whole[#whole + 1] = "--directory=" .. options.directory end
  -- As the report names it: in which order tests run there.
  if options.seed then whole[#whole + 1] = ("--seed=%d"):format(options.seed) end
  for key, value in pairs(command) do whole[key] = value end
  whole.environment = environment_of(box, file.name)
  whole.stdout, whole.stderr = file.out, file.err
  whole.fds = { [report.NUMBER] = file.told }
  local process, err = box:spawn(whole)
  if not process then return put_off(file, tostring(err), err.errno) end
  file.process = process
  running[#running + 1] = file
end

local Interrupt = {}
Interrupt.__index = Interrupt

function Interrupt.new()
  local new = setmetatable({ fd = assert(core.signals { "int" }), set = Events.new() }, Interrupt)
  assert(new.set:add(new.fd:number(), function() end))
  return new
end

-- It ends the files at work, and no other is begun; what has been done is told.
function Interrupt:step()
  if self.has_come or not self.fd:read_signal() then return end
  self.has_come = true
  for _, file in ipairs(running) do
    file.is_interrupted = true
    file.process:kill "kill"
  end
end

function Interrupt:waits_for() return self.set end
function Interrupt:has_ended() return self.has_come or false end
function Interrupt.timeout() return nil end

local function start_more()
  if interrupt.has_come then return end
  for _, file in ipairs(files) do
    if #running >= options.jobs then return end
    if not file.process and not file.problem then start(file) end
  end
end

-- So many bytes of a file, which the container has written, and may have made as long as it likes; and whether that is
-- all of it.
local function beginning(file, most)
  local size = file:seek "end"
  file:seek "set"
  return file:read(math.min(size, most)) or "", size <= most
end

-- What a container has told; it is not looked at where it is too much.
local function record_of_told(told)
  local data, is_all = beginning(told, report.LIMIT)
  if is_all then return record.read(data) end
  local empty = record.read ""
  empty.problem = ("there are more than %.0f bytes"):format(report.LIMIT)
  return empty
end

local function finish(file)
  file.result, file.problem = file.process:wait()
  file.problem = not file.result and tostring(file.problem) or nil
  local is_all
  file.output, is_all = beginning(file.out, MOST_OUTPUT)
  file.errors, file.is_shown = beginning(file.err, MOST_OUTPUT)
  file.is_shown = file.is_shown and is_all
  file.record = record_of_told(file.told)
  close_outputs(file)
end

-- Not begun before the run was interrupted.
local function is_left_out(file)
  return interrupt.has_come and not file.process and not file.problem
end

-- Waits for one file; others go on, and more are begun, meanwhile.
local function await(file)
  if not interrupt then
    interrupt = Interrupt.new()
    bound_jobs()
  end
  interrupt:step() -- where nothing is left to wait for
  start_more()
  while not file.record and not file.problem and not is_left_out(file) do
    local processes = {}
    for i, one in ipairs(running) do processes[i] = one.process end
    if not interrupt.has_come then processes[#processes + 1] = interrupt end
    local ended, err = wait.wait(processes)
    if not ended then error(tostring(err), 0) end
    for i = #running, 1, -1 do
      for _, process in ipairs(ended) do
        if running[i] and running[i].process == process then finish(table.remove(running, i)) end
      end
    end
    start_more()
  end
end

local function print_part(file, from, till)
  if till > from then
    io.stdout:write(file.output:sub(from + 1, till))
    io.stdout:flush()
  end
end

-- What no test has printed, and what went to the standard error.
local function print_rest(file)
  if file.is_printed or not file.record then return end
  file.is_printed = true
  print_part(file, file.record.printed, #file.output)
  io.stderr:write(file.errors)
end

-- busted puts the place before words whose first line has none, as of a file with a newline in its name: again.
local function without_place(message, trace)
  local place = ("%s:%d: "):format(trace.short_src or "", trace.currentline or 0)
  local is_there = place:find("\n", 1, true) and message:sub(1, #place) == place
  return is_there and message:sub(#place + 1) or message
end

local function raise(element, message)
  replay.raise(state, element, message.kind, without_place(message.message, message.trace), message.trace)
end

local function perform(file, node, element)
  print_part(file, node.printed[2], node.printed[3])
  local first, second = node.told[1], node.told[2]
  if second then element.env.finally(function() raise(element, second) end) end
  if first then raise(element, first) end
end

local declare

local function declare_test(file, node)
  local function body() return perform(file, node, current) end
  file.nodes[body] = node
  local descriptor = node.descriptor == "pending" and "pending" or "it"
  state.busted.publish({ "register", descriptor }, node.name, body, node.trace, {})
end

-- What was raised in hooks is told where their block ends, by elements of their kinds in it.
local function tell_due(element, due)
  for _, message in ipairs(due) do
    local hook = { descriptor = message.descriptor, name = message.name, attributes = {}, trace = message.trace }
    for _, child in ipairs(state.busted.children(element)) do
      if child.descriptor == message.descriptor and child.attributes.cella_hook then hook = child end
    end
    message.trace.message = message.message
    state.busted.publish({ message.kind, message.descriptor }, hook, element, message.message, message.trace)
  end
end

local HOOKS = { before_each = true, after_each = true, strict_setup = true, strict_teardown = true, lazy_setup = true,
  lazy_teardown = true }

-- In the container it was shuffled, by a seed that failures are told with.
local function keep_order(node)
  local randomize = opened.env and opened.env.randomize
  if randomize then randomize(false) end
  opened.randomseed = node.randomseed
end

function declare(file, node)
  keep_order(node)
  for _, message in ipairs(node.due) do
    if HOOKS[message.descriptor] then
      state.busted.publish({ "register", message.descriptor }, message.name, function() end, message.trace,
        { envmode = "unwrap", cella_hook = true })
    end
  end
  for _, child in ipairs(node.children) do
    if child.children then
      local function body() declare(file, child) end
      file.nodes[body] = child
      state.busted.publish({ "register", "describe" }, child.name, body, child.trace, {})
    else
      declare_test(file, child)
    end
  end
  local told = node.told[1]
  if told then
    state.spot, told.trace.message = told.trace, told.message
    error(told.message, 0)
  end
end

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
        MOST_OUTPUT)
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
    await(file)
    if is_left_out(file) then return end
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
    if run then declare(file, run) end
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
  for _, file in ipairs(files) do
    local node = file.nodes and file.nodes[element.run]
    if node then return file, node end
  end
end

-- Where the order of tests is random busted names what it is made by; with several runs another for each, of which a
-- container, in which all of them take place, knows none.
function events.suite_start(_, _, runs, seed)
  if seed and runs == 1 then options.seed = seed end
end

function events.file_start(element) opened = element end
function events.describe_start(element) opened = element end

function events.test_start(element)
  current = element
  local file, node = node_of(element)
  if node then print_part(file, node.printed[1], node.printed[2]) end
end

function events.test_end(element)
  local _, node = node_of(element)
  if node and node.duration then element.duration = node.duration end
end

function events.describe_end(element)
  local _, node = node_of(element)
  if node then tell_due(element, node.due) end
end

function events.file_end(element)
  for _, file in ipairs(files) do
    if file.run == element.run and file.record then
      local run = file.record.runs[file.runs]
      if run then
        if run.printed then print_part(file, run.printed[1], run.printed[2]) end
        tell_due(element, run.due)
      end
      tell_end(file, element)
      if file.runs >= #file.record.runs then print_rest(file) end
      tell_early(file, element)
    end
  end
end

-- Where names are listed nothing else is told of.
function events.exit()
  for _, file in ipairs(files) do print_rest(file) end
end

-- busted registers its files before it executes the first.
local function register(name, run, trace, attributes)
  if state.passing then return false end
  local file = { name = name }
  files[#files + 1] = file
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

---@class cella.busted.files.options
---@field words string[]        busted's arguments
---@field jobs integer          how many files at once
---@field keys table            of the containers
---@field interpreter string
---@field cwd string           where this began: busted may go elsewhere
---@field program string        the Lua script that is busted, there
---@field path string           where Lua looks there
---@field cpath string

--- Before busted begins here.
---@param how cella.busted.files.options
function M.begin(how)
  options = how
end

--- Once busted's interface is there (an -e of its own), before it looks for files.
function M.attach()
  state = boxed.give_way()
  local cwd = core.readlink "/proc/self/cwd"
  if cwd ~= options.cwd then options.directory = cwd end
  container_of() -- of the directory in which all begins: busted may leave it
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

--- Ends what still runs, and what is left of it. Where the run was interrupted: the exit status that says so.
---@return integer?
function M.finish()
  for _, file in ipairs(running) do file.process:close() end
  running = {}
  if not interrupt or not interrupt.has_come then return nil end
  if interrupt.is_told then return INTERRUPTED end
  interrupt.is_told = true
  local left = 0
  for _, file in ipairs(files) do
    if is_left_out(file) then left = left + 1 end
  end
  io.stdout:flush()
  io.stderr:write(("cella busted: interrupted; of %d files %d were not begun\n"):format(#files, left))
  return INTERRUPTED
end

return M
