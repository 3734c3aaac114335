--- Binds: a tree of the host, what a descriptor stands for, or a file that is nowhere else.

local lazy = require "cella.lazy"
local core = require "cella.core"
local description = require "cella.root.description"
---@module "cella.root.idmap"
local idmap = lazy "cella.root.idmap"
---@module "cella.mountinfo"
local mountinfo = lazy "cella.mountinfo"
---@module "cella.root.taken"
local taken = lazy "cella.root.taken"
local place = require "cella.root.place"

local attributes = description.attributes
local M = { make = {} }

-- A file of which there is a mount, and no name anywhere.
local function data_file(plan, state, data)
  state.staged = state.staged + 1
  local name = ("data%d"):format(state.staged)
  local file = plan:openat2(name, { "wronly", "creat", "excl", "nofollow" }, { "beneath" }, state.staging, 384)
  plan:write(file, data.content)
  plan:fchmod(file, data.mode or 384) -- 0600
  plan:close(file)
  return plan:open_tree(name, { "clone", "nofollow" }, state.staging)
end

--- Whether a bind is one of the host's whole root.
---@param mount table
---@param host cella.Host
---@return boolean
function M.of_host_root(mount, host)
  local source = mount.source
  if type(source) == "table" then
    return source.fd ~= nil and core.same_file(("/proc/self/fd/%d"):format(source.fd), "/") == true
  end
  -- Of one that does not answer the child finds out, in its own time: expect_not_root.
  local status, root = host.files[source], host.files["/"]
  return status.inode ~= nil and status.inode == root.inode and status.device == root.device
end

--- Whether a bind is one of the host's whole root, which the new root is about to lie over; or may go up to it.
function M.comes_first(mount, host)
  if mount.type ~= "bind" then return false end
  return type(mount.source) == "string" and mount.source:sub(1, 1) ~= "/" or M.of_host_root(mount, host)
end

--- Records the taking of what is to be bound. Returns its slot.
function M.open_source(plan, state, mount)
  if mount.idmap then
    local slot = idmap.open(plan, state, mount, state.keys[mount] .. ".idmap")
    if not M.of_host_root(mount, state.host) then plan:expect_not_root(slot) end
    return slot
  end
  local flags = mount.recursive ~= false and { "clone", "recursive" } or { "clone" }
  local slot
  if state.taken_by_caller then
    slot = taken.record(plan, mount)
  elseif type(mount.source) == "table" then
    local input = plan:input_descriptor(mount.source.fd)
    slot = plan:open_tree_of(input, flags)
    plan:close(input)
  else
    slot = plan:open_tree(mount.source, flags)
  end
  if mount.optional and not state.taken_by_caller then plan:optional() end
  -- Who may write to it was decided by what its name stood for.
  if not mount.readonly and not M.of_host_root(mount, state.host) then plan:expect_not_root(slot) end
  return slot
end

-- What a source is mounted on, as far as the host knows now what it is. Should it be another when it is taken, the
-- kernel does not attach it.
local function kind_of(mount, host)
  local found = type(mount.source) == "string" and host.files[mount.source].type
  if not found then return nil end
  return found == "directory" and "directory" or "file"
end

-- What lies over a root of parts becomes read-only with it, when all is there (cella.root): but what the source has
-- mounted below it is so from now on, before others are mounted there that are not to be.
local function protect_below(plan, slot, mount)
  local source = mount.source
  local found = core.open(type(source) == "table" and ("/proc/self/fd/%d"):format(source.fd) or source, { "path" })
  local path = found and core.readlink(("/proc/self/fd/%d"):format(found:number()))
  if found then found:close() end
  local top = path and mountinfo.on(path)
  -- Where nothing is known of the mounts there may be some.
  if top and #mountinfo.below(path) == 0 then return end
  plan:mount_setattr(slot, true, "rdonly")
  -- The kernel may have locked the flag where the host has it.
  local is_readonly = top and ("," .. top.flags .. ","):find(",ro,", 1, true)
  if not is_readonly then plan:mount_setattr(slot, false, {}, "rdonly") end
end

function M.make.bind(plan, state, mount)
  local data = type(mount.source) == "table" and mount.source.content and mount.source
  local slot = state.early[mount] or data and data_file(plan, state, data) or M.open_source(plan, state, mount)
  local recursive = mount.recursive ~= false
  local propagation = mount.propagation ~= "private" and mount.propagation or nil
  if propagation then plan:mount_setattr(slot, recursive, {}, nil, propagation) end
  if place.is_shared_root(mount) then plan:mount_setattr(slot, false, {}, nil, "private") end
  place.attach(plan, state, mount, slot, kind_of(mount, state.host), false, attributes(mount), recursive)
  if state.root == slot and state.protects_below and recursive and not data and not mount.readonly then
    protect_below(plan, slot, mount)
  end
end

return M
