--- What a container table may say: its keys, their types and ranges, and what they are where nothing is said.

local lazy = require "cella.lazy"
local blame = require "cella.blame"
local capabilities = require "cella.caps.set"
---@module "cella.caps.five"
local five = lazy "cella.caps.five"
local command = require "cella.command"
local confinement = require "cella.confinement"
local filter = require "cella.filter"
local lists = require "cella.list"
local mapping = require "cella.mapping"
local root = require "cella.root.description"
---@module "cella.network"
local networks = lazy "cella.network"
---@module "cella.sysctl"
local sysctl = lazy "cella.sysctl"
local validate = require "cella.validate"

local rule = validate.rule
local M = {}

-- New unless the table says otherwise, in the order of namespaces(7).
local NAMESPACES = { "user", "mount", "pid", "ipc", "uts", "net", "cgroup" }

local target = rule.record { pid = rule.integer(1, 2147483647), fd = rule.integer(0, 2147483647), path = rule.absolute }

-- "new", "host", a path, { pid = N }, { fd = N }
local function namespace(value, path)
  if value == "new" or value == "host" then return value end
  if type(value) == "string" and value:sub(1, 1) == "/" then return { path = rule.absolute(value, path) } end
  if type(value) ~= "table" then
    validate.fail(path, '"new", "host", a path, { pid = N } or { fd = N } expected, got %s', validate.show(value))
  end
  local copy = target(value, path)
  if (copy.pid and 1 or 0) + (copy.fd and 1 or 0) + (copy.path and 1 or 0) ~= 1 then
    validate.fail(path, "exactly one of pid, fd and path expected")
  end
  return copy
end

local MOST_SECONDS = 9007199254740991

local function seconds(value, path)
  if type(value) ~= "number" or value ~= value or value < -MOST_SECONDS or value > MOST_SECONDS then
    validate.fail(path, "seconds from %.0f to %.0f expected, got %s", -MOST_SECONDS, MOST_SECONDS,
      validate.show(value))
  end
  return value
end

local offsets = rule.record { monotonic = seconds, boottime = seconds }

-- A time namespace may also be new with its clocks set forward or back, in seconds.
local function time_namespace(value, path)
  if type(value) == "table" and (rawget(value, "monotonic") or rawget(value, "boottime")) then
    return { offsets = offsets(value, path) }
  end
  return namespace(value, path)
end

local namespace_fields = { time = time_namespace }
for _, name in ipairs(NAMESPACES) do namespace_fields[name] = namespace end

local namespaces_record = rule.record(namespace_fields, nil, nil, "namespaces")

-- "host" is none of its own.
local function namespaces_rule(value, path)
  if type(value) == "table" then return namespaces_record(value, path) end
  if value ~= "host" then
    validate.fail(path, 'a table, { net = "host" }, or "host" expected, got %s', validate.show(value))
  end
  local all = {}
  for _, name in ipairs(NAMESPACES) do all[name] = "host" end
  return all
end

-- Names are in a file that is the container's business.
local function id(value, path)
  if type(value) == "string" and value:find "^[a-z_]" then
    validate.fail(path, "a number expected, as `id -u NAME` or `id -g NAME` prints it, got %s", validate.show(value))
  end
  return rule.id(value, path)
end

local user_fields = rule.record { uid = id, gid = id, groups = rule.list(id) }

local function user_rule(value, path)
  if type(value) ~= "table" then
    validate.fail(path, "{ uid = N, gid = N } expected, got %s", validate.show(value))
  end
  return user_fields(value, path)
end

local function ids_rule(value, path)
  if type(value) == "function" or value == false then return value end
  if type(value) ~= "table" then
    validate.fail(path, "a policy such as policy.available(), { uid =, gid = } or false expected, got %s",
      validate.show(value))
  end
  return mapping.table_rule(value, path)
end

local function hostname(value, path)
  rule.line(value, path)
  if #value > 64 then validate.fail(path, "longer than 64 bytes (sethostname(2))") end
  return value
end

--- At which points of a container's life functions of the caller's are called.
local hooks = rule.record { created = rule.callable, mapped = rule.callable, before_exec = rule.callable,
  exited = rule.callable }

