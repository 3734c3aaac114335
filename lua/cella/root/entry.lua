--- Parts that mount nothing: files, links and directories from data, and changes of what is there.

local description = require "cella.root.description"
local place = require "cella.root.place"

local attributes, clean = description.attributes, description.clean
local M = {}
local make = {}
M.make = make

local function set_owner(plan, slot, mount)
  if mount.owner then plan:fchown(slot, mount.owner.uid, mount.owner.gid) end
end

function make.file(plan, state, mount)
  local parent, name, opened = place.open_parent(plan, state, mount)
  local slot
  local mode = mount.mode
  if mount.existing then
    -- A link there is followed, as a process in the container would. Nobody is waited for at the other end of a pipe.
    slot = plan:openat2(clean(mount.destination), { "wronly", "creat", "trunc", "nonblock" }, place.IN_ROOT, state.root,
      mode and 384 or 438)
  else
    slot = plan:openat2(name, { "wronly", "creat", "excl", "nofollow" }, { "beneath" }, parent, 384)
    mode = mode or 420 -- 0644, whatever the umask
  end
  plan:write(slot, mount.content)
  set_owner(plan, slot, mount) -- before the mode, of which it takes bits away
  if mode then plan:fchmod(slot, mode) end -- else what is there already keeps its own
  plan:close(slot)
  if opened then plan:close(parent) end
end

function make.symlink(plan, state, mount)
  local parent, name, opened = place.open_parent(plan, state, mount)
  plan[mount.existing and "make_symlink" or "symlink"](plan, mount.target, name, parent)
  if opened then plan:close(parent) end
end

-- Sees to a directory, and changes none.
local function existing_directory(plan, state, mount)
  local destination = clean(mount.destination)
  place.make_target(plan, state, destination, mount, nil, mount.mode or 493)
  plan:close(plan:openat2(destination, { "path", "directory" }, place.IN_ROOT, state.root))
end

function make.directory(plan, state, mount)
  if mount.existing then return existing_directory(plan, state, mount) end
  local parent, name, opened = place.open_parent(plan, state, mount)
  plan:mkdir(name, 448, parent)
  local slot = plan:openat2(name, { "rdonly", "directory", "nofollow" }, { "beneath" }, parent)
  set_owner(plan, slot, mount)
  plan:fchmod(slot, mount.mode or 493) -- 0755
  plan:close(slot)
  if opened then plan:close(parent) end
end

function make.remount(plan, state, mount)
  local at_root = clean(mount.destination) == "/"
  local target = at_root and state.root or plan:openat2(mount.destination, "path", place.IN_ROOT, state.root)
  plan:mount_setattr(target, false, attributes(mount))
  if not at_root then plan:close(target) end
end

function make.chmod(plan, state, mount)
  local target = plan:openat2(mount.destination, "path", place.IN_ROOT, state.root)
  plan:fchmod(target, mount.mode)
  plan:close(target)
end

return M
