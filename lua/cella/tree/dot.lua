--- The hierarchy of namespaces as a graph in the language of dot(1).

local words = require "cella.tree.words"

local M = {}

-- A backslash begins an escape of dot's as well, and the text may have some of its own.
local function quoted(text) return '"' .. text:gsub('[\\"]', "\\%0") .. '"' end

-- Several lines, each to the left.
local function label(lines)
  local parts = {}
  for i, line in ipairs(lines) do parts[i] = line:gsub('[\\"]', "\\%0") .. "\\l" end
  return '"' .. table.concat(parts) .. '"'
end

local function name(inode) return quoted(("%.0f"):format(inode)) end

local function user_label(tree, node)
  local lines = { ("user %.0f"):format(node.inode) }
  lines[#lines + 1] = words.maker(node)
  if tree.viewer.namespaces.user == node.inode then lines[#lines + 1] = "you are here" end
  for _, line in ipairs(words.maps(node, node.inode == tree.viewer.namespaces.user)) do lines[#lines + 1] = line end
  for _, line in ipairs(words.details(node)) do lines[#lines + 1] = line end
  return label(lines)
end

---@param tree cella.tree
---@return string
function M.render(tree)
  local lines = { "digraph namespaces {", '  node [shape=box, fontname="sans-serif", fontsize=11];',
    '  edge [fontname="sans-serif", fontsize=9];' }
  for _, node in ipairs(tree.namespaces) do
    if node.kind == "user" then
      lines[#lines + 1] = ("  %s [label=%s, style=bold];"):format(name(node.inode), user_label(tree, node))
    else
      local text = { ("%s %.0f"):format(node.kind, node.inode) }
      for _, line in ipairs(words.details(node)) do text[#text + 1] = line end
      lines[#lines + 1] = ("  %s [label=%s, style=rounded];"):format(name(node.inode), label(text))
    end
  end
  for _, node in ipairs(tree.namespaces) do
    for _, child in ipairs(node.children) do
      lines[#lines + 1] = ("  %s -> %s [style=bold];"):format(name(node.inode), name(child))
    end
    for _, owned in ipairs(node.governs) do
      lines[#lines + 1] = ('  %s -> %s [label="governs"];'):format(name(node.inode), name(owned))
    end
    for _, used in ipairs(node.uses) do
      lines[#lines + 1] = ('  %s -> %s [label="is in", style=dashed, constraint=false];'):format(name(node.inode),
        name(used))
    end
  end
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n") .. "\n"
end

return M
