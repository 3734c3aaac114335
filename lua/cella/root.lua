--- Assembling a container's file system: mounts as steps of a plan.
--
-- Every mount is made detached, finished there (read-only and the rest), and then attached to a descriptor that
-- openat2(2) has resolved below the new root, as a process confined to it would: no link in the root leads to the
-- host, and nobody can exchange a path between the look and the act (pitfalls I12, I13, I16).

local bind = require "cella.root.bind"
local core = require "cella.core"
local cover = require "cella.root.cover"
local device = require "cella.root.device"
local entry = require "cella.root.entry"
local filesystem = require "cella.root.filesystem"
local overlay = require "cella.root.overlay"
local place = require "cella.root.place"

local M = {}

-- What makes each type of mount or part: a function(plan, state, mount).
local make = {}
for _, module in ipairs { bind, device, entry, filesystem, overlay } do
  for name, maker in pairs(module.make) do make[name] = maker end
end

local function needs_scratch(box)
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
    mounts = 0, mounted = {}, early = {}, below = 0, maps_group = facts.maps_group, unprivileged = facts.unprivileged,
  }
  -- Whatever we do must stay here, and nothing that the host mounts later may show up here, where it would not be
  -- read-only.
  plan:mount("none", "/", nil, { "rec", "private" })
  if root.path then
    state.root = plan:open_tree(root.path, { "clone", "recursive" })
    if readonly then plan:mount_setattr(state.root, true, "rdonly") end
  else
    local options = filesystem.tmpfs_options { size = root.size, inodes = root.inodes, mode = root.mode or 493 }
    state.root = filesystem.new(plan, "tmpfs", options, { nosuid = true, nodev = true })
    place.note(state, "/", state.root)
  end
  -- Taken before anything lies over it, or they would have the new root in them.
  local done = {}
  for _, list in ipairs { root, box.mounts } do
    for _, mount in ipairs(list) do
      if bind.of_host_root(mount) then state.early[mount] = bind.open_source(plan, mount) end
    end
  end
  -- Over our own old root, which nobody will see again: so no directory has to be made to mount on.
  plan:move_mount(state.root, nil, "/")
  if needs_scratch(box) then
    -- It has to be mounted somewhere while overlays are made of it. They keep it.
    state.scratch = filesystem.new(plan, "tmpfs", { { "mode", "0700" } }, { nosuid = true, nodev = true })
    plan:move_mount(state.scratch, state.root)
  end
  for _, list in ipairs { root, box.mounts } do
    for _, mount in ipairs(list) do
      make[mount.type](plan, state, mount)
      done[#done + 1] = { entry = mount, size = plan.recorder:size() }
    end
  end
  for _, path in ipairs(box.readonly_paths or {}) do cover.readonly(plan, state, path) end
  device.mask(plan, state, box.masked_paths or {})
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
