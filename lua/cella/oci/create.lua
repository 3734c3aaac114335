--- Making a container of a bundle: its process has all that it is to have, and waits for `start`.

local cgroups = require "cella.oci.cgroup"
local core = require "cella.core"
local Error = require "cella.error"
local failed = require "cella.oci.failed"
local file = require "cella.host.file"
local groups = require "cella.groups"
local hooks = require "cella.oci.hooks"
local host = require "cella.host"
local json = require "cella.oci.json"
local kinds = require "cella.kinds"
local lazy = require "cella.lazy"
---@module "cella.oci.home"
local homes = lazy "cella.oci.home"
local kept = require "cella.oci.kept"
local pid_file = require "cella.oci.pid_file"
local Plan = require "cella.plan"
local printable = require "cella.printable"
local raised_limits = require "cella.oci.raised_limits"
local read = require "cella.oci.read"
local states = require "cella.oci.state"
local streams = require "cella.oci.streams"
---@module "cella.root.taken"
local taken = lazy "cella.root.taken"
local waiting = require "cella.oci.waiting"

local sys = core.sys

local KILL_PATIENCE = 10 -- seconds

local function timestamp() return os.date "!%Y-%m-%dT%H:%M:%SZ" end

local function send_console(child, path)
  local master = child:sent()
  if not master then return nil, { message = "the child has sent no terminal" } end
  local ok, err = streams.send_console(path, master:number())
  master:close()
  return ok, err
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
---@field warn (fun(message: string))?  is told what may surprise
---@field terminal boolean?  false: the caller has another way for it

