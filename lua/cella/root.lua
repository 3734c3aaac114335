--- Assembling a container's file system: mounts as steps of a plan.
--
-- Every mount is made detached, finished there (read-only and the rest), and then attached to a descriptor that
-- openat2(2) has resolved below the new root, as a process confined to it would: no link in the root leads to the
-- host, and nobody can exchange a path between the look and the act (pitfalls I12, I13, I16).

local validate = require "cella.validate"

local rule = validate.rule
local M = {}

local boolean = rule.boolean

-- The flags that every mount may have; what they are if not given depends on the type.
local ATTRIBUTES = { "readonly", "nosuid", "nodev", "noexec", "noatime", "nosymfollow" }
local KERNEL_NAME = { readonly = "rdonly" }

local function size(value, path)
  if type(value) == "number" then return rule.integer(1, 9007199254740991)(value, path) end
  rule.line(value, path)
  if not value:find("^%d+[kKmMgG%%]?$") or tonumber(value:match("%d+")) == 0 then
    validate.fail(path, 'bytes, or a string such as "64M" or "10%%" expected, got %s', validate.show(value))
  end
  return value
end

local types = {
  bind = {
    fields = { source = rule.path, recursive = boolean },
    required = { "source" },
    attributes = { nosuid = true, nodev = true },
  },
  tmpfs = {
    fields = { size = size, mode = rule.integer(0, 4095), inodes = rule.integer(1, 2147483647) },
    attributes = { nosuid = true, nodev = true },
  },
  proc = { attributes = { nosuid = true, nodev = true, noexec = true } },
  sysfs = { attributes = { nosuid = true, nodev = true, noexec = true, readonly = true } },
  mqueue = { attributes = { nosuid = true, nodev = true, noexec = true } },
  devpts = { attributes = { nosuid = true, noexec = true } },
  dev = { attributes = { nosuid = true, noexec = true } },
}

