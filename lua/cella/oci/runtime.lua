--- What a runtime does for a container engine: the operations of the OCI runtime specification (runtime.md), for who
--- names a container and goes away again.
--
-- Between create and start the container's process waits in the runner, after all that it is confined by has been set
-- and read back, for a byte from a FIFO in the directory of its state: nobody else has to be there.

local lazy = require "cella.lazy"
local cgroups = require "cella.oci.cgroup"
local commands = require "cella.command"
local container = require "cella.container"
local core = require "cella.core"
---@module "cella.enter"
local enter = lazy "cella.enter"
local Error = require "cella.error"
local failed = require "cella.oci.failed"
local file = require "cella.host.file"
local hooks = require "cella.oci.hooks"
---@module "cella.oci.home"
local homes = lazy "cella.oci.home"
local read = require "cella.oci.read"
---@module "cella.oci.seccomp"
local seccomp = lazy "cella.oci.seccomp"
local states = require "cella.oci.state"

local sys = core.sys
local M = {}

local KILL_PATIENCE, START_PATIENCE = 10, 10 -- seconds

local function timestamp() return os.date "!%Y-%m-%dT%H:%M:%SZ" end

--- Writes a small file for an engine, as a whole.
local function write_pid(path, pid)
  local new = ("%s/.%s"):format(path:match "^(.*)/[^/]*$" or ".", path:match "[^/]*$")
  -- Where others may write, what is there of that name leads to wherever they like.
  os.remove(new)
  local ok, message, errno = sys.write_file(new, ("%d"):format(pid), { "wronly", "creat", "excl" }, 420) -- 0644
  if not ok then return failed("write_file", new, message, errno) end
  ok, message, errno = os.rename(new, path)
  if not ok then return failed("rename", path, message, errno) end
  return true
end

-- A FIFO in the directory of a state, open for both so that it has no end: what reads from it waits for a byte.
local function make_fifo(state, name)
  local path = state.path .. "/" .. name
  local ok, message, errno = sys.mknod(path, "fifo", 384) -- 0600
  if not ok then return failed("mknod", path, message, errno) end
  local fd
  fd, message, errno = core.open(path, { "rdwr", "nofollow", "nonblock" })
  if not fd then return failed("open", path, message, errno) end
  return fd
end

-- The same file description without O_NONBLOCK would be shared: this opens it anew, to wait.
local function blocking(path)
  local fd, message, errno = core.open(path, { "rdwr", "nofollow" })
  if not fd then return failed("open", path, message, errno) end
  return fd
end

local FIRST_FD = 3

-- What the process does behind its streams, before it is the program: says that all is done, and waits.
local function record_waiting(plan, command, number, tell)
  plan.program = command[1]
  plan:expect_program(commands.candidates(command[1], commands.environment_list(command.environment)))
  plan:meet(tell, "created")
  plan:wait_for_byte(number)
  plan:close(number):close(number + 1)
end

local function send_console(child, path)
  local master = child:sent()
  if not master then return nil, { message = "the child has sent no terminal" } end
  local ok, message, errno = core.send_descriptor(path, master:number(), "/dev/ptmx")
  master:close()
  if ok then return true end
  return failed("console-socket", path, message, errno)
end

---@class cella.oci.create.options
---@field root string
---@field id string
---@field bundle string
---@field pid_file string?
---@field console_socket string?
---@field preserve_fds integer?
---@field keyring boolean?  false: that of the caller
---@field cgroups boolean?  false: none, whatever the bundle says
---@field terminal boolean?  false: the caller has another way for it

local function check_options(options, bundle)
  local terminal = bundle.command.terminal
  if terminal and not options.console_socket and not options.foreground then
    return failed("console-socket", nil,
      "missing: process.terminal is true, and somebody has to be given the terminal")
  elseif not terminal and options.console_socket then
    return failed("console-socket", nil, "process.terminal is false: there is no terminal to be sent")
  end
  return true
end

