--- The hierarchy of namespaces, as far as this process sees it (namespaces(7), user_namespaces(7), ioctl_nsfs(2)).
---
---     local tree = assert(cella.tree())     -- or cella.tree(pid): what has to do with one process
---     print(tree)                           -- as text
---     io.open("tree.svg", "w"):write(tree:svg()):close()
---
--- User namespaces are below those that they were made in. Each other namespace is governed by one of them, its owner:
--- capabilities over it are those that a process has over its owner. IDs are those of the caller's user namespace.

local blame = require "cella.blame"
local core = require "cella.core"
local Error = require "cella.error"
local file = require "cella.host.file"
local idmap = require "cella.idmap.value"
local kinds = require "cella.kinds"
local lazy = require "cella.lazy"
local list = require "cella.list"
local open = require "cella.open"
local scan = require "cella.tree.scan"
local targets = require "cella.enter.target"
local validate = require "cella.validate"
---@module "cella.tree.data"
local data = lazy "cella.tree.data"
---@module "cella.tree.dot"
local dot = lazy "cella.tree.dot"
---@module "cella.tree.svg"
local svg = lazy "cella.tree.svg"
---@module "cella.tree.text"
local text = lazy "cella.tree.text"

local M = {}

---@class cella.tree.node  a namespace
---@field kind string             "user", "net" and so on
---@field inode integer           its number
---@field parent integer?         of a user or pid namespace: the one that it is below
---@field parent_unseen boolean?  there is one, and the kernel does not show it to this process
---@field owner integer?          the user namespace that governs it; of a user namespace, its parent
---@field owner_unseen boolean?   there is one, and the kernel does not show it to this process
---@field owner_uid integer?      of a user namespace: who made it
---@field owner_unmapped boolean? that is 65534 because he has no ID here
---@field unknown string?         why nothing more is known of it
---@field children integer[]      of a user namespace: those below it
---@field governs integer[]       of a user namespace: the others that it owns
---@field uses integer[]          of a user namespace: what its processes are in, and it does not own
---@field uid_map cella.IdMap?    of a user namespace: IDs inside to those of the caller
---@field gid_map cella.IdMap?
---@field parent_uid_map cella.IdMap?  IDs inside to those of its parent
---@field parent_gid_map cella.IdMap?
---@field unmapped boolean?       whether some of its IDs have no number here
---@field setgroups string?       "allow" or "deny"
---@field processes integer       how many are in it
---@field members cella.tree.process[]  which; where the tree is about one process: those that it comes from, and those
---  in its user namespace and below
---@field names { path: string, mount_namespace: integer }[]  where it is mounted
---@field holders { pid: integer, name: string, fd: integer }[]  who holds a descriptor of it
---@field awaiting { pid: integer, name: string }[]  processes whose children are going to be in it

---@class cella.tree
---@field pid integer?       which process it is about; nil: about all
---@field viewer { pid: integer, uid: integer, namespaces: table<string, integer> }
---@field namespaces cella.tree.node[]  user namespaces first, in the order of namespaces(7), then by number
---@field node table<integer, cella.tree.node>  by number
---@field roots integer[]    the user namespaces whose parent is not to be seen
---@field unowned integer[]  namespaces whose owner is not to be seen
---@field processes integer  how many could be looked at
---@field refused integer[]  those that could not: the kernel shows them to others
---@field zombies integer    how many of the processes have ended, and are in few namespaces still
---@field vanished integer   how many ended meanwhile
---@field held_more boolean? whether a process holds more namespaces open than are shown
---@field hidepid string?    how /proc hides processes of others, if it does
local Tree = { __name = "cella.tree" }
local methods = {}
Tree.__index = methods

local EPERM = 1

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

-- A path by which a namespace can be opened.
local function add_way(self, inode, path)
  local ways = self.ways[inode]
  if #ways < 4 then ways[#ways + 1] = path end
end

local LATER = { pid_for_children = "pid", time_for_children = "time" }

