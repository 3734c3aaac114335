--- What is to be run: a program, its arguments, its environment and its streams, as one table.

local blame = require "cella.blame"
local call = require "cella.call"
local core = require "cella.core"
local render = require "cella.plan.render"
local rlimits = require "cella.rlimits"
local streams = require "cella.streams"
local validate = require "cella.validate"

local rule = validate.rule
local M = {}

local PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
M.PATH = PATH

--- Where the program may be, as execvp(3) looks for it, but in the PATH that the program itself gets.
function M.candidates(name, environment)
  if name:find("/", 1, true) then return { name } end
  local search = PATH
  for _, entry in ipairs(environment) do
    search = entry:match("^PATH=(.*)$") or search
  end
  local result = {}
  for directory in (search .. ":"):gmatch("([^:]*):") do
    -- An empty entry means the working directory: never that of somebody else's choosing.
    if directory ~= "" then result[#result + 1] = directory .. "/" .. name end
  end
  return result
end

--- The environment where it is not "inherit": nothing of the caller's but what terminal it sits at, and over that what
--- somebody names.
---@param environment table<string, string|false>|"inherit"|nil  as M.environment_rule leaves it
---@param home string?
function M.with_defaults(environment, home)
  if environment == "inherit" then return environment end
  local whole = { PATH = PATH, TERM = os.getenv "TERM", HOME = home }
  for name, value in pairs(environment or {}) do whole[name] = value end
  return whole
end

local function variable(value, path)
  rule.string(value, path)
  if value == "" or value:find("=", 1, true) then validate.fail(path, "not the name of a variable") end
  return value
end

-- `false`: there is no such variable.
local function variable_value(value, path)
  if value == false then return false end
  if value == true then validate.fail(path, "a string, a number or false expected, got true") end
  return rule.text(value, path)
end

local variables = rule.map(variable, variable_value)

--- `environment`: { NAME = "value", OTHER = 5, UNWANTED = false }, or "inherit".
function M.environment_rule(value, path)
  if value == "inherit" then return value end
  if type(value) ~= "table" then
    validate.fail(path, 'a table of names and values, or "inherit" expected, got %s', validate.show(value))
  end
  local item = rawget(value, 1)
  if item ~= nil then
    local name, text = tostring(item):match "^([A-Za-z_][A-Za-z0-9_]*)=(.*)$"
    validate.fail(validate.join(path, 1), "the names of variables are keys, { %s = %q }, got %s", name or "LANG",
      text and #text < 80 and text or "C", validate.show(item))
  end
  return variables(value, path)
end

--- An environment table as the list that execve(2) takes, sorted by name; nil is that of the caller.
function M.environment_list(environment)
  if environment == nil or environment == "inherit" then return core.sys.environment() end
  local list = {}
  for name, value in pairs(environment) do
    if value then list[#list + 1] = name .. "=" .. value end
  end
  table.sort(list)
  return list
end

local fields = { environment = M.environment_rule, rlimits = rlimits.rule }
for key, check in pairs(streams.fields) do fields[key] = check end

-- And of a program alone.
local program_fields = { argv0 = rule.text }
for key, check in pairs(fields) do program_fields[key] = check end

--- What concerns the running, not the program.
M.spawn_fields = {
  timeout = rule.seconds,
  setup_timeout = rule.seconds,
  wait = rule.boolean,
  log = rule.callable,
  cpu_limit = rule.seconds,
  output_limit = rule.integer(0, 9007199254740992),
  capture_limit = rule.integer(0, 1099511627776),
  result_limit = rule.integer(0, 1073741824),
}

--- What plan:spawn takes: that, and `exited`, called with the result.
M.spawn_options = { exited = rule.callable }
for key, check in pairs(M.spawn_fields) do M.spawn_options[key] = check end

local function command_rule(keys)
  local record = rule.record(keys, nil, rule.text, "command")
  return function(value, path)
    if type(value) ~= "table" then
      validate.fail(path, 'a table of the program and its arguments expected, { "ls", "-l" }, or { "sh", "-c", LINE } '
        .. "for a shell; got %s", validate.show(value))
    end
    local command = record(value, path)
    if not command[1] then validate.fail(path, "the argument vector is empty") end
    if command[1] == "" then validate.fail(validate.join(path, 1), "the program's name is empty") end
    return command
  end
end

--- What plan:exec takes: the argument vector as items, `argv0`, the keys of streams, and `rlimits`.
M.rule = command_rule(program_fields)

--- What plan:call takes: a function with its arguments, and the same keys.
M.call_rule = call.rule(fields)

local function for_container(keys)
  local result = { cwd = rule.absolute, denied = rule.callable }
  for key, check in pairs(keys) do result[key] = check end
  result.rlimits = nil -- which are the container's
  for key, check in pairs(M.spawn_fields) do result[key] = check end
  return result
end

--- What a container takes: that, and where and for how long it runs.
local program_rule, function_rule = command_rule(for_container(program_fields)), call.rule(for_container(fields))
function M.container_rule(value, path)
  if type(value) == "function" then value = call.command(value) end
  return (call.is(value) and function_rule or program_rule)(value, path)
end

--- Checks the command of a container.
function M.check(command)
  return validate.check(M.container_rule, command, "command")
end

--- Raises where a command asks for a terminal that it cannot have in a container.
---@param command table  checked
---@param box table      the container's description
function M.check_terminal(command, box)
  if command.terminal and box.new_session == false then
    blame("command.terminal: a terminal of its own needs a session of its own, and new_session is false")
  end
end

--- The part of a container's command that goes with the spawning of its plan.
function M.for_spawn(command)
  local result = {}
  for key in pairs(M.spawn_fields) do result[key] = command[key] end
  return result
end

--- The part of a container's command that goes into its plan. What the caller has for its standard input is handed in
--- where somebody says so: a terminal could be read and written, whoever types there.
---@param home string?  HOME, where nobody says another
function M.for_plan(command, environment, home, limits)
  local result = { rlimits = limits }
  if command.stdin == nil and not command.terminal then result.stdin = "null" end
  for key, value in pairs(command) do
    if program_fields[key] or type(key) == "number" or key == "n" then result[key] = value end
  end
  result.environment = M.with_defaults(command.environment or environment, home)
  return result
end

--- Ends a plan with what for_plan has made. What is to happen in the last moment before that: the hook of the caller,
--- and then that of who starts it for others (`hold_signals`, of the command line).
function M.record(plan, command, box)
  if box.hooks.before_exec then plan:await(box.hooks.before_exec, "hooks.before_exec") end
  if box.hold_signals then plan:await(box.hold_signals, render.call "hold_signals") end
  if call.is(command) then return plan:call(command) end
  if box.met then plan:meet(box.met, "hold_monitor") end
  -- What comes behind the program's streams, for who starts it for others (cella.oci).
  if box.finish then
    plan.finish = function(slave)
      if slave then plan:setctty(slave):close(slave) end
      box.finish(plan)
    end
  end
  return plan:exec(command)
end

return M
