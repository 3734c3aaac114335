--- What `root` and `mounts` of a container may say.

local mapping = require "cella.mapping"
local modes = require "cella.mode"
local sizes = require "cella.size"
local validate = require "cella.validate"

local rule = validate.rule
local M = {}

local boolean = rule.boolean

-- The flags that every mount may have; what they are if not given depends on the type.
local ATTRIBUTES = { "readonly", "nosuid", "nodev", "noexec", "noatime", "strictatime", "nodiratime", "nosymfollow" }
local KERNEL_NAME = { readonly = "rdonly" }

local mode = modes.rule

local MOST_PERCENT = 1000

-- The kernel takes a number with a leading 0 for octal, and of one that is too large what is left of it in 64 bits:
-- nothing, or no limit at all.
local function size(value, path)
  if type(value) == "number" then return rule.integer(1, sizes.MOST)(value, path) end
  rule.line(value, path)
  local percent = tonumber(value:match "^(%d+)%%$")
  local bytes = sizes.bytes(value)
  if value:find "^0" or not percent and not bytes then
    validate.fail(path, 'bytes, or a string such as "64M" or "10%%" expected, got %s', validate.show(value))
  elseif percent and percent > MOST_PERCENT or bytes and bytes > sizes.MOST then
    validate.fail(path, "%s is more than there can be", validate.show(value))
  end
  return value
end

-- Whose it is, as IDs inside.
local ids_inside = rule.record { uid = rule.id, gid = rule.id }

local function owner(value, path)
  if type(value) ~= "table" then validate.fail(path, "{ uid =, gid = } expected, got %s", validate.show(value)) end
  local copy = ids_inside(value, path)
  if not copy.uid and not copy.gid then validate.fail(path, "uid or gid is missing") end
  return copy
end

local inodes = rule.integer(1, 2147483647)
local descriptor = rule.record({ fd = rule.integer(0, 2147483647) }, { "fd" })

local function content(value, path)
  if type(value) ~= "string" then validate.fail(path, "a string expected, got %s", validate.show(value)) end
  return value
end

local data = rule.record({ content = content, mode = mode }, { "content" })

-- A path, { fd = N } for what a descriptor stands for, or { content = "…" } for a file that is nowhere else.
local function source(value, path)
  if type(value) ~= "table" then return rule.path(value, path) end
  return (rawget(value, "content") and data or descriptor)(value, path)
end

local directories = rule.list(function(value, path)
  return (type(value) == "table" and descriptor or rule.path)(value, path)
end)

-- One, or several: paths and { fd = N }.
local function lower(value, path)
  local one = type(value) == "string" or type(value) == "table" and rawget(value, "fd")
  local list = directories(one and { value } or value, path)
  if #list == 0 then validate.fail(path, "the list is empty") end
  return list
end

-- Which ID inside is which on disk; true: they are the same.
local ids_on_disk = rule.record({ uid = mapping.map_rule, gid = mapping.map_rule }, { "uid", "gid" })

local function idmap(value, path)
  if value == true then return value end
  if type(value) ~= "table" then
    validate.fail(path, "true, or { uid =, gid = } expected, got %s", validate.show(value))
  end
  return ids_on_disk(value, path)
end

-- Only what is the host's can receive what the host mounts later.
local propagation = rule.one_of { "private", "shared", "unbindable" }
local bind_propagation = rule.one_of { "private", "shared", "slave", "unbindable" }

-- Those that have a type of their own, which sees to what in them is the host's.
local OWN_TYPE = { proc = "proc", sysfs = "sysfs" }

local function fstype(value, path)
  rule.line(value, path)
  if OWN_TYPE[value] then
    validate.fail(path, '%s is a type of its own, which protects what acts on the host: type = "%s"',
      validate.show(value), OWN_TYPE[value])
  end
  return value
end

local LONGEST_OPTION = 255

