--- Where something goes: every destination is resolved below the new root, as a process confined to it would.

local blame = require "cella.blame"
local description = require "cella.root.description"

local clean = description.clean
local M = {}

local IN_ROOT = { "in_root", "no_magiclinks" }
M.IN_ROOT = IN_ROOT

--- Notes what lies at a destination from here on: a mount of ours (its slot), or one in which `create` allows to make
--- things.
function M.note(plan, state, destination, ours, create)
  if ours then plan.places[ours:number()] = destination end
  state.mounts = state.mounts + 1
  state.mounted[destination] = { number = state.mounts, ours = ours, create = create }
end

-- Where a file system is ours (a tmpfs that this plan has mounted) missing parts of a path are made. Elsewhere that
-- would leave something on the host. The mount that covers a path is the latest one above it.
local function covering(state, destination)
  local latest, at = state.mounted["/"], "/"
  for slash in destination:gmatch "()/" do
    local above = destination:sub(1, slash - 1)
    local mounted = state.mounted[above]
    if mounted and (not latest or mounted.number > latest.number) then latest, at = mounted, above end
  end
  return latest, at
end

local function cover(state, destination)
  local latest = covering(state, destination)
  if latest then return latest.ours, latest.create end
  return nil
end

-- "/run/web" -> "/run", "web"
local function split(destination)
  local parent, name = destination:match("^(.*)/([^/]+)$")
  return parent == "" and "/" or parent, name
end

-- Where nothing but this plan has made anything, what is there is known, and no path has to be resolved: the slot of
-- the file system of ours of which a destination is an entry. A link may lead from one to another: as soon as there is
-- one that somebody has asked for, or something is made behind one, nothing is known any more; and where something is
-- made or mounted in what is not ours, whose links may lead anywhere, nothing of the mounts that were there by then.
local function directory_of(state, destination)
  local parent, name = split(destination)
  local latest, at = covering(state, destination)
  if latest and latest.ours and at == parent and latest.number > state.led then return latest.ours, name end
  return nil
end

local function forget(state) state.led = math.huge end

local function forget_those_there(state) state.led = math.max(state.led, state.mounts) end

-- Notes that something is at a destination, by whatever way it was made.
local function note_made(state, destination)
  for slash in (destination .. "/"):gmatch "()/" do
    local part = destination:sub(1, slash - 1)
    if state.links[part] then forget(state) end
    state.made[part] = true
  end
end

--- Notes a link that leads nowhere else but to what is read-only, or to /proc: nothing is known any more once something
--- is made behind it.
function M.note_link(state, destination)
  note_made(state, destination)
  state.links[destination] = true
end

-- Whether an entry of a file system of ours is not there yet, and its slot and the name in there.
local function missing(state, destination)
  if state.made[destination] then return nil end
  return directory_of(state, destination)
end

-- Makes what is missing of a path, where that is allowed. (Where the caller has allowed it on the host, a mount's own
-- flags and the caller's rights decide.)
function M.make_target(plan, state, destination, mount, like, mode)
  note_made(state, destination)
  local within, create = cover(state, destination)
  if not within then forget_those_there(state) end
  if not within and not create then return false end
  plan:make_target(destination, state.root, within, like, mount.parents, mode)
  return true
end

--- Opens the place of a mount that nobody has asked for by name: it is made where the file system is ours; elsewhere,
--- if there is none, the slot stays empty and what depends on it is left out.
---@return cella.slot?  nil where it is made when something is attached to it
function M.reserve(plan, state, destination)
  if missing(state, destination) then return nil end
  local within = cover(state, destination)
  note_made(state, destination)
  if not within then forget_those_there(state) end
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

-- Makes the place of a mount on a file system of ours, and attaches it there.
local function attach_new(plan, slot, directory, name, kind)
  if kind == "directory" then
    plan:mkdir(name, 493, directory) -- 0755, less the umask
  else
    plan:mknod(name, "file", 292, nil, nil, directory) -- 0444: nobody is to write there
  end
  plan:move_mount(slot, directory, name)
end

-- Attaches a mount; `kind` is what it is mounted on, where that is known. `ours` says that later ones may have things
-- made in it. `set` are flags for it and, if `recursive`, for all that is mounted below it.
---@param kind "directory"|"file"|nil
function M.attach(plan, state, mount, slot, kind, ours, set, recursive)
  local destination = clean(mount.destination)
  local at_root = destination == "/"
  local directory, name
  if kind and not at_root and not mount.target and not mount.parents and not mount.optional then
    directory, name = missing(state, destination)
  end
  if directory then
    note_made(state, destination)
    attach_new(plan, slot, directory, name, kind)
  else
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
  end
  if set and #set > 0 then plan:mount_setattr(slot, recursive or false, set) end
  if at_root then
    state.root, state.below = slot, state.below + 1
    state.shared_root = M.is_shared_root(mount)
  elseif not ours then
    plan:close(slot)
  end
  M.note(plan, state, destination, ours and slot or nil, mount.create)
  if not at_root and (mount.propagation == "shared" or mount.propagation == "unbindable") then
    state.propagated[#state.propagated + 1] = { slot = slot, destination = destination, number = state.mounts,
      propagation = mount.propagation, recursive = recursive or false }
  end
end

--- Whether nothing that was mounted later lies over a mount, or over what it is in.
---@param destination string
---@param number integer  state.mounts, when it was attached
---@return boolean
function M.is_seen(state, destination, number)
  local latest = covering(state, destination)
  return state.mounted[destination].number == number and (not latest or latest.number <= number)
end

-- The directory of something that is to be made, on a file system of ours, its name, and whether the slot is to be
-- closed afterwards.
---@return cella.slot, string, boolean
function M.open_parent(plan, state, mount)
  local destination = clean(mount.destination)
  local parent, name = split(destination)
  local within, create = cover(state, destination)
  if not within and not create then
    blame(("%s: a %s can be made only where a tmpfs of the container's own is: nothing is created on the host")
      :format(mount.destination, mount.type))
  end
  if not within then forget_those_there(state) end
  local directory = directory_of(state, destination)
  if mount.type ~= "symlink" then
    note_made(state, destination)
  elseif mount.system then
    M.note_link(state, destination)
  else
    forget(state)
  end
  if directory and not mount.parents then return directory, name, false end
  if parent ~= "/" then plan:make_target(parent, state.root, within, nil, mount.parents) end
  local slot = plan:openat2(parent, { "path", "directory" }, IN_ROOT, state.root)
  if within then plan:expect_same_filesystem(slot, within) end
  return slot, name, true
end

return M
