--- The hierarchy of namespaces, as far as this process sees it (namespaces(7), user_namespaces(7), ioctl_nsfs(2)).
---
---     local tree = assert(cella.tree())     -- or cella.tree(pid): what has to do with one process
---     print(tree)                           -- as text
---     io.open("tree.svg", "w"):write(tree:svg())
---
--- User namespaces are below those that they were made in. Each other namespace is governed by one of them, its owner:
--- capabilities over it are those that a process has over its owner. IDs are those of the caller's user namespace.

local ask = require "cella.tree.ask"
local blame = require "cella.blame"
local core = require "cella.core"
local Error = require "cella.error"
local kinds = require "cella.kinds"
local lazy = require "cella.lazy"
local list = require "cella.list"
local maps = require "cella.tree.maps"
local node_of = require "cella.tree.node"
local order = require "cella.tree.order"
local related = require "cella.tree.related"
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
      add_way(self, inode, process.directory .. "/ns/" .. kinds.link(kind))
    end
  end
  for link, kind in pairs(LATER) do
    local inode = process.namespaces[link]
    if inode and inode ~= process.namespaces[kind] then
      local awaiting = node_of(self, kind, inode).awaiting
      awaiting[#awaiting + 1] = { pid = process.pid, name = process.name }
      add_way(self, inode, process.directory .. "/ns/" .. link)
    end
  end
  for _, held in ipairs(process.held) do
    local holders = node_of(self, held.kind, held.inode).holders
    holders[#holders + 1] = { pid = process.pid, name = process.name, fd = held.fd }
    add_way(self, held.inode, ("%s/fd/%d"):format(process.directory, held.fd))
  end
  self.held_more = self.held_more or process.held_more
end

-- Names in other mount namespaces are told, but no way leads through them: who owns such a one could have us wait.
local function add_mounts(self)
  local own = self.viewer.namespaces.mount
  local function add(directory, inode)
    local mounts = scan.mounts(directory)
    for _, mount in ipairs(mounts or {}) do
      local names = node_of(self, mount.kind, mount.inode).names
      names[#names + 1] = { path = mount.path, mount_namespace = inode }
      if directory == "/proc/self" then add_way(self, mount.inode, mount.path) end
    end
    return mounts ~= nil
  end
  add("/proc/self", own)
  for _, inode in ipairs(list.sorted_keys(self.node)) do
    local node = self.node[inode]
    if node.kind == "mount" and inode ~= own then
      -- One of them may have ended by now.
      for i = 1, math.min(#node.members, 4) do
        if add(node.members[i].directory, inode) then break end
      end
    end
  end
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
  ask.ask_all(self)
  if self.lacks then return nil, Error.new { op = "tree", errno = self.lacks } end
  maps.add(self)
  order.add_uses(self)
  order.add(self)
  if focus then related.keep(self, focus, all) end
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
