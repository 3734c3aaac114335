--- The mounts of a config.json as those of a container.

local ascii = require "cella.ascii"
local core = require "cella.core"
local host = require "cella.host"
local schema = require "cella.oci.read.schema"
local validate = require "cella.validate"

local fail = schema.fail
local M = {}

-- What an option says of a mount: { key, value }, or true where it says how it is anyway.
local FLAGS = {
  defaults = true, rw = { "readonly", false }, ro = { "readonly", true }, rro = { "readonly", true },
  suid = { "nosuid", false }, nosuid = { "nosuid", true }, rnosuid = { "nosuid", true },
  dev = { "nodev", false }, nodev = { "nodev", true }, rnodev = { "nodev", true }, exec = { "noexec", false },
  noexec = { "noexec", true }, rnoexec = { "noexec", true }, noatime = { "noatime", true },
  rnoatime = { "noatime", true }, atime = { "noatime", false }, strictatime = { "strictatime", true },
  nostrictatime = { "strictatime", false }, nodiratime = { "nodiratime", true }, diratime = { "nodiratime", false },
  relatime = true, norelatime = true, async = true, nosymfollow = { "nosymfollow", true },
  symfollow = { "nosymfollow", false }, nolazytime = true, nomand = true, loud = true,
  -- What is said of a bind holds for all below it anyway.
  rnosymfollow = { "nosymfollow", true }, rstrictatime = { "strictatime", true }, rrelatime = true,
  rnodiratime = { "nodiratime", true },
}

local PROPAGATION = { private = "private", rprivate = "private", shared = "shared", rshared = "shared", slave = "slave",
  rslave = "slave", unbindable = "unbindable", runbindable = "unbindable" }

-- Those that a type of file system takes beside: how each becomes a key.
local function same(key) return function(value) return key, value end end
local function number(key)
  return function(value, path)
    if not value:find "^[0-9]+$" or #value > 10 then fail(path, "a number expected, got %q", value) end
    return key, tonumber(value)
  end
end
local function octal(key)
  return function(value, path)
    if not value:find "^[0-7]+$" or #value > 5 then fail(path, "an octal mode expected, got %q", value) end
    return key, value
  end
end

local function size(value, path)
  -- As the kernel reads it: k, m, g, t, p, e behind it, or a part of the memory.
  local digits, unit = value:match "^([0-9]+)([kKmMgGtT%%]?)$"
  if not digits then fail(path, "a size expected, got %q", value) end
  return "size", digits:gsub("^0+(.)", "%1") .. ascii.upper(unit)
end

local VALUES = {
  tmpfs = { size = size, mode = octal "mode", nr_inodes = number "inodes", uid = number "uid", gid = number "gid" },
  devpts = { mode = octal "mode", gid = number "gid", ptmxmode = octal "ptmxmode" },
  proc = { hidepid = same "hidepid", subset = same "subset" },
}
VALUES.dev = VALUES.tmpfs

-- Words of a type that say how it is anyway.
local WORDS = { devpts = { newinstance = true } }

local HIDEPID = { ["0"] = "off", ["1"] = "noaccess", ["2"] = "invisible", ["4"] = "ptraceable" }

local function take_option(mount, option, path)
  local name, value = option:match "^([^=]*)=(.*)$"
  local flag = FLAGS[option]
  if flag == true or (WORDS[mount.type] or {})[option] then return end
  if flag then
    mount[flag[1]] = flag[2]
  elseif PROPAGATION[option] then
    mount.propagation = PROPAGATION[option]
  elseif option == "bind" or option == "rbind" then
    mount.recursive = option == "rbind"
  elseif option == "tmpcopyup" and mount.type == "tmpfs" then
    mount.copies_up = path
  elseif option == "idmap" or option == "ridmap" then
    mount.wants_idmap = option
  elseif mount.type == "filesystem" then
    table.insert(mount.options, option) -- for the kernel, which knows it or refuses
  elseif name and (VALUES[mount.type] or {})[name] then
    local key, result = VALUES[mount.type][name](value, path)
    mount[key] = result
  else
    fail(path, "the option %q of a %s is not supported", option:sub(1, 80), mount.type)
  end
end

local TYPES = { tmpfs = "tmpfs", proc = "proc", sysfs = "sysfs", mqueue = "mqueue", devpts = "devpts",
  cgroup = "cgroup2", cgroup2 = "cgroup2", bind = "bind" }

local function is_bind(entry)
  if entry.type == "bind" then return true end
  for _, option in ipairs(entry.options or {}) do
    if option == "bind" or option == "rbind" then return true end
  end
  return false
end

local function type_of(entry, path)
  if is_bind(entry) then return "bind" end
  local name = schema.required(entry.type, path .. ".type")
  if name == "" or name == "none" then fail(path .. ".type", "missing: a file system's, or bind among options") end
  return TYPES[name] or "filesystem"