-- An ID of a container's as this process has it; nil where it is in no map. What is joined has a map that only the
-- kernel knows: it is asked for that of the container's process in each case.
local function outside(id, kind, pid)
  for line in (file.read(("/proc/%d/%s_map"):format(pid, kind)) or ""):gmatch "[^\n]+" do
    local inside, there, count = line:match "^ *([0-9]+) +([0-9]+) +([0-9]+)"
    local offset = inside and id - tonumber(inside)
    if offset and offset >= 0 and offset < tonumber(count) then return tonumber(there) + offset end
  end
  return nil
end

-- Pipes that an engine hands in become the program's user's: what opens /dev/stdout is asked for its owner as any file
-- is. Never a device, which is everybody's; and where this process must not give files away, they stay as they are.
local function give_streams(command, user, pid)
  if command.terminal then return end
  local uid, gid = outside(user.uid or 0, "uid", pid), outside(user.gid or 0, "gid", pid)
  for number = 0, 2 do
    local status = uid and gid and core.file_status(number)
    if status and status.type == "fifo" and status.uid ~= uid then
      local fd = core.dup(number)
      if fd then
        fd:chown(uid, gid)
        fd:close()
      end
    end
  end
end

-- The container of a bundle, with what cella's own keys do not say.
local function box_of(bundle)
  local box = container.new(bundle.container)
  box.description.plain = true
  return box
end

-- A process that is not yet started and comes to nothing.
local function abandon(process)
  if process then
    process:kill "kill"
    process:wait(KILL_PATIENCE)
    process:close()
  end
end

-- Goes on with a start until `is_done` says so. Returns nil and an error where it has failed.
local function go_on(process, is_done)
  while not is_done() do
    if process:step() or process.failure then
      local _, err = process:wait(0)
      return nil, err or Error.new { op = "create", message = "the process has ended before it was created" }
    end
    if is_done() then break end
    local left = process:timeout()
    process.set:sleep(math.min(left or 0.5, 0.5))
  end
  return true
end

local function create_in(state, options, bundle)
  local ok, err = check_options(options, bundle)
  if not ok then return nil, err end
  local data = { bundle = bundle.path, rootfs = bundle.rootfs, created = timestamp(), annotations = bundle.annotations,
    owner = os.getenv "USER" }
  ok, err = state:keep_config(bundle.text)
  if ok then ok, err = state:write(data) end
  if not ok then return nil, err end
  local gate, executed
  gate, err = make_fifo(state, "start")
  if not gate then return nil, err end
  gate:close()
  gate, err = blocking(state.path .. "/start")
  if not gate then return nil, err end
  executed, err = make_fifo(state, "executed")
  if not executed then return nil, err end

  local place
  if options.cgroups ~= false then
    place, err = cgroups.create(bundle.cgroup, function(directory)
      data.cgroup = directory
      return state:write(data)
    end)
    if not place and err then return nil, err end
  end
  local box = box_of(bundle)
  if options.keyring == false then box.description.keyrings = "host" end
  local command = bundle.command
  local number = FIRST_FD + (options.preserve_fds or 0)
  command.fds = { [number] = gate:number(), [number + 1] = executed:number() }
  for i = FIRST_FD, number - 1 do command.fds[i] = i end
  if not command.terminal then command.stdin, command.stdout, command.stderr = "inherit", "inherit", "inherit" end
  command.wait = false
  if not command.environment.HOME then
    command.environment.HOME = homes.of_bundle(bundle.rootfs, bundle.container.mounts, bundle.container.user.uid)
  end

  local created, failure = false, nil
  -- It is in its namespaces, and waits.
  local function with_pid(facts)
    data.pid, data.start = facts.pid, states.start_time(facts.pid)
    if not data.start then return nil, "the process has ended" end
    local good, problem = state:write(data)
    local described = state:describe "creating"
    if good then good, problem = hooks.run("prestart", bundle.hooks.prestart, described) end
    if good then good, problem = hooks.run("createRuntime", bundle.hooks.createRuntime, described) end
    if good then return true end
    failure = problem
    return nil, tostring(problem)
  end
  local kinds = bundle.container.namespaces
  box.description.hooks = { [kinds.user == "new" and "mapped" or "created"] = with_pid }
  local function tell(child)
    -- Of what is behind a fork the number is known only now.
    data.pid = child:program()
    data.start = states.start_time(data.pid)
    local good, problem = state:write(data)
    if good then give_streams(command, bundle.container.user, data.pid) end
    if good and options.console_socket then good, problem = send_console(child, options.console_socket) end
    if good and options.pid_file then good, problem = write_pid(options.pid_file, data.pid) end
    if not good then return nil, Error.is(problem) and { message = tostring(problem), cause = problem } or problem end
    created = true
    return true
  end
  box.description.finish = function(plan) record_waiting(plan, command, number, tell) end
  local back
  back, err = cgroups.enter(place)
  if not back then return nil, err end
  local good, process, problem = pcall(box.spawn, box, command)
  local is_back, why_not = back()
  if not good then
    if Error.is(process) then return nil, process end
    return failed("create", nil, (tostring(process):gsub("^[^ ]*:%d+: ", "")))
  end
  if not process then return nil, failure or problem end
  if not is_back then
    abandon(process)
    return nil, why_not
  end
  ok, err = go_on(process, function() return created end)
  if ok then
    -- Once more, for the child to be let go.
    process:step()
    gate:close()
    executed:close()
    return process
  end
  abandon(process)
  return nil, failure or err
