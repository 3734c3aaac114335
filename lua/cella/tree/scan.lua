--- Where namespaces are to be seen: in processes, in descriptors that these hold, and in mounts.

local core = require "cella.core"
local file = require "cella.host.file"
local kinds = require "cella.kinds"
local mountinfo = require "cella.mountinfo"
local status = require "cella.host.status"

local M = {}

local KIND_OF_LINK = {}
for _, kind in ipairs(kinds.list) do KIND_OF_LINK[kinds.link(kind)] = kind end
KIND_OF_LINK.pid_for_children, KIND_OF_LINK.time_for_children = "pid", "time"

-- "net:[4026531840]" -> "net", 4026531840
local function parse(target)
  local link, inode = target:match "^([a-z_]+):%[(%d+)%]$"
  if link and KIND_OF_LINK[link] then return KIND_OF_LINK[link], tonumber(inode) end
  return nil
end

---@class cella.tree.process
---@field pid integer
---@field name string   as the process has it: anything
---@field parent integer
---@field uid integer?  effective, as the caller's user namespace has it; nil where nothing is shown
---@field zombie boolean  all of its threads have ended
---@field directory string  in /proc: of a thread that runs on, where the first one has ended
---@field kernel_thread boolean  as far as the kernel says so (Linux 6.8)
---@field namespaces table<string, integer>  inodes by type; also pid_for_children and time_for_children
---@field held { fd: integer, kind: string, inode: integer }[]
---@field held_more boolean  whether it holds more than these
---@field refused integer?   the errno, where the kernel does not show its namespaces

local function describe(pid, view)
  local text = view.status
  local process = {
    pid = pid, name = status.field(text, "Name") or "", parent = tonumber(status.field(text, "PPid")) or 0,
    uid = status.numbers(text, "Uid")[2],
    -- What is shown of a process is its first thread, which may have ended before others.
    zombie = not view.thread and (status.field(text, "State") or ""):find "^[ZX]" ~= nil,
    directory = view.thread and ("/proc/%d/task/%d"):format(pid, view.thread) or ("/proc/%d"):format(pid),
    kernel_thread = status.field(text, "Kthread") == "1",
    namespaces = view.namespaces, held = {}, held_more = view.held.more == true, refused = view.refused,
  }
  for _, held in ipairs(view.held) do
    local kind, inode = parse(held[2])
    if kind then process.held[#process.held + 1] = { fd = held[1], kind = kind, inode = inode } end
  end
  return process
end

local EPERM, ENOENT, ESRCH, EACCES = 1, 2, 3, 13

--- A process; nil where it has ended, and with an errno where something else is wrong: no more descriptors, say. With
--- hidepid the kernel may show of others nothing but that they are there.
---@param pid integer
---@return cella.tree.process?, integer? errno
function M.process(pid)
  local view, _, errno = core.process_namespaces(pid)
  if view then return describe(pid, view) end
  if errno == ENOENT or errno == ESRCH then return nil end
  if errno ~= EPERM and errno ~= EACCES then return nil, errno end
  return { pid = pid, name = "", parent = 0, zombie = false, kernel_thread = false, namespaces = {}, held = {},
    held_more = false, refused = errno, directory = ("/proc/%d"):format(pid) }
end

--- All processes that /proc shows, in the order of their numbers, and how many of them ended while they were looked at.
---@return cella.tree.process[]?, integer|string vanished, integer?  or nil, a message and an errno
function M.processes()
  local pids, message, errno = core.caps.pids()
  if not pids then return nil, message, errno end
  table.sort(pids)
  local list, vanished = {}, 0
  for _, pid in ipairs(pids) do
    local process, problem = M.process(pid)
    if problem then return nil, "", problem end
    if process then list[#list + 1] = process else vanished = vanished + 1 end
  end
  return list, vanished
end

---@class cella.tree.mount
---@field path string
---@field kind string
---@field inode integer

--- The namespaces that are mounted in the mount namespace of a process.
---@param directory string  of the process, in /proc
---@return cella.tree.mount[]?  nil where they are not to be seen
function M.mounts(directory)
  local text = file.read(directory .. "/mountinfo")
  if not text then return nil end
  local list = {}
  -- There may be a hundred thousand others.
  local lines = {}
  for line in text:gmatch "[^\n]* %- nsfs [^\n]*" do lines[#lines + 1] = line end
  for _, mount in ipairs(mountinfo.parse(table.concat(lines, "\n"))) do
    local kind, inode = parse(mount.root)
    if mount.kind == "nsfs" and kind then list[#list + 1] = { path = mount.point, kind = kind, inode = inode } end
  end
  return list
end

--- Whether /proc may hide processes from this one: what hidepid is there (proc(5)), unless it is off.
---@return string?
function M.hidepid()
  local found
  for _, mount in ipairs(mountinfo.own()) do
    if mount.point == "/proc" and mount.kind == "proc" then
      found = ("," .. mount.options .. ","):match ",hidepid=([^,]+),"
    end
  end
  return found ~= "0" and found ~= "off" and found or nil
end

return M