end

local MOST_EXTENTS = 340 -- user_namespaces(7)

-- A list of mappings as that of a key.
function M.mappings(list, path)
  local result = {}
  if #list > MOST_EXTENTS then fail(path, "%d extents; the kernel allows %d", #list, MOST_EXTENTS) end
  for i, one in ipairs(list) do
    local at = ("%s[%d]"):format(path, i - 1)
    local function field(name, low)
      local value = schema.required(one[name], at .. "." .. name)
      return schema.within(value, at .. "." .. name, low, 4294967295)
    end
    result[i] = { inside = field("containerID", 0), outside = field("hostID", 0), count = field("size", 1) }
  end
  return result
end

-- The text of a path that stands below a directory, if it does not start at the root.
function M.below(path, directory)
  return path:sub(1, 1) == "/" and path or directory .. "/" .. path
end

local DEV = "/dev"
local MOST = 1024 -- each costs system calls, and looks at others

local function finish(mount, entry, path, bundle)
  if mount.type == "bind" then
    local source = schema.required(entry.source, path .. ".source")
    if source == "" then fail(path .. ".source", "the path is empty") end
    mount.source = M.below(source, bundle)
    if mount.recursive == nil then mount.recursive = false end
  end
  if mount.uid or mount.gid then
    mount.owner, mount.uid, mount.gid = { uid = mount.uid, gid = mount.gid }, nil, nil
  end
  if mount.type == "devpts" then mount.group, mount.gid = mount.owner and mount.owner.gid, nil end
  if mount.type == "devpts" then mount.owner = nil end
  if mount.hidepid then mount.hidepid = HIDEPID[mount.hidepid] or mount.hidepid end
  local maps = { uid = entry.uidMappings or {}, gid = entry.gidMappings or {} }
  if mount.wants_idmap or #maps.uid > 0 or #maps.gid > 0 then
    if mount.type ~= "bind" then fail(path .. ".uidMappings", "only a bind can be ID-mapped") end
    if #maps.uid == 0 or #maps.gid == 0 then fail(path, "uidMappings and gidMappings go together") end
    -- Without either word the specification has the mount alone mapped, too.
    if mount.recursive and mount.wants_idmap ~= "ridmap" then
      fail(path .. ".options", "rbind and uidMappings without \"ridmap\" are not supported: what is mounted below is "
        .. "mapped with it")
    end
    mount.idmap = { uid = M.mappings(maps.uid, path .. ".uidMappings"),
      gid = M.mappings(maps.gid, path .. ".gidMappings") }
    mount.wants_idmap = nil
  end
end

-- What a tmpfs is to begin with, is what the image has there: that is nothing, or it is refused. Looked up as a process
-- in there would.
local function check_copy(mount, rootfs)
  local path = mount.copies_up
  mount.copies_up = nil
  local root = core.open(rootfs, { "path", "directory" })
  local place = root and core.sys.openat2(mount.destination, { "rdonly", "directory", "nonblock" },
    { "in_root", "no_magiclinks" }, root:number())
  local names = place and core.list_directory(("/proc/self/fd/%d"):format(place))
  if place then core.sys.close(place) end
  if root then root:close() end
  if names and #names > 0 then
    fail(path, "tmpcopyup is not supported where the root has something at %s", mount.destination)
  end
end

-- A cgroup file system shows what the cgroup namespace has: without one of the container's own, that of the host.
local function check_cgroup(mount, kinds, path)
  if kinds.cgroup ~= "host" then return end
  if not mount.readonly then
    fail(path .. ".options", "not supported without \"ro\" where there is no cgroup namespace: it is the host's")
  end
  if kinds.user == "host" and host.facts().initial then return end
  -- In a user namespace only a cgroup namespace that belongs to it can be mounted.
  for key in pairs(mount) do
    if key ~= "destination" then mount[key] = nil end
  end
  mount.type, mount.source, mount.readonly, mount.recursive = "bind", "/sys/fs/cgroup", true, true
  mount.nosuid, mount.nodev, mount.noexec = true, true, true
end

--- Whether one of them hears of what the host mounts later.
---@param list table[]  of `of`
---@return boolean
function M.hears(list)
  for _, mount in ipairs(list) do
    if mount.propagation == "slave" or mount.propagation == "shared" then return true end
  end
  return false
end

--- Whether /dev is a container's own.
---@param list table[]  of `of`
---@return boolean
function M.has_own_dev(list)
  for _, mount in ipairs(list) do
    if mount.type == "dev" then return true end
  end
  return false
end