-- "key=value", or "key" alone: as they are for the kernel (fsconfig(2)).
local function option(value, path)
  rule.text(value, path)
  local key, text = value:match "^([^=]+)=?(.*)$"
  if not key then
    validate.fail(path, '"key=value" or "key" expected, got %s', validate.show(value))
  elseif key == "source" then
    validate.fail(path, "what is mounted is said by the key `source`")
  elseif #key > LONGEST_OPTION or #text > LONGEST_OPTION then
    validate.fail(path, "a key and a value have at most %d bytes each", LONGEST_OPTION)
  end
  return value
end

local PRIVATE = { nosuid = true, nodev = true, noexec = true }

local types = {
  bind = {
    -- `create`: what later entries need may be made in it, on the host.
    fields = {
      source = source, recursive = boolean, optional = boolean, create = boolean, idmap = idmap,
      propagation = bind_propagation,
    },
    required = { "source" },
    attributes = { nosuid = true, nodev = true },
    at_root = true,
  },
  tmpfs = {
    fields = { size = size, mode = mode, inodes = inodes, owner = owner },
    attributes = { nosuid = true, nodev = true },
    at_root = true,
  },
  overlay = {
    fields = { lower = lower, upper = rule.path, work = rule.path, create = boolean, idmap = idmap },
    required = { "lower" },
    attributes = { nosuid = true, nodev = true },
    at_root = true,
  },
  proc = {
    -- `protect`: its switches are read-only.
    fields = {
      protect = boolean,
      subset = rule.one_of { "pid" },
      hidepid = rule.one_of { "off", "noaccess", "invisible", "ptraceable" },
    },
    attributes = PRIVATE,
  },
  sysfs = { attributes = { nosuid = true, nodev = true, noexec = true, readonly = true } },
  cgroup2 = { attributes = { nosuid = true, nodev = true, noexec = true, readonly = true } },
  mqueue = { attributes = PRIVATE },
  -- `group`: that of its terminals.
  devpts = {
    fields = { mode = mode, group = rule.id, ptmxmode = mode },
    attributes = { nosuid = true, noexec = true },
  },
  dev = {
    fields = { size = size, mode = mode, inodes = inodes, owner = owner },
    attributes = PRIVATE, -- its devices are mounts of their own
  },
  -- Any that the kernel has, by its name.
  filesystem = {
    fields = { fstype = fstype, source = rule.text, options = rule.list(option) },
    required = { "fstype" },
    attributes = { nosuid = true, nodev = true },
  },
  -- These mount nothing: they are made on a file system of the container's own.
  -- `existing`: what is there already is as good (of a file: it is overwritten, and has another mode only if one is
  -- given).
  file = {
    fields = { content = content, mode = mode, owner = owner, existing = boolean },
    required = { "content" },
    entry = true,
  },
  symlink = { fields = { target = rule.path, existing = boolean }, required = { "target" }, entry = true },
  directory = { fields = { mode = mode, owner = owner, existing = boolean }, entry = true },
  -- These change what is there: the flags of one mount, and the mode of one file or directory.
  remount = { at_root = true, change = true },
  chmod = { fields = { mode = mode }, required = { "mode" }, entry = true, at_root = true },
}

