--- Assembling a container's file system: mounts as steps of a plan.
--
-- Every mount is made detached, and attached to a descriptor that openat2(2) has resolved below the new root, as a
-- process confined to it would: no link in the root leads to the host, and nobody can exchange a path between the look
-- and the act (CVE-2021-30465). It becomes read-only and the rest when it is attached, because Linux before
-- 5.12 changes no detached ones; nobody else is there yet.

local lazy = require "cella.lazy"
local blame = require "cella.blame"
local bind = require "cella.root.bind"
---@module "cella.root.readonly"
local readonly = lazy "cella.root.readonly"
local device = require "cella.root.device"
local entry = require "cella.root.entry"
local filesystem = require "cella.root.filesystem"
local host = require "cella.host"
---@module "cella.root.overlay"
local overlay = lazy "cella.root.overlay"
local place = require "cella.root.place"

local M = {}

-- What makes each type of mount or part: a function(plan, state, mount).
local make = {}
for _, module in ipairs { bind, device, entry, filesystem } do
  for name, maker in pairs(module.make) do make[name] = maker end
end
function make.overlay(...) return overlay.make.overlay(...) end

local function needs_staging(state, box)
  if #(box.masked_paths or {}) > 0 then return true end
  for _, list in ipairs { box.root, box.own or {}, box.mounts } do
    for _, mount in ipairs(list) do
      if mount.type == "proc" and filesystem.is_protected(state, mount) then return true end
      if mount.type == "overlay" and overlay.needs_staging(state, mount) then return true end
      if mount.type == "bind" and type(mount.source) == "table" and mount.source.content then return true end
    end
  end
  return false
end

-- What the host has is taken first: before its mounts here are cut off from it, where they are to hear of it.
local function open_root(plan, state, root)
  local mount = { type = "bind", source = root.source, idmap = root.idmap, propagation = root.propagation }
  state.keys[mount] = "root"
  state.root = bind.open_source(plan, state, mount)
  -- The host's own root may have been named in many ways.
  local of_host = bind.of_host_root(mount, state.host)
  state.readonly = root.readonly or of_host
  -- Whoever may have made them: a device is one wherever it lies.
  state.nodev = root.nodev ~= false
  if state.readonly and root.propagation == "slave" then
    blame("root.propagation: what the host mounts there later would not be read-only")
  end
  local propagation = root.propagation ~= "private" and root.propagation or nil
  if propagation then plan:mount_setattr(state.root, true, {}, nil, propagation) end
  -- The kernel pivots into no shared mount.
  if propagation == "shared" then plan:mount_setattr(state.root, false, {}, nil, "private") end
end

local function empty_root(plan, state, root)
  local options = filesystem.tmpfs_options { size = root.size, inodes = root.inodes, mode = root.mode or "755",
    owner = root.owner }
  state.root = filesystem.new(plan, "tmpfs", options, { nosuid = true, nodev = true })
  place.note(plan, state, "/", state.root)
end

-- Calls visit(mount) for every part of the root, for what the container has to itself, for every mount, and every
-- device that is named, in their order.
local function each(box, visit)
  for _, list in ipairs { box.root, box.own or {}, box.mounts, box.devices or {} } do
    for _, mount in ipairs(list) do visit(mount) end
  end
end

-- The new root stacks on the old one, which is then on top and comes off (pivot_root(2), NOTES).
local function pivot(plan, state)
  plan:fchdir(state.root)
  plan:pivot_root(".", ".")
  for _ = 1, state.below do plan:umount2(".", "detach") end -- roots that a later one lies over: they are on top of it
  plan:umount2(".", "detach")
  plan:chdir("/")
  plan:expect_root(state.root)
end

-- The finished root is copied into a mount namespace of another user namespace than that in which it was made: so the
-- kernel locks all of its mounts. By that those that are shared become slaves, of nobody, and others private.
local function lock(plan, state)
  plan:unshare("mount"):expect_locked_mounts()
  local root = plan:openat2("/", { "path", "directory" })
  for _, one in ipairs(state.propagated) do
    if place.is_seen(state, one.destination, one.number) then
      local target = plan:openat2(one.destination, "path", place.IN_ROOT, root)
      plan:only_with(one.slot)
      plan:mount_setattr(target, one.recursive, {}, nil, one.propagation)
      plan:close(target)
    end
  end
  return root
end

