--- A worker for strangers' Lua: an interpreter in a container, fresh and not a copy of this process, which is called
--- many times.
--
--     local worker = assert(box:worker { memory = "64M", timeout = 0.5 })
--     assert(worker:load("plugin", source))
--     local sum = assert(worker:call("plugin", "add", 1, 2))
--
-- What ends a call by force ends its interpreter too; the next call finds a new one.

local blame = require "cella.blame"
local call = require "cella.call"
local channel = require "cella.worker.channel"
local core = require "cella.core"
local description = require "cella.worker.description"
local Error = require "cella.error"
local events = require "cella.process.events"
local printable = require "cella.printable"
local serve = require "cella.process.serve"
local validate = require "cella.validate"

local unpack = table.unpack or unpack -- luacheck: ignore 143

---@class cella.worker
---@field pid integer?  of the interpreter, where there is one
---@field version string?  what the interpreter calls itself: "Lua 5.4"
local Worker = { __name = "cella.worker" }
Worker.__index = Worker

local M = {}

-- The words of an error come home whatever result_limit is.
local LONGEST = 65536

local function is_worker(value) return getmetatable(value) == Worker end

--- True for workers made here.
M.is = is_worker

--- What a worker has.
M.methods = Worker

local function check_self(self, method)
  if not is_worker(self) then
    blame(("worker: a worker expected, got %s: worker:%s(...) has a colon, not a dot"):format(validate.show(self),
      method))
  end
  if self.closed then blame "the worker is closed" end
end

local function of_call(job)
  if job.greets then return "start" end
  return job.source and "load " .. job.name or ("%s.%s"):format(job.name, job.call)
end

---@param reason string
---@param message string
---@param fields table?
local function failed(self, reason, message, fields)
  local err = Error.new { op = "worker", message = message }
  err.reason = reason
  for key, value in pairs(fields or {}) do err[key] = value end
  if self.job and not (fields and fields.traceback) then err.message = of_call(self.job) .. ": " .. message end
  return err
end

-- The interpreter and what belongs to it are no more.
local function release(self)
  local process = self.process
  if not process then return end
  if self.set then self.set:remove(process.set:number()) end
  self.process, self.pid, self.inbox, self.greeted, self.loaded = nil, nil, nil, false, {}
  process:close()
end

-- What is under way is over.
local function conclude(self, done)
  self.done, self.job, self.awaited, self.verdict = done, nil, nil, nil
  if self.process then self.process.limits:renew(nil) end
  if self.set then self.set:set_time(0) end
end

local function give_up(self, err) conclude(self, { n = 2, nil, err }) end

-- A loop of the caller's looks at the interpreter's descriptor by way of ours.
local function watch(self)
  if not self.set or not self.process then return true end
  local number = self.process:pollfd()
  if not number then
    self.set:set_time(0) -- it has ended
    return true
  end
  return self.set:add(number, function() end)
end

local function start_interpreter(self)
  local process, err = self.spawn(description.command(self.description, self.keys))
  if not process then return nil, err end
  self.process = process
  self.inbox = channel.inbox(call.most(self.keys.result_limit) + LONGEST)
  serve.divert(process, "stdout", self.inbox)
  return watch(self)
end

local function send(self, kind, id, request, seconds)
  self.awaited = { kind = kind, id = id }
  self.inbox:expect()
  self.process.limits:renew(seconds)
  self.process.input:add(request) -- whoever reads it no more has ended, which is heard of
end

-- Asks for the next thing that has to be done before the call, or for the call.
local function go_on(self)
  local job = self.job
  if self.greeted and not job.greets and (job.source or self.loaded[job.name]) then
    return send(self, job.source and "l" or "c", job.id, job.request, self.keys.timeout)
  end
  local id, err = self.ids()
  if not id then return give_up(self, err) end
  if not self.greeted then
    return send(self, "h", id, (channel.request("h", { id }, 1)), self.keys.setup_timeout)
  end
  return send(self, "l", id, (channel.request("l", { id, job.name, self.sources[job.name] }, 3)), self.keys.timeout)
end

-- Ends the interpreter, and then what is under way, with this error.
local function condemn(self, err)
  self.verdict = self.verdict or err
  self.process:kill "kill"
end

local function text_of(value)
  if type(value) ~= "string" then return nil end
  return #value > LONGEST and value:sub(1, LONGEST) .. "..." or value
end

local MEMORY = "needed more memory than its limit"

local REASONS = {}
for word in ("error source missing"):gmatch "%S+" do REASONS[word] = true end

-- In the words of each Lua: of its own, and of its library.
local function is_out_of_memory(message)
  for _, ending in ipairs { "not enough memory%s*$", "not enough memory for buffer allocation%s*$" } do
    if message:find(ending) then return true end
  end
  return false
