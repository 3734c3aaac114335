--- File systems that the container has to itself: tmpfs, proc, sysfs, mqueue, cgroup2, devpts.

local cover = require "cella.root.cover"
local description = require "cella.root.description"
local place = require "cella.root.place"

local attributes, clean = description.attributes, description.clean
local M = {}
local make = {}
M.make = make

--- Records the making of a file system; `before_create` may give it more options. Returns the slot of its mount.
function M.new(plan, fstype, options, mount, before_create)
  local context = plan:fsopen(fstype)
  plan:fsconfig(context, "string", "source", fstype)
  for _, option in ipairs(options) do
    plan:fsconfig(context, option[2] and "string" or "flag", option[1], option[2])
  end
  if before_create then before_create(context) end
  plan:fsconfig(context, "create")
  local slot = plan:fsmount(context, attributes(mount))
  plan:close(context)
  if mount.propagation and mount.propagation ~= "private" then
    plan:mount_setattr(slot, false, {}, nil, mount.propagation)
  end
  return slot
end

function M.tmpfs_options(mount)
  local options = {}
  local size = mount.size
  if size then options[#options + 1] = { "size", type(size) == "number" and ("%.0f"):format(size) or size } end
  if mount.mode then options[#options + 1] = { "mode", ("%o"):format(mount.mode) } end
  if mount.inodes then options[#options + 1] = { "nr_inodes", ("%d"):format(mount.inodes) } end
  return options
end

function make.tmpfs(plan, state, mount)
  place.attach(plan, state, mount, M.new(plan, "tmpfs", M.tmpfs_options(mount), mount), not mount.readonly)
end

local SWITCHES = { "sys", "sysrq-trigger", "irq", "bus" }

function make.proc(plan, state, mount)
  local options = {}
  if mount.subset then options[#options + 1] = { "subset", mount.subset } end
  if mount.hidepid then options[#options + 1] = { "hidepid", mount.hidepid } end
  place.attach(plan, state, mount, M.new(plan, "proc", options, mount))
  for _, name in ipairs(mount.protect and SWITCHES or {}) do
    cover.readonly(plan, state, clean(mount.destination) .. "/" .. name)
  end
end

local function plain(fstype)
  return function(plan, state, mount)
    place.attach(plan, state, mount, M.new(plan, fstype, {}, mount))
  end
end

make.sysfs, make.mqueue, make.cgroup2 = plain "sysfs", plain "mqueue", plain "cgroup2"

-- 5 is the group `tty` of most distributions, which terminals belong to; it may be unmapped.
function M.devpts_options(state)
  if not state.maps_group(5) then return { { "ptmxmode", "0666" }, { "mode", "0600" } } end
  return { { "ptmxmode", "0666" }, { "mode", "0620" }, { "gid", "5" } }
end

function make.devpts(plan, state, mount)
  place.attach(plan, state, mount, M.new(plan, "devpts", M.devpts_options(state), mount))
end

return M
