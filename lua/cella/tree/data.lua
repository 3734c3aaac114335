--- The hierarchy of namespaces as plain data: what a library for JSON takes.

local plain = require "cella.plain"
local printable = require "cella.printable"

local M = {}

local function named(process)
  return { pid = process.pid, name = printable.utf8(process.name), fd = process.fd }
end

local function member(process)
  return { pid = process.pid, name = printable.utf8(process.name), parent = process.parent, uid = process.uid,
    zombie = process.zombie or nil }
end

local function map(value) return value and plain.each(value:extents(), function(extent) return extent end) end

local function describe(tree, node)
  local data = {
    kind = node.kind, inode = node.inode, parent = node.parent, parent_unseen = node.parent_unseen,
    owner = node.owner, owner_unseen = node.owner_unseen, unknown = node.unknown, processes = node.processes,
    members = plain.each(node.members, member), holders = plain.each(node.holders, named),
    awaiting = plain.each(node.awaiting, named),
    names = plain.each(node.names, function(name)
      return { path = printable.utf8(name.path), mount_namespace = name.mount_namespace }
    end),
    own = tree.viewer.namespaces[node.kind] == node.inode,
  }
  if node.kind ~= "user" then return data end
  data.owner_uid, data.owner_unmapped, data.setgroups = node.owner_uid, node.owner_unmapped, node.setgroups
  data.unmapped = node.unmapped or nil
  for _, key in ipairs { "uid_map", "gid_map", "parent_uid_map", "parent_gid_map" } do data[key] = map(node[key]) end
  for _, key in ipairs { "children", "governs", "uses" } do data[key] = plain.copy(node[key]) end
  return data
end

---@param tree cella.tree
---@return table
function M.of(tree)
  local namespaces = {}
  for kind, inode in pairs(tree.viewer.namespaces) do namespaces[kind] = inode end
  return {
    pid = tree.pid, viewer = { pid = tree.viewer.pid, uid = tree.viewer.uid, namespaces = namespaces },
    roots = plain.copy(tree.roots), unowned = plain.copy(tree.unowned),
    namespaces = plain.each(tree.namespaces, function(node) return describe(tree, node) end),
    processes = tree.processes, refused = plain.copy(tree.refused), zombies = tree.zombies, vanished = tree.vanished,
    hidepid = tree.hidepid and printable.utf8(tree.hidepid), held_more = tree.held_more or nil,
  }
end

--- In which order a person reads the keys.
M.ORDER = { "pid", "viewer", "kind", "inode", "own", "parent", "parent_unseen", "owner", "owner_unseen", "owner_uid",
  "owner_unmapped", "uid_map", "gid_map", "parent_uid_map", "parent_gid_map", "setgroups", "unmapped", "inside",
  "outside", "count", "processes", "name", "members", "names", "holders", "awaiting", "children", "governs", "uses",
  "roots", "unowned", "namespaces", "refused", "zombies", "vanished" }

return M
