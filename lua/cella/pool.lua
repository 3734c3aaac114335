--- Containers that are started before there is a command for them: all is done but the exec, which a command then waits
--- for alone.
--
--     local pool = assert(cella.pool { box, size = 4 })
--     local result = assert(pool:run { "python3", "-c", source, stdout = "capture", timeout = 2 })
--
-- Each is taken once, by one command. A new one is started in its place by whoever waits for a process of the pool, or
-- steps the pool.

local blame = require "cella.blame"
local call = require "cella.call"
local commands = require "cella.command"
local container = require "cella.container"
local core = require "cella.core"
local Error = require "cella.error"
local events = require "cella.process.events"
local host_facts = require "cella.host"
local spawn = require "cella.plan.spawn"
local terminal = require "cella.terminal"
local validate = require "cella.validate"

---@class cella.pool
local Pool = { __name = "cella.pool" }
Pool.__index = Pool

local M = {}

local rule = validate.rule

local function container_rule(value, path)
  if not container.is(value) then validate.fail(path, "a container expected, got %s", validate.show(value)) end
  return value
end

local description_rule = rule.record({ size = rule.integer(1, 1024) }, nil, container_rule)

-- No file descriptor is to be closed while the set still watches it.
local function forget(self, parked)
  if parked.starting then self.set:remove(parked.starting.number) end
  self.set:remove(parked.child:channel())
end

local function abandon(self, parked)
  forget(self, parked)
  spawn.abandon(parked)
end

-- For so many seconds after a start the processors are the command's: then another is started in its place.
local PAUSE = 0.01

local function abandon_where(self, is_unfit)
  for _, list in ipairs { self.parked, self.starting } do
    for i = #list, 1, -1 do
      if is_unfit(list[i]) then abandon(self, table.remove(list, i)) end
    end
  end
end

local function always() return true end

-- What is parked rests on facts of the host, as any plan does, and has what this process had: what was started when
-- that was otherwise is given to nobody. Returns the facts of now.
local function renew(self)
  local host = host_facts.facts()
  local inherited = core.inherited()
  local compiled, still -- most rest on the same
  abandon_where(self, function(parked)
    if parked.inherited ~= inherited then return true end
    if parked.compiled ~= compiled then compiled, still = parked.compiled, self.box:is_still(parked, host) end
    return not still
  end)
  return host
end

-- Goes on with one that is not yet parked.
local function go_on(self, parked)
  local over, ok, err = parked.starting:go_on(self.set)
  if not over then return end
  for i, other in ipairs(self.starting) do
    if other == parked then table.remove(self.starting, i) end
  end
  if ok then
    parked.starting = nil
    -- Nobody says anything there any more: it is readable when the process has died.
    ok, err = self.set:add(parked.child:channel(), function() parked.is_dead = true end)
  end
  if ok then
    table.insert(self.parked, parked)
  else
    self.failure = err
    abandon(self, parked)
  end
end

local function begin(self, host)
  local inherited = core.inherited()
  local parked, err = self.box:park(host)
  if not parked then
    self.failure = err
    return
  end
  parked.inherited = inherited
  table.insert(self.starting, parked)
  go_on(self, parked)
end

-- Starts what is missing. After a failure it is for the next command to try again.
local function fill(self, host)
  while not self.failure and #self.parked + #self.starting < self.size do begin(self, host) end
end

local function go_on_with_all(self)
  local ok, err = self.set:turn()
  if not ok then self.failure = err end
  abandon_where(self, function(parked) return parked.is_dead end)
  for i = #self.starting, 1, -1 do go_on(self, self.starting[i]) end
end

-- A copy of the process that made the pool has no children in it.
local function is_strange(self)
  return self.generation ~= core.fork_generation()
end

local function strange()
  return Error.new { op = "spawn", code = "ECHILD", errno = 10, message = "the pool is that of another process" }
end

local function check_open(self)
  if self.closed then blame "the pool is closed" end
end

local function check_free(self)
  if self.is_busy then blame "a hook must not use the pool that starts its container" end
end

