--- Devices of the host, each proved to be the one that it should be (CVE-2025-31133): a minimal /dev, and masks.

local description = require "cella.root.description"
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
  local tmpfs = filesystem.new(plan, "tmpfs", { { "mode", "0755" } }, flags)
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
