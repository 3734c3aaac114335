--- From a container table to a plan.

local core = require "cella.core"
local Plan = require "cella.plan"
local Process = require "cella.process"
local host_facts = require "cella.host"
local mapping = require "cella.mapping"
local policy = require "cella.policy"
local root = require "cella.root"
local validate = require "cella.validate"

local rule = validate.rule

---@class cella.container
local Container = { __name = "cella.container" }
Container.__index = Container

local M = {}

-- New unless the table says otherwise, in the order of namespaces(7).
local NAMESPACES = { "user", "mount", "pid", "ipc", "uts", "net", "cgroup" }

local target = rule.record { pid = rule.integer(1, 2147483647), fd = rule.integer(0, 2147483647), path = rule.absolute }

-- "new", "host", a path, { pid = N }, { fd = N }
local function namespace(value, path)
  if value == "new" or value == "host" then return value end
  if type(value) == "string" then
    if value:sub(1, 1) ~= "/" then
      validate.fail(path, '"new", "host", a path, { pid = N } or { fd = N } expected, got %s', validate.show(value))
    end
    return { path = rule.absolute(value, path) }
  end
  local copy = target(value, path)
  if (copy.pid and 1 or 0) + (copy.fd and 1 or 0) + (copy.path and 1 or 0) ~= 1 then
    validate.fail(path, "exactly one of pid, fd and path expected")
  end
  return copy
end

local offsets = rule.record { monotonic = rule.integer(-9007199254740991, 9007199254740991),
  boottime = rule.integer(-9007199254740991, 9007199254740991) }

-- A time namespace may also be new with its clocks set forward or back, in seconds.
local function time_namespace(value, path)
  if type(value) == "table" and (value.monotonic or value.boottime) then return { offsets = offsets(value, path) } end
  return namespace(value, path)
end

local namespace_fields = { time = time_namespace }
for _, name in ipairs(NAMESPACES) do namespace_fields[name] = namespace end

local resources = { "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
  "rss", "rtprio", "rttime", "sigpending", "stack" }
local amount = rule.any('an integer from 0 to 2^53 or "unlimited"', rule.one_of { "unlimited" },
  rule.integer(0, 9007199254740992))
local soft_hard = rule.record({ soft = amount, hard = amount }, { "soft", "hard" })

local function as_number(limit)
  return limit == "unlimited" and math.huge or limit
end

-- A number for both, or { soft =, hard = }.
local function limit(value, path)
  if type(value) ~= "table" then
    local both = amount(value, path)
    return { soft = both, hard = both }
  end
  local copy = soft_hard(value, path)
  if as_number(copy.soft) > as_number(copy.hard) then
    validate.fail(validate.join(path, "soft"), "above the hard limit")
  end
  return copy
end

local function capability(value, path)
  if type(value) ~= "string" and type(value) ~= "number" then
    validate.fail(path, "the name of a capability expected, got %s", validate.show(value))
  end
  -- The core knows the names; a leading "-" or "all" is for plans.
  if type(value) == "string" and not value:find("^[%a][%w_]*$") or value == "all" or value == "none" then
    validate.fail(path, "unknown capability %s", validate.show(value))
  end
  local ok, message = pcall(core.sys.ambient_lower, { value, "-" .. value })
  if not ok then validate.fail(path, "%s", message:match("%(capabilities: (.*)%)$") or message) end
  return value
end

local user_rule = rule.record { uid = rule.id, gid = rule.id, groups = rule.list(rule.id) }

local function ids_rule(value, path)
  if type(value) == "function" then return value end
  if type(value) ~= "table" then
    validate.fail(path, "a policy, or { uid =, gid = } expected, got %s", validate.show(value))
  end
  return value
end

local function hostname(value, path)
  rule.line(value, path)
  if #value > 64 then validate.fail(path, "longer than 64 bytes (sethostname(2))") end
  return value
end

local command_fields = { cwd = rule.absolute, timeout = rule.seconds, capture_limit = Plan.spawn_fields.capture_limit }
for key, check in pairs(Plan.command_fields) do command_fields[key] = check end
local command_record = rule.record(command_fields, nil, rule.string)

local function command_rule(value, path)
  local command = command_record(value, path)
  if not command[1] then validate.fail(path, "the argument vector is empty") end
  if command[1] == "" then validate.fail(validate.join(path, 1), "the program's name is empty") end
  return command
end

local container_rule = rule.record {
  hostname = hostname,
  domainname = hostname,
  namespaces = rule.record(namespace_fields),
  ids = ids_rule,
  user = user_rule,
  root = root.root_rule,
  mounts = rule.list(root.mount_rule),
  capabilities = rule.any('a list of capabilities, or "all"', rule.one_of { "all" }, rule.list(capability)),
  no_new_privs = rule.boolean,
  new_session = rule.boolean,
  die_with_parent = rule.boolean,
  rlimits = rule.map(rule.one_of(resources), limit),
  environment = Plan.environment_rule,
  cwd = rule.absolute,
  command = command_rule,
}

