--- The hierarchy of namespaces as text.

local paints = require "cella.paint"
local words = require "cella.tree.words"

local M = {}

local function title(tree, node, paint)
  local parts = { paint.user(("user %.0f"):format(node.inode)) }
  local maker = words.maker(node)
  if maker then parts[#parts + 1] = "  " .. maker end
  if tree.viewer.namespaces.user == node.inode then parts[#parts + 1] = paint.here "  you are here" end
  if node.parent_unseen then parts[#parts + 1] = "  (what it is below is not to be seen from here)" end
  return table.concat(parts)
end

local function other(tree, node, paint)
  local text = ("%s %.0f"):format(paint.kind(("%-6s"):format(node.kind)), node.inode)
  if node.parent and tree.node[node.parent] and node.parent ~= tree.viewer.namespaces.pid then
    text = text .. (" (below %.0f)"):format(node.parent)
  end
  return text .. "  " .. paint.dim(table.concat(words.details(node), "; "))
end

-- "net 4026531840, uts 4026531838 of user 4026531837"
local function uses(tree, node)
  local by_owner, order = {}, {}
  for _, inode in ipairs(node.uses) do
    local used = tree.node[inode]
    local owner = used.owner and ("of user %.0f"):format(used.owner) or "of a user namespace that is not to be seen"
    if not by_owner[owner] then
      by_owner[owner] = {}
      order[#order + 1] = owner
    end
    table.insert(by_owner[owner], ("%s %.0f"):format(used.kind, inode))
  end
  local lines = {}
  for i, owner in ipairs(order) do lines[i] = ("is in %s, %s"):format(table.concat(by_owner[owner], ", "), owner) end
  return lines
end

local function add(tree, inode, paint, lines, first, rest)
  local node = tree.node[inode]
  lines[#lines + 1] = first .. title(tree, node, paint)
  local below = rest .. (#node.children > 0 and "│   " or "    ")
  for _, line in ipairs(words.maps(node, inode == tree.viewer.namespaces.user)) do lines[#lines + 1] = below .. line end
  for _, line in ipairs(words.details(node)) do lines[#lines + 1] = below .. line end
  for i, owned in ipairs(node.governs) do
    lines[#lines + 1] = below .. (i == 1 and "governs " or "        ") .. other(tree, tree.node[owned], paint)
  end
  for _, line in ipairs(uses(tree, node)) do lines[#lines + 1] = below .. paint.dim(line) end
  for i, child in ipairs(node.children) do
    local is_last = i == #node.children
    add(tree, child, paint, lines, rest .. (is_last and "└── " or "├── "), rest .. (is_last and "    " or "│   "))
  end
end

---@param tree cella.tree
---@param options { colour: boolean? }
---@return string
function M.render(tree, options)
  local paint, lines = paints.of(options.colour), {}
  for _, inode in ipairs(tree.roots) do add(tree, inode, paint, lines, "", "") end
  if #tree.unowned > 0 then
    lines[#lines + 1] = "governed by a user namespace that is not to be seen from here"
    for _, inode in ipairs(tree.unowned) do lines[#lines + 1] = "    " .. other(tree, tree.node[inode], paint) end
  end
  for _, note in ipairs(words.notes(tree)) do lines[#lines + 1] = paint.dim("(" .. note .. ")") end
  return table.concat(lines, "\n")
end

return M
