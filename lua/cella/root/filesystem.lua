--- File systems that the container has to itself: tmpfs, proc, sysfs, mqueue, cgroup2, devpts.

local lazy = require "cella.lazy"
---@module "cella.root.readonly"
local readonly = lazy "cella.root.readonly"
local blame = require "cella.blame"
local description = require "cella.root.description"
local place = require "cella.root.place"

local attributes, clean = description.attributes, description.clean
local M = {}
local make = {}
M.make = make

--- Records the making of a file system; `before_create` may give it more options. Returns the slot of its mount.
function M.new(plan, fstype, options, mount, before_create)
  local context = plan:fsopen(fstype)
  if mount.target then plan:only_with(mount.target) end
  plan:fsconfig(context, "string", "source", mount.fstype and mount.source or fstype)
  for _, option in ipairs(options) do
    plan:fsconfig(context, option[2] and "string" or "flag", option[1], option[2])
  end
  if before_create then before_create(context) end
  plan:fsconfig(context, "create")
  local slot = plan:fsmount(context, attributes(mount))
  plan:close(context)
  if mount.propagation and mount.propagation ~= "private" and not place.is_shared_root(mount) then
    plan:mount_setattr(slot, false, {}, nil, mount.propagation)
  end
  return slot
end

function M.tmpfs_options(mount)
  local options = {}
  local size = mount.size
  if size then options[#options + 1] = { "size", type(size) == "number" and ("%.0f"):format(size) or size } end
  if mount.mode then options[#options + 1] = { "mode", mount.mode } end
  for _, key in ipairs { "uid", "gid" } do
    local id = mount.owner and mount.owner[key]
    if id then options[#options + 1] = { key, ("%.0f"):format(id) } end
  end
  if mount.inodes then options[#options + 1] = { "nr_inodes", ("%d"):format(mount.inodes) } end
  return options
end

function make.tmpfs(plan, state, mount)
  place.attach(plan, state, mount, M.new(plan, "tmpfs", M.tmpfs_options(mount), mount), "directory",
    not mount.readonly)
end

-- What acts on the host where whoever writes is its root, and what tells its root of the host.
local SWITCHES = { "sys", "sysrq-trigger", "irq", "bus", "fs", "dynamic_debug", "mtrr", "asound" }
local TELLTALES = { "kcore", "keys", "timer_list", "sched_debug", "latency_stats", "acpi", "scsi", "interrupts",
  "kallsyms", "kmsg" }
M.SWITCHES, M.TELLTALES = SWITCHES, TELLTALES

--- Whether the switches of a proc mount are to be read-only: where the host's /proc obeys one of the container's IDs,
--- unless the mount says otherwise.
function M.is_protected(state, mount)
  if mount.protect == nil then return state.obeyed end
  return mount.protect
end

function make.proc(plan, state, mount)
  local options = {}
  if mount.subset then options[#options + 1] = { "subset", mount.subset } end
  if mount.hidepid then options[#options + 1] = { "hidepid", mount.hidepid } end
  place.attach(plan, state, mount, M.new(plan, "proc", options, mount), "directory")
  if not M.is_protected(state, mount) then return end
  local at = clean(mount.destination)
  for _, name in ipairs(SWITCHES) do readonly.record(plan, state, at .. "/" .. name) end
  for _, name in ipairs(TELLTALES) do state.masked[#state.masked + 1] = at .. "/" .. name end
end

local function plain(fstype)
  return function(plan, state, mount)
    place.attach(plan, state, mount, M.new(plan, fstype, {}, mount), "directory")
  end
end

make.mqueue, make.cgroup2 = plain "mqueue", plain "cgroup2"

function make.sysfs(plan, state, mount)
  if state.obeyed and not mount.readonly then
    blame(state.keys[mount] .. ".readonly: the container has an ID of the host's root, whose writing to /sys the host "
      .. "obeys: give it other IDs (`ids`), or leave it read-only")
  end
  place.attach(plan, state, mount, M.new(plan, "sysfs", {}, mount), "directory")
end

-- In memory, and nobody else's: what later mounts need may be made in them.
local IN_MEMORY = { tmpfs = true, ramfs = true }

function make.filesystem(plan, state, mount)
  local options = {}
  for i, option in ipairs(mount.options or {}) do
    local key, value = option:match "^([^=]+)=(.*)$"
    options[i] = { key or option, value }
  end
  place.attach(plan, state, mount, M.new(plan, mount.fstype, options, mount), "directory",
    IN_MEMORY[mount.fstype] and not mount.readonly)
end

-- 5 is the group `tty` of most distributions, which terminals belong to; it may be unmapped.
function M.devpts_options(state)
  if not state.maps_group(5) then return { { "ptmxmode", "0666" }, { "mode", "0600" } } end
  return { { "ptmxmode", "0666" }, { "mode", "0620" }, { "gid", "5" } }
end

--- What somebody says, or as above.
function M.own_devpts_options(state, mount)
  if not mount.mode and not mount.group and not mount.ptmxmode then return M.devpts_options(state) end
  local options = { { "ptmxmode", mount.ptmxmode or "0666" },
    { "mode", mount.mode or mount.group and "0620" or "0600" } }
  if mount.group then options[3] = { "gid", ("%.0f"):format(mount.group) } end
  return options
end

function make.devpts(plan, state, mount)
  place.attach(plan, state, mount, M.new(plan, "devpts", M.own_devpts_options(state, mount), mount), "directory")
end

return M
