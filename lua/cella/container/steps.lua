--- From a container's table to a plan: which steps, in which order.

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
local identity = require "cella.container.identity"
local interpreter = require "cella.interpreter"
local lists = require "cella.list"
---@module "cella.network.start"
local network = lazy "cella.network.start"
local own = require "cella.root.own"
local owner = require "cella.container.owner"
local process_limits = require "cella.process.limits"
local root = require "cella.root"
---@module "cella.sysctl"
local sysctl = lazy "cella.sysctl"

local M = {}

local NAMESPACES = description.NAMESPACES

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
local function record(box, cwd, host)
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

--- The plan up to what depends on the command, which is kept for the next start.
---@param box table  checked
---@param cwd string
---@param host cella.Host
---@return cella.plan?, cella.error?, cella.container.compiled?
function M.begin(box, cwd, host) return compiled.take(box, cwd, host, record) end

--- What a command adds to that.
---@param plan cella.plan
---@param box table      checked
---@param command table  checked
function M.add_command(plan, box, command)
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

--- All of it. Nil and an error where something cannot hold on this host.
---@param box table      checked
---@param command table  checked
---@param host cella.Host
---@return cella.plan?, cella.error?
function M.build(box, command, host)
  command_module.check_terminal(command, box)
  local plan, err, kept = M.begin(box, command.cwd or box.cwd or "/", host)
  if not plan then return nil, err end
  plan.host = host
  M.add_command(plan, box, command)
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

return M