--- Where the kind of a namespace decides about other keys, say so now.
local function check_together(box)
  local kinds = box.namespaces
  local function needs(key, kind)
    if box[key] ~= nil and kinds[kind] == "host" then
      error(("%s: needs a %s namespace of its own, and namespaces.%s is \"host\""):format(key, kind, kind), 0)
    end
  end
  needs("hostname", "uts")
  needs("domainname", "uts")
  for _, key in ipairs { "root", "mounts" } do
    if box[key] ~= nil and kinds.mount ~= "new" then
      error(key .. ": needs a new mount namespace: what is mounted would appear in the other one", 0)
    end
  end
  if box.ids ~= nil and kinds.user ~= "new" then
    error("ids: needs a new user namespace: the maps of another are written already", 0)
  end
end

--- Describes a container; nothing happens yet. Keys: hostname, domainname, namespaces, ids, user, root, mounts,
--- capabilities, no_new_privs, new_session, die_with_parent, rlimits, environment, cwd, command. See the manual
--- for each. Raises at an unknown key or a bad value, naming its path.
---@param description table
---@return cella.container
function M.new(description)
  local box = validate.check(container_rule, description, "", 2)
  box.namespaces = box.namespaces or {}
  for _, name in ipairs(NAMESPACES) do
    box.namespaces[name] = box.namespaces[name] or "new"
  end
  local ok, message = pcall(check_together, box)
  if not ok then error(message, 2) end
  if box.namespaces.mount == "new" then
    box.root = box.root or root.root_rule("/", "root")
    box.mounts = box.mounts or {}
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

-- The ID maps, from a policy or given; nil where there is no new user namespace.
local function resolve_ids(box, host)
  if box.namespaces.user ~= "new" then return nil end
  local ids = box.ids or policy.root()
  local decide = type(ids) == "function" and ids or function()
    local copy = {}
    for key, value in pairs(ids) do copy[key] = value end
    return copy
  end
  local result, err = policy.resolve(decide, host)
  if not result then return nil, err end
  return mapping.rule({
    uid = result.uid, gid = result.gid, setgroups = result.setgroups, via = result.via, helper = result.helper,
    newuidmap = host.newuidmap, newgidmap = host.newgidmap,
  }, "ids"), nil, result
end

-- Who the program is. Without a word about it: the caller, where the map has the caller; else the container's root;
-- else somebody has to say.
local function resolve_user(box, host, ids, keep_groups)
  local wanted = box.user or {}
  local function choose(kind, own)
    local key = kind .. "id"
    if wanted[key] then
      if ids and not ids[key]:outside(wanted[key]) then
        error(("user.%s: %d is not in the map\n%s"):format(key, wanted[key], tostring(ids[key])), 0)
      end
      return wanted[key]
    end
    if not ids then return own end
    local inside = ids[key]:inside(own)
    if inside then return inside end
    if ids[key]:outside(0) then return 0 end
    error(("user.%s: missing, and the map has neither you (%d) nor a root\n%s"):format(key, own, tostring(ids[key])), 0)
  end
  local user = { uid = choose("u", host.uid), gid = choose("g", host.gid), groups = wanted.groups }
  if keep_groups then
    if user.groups then error("user.groups: the policy of `ids` keeps the caller's", 0) end
  elseif ids and ids.setgroups == "deny" then
    if user.groups and #user.groups > 0 then
      error("user.groups: setgroups is denied in this user namespace, because the gid_map is written without "
        .. "CAP_SETGID (user_namespaces(7)); use a policy with subordinate IDs, or leave the groups away", 0)
    end
  else
    user.groups = user.groups or {}
    for i, gid in ipairs(user.groups) do
      if ids and not ids.gid:outside(gid) then
        error(("user.groups[%d]: %d is not in the map\n%s"):format(i, gid, tostring(ids.gid)), 0)
      end
    end
  end
  if ids and ids.setgroups == "deny" then user.groups = nil end
  return user
end

-- The IDs under which the container is built: those of its root, which own what is mounted.
local function record_builder(plan, host, ids)
  if not ids or ids.uid:inside(host.uid) and ids.gid:inside(host.gid) then return end
  local uid = ids.uid:outside(0) and 0 or ids.uid:extents()[1].inside
  local gid = ids.gid:outside(0) and 0 or ids.gid:extents()[1].inside
  -- Unmapped, a process is still its old self towards the host's files (pitfalls I06).
  plan:setresgid(gid, gid, gid)
  plan:setresuid(uid, uid, uid)
end

