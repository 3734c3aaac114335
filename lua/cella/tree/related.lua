--- What of a tree has to do with one process.

local M = {}

--- Leaves what has to do with one process: the user namespaces above its own, its own and those below; what its own and
--- those below govern; and what the processes are in that are shown.
---@param self cella.tree
---@param process cella.tree.process
---@param all table<integer, cella.tree.process>  every process that was seen, by pid
function M.keep(self, process, all)
  local kept, inside = {}, {}
  local function below(inode)
    inside[inode], kept[inode] = true, true
    for _, child in ipairs(self.node[inode].children) do below(child) end
    for _, other in ipairs(self.node[inode].governs) do kept[other] = true end
    for _, other in ipairs(self.node[inode].uses) do kept[other] = true end
  end
  below(process.namespaces.user)
  local above = self.node[process.namespaces.user].parent
  while above do
    kept[above] = true
    above = self.node[above].parent
  end
  for _, inode in pairs(process.namespaces) do kept[inode] = true end
  -- Of the processes above: those that it comes from. What the nearest one in each user namespace is in is shown too.
  local ancestors, pid, distance, seen = {}, process.pid, 0, {}
  while all[pid] and not ancestors[pid] do
    ancestors[pid], distance = distance, distance + 1
    local user = all[pid].namespaces.user
    if user and kept[user] and not seen[user] then
      seen[user] = true
      for _, inode in pairs(all[pid].namespaces) do kept[inode] = true end
    end
    pid = all[pid].parent
  end
  for inode, node in pairs(self.node) do
    if not kept[inode] then
      self.node[inode] = nil
    else
      local members = {}
      for _, member in ipairs(node.members) do
        if ancestors[member.pid] or inside[member.namespaces.user] then members[#members + 1] = member end
      end
      -- The nearest first: in the namespace above, that is who made the one below, if it is still there.
      table.sort(members, function(a, b)
        local one, other = ancestors[a.pid] or math.huge, ancestors[b.pid] or math.huge
        if one ~= other then return one < other end
        return a.pid < b.pid
      end)
      node.members = members
    end
  end
  for _, node in pairs(self.node) do
    for _, key in ipairs { "children", "governs", "uses" } do
      local found = {}
      for _, inode in ipairs(node[key]) do
        if self.node[inode] then found[#found + 1] = inode end
      end
      node[key] = found
    end
  end
  for _, key in ipairs { "roots", "unowned" } do
    local found = {}
    for _, inode in ipairs(self[key]) do
      if self.node[inode] then found[#found + 1] = inode end
    end
    self[key] = found
  end
  local found = {}
  for _, node in ipairs(self.namespaces) do
    if self.node[node.inode] then found[#found + 1] = node end
  end
  self.namespaces = found
end

return M
