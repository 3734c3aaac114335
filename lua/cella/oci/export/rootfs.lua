--- The root of a bundle where a container's is put together of parts: a directory with its files, links and mount
--- points. It is made as the container would make it: by a process with its IDs, which own what is in there.

local Error = require "cella.error"
local Plan = require "cella.plan"
local core = require "cella.core"
local description = require "cella.root.description"
local entry = require "cella.root.entry"
local identity = require "cella.container.identity"
local mounts = require "cella.oci.export.mounts"
local place = require "cella.root.place"

local clean = description.clean
local M = {}

local DIRECTORY = 493 -- 0755


-- The IDs, here, of who makes it: as identity.record_builder chooses them.
local function builder(state)
  local maps, own = state.maps, state.host
  if not maps or maps.uid:inside(own.uid) and maps.gid:inside(own.gid) then return own.uid, own.gid end
  local function first(map) return map:outside(map:outside(0) and 0 or map:extents()[1].inside) end
  return first(maps.uid), first(maps.gid)
end

--- Gives a file or directory, by a descriptor, to who makes what is in the root.
---@param state table
---@param fd integer
---@return true?, cella.error?
function M.give(state, fd, path)
  local uid, gid = builder(state)
  if uid == state.host.uid and gid == state.host.gid then return true end
  local ok, message, errno = core.sys.fchown(fd, uid, gid)
  if ok then return true end
  return nil, Error.new { op = "fchown", path = path, errno = errno, message = message }
end

-- A place below a link that a part has made leads where a runtime finds it.
local function is_behind_link(links, destination)
  for slash in destination:gmatch "()/" do
    if links[destination:sub(1, slash - 1)] then return true end
  end
  return false
end

local function record(plan, state, root)
  local slot = plan:input_descriptor(root)
  local like = plan:openat2("/dev/null", "path")
  local at = { mounts = 0, mounted = {}, keys = {}, led = 0, made = {}, links = {}, root = slot, staged = 0 }
  place.note(plan, at, "/", slot)
  local links = {}
  for _, made in ipairs(state.made) do
    local mount = made.entry
    local destination = clean(mount.destination)
    at.keys[mount] = made.at
    if not mounts.is_mount(mount) then
      entry.make[mount.type](plan, at, mount)
      if mount.type == "symlink" then links[destination] = true end
    elseif not is_behind_link(links, destination) then
      local source = mount.type == "bind" and mount.source
      local is_file = source and (type(source) == "table" or state.host.files[source].type ~= "directory")
      -- Some runtimes give a file system in memory the mode of what it is mounted on.
      local mode = mount.type == "tmpfs" and tonumber(mount.mode or "1777", 8) or nil
      place.make_target(plan, at, destination, mount, is_file and like or nil, mode)
    end
  end
  local parts = state.parts
  if parts.owner then plan:fchown(slot, parts.owner.uid, parts.owner.gid) end
  if parts.mode then plan:fchmod(slot, parts.mode) end
end

--- Makes the directory.
---@param state table   of cella.oci.export.config
---@param path string   where there is nothing yet
---@return true?, cella.error?
function M.make(state, path)
  local ok, message, errno = core.sys.mkdir(path, DIRECTORY)
  if not ok then return nil, Error.new { op = "mkdir", path = path, errno = errno, message = message } end
  local fd
  fd, message, errno = core.open(path, { "rdonly", "directory", "nofollow" })
  if not fd then return nil, Error.new { op = "open", path = path, errno = errno, message = message } end
  core.sys.fchmod(fd:number(), DIRECTORY)
  local given, err = M.give(state, fd:number(), path)
  if not given then return nil, err end
  local who = state.identity
  local plan = Plan.new(who.ids and { namespaces = { "user" }, ids = who.ids } or {}, state.host)
  identity.record_builder(plan, state.host, who)
  plan:umask(18) -- 022
  record(plan, state, fd:number())
  plan:exec { "true", stdin = "null", environment = {} }
  local result
  result, err = plan:run()
  fd:close()
  if not result then return nil, err end
  if result.code ~= 0 then
    return nil, Error.new { op = "execve", path = "true", message = "the process that makes the root has failed" }
  end
  return true
end

return M