end

-- What an interpreter says of a call that came to nothing.
local function take_failure(self, values, count)
  local reason, message, traceback = text_of(values[1]), text_of(values[2]), text_of(values[3])
  if count < 3 or count > 4 or not REASONS[reason] or not message or not traceback then
    return condemn(self, failed(self, "answer", "what it wrote is no answer"))
  end
  if is_out_of_memory(message) then
    -- It was refused memory (RLIMIT_AS), and who has caught that goes on. Here nobody has.
    return condemn(self, failed(self, "memory", MEMORY))
  end
  local fields = { value = values[4] }
  if reason == "error" then
    fields.traceback, fields.why = traceback, traceback:match "\n(stack traceback:.*)$"
  end
  if reason == "missing" then message = ("there is no function %s"):format(validate.show(self.job.call)) end
  give_up(self, failed(self, reason, message, fields))
end

local function take_greeting(self, values)
  local missing = {}
  for i = 2, #values do missing[#missing + 1] = tostring(values[i]) end
  if self.keys.explicit and #missing > 0 then
    return condemn(self, failed(self, "start", ("the interpreter (%s) has no %s: see `libraries`"):format(
      tostring(values[1]), table.concat(missing, ", "))))
  end
  self.greeted, self.version, self.pid = true, tostring(values[1]):sub(1, 200), self.process.pid
  if self.job.greets then return conclude(self, { n = 1, true }) end
  go_on(self)
end

local function take_answer(self, data)
  local awaited = self.awaited
  local kind, values, count = channel.answer(data, awaited.id, call.most(self.keys.result_limit) + LONGEST)
  if not kind then return condemn(self, failed(self, "answer", values)) end
  local job = self.job
  if kind == "e" then
    take_failure(self, values, count)
  elseif awaited.kind == "h" then
    take_greeting(self, values)
  elseif awaited.kind == "l" then
    self.loaded[job.name] = true
    if not job.source then return go_on(self) end
    self.sources[job.name] = job.source
    conclude(self, { n = 1, true })
  else
    values.n = count
    conclude(self, values)
  end
end

local function words_of_end(self, result)
  local reason = result.reason
  if reason == "timeout" then
    local limit = self.greeted and self.keys.timeout or self.keys.setup_timeout
    return reason, self.greeted and ("timed out after %g s"):format(limit)
      or ("the interpreter did not begin in %g s"):format(limit)
  elseif reason == "oom" then
    return "memory", MEMORY
  elseif reason == "output" then
    return reason, ("wrote more than %.0f bytes of output"):format(self.keys.output_limit)
  elseif reason == "exited" then
    if result.stderr and result.stderr:find("not enough memory", 1, true) then return "memory", MEMORY end
    return reason, ("the interpreter exited with the status %d"):format(result.code)
  end
  return reason, ("the interpreter was ended by the signal %s"):format(tostring(result.signal))
end

-- Of what an interpreter that did not begin has written.
local MOST_SAID = 400

-- The interpreter has ended while something was under way.
local function take_end(self)
  local process = self.process
  local result, err = process.result, self.verdict
  if not err and result then
    local reason, message = words_of_end(self, result)
    local fields = { result = result }
    if not self.greeted then
      reason = "start"
      local said = (result.stderr or ""):sub(1, MOST_SAID):gsub("%s+$", "")
      if said ~= "" then fields.why = "it wrote: " .. said end
    end
    err = failed(self, reason, message, fields)
  elseif not err then
    err = process.failure
    err.reason = err.reason or "start"
  end
  release(self)
  self.ended = err
  give_up(self, err)
end

-- A function that gets the output may raise: then its process has ended, and so has what is under way.
local function step_process(self)
  local process = self.process
  local ok, ended = pcall(process.step, process)
  if ok then return ended end
  local raised = ended
  if not process.result and not process.failure then error(raised, 0) end -- who stepped it from inside
  local err = failed(self, "raised", "the function that gets the output raised an error", { cause = raised })
  release(self)
  self.ended = err
  if self.job then give_up(self, err) end
  error(raised, 0)
end

-- An interpreter that has ended since the last call, or says what it was not asked, is not called again.
local function look_after(self)
  if not self.process then return end
  local ended = step_process(self)
  if not self.process then blame "the worker is closed" end -- by the function that gets the output
  if ended and self.process.failure and self.process.failure.code == "ECHILD" then
    return self.process.failure -- a copy of the process that has it
  end
  local problem, process = self.inbox.problem, self.process
  local is_mute = not process.outputs.stdout.fd:number()
  if not ended and not problem and not is_mute and not process.killed_at then return end
  release(self)
  self.ended = problem and failed(self, "answer", problem)
    or process.result and failed(self, words_of_end(self, process.result)) or process.failure
    or failed(self, "exited", "the interpreter has ended")