---@class cella.root.facts
---@field maps_group fun(gid: integer): boolean  whether a group exists inside
---@field unprivileged boolean  whether a new user namespace owns what is mounted
---@field maps table?       the ID maps of the container where it has others than the caller; for ID-mapped mounts
---@field unknown_maps boolean?  it has, but they are not known
---@field host cella.Host?  this one if nil
---@field obeyed boolean?   whether the container has an ID that the host's /proc obeys
---@field lock boolean?     whether the mounts are to be locked
---@field taken_by_caller boolean?  whether the caller takes what is bound, as who might reach more
---@field before_pivot (fun(child: userdata): true?, table?)?  for what is done when all mounts are there, and the old
---  root is still the root

--- Records the steps from the caller's mount namespace (a copy of it) to the finished root.
---@param plan cella.plan
---@param box table  the description: root, own (cella.root.own), mounts, masked_paths, readonly_paths
---@param facts cella.root.facts
---@return { entry: table?, size: integer }[]  up to which step of the plan it is about which part or mount, in their
---  order; nil: about none
function M.record(plan, box, facts)
  local root = box.root
  local state = {
    mounts = 0, mounted = {}, early = {}, keys = {}, below = 0, user_namespaces = {},
    maps_group = facts.maps_group, unprivileged = facts.unprivileged, maps = facts.maps,
    unknown_maps = facts.unknown_maps, host = facts.host or host.facts(), staged = 0, obeyed = facts.obeyed or false,
    masked = {}, made = {}, links = {}, led = 0, propagated = {}, taken_by_caller = facts.taken_by_caller,
  }
  for key, list in pairs { root = root, own = box.own or {}, mounts = box.mounts, devices = box.devices or {} } do
    for i, mount in ipairs(list) do state.keys[mount] = ("%s[%d]"):format(key, i) end
  end
  state.protects_below = root.readonly and not root.source
  -- Whether anything hears of what the host mounts.
  state.hears = root.source ~= nil and root.propagation == "slave"
  if state.hears then open_root(plan, state, root) end
  each(box, function(mount)
    if mount.propagation ~= "slave" then return end
    state.hears = true
    state.early[mount] = bind.open_source(plan, state, mount)
  end)
  -- Whatever we do must stay here, and nothing that the host mounts later may show up here, where it would not be
  -- read-only.
  plan:mount("none", "/", nil, { "rec", "private" })
  if not root.source then
    empty_root(plan, state, root)
  elseif not state.root then
    open_root(plan, state, root)
  end
  local done = {}
  local function note(mount) done[#done + 1] = { entry = mount, size = plan.recorder:size() } end
  -- Taken before anything lies over it, or they would have the new root in them.
  each(box, function(mount)
    if not state.early[mount] and bind.comes_first(mount, state.host) then
      note(nil)
      state.early[mount] = bind.open_source(plan, state, mount)
      note(mount)
    elseif mount.type == "overlay" then
      overlay.open_relative(plan, state, mount)
    end
  end)
  -- Over our own old root, which nobody will see again: so no directory has to be made to mount on.
  plan:move_mount(state.root, nil, "/")
  if state.readonly then plan:mount_setattr(state.root, true, "rdonly") end
  if state.nodev then plan:mount_setattr(state.root, true, "nodev") end
  if needs_staging(state, box) then
    -- It has to be mounted somewhere while overlays and covers are made of it. They keep it.
    state.staging = filesystem.new(plan, "tmpfs", { { "mode", "0700" } }, { nosuid = true, nodev = true })
    plan:move_mount(state.staging, state.root)
  end
  note(nil)
  each(box, function(mount)
    if mount.reserved then mount.target = place.reserve(plan, state, mount.destination) end
    make[mount.type](plan, state, mount)
    note(mount)
  end)
  for _, path in ipairs(box.readonly_paths or {}) do readonly.record(plan, state, path) end
  for _, path in ipairs(box.masked_paths or {}) do state.masked[#state.masked + 1] = path end
  device.mask(plan, state, state.masked)
  if state.staging and state.below > 0 then
    state.below = state.below + 1 -- it carries the root that lies over the first, and stays behind with that
  elseif state.staging then
    plan:fchdir(state.staging)
    plan:umount2(".", "detach")
  end
  if root.readonly and not root.source then plan:mount_setattr(state.root, false, "rdonly") end
  if facts.before_pivot then plan:meet(facts.before_pivot, "before_pivot") end
  pivot(plan, state)
  -- What a later part lies over is not seen any more.
  local shared = state.shared_root
  if shared == nil then shared = root.propagation == "shared" end
  local top = facts.lock and lock(plan, state) or state.root
  if shared then plan:mount_setattr(top, false, {}, nil, "shared") end
  return done
end

return M