end

--- Makes a container of a bundle: its process has all that it is to have, and waits for `start`. It does not need its
--- caller any more. Returns its state, and the process, for who stays.
---@param options cella.oci.create.options
---@return cella.oci.state?, cella.error|cella.process|nil
function M.create(options)
  local ok, err = states.check_id(options.id)
  if not ok then return nil, err end
  local bundle
  bundle, err = read.read(options.bundle)
  if not bundle then return nil, err end
  local state
  state, err = states.create(options.root, options.id)
  if not state then return nil, err end
  local good, process, problem = pcall(create_in, state, options, bundle)
  if good and process then
    state:unlock()
    return state, process
  end
  cgroups.remove(state.data and state.data.cgroup)
  state:remove()
  if not good then error(process, 0) end
  return nil, problem
end

-- That the process has been let go and is the program, or gone: then nobody holds the other end any more.
local function wait_for_program(executed)
  local till = core.now() + START_PATIENCE
  repeat
    local data, message, errno = executed:read()
    if data == nil then return failed("read", "executed", message, errno) end
    if data ~= false then return true end
    core.poll({}, 0.001)
  until core.now() > till
  return failed("start", nil, ("the program is not executed after %d seconds"):format(START_PATIENCE))
end

-- The config.json that the container has been made of. nil alone where it has not come to that.
local function config_of(state)
  local path = state:config_path()
  if not path then return nil end
  local config, err = read.document(path)
  return config, err, path
end

-- The hooks of a point; none where there is no container yet.
local function hooks_of(state, point)
  local config, err, path = config_of(state)
  if not config then return not err and {} or nil, err end
  local found
  found, err = read.checked(path, read.hooks, config.hooks or {})
  return found and found[point], err
end

-- A container whose start fails ends (runtime.md).
local function kill_process(state)
  local pidfd = state:hold()
  if not pidfd then return end
  pidfd:signal "kill"
  pidfd:close()
end

