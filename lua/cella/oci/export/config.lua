--- A container as a config.json (the OCI's runtime specification), as a Lua table. What that cannot say is refused, by
--- the name of the key.

local action = require "cella.seccomp.action"
local blame = require "cella.blame"
local call = require "cella.call"
local check = require "cella.oci.export.said"
local description = require "cella.container.description"
local filter = require "cella.filter"
local five = require "cella.caps.five"
local identity = require "cella.container.identity"
local json = require "cella.oci.json"
local printable = require "cella.printable"
local process_of = require "cella.oci.export.process"
local resources = require "cella.oci.export.resources"
local root_module = require "cella.oci.export.root"
local rules_of = require "cella.seccomp.rules"
local seccomp = require "cella.seccomp"
local seccomp_rules = require "cella.oci.export.seccomp"
local users = require "cella.oci.export.user"
local word = require "cella.seccomp.word"
local wording = require "cella.oci.export.words"

local M = {}

-- The oldest that has all that is said: a runtime may refuse a newer one.
local VERSION = "1.0.2"

local KINDS = { user = "user", mount = "mount", pid = "pid", ipc = "ipc", uts = "uts", net = "network",
  cgroup = "cgroup", time = "time" }

--- Raises where something is refused.
---@param found string[]
---@param what string
function M.stop(found, what)
  if #found == 0 then return end
  local lines = {}
  for i, line in ipairs(found) do lines[i] = printable.line(line) end
  blame(("%s cannot say all of this container:\n  %s"):format(what, table.concat(lines, "\n  ")))
end

local function namespaces_of(state, box)
  local list = {}
  for _, kind in ipairs { "user", "mount", "pid", "ipc", "uts", "net", "cgroup", "time" } do
    local value = box.namespaces[kind]
    if value == "new" or type(value) == "table" then
      list[#list + 1] = { type = KINDS[kind], path = type(value) == "table" and value.path or nil }
      if kind == "time" then state.needs "1.1.0" end
    end
  end
  return json.array(list)
end

local function offsets_of(box)
  local time = box.namespaces.time
  if type(time) ~= "table" or not time.offsets then return nil end
  local result = {}
  for clock, seconds in pairs(time.offsets) do
    local whole = math.floor(seconds)
    result[clock] = { secs = whole, nanosecs = math.floor((seconds - whole) * 1e9 + 0.5) }
  end
  return result
end

local KEY_CALLS = { errno = { ENOSYS = { "add_key", "request_key", "keyctl" } }, default = "allow" }
local USER_NAMESPACES = { default = "allow",
  errno = { EPERM = { unshare = { { 0, "&", "user" } }, clone = { { 0, "&", "user" } } }, ENOSYS = { "clone3" } } }

--- The policy of system calls of a container: what its key says, and what the capabilities open that it keeps.
---@param box table
---@return cella.seccomp.policy|false
function M.own_policy(box)
  return filter.policy(filter.of(description.policy_of(box), five.masks(box.capabilities).bounding))
end

--- The policy of system calls of a container with what else cella would do by a filter, or by what a runtime has not;
--- nil where there is none.
---@param box table
---@return cella.seccomp.policy?
function M.policy(box)
  local policy = M.own_policy(box) or nil
  local function both(other)
    other = seccomp.policy(other)
    policy = policy and policy * other or other
  end
  if (box.keyrings or "none") == "none" then both(KEY_CALLS) end
  if not description.has_user_namespaces(box) then both(USER_NAMESPACES) end
  return policy
end

-- Whether all that one policy refuses another refuses too, with whichever error: of policies that refuse calls whole,
-- or where an argument has one bit.
local function refuses_all(policy, other)
  local ours, theirs = seccomp.rules(policy), seccomp.rules(other)
  for name, wanted in pairs(theirs.calls) do
    local answer, condition = rules_of.of(ours, name), wanted.clauses[1] and wanted.clauses[1].conditions[1]
    local refused = not action.permits(answer.final)
    for _, clause in ipairs(answer.clauses) do
      local own = clause.conditions[1]
      if action.permits(clause.action) then
        refused = false
        break
      elseif condition and not clause.conditions[2] and own.op == "&" and own.index == condition.index
        and word.both(own.values[1], condition.values[1]) ~= word.ZERO then
        refused = true
        break
      end
    end
    if not refused then return false end
  end
  return true
end

--- Which of the keys `keyrings` and `user_namespaces` a container holds by refusing system calls, and would not by a
--- policy alone.
---@param box table
---@param policy cella.seccomp.policy|false|nil
---@return string[]
function M.not_held(box, policy)
  local list = {}
  local function look(key, calls)
    if not policy or not refuses_all(policy, seccomp.policy(calls)) then list[#list + 1] = key end
  end
  if (box.keyrings or "none") == "none" then look("keyrings", KEY_CALLS) end
  -- Of all that makes processes "strict" has threads, and none of those has a user namespace of its own (clone(2)).
  local has_threads_alone = policy and policy == seccomp.named "strict"
  if not has_threads_alone and not description.has_user_namespaces(box) then
    look("user_namespaces", USER_NAMESPACES)
  end
  return list
end

local function seccomp_of(state, box)
  local policy = M.policy(box)
  if not policy then return nil end
  local refused = policy:refuses_start()
  if refused then
    state.refuse("seccomp", refused)
    return nil
  end
  local config, problem = seccomp_rules.of(policy)
  if not config then state.refuse("seccomp", problem) end
  return config
end

local function sysctl_of(state, box)
  local result
  for _, one in ipairs(box.sysctl or {}) do
    local name = one.file:gsub("/", ".")
    if one.kind == "user" then
      state.refuse(("sysctl[%q]"):format(one.name), "runtimes set those of net and ipc namespaces alone")
    elseif one.file:find(".", 1, true) then
      state.refuse(("sysctl[%q]"):format(one.name), "a config.json has no name with a dot in a part of it")
    end
    result = result or {}
    result[name] = wording.json(state, one.value, ("sysctl[%q]"):format(one.name))
  end
  return result
end

-- A rule that denies all devices, and those of every /dev and terminals, which runtimes have. A user namespace of its
-- own needs none: nobody in it makes a device that could be opened.
local NUMBERS = { "1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2", "136" }

local function device_rules(state, box)
  if box.namespaces.user == "new" then return #state.devices > 0 and state.devices or nil end
  local open = box.root.source and box.root.nodev == false
  for _, list in ipairs { box.root, box.mounts } do
    for _, mount in ipairs(list) do open = open or mount.nodev == false end
  end
  if open then
    state.note "nodev: one is false, and so no rule of the runtime's denies devices, wherever they lie"
  elseif five.masks(box.capabilities).bounding:has "sys_admin" then
    state.note "nodev: who keeps sys_admin over the host can undo it, and no rule of the runtime's denies devices"
  else
    state.note "nodev: devices that lie in the root are denied by rules of the runtime's alone, which take a cgroup"
    local list = { { allow = false, access = "rwm" } }
    for i, number in ipairs(NUMBERS) do
      local major, minor = number:match "^(%d+):?(%d*)$"
      list[i + 1] = { allow = true, type = "c", major = tonumber(major), minor = tonumber(minor), access = "rwm" }
    end
    for _, rule in ipairs(state.devices) do list[#list + 1] = rule end
    return list
  end
  return #state.devices > 0 and state.devices or nil
end

local function rank(version)
  local major, minor, patch = version:match "^(%d+)%.(%d+)%.(%d+)$"
  return tonumber(major) * 1e6 + tonumber(minor) * 1e3 + tonumber(patch)
end

--- What is gathered of a container; `refuse` adds a line to `found`.
---@param box table
---@param host cella.Host
---@param found string[]
---@return table
function M.new_state(box, host, found)
  local state = { box = box, host = host, mounts = {}, files = {}, made = {}, notes = {}, readonly_paths = {},
    masked_paths = {}, devices = {}, at = {}, is_mounted = {}, version = VERSION, mapping = users.mapping }
  function state.refuse(at, why) found[#found + 1] = ("%s: %s"):format(at, why) end
  function state.note(line) state.notes[#state.notes + 1] = line end
  -- The oldest version that has it.
  function state.needs(version)
    if rank(version) > rank(state.version) then state.version = version end
  end
  return state
end

-- What filesystem.lua asks of who is in there.
local function look(state, who)
  state.identity, state.maps = who, who.maps
  state.obeyed = identity.is_obeyed(who, state.host)
  state.unprivileged = who.ids ~= nil
  function state.maps_group(gid)
    if who.maps then return who.maps.gid:outside(gid) ~= nil end
    return state.host.gid_map:covers(gid)
  end
end

-- What cella does where nothing is said of it, and a runtime does not.
local function note_defaults(state, box)
  local pid = box.namespaces.pid == "new"
  if box.init and pid then state.note "init: the program is process 1 itself: nobody reaps for it" end
  if box.die_with_parent == nil then state.note "die_with_parent: the container outlives who starts it" end
  if box.keyrings == "own" then state.note "keyrings: the runtime's own way, unless it is told --no-new-keyring" end
  if type(box.ids) == "function" and state.identity.policy and state.identity.policy.name == "default"
    and state.host.capabilities.setuid then
    state.note "ids: a range that nobody has now; it is not held for the bundle: give `ids` to have one that is"
  end
end

---@class cella.oci.made
---@field config table    the config.json
---@field notes string[]  what is otherwise than in cella, of what nobody has asked for
---@field state table     what the bundle has to have beside it

--- The config.json of a container's description.
---@param box table
---@param command table  checked
---@param host cella.Host
---@return cella.oci.made?, cella.error?
function M.of(box, command, host)
  local found = {}
  box = root_module.with_readonly(box)
  check(found, "oci", box, command)
  local state = M.new_state(box, host, found)
  if box.ids == nil and box.unmapped then state.refuse("ids", "a runtime needs a map: false is none at all") end
  if type(box.namespaces.user) == "table" then
    state.refuse("namespaces.user", "a runtime joins none without knowing its maps")
  end
  if box.namespaces.mount ~= "new" then
    state.refuse("namespaces.mount", "a runtime makes a root in a mount namespace of its own")
  end
  if call.is(command) or box.namespaces.mount ~= "new" then M.stop(found, "a config.json") end
  local who, err = identity.resolve(box, host, nil)
  if not who then return nil, err end
  look(state, who)
  local linux = { namespaces = namespaces_of(state, box), timeOffsets = offsets_of(box) }
  if who.ids then linux.uidMappings, linux.gidMappings = users.mapping(who.ids.uid), users.mapping(who.ids.gid) end
  local process = process_of(state, box, command)
  state.cwd, state.terminal = process.cwd, process.terminal
  local config = { process = process, root = root_module.of(state, box), linux = linux }
  config.hostname = box.hostname and wording.json(state, box.hostname, "hostname")
  if box.domainname then
    state.needs "1.1.0"
    config.domainname = wording.json(state, box.domainname, "domainname")
  end
  config.mounts = json.array(state.mounts)
  for i, mount in ipairs(state.mounts) do
    if mount.source then wording.json(state, mount.source, ("mounts[%d].source"):format(i)) end
    for _, option in ipairs(mount.options) do wording.json(state, option, ("mounts[%d]"):format(i)) end
  end
  linux.sysctl, linux.seccomp = sysctl_of(state, box), seccomp_of(state, box)
  linux.resources, linux.cgroupsPath = resources.of(state, box.cgroup)
  local rules = device_rules(state, box)
  if rules then
    linux.resources = linux.resources or {}
    linux.resources.devices = json.array(rules)
  end
  if #state.masked_paths > 0 then linux.maskedPaths = json.array(state.masked_paths) end
  if #state.readonly_paths > 0 then linux.readonlyPaths = json.array(state.readonly_paths) end
  -- Nothing that the host mounts later may show up in there, where it would not be read-only.
  local root = box.root
  linux.rootfsPropagation = root.propagation == "shared" and "shared" or state.hears and "rslave" or "rprivate"
  note_defaults(state, box)
  M.stop(found, "a config.json")
  config.ociVersion = state.version
  return { config = config, notes = state.notes, state = state }
end

return M
