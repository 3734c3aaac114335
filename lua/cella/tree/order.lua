--- The order of a tree: what is below what, and in which order the namespaces are shown.

local kinds = require "cella.kinds"

local M = {}

local RANK = {}
for rank, kind in ipairs(kinds.list) do RANK[kind] = rank end

-- The caller's own before the others: it is mostly the first one of the machine.
local function sorted(self, inodes)
  local own = self.viewer.namespaces
  table.sort(inodes, function(a, b)
    local one, other = self.node[a], self.node[b]
    if one.kind ~= other.kind then return RANK[one.kind] < RANK[other.kind] end
    if (own[one.kind] == a) ~= (own[one.kind] == b) then return own[one.kind] == a end
    return a < b
  end)
  return inodes
end

--- Tells of each user namespace what its processes are in, and it does not own.
---@param self cella.tree
function M.add_uses(self)
  for _, node in pairs(self.node) do
    local used = {}
    for _, process in ipairs(node.kind == "user" and node.members or {}) do
      for _, kind in ipairs(kinds.list) do
        local other = self.node[process.namespaces[kind]]
        if kind ~= "user" and other and other.owner ~= node.inode then used[other.inode] = true end
      end
    end
    for inode in pairs(used) do node.uses[#node.uses + 1] = inode end
  end
end

--- Puts each namespace below that which it belongs to, and all into their order.
---@param self cella.tree
function M.add(self)
  for inode, node in pairs(self.node) do
    if node.kind == "user" and not node.parent then self.roots[#self.roots + 1] = inode end
    local above = node.kind == "user" and node.parent or node.owner
    if above then
      local key = node.kind == "user" and "children" or "governs"
      table.insert(self.node[above][key], inode)
    elseif node.kind ~= "user" then
      self.unowned[#self.unowned + 1] = inode
    end
    self.namespaces[#self.namespaces + 1] = inode
  end
  for _, node in pairs(self.node) do
    sorted(self, node.children)
    sorted(self, node.governs)
    sorted(self, node.uses)
  end
  sorted(self, self.roots)
  sorted(self, self.unowned)
  for i, inode in ipairs(sorted(self, self.namespaces)) do self.namespaces[i] = self.node[inode] end
end

return M
