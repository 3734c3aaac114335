--- Where something goes: every destination is resolved below the new root, as a process confined to it would.

local description = require "cella.root.description"

local clean = description.clean
local M = {}

local IN_ROOT = { "in_root", "no_magiclinks" }
M.IN_ROOT = IN_ROOT

--- Notes what lies at a destination from here on: a mount of ours (its slot), or one in which `create` allows to make
--- things.
function M.note(state, destination, ours, create)
  state.mounts = state.mounts + 1
  state.mounted[destination] = { number = state.mounts, ours = ours, create = create }
end

-- Where a file system is ours (a tmpfs that this plan has mounted) missing parts of a path are made. Elsewhere that
-- would leave something on the host. The mount that covers a path is the latest one above it.
local function cover(state, destination)
  local latest = state.mounted["/"]
  for slash in destination:gmatch "()/" do
    local mounted = state.mounted[destination:sub(1, slash - 1)]
    if mounted and (not latest or mounted.number > latest.number) then latest = mounted end
  end
  if latest then return latest.ours, latest.create end
  return nil
end

-- Makes what is missing of a path, where that is allowed. (Where the caller has allowed it on the host, a mount's own
-- flags and the caller's rights decide.)
function M.make_target(plan, state, destination, mount, like, mode)
  local within, create = cover(state, destination)
  if not within and not create then return false end
  plan:make_target(destination, state.root, within, like, mount.parents, mode)
  return true
end

--- Opens the place of a mount that nobody has asked for by name: it is made where the file system is ours; elsewhere,
--- if there is none, the slot stays empty and what depends on it is left out.
---@return cella.slot
function M.reserve(plan, state, destination)
  local within = cover(state, destination)
  if within then plan:make_target(destination, state.root, within) end
  local target = plan:openat2(destination, "path", IN_ROOT, state.root)
  if not within then plan:optional() end
  return target
end

--- Whether a mount is to be the root, and shared: the kernel pivots into no shared mount (pivot_root(2)), so that it
--- becomes so afterwards.
function M.is_shared_root(mount)
  return mount.propagation == "shared" and mount.destination ~= nil and clean(mount.destination) == "/"
end

-- Attaches a mount; `ours` says that later ones may have things made in it. `set` are flags for it and, if `recursive`,
-- for all that is mounted below it.
function M.attach(plan, state, mount, slot, ours, set, recursive)
  local destination = clean(mount.destination)
  local at_root = destination == "/"
  if not at_root and not mount.target then
    local made = M.make_target(plan, state, destination, mount, slot)
    if made and mount.optional then plan:only_with(slot) end
  end
  local target = mount.target
  if not target then
    target = plan:openat2(destination, "path", IN_ROOT, state.root)
    if mount.optional then plan:only_with(slot) end
  end
  plan:move_mount(slot, target)
  plan:close(target)
  if set and #set > 0 then plan:mount_setattr(slot, recursive or false, set) end
  if at_root then
    state.root, state.below = slot, state.below + 1
    state.shared_root = M.is_shared_root(mount)
  elseif not ours then
    plan:close(slot)
  end
  M.note(state, destination, ours and slot or nil, mount.create)
end

-- The directory of something that is to be made, on a file system of ours, and its name.
function M.open_parent(plan, state, mount)
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

return M
