--- What a container has to itself, whatever is said of its root: a /proc of its own processes; and where the root is
--- the host's, in whole or in part, the places where the host's sockets, devices and others' files are.

local bind = require "cella.root.bind"
local description = require "cella.root.description"
local system = require "cella.root.system"

local clean = description.clean
local M = {}

-- The modes are those of the Filesystem Hierarchy Standard.
local PLACES = {
  { type = "dev", destination = "/dev" },
  { type = "tmpfs", destination = "/tmp", mode = 1023 },
  { type = "tmpfs", destination = "/var/tmp", mode = 1023 },
  { type = "tmpfs", destination = "/run", mode = 493 },
}

-- These change what is at their destination, and put nothing in its place.
local CHANGES = { chmod = true, remount = true }

-- Whether somebody has said what lies at a place.
local function is_named(box, place)
  for _, list in ipairs { box.root, box.mounts } do
    for _, mount in ipairs(list) do
      local stays = CHANGES[mount.type] or mount.optional or mount.existing
      if clean(mount.destination) == place and not stays then return true end
    end
  end
  return false
end

-- As the rules of a description complete it. `reserved`: not where the root has no such place.
local function add(list, box, mount, reserved)
  if is_named(box, mount.destination) then return end
  local copy = {}
  for key, value in pairs(mount) do copy[key] = value end
  copy = description.mount_rule(copy, mount.destination)
  copy.reserved = reserved
  list[#list + 1] = copy
end

-- Where the root is the host's.
local function add_places(own, box, host)
  for _, place in ipairs(PLACES) do add(own, box, place, place.type ~= "dev") end
  -- The host's network is of little use to who does not know whom to ask for names.
  local resolver = box.namespaces.net == "host" and host.resolver
  if resolver and (box.root.system or resolver:find "^/run/") then
    add(own, box, { type = "bind", source = resolver, destination = resolver, readonly = true, optional = true })
  end
end

--- A container's description with what a system root is made of on this host, and with what the container has to
--- itself, `own`.
---@param box table
---@param host cella.Host
---@param more table[]?  what its network puts there
---@return table
function M.complete(box, host, more)
  local whole = setmetatable({ own = {} }, { __index = box })
  local root = box.root
  local of_host = root.source ~= nil and bind.of_host_root(root, host)
  if root.system then whole.root = system.parts(host.system or {}) end
  local own = whole.own
  if box.plain then return whole end -- somebody has said all that there is to be
  if box.proc == false then
    -- Where the root has such a directory, whatever is in it is covered.
    whole.masked_paths = { "/proc" }
    for _, path in ipairs(box.masked_paths or {}) do table.insert(whole.masked_paths, path) end
  elseif box.namespaces.pid ~= "host" then
    add(own, box, { type = "proc", destination = "/proc" }, true)
  end
  if root.system or of_host then add_places(own, box, host) end
  for _, mount in ipairs(more or {}) do add(own, box, mount) end
  return whole
end

return M