local function start_in(state)
  local status = state:status()
  if status ~= "created" then
    return failed("start", nil, ("cannot start a container that is %s"):format(status))
  end
  local poststart, err = hooks_of(state, "poststart")
  if not poststart then return nil, err end
  local path, executed_path = state.path .. "/start", state.path .. "/executed"
  local executed, message, errno = core.open(executed_path, { "rdonly", "nonblock", "nofollow" })
  if not executed then return failed("open", executed_path, message, errno) end
  -- Where nobody reads the process has died.
  local gate
  gate, message, errno = core.open(path, { "wronly", "nonblock", "nofollow" })
  if not gate then
    executed:close()
    return failed("open", path, message, errno)
  end
  local ok
  ok, message, errno = sys.write(gate:number(), "!")
  gate:close()
  if not ok then
    executed:close()
    return failed("write", path, message, errno)
  end
  os.remove(path)
  ok, err = wait_for_program(executed)
  executed:close()
  os.remove(executed_path)
  if ok then ok, err = hooks.run("poststart", poststart, state:describe()) end
  if ok then return true end
  kill_process(state)
  return nil, err
end

-- Calls what changes a container, with its lock.
local function locked(options, call, ...)
  local state, err = states.open(options.root, options.id, true)
  if not state then return nil, err end
  local ok, result, problem = pcall(call, state, ...)
  state:unlock()
  if not ok then error(result, 0) end
  return result, problem
end

--- Starts the program of a container that is created.
---@param options { root: string, id: string }
---@return true?, cella.error?
function M.start(options) return locked(options, start_in) end

--- What the specification calls the state of a container.
---@param options { root: string, id: string }
---@return table?, cella.error?
function M.state(options)
  local state, err = states.open(options.root, options.id)
  if not state then return nil, err end
  return state:describe()
end

--- Sends a signal to the process of a container; with `all`, to all that are in its cgroup.
---@param options { root: string, id: string, signal: string|integer, all: boolean? }
---@return true?, cella.error?
function M.kill(options)
  local state, err = states.open(options.root, options.id)
  if not state then return nil, err end
  local is_kill = options.signal == "kill" or options.signal == 9
  if options.all and state.data.cgroup then
    if is_kill then return cgroups.kill(state.data.cgroup) end
    if state:status() == "stopped" then return failed("kill", nil, "container not running") end
    cgroups.signal(state.data.cgroup, options.signal)
    return true
  end
  local pidfd = state:hold()
  if not pidfd then return failed("kill", nil, "container not running") end
  local ok, message, errno = pidfd:signal(options.signal)
  pidfd:close()
  if not ok then return failed("kill", nil, message, errno) end
  return true
end

local function await_end(state)
  local till = core.now() + KILL_PATIENCE
  while core.now() < till do
    local pidfd = state:hold()
    if not pidfd then return true end
    core.poll({ pidfd:number() }, 0.1)
    pidfd:close()
  end
  return failed("delete", nil, ("the process is still there %d seconds after it was killed"):format(KILL_PATIENCE))
end

local function delete_in(state, force)
  local status = state:status()
  local ok, err
  if status ~= "stopped" then
    if not force and status ~= "created" then
      return failed("delete", nil,
        ("cannot delete a container that is %s: it has to be stopped, or --force"):format(status))
    end
    kill_process(state)
    if state.data.cgroup then cgroups.kill(state.data.cgroup) end
    ok, err = await_end(state)
    if not ok then return nil, err end
  end
  ok, err = cgroups.remove(state.data.cgroup)
  if not ok then return nil, err end
  local poststop, hook_error = hooks_of(state, "poststop")
  -- The specification has all of them run, and what fails said.
  for i, hook in ipairs(poststop or {}) do
    local _, problem = hooks.run("poststop", { hook }, state:describe "stopped", i)
    hook_error = hook_error or problem
  end
  ok, err = state:remove()
  if not ok then return nil, err end
  return true, hook_error
end

--- Deletes what there is of a container that has stopped; with `force`, of any: it is killed. `force` of one that there
--- is not is no error.
---@param options { root: string, id: string, force: boolean? }
---@return true?, cella.error?
function M.delete(options)
  local ok, err = locked(options, delete_in, options.force)
  if not ok and options.force and err.code == "ENOENT" and err.op == "state" then return true end
  return ok, err
end

