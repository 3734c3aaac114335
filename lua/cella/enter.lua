--- Entering: a program in the namespaces of a process that runs, confined as that process is.
---
---     local web = assert(cella.enter { pid = 4242 })
---     print(web:plan { "/bin/sh" })                --> every step, before anything happens
---     local result = assert(web:run { "id", stdout = "capture" })
---
--- IDs, groups, capabilities, no_new_privs, limits, cgroups, root and working directory are those that the process has
--- when the plan is made. What the table says instead is no more than the process has, unless it says `exceed`.

local blame = require "cella.blame"
local called = require "cella.call"
local capabilities = require "cella.caps.set"
local core = require "cella.core"
local Error = require "cella.error"
local Plan = require "cella.plan"
local cgroups = require "cella.enter.cgroups"
local command_module = require "cella.command"
local confinement = require "cella.confinement"
local container = require "cella.container"
local filter = require "cella.filter"
local container_identity = require "cella.container.identity"
local identity = require "cella.enter.identity"
local interpreter = require "cella.interpreter"
local join = require "cella.plan.join"
local kinds = require "cella.kinds"
local mountinfo = require "cella.mountinfo"
local lists = require "cella.list"
local lazy = require "cella.lazy"
local render = require "cella.plan.render"
---@module "cella.landlock"
local landlock = lazy "cella.landlock"
local targets = require "cella.enter.target"
local validate = require "cella.validate"

local rule = validate.rule
local EPERM = 1

---@class cella.entrance
local Entrance = { __name = "cella.entrance" }
Entrance.__index = Entrance
for name, method in pairs(container.methods) do Entrance[name] = method end

local M = {}

local function process_handle(value, path)
  local class = type(value) == "table" and getmetatable(value)
  if not class or class.__name ~= "cella.process" then
    validate.fail(path, "a process that cella has started expected, got %s", validate.show(value))
  end
  return value
end

local user_fields = rule.record { uid = rule.id, gid = rule.id, groups = rule.list(rule.id),
  namespace = rule.one_of { "host" } }

local function user_rule(value, path)
  if value == "host" then return { namespace = "host" } end
  if type(value) ~= "table" then
    validate.fail(path, '{ uid =, gid =, groups = } or "host" expected, got %s', validate.show(value))
  end
  return user_fields(value, path)
end

local options_rule = rule.record(confinement.add_rules({
  pid = rule.integer(1, 2147483647),
  process = process_handle,
  namespaces = rule.list(rule.one_of(kinds.list)),
  user = user_rule,
  exceed = rule.list(rule.one_of { "capabilities", "no_new_privs", "seccomp", "landlock", "cgroup",
    "interpreter" }),
  cwd = rule.absolute,
  environment = command_module.environment_rule,
  new_session = rule.boolean,
  copy = rule.boolean,
  command = command_module.container_rule,
}, "enter"))

