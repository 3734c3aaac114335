--- What is said of namespaces in words, by text and pictures alike. What others choose (names of processes and paths)
--- comes printable.

local core = require "cella.core"
local kinds = require "cella.kinds"
local printable = require "cella.printable"

local M = {}

local MOST_EXTENTS, MOST_MEMBERS = 4, 4

local function number(value) return ("%.0f"):format(value) end
M.number = number

--- "7", or "0-65535".
---@return string
function M.span(first, count)
  return count == 1 and number(first) or ("%.0f-%.0f"):format(first, first + count - 1)
end

local accounts = {}

--- "uid 1000 (alice)"; without the name where there is none.
---@param uid integer
---@return string
function M.uid(uid)
  if accounts[uid] == nil then accounts[uid] = core.user_name(uid) or false end
  return accounts[uid] and ("uid %.0f (%s)"):format(uid, printable.line(accounts[uid])) or ("uid %.0f"):format(uid)
end

--- "3 processes"
---@return string
function M.count(n, one, many)
  return ("%.0f %s"):format(n, n == 1 and one or many or one .. "s")
end

--- "sleep (4711)"
---@param process { pid: integer, name: string, zombie: boolean? }
---@return string
function M.process(process)
  return ("%s (%.0f%s)"):format(printable.line(process.name), process.pid, process.zombie and ", ended" or "")
end

