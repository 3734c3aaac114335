--- Another program in a container.

local core = require "cella.core"
local document = require "cella.oci.read.document"
local enter = require "cella.enter"
local Error = require "cella.error"
local failed = require "cella.oci.failed"
local homes = require "cella.oci.home"
local hooks = require "cella.oci.hooks"
local kept = require "cella.oci.kept"
local lazy = require "cella.lazy"
local raised_limits = require "cella.oci.raised_limits"
local pid_file = require "cella.oci.pid_file"
local processes = require "cella.oci.read.process"
---@module "cella.oci.read.seccomp"
local seccomp = lazy "cella.oci.read.seccomp"
local streams = require "cella.oci.streams"

local M = {}

-- A number of the command line.
local function id_of(text)
  return text and text:find "^[0-9]+$" and #text <= 10 and tonumber(text) or nil
end

-- Of process_json or of words: what is to be run. What the words do not say is as the container's own program has it.
local function described(options, config)
  if options.process then return document.read(options.process, "process") end
  local process = {}
  for key, value in pairs(config.process) do process[key] = value end
  process.args, process.terminal, process.consoleSize = options.args, options.terminal or false, nil
  process.cwd = options.cwd or process.cwd
  if options.no_new_privs then process.noNewPrivileges = true end
  local user = {}
  for key, value in pairs(process.user or {}) do user[key] = value end
  process.user = user
  if options.user then
    local uid, colon, gid = options.user:match "^([0-9]+)(:?)([0-9]*)$"
    user.uid = id_of(uid)
    if colon == ":" then user.gid = id_of(gid) end
    if not uid or not user.uid or colon == ":" and not user.gid then
      return failed("exec", nil,
        "--user: UID or UID:GID expected: names are in a file that is the container's business")
    end
  end
  if options.groups then
    local groups = {}
    for i, gid in ipairs(user.additionalGids or {}) do groups[i] = gid end
    for _, gid in ipairs(options.groups) do
      groups[#groups + 1] = id_of(gid)
      if not id_of(gid) then return failed("exec", nil, "--additional-gids: a number expected") end
    end
    user.additionalGids = groups
  end
  if options.env then
    local named, list = {}, {}
    for _, entry in ipairs(options.env) do named[entry:match "^[^=]*"] = true end
    for _, entry in ipairs(process.env or {}) do
      if not named[entry:match "^[^=]*"] then list[#list + 1] = entry end
    end
    for _, entry in ipairs(options.env) do list[#list + 1] = entry end
    process.env = list
  end
  if options.capabilities then
    local sets = {}
    for _, name in ipairs { "bounding", "effective", "permitted" } do
      sets[name] = {}
      for _, one in ipairs((process.capabilities or {})[name] or {}) do table.insert(sets[name], one) end
      for _, one in ipairs(options.capabilities) do table.insert(sets[name], one) end
    end
    sets.inheritable, sets.ambient = (process.capabilities or {}).inheritable, (process.capabilities or {}).ambient
    process.capabilities = sets
  end
  return process
end

-- The filter that a container's program is under; false where there is none, nil and an error where it cannot be.
local function policy_of(config, path)
  local filter = config.linux and config.linux.seccomp
  if not filter then return false end
  return document.checked(path, seccomp.policy, filter)
end

local function entrance_of(state, process, policy)
  local entrance, err = enter.new { pid = state.data.pid, cwd = process.cwd, keyrings = "own",
    user = process.user, capabilities = process.capabilities, no_new_privs = process.no_new_privs,
    seccomp = policy, die_with_parent = false, exceed = { "capabilities", "no_new_privs", "seccomp" } }
  if not entrance then return nil, err end
  local description = entrance.description
  description.rlimits = next(process.rlimits) and process.rlimits or nil
  description.umask = process.umask and tonumber(process.umask, 8)
  description.oom_score_adj = process.oom_score_adj
  description.nice = process.nice
  return entrance
end

--- Starts hooks in a container, confined as its own program is, which is not there yet.
---@param state cella.oci.state
---@param list cella.oci.hook[]
---@return true?, cella.error?
function M.run_hooks(state, list)
  if #list == 0 then return true end
  local config, err, path = kept.config(state)
  if not config then return nil, err end
  local process
  process, err = document.checked(path, processes.of, config.process)
  if not process then return nil, err end
  local policy
  policy, err = policy_of(config, path)
  if policy == nil then return nil, err end
  local entrance
  entrance, err = entrance_of(state, process, policy or nil)
  if not entrance then return nil, err end
  local ok
  ok, err = hooks.run("startContainer", list, state:describe_inside(),
    { start = hooks.inside(entrance), doomed = state:dooms() })
  entrance:close()
  return ok, err
end

-- Who enters a pid namespace has a monitor for its parent, which would wait for its end in the place of who waits for
-- it by its pid file. That one's child it becomes when the monitor has gone; so that this is not too late, the monitor
-- stands still from before the program is executed.
local function signal_monitor(child, signal)
  child:await_monitor()
  local monitor = child:monitor()
  local pidfd = monitor and core.dup(monitor)
  if pidfd then
    pidfd:signal(signal)
    pidfd:close()
  end
  return true
end

--- Starts another program in a container.
---@param state cella.oci.state
---@param options table
---@return cella.process?, cella.error?
function M.start(state, options)
  local status = state:status()
  if status == "paused" and not options.ignores_paused then return failed("exec", nil, "the container is paused") end
  if status ~= "running" and status ~= "created" then
    return failed("exec", nil, ("cannot exec in a container that is %s"):format(status))
  end
  local config, err, path = kept.config(state)
  if not config then
    if err then return nil, err end
    return failed("exec", state.path, "what the container has been made of is missing")
  end
  local policy
  policy, err = policy_of(config, path)
  if policy == nil then return nil, err end
  local said
  said, err = described(options, config)
  if not said then return nil, err end
  local process
  process, err = document.checked(options.process or "process", processes.of, said)
  if not process then return nil, err end
  local ok
  ok, err = streams.check(options, process.command.terminal)
  if ok then ok, err = pid_file.check(options.pid_file) end
  if not ok then return nil, err end
  local entrance
  entrance, err = entrance_of(state, process, policy or nil)
  if not entrance then return nil, err end
  streams.give(process.command, process.user, state.data.pid)
  if not process.command.environment.HOME then
    process.command.environment.HOME = homes.of_process(state.data.pid, process.user.uid)
  end
  if options.detach then
    entrance.description.met = function(child) return signal_monitor(child, "stop") end
  end
  local pidfd = state:hold() -- what has been taken hold of is still the container's
  if not pidfd then
    entrance:close()
    return failed("exec", nil, "the container has ended")
  end
  pidfd:close()
  local good, started, problem = raised_limits(process.rlimits, pcall, entrance.spawn, entrance,
    streams.inherit(process.command, options.preserve_fds))
  entrance:close()
  if not good then
    if Error.is(started) then return nil, started end
    return failed("exec", nil, (tostring(started):gsub("^[^ ]*:%d+: ", "")))
  end
  if not started then return nil, problem end
  if options.console_socket then ok, err = streams.send_console(options.console_socket, started.terminal) end
  if ok and options.pid_file then ok, err = pid_file.write(options.pid_file, started.pid) end
  if ok then return started end
  started:kill "kill"
  started:close()
  return nil, err
end

--- Lets one that was started detached have this process's parent for its own.
---@param process cella.process
function M.detach(process) signal_monitor(process.child, "kill") end

return M
