--- A container: what was described, and what can be done with it.

local lazy = require "cella.lazy"
local blame = require "cella.blame"
local Error = require "cella.error"
local call = require "cella.call"
local command_module = require "cella.command"
local compiled = require "cella.container.compiled"
local core = require "cella.core"
local description = require "cella.container.description"
local host_facts = require "cella.host"
---@module "cella.oci.export.config"
local oci_config = lazy "cella.oci.export.config"
local open = require "cella.open"
local policy = require "cella.policy"
local printable = require "cella.printable"
local spawn = require "cella.plan.spawn"
local steps = require "cella.container.steps"
local terminal = require "cella.terminal"
---@module "cella.worker"
local workers = lazy "cella.worker"

---@class cella.container
local Container = { __name = "cella.container" }
Container.__index = Container

local M = {}

local NAMESPACES = description.NAMESPACES

--- Describes a container; nothing happens yet. Raises at an unknown key or a bad value, naming its path.
---@param table_of_keys cella.container.keys
---@return cella.container
function M.new(table_of_keys)
  local box = description.check(table_of_keys)
  -- Its root is put together where there are IDs: without a map no file can be made (EOVERFLOW).
  if box.ids == false then box.ids, box.unmapped = nil, true end
  local maker = policy.maker(box.ids)
  if maker then blame(("ids: policy.%s has to be called, to make a policy: policy.%s()"):format(maker, maker)) end
  if box.ids == nil and box.namespaces.user == "new" then
    -- Chosen now, so that what a plan shows is what another of its plans has; what is wrong is said when it is started.
    box.ids = policy.default()
    box.ids(host_facts.facts())
  end
  return setmetatable({ description = box }, Container)
end

Container.build = steps.build

--- The command that a method of the container's gets, or its own.
function M.checked_command(self, command, ...)
  if type(self) ~= "table" or type(self.build) ~= "function" then
    blame("box: a container expected before the command: box:run { ... } has a colon, not a dot")
  end
  command = call.command(command, ...)
  if command == nil then
    command = self.description.command
    if not command then
      blame("command: missing: give one, or the key `command` of the container")
    end
    return command
  end
  return command_module.check(command)
end

-- `began`: when the caller has asked for it. What is looked at for the plan counts for its time.
local function make_plan(self, command, began)
  local function make() return self.build(self.description, command, compiled.facts(self.description)) end
  local ok, plan, err = open.before(command.timeout and began + command.timeout or math.huge, make)
  if ok then return plan, err end
  if Error.is(plan) then return nil, plan end
  error(plan, 0)
end

--- The steps that would start `command` in this container, on this host, as this user. Nothing happens.
---@param command (cella.command.keys|cella.call.keys|function)?  { "program", "argument", stdout = "capture" }, the
---  same with a function in place of the program, or a function; the container's own, if not given
---@param ... any  arguments of a function
---@return cella.plan?, cella.error?  nil where the policy finds no map on this host
function Container:plan(command, ...)
  call.check_arguments()
  local plan, err = make_plan(self, M.checked_command(self, command, ...), core.now())
  if plan then return plan end -- and nothing behind it, so that print(box:plan(...)) shows the plan alone
  return nil, err
end

local function options_of(self, command, began)
  local options = command_module.for_spawn(command)
  options.exited, options.started = self.description.hooks.exited, began
  return options
end

local function perform(self, plan, command, began)
  return spawn.perform(plan, options_of(self, command, began))
end

--- Starts `command`. Returns once it has been executed, or nil and what failed; with `wait = false` as soon as there is
--- a child, and what failed is told by step() and wait() of the process.
---@param command (cella.command.keys|cella.call.keys|function)?  as for plan
---@param ... any  arguments of a function
---@return cella.process?, cella.error?
function Container:spawn(command, ...)
  call.check_arguments()
  local began = core.now()
  command = M.checked_command(self, command, ...)
  local plan, err = make_plan(self, command, began)
  if not plan then return nil, err end
  return perform(self, plan, command, began)
end

-- A command of nobody's, which a policy that has `notify` takes with one who hears of calls.
local function heard(box, command)
  local said = box.description.seccomp
  if type(said) == "table" and said:notifies() then command.denied = function() end end
  return command
end

--- Plans all but the command now, so that the first start costs no more than the next. Each start asks anew whether it
--- still holds; who does not prepare gets the same from the second on.
---@return true?, cella.error?
function Container:prepare()
  local plan, err = make_plan(self, M.checked_command(self, heard(self, { "true" })), core.now())
  if not plan then return nil, err end
  return true
end

