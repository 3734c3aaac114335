--- What namespaces belong to, asked of the kernel by a descriptor of each (ioctl_nsfs(2)).

local core = require "cella.core"
local idmap = require "cella.idmap.value"
local kinds = require "cella.kinds"
local list = require "cella.list"
local node_of = require "cella.tree.node"
local open = require "cella.open"

local M = {}

local ENOMEM, ENFILE, EMFILE, EPERM = 12, 23, 24, 1

-- What fails for want of descriptors or memory says nothing of a namespace: there is no tree then.
local function lacking(self, errno)
  if errno == ENOMEM or errno == ENFILE or errno == EMFILE then self.lacks = errno end
  return nil
end

-- A descriptor of a namespace, and of no other. What a path leads to may change at any time, to a file system that
-- answers nobody: what stands for it is opened first, and that is looked at.
local function open_way(self, inode, path)
  local place, _, errno = open.bounded(path)
  if not place then return lacking(self, errno) end
  local status = core.file_status(place:number())
  local fd
  if status and status.inode == inode and status.device == self.device then
    fd, _, errno = core.open(("/proc/self/fd/%d"):format(place:number()), "rdonly")
    if not fd then lacking(self, errno) end
  end
  place:close()
  return fd
end

local function open_node(self, node)
  for _, path in ipairs(self.ways[node.inode]) do
    local fd = open_way(self, node.inode, path)
    if fd then return fd end
  end
  return nil
end

-- Asks a namespace for those that it belongs to, and these for theirs.
local ask

local function related(self, fd, call, kind)
  local other, _, errno = call(fd:number())
  lacking(self, not other and errno)
  if not other then return nil, errno == EPERM end
  local inode = core.file_status(other:number()).inode
  local known = self.node[inode]
  local above = node_of(self, kind, inode)
  if not known or not above.asked then ask(self, above, other) end
  other:close()
  return inode
end

function ask(self, node, fd)
  node.asked = true
  if node.kind == "user" then
    node.owner_uid = core.namespace_owner_uid(fd:number())
    -- In a namespace that maps 65534 as well there is no telling; but hardly anybody is that one.
    node.owner_unmapped = node.owner_uid == idmap.overflow and self.viewer.namespaces.user ~= kinds.FIRST_USER or nil
    node.parent, node.parent_unseen = related(self, fd, core.namespace_parent, "user")
    node.owner, node.owner_unseen = node.parent, node.parent_unseen
    -- Above the first one there is none: EPERM there means that.
    if node.inode == kinds.FIRST_USER then node.parent_unseen, node.owner_unseen = nil, nil end
    return
  end
  node.owner, node.owner_unseen = related(self, fd, core.namespace_owner, "user")
  if node.kind == "pid" then
    node.parent, node.parent_unseen = related(self, fd, core.namespace_parent, "pid")
  end
end

--- Asks all that are known, and those that come with the answers. What each is of is in its `parent` and `owner`; where
--- descriptors or memory were lacking, `self.lacks` is the errno.
---@param self cella.tree
function M.ask_all(self)
  for _, inode in ipairs(list.sorted_keys(self.node)) do
    local node = self.node[inode]
    if not node.asked then
      local fd = open_node(self, node)
      if fd then
        ask(self, node, fd)
        fd:close()
      else
        node.unknown = #self.ways[inode] == 0 and "it is only known by a mount in another mount namespace"
          or "what it was seen by has ended"
      end
    end
  end
end

return M
