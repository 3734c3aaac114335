--- The nodes of a tree, one for each namespace that is known.

--- The node of a namespace, which is made with the first word of it.
---@param self cella.tree
---@param kind string
---@param inode integer
---@return cella.tree.node
local function node_of(self, kind, inode)
  local node = self.node[inode]
  if not node then
    node = { kind = kind, inode = inode, children = {}, governs = {}, uses = {}, processes = 0, members = {},
      names = {}, holders = {}, awaiting = {} }
    self.node[inode] = node
    self.ways[inode] = {}
  end
  return node
end

return node_of