--- Stops all of a container's processes, or lets them go on.
---@param options { root: string, id: string }
---@param frozen boolean
---@return true?, cella.error?
function M.freeze(options, frozen)
  return locked(options, function(state)
    local status = state:status()
    if status ~= (frozen and "running" or "paused") then
      return failed(frozen and "pause" or "resume", nil, ("the container is %s"):format(status))
    elseif not state.data.cgroup then
      return failed("pause", nil, "the container has no cgroup of its own", nil,
        "linux.cgroupsPath was not given, or there is no cgroup v2 here")
    end
    return cgroups.freeze(state.data.cgroup, frozen)
  end)
end

-- A number of the command line.
local function id_of(text)
  return text and text:find "^[0-9]+$" and #text <= 10 and tonumber(text) or nil
end

-- Of process_json or of words: what is to be run. What the words do not say is as the container's own program has it.
local function described(options, config)
  if options.process then return read.document(options.process, "process") end
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

-- The streams of a command that has no terminal are those of the caller; and more descriptors, where that is said.
local function with_streams(command, preserve)
  if not command.terminal then command.stdin, command.stdout, command.stderr = "inherit", "inherit", "inherit" end
  command.fds = {}
  for i = FIRST_FD, FIRST_FD + (preserve or 0) - 1 do command.fds[i] = i end
  return command
end

local function entrance_of(state, process, policy)
  local entrance, err = enter.new { pid = state.data.pid, cwd = process.cwd, keyrings = "own",
    user = process.user, capabilities = process.capabilities, no_new_privs = process.no_new_privs,
    seccomp = policy, die_with_parent = false, exceed = { "capabilities", "no_new_privs", "seccomp" } }
  if not entrance then return nil, err end
  give_streams(process.command, process.user, state.data.pid)
  if not process.command.environment.HOME then
    process.command.environment.HOME = homes.of_process(state.data.pid, process.user.uid)
  end
  local description = entrance.description
  description.rlimits = next(process.rlimits) and process.rlimits or nil
  description.umask = process.umask and tonumber(process.umask, 8)
  description.oom_score_adj = process.oom_score_adj
  return entrance
end

-- Who enters a pid namespace has a monitor for its parent, which would wait for its end in the place of who waits for
-- it by its pid file. That one's child it becomes when the monitor has gone; so that this is not too late, the monitor
-- stands still from before the program is executed.
local function signal_monitor(child, signal)
  local monitor = child:monitor()
  local pidfd = monitor and core.dup(monitor)
  if pidfd then
    pidfd:signal(signal)
    pidfd:close()
  end
  return true
end

local function exec_in(state, options)
  local status = state:status()
  if status == "paused" and not options.ignores_paused then return failed("exec", nil, "the container is paused") end
  if status ~= "running" and status ~= "created" then
    return failed("exec", nil, ("cannot exec in a container that is %s"):format(status))
  end
  local config, err, path = config_of(state)
  if not config then
    if err then return nil, err end
    return failed("exec", state.path, "what the container has been made of is missing")
  end
  local policy
  if config.linux and config.linux.seccomp then
    policy, err = read.checked(path, seccomp.policy, config.linux.seccomp)
    if not policy then return nil, err end
  end
  local document
  document, err = described(options, config)
  if not document then return nil, err end
  local process
  process, err = read.checked(options.process or "process", read.process, document)
  if not process then return nil, err end
  if process.command.terminal and not options.console_socket and not options.foreground then
    return failed("console-socket", nil,
      "missing: the process is to have a terminal, and somebody has to be given it")
  elseif options.console_socket and not process.command.terminal then
    return failed("console-socket", nil, "the process is to have no terminal")
  end
  local entrance
  entrance, err = entrance_of(state, process, policy)
  if not entrance then return nil, err end
  if options.detach then
    entrance.description.met = function(child) return signal_monitor(child, "stop") end
  end
  local pidfd = state:hold() -- what has been taken hold of is still the container's
  if not pidfd then
    entrance:close()
    return failed("exec", nil, "the container has ended")
  end
  pidfd:close()
  local good, started, problem = pcall(entrance.spawn, entrance, with_streams(process.command, options.preserve_fds))
  entrance:close()
  if not good then
    if Error.is(started) then return nil, started end
    return failed("exec", nil, (tostring(started):gsub("^[^ ]*:%d+: ", "")))
  end
  if not started then return nil, problem end
  local ok = true
  if options.console_socket then
    local message, errno
    ok, message, errno = core.send_descriptor(options.console_socket, started.terminal, "/dev/ptmx")
    if not ok then err = select(2, failed("console-socket", options.console_socket, message, errno)) end
  end
  if ok and options.pid_file then ok, err = write_pid(options.pid_file, started.pid) end
  if ok then return started end
  started:kill "kill"
  started:close()
  return nil, err