local fields = confinement.add_rules({
  hostname = hostname,
  domainname = hostname,
  namespaces = namespaces_rule,
  network = function(value, path) return networks.rule(value, path, namespace) end,
  ids = ids_rule,
  user = user_rule,
  root = root.root_rule,
  mounts = root.mounts_rule,
  devices = root.devices_rule,
  masked_paths = root.masked_rule,
  readonly_paths = root.readonly_rule,
  proc = rule.boolean,
  user_namespaces = rule.boolean,
  lock_mounts = rule.boolean,
  nesting = rule.boolean,
  sysctl = function(value, path) return sysctl.rule(value, path) end,
  new_session = rule.boolean,
  init = rule.boolean,
  hooks = hooks,
  environment = command.environment_rule,
  cwd = rule.absolute,
  command = command.container_rule,
}, "container")
local container_rule = rule.record(fields, nil, nil, "container")

--- The keys that a container's table may have, in order.
---@return string[]
function M.keys() return lists.sorted_keys(fields) end

local function keeps_admin(box) return box.capabilities ~= nil and box.capabilities:has "sys_admin" end

-- What sys_admin could undo is locked where it is kept, unless somebody says otherwise. Over the host's user namespace
-- it needs no mount to be undone: it is over the file systems themselves.
local function decide_lock(box)
  local kinds = box.namespaces
  if box.lock_mounts and kinds.user == "host" then
    blame('lock_mounts: needs a user namespace of the container\'s own: with namespaces.user = "host" its sys_admin '
      .. "would be over the host's file systems themselves")
  elseif box.lock_mounts == nil then
    box.lock_mounts = keeps_admin(box) and kinds.mount == "new" and kinds.user ~= "host"
  end
end

local function check_idmap(box, mount, path)
  if not mount or not mount.idmap then return end
  if box.namespaces.user ~= "host" then
    -- It does not come through the copy of a mount namespace, which is where the kernel locks (mount_namespaces(7)).
    if keeps_admin(box) and not box.lock_mounts then
      blame(path .. ".idmap: flags of the host's and mounts below are not locked in an ID-mapped mount, and a "
        .. "container that keeps sys_admin could take them away: leave lock_mounts true")
    end
  elseif mount.idmap == true then
    blame(path .. '.idmap: true is the container\'s own map, and namespaces.user is "host": give { uid =, gid = }')
  end
end

-- Either there is none, or somebody has put something there.
local function check_proc(box)
  if box.proc ~= false then return end
  for key, list in pairs { root = box.root or {}, mounts = box.mounts or {} } do
    for i, mount in ipairs(list) do
      if root.clean(mount.destination) == "/proc" then
        blame(("proc: false, and %s[%d] is one: leave one of the two away"):format(key, i))
      end
    end
  end
end

-- Whether the program has it, effective.
local function has_admin(box)
  local kept = box.capabilities
  return kept and (capabilities.is(kept) and kept:has "sys_admin" or five.in_effect(kept, "sys_admin"))
end

--- Raises where a container cannot have the filter that it asks for, which comes last, when what is not kept has been
--- given up.
---@param box table
function M.check_filter(box)
  if not box.seccomp or box.no_new_privs ~= false or filter.may_be_first(box.seccomp) or has_admin(box) then return end
  blame("seccomp: without no_new_privs the kernel takes a filter only of who has sys_admin (seccomp(2)): leave "
    .. "no_new_privs true, or keep sys_admin in `capabilities`")
end

-- The same of Landlock's rules.
local function check_landlock(box)
  if not box.landlock or box.no_new_privs ~= false or has_admin(box) then return end
  blame("landlock: without no_new_privs the kernel takes rules only of who has sys_admin (landlock_restrict_self(2)): "
    .. "leave no_new_privs true, or keep sys_admin in `capabilities`")
end

-- Without a map there is nobody inside, and what is inside is over a user namespace that governs nothing.
local function check_unmapped(box)
  if box.ids ~= false then return end
  if box.user then
    blame("user: with ids = false nobody inside has an ID: everybody is 65534, the number for who has none")
  end
  if box.capabilities and not box.capabilities:empty() then
    blame("capabilities: with ids = false they would be over a user namespace that governs nothing, and with sys_admin "
      .. "a program could write itself a map")
  end
end