local type_names = {}
for name, kind in pairs(types) do
  type_names[#type_names + 1] = name
  local fields = { type = rule.string, destination = rule.absolute }
  for _, attribute in ipairs(ATTRIBUTES) do fields[attribute] = boolean end
  for key, check in pairs(kind.fields or {}) do fields[key] = check end
  local required = { "destination" }
  for _, key in ipairs(kind.required or {}) do required[#required + 1] = key end
  kind.rule = rule.record(fields, required)
end
table.sort(type_names)
local type_rule = rule.one_of(type_names)

local function clean(path)
  path = path:gsub("/+", "/"):gsub("/%.%f[/%z]", ""):gsub("/$", "")
  return path == "" and "/" or path
end

--- One entry of `mounts`.
function M.mount_rule(value, path)
  if type(value) ~= "table" then validate.fail(path, "a table expected, got %s", validate.show(value)) end
  if value.type == nil then validate.fail(validate.join(path, "type"), "missing") end
  local mount = types[type_rule(value.type, validate.join(path, "type"))].rule(value, path)
  if clean(mount.destination) == "/" then
    validate.fail(validate.join(path, "destination"), "what is at / is the business of `root`")
  end
  for attribute, default in pairs(types[mount.type].attributes) do
    if mount[attribute] == nil then mount[attribute] = default end
  end
  return mount
end

local root_record = rule.record({ path = rule.path, readonly = boolean }, { "path" })

--- `root`: a directory's path, or { path =, readonly = }. The host's own root is always read-only.
function M.root_rule(value, path)
  if type(value) == "string" then value = { path = rule.path(value, path) } end
  local root = root_record(value, path)
  if root.path:find("^/+$") then
    if root.readonly == false then
      validate.fail(validate.join(path, "readonly"), "the host's root is read-only in a container")
    end
    root.readonly = true
  end
  return root
end

local function attributes(mount)
  local list = {}
  for _, name in ipairs(ATTRIBUTES) do
    if mount[name] then list[#list + 1] = KERNEL_NAME[name] or name end
  end
  return list
end

local IN_ROOT = { "in_root", "no_magiclinks" }

-- Where a file system is ours (a tmpfs that this plan has mounted) missing parts of a path are made. Elsewhere that
-- would leave something on the host. The mount that covers a path is the latest one above it.
local function cover(state, destination)
  for i = #state.mounted, 1, -1 do
    local mounted = state.mounted[i]
    if mounted.at == "/" or destination:sub(1, #mounted.at + 1) == mounted.at .. "/" then return mounted.ours end
  end
  return nil
end

-- Attaches a mount; `ours` says that later ones may have directories made in it.
local function attach(plan, state, destination, slot, ours)
  destination = clean(destination)
  local within = cover(state, destination)
  if within then plan:make_target(destination, state.root, within, slot) end
  local target = plan:openat2(destination, "path", IN_ROOT, state.root)
  plan:move_mount(slot, target)
  plan:close(target)
  if not ours then plan:close(slot) end
  state.mounted[#state.mounted + 1] = { at = destination, ours = ours and slot }
end

local function new_filesystem(plan, fstype, options, mount)
  local context = plan:fsopen(fstype)
  plan:fsconfig(context, "string", "source", fstype)
  for _, option in ipairs(options) do
    plan:fsconfig(context, "string", option[1], option[2])
  end
  plan:fsconfig(context, "create")
  local slot = plan:fsmount(context, attributes(mount))
  plan:close(context)
  return slot
end

local make = {}

function make.bind(plan, state, mount)
  local recursive = mount.recursive ~= false
  local slot = plan:open_tree(mount.source, recursive and { "clone", "recursive" } or "clone")
  local set = attributes(mount)
  if #set > 0 then plan:mount_setattr(slot, recursive, set) end
  attach(plan, state, mount.destination, slot)
end

function make.tmpfs(plan, state, mount)
  local options = {}
  if mount.size then options[#options + 1] = { "size", ("%s"):format(mount.size) } end
  if mount.mode then options[#options + 1] = { "mode", ("%o"):format(mount.mode) } end
  if mount.inodes then options[#options + 1] = { "nr_inodes", ("%d"):format(mount.inodes) } end
  attach(plan, state, mount.destination, new_filesystem(plan, "tmpfs", options, mount), not mount.readonly)
end

local function plain(fstype)
  return function(plan, state, mount)
    attach(plan, state, mount.destination, new_filesystem(plan, fstype, {}, mount))
  end
end

make.proc, make.sysfs, make.mqueue = plain "proc", plain "sysfs", plain "mqueue"

-- 5 is the group `tty` of most distributions, which terminals belong to; it may be unmapped.
local function devpts_options(state)
  local options = { { "ptmxmode", "0666" }, { "mode", "0620" } }
  if state.maps_group(5) then options[#options + 1] = { "gid", "5" } end
  return options
end

function make.devpts(plan, state, mount)
  attach(plan, state, mount.destination, new_filesystem(plan, "devpts", devpts_options(state), mount))
end

-- Major and minor as Documentation/admin-guide/devices.txt has them.
local DEVICES = {
  { "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
}

local DEVICE_LINKS = {
  { "/proc/self/fd", "fd" }, { "/proc/self/fd/0", "stdin" }, { "/proc/self/fd/1", "stdout" },
  { "/proc/self/fd/2", "stderr" }, { "pts/ptmx", "ptmx" },
}

--- A minimal /dev: six devices of the host, each proved to be the device before it is bound; its own terminals and
--- shared memory.
function make.dev(plan, state, mount)
  local at = clean(mount.destination)
  attach(plan, state, at, new_filesystem(plan, "tmpfs", { { "mode", "0755" } }, mount), true)
  for _, device in ipairs(DEVICES) do
    local name, major, minor = device[1], device[2], device[3]
    local slot = plan:open_tree("/dev/" .. name, { "clone", "nofollow" })
    plan:expect_node(slot, "char", major, minor)
    plan:mount_setattr(slot, false, { "nosuid", "noexec" })
    attach(plan, state, at .. "/" .. name, slot)
  end
  local directory = plan:openat2(at, { "path", "directory" }, IN_ROOT, state.root)
  for _, link in ipairs(DEVICE_LINKS) do plan:symlink(link[1], link[2], directory) end
  plan:close(directory)
  local inner = { nosuid = true, noexec = true }
  attach(plan, state, at .. "/pts", new_filesystem(plan, "devpts", devpts_options(state), inner))
  inner.nodev = true
  attach(plan, state, at .. "/shm",
    new_filesystem(plan, "tmpfs", { { "mode", "1777" } }, inner))
end

--- Records the steps from the caller's mount namespace (a copy of it) to the finished root.
---@param plan cella.plan
---@param root { path: string, readonly: boolean? }
---@param mounts table[]
---@param maps_group fun(gid: integer): boolean  whether an ID exists inside
function M.record(plan, root, mounts, maps_group)
  -- Whatever we do must stay here, and nothing that the host mounts later may show up here, where it would not be
  -- read-only.
  plan:mount("none", "/", nil, { "rec", "private" })
  local state = { mounted = {}, maps_group = maps_group }
  state.root = plan:open_tree(root.path, { "clone", "recursive" })
  if root.readonly then plan:mount_setattr(state.root, true, "rdonly") end
  -- Over our own old root, which nobody will see again: so no directory has to be made to mount on.
  plan:move_mount(state.root, nil, "/")
  for _, mount in ipairs(mounts) do make[mount.type](plan, state, mount) end
  -- The new root stacks on the old one, which is then on top and comes off (pivot_root(2), NOTES).
  plan:fchdir(state.root)
  plan:pivot_root(".", ".")
  plan:umount2(".", "detach")
  plan:chdir("/")
end

return M
