--- The processes of spec files, for `cella busted`: each in a container of its own, so many at once.

local boxes = require "cella.busted.box"
local core = require "cella.core"
local Events = require "cella.process.events"
local keys_module = require "cella.busted.keys"
local record = require "cella.busted.record"
local report = require "cella.busted.report"
local wait = require "cella.process.wait"

local M = {}

local INTERRUPTED = 130 -- as a shell has it of SIGINT
local MOST_OUTPUT = 64 * 1024 * 1024 -- of one file, to each stream: bytes
M.MOST_OUTPUT = MOST_OUTPUT

local options        -- cella.busted.runs.options
local files = {}     -- in the order in which they are started
local running = {}   -- those whose process runs
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

--- Whether it was not begun before the run was interrupted.
---@param file table
---@return boolean
function M.is_left_out(file)
  return interrupt.has_come and not file.process and not file.problem
end

--- Waits for one file; others go on, and more are begun, meanwhile. It has a `record` of what it told, its `result`,
--- `output` and `errors`, and whether that `is_shown` whole; or a `problem`, in words; or was left out.
---@param file table
function M.await(file)
  if not interrupt then
    interrupt = Interrupt.new()
    bound_jobs()
  end
  interrupt:step() -- where nothing is left to wait for
  start_more()
  while not file.record and not file.problem and not M.is_left_out(file) do
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

---@class cella.busted.runs.options
---@field words string[]        busted's arguments
---@field jobs integer          how many files at once
---@field keys table            of the containers
---@field interpreter string
---@field cwd string           where this began: busted may go elsewhere
---@field program string        the Lua script that is busted, there
---@field path string           where Lua looks there
---@field cpath string

--- How they are run: said before busted begins here.
---@param how cella.busted.runs.options
function M.begin(how) options = how end

--- Makes the container of them all, in the directory in which all begins: busted may leave it.
---@param cwd string  where busted has gone
function M.prepare(cwd)
  if cwd ~= options.cwd then options.directory = cwd end
  container_of()
end

--- That tests are in the order that this seed makes.
---@param seed integer
function M.order(seed) options.seed = seed end

--- One more, by its `name`.
---@param file table
function M.add(file) files[#files + 1] = file end

--- All of them.
---@return table[]
function M.all() return files end

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
    if M.is_left_out(file) then left = left + 1 end
  end
  io.stdout:flush()
  io.stderr:write(("cella busted: interrupted; of %d files %d were not begun\n"):format(#files, left))
  return INTERRUPTED
end

return M