-- Whatever is called here, a hook or a finalizer, finds the pool in between and must not change it. What the host does
-- not tell is an error like others.
local function busily(self, work, ...)
  self.is_busy = true
  local ok, one, two = pcall(work, self, ...)
  self.is_busy = false
  self.set:set_time(self:timeout())
  if ok then return one, two end
  if Error.is(one) then return nil, one end
  error(one, 0)
end

local function turn_and_fill(self)
  go_on_with_all(self)
  if #self.parked + #self.starting < self.size and core.now() >= self.fill_at then fill(self, renew(self)) end
end

--- Starts what is missing, and goes on with what has been started; waits for nothing. Whoever waits for a process of
--- the pool, or steps it, does this too.
---@return integer parked   how many there are for the next commands
---@return cella.error? err why one that was started is none of them: no other is started before the next command
function Pool:step()
  check_open(self)
  if is_strange(self) then return 0, strange() end
  if self.is_busy then return #self.parked, self.failure end -- a hook of the container's has called
  local _, err = busily(self, turn_and_fill)
  self.failure = err or self.failure
  return #self.parked, self.failure
end

--- Seconds until step() has something to do even if pollfd() is not readable; nil is never.
---@return number?
function Pool:timeout()
  if self.closed then return nil end
  local soonest = nil
  for _, parked in ipairs(self.starting) do
    local left = math.max(0, parked.starting.till - core.now())
    soonest = math.min(soonest or left, left)
  end
  if not self.failure and #self.parked + #self.starting < self.size then
    local left = math.max(0, self.fill_at - core.now())
    soonest = math.min(soonest or left, left)
  end
  return soonest
end

--- A descriptor that is readable when step() has something to do, also for its time. It is an error to read from it.
---@return integer?  nil once closed
function Pool:pollfd()
  if self.closed or is_strange(self) then return nil end
  return self.set:number()
end

--- What pollfd() is to be polled for, as cqueues wants to know it.
---@return "r"
function Pool.events()
  return "r"
end

local function out_of_time(seconds)
  return Error.new { op = "spawn", code = "ETIMEDOUT",
    message = ("none was parked in %g seconds"):format(seconds) }
end

-- Waits until one is parked. Returns it, still among the others.
local function await(self, command, began)
  local host = renew(self)
  self.failure = nil
  self.set:set_time(nil) -- the time is seen to here
  go_on_with_all(self)
  while #self.parked == 0 do
    if #self.starting == 0 and not self.failure then begin(self, host) end
    if self.failure then return nil, self.failure end
    local left = self:timeout()
    if command.timeout then
      local mine = began + command.timeout - core.now()
      if mine <= 0 then return nil, out_of_time(command.timeout) end
      left = math.min(left or mine, mine)
    end
    local ok, err = self.set:sleep(left)
    if not ok then return nil, err end
    go_on_with_all(self)
  end
  return self.parked[1]
end

local STREAMS = { "stdin", "stdout", "stderr" }

-- Who is parked has none of the caller's descriptors: what is inherited is handed over as any other.
local function with_streams(command)
  local result = {}
  for key, value in pairs(command) do result[key] = value end
  for i, name in ipairs(STREAMS) do
    local value = command[name]
    if value == nil and name ~= "stdin" and not command.terminal then value = "inherit" end
    if value == "inherit" then result[name] = core.is_open(i - 1) and i - 1 or "null" end
  end
  return result
end

local function check_command(self, command)
  if getmetatable(self) ~= Pool then
    blame "pool: a pool expected before the command: pool:run { ... } has a colon, not a dot"
  end
  command = container.checked_command(self.box, command)
  if call.is(command) then
    blame "command: a function is performed in a copy of this process as it is now, and what is parked is none"
  end
  local description = self.box.description
  local cwd = description.cwd or "/"
  if command.cwd and command.cwd ~= cwd then
    blame(("command.cwd: what is parked is in %q already: give the container the key `cwd`"):format(cwd))
  end
  commands.check_terminal(command, description)
  return with_streams(command)
end