-- Gives up privileges; the order is that of pitfalls I02 and I05. Everything is read back before exec.
local function record_privileges(plan, box, user)
  local keep = box.capabilities or {}
  if #keep == 0 then keep = "none" end
  local dropped = { "all" }
  if keep == "all" then
    dropped = "none"
  elseif keep ~= "none" then
    for _, name in ipairs(keep) do dropped[#dropped + 1] = "-" .. name end
  end
  -- Or leaving uid 0 would empty the sets that the next steps need.
  plan:securebits { "no_setuid_fixup" }
  if user.groups then plan:setgroups(user.groups) end
  plan:setresgid(user.gid, user.gid, user.gid)
  plan:setresuid(user.uid, user.uid, user.uid)
  plan:ambient_clear()
  plan:capbset_drop(dropped)
  plan:securebits {}
  plan:capset(keep, keep, keep)
  if keep ~= "none" then plan:ambient_raise(keep) end
  if box.no_new_privs ~= false then plan:no_new_privs() end
  if box.die_with_parent then
    plan:pdeathsig("kill") -- after the ID switch, which erases it
    plan:expect_parent()
  end
  plan:expect_ids(user.uid, user.gid)
  if user.groups then plan:expect_groups(user.groups) end
  plan:expect_capabilities(keep, keep, keep, keep, keep)
  plan:expect_securebits {}
  plan:expect_no_new_privs(box.no_new_privs ~= false)
end

-- Nothing of the caller's, but what terminal it sits at.
local function default_environment()
  return { PATH = Plan.PATH, TERM = os.getenv "TERM" }
end

local function sorted(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function build(box, command, host)
  local ids, err, decided = resolve_ids(box, host)
  if err then return nil, err end
  local user = resolve_user(box, host, ids, decided and decided.keep_groups)
  local new, join, time_offsets = sort_namespaces(box.namespaces)
  local plan = Plan.new { namespaces = new, join = join, ids = ids }

  record_builder(plan, host, ids)
  plan:umask(18) -- 022: the caller's is the caller's business, and must not decide what is made in the root
  if time_offsets then
    -- The namespace takes offsets while nobody is in it; then this process enters.
    plan:unshare("time")
    for _, clock in ipairs(sorted(time_offsets)) do
      plan:write_file("/proc/self/timens_offsets", ("%s %d 0"):format(clock, time_offsets[clock]))
    end
    local slot = plan:openat2("/proc/self/ns/time_for_children", "rdonly")
    plan:setns(slot, "time")
    plan:close(slot)
  end
  if box.hostname then plan:sethostname(box.hostname) end
  if box.domainname then plan:setdomainname(box.domainname) end
  if box.namespaces.net == "new" then plan:link_up("lo") end
  if box.new_session ~= false then plan:setsid() end
  if box.root then
    root.record(plan, box.root, box.mounts, function(gid)
      return not ids or ids.gid:outside(gid) ~= nil
    end)
  end
  plan:chdir(command.cwd or box.cwd or "/")
  plan:expect_cwd()
  for _, resource in ipairs(sorted(box.rlimits or {})) do
    plan:setrlimit(resource, box.rlimits[resource].soft, box.rlimits[resource].hard)
  end
  record_privileges(plan, box, user)
  local environment = command.environment or box.environment
  local arguments = { environment = environment or default_environment() }
  for key, value in pairs(command) do
    if Plan.command_fields[key] and key ~= "environment" or type(key) == "number" then arguments[key] = value end
  end
  plan:exec(arguments)
  plan.host = host
  plan.ids = ids
  plan.policy = decided
  return plan
end

local function checked_command(self, command, level)
  if command == nil then
    command = self.description.command
    if not command then
      error("command: missing: give one, or the key `command` of the container", level + 1)
    end
    return command
  end
  return validate.check(command_rule, command, "command", level + 1)
end

local function make_plan(self, command, level)
  local ok, plan, err = pcall(build, self.description, command, host_facts.facts())
  if not ok then error(plan, type(plan) == "string" and not plan:find("^[^\n]*%.lua:%d+:") and level + 1 or 0) end
  return plan, err
end

--- The steps that would start `command` in this container, on this host, as this user. Nothing happens.
---@param command table?  { "program", "arg", ..., stdin =, stdout =, stderr =, fds =, environment =, cwd = };
---  the container's own if nil
---@return cella.plan?, cella.error?  nil where the policy finds no map on this host
function Container:plan(command)
  return make_plan(self, checked_command(self, command, 2), 2)
end

--- Starts `command`. Returns once it has been executed, or nil and what failed.
---@param command table?  as for plan, and timeout (seconds), capture_limit (bytes)
---@return cella.process?, cella.error?
function Container:spawn(command)
  command = checked_command(self, command, 2)
  local plan, err = make_plan(self, command, 2)
  if not plan then return nil, err end
  return plan:spawn { timeout = command.timeout, capture_limit = command.capture_limit }
end

--- Starts `command` and waits for its end.
---@param command table?  as for spawn
---@return cella.result?, cella.error?
function Container:run(command)
  command = checked_command(self, command, 2)
  local plan, err = make_plan(self, command, 2)
  if not plan then return nil, err end
  return plan:run { timeout = command.timeout, capture_limit = command.capture_limit }
end

function Container:__tostring()
  local new = {}
  for _, name in ipairs(NAMESPACES) do
    if self.description.namespaces[name] == "new" then new[#new + 1] = name end
  end
  return ("%s (%s; new: %s)"):format(Container.__name, self.description.root and self.description.root.path
    or "no root", table.concat(new, " "))
end

M.CAPTURE_LIMIT = Process.CAPTURE_LIMIT

return M