-- Those that are programs first: the kernel's threads are many, and say little, as do inits of ours.
local function programs_first(list)
  local programs, others = {}, {}
  for _, process in ipairs(list) do
    local is_other = process.kernel_thread or process.name == "cella-init"
    table.insert(is_other and others or programs, process)
  end
  for _, process in ipairs(others) do programs[#programs + 1] = process end
  return programs
end

--- The first processes of a list, with commas.
---@param list { pid: integer, name: string }[]
---@param most integer?
---@return string
function M.processes(list, most)
  local shown = {}
  list = programs_first(list)
  for i = 1, math.min(#list, most or MOST_MEMBERS) do shown[i] = M.process(list[i]) end
  if #list > #shown then shown[#shown + 1] = "..." end
  return table.concat(shown, ", ")
end

-- The extents of a map: `say` makes words of each.
local function joined(map, say)
  local list, extents = {}, map:extents()
  for i, extent in ipairs(extents) do
    if i > MOST_EXTENTS then
      list[i] = ("and %s more"):format(M.count(#extents - MOST_EXTENTS, "range"))
      break
    end
    list[i] = M.span(extent.inside, extent.count) .. (extent.count == 1 and " is " or " are ") .. say(extent)
  end
  return table.concat(list, "; ")
end

local function stretches(map, where)
  return joined(map, function(extent)
    local is_same = where == "here" and extent.inside == extent.outside
    return (is_same and "the same " or M.span(extent.outside, extent.count) .. " ") .. where
  end)
end

-- "0-9 are 80-89 of the one above, 100090-100099 here"; nil where an extent is in pieces above.
local function in_both(map, parent_map)
  for _, extent in ipairs(map:extents()) do
    if not parent_map:outside(extent.inside, extent.count) then return nil end
  end
  return joined(map, function(extent)
    local here = M.span(extent.outside, extent.count)
    return ("%s of the one above, %s here"):format(M.span(parent_map:outside(extent.inside, extent.count),
      extent.count), here)
  end)
end

--- What the maps of a user namespace say, a line each.
---@param node cella.tree.node
---@param own boolean  whether it is the caller's own: then it is said what its IDs are above
---@return string[]
function M.maps(node, own)
  local uid, gid = node.uid_map, node.gid_map
  local where = "here"
  local parent_uid, parent_gid = node.parent_uid_map, node.parent_gid_map
  if own then
    if node.inode == kinds.FIRST_USER then return { "all IDs are the machine's own" } end
    uid, gid, parent_uid, parent_gid, where = node.parent_uid_map, node.parent_gid_map, nil, nil, "above"
  end
  if not uid then return { "maps: not to be seen, as no process is in it" } end
  local lines = {}
  local function add(name, map, parent)
    local both = parent and parent ~= map and in_both(map, parent)
    local said = both or stretches(map, where)
    if #map:extents() == 0 then
      said = node.unmapped and "of none there is a number here" or "no map: everybody looks like 65534 inside"
    end
    lines[#lines + 1] = name .. " " .. said
    if parent and parent ~= map and not both then
      lines[#lines + 1] = (" "):rep(#name + 1) .. stretches(parent, "of the one above")
    end
  end
  if uid == gid and parent_uid == parent_gid then
    add("IDs:", uid, parent_uid)
  else
    add("uids:", uid, parent_uid)
    add("gids:", gid, parent_gid)
  end
  if node.unmapped and #uid:extents() > 0 then lines[#lines + 1] = "others of its IDs have no number here" end
  return lines
end

--- Who made a user namespace.
---@param node cella.tree.node
---@return string?
function M.maker(node)
  if node.inode == kinds.FIRST_USER then return "the machine's first" end
  if node.owner_unmapped then return "made by somebody who has no ID here" end
  return node.owner_uid and "made by " .. M.uid(node.owner_uid) or nil
end

--- What a user namespace is called in a picture: its first program, or in words.
---@param tree cella.tree
---@param node cella.tree.node
---@return string
function M.title(tree, node)
  local first = programs_first(node.members)[1]
  if node.inode == kinds.FIRST_USER and not tree.pid then return "the machine" end
  return first and printable.line(first.name) or "nobody"
end

--- What is worth telling of a namespace beside its number: who is in it, what keeps it.
---@param node cella.tree.node
---@return string[]
function M.details(node)
  local list = {}
  if node.processes > 0 then
    local shown = #node.members > 0 and M.processes(node.members) or nil
    list[#list + 1] = M.count(node.processes, "process", "processes")
      .. (shown and (#node.members < node.processes and ", among them " or ": ") .. shown or "")
  end
  -- A copy of a mount namespace has the same names again.
  local named, count = {}, 0
  for _, name in ipairs(node.names) do
    if not named[name.path] then
      named[name.path], count = true, count + 1
      if count <= MOST_MEMBERS then list[#list + 1] = "kept as " .. printable.line(name.path) end
    end
  end
  if count > MOST_MEMBERS then list[#list + 1] = ("and as %d more"):format(count - MOST_MEMBERS) end
  if #node.holders > 0 then list[#list + 1] = "held open by " .. M.processes(node.holders) end
  if #node.awaiting > 0 then list[#list + 1] = "for the children of " .. M.processes(node.awaiting) end
  if #list == 0 then list[1] = "no process" end
  if node.unknown then list[#list + 1] = node.unknown end
  return list
end

--- What a tree does not show, and why, in sentences.
---@param tree cella.tree
---@param is_picture boolean?  which is kept: what was so for a moment is left out
---@return string[]
function M.notes(tree, is_picture)
  local list = {}
  if #tree.refused > 0 then
    list[#list + 1] = ("%s may not be looked at (%.0f%s): the kernel shows namespaces to who could trace the process")
      :format(M.count(#tree.refused, "process", "processes"), tree.refused[1], tree.refused[2] and ", ..." or "")
  end
  if tree.zombies > 0 and not is_picture then
    list[#list + 1] = ("%s ended and not been waited for: most of what such a process was in is gone")
      :format(M.count(tree.zombies, "process has", "processes have"))
  end
  if tree.vanished > 0 and not is_picture then
    list[#list + 1] = M.count(tree.vanished, "process", "processes") .. " ended while this was looked at"
  end
  if tree.hidepid then
    list[#list + 1] = ("/proc has hidepid=%s: processes of others may be missing"):format(printable.line(tree.hidepid))
  end
  if tree.held_more then
    list[#list + 1] = "a process holds more than 256 namespaces open: those beyond are not shown"
  end
  return list
end

return M