-- Whether a mount is that of a device of the host's, which can be opened there: engines bind those that a runtime could
-- not make in a user namespace.
local function is_device(mount, entry)
  if mount.type ~= "bind" then return false end
  for _, option in ipairs(entry.options or {}) do
    if option == "nodev" or option == "rnodev" then return false end
  end
  local kind = host.facts().files[mount.source].type
  return kind == "char" or kind == "block"
end

-- What is said of the mount of a device and is so anyway. It is read-only: a device is written to there all the same,
-- and rw, as engines write it, says no more. Nothing is mounted below it that slave could be about.
local OF_DEVICES = { bind = true, rbind = true, rw = true, ro = true, rro = true, nosuid = true, rnosuid = true,
  noexec = true, rnoexec = true, dev = true, private = true, rprivate = true, slave = true, rslave = true,
  atime = true, diratime = true, nostrictatime = true, symfollow = true }

local function check_device(entry, path)
  for i, option in ipairs(entry.options or {}) do
    if not OF_DEVICES[option] and FLAGS[option] ~= true then
      fail(("%s.options[%d]"):format(path, i - 1), "the option %q of a device is not supported", option:sub(1, 80))
    end
  end
  if #(entry.uidMappings or {}) > 0 then fail(path .. ".uidMappings", "not supported of a device") end
end

local function clean(path) return (path:gsub("/+", "/"):gsub("(.)/$", "%1")) end

-- A file system that is read-only has room for the mounts in it, which have no places there yet: it becomes so when all
-- is mounted, as in other runtimes. Engines mount /dev so, and /dev/shm in it.
local function defer_readonly(list)
  -- From the last to the first, with the places of those behind each as a tree: there may be many.
  local tree, holds = {}, {}
  for i = #list, 1, -1 do
    local node = tree
    for name in list[i].destination:gmatch "[^/]+" do
      node[name] = node[name] or {}
      node = node[name]
    end
    holds[i] = node ~= tree and next(node) ~= nil
  end
  for i = 1, #list do
    local mount = list[i]
    if holds[i] and mount.readonly and mount.type ~= "bind" then
      mount.readonly = nil
      list[#list + 1] = { type = "remount", destination = mount.destination, readonly = true }
    end
  end
end

--- The mounts, as the key `mounts` takes them. What a runtime makes in /dev is there with the mount of it: six devices
--- of the host, and links. Raises { refused = message }.
---@param list table[]?
---@param bundle string
---@param rootfs string
---@param kinds table  the namespaces
---@return table[] mounts, table[] devices  what is mounted; devices of the host that are bound by themselves
function M.of(list, bundle, rootfs, kinds)
  local result, devices, has_dev = {}, {}, false
  if #(list or {}) > MOST then fail("mounts", "more than %d", MOST) end
  for i, entry in ipairs(list or {}) do
    local path = ("mounts[%d]"):format(i - 1)
    local destination = schema.required(entry.destination, path .. ".destination")
    if destination:sub(1, 1) ~= "/" then fail(path .. ".destination", "an absolute path expected") end
    schema.by(validate.rule.absolute, destination, path .. ".destination")
    if clean(destination) == "/" then fail(path .. ".destination", "what is at / is said by root.path") end
    local mount = { type = type_of(entry, path), destination = destination,
      nosuid = false, nodev = true, noexec = false }
    if mount.type == "filesystem" then
      mount.fstype, mount.source, mount.options = entry.type, entry.source ~= "" and entry.source or nil, {}
    end
    if mount.type == "sysfs" or mount.type == "cgroup2" then mount.readonly = false end
    if mount.type == "proc" then mount.protect = false end -- readonlyPaths and maskedPaths say what is
    if clean(destination) == DEV then
      has_dev = true
      if mount.type == "tmpfs" then mount.type, mount.nodev = "dev", nil end
    end
    if mount.type == "devpts" then mount.nodev = nil end
    for j, option in ipairs(entry.options or {}) do
      take_option(mount, option, ("%s.options[%d]"):format(path, j - 1))
    end
    if mount.type == "devpts" or mount.type == "dev" then mount.nodev = nil end
    finish(mount, entry, path, bundle)
    -- As in the root, what is mounted in it is given a place there: an engine's files in a volume at /run.
    if mount.type == "bind" and not mount.readonly then mount.create = true end
    if mount.copies_up then check_copy(mount, rootfs) end
    if mount.type == "cgroup2" then check_cgroup(mount, kinds, path) end
    if is_device(mount, entry) then
      check_device(entry, path)
      devices[#devices + 1] = { path = mount.source, destination = destination, field = path }
    else
      result[#result + 1] = mount
    end
  end
  defer_readonly(result)
  if not has_dev then table.insert(result, 1, { type = "dev", destination = DEV, nosuid = true, noexec = false }) end
  return result, devices
end

return M