end

-- As a shell has it.
local function status_of(process)
  local result, err = process:wait()
  if not result then return nil, err end
  return result.code or 128 + result.signal_number
end

--- Starts another program in a container. Returns its exit status; 0 with `detach`, as soon as it runs.
---@param options table
---@return integer?, cella.error?
function M.exec(options)
  local state, err = states.open(options.root, options.id)
  if not state then return nil, err end
  local process
  process, err = exec_in(state, options)
  if not process then
    if err.op == "execve" then err.status = err.code == "ENOENT" and 127 or 126 end
    return nil, err
  end
  if options.detach then
    signal_monitor(process.child, "kill")
    return 0
  end
  return status_of(process)
end

--- Creates, starts, and waits for the end, after which nothing is left but with `keep`. Returns the exit status; 0 with
--- `detach`, as soon as it runs.
---@param options cella.oci.create.options
---@param detach boolean?
---@param keep boolean?
---@return integer?, cella.error?
function M.run(options, detach, keep)
  local state, process = M.create(options)
  if not state then return nil, process end
  local ok, err = M.start(options)
  local status
  if ok and detach then return 0 end
  if ok then status, err = status_of(process) end
  if keep and ok then return status, err end
  local deleted, problem = M.delete { root = options.root, id = options.id, force = true }
  if not ok or not status then return nil, err end
  if not deleted then return nil, problem end
  return status
end

-- Whether a process is in the pid namespace of the container; for those that have none of their own, itself alone.
local function pids_of(state)
  if state.data.cgroup then return cgroups.processes(state.data.cgroup) end
  local first = state.data.pid
  local inode = sys.namespace("pid", first)
  local own = sys.namespace "pid"
  if not inode or inode == own then return { first } end
  local list = {}
  for _, name in ipairs(core.list_directory "/proc" or {}) do
    local pid = name:find "^%d+$" and tonumber(name)
    if pid and sys.namespace("pid", pid) == inode then list[#list + 1] = pid end
  end
  table.sort(list)
  return list
end

--- The processes of a container.
---@param options { root: string, id: string }
---@return { pid: integer, parent: string, uid: string, command: string }[]?, cella.error?
function M.processes(options)
  local state, err = states.open(options.root, options.id)
  if not state then return nil, err end
  local pidfd = state:hold()
  if not pidfd then return failed("ps", nil, "container not running") end
  local result = {}
  for _, pid in ipairs(pids_of(state)) do
    local status = file.read(("/proc/%d/status"):format(pid))
    if status then
      local words_of = (file.read(("/proc/%d/cmdline"):format(pid)) or ""):gsub("%z", " "):gsub(" $", "")
      if words_of == "" then words_of = "[" .. (status:match "^Name:%s*([^\n]*)" or "") .. "]" end
      result[#result + 1] = { pid = pid, parent = status:match "\nPPid:%s*(%d+)" or "?",
        uid = status:match "\nUid:%s*(%d+)" or "?", command = words_of }
    end
  end
  pidfd:close()
  return result
end

--- All containers, as `state` tells them.
---@param root string
---@return table[]
function M.list(root)
  local result = {}
  for _, id in ipairs(states.list(root)) do
    local state = states.open(root, id)
    if state then result[#result + 1] = state:describe() end
  end
  return result
end

return M