end

local function have_interpreter(self)
  if self.process then return true end
  if self.ended and not self.keys.restart then
    return nil, failed(self, "ended", "the interpreter has ended, and `restart` is false",
      { why = self.ended.message, cause = self.ended })
  end
  local ok, err = start_interpreter(self)
  if ok then return true end
  release(self)
  err.reason = "start"
  return nil, err
end

local function begin(self, job)
  if self.job then
    blame "a call is under way: wait() for it, or make a worker for each that is to run at the same time"
  end
  local strange = look_after(self)
  if strange then return nil, strange end
  self.done = nil
  local ok, err = have_interpreter(self)
  if not ok then return nil, err end
  self.job = job
  if self.set then self.set:set_time(nil) end
  go_on(self)
  if self.process.input.failure and self.greeted then
    -- It had ended already, and nothing has reached it.
    self.job = nil
    self.ended = failed(self, "exited", "the interpreter has ended")
    release(self)
    ok, err = have_interpreter(self)
    if not ok then return nil, err end
    self.job = job
    go_on(self)
  end
  return true
end

local function check_name(value, path)
  validate.rule.line(value, path)
  if value == "" or #value > 200 then validate.fail(path, "1 to 200 bytes expected, got %d", #value) end
  return value
end

local function source_rule(value, path)
  if type(value) ~= "string" then validate.fail(path, "a string expected, got %s", validate.show(value)) end
  return value
end

-- A job whose request is ready. What cannot be handed over is the caller's mistake.
local function new_job(self, kind, job, values, count)
  local id, err = self.ids()
  if not id then return nil, err end
  values[1] = id
  local request, problem = channel.request(kind, values, count)
  if not request then
    local number, rest = problem:match "^value (%d+)(.*)$"
    blame(number and ("argument %d%s"):format(tonumber(number) - 3, rest) or problem)
  end
  job.id, job.request = id, request
  return job
end

local function job_of_load(self, name, source)
  check_self(self, "load")
  validate.check(check_name, name, "name")
  validate.check(source_rule, source, "source")
  if source:byte(1) == 27 then
    return nil, failed(self, "source", ("%s is bytecode, and a worker takes text alone"):format(printable.line(name)))
  end
  return new_job(self, "l", { name = name, source = source }, { false, name, source }, 3)
end

