--- Devices of the host, each proved to be the one that it should be (CVE-2025-31133): a minimal /dev, and masks.

local core = require "cella.core"
local description = require "cella.root.description"
local Error = require "cella.error"
local filesystem = require "cella.root.filesystem"
local place = require "cella.root.place"

local clean = description.clean
local M = { make = {} }

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
function M.make.dev(plan, state, mount)
  local at = clean(mount.destination)
  local flags = {}
  for key, value in pairs(mount) do flags[key] = value end
  flags.readonly = false -- before anything is in it
  local tmpfs = filesystem.new(plan, "tmpfs", filesystem.tmpfs_options { size = mount.size, inodes = mount.inodes,
    mode = mount.mode or "0755", owner = mount.owner }, flags)
  place.attach(plan, state, mount, tmpfs, "directory", true)
  local function put(name, slot, kind, set)
    place.attach(plan, state, { destination = at .. "/" .. name }, slot, kind, false, set)
  end
  for _, device in ipairs(DEVICES) do
    local name, major, minor = device[1], device[2], device[3]
    put(name, open_device(plan, name, major, minor, { "clone", "nofollow" }), "file", DEVICE_FLAGS)
  end
  for _, link in ipairs(DEVICE_LINKS) do
    plan:symlink(link[1], link[2], tmpfs)
    place.note_link(state, at .. "/" .. link[2])
  end
  local inner = { nosuid = true, noexec = true }
  put("pts", filesystem.new(plan, "devpts", filesystem.devpts_options(state), inner), "directory")
  inner.nodev = true
  put("shm", filesystem.new(plan, "tmpfs", { { "mode", "1777" } }, inner), "directory")
  if mount.readonly then plan:mount_setattr(tmpfs, false, "rdonly") end
end

-- Whether there is one, of those that need not be there.
local function is_there(device, host) return host.files[device.path].type ~= nil or not device.optional end

--- A device of the host's that somebody has named, or a directory of some: the node is bound, and nothing made of a
--- number. In a user namespace that is the only one that opens: whatever mknod(2) makes in there does not.
function M.make.device(plan, state, device)
  if not is_there(device, state.host) then return end
  local found = state.host.files[device.path]
  local is_directory = found.type == "directory"
  local slot = plan:open_tree(device.path, is_directory and { "clone", "recursive" } or "clone")
  if is_directory then
    plan:expect_not_root(slot)
  else
    local major, minor = found.number:match "^(%d+):(%d+)$"
    plan:expect_node(slot, found.type, math.floor(tonumber(major)), math.floor(tonumber(minor)))
  end
  place.attach(plan, state, device, slot, is_directory and "directory" or "file", false, DEVICE_FLAGS, is_directory)
end

--- Records, for who the program will be, that each can be opened.
---@param plan cella.plan
---@param devices table[]?
---@param host cella.Host
function M.expect(plan, devices, host)
  for _, device in ipairs(devices or {}) do
    if is_there(device, host) then plan:expect_device(device.destination) end
  end
end

--- Whether what is named is there, and a device.
---@param devices table[]?
---@param host cella.Host
---@return true?, cella.error?
function M.check(devices, host)
  for i, device in ipairs(devices or {}) do
    local found = host.files[device.path]
    local function refuse(code, message, why)
      return nil, Error.new { op = ("devices[%d]"):format(i), path = device.path, code = code, errno = found.errno,
        message = message, why = why }
    end
    if found.errno and not (device.optional and core.errno_name(found.errno) == "ENOENT") then
      local missing = core.errno_name(found.errno) == "ENOENT"
      return refuse(core.errno_name(found.errno), missing and "this host has no such device" or nil, missing
        and "its driver is not there, or not loaded; with `optional = true` the container starts without it" or nil)
    elseif found.type and found.type ~= "char" and found.type ~= "block" and found.type ~= "directory" then
      return refuse("ENODEV", ("this is a %s, and no device"):format(found.type),
        "other files of the host come into a container by `mounts`")
    end
  end
  return true
end

--- Covers paths: directories with an empty one, anything else with /dev/null.
function M.mask(plan, state, paths)
  if #paths == 0 then return end
  local null = open_device(plan, "null", 1, 3, "nofollow")
  plan:mkdir("empty", 493, state.staging)
  local empty = plan:openat2("empty", { "rdonly", "directory", "nofollow" }, { "beneath" }, state.staging)
  plan:fchmod(empty, 493) -- 0755, whatever the umask
  for _, path in ipairs(paths) do
    local target = plan:openat2(path, "path", place.IN_ROOT, state.root)
    plan:optional()
    plan:mask(target, null, empty)
    plan:close(target)
  end
  plan:close(null)
  plan:close(empty)
end

return M
