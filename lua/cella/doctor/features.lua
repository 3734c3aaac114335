--- What a host may allow, and how each is tried: by a start, or by the call itself in a process of its own. Nothing is
--- left behind, and nothing takes longer than a few seconds.

local container = require "cella.container"
local core = require "cella.core"
local Error = require "cella.error"
local files = require "cella.host.file"
local filter = require "cella.explain.filter"
local kinds = require "cella.kinds"
local obstacles = require "cella.explain.obstacles"
local open = require "cella.open"
local place = require "cella.cgroup.place"
local cgroup = require "cella.cgroup"
local Plan = require "cella.plan"
local policy = require "cella.policy"
local remedies = require "cella.doctor.remedies"
local rights = require "cella.landlock.rights"
local status = require "cella.host.status"

local SECONDS = 10 -- for one try; against a hang

---@class cella.doctor.feature
---@field name string
---@field group string
---@field about string   what it is, in a few words
---@field needs string?  the feature without which there is no use in trying
---@field try fun(context: table): true|false|nil, string?|cella.error?, string?  whether it works, nil where that has
---  no meaning here; then what there is to say, or the error; then the remedy, where the error has none

-- Starts what `record` puts into a plan, without a program. True, or false and the error.
local function perform(options, record)
  local made, plan, err = pcall(function()
    local plan = Plan.new(options)
    if record then record(plan) end
    return plan
  end)
  local process
  if made then
    process, err = plan:spawn { setup_timeout = SECONDS, timeout = SECONDS }
  elseif Error.is(plan) then
    err = plan
  else
    error(plan, 0)
  end
  if not process then return false, err end
  local result
  result, err = process:wait()
  process:close()
  return result ~= nil, err
end

-- The caller's own ID as root's: what anybody may map.
local function own_ids(host)
  return policy.resolve(policy.root(), host)
end