-- Takes one that is parked: it is nobody else's any more. Returns it and what the command adds to its plan; or nil and
-- an error.
local function take(self, command, waits, began)
  local parked, err = await(self, command, began)
  if not parked then return nil, err end
  local plan = self.box:rest_plan(parked, command)
  if waits then terminal.check_read(plan) end
  table.remove(self.parked, 1)
  forget(self, parked)
  return parked, plan
end

local function start(self, command, waits)
  check_open(self)
  if is_strange(self) then return nil, strange() end
  check_free(self)
  local began = core.now()
  while true do
    local parked, plan = busily(self, take, command, waits, began)
    if not parked then return nil, plan end
    local process, err, died = self.box:hand_over(parked, plan, command, began)
    local now = core.now()
    if now >= self.fill_at then self.fill_at = now + PAUSE end -- else somebody has taken one just before
    if not self.closed then self.set:set_time(self:timeout()) end -- a hook may have closed it
    if process or not died then return process, err end
    check_open(self)
  end
end

-- Whoever waits for the process sees to the pool meanwhile.
local function adopt(self, process)
  if self.closed or not process.set.is_open then return process end
  local ok, err = process.set:add(self:pollfd(), function()
    if not self.closed then self:step() end
  end)
  if not ok then
    process:close()
    return nil, err
  end
  self.processes[process] = true
  return process
end

--- Starts a command in a sandbox that is parked, which is the command's alone from now on. Returns once it has been
--- executed, or nil and what failed. Where none is parked it waits for one.
---@param command table  as for box:spawn; not a function, and `cwd` is the container's
---@return cella.process?, cella.error?
function Pool:spawn(command)
  local process, err = start(self, check_command(self, command))
  if not process then return nil, err end
  return adopt(self, process)
end

--- Starts a command in a sandbox that is parked, and waits for its end.
---@param command table  as for spawn
---@return cella.result?, cella.error?
function Pool:run(command)
  command = check_command(self, command)
  if command.wait == false then blame "command.wait: run waits for the end of the program; false is for spawn" end
  if command.stdin == "pipe" then blame 'command.stdin: "pipe" needs spawn: here nobody could write to it' end
  local process, err = start(self, command, true)
  if process then process, err = adopt(self, process) end
  if not process then return nil, err end
  return process:wait()
end

--- Ends all that are parked, and those that are being started. Processes that were started by the pool go on.
function Pool:close()
  if self.closed then return end
  local in_a_copy = is_strange(self)
  if not in_a_copy then check_free(self) end
  self.closed = true
  if in_a_copy then return end
  abandon_where(self, always)
  for process in pairs(self.processes) do process.set:remove(self.set:number()) end
  self.set:close()
end

Pool.__close = Pool.close

function Pool:__tostring()
  if self.closed then return Pool.__name .. " (closed)" end
  return ("%s (%d of %d parked; %s)"):format(Pool.__name, #self.parked, self.size, tostring(self.box))
end

local function fill_first(self)
  fill(self, host_facts.facts())
  return await(self, {}, core.now())
end

--- Starts `size` sandboxes of a container, which are parked before they execute anything. Returns once the first is
--- there, or nil and what failed.
---@param description { [1]: cella.container, size: integer? }  size: 1 to 1024; 1 if not given
---@return cella.pool?, cella.error?
function M.new(description)
  description = validate.check(description_rule, description, "")
  if not description[1] or description[2] then blame "one container expected: cella.pool { box, size = 4 }" end
  local box = description[1]
  local ok, err = box:prepare()
  if not ok then return nil, err end
  local set = events.new()
  ok, err = set:expose()
  if not ok then
    set:close()
    return nil, err
  end
  local self = setmetatable({
    box = box, size = description.size or 1, set = set, generation = core.fork_generation(), fill_at = 0,
    starting = {}, processes = setmetatable({}, { __mode = "k" }),
  }, Pool)
  self.parked = self -- is the list itself, so that #pool is how many are parked in Lua 5.1 too, which asks no table
  ok, err = busily(self, fill_first)
  if ok then return self end
  self:close()
  return nil, err
end

return M
