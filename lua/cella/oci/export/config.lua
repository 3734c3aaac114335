--- A container as a config.json (the OCI's runtime specification), as a Lua table. What that cannot say is refused, by
--- the name of the key.

local ascii = require "cella.ascii"
local bind = require "cella.root.bind"
local blame = require "cella.blame"
local call = require "cella.call"
local capabilities = require "cella.caps.set"
local core = require "cella.core"
local command_module = require "cella.command"
local description = require "cella.container.description"
local filter = require "cella.filter"
local five = require "cella.caps.five"
local users = require "cella.oci.export.user"
local identity = require "cella.container.identity"
local json = require "cella.oci.json"
local keys = require "cella.oci.export.keys"
local lists = require "cella.list"
local mountinfo = require "cella.mountinfo"
local mounts = require "cella.oci.export.mounts"
local own = require "cella.root.own"
local parts = require "cella.root.description"
local printable = require "cella.printable"
local resources = require "cella.oci.export.resources"
local seccomp = require "cella.seccomp"
local seccomp_rules = require "cella.oci.export.seccomp"
local wording = require "cella.oci.export.words"

local clean = parts.clean
local M = {}

-- The oldest that has all that is said: a runtime may refuse a newer one.
local VERSION = "1.0.2"

local KINDS = { user = "user", mount = "mount", pid = "pid", ipc = "ipc", uts = "uts", net = "network",
  cgroup = "cgroup", time = "time" }

local UNLIMITED = "18446744073709551615" -- RLIM_INFINITY, of 64 bits

local FIRST_MASK = 18 -- 022

--- Names what of a container's table cannot be said. `found` gets a line for each.
---@param found string[]
---@param target "oci"|"kube"
---@param box table      the description
---@param command table  checked
function M.check(found, target, box, command)
  local said = {}
  for _, key in ipairs(description.keys()) do
    -- What is chosen where nobody says anything, an init for one, is no wish for it; but who keeps sys_admin is not to
    -- lose the locks on mounts without a word.
    if box.said[key] or key == "lock_mounts" then said[key] = box[key] end
  end
  said.command = command
  keys.check(found, target, "cella.container.keys", said, "")
  keys.check(found, target, "cella.namespaces.keys", box.namespaces, "namespaces")
  for _, kind in ipairs(lists.sorted_keys(box.namespaces)) do
    local value = box.namespaces[kind]
    if type(value) == "table" then
      local at = "namespaces." .. kind
      if value.offsets then
        keys.check(found, target, "cella.namespaces.offsets", value.offsets, at)
      else
        keys.check(found, target, "cella.namespaces.target", value, at)
      end
    end
  end
  if target == "kube" and box.network then
    keys.check(found, target, "cella.network.keys", box.network, "network")
  end
  if type(box.ids) == "table" then keys.check(found, target, "cella.ids.keys", box.ids, "ids") end
  if not capabilities.is(box.capabilities) then
    keys.check(found, target, "cella.capabilities.keys", box.capabilities, "capabilities")
  end
  keys.check(found, target, "cella.user.keys", box.user or {}, "user")
  keys.check(found, target, "cella.hooks.keys", box.hooks or {}, "hooks")
  keys.check(found, target, "cella.rlimits.keys", box.rlimits or {}, "rlimits")
  if box.cgroup then
    keys.check(found, target, "cella.cgroup.keys", box.cgroup, "cgroup")
    for i, one in ipairs(box.cgroup.io or {}) do
      keys.check(found, target, "cella.cgroup.io.keys", one, ("cgroup.io[%d]"):format(i))
    end
  end
  local root = box.root
  if root and not root.system then
    local own_keys = {}
    for key, value in pairs(root) do
      if type(key) == "string" and key ~= "source" then own_keys[key] = value end
    end
    keys.check(found, target, root.source and "cella.root.directory" or "cella.root.parts", own_keys, "root")
    if root.owner then keys.check(found, target, "cella.mount.owner.keys", root.owner, "root.owner") end
    if not M.directory_of(root) then keys.check_mounts(found, target, root, "root") end
  end
  keys.check_mounts(found, target, box.mounts or {}, "mounts")
  for i, one in ipairs(box.devices or {}) do
    local given = { path = one.path, destination = one.destination, optional = one.optional }
    keys.check(found, target, "cella.device.keys", given, ("devices[%d]"):format(i))
  end
  if call.is(command) then
    found[#found + 1] = "command: a Lua function is in this process alone: only a program can be started elsewhere"
    return
  end
  keys.check(found, target, { "cella.command.keys", "cella.command.shared" }, command, "command")
  if type(command.terminal) == "table" then
    keys.check(found, target, "cella.terminal.keys", command.terminal, "command.terminal")
  end
end

--- The directory that all of a root is, with what is missing in it made, as runtimes have it: a root of one part. nil
--- of any other.
---@param root table
---@return string?
function M.directory_of(root)
  local part = root[1]
  if root.source or not part or root[2] or part.type ~= "bind" or clean(part.destination) ~= "/" then return nil end
  local is_whole = part.create and type(part.source) == "string" and part.recursive ~= false and part.nodev
  for _, key in ipairs { "idmap", "optional", "propagation", "readonly", "nosuid", "noexec", "noatime", "strictatime",
    "nodiratime", "nosymfollow" } do
    is_whole = is_whole and not part[key]
  end
  for _, key in ipairs { "size", "mode", "inodes", "owner" } do is_whole = is_whole and not root[key] end
  return is_whole and part.source or nil
end

--- Raises where something is refused.
---@param found string[]
---@param what string
function M.stop(found, what)
  if #found == 0 then return end
  local lines = {}
  for i, line in ipairs(found) do lines[i] = printable.line(line) end
  blame(("%s cannot say all of this container:\n  %s"):format(what, table.concat(lines, "\n  ")))
end

local function text(state, value, at) return wording.text(state, value, at, "JSON") end

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

local SETS = { "bounding", "effective", "inheritable", "permitted", "ambient" }

-- "CAP_NET_BIND_SERVICE", ...
local function names_of(set)
  local list = {}
  for i, name in ipairs((capabilities.is(set) and capabilities.mask(set) or set):names()) do
    list[i] = type(name) == "string" and "CAP_" .. ascii.upper(name) or tostring(name)
  end
  return json.array(list)
end

local function capabilities_of(box)
  local given, result = box.capabilities, {}
  for _, set in ipairs(SETS) do
    result[set] = names_of(capabilities.is(given) and given or given[set] or capabilities.none)
  end
  return result
end

local function limit_of(value)
  return json.integer(value == "unlimited" and UNLIMITED or ("%.0f"):format(value))
end

local function rlimits_of(box)
  local list = {}
  for _, name in ipairs(lists.sorted_keys(box.rlimits or {})) do
    local limit = box.rlimits[name]
    list[#list + 1] = { type = "RLIMIT_" .. ascii.upper(name), soft = limit_of(limit.soft),
      hard = limit_of(limit.hard) }
  end
  return #list > 0 and json.array(list) or nil
end

local function environment_of(state, box, command)
  local given = command.environment or box.environment
  if wording.is_inherited(state, given) then return json.array {} end
  if given and given.HOME == false then
    state.refuse("environment.HOME", "a runtime sets it where nobody does: give it a value")
  end
  local list = command_module.environment_list(command_module.with_defaults(given, "/tmp"))
  for _, item in ipairs(list) do text(state, item, "environment." .. (item:match "^[^=]*")) end
  return json.array(list)
end

local function process_of(state, box, command)
  local args = {}
  for i, word in ipairs(command) do args[i] = text(state, word, ("command[%d]"):format(i)) end
  local user = users.of(state)
  user.umask = box.umask or FIRST_MASK
  local terminal = command.terminal
  local process = {
    args = json.array(args), env = environment_of(state, box, command), cwd = command.cwd or box.cwd or "/",
    user = user, terminal = terminal and true or false, capabilities = capabilities_of(box),
    noNewPrivileges = box.no_new_privs ~= false, rlimits = rlimits_of(box), oomScoreAdj = box.oom_score_adj,
  }
  text(state, process.cwd, "cwd")
  if terminal and (terminal.rows or terminal.columns) then
    process.consoleSize = { height = terminal.rows or 24, width = terminal.columns or 80 }
  end
  if box.nice then
    state.needs "1.1.0"
    process.scheduler = { policy = "SCHED_OTHER", nice = box.nice }
  end
  return process
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

--- Which of the keys `keyrings` and `user_namespaces` a container holds by refusing system calls, and would not by a
--- policy alone.
---@param box table
---@param policy cella.seccomp.policy|false|nil
---@return string[]
function M.not_held(box, policy)
  local list = {}
  local function look(key, calls)
    if not policy or policy * seccomp.policy(calls) ~= policy then list[#list + 1] = key end
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
    result[name] = text(state, one.value, ("sysctl[%q]"):format(one.name))
  end
  return result
end

-- Whether a destination is behind something that is mounted before, and what.
local function cover_of(list, destination)
  for i = #list, 1, -1 do
    local above = list[i].destination
    if above ~= "/" and destination:sub(1, #above + 1) == above .. "/" then return list[i] end
  end
  return nil
end

-- A runtime makes what is missing; cella makes nothing on the host, and fails.
local function check_place(state, mount, at)
  if state.makes_missing then return true end
  local destination = clean(mount.destination)
  local above = cover_of(state.mounts, destination)
  local of_host
  if above and above.type == "bind" and above.source:sub(1, 1) == "/" then
    of_host = above.source .. destination:sub(#above.destination + 1)
  elseif not above and state.root_path then
    of_host = state.root_path .. destination
  end
  if not of_host or core.inode(of_host) then return true end
  for part in of_host:gmatch "()/" do
    -- A link leads somewhere in the container.
    if part > 1 and core.readlink(of_host:sub(1, part - 1)) then return true end
  end
  if core.readlink(of_host) then return true end
  if not mount.reserved and not mount.optional then
    state.refuse(at .. ".destination", ("there is no %s, and a runtime would make it on the host"):format(of_host))
  end
  return false
end

-- What a runtime makes by itself: the working directory, and a name for the terminal.
local function is_made_anyway(state, entry)
  if not entry.existing or not state.makes_missing then return false end
  local destination = clean(entry.destination)
  if entry.type == "directory" then return destination == clean(state.cwd) and not entry.mode end
  return entry.type == "symlink" and destination == "/dev/console" and entry.target == "pts/0" and state.terminal
end

local function add_entry(state, entry, at)
  if is_made_anyway(state, entry) then return end
  local destination = clean(entry.destination)
  if state.root_path then
    return state.refuse(at, ("a %s would be made on the host, in the directory that is the root"):format(entry.type))
  end
  local above = cover_of(state.mounts, destination)
  if above then
    return state.refuse(at, ("a bundle has files in its root alone, and over %s lies a %s"):format(above.destination,
      above.type))
  end
  state.made[#state.made + 1] = { entry = entry, at = at }
end

-- A mount of the host's below a path of the host that is not read-only, whatever becomes of what it is mounted on.
local function writable_below(path)
  local found = core.open(path, { "path" })
  if not found then return nil end
  local real = core.readlink(("/proc/self/fd/%d"):format(found:number()))
  found:close()
  for _, mount in ipairs(real and mountinfo.below(real) or {}) do
    if not ("," .. mount.flags .. ","):find(",ro,", 1, true) then return mount.point end
  end
  return nil
end

-- Runtimes make a root read-only, and a path, but nothing that is mounted below.
local ONE_MOUNT = "a runtime makes that one mount read-only, and leaves %s writable, which is mounted below"

local function check_root(state, root)
  -- The host's own is refused as it is.
  local may_be = root.readonly and state.root_path and not bind.of_host_root({ source = state.root_path .. "/" },
    state.host)
  local below = may_be and writable_below(state.root_path .. "/")
  if below then state.refuse("root.readonly", ONE_MOUNT:format(below)) end
end

local function is_readonly(mount)
  return lists.contains(mount.options, "ro")
end

local function check_readonly_path(state, path, at)
  path = clean(path)
  for _, mount in ipairs(state.mounts) do
    if mount.destination:sub(1, #path + 1) == path .. "/" and not is_readonly(mount) then
      return state.refuse(at, ONE_MOUNT:format(mount.destination))
    end
  end
  local cover = cover_of(state.mounts, path .. "/")
  local of_host
  if cover and lists.contains(cover.options, "rbind") and not is_readonly(cover) and cover.source:sub(1, 1) == "/" then
    of_host = cover.source .. path:sub(#cover.destination + 1)
  elseif not cover and state.root_path then
    of_host = state.root_path .. path
  end
  local below = of_host and writable_below(of_host)
  if below then state.refuse(at, ONE_MOUNT:format(below)) end
end

local function root_of(state, box)
  local whole = own.complete(box, state.host)
  local root = whole.root
  local config = { path = "rootfs", readonly = root.readonly and true or false }
  local source = root.source or M.directory_of(root)
  state.makes_missing = source and not root.source
  if source then
    if type(source) ~= "string" then return config end
    local path = source:sub(1, 1) == "/" and source or core.readlink "/proc/self/cwd" .. "/" .. source
    config.path = text(state, path, "root.path")
    state.root_path = path:gsub("/+$", "")
    if bind.of_host_root({ source = path }, state.host) then
      state.refuse("root", "a runtime would make the mount points of the container in the host's own root")
    end
  end
  state.hears = root.propagation == "slave"
  local devices = whole.devices or {}
  for key, list in pairs { root = root, own = whole.own, mounts = whole.mounts, devices = devices } do
    for i, mount in ipairs(list) do
      state.at[mount] = ("%s[%d]"):format(key, i)
      state.hears = state.hears or mount.propagation == "slave"
    end
  end
  for _, mount in ipairs(whole.mounts) do
    if mounts.is_mount(mount) then state.is_mounted[clean(mount.destination)] = true end
  end
  for _, list in ipairs { state.makes_missing and {} or root, whole.own, whole.mounts, devices } do
    for _, mount in ipairs(list) do
      local at = state.at[mount]
      text(state, mount.destination, at .. ".destination")
      local is_refused = mount.type == "remount"
      if not is_refused and clean(mount.destination) == "/" then
        state.refuse(at, "what lies over the whole root a config.json does not say: let `root` be that")
      elseif not is_refused and not mounts.is_mount(mount) then
        add_entry(state, mount, at)
      elseif not is_refused and check_place(state, mount, at) then
        local before, covered = #state.mounts, cover_of(state.mounts, clean(mount.destination))
        mounts.add(state, mount, at)
        if #state.mounts > before and not covered then state.made[#state.made + 1] = { entry = mount, at = at } end
      end
    end
  end
  for _, path in ipairs(whole.masked_paths or {}) do
    table.insert(state.masked_paths, text(state, path, "masked_paths"))
  end
  check_root(state, root)
  for i, path in ipairs(box.readonly_paths or {}) do
    check_readonly_path(state, path, ("readonly_paths[%d]"):format(i))
    table.insert(state.readonly_paths, text(state, path, "readonly_paths"))
  end
  state.parts = not state.root_path and root or nil
  if state.parts and not root.readonly then state.note "root: what is written to it stays in the bundle" end
  if state.makes_missing then
    state.note "root[1].nodev: whether a device in it can be opened is up to the runtime's rules for devices"
  elseif state.root_path and root.nodev ~= false then
    if root.nodev then
      state.refuse("root.nodev", "of the root a config.json has no flag: whether a device in it can be opened is up to "
        .. "the runtime's rules for devices")
    end
    state.note "root.nodev: whether a device in it can be opened is up to the runtime's rules for devices"
  end
  return config
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

-- Where a runtime makes what is missing, a file system that becomes read-only at last (cella.oci.mounts) is one that is
-- read-only: runtimes mount in it before that, too.
local function with_readonly(box)
  if not M.directory_of(box.root or {}) then return box end
  local by_place, list = {}, {}
  for i, mount in ipairs(box.mounts or {}) do
    local at = clean(mount.destination)
    local held = by_place[at]
    local only_readonly = mount.type == "remount" and mount.readonly
    for key in pairs(mount) do
      only_readonly = only_readonly and (key == "type" or key == "destination" or key == "readonly")
    end
    if only_readonly and held and list[held].type ~= "bind" then
      local changed = {}
      for key, value in pairs(list[held]) do changed[key] = value end
      changed.readonly = true
      list[held] = changed
    else
      list[#list + 1], by_place[at] = box.mounts[i], #list + 1
    end
  end
  local copy = {}
  for key, value in pairs(box) do copy[key] = value end
  copy.mounts = list
  return setmetatable(copy, getmetatable(box))
end

--- The config.json of a container's description.
---@param box table
---@param command table  checked
---@param host cella.Host
---@return cella.oci.made?, cella.error?
function M.of(box, command, host)
  local found = {}
  box = with_readonly(box)
  M.check(found, "oci", box, command)
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
  local config = { process = process, root = root_of(state, box), linux = linux }
  config.hostname = box.hostname and text(state, box.hostname, "hostname")
  if box.domainname then
    state.needs "1.1.0"
    config.domainname = text(state, box.domainname, "domainname")
  end
  config.mounts = json.array(state.mounts)
  for i, mount in ipairs(state.mounts) do
    if mount.source then text(state, mount.source, ("mounts[%d].source"):format(i)) end
    for _, option in ipairs(mount.options) do text(state, option, ("mounts[%d]"):format(i)) end
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