-- That a user namespace which is joined has the maps that the bundle tells of, as engines do who have made both.
local function check_maps(joined, pid)
  for _, kind in ipairs { "uid", "gid" } do
    local expected, there = {}, {}
    for i, extent in ipairs(joined[kind]) do
      expected[i] = ("%.0f %.0f %.0f"):format(extent.inside, extent.outside, extent.count)
    end
    for line in (file.read(("/proc/%d/%s_map"):format(pid, kind)) or ""):gmatch "[^\n]+" do
      there[#there + 1] = table.concat({ line:match "^ *([0-9]+) +([0-9]+) +([0-9]+)" }, " ")
    end
    table.sort(expected)
    table.sort(there)
    if table.concat(expected, "\n") ~= table.concat(there, "\n") then
      return failed("config", nil, ("linux.%sMappings: the user namespace that is joined has other maps"):format(kind))
    end
  end
  return true
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

-- Hooks in the container's namespaces, where its root is not yet the root: their paths are those of the host.
local function run_inside(state, pid, list)
  local pidfd, message, errno = core.pidfd(pid)
  if not pidfd then return failed("pidfd_open", nil, message, errno) end
  local joins = {}
  for _, kind in ipairs(kinds.list) do
    if sys.namespace(kind, pid) ~= sys.namespace(kind) then joins[#joins + 1] = { type = kind, pidfd = pidfd } end
  end
  local ok, err = hooks.run("createContainer", list, state:describe_inside("creating", pid), { doomed = state:dooms(),
    start = function(command)
      local plan = Plan.new()
      local root = plan:input("open_root", function()
        return core.open(("/proc/%d/root"):format(pid), { "path", "directory" })
      end)
      local has_user = joins[1] and joins[1].type == "user"
      local choice = has_user and groups.choose(nil, { crosses = true, joined = true,
        setgroups = (file.read(("/proc/%d/setgroups"):format(pid)) or ""):match "^[a-z]+" }, host.facts()) or {}
      -- The caller's are rights over the host, which nobody in there could give up everywhere.
      if choice.before then plan:setgroups(choice.before):expect_groups(choice.before) end
      plan:join(joins)
      plan:fchdir(root):chroot(".")
      plan:close(root)
      if has_user then
        local uid, gid = streams.first_id("uid", pid), streams.first_id("gid", pid)
        if choice.inside then plan:setgroups(choice.groups) end
        plan:setresgid(gid, gid, gid):setresuid(uid, uid, uid)
      end
      return hooks.start(plan, command)
    end })
  pidfd:close()
  return ok, err
end

-- What is no UTF-8 cannot be told to hooks and engines as it is: JSON has no other.
local function text_of(value)
  return value and (json.is_utf8(value) and value or printable.text(value))
end

local function create_in(state, options, bundle)
  local ok, err = streams.check(options, bundle.command.terminal)
  if ok then ok, err = pid_file.check(options.pid_file) end
  if not ok then return nil, err end
  local data = { bundle = bundle.path, rootfs = bundle.rootfs, created = timestamp(), annotations = bundle.annotations,
    owner = text_of(os.getenv "USER"), hooks = kept.hooked(bundle.hooks), creating = true }
  ok, err = state:keep_config(bundle.text)
  if ok then ok, err = state:write(data) end
  if not ok then return nil, err end
  local start, executed = waiting.prepare(state)
  if not start then return nil, executed end

  local place
  if options.cgroups ~= false then
    place, err = cgroups.create(bundle.cgroup, function(directory)
      data.cgroup = directory
      return state:write(data)
    end)
    if not place and err then return nil, err end
  end
  if not place and bundle.container.namespaces.pid == "host" and options.warn then
    options.warn("without a cgroup and a pid namespace of its own nobody knows which processes are the container's: "
      .. "its first alone ends with kill and delete, and what it has started goes on")
  end
  local box = bundle.box
  box.description.plain = true -- with what cella's own keys do not say
  -- Who is started in there before the program, by `exec` or as a hook, could let it go by /proc/PID/fd.
  box.description.awaited = true
  -- The root of a user namespace is nobody on the host: directories there may not let him pass, as those where engines
  -- keep the files that they bind. The caller passes.
  local which = box.description.namespaces
  if which.user ~= "host" and which.mount == "new" then
    box.description.taken_by_caller = taken.can_be(bundle.rootfs)
  end
  if options.keyring == false then box.description.keyrings = "host" end
  local command = bundle.command
  local number = streams.FIRST + (options.preserve_fds or 0)
  streams.inherit(command, options.preserve_fds)
  command.fds[number], command.fds[number + 1] = start:number(), executed:number()
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
    local described, how = state:describe "creating", { doomed = state:dooms() }
    if good then good, problem = hooks.run("prestart", bundle.hooks.prestart, described, how) end
    if good then good, problem = hooks.run("createRuntime", bundle.hooks.createRuntime, described, how) end
    if good then return true end
    failure = problem
    return nil, tostring(problem)
  end
  if bundle.hooks.prestart[1] or bundle.hooks.createRuntime[1] then
    local has_maps = bundle.container.namespaces.user == "new"
    box.description.hooks = { [has_maps and "mapped" or "created"] = with_pid }
  end
  local function tell(child)
    -- Of what is behind a fork the number is known only now.
    data.pid = child:program()
    data.start, data.creating = states.start_time(data.pid), nil
    local good, problem = state:write(data)
    if good and bundle.joined then good, problem = check_maps(bundle.joined, data.pid) end
    if good then streams.give(command, bundle.container.user, data.pid) end
    if good and options.console_socket then good, problem = send_console(child, options.console_socket) end
    if good and options.pid_file then good, problem = pid_file.write(options.pid_file, data.pid) end
    if not good then return nil, Error.is(problem) and { message = tostring(problem), cause = problem } or problem end
    created = true
    return true
  end
  if #bundle.hooks.createContainer > 0 then
    box.description.before_pivot = function(child)
      local good, problem = run_inside(state, child:program(), bundle.hooks.createContainer)
      failure = failure or problem
      if good then return true end
      return nil, { message = tostring(problem), cause = problem }
    end
  end
  box.description.finish = function(plan) waiting.record(plan, command, number, tell) end
  local back
  back, err = cgroups.enter(place)
  if not back then return nil, err end
  local good, process, problem = raised_limits(box.description.rlimits, pcall, box.spawn, box, command)
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
    start:close()
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
return function(options)
  local ok, err = states.check_id(options.id)
  if not ok then return nil, err end
  -- Hooks find the bundle by what they are told.
  if not json.is_utf8(options.bundle) then
    return failed("bundle", options.bundle, "the path is no UTF-8: hooks and `state` could not be told it, as JSON")
  end
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