--- Starts `command` and waits for its end.
---@param command (cella.command.keys|cella.call.keys|function)?  as for plan
---@param ... any  arguments of a function
---@return cella.result?, cella.error?
function Container:run(command, ...)
  call.check_arguments()
  local began = core.now()
  command = M.checked_command(self, command, ...)
  if command.wait == false then blame "command.wait: run waits for the end of the program; false is for spawn" end
  local plan, err = make_plan(self, command, began)
  if not plan then return nil, err end
  if command.stdin == "pipe" then blame('command.stdin: "pipe" needs spawn: here nobody could write to it') end
  terminal.check_read(plan)
  local process
  process, err = perform(self, plan, command, began)
  if not process then return nil, err end
  return process:wait()
end

--- An interpreter of Lua in this container, for the code of strangers: fresh, not a copy of this process, and called
--- many times. Returns once it has begun. Raises at an unknown key or a bad value, naming its path.
---@param keys cella.worker.keys?
---@return cella.worker?, cella.error?
function Container:worker(keys)
  if getmetatable(self) ~= Container then
    blame "box: a container expected: box:worker { ... } has a colon, not a dot"
  end
  return workers.new(self.description, keys, function(whole)
    local box = setmetatable({ description = whole }, Container)
    return function(command) return box:spawn(command) end
  end)
end

--- The container as a config.json (the OCI's runtime specification), as a Lua table, and what is otherwise than here of
--- what nobody has asked for, in sentences. Raises where it cannot say something that the container's table does,
--- naming the key. Where the root is put together of parts, its path is that of a directory beside the config.json,
--- which `cella oci bundle` makes.
---@param command (cella.command.keys|function)?  as for plan
---@return table? config  nil where the policy finds no map on this host
---@return string[]|cella.error notes
function Container:oci(command)
  command = M.checked_command(self, command)
  local made, err = oci_config.of(self.description, command, host_facts.facts())
  if not made then return nil, err --[[@as cella.error]] end
  return made.config, made.notes
end

-- The same container with other keys.
local function with(box, keys)
  local changed = {}
  for key, value in pairs(box.description) do changed[key] = value end
  for key, value in pairs(keys) do changed[key] = value end
  changed.compiled = nil
  return setmetatable({ description = changed }, Container)
end

--- Starts a command without the container's hooks.
---@param box cella.container
---@param command table
---@return cella.process?, cella.error?
function M.trial(box, command) return with(box, { hooks = {} }):spawn(heard(box, command)) end

--- The same container, whose results say which of several it is.
---@param box cella.container
---@param choice { number: integer, refused: cella.error[] }
---@return cella.container
function M.chosen(box, choice) return with(box, { choice = choice }) end

--- True for containers made here.
---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == Container
end

--- Starts one for which there is no command yet (cella.pool): it goes on in `starting` until it is parked.
---@param host cella.Host
---@return cella.plan.parked?, cella.error?
function Container:park(host)
  local box = self.description
  local plan, err, kept = steps.begin(box, box.cwd or "/", host)
  if not plan then return nil, err end
  plan.host = host
  -- Who is parked holds nothing of the caller's open: what the command gets comes with it.
  plan:close_others({}):await_plan()
  local parked
  parked, err = spawn.park(plan)
  if parked then parked.compiled = kept end
  return parked, err
end

--- Whether a parked one is what would be started now.
---@param parked cella.plan.parked
---@param host cella.Host
---@return boolean
function Container.is_still(_, parked, host)
  return compiled.is_still(parked.compiled, host)
end

--- What a command adds to that.
---@param parked cella.plan.parked
---@param command table  checked
---@return cella.plan
function Container:rest_plan(parked, command)
  local plan = parked.plan:rest()
  steps.add_command(plan, self.description, command)
  return plan
end

--- Starts a command in a parked one.
---@param parked cella.plan.parked
---@param plan cella.plan  of rest_plan
---@param command table    checked
---@param began number     when it was asked for
---@return cella.process?, cella.error?, boolean? died
function Container:hand_over(parked, plan, command, began)
  return spawn.hand_over(parked, plan, options_of(self, command, began))
end

--- For others from whose description a plan is built (`build`): they are started as containers are.
M.methods = { plan = Container.plan, spawn = Container.spawn, run = Container.run }

-- What a policy says of the IDs that a start gets, where it may be asked without one.
local function noted(box)
  if not policy.rests_on_facts(box.ids) then return nil end
  local ok, result = pcall(policy.resolve, box.ids, host_facts.facts())
  return ok and result and result.notes and result.notes[1] or nil
end

function Container:__tostring()
  local new = {}
  for _, name in ipairs(NAMESPACES) do
    if self.description.namespaces[name] == "new" then new[#new + 1] = name end
  end
  local from = self.description.root
  local note = noted(self.description)
  local root_words = not from and "no root of its own" or from.path or from.fd and "descriptor " .. from.fd
    or from.system and "system" or "a root of parts"
  return printable.line(("%s (%s; new: %s%s)"):format(Container.__name, root_words,
    #new > 0 and table.concat(new, " ") or "none", note and "; ids: " .. note or ""))
end

return M