local function in_mapped_namespace(context, namespaces, record)
  local ids, err = own_ids(context.host)
  if not ids then return false, err end
  local all = { "user" }
  for _, name in ipairs(namespaces) do all[#all + 1] = name end
  return perform({ namespaces = all, ids = { uid = ids.uid, gid = ids.gid, via = ids.via, setgroups = ids.setgroups,
    text = ids.text } }, record)
end

-- Nobody has an ID there.
local function in_user_namespace(namespaces, record)
  local all = { "user" }
  for _, name in ipairs(namespaces) do all[#all + 1] = name end
  return perform({ namespaces = all }, record)
end

-- Starts a container with these keys, and `true` in it.
local function start(keys)
  local made, box = pcall(container.new, keys)
  if not made then
    if Error.is(box) then return false, box end
    error(box, 0)
  end
  local result, err = box:run { "true", stdin = "null", stdout = "null", stderr = "null", timeout = SECONDS,
    setup_timeout = SECONDS }
  if not result then return false, err end
  if result.code == 0 then return true end
  return false, Error.new { op = "true", message = ("%s %s"):format(result.reason, tostring(result.code
    or result.signal)) }
end

local function limit_of(namespace)
  local key, value = obstacles.limit(namespace)
  return value and ("%s is %s"):format(key, value) or nil
end

local list = {}

---@param feature cella.doctor.feature
local function add(feature) list[#list + 1] = feature end

add { name = "start", group = "processes", about = "a process by clone3(2), which executes cella's runner",
  try = function()
    -- A filter that kills would kill this process.
    for _, call in ipairs { "memfd_create", "clone3" } do
      local seen = obstacles.filter(call)
      if seen and filter.kills(call) then
        return false, Error.new { op = call, message = "is not called", why = seen.says, remedy = seen.remedy }
      end
    end
    return perform {}
  end }

add { name = "user", group = "namespaces", about = "user namespaces", needs = "start",
  try = function()
    local ok, err = in_user_namespace {}
    return ok, ok and limit_of "user" or err
  end }

for _, kind in ipairs(kinds.list) do
  if kind ~= "user" then
    -- `cgroup` is what limits resources.
    add { name = kind == "cgroup" and "cgroupns" or kind, group = "namespaces", needs = "user",
      about = ("%s namespaces"):format(kind),
      try = function()
        local ok, err
        if kind == "time" then
          ok, err = in_user_namespace({}, function(plan) plan:unshare "time" end)
        else
          ok, err = in_user_namespace { kind }
        end
        return ok, ok and limit_of(kind) or err
      end }
  end
end

add { name = "map", group = "namespaces", about = "the caller's own ID in a user namespace", needs = "user",
  try = function(context)
    local ok, err = in_mapped_namespace(context, {})
    return ok, not ok and err or nil
  end }

add { name = "nested", group = "namespaces", about = "user namespaces in one", needs = "map",
  try = function(context)
    local ok, err = in_mapped_namespace(context, {}, function(plan) plan:unshare "user" end)
    return ok, not ok and err or nil
  end }

local function is_privileged(host) return host.capabilities.setuid and host.capabilities.setgid end

local function spans(ranges)
  local words = {}
  for i, range in ipairs(ranges) do
    words[i] = ("%.0f-%.0f"):format(range.first, range.first + range.count - 1)
  end
  return table.concat(words, ", ")
end

add { name = "ranges", group = "IDs", about = "subordinate IDs of the caller (subuid(5), subgid(5))",
  try = function(context)
    local host = context.host
    local uids, gids = host.subuid, host.subgid
    if #uids > 0 and #gids > 0 then
      return true, ("uids %s; gids %s (source: %s)"):format(spans(uids), spans(gids), host.subid_source)
    elseif is_privileged(host) then
      return nil, "none, and a caller with CAP_SETUID and CAP_SETGID needs none"
    end
    local _, err = policy.resolve(policy.subids(), host)
    return false, err, not rawget(host, "subid_problem") and remedies.ranges(host) or nil
  end }

-- A directory of PATH that does not answer: to look for a program there would take for ever.
local function silent_directory()
  for directory in (os.getenv "PATH" or ""):gmatch "[^:]+" do
    if directory:sub(1, 1) == "/" then
      local fd, message, errno = open.bounded(directory)
      if fd then fd:close() end
      if core.errno_name(errno or 0) == "ETIMEDOUT" then
        return Error.new { op = "open", path = directory, errno = errno, message = message:match ": (.*)$",
          why = "this directory of PATH does not answer: nothing can be looked for behind it" }
      end
    end
  end
  return nil
end

local function find_program(host, name)
  local err = silent_directory()
  if err then return nil, nil, err end
  return host[name], host[name .. "_problem"]
end

local NO_HELPER = "whoever has no CAP_SETUID and CAP_SETGID maps subordinate IDs by it"

for _, kind in ipairs { "uid", "gid" } do
  local name = "new" .. kind .. "map"
  add { name = name, group = "IDs", about = "the helper that writes maps of subordinate IDs",
    try = function(context)
      local host = context.host
      local path, problem, silent = find_program(host, name)
      if silent then return false, silent end
      local file = problem and problem:match "^(/.-) lies on a noexec"
      local seen = (path or file) and obstacles.helper_file(path or file)
      if not path then
        return false, Error.new { op = name, code = not problem and "ENOENT" or nil, remedy = seen and seen.remedy
          or not problem and obstacles.INSTALL_HELPERS or nil, why = problem or NO_HELPER,
          message = problem and "cannot be executed" or "is not installed" }
      elseif seen then
        return false, Error.new { op = name, path = path, message = "gives nobody privileges", why = seen.says,
          remedy = seen.remedy }
      end
      return true, path
    end }
end

add { name = "ids", group = "IDs", about = "more than one ID in a container", needs = "user",
  try = function(context)
    local host = context.host
    local ids, err
    if is_privileged(host) then
      ids, err = policy.resolve(policy.default(), host)
    elseif silent_directory() then
      return false, silent_directory()
    else
      ids, err = policy.resolve(policy.subids(), host)
    end
    if not ids then
      local lacks_ranges = not is_privileged(host) and not rawget(host, "subid_problem") and #host.subuid == 0
      return false, err, lacks_ranges and remedies.ranges(host) or nil
    end
    local ok
    ok, err = perform { namespaces = { "user" }, ids = { uid = ids.uid, gid = ids.gid, via = ids.via, text = ids.text,
      setgroups = ids.setgroups, helper = ids.helper, newuidmap = ids.via == "helper" and host.newuidmap or nil,
      newgidmap = ids.via == "helper" and host.newgidmap or nil } }
    return ok, ok and ("written by %s"):format(ids.via == "helper" and "newuidmap and newgidmap" or "this process")
      or err
  end }

add { name = "container", group = "containers", about = "the default container", needs = "user",
  try = function(context)
    local ok, err = start {}
    local kept = context.host.capabilities
    return ok, ok and (kept.setuid and kept.setgid and "65,536 IDs of its own" or "one ID, the caller's") or err
  end }

add { name = "proc", group = "file systems", about = "a fresh /proc", needs = "map",
  try = function(context)
    local ok, err = in_mapped_namespace(context, { "mount", "pid" }, function(plan)
      local context_fd = plan:fsopen "proc"
      plan:fsconfig(context_fd, "create")
      plan:fsmount(context_fd)
    end)
    return ok, not ok and err or nil
  end }

add { name = "overlay", group = "file systems", about = "an overlay in a user namespace", needs = "map",
  try = function(context)
    -- The directories of its own tmpfs: what the host has may be of a kind that takes no overlay.
    local ok, err = in_mapped_namespace(context, { "mount" }, function(plan)
      local tmpfs = plan:fsopen "tmpfs"
      plan:fsconfig(tmpfs, "create")
      local tree = plan:fsmount(tmpfs)
      local at = plan:openat2("/", { "path", "directory" })
      plan:move_mount(tree, at)
      local root = plan:openat2("/..", { "path", "directory" })
      for _, name in ipairs { "lower", "upper", "work" } do plan:mkdir(name, 493, root) end
      local overlay = plan:fsopen "overlay"
      for _, name in ipairs { "lower", "upper", "work" } do
        local directory = plan:openat2(name, { "path", "directory" }, nil, root)
        plan:fsconfig_at(overlay, name .. "dir", directory)
      end
      plan:fsconfig(overlay, "create")
      plan:fsmount(overlay)
    end)
    return ok, not ok and err or nil
  end }

add { name = "idmapped", group = "file systems", about = "an ID-mapped mount of /etc", needs = "container",
  try = function()
    local ok, err = start { mounts = { { type = "bind", source = "/etc", destination = "/run/etc", recursive = false,
      readonly = true, idmap = true } } }
    return ok, not ok and err or nil
  end }

add { name = "cgroup", group = "cgroups", about = "a cgroup of its own for a container", needs = "container",
  try = function(context)
    local ok, err = start { cgroup = {} }
    if not ok then return false, err, remedies.cgroup(err, context.host) end
    local where = place.find(cgroup.facts(), nil, {})
    return true, where and ("below %s"):format(where.directory) or nil
  end }

-- The first of the CPUs that this process may run on.
local function first_cpu()
  local allowed = status.field(files.read "/proc/self/status" or "", "Cpus_allowed_list")
  return allowed and allowed:match "^%d+" or "0"
end

-- A limit that no program notices, by controller.
local CONTROLLERS = {
  { "memory", function() return { memory = 268435456 } end }, { "pids", function() return { pids = 64 } end },
  { "cpu", function() return { cpu_weight = 100 } end }, { "cpuset", function() return { cpuset = first_cpu() } end },
}

for _, one in ipairs(CONTROLLERS) do
  local controller, keys = one[1], one[2]
  add { name = "cgroup." .. controller, group = "cgroups", about = ("limits by the controller %s"):format(controller),
    needs = "cgroup",
    try = function(context)
      local ok, err = start { cgroup = keys() }
      if not ok then return false, err, remedies.cgroup(err, context.host) end
      return true
    end }
end

-- A limit of it names a disk, which there need not be.
add { name = "cgroup.io", group = "cgroups", about = "limits by the controller io", needs = "cgroup",
  try = function(context)
    local where, err = place.find(cgroup.facts(), nil, { "io" })
    if not where then return false, err, remedies.cgroup(err, context.host) end
    return true
  end }

add { name = "nft", group = "networks", about = "rules for where a container may send, by nft(8)", needs = "container",
  try = function()
    local ok, err = start { network = { type = "none", allow = {} } }
    return ok, not ok and err or nil
  end }

add { name = "pasta", group = "networks", about = "a user-mode network, by pasta(1) or slirp4netns(1)",
  needs = "container",
  try = function()
    local ok, err = start { network = "user" }
    return ok, not ok and err or nil
  end }

add { name = "seccomp", group = "confinement", about = "seccomp filters, by which a container has no keys",
  needs = "user",
  try = function()
    local ok, err = in_user_namespace({}, function(plan) plan:no_new_privs():deny_keys() end)
    local own = status.field(files.read "/proc/thread-self/status" or "", "Seccomp_filters")
    return ok, not ok and err or own and own ~= "0" and ("this process is under %s filter%s"):format(own,
      own == "1" and "" or "s") or nil
  end }

-- What later ones have added.
local function landlock_lacks(abi)
  local names = {}
  for _, name in ipairs(rights.up_to(rights.NEWEST)) do
    if rights.since(name) > abi then
      names[#names + 1] = ("%s (Linux %s)"):format(name, rights.kernel(rights.since(name)))
    end
  end
  return #names > 0 and ", which lacks " .. table.concat(names, ", ") or ""
end

local UNKNOWN_CALL, NOT_ON = "ENOSYS", "EOPNOTSUPP"

add { name = "landlock", group = "confinement",
  about = "rules about files, ports and other processes (landlock(7))",
  try = function()
    local level = core.answer "landlock_create_ruleset"
    if level and level > 0 then return true, ("ABI %d%s"):format(level, landlock_lacks(level)) end
    local code = level and core.errno_name(-level)
    local why
    if code == NOT_ON then
      why = "the kernel has it, and it is not among its security modules"
    elseif code == UNKNOWN_CALL and not filter.is_there() then
      why = "this kernel does not have it (Linux 5.13, CONFIG_SECURITY_LANDLOCK)"
    end
    return false, Error.new { op = "landlock_create_ruleset", errno = level and -level or nil, why = why,
      message = not level and "there was no answer" or nil }, code == NOT_ON and remedies.landlock or nil
  end }

add { name = "pidfd", group = "confinement", about = "descriptors of processes (pidfd_open(2))",
  try = function()
    local answer, expected = core.answer "pidfd_open"
    if answer and answer == expected then return true end
    local fields = { op = "pidfd_open", errno = answer and -answer or nil,
      message = not answer and "there was no answer" or nil }
    local seen = obstacles.filter "pidfd_open"
    fields.why, fields.remedy = seen and seen.says, seen and seen.remedy
    return false, Error.new(fields)
  end }

return list