-- The limit holds in the user namespace that the container has to itself, and for whoever cannot lift it there.
local function check_user_namespaces(box)
  if box.user_namespaces ~= false then return end
  if box.namespaces.user ~= "new" then
    blame("user_namespaces: false needs a new user namespace: it would be so for all who are in the other")
  elseif box.capabilities and box.capabilities:has "sys_resource" then
    blame("user_namespaces: false and the capability sys_resource do not go together: it could lift the limit")
  end
  for _, one in ipairs(box.sysctl or {}) do
    if one.file == "user/max_user_namespaces" then
      blame(("user_namespaces: false is what sysctl[%q] says too: leave one of the two away"):format(one.name))
    end
  end
end

--- Whether user namespaces can be made inside. Where nothing is said they cannot, if the limit holds and no other key
--- says that they are to be there.
---@param box table  checked
---@return boolean
function M.has_user_namespaces(box)
  if box.user_namespaces ~= nil then return box.user_namespaces end
  if box.nesting or box.seccomp == "nesting" or box.namespaces.user ~= "new" or box.ids == false then return true end
  for _, one in ipairs(box.sysctl or {}) do
    if one.file == "user/max_user_namespaces" then return true end
  end
  local keep = box.capabilities
  return keep ~= nil and (keep:has "sys_admin" or keep:has "sys_resource")
end

--- The policy of system calls that a container has.
---@param box table  checked
---@return cella.seccomp.policy|"default"|"nesting"|false
function M.policy_of(box)
  if box.seccomp ~= nil then return box.seccomp end
  return (box.nesting or box.user_namespaces) and "nesting" or "default"
end

-- Who has uid 0 inside makes containers of his own with it.
local FOR_NESTING = capabilities.of(capabilities.mask { "setfcap" })

local function check_nesting(box)
  if box.nesting and box.user_namespaces == false then
    blame("nesting: true needs user namespaces inside, and user_namespaces is false")
  end
end

--- Where the kind of a namespace decides about other keys, say so now.
local function check_together(box)
  local kinds = box.namespaces
  local function needs(key, kind)
    if box[key] ~= nil and kinds[kind] == "host" then
      blame(("%s: needs a %s namespace of its own, and namespaces.%s is \"host\""):format(key, kind, kind))
    end
  end
  needs("hostname", "uts")
  needs("domainname", "uts")
  for _, key in ipairs { "root", "mounts", "devices", "proc", "masked_paths", "readonly_paths" } do
    if box[key] ~= nil and kinds.mount ~= "new" then
      blame(key .. ": needs a new mount namespace: what is mounted would appear in the other one")
    end
  end
  if box.lock_mounts and kinds.mount ~= "new" then
    blame "lock_mounts: needs a new mount namespace, in which all is the container's own"
  end
  decide_lock(box)
  if box.sysctl then sysctl.check(box.sysctl, kinds) end
  check_idmap(box, box.root, "root")
  for key, list in pairs { root = box.root or {}, mounts = box.mounts or {} } do
    for i, mount in ipairs(list) do check_idmap(box, mount, ("%s[%d]"):format(key, i)) end
  end
  if box.proc and kinds.pid == "host" then
    blame("proc: a /proc of its own needs a pid namespace of its own, and namespaces.pid is \"host\"")
  end
  check_proc(box)
  if box.init and kinds.pid ~= "new" then
    blame("init: needs a new pid namespace, of which it is the first process")
  end
  if box.ids ~= nil and kinds.user ~= "new" then
    blame("ids: needs a new user namespace: the maps of another are written already")
  end
  check_unmapped(box)
  check_user_namespaces(box)
  check_nesting(box)
  M.check_filter(box)
  check_landlock(box)
end

M.NAMESPACES = NAMESPACES

--- Checks a container table and fills in the defaults; raises at the user's line.
---@param description table
---@return table
function M.check(description)
  local box = validate.check(container_rule, description, "")
  box.namespaces = box.namespaces or {}
  for _, name in ipairs(NAMESPACES) do
    if name ~= "net" or not box.network then box.namespaces[name] = box.namespaces[name] or "new" end
  end
  if box.network then networks.settle(box) end
  check_together(box)
  box.said = {} -- what somebody has asked for
  for key in pairs(description) do box.said[key] = true end
  box.capabilities = box.capabilities or (box.nesting and FOR_NESTING) or capabilities.none
  box.hooks = box.hooks or {}
  if box.init == nil then box.init = box.namespaces.pid == "new" end
  if box.namespaces.mount == "new" then
    box.root = box.root or root.root_rule("system", "root")
    box.mounts = box.mounts or {}
  end
  return box
end

return M
