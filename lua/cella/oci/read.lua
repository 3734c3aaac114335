--- From an OCI bundle to a container: what a config.json says, as the table that cella.container takes. Who has written
--- it is not to be trusted: it has a bound, and each field is supported or refused by its name.

local ascii = require "cella.ascii"
local bind = require "cella.root.bind"
local blame = require "cella.blame"
local container = require "cella.container"
local core = require "cella.core"
local Error = require "cella.error"
local devices = require "cella.oci.devices"
local fields = require "cella.oci.fields"
local host = require "cella.host"
local json = require "cella.oci.json"
local lazy = require "cella.lazy"
local lists = require "cella.list"
local mounts = require "cella.oci.mounts"
local open = require "cella.open"
local schema = require "cella.oci.schema"
---@module "cella.oci.seccomp"
local seccomp_of = lazy "cella.oci.seccomp"
local validate = require "cella.validate"

local fail, required, within = schema.fail, schema.required, schema.within
local M = {}

local MOST_BYTES = 4 * 1024 * 1024
local LONGEST_PATH = 4095 -- PATH_MAX counts the NUL

---@class cella.oci.hook
---@field path string
---@field args string[]?
---@field env string[]?
---@field timeout integer?  seconds

--- What a config.json says.
---@class cella.oci.bundle
---@field path string              the directory
---@field container cella.container.keys  what cella.container takes
---@field command table            what box:run takes: the program, `environment`, `terminal`
---@field hooks table<string, cella.oci.hook[]>  by their points
---@field annotations table<string, string>
---@field cgroup { path: string?, files: { [1]: string, [2]: string, unified: true? }[] }  its directory, and what is
---  written to which files
---@field config table             as it stands there
---@field text string              the same, as it was read
---@field box cella.container      made of `container`
---@field joined { uid: table[], gid: table[] }?  the maps that a user namespace which is joined is said to have

