--- The ID maps of the user namespaces of a tree, as the caller's user namespace has the IDs (user_namespaces(7)).

local core = require "cella.core"
local file = require "cella.host.file"
local idmap = require "cella.idmap.value"

local M = {}

-- Extents without those whose outside IDs have no number here, which the kernel shows as (uid_t)-1.
local function parse_map(source)
  local kept, left_out = source:gsub("[^\n]* 4294967295 [^\n]*\n", "")
  local map = idmap.parse(kept)
  return map, left_out > 0
end

local function read_maps(pid)
  local maps = {}
  for _, name in ipairs { "uid_map", "gid_map", "setgroups" } do
    maps[name] = file.read(("/proc/%s/%s"):format(pid, name))
    if not maps[name] then return nil end
  end
  local uid_map, unmapped = parse_map(maps.uid_map)
  local gid_map, more = parse_map(maps.gid_map)
  return { uid_map = uid_map, gid_map = gid_map, unmapped = unmapped or more,
    setgroups = maps.setgroups:match "^[a-z]+" }
end

-- Those of a namespace, by one of its processes that is still there and still in it.
local function maps_of(node)
  for i, process in ipairs(node.members) do
    if i > 8 then break end
    local found = read_maps(("%d"):format(process.pid))
    if found and core.inode(("/proc/%d/ns/user"):format(process.pid)) == node.inode then return found end
  end
  return nil
end

--- Gives each user namespace its maps, as far as a process shows them.
---@param self cella.tree
function M.add(self)
  local own = self.viewer.namespaces.user
  for inode, node in pairs(self.node) do
    if node.kind == "user" and inode ~= own then
      for key, value in pairs(maps_of(node) or {}) do node[key] = value end
    end
  end
  -- A process is shown the map of its own namespace as its parent has it.
  local mine, found = self.node[own], read_maps "self"
  if mine and found then
    mine.parent_uid_map, mine.parent_gid_map = found.uid_map, found.gid_map
    mine.setgroups = found.setgroups
    mine.uid_map, mine.gid_map = found.uid_map:compose(found.uid_map:invert()),
      found.gid_map:compose(found.gid_map:invert())
  end
  for _, node in pairs(self.node) do
    local parent = node.kind == "user" and node.parent and self.node[node.parent]
    if parent and node.inode ~= own and node.uid_map and parent.uid_map then
      node.parent_uid_map = node.uid_map:compose(parent.uid_map:invert())
      node.parent_gid_map = node.gid_map:compose(parent.gid_map:invert())
    end
  end
end

return M
