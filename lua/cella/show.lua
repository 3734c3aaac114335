--- What there is to know about one process: who it is, in every user namespace between it and the caller; what it may
--- do, and over what; where it is, and what limits it.
---
---     local page = assert(cella.show(4242))
---     print(page)
---     print(page.over[1].holds)

local confinement = require "cella.confinement"
local core = require "cella.core"
local capabilities = require "cella.caps"
local blame = require "cella.blame"
local Error = require "cella.error"
local file = require "cella.host.file"
local kinds = require "cella.kinds"
local lazy = require "cella.lazy"
local mountinfo = require "cella.mountinfo"
local over = require "cella.caps.over"
local status = require "cella.host.status"
local targets = require "cella.enter.target"
local trees = require "cella.tree"
local validate = require "cella.validate"
---@module "cella.show.data"
local data = lazy "cella.show.data"
---@module "cella.show.text"
local text = lazy "cella.show.text"

local M = {}

---@class cella.show.ids  who a process is in a user namespace
---@field user integer       the namespace's number
---@field here boolean       whether it is the caller's
---@field uid (integer|false)[]  real, effective, saved, of the file system; false: none there, which looks like 65534
---@field gid (integer|false)[]
---@field groups (integer|false)[]
---@field unknown boolean?   its map is not to be seen

---@class cella.show.over  what a process may do over a user namespace
---@field user integer?      the namespace's number; nil: it is not to be seen from here
---@field why string[]       what it is to the process: "own", "net" (it governs its network), "host", "made"
---  (its user has made it)
---@field holds cella.caps.set   what it holds over it
---@field idle cella.caps.set?   which of these allow nothing there: the kernel asks for them over the first one alone

---@class cella.show.namespace
---@field kind string
---@field inode integer
---@field yours integer?     the caller's
---@field owner integer?     the user namespace that governs it; of a user namespace: its parent
---@field held boolean       whether the process's capabilities are over it

---@class cella.show
---@field pid integer
---@field name string         as it calls itself: anything
---@field command string[]    the words of its command line
---@field parent { pid: integer, name: string? }
---@field state string        "S (sleeping)"
---@field threads integer
---@field ids cella.show.ids[]  from the caller's user namespace to its own
---@field capabilities cella.caps.state
---@field over cella.show.over[]
---@field no_new_privs boolean
---@field seccomp { mode: integer, filters: integer }
---@field namespaces cella.show.namespace[]
---@field root string?        nil where it is not to be seen
---@field cwd string?
---@field executable string?
---@field mounts { count: integer, root: string? }?  how many it sees, and of what type the one on / is
---@field cgroups { hierarchy: integer, controllers: string, path: string }[]
---@field limits table<string, { soft: integer|"unlimited", hard: integer|"unlimited" }>
---@field umask integer
---@field setgroups "allow"|"deny"
---@field tree cella.tree     what has to do with it
local Page = { __name = "cella.show" }
local methods = {}
Page.__index = methods

local function translated(map, ids)
  local list = {}
  for i, id in ipairs(ids) do list[i] = map:inside(id) or false end
  return list
end

-- From the caller's user namespace down to that of the process.
local function chain(tree, inode)
  local list = {}
  while inode do
    table.insert(list, 1, inode)
    if inode == tree.viewer.namespaces.user then break end
    inode = tree.node[inode].parent
  end
  return list
end

local function ids_of(tree, facts)
  local list = {}
  for i, inode in ipairs(chain(tree, facts.namespaces.user)) do
    local node = tree.node[inode]
    local ids = { user = inode, here = inode == tree.viewer.namespaces.user }
    if ids.here then
      ids.uid, ids.gid, ids.groups = facts.uid, facts.gid, facts.groups
    elseif node.uid_map then
      ids.uid, ids.gid = translated(node.uid_map, facts.uid), translated(node.gid_map, facts.gid)
      ids.groups = translated(node.gid_map, facts.groups)
    else
      ids.unknown, ids.uid, ids.gid, ids.groups = true, {}, {}, {}
    end
    list[i] = ids
  end
  return list
end

-- Whether capabilities of a process in a user namespace are over another: the same, or one below it.
local function reaches(tree, from, to)
  while to do
    if to == from then return true end
    to = tree.node[to] and tree.node[to].parent
  end
  return false
end

