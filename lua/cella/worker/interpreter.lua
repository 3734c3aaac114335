--- The interpreter of a worker: how it is started, what it is sent, what it answers, and how it ends.
--
-- What is under way is the worker's `job`; what the interpreter has been sent last, and has not answered, `awaited`. An
-- end by force is decided at once (`verdict`), and told once the process has ended.

local blame = require "cella.blame"
local call = require "cella.call"
local channel = require "cella.worker.channel"
local description = require "cella.worker.description"
local failed = require "cella.worker.failed"
local serve = require "cella.process.serve"

local M = {}

-- The words of an error come home whatever result_limit is.
local LONGEST = 65536

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

--- A loop of the caller's looks at the interpreter's descriptor by way of the worker's.
---@param self cella.worker
---@return true?, cella.error?
function M.watch(self)
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
  return M.watch(self)
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
  if reason == "missing" then message = ("there is no function %q"):format(self.job.call) end
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
  elseif count > call.MOST_VALUES then
    give_up(self, failed(self, "error", ("it returned %d values, and a call hands over %d at most; in a table there "
      .. "may be more"):format(count, call.MOST_VALUES)))
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

--- Begins a job, in a new interpreter where there is none.
---@param self cella.worker
---@param job table  of cella.worker.job, or { greets = true }
---@return true?, cella.error?
function M.begin(self, job)
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

--- Does what there is to do now.
---@param self cella.worker
---@return boolean ended  there is nothing under way
function M.step(self)
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

--- Ends the interpreter, and what is under way.
---@param self cella.worker
function M.close(self)
  if self.job then give_up(self, failed(self, "ended", "the worker was closed")) end
  release(self)
end

return M