local type_names = {}
for name, kind in pairs(types) do
  type_names[#type_names + 1] = name
  local fields = { type = rule.string, destination = rule.absolute, parents = mode }
  if not kind.entry then
    for _, attribute in ipairs(ATTRIBUTES) do fields[attribute] = boolean end
    if not kind.change then fields.propagation = propagation end
  end
  for key, check in pairs(kind.fields or {}) do fields[key] = check end
  local required = { "destination" }
  for _, key in ipairs(kind.required or {}) do required[#required + 1] = key end
  kind.rule = rule.record(fields, required, nil, "mount")
end
table.sort(type_names)
local type_rule = rule.one_of(type_names)

--- A path without what means nothing in it: doubled and trailing slashes, and ".".
function M.clean(path)
  path = path:gsub("/+", "/"):gsub("/%.%f[/%z]", ""):gsub("/$", "")
  return path == "" and "/" or path
end

-- What the host mounts later comes as the host has it.
local function check_slave(mount, path)
  if mount.propagation == "slave" and mount.readonly then
    validate.fail(validate.join(path, "propagation"), "what the host mounts there later would not be read-only")
  end
end

local function check_bind(mount, path)
  check_slave(mount, path)
  if type(mount.source) ~= "table" then return end
  if mount.optional then validate.fail(validate.join(path, "optional"), "only a path may lead to nothing") end
  if not mount.source.content then return end
  for _, key in ipairs { "idmap", "propagation" } do
    if mount[key] then validate.fail(validate.join(path, key), "a file from data is the container's own") end
  end
end

-- It sets flags, and cannot take any away: the kernel may have locked them.
local function check_remount(mount, path)
  local says = false
  for _, attribute in ipairs(ATTRIBUTES) do
    says = says or mount[attribute]
    if mount[attribute] == false then
      validate.fail(validate.join(path, attribute), "a remount takes no flag away: true expected, got false")
    end
  end
  if not says then validate.fail(path, "a remount sets flags, readonly for one, and there is none") end
end

local function entry_rule(value, path)
  validate.check_plain(value, path, '{ type = "bind", source = "/src", destination = "/src" }, or one of another type')
  if value.type == nil then
    validate.fail(validate.join(path, "type"), "missing; it is one of %s", table.concat(type_names, ", "))
  end
  local mount = types[type_rule(value.type, validate.join(path, "type"))].rule(value, path)
  if mount.type == "overlay" and (mount.upper == nil or mount.upper == "tmpfs") ~= (mount.work == nil) then
    validate.fail(path, "upper and work go together (on the same file system), or upper is \"tmpfs\"")
  end
  if mount.type == "bind" then check_bind(mount, path) end
  if mount.type == "directory" and mount.existing and mount.owner then
    validate.fail(validate.join(path, "owner"), "a directory that may be there already is left as it is")
  end
  if mount.type == "remount" then check_remount(mount, path) end
  if mount.noatime and mount.strictatime then validate.fail(path, "noatime and strictatime exclude each other") end
  for attribute, default in pairs(types[mount.type].attributes or {}) do
    if mount[attribute] == nil then mount[attribute] = default end
  end
  return mount
end

--- One entry of `mounts`.
function M.mount_rule(value, path)
  local mount = entry_rule(value, path)
  if M.clean(mount.destination) == "/" then
    validate.fail(validate.join(path, "destination"), "what is at / is the business of `root`")
  end
  return mount
end

local list_of_mounts = rule.list(M.mount_rule)

--- `mounts`: a list. One mount alone, and a table from places to places, are what people write instead.
function M.mounts_rule(value, path)
  if type(value) == "table" and getmetatable(value) == nil then
    local least
    for key in next, value do
      if type(key) == "string" and (least == nil or key < least) then least = key end
    end
    if least and value[1] == nil then
      validate.fail(path, 'a list of mounts expected, { { type = "bind", source = "/src", destination = "/src" } }, '
        .. "got a table with the key %q", #least < 80 and least or least:sub(1, 80) .. "...")
    end
  end
  return list_of_mounts(value, path)
end

--- One part of a root: it may also lie over those before it.
function M.part_rule(value, path)
  local mount = entry_rule(value, path)
  if M.clean(mount.destination) == "/" then
    if not types[mount.type].at_root then
      validate.fail(validate.join(path, "destination"), "a %s cannot be a root", mount.type)
    elseif mount.optional then
      validate.fail(validate.join(path, "optional"), "there has to be a root")
    end
  end
  return mount
end

--- The flags of a mount as the kernel names them.
---@return string[]
function M.attributes(mount)
  local list = {}
  for _, name in ipairs(ATTRIBUTES) do
    if mount[name] then list[#list + 1] = KERNEL_NAME[name] or name end
  end
  return list
end

local root_propagation = rule.one_of { "private", "shared", "slave" }
local directory_root = rule.record({ path = rule.path, fd = rule.integer(0, 2147483647), readonly = boolean,
  nodev = boolean, idmap = idmap, propagation = root_propagation }, nil, nil, "root")
local parts_root = rule.record({ readonly = boolean, size = size, mode = mode, inodes = inodes, owner = owner,
  propagation = rule.one_of { "private", "shared" } }, nil, M.part_rule, "root")

--- `root`: "system", what the host's programs need of its files; a directory's path; { path = or fd =, readonly =,
--- nodev =, idmap =, propagation = }; or a list of parts, put together on an empty tmpfs. The host's own root is always
--- read-only. What a directory is taken from becomes its `source`.
function M.root_rule(value, path)
  if value == "system" then return { system = true, readonly = true } end
  if type(value) == "string" then value = { path = rule.path(value, path) } end
  validate.check_plain(value, path, '"system", a directory, { path = ... } or a list of parts')
  if value.path == nil and value.fd == nil then return parts_root(value, path) end
  local root = directory_root(value, path)
  if root.path and root.fd then validate.fail(path, "path and fd exclude each other") end
  if root.path and root.path:find("^/+$") then
    if root.readonly == false then
      validate.fail(validate.join(path, "readonly"), "the host's root is read-only in a container")
    end
    root.readonly = true
  end
  check_slave(root, path)
  root.source = root.path or { fd = root.fd }
  return root
end

local device_fields = rule.record({ path = rule.absolute, destination = rule.absolute, optional = boolean }, { "path" },
  nil, "device")

-- What is no device of its own, and of which nobody can say what is in it.
local NOT_TO_BE_HAD = {
  ["/"] = "a device, or a directory of some, expected",
  ["/dev"] = "these are all that the host has: name those that are to be there",
  ["/dev/pts"] = "these are the terminals of others: a container has its own",
}

local function device(value, path)
  if type(value) == "string" then value = { path = rule.absolute(value, path) } end
  validate.check_plain(value, path, '"/dev/fuse", or { path = "/dev/fuse", optional = true }')
  local one = device_fields(value, path)
  one.path = M.clean(one.path)
  if NOT_TO_BE_HAD[one.path] then validate.fail(validate.join(path, "path"), "%s", NOT_TO_BE_HAD[one.path]) end
  one.destination = M.clean(one.destination or one.path)
  if one.destination == "/" then validate.fail(validate.join(path, "destination"), "a device cannot be a root") end
  one.type = "device"
  return one
end

local list_of_devices = rule.list(device)

--- `devices`: what of the host's /dev is there: paths, or { path =, destination =, optional = }.
function M.devices_rule(value, path)
  if type(value) == "string" then
    validate.fail(path, 'a list expected, { %q }, got a string', #value < 80 and value or "/dev/fuse")
  end
  local list, seen = list_of_devices(value, path), {}
  for i, one in ipairs(list) do
    if seen[one.destination] then
      validate.fail(validate.join(path, i), "there is one at %s already", validate.show(one.destination))
    end
    seen[one.destination] = true
  end
  return list
end

-- What the OCI runtimes cover or make read-only in /proc and /sys (their "default" lists): facts about the host that
-- tell, or switches that act, beyond the container.
local MASKED = { "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/scsi",
  "/proc/sched_debug", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware" }
local READONLY = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" }

local function path_list(default, instead)
  local list = rule.list(function(value, path)
    if M.clean(rule.absolute(value, path)) == "/" then
      validate.fail(path, "the root cannot be covered%s", instead)
    end
    return value
  end)
  return function(value, path)
    if value == "default" then return default end
    if type(value) == "string" then
      validate.fail(path, 'a list of paths, or "default" expected, got %s', validate.show(value))
    end
    return list(value, path)
  end
end

--- `masked_paths` and `readonly_paths`: lists of paths inside, or "default". What is not there needs no covering.
M.masked_rule = path_list(MASKED, "")
M.readonly_rule = path_list(READONLY, ": `readonly` of the key `root` makes it read-only")

return M
