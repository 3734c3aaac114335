--- From a container table to a plan.

local lazy = require "cella.lazy"
local blame = require "cella.blame"
local Error = require "cella.error"
local Plan = require "cella.plan"
local call = require "cella.call"
---@module "cella.caps.read"
local caps_read = lazy "cella.caps.read"
---@module "cella.caps.walk"
local caps_walk = lazy "cella.caps.walk"
local capabilities = require "cella.caps.set"
---@module "cella.caps.five"
local five = lazy "cella.caps.five"
local command_module = require "cella.command"
local compiled = require "cella.container.compiled"
local confined_by = require "cella.container.confined"
local confinement = require "cella.confinement"
local core = require "cella.core"
---@module "cella.denied"
local denied = lazy "cella.denied"
local description = require "cella.container.description"
local device = require "cella.root.device"
local filter = require "cella.filter"
local held = require "cella.plan.held"
local host_facts = require "cella.host"
local identity = require "cella.container.identity"
local interpreter = require "cella.interpreter"
local lists = require "cella.list"
---@module "cella.network.start"
local network = lazy "cella.network.start"
---@module "cella.oci.export.config"
local oci_config = lazy "cella.oci.export.config"
local open = require "cella.open"
local own = require "cella.root.own"
local owner = require "cella.container.owner"
local policy = require "cella.policy"
local printable = require "cella.printable"
local process_limits = require "cella.process.limits"
local root = require "cella.root"
local spawn = require "cella.plan.spawn"
---@module "cella.sysctl"
local sysctl = lazy "cella.sysctl"
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

