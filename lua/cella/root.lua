--- Assembling a container's file system: mounts as steps of a plan.
--
-- Every mount is made detached, and attached to a descriptor that openat2(2) has resolved below the new root, as a
-- process confined to it would: no link in the root leads to the host, and nobody can exchange a path between the look
-- and the act (pitfalls I12, I13, I16). It becomes read-only and the rest when it is attached, because Linux before
-- 5.12 changes no detached ones; nobody else is there yet.

local core = require "cella.core"
local description = require "cella.root.description"

local attributes, clean = description.attributes, description.clean
local M = {}

local IN_ROOT = { "in_root", "no_magiclinks" }

-- Where a file system is ours (a tmpfs that this plan has mounted) missing parts of a path are made. Elsewhere that
-- would leave something on the host. The mount that covers a path is the latest one above it.
local function cover(state, destination)
  for i = #state.mounted, 1, -1 do
    local mounted = state.mounted[i]
    if mounted.at == "/" or destination:sub(1, #mounted.at + 1) == mounted.at .. "/" then
      return mounted.ours, mounted.create
    end
  end
  return nil
end

-- Makes what is missing of a path, where that is allowed. (Where the caller has allowed it on the host, a mount's own
-- flags and the caller's rights decide.)
local function make_target(plan, state, destination, mount, like, mode)
  local within, create = cover(state, destination)
  if not within and not create then return false end
  plan:make_target(destination, state.root, within, like, mount.parents, mode)
  return true
end

-- Attaches a mount; `ours` says that later ones may have things made in it. `set` are flags for it and, if
-- `recursive`, for all that is mounted below it.
local function attach(plan, state, mount, slot, ours, set, recursive)
  local destination = clean(mount.destination)
  local at_root = destination == "/"
  if not at_root and make_target(plan, state, destination, mount, slot) and mount.optional then plan:only_with(slot) end
  local target = plan:openat2(destination, "path", IN_ROOT, state.root)
  if mount.optional then plan:only_with(slot) end
  plan:move_mount(slot, target)
  plan:close(target)
  if set and #set > 0 then plan:mount_setattr(slot, recursive or false, set) end
  if at_root then
    state.root, state.below = slot, state.below + 1
  elseif not ours then
    plan:close(slot)
  end
  state.mounted[#state.mounted + 1] = { at = destination, ours = ours and slot or nil, create = mount.create }
end

-- The directory of something that is to be made, on a file system of ours, and its name.
local function open_parent(plan, state, mount)
  local destination = clean(mount.destination)
  local parent, name = destination:match("^(.*)/([^/]+)$")
  parent = parent == "" and "/" or parent
  local within, create = cover(state, destination)
  if not within and not create then
    error(("%s: a %s can be made only where a tmpfs of the container's own is: nothing is created on the host")
      :format(mount.destination, mount.type), 0)
  end
  if parent ~= "/" then plan:make_target(parent, state.root, within, nil, mount.parents) end
  local slot = plan:openat2(parent, { "path", "directory" }, IN_ROOT, state.root)
  if within then plan:expect_same_filesystem(slot, within) end
  return slot, name
end

local function new_filesystem(plan, fstype, options, mount, before_create)
  local context = plan:fsopen(fstype)
  plan:fsconfig(context, "string", "source", fstype)
  for _, option in ipairs(options) do
    plan:fsconfig(context, option[2] and "string" or "flag", option[1], option[2])
  end
  if before_create then before_create(context) end
  plan:fsconfig(context, "create")
  local slot = plan:fsmount(context, attributes(mount))
  plan:close(context)
  return slot
end

local function tmpfs_options(mount)
  local options = {}
  if mount.size then options[#options + 1] = { "size", ("%s"):format(mount.size) } end
  if mount.mode then options[#options + 1] = { "mode", ("%o"):format(mount.mode) } end
  if mount.inodes then options[#options + 1] = { "nr_inodes", ("%d"):format(mount.inodes) } end
  return options
end

local make = {}

-- A file of which there is a mount, and no name anywhere.
local function data_file(plan, state, data)
  state.scratched = (state.scratched or 0) + 1
  local name = ("data%d"):format(state.scratched)
  local file = plan:openat2(name, { "wronly", "creat", "excl", "nofollow" }, { "beneath" }, state.scratch, 384)
  plan:write(file, data.content)
  plan:fchmod(file, data.mode or 384) -- 0600
  plan:close(file)
  return plan:open_tree(name, { "clone", "nofollow" }, state.scratch)
end

-- Whether a bind is one of the host's whole root, which the new root is about to lie over.
local function of_host_root(mount)
  if mount.type ~= "bind" then return false end
  local source = mount.source
  if type(source) == "table" then source = source.fd and ("/proc/self/fd/%d"):format(source.fd) or "" end
  return core.same_file(source, "/") == true
end

local function open_source(plan, mount)
  local flags = mount.recursive ~= false and { "clone", "recursive" } or { "clone" }
  local slot
  if type(mount.source) == "table" then
    local input = plan:input_descriptor(mount.source.fd)
    slot = plan:open_tree_of(input, flags)
    plan:close(input)
  else
    slot = plan:open_tree(mount.source, flags)
  end
  if mount.optional then plan:optional() end
  return slot
end

function make.bind(plan, state, mount)
  local data = type(mount.source) == "table" and mount.source.content and mount.source
  local slot = state.early[mount] or data and data_file(plan, state, data) or open_source(plan, mount)
  attach(plan, state, mount, slot, false, attributes(mount), mount.recursive ~= false)
end

function make.tmpfs(plan, state, mount)
  attach(plan, state, mount, new_filesystem(plan, "tmpfs", tmpfs_options(mount), mount), not mount.readonly)
end

local function readonly_path(plan, state, path)
  local target = plan:openat2(path, "path", IN_ROOT, state.root)
  plan:optional()
  local slot = plan:open_tree("", { "clone", "recursive" }, target)
  plan:move_mount(slot, target)
  plan:mount_setattr(slot, true, "rdonly")
  plan:close(slot)
  plan:close(target)
end

local SWITCHES = { "sys", "sysrq-trigger", "irq", "bus" }

function make.proc(plan, state, mount)
  local options = {}
  if mount.subset then options[#options + 1] = { "subset", mount.subset } end
  if mount.hidepid then options[#options + 1] = { "hidepid", mount.hidepid } end
  attach(plan, state, mount, new_filesystem(plan, "proc", options, mount))
  for _, name in ipairs(mount.protect and SWITCHES or {}) do
    readonly_path(plan, state, clean(mount.destination) .. "/" .. name)
  end
end

local function plain(fstype)
  return function(plan, state, mount)
    attach(plan, state, mount, new_filesystem(plan, fstype, {}, mount))
  end
end

make.sysfs, make.mqueue, make.cgroup2 = plain "sysfs", plain "mqueue", plain "cgroup2"

-- 5 is the group `tty` of most distributions, which terminals belong to; it may be unmapped.
local function devpts_options(state)
  local options = { { "ptmxmode", "0666" }, { "mode", "0620" } }
  if state.maps_group(5) then options[#options + 1] = { "gid", "5" } end
  return options
end

function make.devpts(plan, state, mount)
  attach(plan, state, mount, new_filesystem(plan, "devpts", devpts_options(state), mount))
end

-- Major and minor as Documentation/admin-guide/devices.txt has them.
local DEVICES = {
  { "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
}

local DEVICE_LINKS = {
  { "/proc/self/fd", "fd" }, { "/proc/self/fd/0", "stdin" }, { "/proc/self/fd/1", "stdout" },
  { "/proc/self/fd/2", "stderr" }, { "pts/ptmx", "ptmx" },
}

local function open_device(plan, name, major, minor, flags)
  local slot = plan:open_tree("/dev/" .. name, flags)
  plan:expect_node(slot, "char", major, minor)
  return slot
end

-- Writing to a device works on a read-only mount; changing its mode, which its owner could, does not.
local DEVICE_FLAGS = { "rdonly", "nosuid", "noexec" }

--- A minimal /dev: six devices of the host, each proved to be the device before it is bound; its own terminals and
--- shared memory.
function make.dev(plan, state, mount)
  local at = clean(mount.destination)
  attach(plan, state, mount, new_filesystem(plan, "tmpfs", { { "mode", "0755" } }, mount), true)
  local function put(name, slot, set) attach(plan, state, { destination = at .. "/" .. name }, slot, false, set) end
  for _, device in ipairs(DEVICES) do
    local name, major, minor = device[1], device[2], device[3]
    put(name, open_device(plan, name, major, minor, { "clone", "nofollow" }), DEVICE_FLAGS)
  end
  local directory = plan:openat2(at, { "path", "directory" }, IN_ROOT, state.root)
  for _, link in ipairs(DEVICE_LINKS) do plan:symlink(link[1], link[2], directory) end
  plan:close(directory)
  local inner = { nosuid = true, noexec = true }
  put("pts", new_filesystem(plan, "devpts", devpts_options(state), inner))
  inner.nodev = true
  put("shm", new_filesystem(plan, "tmpfs", { { "mode", "1777" } }, inner))
end

-- Separators of overlay's own (mount(8), overlay).
local function escaped(path)
  return (path:gsub("[\\:]", "\\%0"))
end

--- Lower directories are given from the top to the bottom, as overlay(5) has them. `upper = "tmpfs"` keeps what is
--- written as long as the container.
function make.overlay(plan, state, mount)
  local lower = {}
  for i, path in ipairs(mount.lower) do lower[i] = escaped(path) end
  local options = { { "lowerdir", table.concat(lower, ":") } }
  -- In a user namespace overlay keeps its notes in attributes that are allowed there.
  if state.unprivileged then options[#options + 1] = { "userxattr" } end
  if mount.upper and mount.upper ~= "tmpfs" then
    options[#options + 1] = { "upperdir", escaped(mount.upper) }
    options[#options + 1] = { "workdir", escaped(mount.work) }
  end
  attach(plan, state, mount, new_filesystem(plan, "overlay", options, mount, function(context)
    if mount.upper ~= "tmpfs" then return end
    state.scratched = (state.scratched or 0) + 1
    local upper, work = ("upper%d"):format(state.scratched), ("work%d"):format(state.scratched)
    plan:mkdir(upper, 493, state.scratch)
    plan:mkdir(work, 493, state.scratch)
    plan:fsconfig_at(context, "upperdir", state.scratch, upper)
    plan:fsconfig_at(context, "workdir", state.scratch, work)
  end))
end

function make.file(plan, state, mount)
  local parent, name = open_parent(plan, state, mount)
  local slot
  if mount.existing then
    -- A link there is followed, as a process in the container would.
    slot = plan:openat2(clean(mount.destination), { "wronly", "creat", "trunc" }, IN_ROOT, state.root, 384)
  else
    slot = plan:openat2(name, { "wronly", "creat", "excl", "nofollow" }, { "beneath" }, parent, 384)
  end
  plan:write(slot, mount.content)
  plan:fchmod(slot, mount.mode or 420) -- 0644, whatever the umask
  plan:close(slot)
  plan:close(parent)
end

function make.symlink(plan, state, mount)
  local parent, name = open_parent(plan, state, mount)
  plan[mount.existing and "make_symlink" or "symlink"](plan, mount.target, name, parent)
  plan:close(parent)
end

-- Sees to a directory, and changes none.
local function existing_directory(plan, state, mount)
  local destination = clean(mount.destination)
  make_target(plan, state, destination, mount, nil, mount.mode or 493)
  plan:close(plan:openat2(destination, { "path", "directory" }, IN_ROOT, state.root))
end

function make.directory(plan, state, mount)
  if mount.existing then return existing_directory(plan, state, mount) end
  local parent, name = open_parent(plan, state, mount)
  plan:mkdir(name, 448, parent)
  local slot = plan:openat2(name, { "rdonly", "directory", "nofollow" }, { "beneath" }, parent)
  plan:fchmod(slot, mount.mode or 493) -- 0755
  plan:close(slot)
  plan:close(parent)
end

function make.remount(plan, state, mount)
  local at_root = clean(mount.destination) == "/"
  local target = at_root and state.root or plan:openat2(mount.destination, "path", IN_ROOT, state.root)
  plan:mount_setattr(target, false, attributes(mount))
  if not at_root then plan:close(target) end
end

function make.chmod(plan, state, mount)
  local target = plan:openat2(mount.destination, "path", IN_ROOT, state.root)
  plan:fchmod(target, mount.mode)
  plan:close(target)
end

local function mask_paths(plan, state, paths)
  if #paths == 0 then return end
  local null = open_device(plan, "null", 1, 3, "nofollow")
  plan:mkdir("empty", 493, state.scratch)
  local empty = plan:openat2("empty", { "rdonly", "directory", "nofollow" }, { "beneath" }, state.scratch)
  plan:fchmod(empty, 493) -- 0755, whatever the umask
  for _, path in ipairs(paths) do
    local target = plan:openat2(path, "path", IN_ROOT, state.root)
    plan:optional()
    plan:mask(target, null, empty)
    plan:close(target)
  end
  plan:close(null)
  plan:close(empty)
end

local function needs_scratch(box)
  if #(box.masked_paths or {}) > 0 then return true end
  for _, list in ipairs { box.root, box.mounts } do
    for _, mount in ipairs(list) do
      if mount.type == "overlay" and mount.upper == "tmpfs" then return true end
      if mount.type == "bind" and type(mount.source) == "table" and mount.source.content then return true end
    end
  end
  return false
end

--- Records the steps from the caller's mount namespace (a copy of it) to the finished root.
---@param plan cella.plan
---@param box table  the description: root, mounts, masked_paths, readonly_paths
---@param facts { maps_group: (fun(gid: integer): boolean), unprivileged: boolean }  whether a group exists inside;
---  whether a new user namespace owns what is mounted
---@return { entry: table, size: integer }[]  after which step of the plan each part and mount is done
function M.record(plan, box, facts)
  local root = box.root
  -- The host's own root may have been named in many ways.
  local readonly = root.readonly or root.path and core.same_file(root.path, "/")
  local state = {
    mounted = {}, early = {}, below = 0, maps_group = facts.maps_group, unprivileged = facts.unprivileged,
  }
  -- Whatever we do must stay here, and nothing that the host mounts later may show up here, where it would not be
  -- read-only.
  plan:mount("none", "/", nil, { "rec", "private" })
  if root.path then
    state.root = plan:open_tree(root.path, { "clone", "recursive" })
  else
    local options = tmpfs_options { size = root.size, inodes = root.inodes, mode = root.mode or 493 }
    state.root = new_filesystem(plan, "tmpfs", options, { nosuid = true, nodev = true })
    state.mounted[1] = { at = "/", ours = state.root }
  end
  -- Taken before anything lies over it, or they would have the new root in them.
  local done = {}
  for _, list in ipairs { root, box.mounts } do
    for _, mount in ipairs(list) do
      if of_host_root(mount) then state.early[mount] = open_source(plan, mount) end
    end
  end
  -- Over our own old root, which nobody will see again: so no directory has to be made to mount on.
  plan:move_mount(state.root, nil, "/")
  if root.path and readonly then plan:mount_setattr(state.root, true, "rdonly") end
  if needs_scratch(box) then
    -- It has to be mounted somewhere while overlays and covers are made of it. They keep it.
    state.scratch = new_filesystem(plan, "tmpfs", { { "mode", "0700" } }, { nosuid = true, nodev = true })
    plan:move_mount(state.scratch, state.root)
  end
  for _, list in ipairs { root, box.mounts } do
    for _, mount in ipairs(list) do
      make[mount.type](plan, state, mount)
      done[#done + 1] = { entry = mount, size = plan.recorder:size() }
    end
  end
  for _, path in ipairs(box.readonly_paths or {}) do readonly_path(plan, state, path) end
  mask_paths(plan, state, box.masked_paths or {})
  if state.scratch and state.below > 0 then
    state.below = state.below + 1 -- it carries the root that lies over the first, and stays behind with that
  elseif state.scratch then
    plan:fchdir(state.scratch)
    plan:umount2(".", "detach")
  end
  if root.readonly and not root.path then plan:mount_setattr(state.root, false, "rdonly") end
  -- The new root stacks on the old one, which is then on top and comes off (pivot_root(2), NOTES).
  plan:fchdir(state.root)
  plan:pivot_root(".", ".")
  for _ = 1, state.below do plan:umount2(".", "detach") end -- roots that a later one lies over: they are on top of it
  plan:umount2(".", "detach")
  plan:chdir("/")
  plan:expect_root(state.root)
  return done
end

return M