local function add_process(self, process)
  for _, kind in ipairs(kinds.list) do
    local inode = process.namespaces[kind]
    if inode then
      local node = node_of(self, kind, inode)
      node.processes = node.processes + 1
      node.members[node.processes] = process
      add_way(self, inode, ("/proc/%d/ns/%s"):format(process.pid, kinds.link(kind)))
    end
  end
  for link, kind in pairs(LATER) do
    local inode = process.namespaces[link]
    if inode and inode ~= process.namespaces[kind] then
      local awaiting = node_of(self, kind, inode).awaiting
      awaiting[#awaiting + 1] = { pid = process.pid, name = process.name }
      add_way(self, inode, ("/proc/%d/ns/%s"):format(process.pid, link))
    end
  end
  for _, held in ipairs(process.held) do
    local holders = node_of(self, held.kind, held.inode).holders
    holders[#holders + 1] = { pid = process.pid, name = process.name, fd = held.fd }
    add_way(self, held.inode, ("/proc/%d/fd/%d"):format(process.pid, held.fd))
  end
  self.held_more = self.held_more or process.held_more
end

-- Names in other mount namespaces are told, but no way leads through them: who owns such a one could have us wait.
local function add_mounts(self)
  local own = self.viewer.namespaces.mount
  local function add(pid, inode)
    local mounts = scan.mounts(pid)
    for _, mount in ipairs(mounts or {}) do
      local names = node_of(self, mount.kind, mount.inode).names
      names[#names + 1] = { path = mount.path, mount_namespace = inode }
      if pid == "self" then add_way(self, mount.inode, mount.path) end
    end
    return mounts ~= nil
  end
  add("self", own)
  for _, inode in ipairs(list.sorted_keys(self.node)) do
    local node = self.node[inode]
    if node.kind == "mount" and inode ~= own then
      -- One of them may have ended by now.
      for i = 1, math.min(#node.members, 4) do
        if add(node.members[i].pid, inode) then break end
      end
    end
  end
end

local ENOMEM, ENFILE, EMFILE = 12, 23, 24

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

local function ask_all(self)
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

local function add_maps(self)
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

local function add_uses(self)
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

local function add_order(self)
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

-- What has to do with one process: the user namespaces above its own, its own and those below; what its own and those
-- below govern; and what the processes are in that are shown.
local function keep_related(self, process, all)
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

-- The one that it is about. It is held, so that its number stays its own till its namespaces are known.
local function look_at(pid)
  local target, err = targets.hold(pid)
  if not target then return nil, err end
  local process, inode
  inode, err = target:inode "user"
  if inode then
    local problem
    process, problem = scan.process(pid)
    if problem then
      err = Error.new { op = "tree", errno = problem, path = ("/proc/%d"):format(pid) }
    elseif not process or not process.namespaces.user or target:ended() then
      process = nil
      err = Error.new { op = "tree", errno = 3, path = ("/proc/%d"):format(pid),
        why = ("process %d has ended meanwhile"):format(pid) }
    end
  end
  target:close()
  return process, err
end

-- How /proc hides processes of others, from who may not trace them all.
local function hidepid(own)
  local sees_all = list.contains((core.sys.capabilities() or {}).effective, "sys_ptrace")
  if own == kinds.FIRST_USER and sees_all then return nil end
  return scan.hidepid()
end

local function own_namespaces()
  local namespaces = {}
  for _, kind in ipairs(kinds.list) do namespaces[kind] = core.sys.namespace(kind) end
  return namespaces
end

--- All namespaces that can be seen: those that processes are in or hold descriptors of, those that are mounted, and
--- those that these belong to. With a process: those that have to do with it.
---@param pid integer?
---@return cella.tree?, cella.error?
function M.new(pid)
  if pid ~= nil then validate.check(validate.rule.integer(1, 2147483647), pid, "pid") end
  local focus, err
  if pid then
    focus, err = look_at(pid)
    if not focus then
      if err.op == "enter" then err.op = "tree" end
      return nil, err
    end
  end
  local processes, vanished, errno = scan.processes()
  if not processes then return nil, Error.new { op = "tree", path = "/proc", errno = errno } end
  local _, uid = core.sys.getresuid()
  local own, message, code = core.sys.namespace "user"
  if not own then return nil, Error.new { op = "tree", path = "/proc", errno = code, message = message } end
  local self = setmetatable({ pid = pid, node = {}, ways = {}, namespaces = {}, roots = {}, unowned = {}, refused = {},
    processes = 0, zombies = 0, vanished = vanished, hidepid = hidepid(own),
    viewer = { pid = core.sys.getpid(), uid = uid, namespaces = own_namespaces() },
    device = select(2, core.sys.namespace "user") }, Tree)
  local all = {}
  if focus then
    -- As it was held: another may have its number since.
    for i, process in ipairs(processes) do
      if process.pid == pid then table.remove(processes, i) break end
    end
    table.insert(processes, 1, focus)
  end
  for _, process in ipairs(processes) do
    all[process.pid] = process
    if process.refused then
      self.refused[#self.refused + 1] = process.pid
    else
      self.processes = self.processes + 1
      if process.zombie then self.zombies = self.zombies + 1 end
    end
    add_process(self, process)
  end
  add_mounts(self)
  ask_all(self)
  if self.lacks then return nil, Error.new { op = "tree", errno = self.lacks } end
  add_maps(self)
  add_uses(self)
  add_order(self)
  if focus then keep_related(self, focus, all) end
  self.ways, self.device = nil, nil
  return self
end

---@return cella.tree
local function own(self, name)
  if getmetatable(self) ~= Tree then blame(("%s: a tree expected, got %s"):format(name, validate.show(self))) end
  return self
end

--- As text, a line or more for each user namespace, indented below its parent.
---@param options { colour: boolean? }?  colour: with the escape sequences of a terminal
---@return string
function methods:text(options) return text.render(own(self, "text"), options or {}) end

--- As a graph for dot(1) of Graphviz.
---@return string
function methods:dot() return dot.render(own(self, "dot")) end

--- As a picture, nested boxes in a file of its own, which follows the reader's light or dark theme.
---@return string
function methods:svg() return svg.render(own(self, "svg")) end

--- As plain data, for JSON: lists, strings and numbers.
---@return table
function methods:data() return data.of(own(self, "data")) end

function Tree:__tostring() return text.render(self, {}) end

return M