-- The new and the joined ones, in the form that a plan takes.
local function sort_namespaces(kinds)
  local new, join = {}, {}
  for _, name in ipairs(NAMESPACES) do
    local kind = kinds[name]
    if kind == "new" then
      new[#new + 1] = name
    elseif type(kind) == "table" then
      join[#join + 1] = { type = name, path = kind.path, pid = kind.pid, fd = kind.fd }
    end
  end
  local time = kinds.time
  if time == "new" or type(time) == "table" and time.offsets then
    return new, join, type(time) == "table" and time.offsets or {}
  elseif type(time) == "table" then
    join[#join + 1] = { type = "time", path = time.path, pid = time.pid, fd = time.fd }
  end
  return new, join, nil
end

-- Seconds and nanoseconds, as time_namespaces(7) takes them: the latter are added, also to what is negative.
local function clock_offset(clock, seconds)
  local whole = math.floor(seconds)
  local nanoseconds = math.floor((seconds - whole) * 1e9 + 0.5)
  if nanoseconds == 1e9 then whole, nanoseconds = whole + 1, 0 end
  return ("%s %.0f %.0f"):format(clock, whole, nanoseconds)
end

-- Of the user namespace among those that are joined, where they are known.
local function maps_of_joined(joins)
  for _, one in ipairs(joins) do
    if one.type == "user" then return held.maps(one) end
  end
  return nil
end

-- The kernel stops a process that computes for too long even where nobody is looking.
local function with_backstop(limits, cpu_limit)
  if not cpu_limit then return limits end
  local copy = {}
  for resource, limit in pairs(limits) do copy[resource] = limit end
  local soft, hard = core.sys.getrlimit "cpu"
  if copy.cpu then soft, hard = copy.cpu.soft, copy.cpu.hard end
  soft, hard = process_limits.backstop(cpu_limit, soft, hard)
  copy.cpu = { soft = soft, hard = hard }
  return copy
end

-- Whether the program will hold what the plan asks for, and no step is refused.
local function check_capabilities(plan, host)
  local mine, err = caps_read.own(host)
  if not mine then return nil, err end
  return caps_walk.check_from(mine, plan, { kernel = caps_read.kernel() })
end

-- Whether anything is named as it is seen from the caller's working directory.
local function names_relative(box)
  local function is_relative(path) return type(path) == "string" and path:sub(1, 1) ~= "/" end
  if is_relative(box.root.source) then return true end
  for _, list in ipairs { box.root, box.mounts } do
    for _, mount in ipairs(list) do
      if is_relative(mount.source) or is_relative(mount.work) then return true end
      if is_relative(mount.upper) and mount.upper ~= "tmpfs" then return true end
      for _, path in ipairs(mount.lower or {}) do
        if is_relative(path) then return true end
      end
    end
  end
  return false
end

-- The plan up to what depends on the command.
local function begin(box, cwd, host)
  local new, join, time_offsets = sort_namespaces(box.namespaces)
  -- From here on what is joined is what it is now.
  join = held.hold(join)
  local joined_maps, err = maps_of_joined(join)
  if err then return nil, err end
  local who
  who, err = identity.resolve(box, host, joined_maps)
  if not who then return nil, err end
  if not capabilities.is(box.capabilities) then
    five.check(box.capabilities, who.user.uid, box.no_new_privs ~= false)
  end
  local usable
  usable, err = device.check(box.devices, host)
  if usable then usable, err = owner.check(box, who.maps, host) end
  if not usable then return nil, err end
  if box.namespaces.user == "host" and #new > 0 and not host.capabilities.sys_admin then
    return nil, Error.new {
      op = "clone3", errno = 1,
      why = ("a new %s namespace needs CAP_SYS_ADMIN, which this process does not have; a container with a user "
        .. "namespace of its own has it in there"):format(new[1]),
    }
  end
  local prepared
  if box.network then
    prepared, err = network.prepare(box, host)
    if not prepared then return nil, err end
  end
  local layers
  layers, err = confined_by.landlock(box)
  if not layers then return nil, err end
  local hooks, confined = box.hooks, confined_by.of(box, who.user, host, layers)
  local options = { namespaces = new, join = #join > 0 and join or nil, ids = who.ids, groups = who.groups_before,
    created = hooks.created }
  if #join == 0 and not who.groups_before and lists.contains(new, "net") then
    -- It takes the kernel longer than all others together: the child makes it, while the caller goes on.
    options.namespaces, options.unshare = lists.without(new, "net"), { "net" }
  end
  confinement.record(options, "birth", confined)
  local plan = Plan.new(options, host)
  if hooks.mapped then plan:await(hooks.mapped, "hooks.mapped") end

  if time_offsets then
    -- The namespace takes offsets while nobody is in it; then this process enters. Before the IDs are switched: after
    -- that its own files in /proc are root's.
    plan:unshare("time")
    for _, clock in ipairs(lists.sorted_keys(time_offsets)) do
      plan:write_file("/proc/self/timens_offsets", clock_offset(clock, time_offsets[clock]))
    end
    local slot = plan:openat2("/proc/self/ns/time_for_children", "rdonly")
    plan:setns(slot, "time")
    plan:close(slot)
  end
  identity.record_builder(plan, host, who)
  -- The mounts are made in the mount namespace of another user namespace, of which the container has a copy in the end.
  if box.lock_mounts then plan:unshare_mounts_below(names_relative(box) or nil) end
  confinement.record(plan, "files", confined)
  if box.sysctl then sysctl.record(plan, box.sysctl) end
  if not description.has_user_namespaces(box) and not who.user.unmapped then
    plan:write_file("/proc/sys/user/max_user_namespaces", "0"):expect_no_user_namespaces()
  end
  if box.hostname then plan:sethostname(box.hostname) end
  if box.domainname then plan:setdomainname(box.domainname) end
  if box.namespaces.net == "new" then plan:link_up("lo") end
  if prepared then network.record(plan, box, prepared, who.ids, host) end
  if box.root then
    plan.box = own.complete(box, host, prepared and prepared.mounts)
    root.record(plan, plan.box, {
      maps = who.maps, unknown_maps = who.unknown_maps, host = host, obeyed = identity.is_obeyed(who, host),
      lock = box.lock_mounts, before_pivot = box.before_pivot, taken_by_caller = box.taken_by_caller,
      unprivileged = who.ids ~= nil or who.unknown_maps or who.maps ~= nil,
      maps_group = function(gid)
        if who.maps then return who.maps.gid:outside(gid) ~= nil end
        return not who.unknown_maps and host.gid_map:covers(gid)
      end,
    })
  end
  confinement.record(plan, "limits", confined)
  confinement.record(plan, "privileges", confined)
  device.expect(plan, box.devices, host)
  plan.hides_interpreter = interpreter.is_exposed(who.maps, host)
  plan.guards_null = identity.is_obeyed(who, host) and host.capabilities.sys_admin
  confinement.record(plan, "memory", confined)
  plan:chdir(cwd) -- as who the program is: never where it could not go itself
  plan:expect_cwd()
  if box.init then plan:init(box.die_with_parent == false, filter.label(plan, confined.keys.which == "none")) end
  confinement.record(plan, "program", confined)
  if box.new_session ~= false then plan:setsid() end -- of the program: an init belongs to none
  plan.pipe_owner = identity.pipe_owner(who, host)
  plan.outlives_caller = box.die_with_parent == false
  plan.id_maps = who.maps
  plan.policy = who.policy
  if time_offsets then new[#new + 1] = "time" end
  plan.confinement = { namespaces = new, landlock = layers[1], seccomp = confined.seccomp.filter, choice = box.choice }
  return plan
end

local function record_command(plan, box, command)
  local refused = filter.refuses_start(box.seccomp, call.is(command))
  if refused then blame("seccomp: " .. refused) end
  refused = box.landlock and box.landlock:refuses_start(call.is(command))
  if refused then blame("landlock: " .. refused) end
  if command.denied then
    if call.is(command) then blame "command.denied: a program expected: what a function is denied nobody can tell" end
    if plan.is_filtered then
      blame(plan.is_filtered == "init" and "command.denied: with sys_ptrace the container's init is under the filter "
        .. "too, and nobody would answer its calls; see `init = false`"
        or "command.denied: without no_new_privs the kernel takes its filter only of who has sys_admin (seccomp(2))")
    end
    local nofile = box.rlimits and box.rlimits.nofile and box.rlimits.nofile.soft
    plan.filter = denied.filter(filter.policy(plan.filter), command.denied, { layers = plan.landlock,
      nofile = nofile ~= "unlimited" and nofile or nil })
  end
  command_module.record(plan, command_module.for_plan(command, box.environment, "/tmp",
    with_backstop(box.rlimits or {}, command.cpu_limit)), box)
end

local function build(box, command, host)
  command_module.check_terminal(command, box)
  local plan, err, kept = compiled.take(box, command.cwd or box.cwd or "/", host, begin)
  if not plan then return nil, err end
  plan.host = host
  record_command(plan, box, command)
  -- Whoever asks for capabilities, or gives them up without a namespace of its own, learns here what cannot hold.
  if (not box.capabilities:empty() or box.namespaces.user == "host") and not kept.holds then
    local ok
    ok, err = check_capabilities(plan, host)
    if not ok then
      if box.namespaces.user == "host" and err.code == "EPERM" then
        err.why = (err.why or "") .. "; a container with a user namespace of its own has it in there"
      end
      return nil, err
    end
    kept.holds = not call.is(command) -- whatever program is executed, the steps before it are the same
  end
  return plan
end

Container.build = build

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
  local plan, err, kept = compiled.take(box, box.cwd or "/", host, begin)
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
  record_command(plan, self.description, command)
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