local function over_of(tree, facts, effective)
  local own, list, by_user = facts.namespaces.user, {}, {}
  local function add(user, why, holds)
    local known = user and by_user[user]
    if known then
      known.why[#known.why + 1] = why
      return
    end
    local one = { user = user, why = { why }, holds = holds }
    if user ~= kinds.FIRST_USER and not holds:empty() then one.idle = holds * over.host_only() end
    list[#list + 1] = one
    if user then by_user[user] = one end
  end
  local function held(user) return user and reaches(tree, own, user) and effective or capabilities.none end
  add(own, "own", effective)
  local net = tree.node[facts.namespaces.net]
  add(net and net.owner, "net", held(net and net.owner))
  add(kinds.FIRST_USER, "host", held(kinds.FIRST_USER))
  -- Who made a user namespace, and is in its parent, has every capability over it.
  for _, child in ipairs(tree.node[own].children) do
    if tree.node[child].owner_uid == facts.uid[2] then add(child, "made", capabilities.all()) end
  end
  return list
end

local function namespaces_of(tree, facts)
  local list = {}
  for _, kind in ipairs(kinds.list) do
    local inode = facts.namespaces[kind]
    local node = inode and tree.node[inode]
    if inode then
      list[#list + 1] = { kind = kind, inode = inode, yours = tree.viewer.namespaces[kind], owner = node and node.owner,
        held = reaches(tree, facts.namespaces.user, kind == "user" and inode or node and node.owner) }
    end
  end
  return list
end

local function words_of(cmdline)
  local list = {}
  for word in cmdline:gmatch "([^%z]*)%z" do list[#list + 1] = word end
  if #list == 0 and cmdline ~= "" then list[1] = cmdline end
  return list
end

local function cgroups_of(source)
  local list = {}
  for line in source:gmatch "[^\n]+" do
    local hierarchy, controllers, path = line:match "^(%d+):([^:]*):(.*)$"
    if hierarchy then
      list[#list + 1] = { hierarchy = tonumber(hierarchy), controllers = controllers, path = path }
    end
  end
  return list
end

local function mounts_of(target)
  local source = target:read "mountinfo"
  if not source then return nil end
  local mounts, root = mountinfo.parse(source), nil
  for _, mount in ipairs(mounts) do
    if mount.point == "/" then root = mount.kind end
  end
  return { count = #mounts, root = root }
end

local function page_of(target)
  local facts, err = target:facts(confinement.read)
  if not facts then return nil, err end
  local source
  source, err = target:read "status"
  if not source then return nil, err end
  local tree, state
  tree, err = trees.new(target.pid)
  if not tree then return nil, err end
  state, err = capabilities.state(target.pid ~= core.sys.getpid() and target.pid or nil)
  if not state then return nil, err end
  local parent = tonumber(status.field(source, "PPid")) or 0
  local of_parent = parent > 0 and file.read(("/proc/%d/status"):format(parent))
  return setmetatable({
    pid = target.pid, name = status.field(source, "Name") or "", command = words_of(target:read "cmdline" or ""),
    parent = { pid = parent, name = of_parent and status.field(of_parent, "Name") or nil },
    state = status.field(source, "State") or "", threads = tonumber(status.field(source, "Threads")) or 1,
    ids = ids_of(tree, facts), capabilities = state, over = over_of(tree, facts, state.effective),
    no_new_privs = facts.no_new_privs, seccomp = facts.seccomp, namespaces = namespaces_of(tree, facts),
    root = core.readlink(target:path "root"), cwd = core.readlink(target:path "cwd"),
    executable = core.readlink(target:path "exe"), mounts = mounts_of(target), cgroups = cgroups_of(facts.cgroups),
    limits = facts.limits, umask = facts.umask, setgroups = facts.setgroups, tree = tree,
  }, Page)
end

--- A page about a process.
---@param pid integer
---@return cella.show?, cella.error?
function M.new(pid)
  validate.check(validate.rule.integer(1, 2147483647), pid, "pid")
  local target, err = targets.hold(pid)
  local page
  if target then
    page, err = page_of(target)
    -- What was read under its number is its own if it is still there.
    if page and target:ended() then
      page, err = nil, Error.new { op = "show", errno = 3, path = ("/proc/%d"):format(pid),
        why = ("process %d has ended meanwhile"):format(pid) }
    end
    target:close()
  end
  if err and err.op == "enter" then err.op = "show" end
  return page, err
end

local function own(self, name)
  if getmetatable(self) ~= Page then blame(("%s: a page expected, got %s"):format(name, validate.show(self))) end
  return self
end

--- As text.
---@param options { colour: boolean? }?  colour: with the escape sequences of a terminal
---@return string
function methods:text(options) return text.render(own(self, "text"), options or {}) end

--- As plain data, for JSON: lists, strings and numbers.
---@return table
function methods:data() return data.of(own(self, "data")) end

function Page:__tostring() return text.render(self, {}) end

return M