-- A regular file that is not too long; nobody is waited for at the other end of a pipe.
local function read_file(path, most)
  local fd, message, errno = open.to_read(path, 5)
  if not fd then
    return nil, Error.new { op = "open", path = path, errno = errno, message = not errno and message or nil }
  end
  local status = core.file_status(fd:number())
  local function refuse(words)
    fd:close()
    return nil, Error.new { op = "read", path = path, message = words }
  end
  if not status or status.type ~= "file" then return refuse "a regular file expected" end
  local parts, size = {}, 0
  while true do
    local data
    data, message, errno = fd:read()
    if data == nil then
      fd:close()
      return nil, Error.new { op = "read", path = path, errno = errno, message = not errno and message or nil }
    end
    if not data or data == "" then break end
    size = size + #data
    if size > most then return refuse(("longer than %d bytes"):format(most)) end
    parts[#parts + 1] = data
  end
  fd:close()
  return table.concat(parts)
end
M.read_file = read_file

-- Numbers of 64 bits, of which all bits set is no limit.
local UNLIMITED = { ["18446744073709551615"] = true }
local MOST = 9007199254740992

local function limit(value, path)
  required(value, path)
  if json.is_integer(value) then
    if UNLIMITED[tostring(value)] then return "unlimited" end
    if tostring(value):find "^-" then fail(path, "less than 0") end
    fail(path, "not supported: %s is more than 2^53, and not 2^64-1, which is no limit", tostring(value))
  end
  return within(value, path, 0, MOST)
end

local RESOURCES = { AS = true, CORE = true, CPU = true, DATA = true, FSIZE = true, LOCKS = true, MEMLOCK = true,
  MSGQUEUE = true, NICE = true, NOFILE = true, NPROC = true, RSS = true, RTPRIO = true, RTTIME = true,
  SIGPENDING = true, STACK = true }

local function rlimits_of(list)
  local result = {}
  for i, one in ipairs(list) do
    local path = ("process.rlimits[%d]"):format(i - 1)
    local kind = required(one.type, path .. ".type")
    local name = kind:match "^RLIMIT_([A-Z]+)$"
    if not name or not RESOURCES[name] then fail(path .. ".type", "%q is no limit", kind:sub(1, 80)) end
    name = ascii.lower(name)
    if result[name] then fail(path .. ".type", "%s is there twice", kind) end
    result[name] = { soft = limit(one.soft, path .. ".soft"), hard = limit(one.hard, path .. ".hard") }
  end
  return result
end

local NAMESPACES = { pid = "pid", network = "net", mount = "mount", ipc = "ipc", uts = "uts", user = "user",
  cgroup = "cgroup", time = "time" }

local function seconds_of(offset, path)
  local secs = offset.secs and within(offset.secs, path .. ".secs", -4294967295, 4294967295) or 0
  local nanosecs = offset.nanosecs and within(offset.nanosecs, path .. ".nanosecs", 0, 999999999) or 0
  local result = secs + nanosecs / 1e9
  local whole = math.floor(result)
  if whole ~= secs or math.floor((result - whole) * 1e9 + 0.5) ~= nanosecs then
    fail(path .. ".nanosecs", "not supported: so far from now cella has not all nanoseconds")
  end
  return result
end

local function namespaces_of(linux)
  local kinds = {}
  for _, name in pairs(NAMESPACES) do
    if name ~= "time" then kinds[name] = "host" end
  end
  local seen = {}
  for i, one in ipairs(linux.namespaces or {}) do
    local path = ("linux.namespaces[%d]"):format(i - 1)
    local kind = required(one.type, path .. ".type")
    local name = NAMESPACES[kind] or fail(path .. ".type", "%q is no namespace", kind:sub(1, 80))
    if seen[name] then fail(path .. ".type", "%s is there twice", kind) end
    seen[name] = true
    kinds[name] = "new"
    if one.path and one.path ~= "" then
      if one.path:sub(1, 1) ~= "/" then fail(path .. ".path", "an absolute path expected") end
      kinds[name] = one.path
    end
  end
  if kinds.mount ~= "new" then
    fail("linux.namespaces", "not supported without a new mount namespace: the mounts would be made in another's")
  end
  local offsets = linux.timeOffsets
  if offsets and next(offsets) ~= nil then
    if kinds.time ~= "new" then fail("linux.timeOffsets", "needs a new time namespace") end
    kinds.time = { monotonic = seconds_of(offsets.monotonic or {}, "linux.timeOffsets.monotonic"),
      boottime = seconds_of(offsets.boottime or {}, "linux.timeOffsets.boottime") }
  end
  return kinds
end

-- The maps that are written, and those that a namespace which is joined has to have.
local function ids_of(linux, kinds)
  local uid, gid = linux.uidMappings or {}, linux.gidMappings or {}
  if #uid == 0 and #gid == 0 and kinds.user ~= "new" then return nil end
  if kinds.user == "host" then
    fail("linux.uidMappings", "needs a user namespace, and there is none among namespaces")
  elseif #uid == 0 or #gid == 0 then
    fail("linux.uidMappings", "missing, or gidMappings: a user namespace has both")
  end
  local ids = { uid = mounts.mappings(uid, "linux.uidMappings"), gid = mounts.mappings(gid, "linux.gidMappings") }
  if kinds.user == "new" then return ids end
  return nil, ids
end

local ID = 4294967294

--- Who a process is: the keys of `user`, and its umask. For exec too.
local function user_of(user)
  local groups = {}
  for i, gid in ipairs(user.additionalGids or {}) do
    groups[i] = within(gid, ("process.user.additionalGids[%d]"):format(i - 1), 0, ID)
  end
  local umask = user.umask and within(user.umask, "process.user.umask", 0, 511)
  return { uid = within(user.uid or 0, "process.user.uid", 0, ID),
    gid = within(user.gid or 0, "process.user.gid", 0, ID),
    groups = #groups > 0 and groups or nil }, umask and ("%03o"):format(umask)
end

-- NAME=VALUE as a table. Of what cella would put in by itself nothing is left.
local function environment_of(list, at)
  local result = { PATH = false, HOME = false, TERM = false }
  local seen = {}
  for i, entry in ipairs(list or {}) do
    local path = ("%s[%d]"):format(at, i - 1)
    local name, value = entry:match "^([^=]+)=(.*)$"
    if not name then fail(path, "NAME=VALUE expected, got %q", entry:sub(1, 80)) end
    if seen[name] then fail(path, "%s is there twice", name:sub(1, 80)) end
    seen[name] = true
    result[name] = value
  end
  return result
end

local SETS = { "bounding", "effective", "permitted", "inheritable", "ambient" }

local function both(one, other)
  local result = {}
  for _, name in ipairs(one) do
    if lists.contains(other, name) then result[#result + 1] = name end
  end
  return result
end

-- As exec leaves them (capabilities(7)): user 0 gets what is in bounding, unless no_new_privs is set, and everybody
-- else what is ambient.
local function after_exec(sets, uid, no_new_privs)
  if uid ~= 0 then
    sets.permitted = both(sets.permitted, sets.ambient)
    sets.effective = sets.permitted
    return sets
  end
  if not no_new_privs then sets.permitted = sets.bounding end
  sets.effective = sets.permitted
  return sets
end

-- The five sets, as names; what is no capability is refused, and one that the kernel does not know too.
local function sets_of(described)
  local sets = {}
  for _, set in ipairs(SETS) do
    sets[set] = {}
    local seen = {}
    for i, name in ipairs(described[set] or {}) do
      local at = ("process.capabilities.%s[%d]"):format(set, i - 1)
      local bare = name:match "^CAP_([A-Z_]+)$"
      if not bare then fail(at, "%q is no capability", name:sub(1, 80)) end
      if not seen[bare] then table.insert(sets[set], (ascii.lower(bare))) end
      seen[bare] = true
    end
  end
  -- What is ambient is inheritable, or the kernel refuses it (capabilities(7)); `runc spec` does not say so.
  for _, name in ipairs(sets.ambient) do
    if not lists.contains(sets.inheritable, name) then table.insert(sets.inheritable, name) end
  end
  return sets
end

-- Of the policies that all have who ask for none.
local function nice_of(scheduler)
  local policy = scheduler.policy
  if policy and policy ~= "" and policy ~= "SCHED_OTHER" then
    fail("process.scheduler.policy", "%q is not supported: SCHED_OTHER is", policy:sub(1, 80))
  end
  return scheduler.nice and within(scheduler.nice, "process.scheduler.nice", -20, 19)
end

--- What of a process goes into a container's or an entrance's table, and what into its command. Raises
--- { refused = message }.
---@param process table  checked by schema
---@return { user: table, umask: string?, capabilities: table, no_new_privs: boolean, command: table }
function M.process(process)
  local args = required(process.args, "process.args")
  if #args == 0 then fail("process.args", "the list is empty") end
  if args[1] == "" then fail("process.args[0]", "the program's name is empty") end
  local command = { environment = environment_of(process.env, "process.env") }
  for i, word in ipairs(args) do command[i] = word end
  if process.terminal then
    local console = process.consoleSize or {}
    local function side(value, path) return value and value ~= 0 and within(value, path, 1, 65535) or nil end
    command.terminal = { rows = side(console.height, "process.consoleSize.height"),
      columns = side(console.width, "process.consoleSize.width") }
  end
  local cwd = required(process.cwd, "process.cwd")
  if cwd:sub(1, 1) ~= "/" then fail("process.cwd", "an absolute path expected, got %q", cwd:sub(1, 80)) end
  schema.by(validate.rule.absolute, cwd, "process.cwd")
  local user, umask = user_of(process.user or {})
  return { user = user, umask = umask, cwd = cwd, command = command,
    capabilities = after_exec(sets_of(process.capabilities or {}), user.uid, process.noNewPrivileges == true),
    no_new_privs = process.noNewPrivileges == true,
    rlimits = rlimits_of(process.rlimits or {}), nice = nice_of(process.scheduler or {}),
    oom_score_adj = process.oomScoreAdj and within(process.oomScoreAdj, "process.oomScoreAdj", -1000, 1000) }
end

local MOST_HOOKS = 256

--- The hooks of a config.json, by their points. Raises { refused = message }.
---@param hooks table
---@return table<string, cella.oci.hook[]>
function M.hooks(hooks)
  local result = {}
  for _, point in ipairs(fields.hooks) do
    result[point] = {}
    local list = hooks[point] or {}
    if #list > MOST_HOOKS then fail("hooks." .. point, "more than %d", MOST_HOOKS) end
    for i, hook in ipairs(list) do
      local path = ("hooks.%s[%d]"):format(point, i - 1)
      if required(hook.path, path .. ".path"):sub(1, 1) ~= "/" then
        fail(path .. ".path", "an absolute path expected")
      end
      environment_of(hook.env, path .. ".env")
      result[point][i] = { path = hook.path, args = hook.args, env = hook.env,
        timeout = hook.timeout and within(hook.timeout, path .. ".timeout", 1, 86400) }
    end
  end
  return result
end

local DEFAULT_SHARES = 1024

-- What is written to which files of a cgroup.
local function settings_of(resources)
  local files = {}
  local function add(file, text) files[#files + 1] = { file, text } end
  local function number(value, path, low)
    if json.is_integer(value) then return tostring(value) end
    if value == -1 then return "max" end
    return ("%.0f"):format(within(value, path, low, MOST))
  end
  local memory, cpu = resources.memory or {}, resources.cpu or {}
  local at = "linux.resources.memory."
  if memory.disableOOMKiller then fail(at .. "disableOOMKiller", "not supported (a setting of cgroup v1)") end
  if memory.useHierarchy == false then fail(at .. "useHierarchy", "not supported (a setting of cgroup v1)") end
  if memory.limit and memory.limit ~= 0 then add("memory.max", number(memory.limit, at .. "limit", 1)) end
  if memory.reservation and memory.reservation ~= 0 then
    add("memory.low", number(memory.reservation, at .. "reservation", 1))
  end
  if memory.swap and memory.swap ~= 0 then
    if memory.swap == -1 then
      add("memory.swap.max", "max")
    else
      if not memory.limit or memory.limit == -1 then
        fail(at .. "swap", "needs a limit: it is memory and swap together")
      end
      local whole, alone = within(memory.swap, at .. "swap", 0, MOST), within(memory.limit, at .. "limit", 0, MOST)
      if whole < alone then fail(at .. "swap", "less than the limit of memory alone") end
      add("memory.swap.max", ("%.0f"):format(whole - alone))
    end
  end
  at = "linux.resources.cpu."
  -- What all have that say nothing, engines write down.
  if cpu.shares and cpu.shares ~= 0 and cpu.shares ~= DEFAULT_SHARES then
    local shares = within(cpu.shares, at .. "shares", 2, 262144)
    add("cpu.weight", ("%d"):format(math.floor(1 + (shares - 2) * 9999 / 262142)))
  end
  if cpu.quota and cpu.quota ~= 0 or cpu.period and cpu.period ~= 0 then
    local period = cpu.period and cpu.period ~= 0 and within(cpu.period, at .. "period", 1000, 1000000) or 100000
    local is_limit = cpu.quota and (json.is_integer(cpu.quota) or cpu.quota > 0)
    local quota = is_limit and ("%.0f"):format(within(cpu.quota, at .. "quota", 1000, MOST)) or "max"
    add("cpu.max", ("%s %.0f"):format(quota, period))
  end
  if cpu.burst then add("cpu.max.burst", ("%.0f"):format(within(cpu.burst, at .. "burst", 0, MOST))) end
  if cpu.idle then add("cpu.idle", ("%d"):format(within(cpu.idle, at .. "idle", 0, 1))) end
  if cpu.cpus and cpu.cpus ~= "" then add("cpuset.cpus", cpu.cpus) end
  if cpu.mems and cpu.mems ~= "" then add("cpuset.mems", cpu.mems) end
  local pids = resources.pids and resources.pids.limit
  if pids and pids ~= 0 then add("pids.max", number(pids, "linux.resources.pids.limit", 1)) end
  local names = {}
  for name in pairs(resources.unified or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local text = resources.unified[name]
    if not name:find "^[a-z]+%.[a-z0-9_.]+$" or name:find "^cgroup%." then
      fail("linux.resources.unified", "%q is no file of a controller", name:sub(1, 80))
    elseif text:find "\n" then
      fail("linux.resources.unified", "%s has more than a line", name)
    end
    files[#files + 1] = { name, text, unified = true } -- in the kernel's words: "64M"
  end
  for _, file in ipairs(files) do
    if file[2]:find "\n" then fail("linux.resources", "%s has more than a line", file[1]) end
  end
  return files
end

local function cgroup_of(linux)
  local path = linux.cgroupsPath
  if path == "" then path = nil end
  if path then
    if path:find ":" then fail("linux.cgroupsPath", "the form of systemd is not supported") end
    if ("/" .. path .. "/"):find "/%.%.?/" or path:find "[^A-Za-z0-9_.+@/-]" or #path > 1024
      or not path:find "[^/]" then
      fail("linux.cgroupsPath", "no path of a cgroup")
    end
  end
  local files = settings_of(linux.resources or {})
  if #files > 0 and not path then
    fail("linux.resources", "%s needs a cgroup, and cgroupsPath is missing", files[1][1])
  end
  return { path = path, files = files }
end

local PROPAGATION = { private = "private", rprivate = "private", shared = "shared", rshared = "shared" }

-- Everything that there is, from a config.json that has been checked.
local function build(config, directory)
  local linux = config.linux or {}
  if not required(config.ociVersion, "ociVersion"):find "^1%.[0-9]+%.[0-9]+[-+0-9A-Za-z.]*$" then
    fail("ociVersion", "%q is not supported: 1.x is", config.ociVersion:sub(1, 40))
  end
  local process = M.process(required(config.process, "process"))
  local root = required(config.root, "root")
  local rootfs = mounts.below(required(root.path, "root.path"), directory)
  if root.path == "" then fail("root.path", "the path is empty") end
  if #rootfs > LONGEST_PATH then fail("root.path", "longer than %d bytes", LONGEST_PATH) end
  -- That it is not this root by the time that it is taken, the plan sees to.
  if bind.of_host_root({ source = rootfs }, host.facts()) then
    fail("root.path", "not supported: it leads to the root of this host")
  end
  local kinds = namespaces_of(linux)
  local entries, bound = mounts.of(config.mounts, directory, rootfs, kinds)
  local named = devices.of(linux.devices, kinds.user ~= "host", bound)
  local sets = process.capabilities
  local undone = devices.check((linux.resources or {}).devices, named, entries, sets.bounding)
  if undone and kinds.user == "host" then
    fail(undone, "not supported together with CAP_SYS_ADMIN over the host: it could mount without nodev")
  end
  for _, device in ipairs(named) do device.number, device.field = nil, nil end
  local personality = linux.personality or {}
  if personality.domain and personality.domain ~= "" and personality.domain ~= "LINUX" then
    fail("linux.personality.domain", "%q is not supported: LINUX is", personality.domain:sub(1, 80))
  end
  local propagation = linux.rootfsPropagation
  if propagation and propagation ~= "" and not PROPAGATION[propagation] then
    -- Engines say so of the root where a volume has to be that: each mount has its own here.
    if not propagation:find "^r?slave$" or not mounts.hears(entries) then
      fail("linux.rootfsPropagation", "%q is not supported", propagation:sub(1, 80))
    end
  end
  if process.cwd ~= "/" then
    table.insert(entries, { type = "directory", destination = process.cwd, existing = true })
  end
  if process.command.terminal and mounts.has_own_dev(entries) then
    -- The first terminal of its own.
    table.insert(entries, { type = "symlink", destination = "/dev/console", target = "pts/0", existing = true })
  end
  local ids, joined = ids_of(linux, kinds)
  local keys = {
    hostname = config.hostname ~= "" and config.hostname or nil,
    domainname = config.domainname ~= "" and config.domainname or nil,
    namespaces = kinds,
    ids = ids,
    user = process.user,
    root = { { type = "bind", source = rootfs, destination = "/", create = true, recursive = true, nosuid = false,
      nodev = true }, readonly = root.readonly or nil, propagation = PROPAGATION[propagation or ""] },
    mounts = entries, devices = #named > 0 and named or nil,
    masked_paths = schema.below_root(linux.maskedPaths, "linux.maskedPaths"),
    readonly_paths = schema.below_root(linux.readonlyPaths, "linux.readonlyPaths"),
    capabilities = sets,
    no_new_privs = process.no_new_privs,
    seccomp = linux.seccomp and seccomp_of.policy(linux.seccomp) or false, user_namespaces = true,
    keyrings = "own",
    sysctl = linux.sysctl,
    rlimits = process.rlimits,
    umask = process.umask,
    oom_score_adj = process.oom_score_adj, nice = process.nice,
    cwd = process.cwd,
    init = false, die_with_parent = false,
  }
  return { path = directory, container = keys, command = process.command, hooks = M.hooks(config.hooks or {}),
    annotations = config.annotations or {}, cgroup = cgroup_of(linux), config = config,
    rootfs = rootfs, joined = joined }
end

local function refused(path, message)
  return nil, Error.new { op = "config", path = path, message = message }
end

-- Calls what raises { refused = message }, and makes an error of that.
local function checked(path, call, ...)
  local ok, result = pcall(call, ...)
  if ok then return result end
  if type(result) == "table" and result.refused then return refused(path, result.refused) end
  error(result, 0)
end
M.checked = checked

--- Reads the JSON in a file, and checks its fields.
---@param path string
---@param at string?  what of a config.json it is
---@return table?, cella.error?, string? text
function M.document(path, at)
  local text, err = read_file(path, MOST_BYTES)
  if not text then return nil, err end
  local value, message = json.decode(text, MOST_BYTES)
  if message then return refused(path, message) end
  if type(value) ~= "table" then return refused(path, "an object expected") end
  local ok
  ok, err = checked(path, function()
    schema.check(value, at)
    return true
  end)
  if not ok then return nil, err end
  return value, nil, text
end

--- Reads a bundle: the directory that has a config.json. What a container of cella's cannot be is refused, with the
--- name of the field. Nothing happens yet: `cella.container(bundle.container)` makes the container.
---@param directory string
---@return cella.oci.bundle?, cella.error?
function M.read(directory)
  if type(directory) ~= "string" or directory == "" or directory:find "%z" then
    blame("bundle: the path of a directory expected, got " .. validate.show(directory))
  end
  local path = directory .. "/config.json"
  local config, err, text = M.document(path)
  if not config then return nil, err end
  local bundle
  bundle, err = checked(path, build, config, directory)
  if not bundle then return nil, err end
  bundle.text = text
  -- What the rules of a container refuse beyond that is of the document as well.
  local ok, box = pcall(container.new, bundle.container)
  if not ok then
    if Error.is(box) then return nil, box end
    return refused(path, (tostring(box):gsub("^[^ ]*:%d+: ", "")))
  end
  bundle.box = box
  return bundle
end

return M