--- Takes hold of a process to enter; nothing else happens yet. Keys: `pid` or `process` (which); `namespaces` (of these
--- kinds only: by default all that are not this process's own); `user` { uid, gid, groups } as IDs there, or "host" or
--- { namespace = "host", ... }: the caller's, as IDs of the caller's user namespace; `capabilities`, `no_new_privs`,
--- `cwd`, `environment`, `new_session`, `command` as of a container, by default what the process has; `keyrings` as of
--- a container; `seccomp`: a policy as of a container, by default that of `process`; `landlock`: rules besides those of
--- `process`, which it has too; `die_with_parent` (default true); `copy`: functions may be run there, in a copy of our
--- memory; `exceed`: in what it may have more than the process: "capabilities", "no_new_privs", "seccomp", "landlock",
--- "cgroup"; or get hold of the caller's "interpreter". Raises at an unknown key or a bad value; nil and an error where
--- there is no such process (ESRCH).
---@param options cella.enter.keys
---@return cella.entrance?, cella.error?
function M.new(options)
  if type(options) == "number" then blame(("a table expected, { pid = %.0f }, got %s"):format(options, options)) end
  options = validate.check(options_rule, options, "")
  if (options.pid == nil) == (options.process == nil) then blame("exactly one of pid and process expected") end
  local target, err
  if options.pid then target, err = targets.hold(options.pid) else target, err = targets.of(options.process) end
  if not target then return nil, err end
  -- The description is what the methods of containers hand to `build`, and what they look into for the rest.
  options.target, options.hooks = target, {}
  return setmetatable({ description = options, pid = target.pid }, Entrance)
end

-- The wanted ones that are not our own: one's own user namespace cannot be joined (setns(2)).
local function differing(facts, own, wanted)
  local list = {}
  for _, kind in ipairs(kinds.list) do
    if facts.namespaces[kind] ~= own.namespaces[kind] and (not wanted or lists.contains(wanted, kind)) then
      list[#list + 1] = kind
    end
  end
  return list
end

-- An O_PATH descriptor of what a link in /proc/PID leads to, opened when the plan is performed, which holds the process
-- until then.
local function opened(target, link)
  local path = ("/proc/%d/%s"):format(target.pid, link)
  return render.call("open", { "path", path }, { "flags", { "path", "directory" } }), function()
    if not target.pidfd:number() then return nil, "the entrance was closed" end
    return core.open(target:path(link), { "path", "directory" })
  end
end

local function mount_of(path)
  local fd = core.open(path, { "path", "directory" })
  local id = fd and mountinfo.id_at(fd:number())
  if fd then fd:close() end
  return id
end

-- Whether its root directory is ours, as the same mount.
local function shares_root(target)
  local same = core.same_file(target:path "root", "/")
  local id = mount_of "/"
  return same and id ~= nil and id == mount_of(target:path "root")
end

local function record_root(plan, target)
  local root = plan:input(opened(target, "root"))
  plan:fchdir(root)
  plan:chroot(".")
  plan:expect_root(root)
  plan:close(root)
end

-- As who the program is: never where it could not go itself.
local function record_cwd(plan, target, cwd, shares_mounts)
  if cwd then
    plan:chdir(cwd)
  elseif shares_mounts then
    local slot = plan:input(opened(target, "cwd"))
    plan:fchdir(slot)
    plan:close(slot)
  end
  -- Also where nothing was said: a descriptor of the host's is a way out (CVE-2024-21626).
  if cwd or shares_mounts then plan:expect_cwd() end
end

-- The kernel is asked in its own words where the namespaces are to be entered have no /proc.
local function record_expected(plan, facts, joined)
  local proc = plan:input(render.call("open", { "path", "/proc" }, { "flags", { "path", "directory" } }), function()
    return core.open("/proc", { "path", "directory" })
  end)
  for _, kind in ipairs(joined) do
    local link = kind == "pid" and plan.forks_last and "pid_for_children" or kinds.link(kind)
    plan:expect_namespace("self/ns/" .. link, facts.namespaces[kind], true, proc)
  end
  plan:close(proc)
end

-- Why the policy that who enters is under cannot be, or nil.
local function check_policy(who, is_function)
  if not who.filter then return nil end
  local why = filter.refuses_start(who.filter.policy, is_function)
  if not why and not who.no_new_privs and not who.sets.effective:has "sys_admin" then
    why = "without no_new_privs the kernel takes a filter only of who has sys_admin (seccomp(2))"
  end
  return why and Error.new { op = "seccomp", message = "the filter cannot be put on what enters", why = why }
end

-- The rules of Landlock that it is under: those of the process, where they are known, and its own. nil and an error
-- where that cannot be.
local function landlock_of(options, given, who, is_function)
  local layers = {}
  if given and not identity.consented(options, "landlock") then
    if options.landlock == false then
      return nil, Error.new { op = "enter", message = "landlock: false, and the process is under rules",
        why = "what enters would reach what it cannot; exceed = { \"landlock\" } allows it" }
    end
    for i, held in ipairs(given) do layers[i] = held end
  end
  if options.landlock then
    local refused = options.landlock:refuses_start(is_function)
    if refused then blame("landlock: " .. refused) end
    local held, err = landlock.held(options.landlock)
    local policy = filter.policy(who.filter)
    if held and landlock.is_about_tcp(held) and not (policy and policy:closes_tcp()) then
      held, err = landlock.without_filter(held)
    end
    if not held then return nil, err end
    layers[#layers + 1] = held
  end
  if #layers > 0 and not who.no_new_privs and not who.sets.effective:has "sys_admin" then
    return nil, Error.new { op = "landlock", message = "the rules cannot be put on what enters",
      why = "without no_new_privs the kernel takes them only of who has sys_admin (landlock_restrict_self(2))" }
  end
  return layers
end

-- An ordinary user in his own user namespace may change less of himself: his bounding set and securebits stay, of which
-- nothing can be gained under no_new_privs. The set, where that is so; nil and an error, where it is not that of the
-- process, and counts.
local function kept_bounding(target, who, joins_user, options, host)
  if joins_user or host.capabilities.setpcap or options.capabilities and not capabilities.is(options.capabilities) then
    return false
  end
  local own = capabilities.mask(lists.sorted_keys(host.bounding))
  if who.no_new_privs or own == who.sets.bounding and #(host.securebits or { "?" }) == 0 then return own end
  return nil, Error.new { op = "enter", errno = EPERM,
    message = ("the bounding set of process %d cannot be taken on"):format(target.pid),
    why = "in this process's own user namespace that needs CAP_SETPCAP, which it does not have; with "
      .. "`no_new_privs = true` nothing can be gained of what is in that set" }
end

-- What it is confined by: what the process is, as far as `who` has not narrowed that down. `keeps_bounding`: that set
-- stays as it is, and the securebits.
local function confinement_of(options, facts, own, who, moves, host, layers, first, keeps_bounding)
  return confinement.complete {
    cgroups = { moves = #moves > 0 and function(process) return cgroups.move(process.pid, moves) end or nil },
    umask = { first = facts.umask, program = options.umask },
    oom_score_adj = options.oom_score_adj,
    nice = options.nice,
    limits = { theirs = facts.limits, ours = own.limits },
    groups = { list = who.user.groups, sets = who.user.sets_groups },
    ids = who.user,
    undumpable = true,
    capabilities = who.sets,
    securebits = not keeps_bounding and {},
    no_new_privs = who.no_new_privs,
    keys = { which = options.keyrings or "none", when = who.no_new_privs and "program" or "privileged" },
    init = {},
    tie = options.die_with_parent ~= false and "last",
    memory = { are_default = host.memory_defaults },
    landlock = layers,
    seccomp = { filter = who.filter or false, when = first and "privileged" or "program" },
  }
end

--- The plan up to the program: for who has more to do in there before that.
---@param options table  entrance.description
---@param cwd string?
---@param host cella.Host
---@param is_function boolean?  what runs in the end
---@return cella.plan?, cella.error?
function M.prepare(options, cwd, host, is_function)
  local target = options.target
  local facts, err = target:facts(confinement.read)
  if not facts then return nil, err end
  local own
  own, err = targets.own(confinement.read)
  if not own then return nil, err end
  local joined = differing(facts, own, options.namespaces)
  local same_user = facts.namespaces.user == own.namespaces.user
  local joins_user = lists.contains(joined, "user")
  local who
  who, err = identity.resolve(facts, { pid = target.pid, maps = joins_user and facts.maps or nil,
    foreign = not same_user and not joins_user, filters = own.seccomp,
    filtered = target:filters_given(own.seccomp) }, options, host)
  if not who then return nil, err end
  local first = who.filter and not who.no_new_privs and not who.sets.effective:has "sys_admin"
    and filter.may_be_first(who.filter.policy)
  err = not first and check_policy(who, is_function)
  if err then return nil, err end
  if first then who.filter = filter.handing_on(who.filter) end
  local layers
  layers, err = landlock_of(options, target.landlock, who, is_function)
  if not layers then return nil, err end
  local moves = {}
  if not identity.consented(options, "cgroup") then
    moves, err = cgroups.differing(facts.cgroups, own.cgroups)
    if not moves then return nil, err end
  end

  local bounding
  bounding, err = kept_bounding(target, who, joins_user, options, host)
  if bounding == nil then return nil, err end
  if bounding then who.sets.bounding, who.sets.keeps_bounding = bounding, true end

  local confined = confinement_of(options, facts, own, who, moves, host, layers, first or false, bounding)
  -- Into its cgroups first: what they limit is limited from the first step inside.
  local plan_options = {}
  confinement.record(plan_options, "birth", confined)
  local plan = Plan.new(plan_options)
  local enters_mount = lists.contains(joined, "mount")
  local shares_mounts = enters_mount or facts.namespaces.mount == own.namespaces.mount
  local enters_root = enters_mount or shares_mounts and not shares_root(target)
  plan.hides_interpreter = enters_root and not identity.consented(options, "interpreter")
    and interpreter.is_exposed(joins_user and facts.maps or nil, host)
  if who.groups_before then plan:setgroups(who.groups_before):expect_groups(who.groups_before) end
  local joins = {}
  for i, kind in ipairs(joined) do joins[i] = { type = kind, pidfd = target.pidfd } end
  -- In the pid namespace those who live there could trace it or send it signals: nothing is left to do there but to
  -- execute the program. A function, which is a copy of this process, is brought in only by who allows that.
  join.record(plan, joins, {}, not is_function)
  plan:dumpable(false) -- entering a user namespace makes new credentials: fs.suid_dumpable decides what they are
  record_expected(plan, facts, joined)
  if enters_root then record_root(plan, target) end
  for _, moment in ipairs { "files", "limits", "privileges", "memory", "program" } do
    confinement.record(plan, moment, confined)
  end
  record_cwd(plan, target, cwd or options.cwd, shares_mounts)
  -- What is not handed on by a fork, or would refuse it.
  local function finish(slave)
    if plan.forks_last then plan:fork() end
    confinement.record(plan, "last", confined)
    if options.new_session ~= false then plan:setsid() end
    if slave then plan:setctty(slave):close(slave) end
    confinement.record(plan, "tie", confined)
  end
  if is_function then finish() else plan.finish = finish end
  plan.host, plan.entered = host, target.pid
  plan.outlives_caller = options.die_with_parent == false
  plan.guards_null = host.capabilities.sys_admin
    and container_identity.is_obeyed({ maps = joins_user and facts.maps or nil }, host)
  plan.id_maps = joins_user and { uid = facts.maps.uid, gid = facts.maps.gid, setgroups = facts.setgroups } or nil
  return plan
end

function Entrance.build(options, command, host)
  if not options.target.pidfd:number() then blame("the entrance is closed") end
  if called.is(command) and not options.copy then
    return nil, Error.new {
      op = "call", message = "a function is not brought in where others live, unless that is said",
      why = "it runs in a copy of this process, and the copy is all of its memory: not dumpable, but who has "
        .. "CAP_SYS_PTRACE in that user namespace reads and changes it. If it may be read there: `copy = true`",
    }
  end
  local plan, err = M.prepare(options, command.cwd, host, called.is(command))
  if not plan then return nil, err end
  if plan.hides_interpreter and called.is(command) then
    return nil, Error.new {
      op = "call", message = "a function needs the interpreter, which is not brought in there",
      why = "somebody in the container may own its file, and could write to it later: where they are to be trusted, "
        .. "say `exceed = { \"interpreter\" }`",
    }
  end
  if command.denied then
    blame "command.denied: what enters is told nobody of: it is for programs that a container is made for"
  end
  return command_module.record(plan, command_module.for_plan(command, options.environment, nil, options.rlimits),
    options)
end

--- Lets go of the process. What has been started in there runs on.
function Entrance:close()
  self.description.target:close()
end

Entrance.__close = Entrance.close

function Entrance:__tostring()
  local wanted = self.description.namespaces
  return ("%s (pid %d; %s)"):format(Entrance.__name, self.pid,
    wanted and table.concat(wanted, " ") or "all its namespaces")
end

return M