local function job_of_call(self, method, name, func, ...)
  check_self(self, method)
  validate.check(check_name, name, "name")
  validate.check(check_name, func, "function")
  if not self.sources[name] then
    local names = {}
    for known in pairs(self.sources) do names[#names + 1] = known end
    local near = validate.nearest(name, names)
    return nil, failed(self, "missing", ("nothing is loaded as %s%s"):format(validate.show(name),
      near and ("; did you mean %q?"):format(near) or ": worker:load(name, source) does it"))
  end
  local values = { false, name, func, ... }
  return new_job(self, "c", { name = name, call = func }, values, select("#", ...) + 3)
end

-- Starts a job, and waits for it.
local function perform(self, job, err)
  if not job then return nil, err end
  local ok
  ok, err = begin(self, job)
  if not ok then return nil, err end
  return self:wait()
end

--- Gives the interpreter a source, by a name: text, never bytecode. It is executed once, in a global environment of its
--- own, within the worker's `timeout`, and again in each new interpreter, before the first call there. The functions to
--- be called are in the table that it returns, or else among its globals.
---@param name string    up to 200 bytes, without a newline
---@param source string  Lua
---@return true?, cella.error?  nil and an error with a `reason`, as of call
function Worker:load(name, source)
  return perform(self, job_of_load(self, name, source))
end

--- Calls a function of a source, and waits for what it returns. Arguments and results are plain data, as of a function
--- in a container; what is none among the arguments is raised. (The error of a call is a cella.error, which no source
--- can return.)
---@param name string  as it was loaded
---@param func string  the function
---@param ... any      its arguments
---@return any ...     what it returns; or nil and a cella.error whose `reason` says what came instead: see the manual
function Worker:call(name, func, ...)
  return perform(self, job_of_call(self, "call", name, func, ...))
end

local function outcome(...)
  local _, err = ...
  if select("#", ...) == 2 and Error.is(err) then return false, err end
  return true, ...
end

--- As call, with what says whether it is results that come: true and these, or false and the error.
---@param name string
---@param func string
---@param ... any
---@return boolean ok, any ...
function Worker:pcall(name, func, ...)
  return outcome(perform(self, job_of_call(self, "pcall", name, func, ...)))
end

--- Begins a call, and returns at once: step() or wait() go on with it. A worker has one call at a time.
---@param name string
---@param func string
---@param ... any
---@return true?, cella.error?
function Worker:start(name, func, ...)
  local job, err = job_of_call(self, "start", name, func, ...)
  if not job then return nil, err end
  return begin(self, job)
end

--- Does what there is to do now, and waits for nothing. For those who have a loop of their own; wait() is one.
---@return boolean ended  true once wait() would return at once
function Worker:step()
  check_self(self, "step")
  if not self.job then return true end
  local ended = step_process(self)
  if not self.job then return true end -- the function that gets the output has closed the worker
  -- It may have answered before it is heard of that it was executed.
  local data = not self.verdict and not self.process.starting and self.inbox:take()
  if data then take_answer(self, data) end
  if ended and self.job then
    take_end(self)
  elseif self.job and self.inbox.problem and not self.verdict then
    condemn(self, failed(self, "answer", self.inbox.problem))
  end
  return self.job == nil
end

--- Seconds until step() has something to do even if pollfd() is not readable; nil is never.
---@return number?
function Worker:timeout()
  if not self.job then return 0 end
  return self.process:timeout()
end

--- A descriptor that is readable when step() has something to do, also for its time, and stays so once the call has
--- ended, until the next. It is the same for as long as the worker lives. It is an error to read from it.
---@return integer?  nil once closed
function Worker:pollfd()
  if self.closed then return nil end
  if not self.set then
    local set, err = events.new()
    local number
    if set then number, err = set:expose() end
    if not number then blame(tostring(err)) end
    self.set = set
    local ok
    ok, err = watch(self)
    if not ok then blame(tostring(err)) end
    if not self.job then set:set_time(0) end
  end
  return self.set:number()
end

--- What pollfd() is to be polled for, as cqueues wants to know it.
---@return "r"
function Worker.events()
  return "r"
end

-- What cella.wait sleeps on.
function Worker:waits_for() return self.job and self.process.set or nil end
function Worker:has_ended() return self.job == nil end

--- Waits for the call that was begun last, and returns what call() would. May be called again. The whole thread waits:
--- in a loop of coroutines use step() and pollfd().
---
--- After `timeout` seconds it returns nil and an error with the code "ETIMEDOUT"; the call goes on.
---@param timeout number?  seconds; 0 only looks
---@return any ...
function Worker:wait(timeout)
  check_self(self, "wait")
  if timeout ~= nil then validate.check(validate.rule.seconds, timeout, "timeout") end
  if not self.job and not self.done then blame "there is nothing to wait for: worker:start(...) begins a call" end
  local till = timeout and core.now() + timeout
  while not self:step() do
    local limit, now = self.process:timeout(), core.now()
    if till and now >= till then
      return nil, Error.new { op = "wait", code = "ETIMEDOUT",
        message = ("still running after %g seconds"):format(timeout) }
    end
    if till then limit = math.min(limit or math.huge, till - now) end
    if self.process.set.is_open then
      local ok, err = self.process.set:sleep(limit)
      if not ok then serve.fail(self.process, err) end
    end
  end
  return unpack(self.done, 1, self.done.n)
end

--- Ends the interpreter, and the call that is under way. Happens by itself when the worker is collected.
function Worker:close()
  if not is_worker(self) or self.closed then return end
  if self.job then give_up(self, failed(self, "ended", "the worker was closed")) end
  release(self)
  self.closed = true
  if self.set then self.set:close() end
end

Worker.__close = Worker.close

function Worker:__tostring()
  local state = self.closed and "closed" or self.job and "in a call" or self.process and "ready" or "ended"
  return printable.line(("%s (%s%s%s)"):format(Worker.__name, self.version and self.version .. ", " or "",
    self.pid and ("pid %d, "):format(self.pid) or "", state))
end

--- Makes a worker, and waits for its interpreter. `spawn(description)` returns a function that starts a command in a
--- container of that description.
---@param box table  the description of the box
---@param keys cella.worker.keys?
---@param spawn fun(box: table): fun(command: table): cella.process?, cella.error?
---@return cella.worker?, cella.error?
function M.new(box, keys, spawn)
  local own = description.check(keys)
  local whole = description.box(box, own)
  local self = setmetatable({ keys = own, description = whole, spawn = spawn(whole), ids = channel.ids(),
    sources = {}, loaded = {}, greeted = false }, Worker)
  local ok, err = perform(self, { greets = true })
  self.done = nil
  if ok then return self end
  self:close()
  return nil, err
end

return M
