--- Who makes a call that is held back: what lies in its memory, and where the paths lead that it says. All of it is
--- asked of the kernel while the call waits.

local core = require "cella.core"
local file = require "cella.host.file"
local kinds = require "cella.kinds"
local mountinfo = require "cella.mountinfo"
local status = require "cella.host.status"
local word = require "cella.seccomp.word"

---@class cella.denied.caller
---@field tid integer
---@field words string[]  the registers
---@field reader cella.denied.reader
local Caller = {}
Caller.__index = Caller

local M = {}

local AT_FDCWD = 4294967196 -- -100, as 32 bits
local PATH_MAX = 4096

---@param call { pid: integer, arguments: string[] }  of core.listener.receive
---@param reader cella.denied.reader
---@return cella.denied.caller
function M.new(call, reader)
  return setmetatable({ tid = call.pid, words = call.arguments, reader = reader }, Caller)
end

local function proc(self, name) return ("/proc/%d/%s"):format(self.tid, name) end

--- The lower 32 bits of an argument; the first is 0.
---@param index integer
---@return integer
function Caller:int(index)
  local _, low = word.halves(self.words[index + 1])
  return low
end

--- What lies where an argument points: so many bytes at most.
---@param index integer
---@param size integer
---@return string?
function Caller:bytes(index, size)
  return (self.reader:read(self.tid, self.words[index + 1], size))
end

--- The text that an argument points to. Nil where nothing can be read there, or where it is longer than a path can be.
---@param index integer
---@return string?
function Caller:text(index)
  local text, cut = self.reader:read(self.tid, self.words[index + 1], PATH_MAX, true)
  return text and not cut and text or nil
end

function Caller:status()
  self.its_status = self.its_status or file.read(proc(self, "status")) or ""
  return self.its_status
end

--- The process, and its name.
---@return integer pid, string comm
function Caller:identity()
  local pid = tonumber(status.field(self:status(), "Tgid") or "")
  return pid or self.tid, (file.read_trimmed(proc(self, "comm")) or "?")
end

--- The protocol of a socket that an argument is the descriptor of; nil of what is none, or not known.
---@param index integer
---@return "tcp"|"udp"|nil
function Caller:protocol(index)
  return (core.listener.protocol(self:identity(), self:int(index)))
end

--- How many descriptors it has, if those may be as many as `limit`; else nil.
---@param limit integer
---@return integer?
function Caller:descriptors(limit)
  -- What there is room for, which grows by doubling.
  if (self:numbers "FDSize"[1] or 0) < limit then return nil end
  local names = core.list_directory(proc(self, "fd"))
  return names and #names
end

--- The numbers of a field of /proc/PID/status.
---@param name string
---@return integer[]
function Caller:numbers(name) return status.numbers(self:status(), name) end

--- Whether its effective capabilities have one, by its number; or those of another set.
---@param number integer
---@param set string?  "CapBnd"
---@return boolean
function Caller:has(number, set)
  local digits = status.field(self:status(), set or "CapEff") or ""
  local at = #digits - math.floor(number / 4)
  local digit = tonumber(digits:sub(at, at), 16)
  return digit ~= nil and math.floor(digit / 2 ^ (number % 4)) % 2 == 1
end

--- Whether it is in another namespace than this process.
---@param type string
---@return boolean
function Caller:is_elsewhere(type)
  local its, own = core.readlink(proc(self, "ns/" .. type)), core.readlink("/proc/self/ns/" .. type)
  return its ~= nil and own ~= nil and its ~= own
end

--- Whether its user namespace is another than the machine's first.
---@return boolean
function Caller:is_below_first()
  local its = core.readlink(proc(self, "ns/user"))
  return its ~= nil and its ~= ("user:[%.0f]"):format(kinds.FIRST_USER)
end

--- Whether a user ID of the host's has one inside (user_namespaces(7)); or a group's.
---@param id integer
---@param map "uid_map"|"gid_map"|nil
---@return boolean
function Caller:maps(id, map)
  for first, count in (self:file(map or "uid_map") or ""):gmatch "%d+[ \t]+(%d+)[ \t]+(%d+)" do
    if id >= tonumber(first) and id < tonumber(first) + tonumber(count) then return true end
  end
  return false
end

--- A file below its /proc/PID.
---@param name string
---@return string?
function Caller:file(name) return (file.read(proc(self, name))) end

--- A path of the host's, as its root has it; nil where it is not in there.
---@param path string?
---@return string?
function Caller:inside(path)
  local root = core.readlink(proc(self, "root"))
  if not root or not path or path:sub(1, 1) ~= "/" then return nil end
  if root == "/" then return path end
  if path == root then return "/" end
  return path:sub(1, #root + 1) == root .. "/" and path:sub(#root + 1) or nil
end

--- A path from its root: what it says, behind the directory that it means.
---@param path string
---@param at integer?  the argument that is the directory's descriptor
---@return string?
function Caller:absolute(path, at)
  if path:sub(1, 1) == "/" then return path end
  local number = at and self:int(at) or AT_FDCWD
  local link = number == AT_FDCWD and "cwd" or ("fd/%d"):format(number)
  local base = self:inside(core.readlink(proc(self, link)))
  if not base or path == "" then return base end
  return (base == "/" and "" or base) .. "/" .. path
end

-- File systems that answer by themselves. One of another kind may leave whoever asks waiting, for ever.
local LOCAL = {}
for kind in ([[ext2 ext3 ext4 xfs btrfs f2fs bcachefs zfs tmpfs ramfs rootfs devtmpfs overlay squashfs erofs iso9660
    vfat proc sysfs cgroup cgroup2 devpts mqueue hugetlbfs debugfs tracefs securityfs configfs pstore bpf efivarfs
    fusectl binfmt_misc nsfs]]):gmatch "%S+" do LOCAL[kind] = true end

local function are_local(text)
  if not text then return false end
  for _, mount in ipairs(mountinfo.parse(text)) do
    if not LOCAL[mount.kind] then return false end
  end
  return true
end

local ASKED_AFTER = 1 -- seconds, in which mounts may change

-- Whether all file systems of a mount namespace answer by themselves.
local function has_local(of, namespace, looks, key)
  local known, now = looks[key], core.now()
  if not known or known.namespace ~= namespace or now > known.till then
    known = { namespace = namespace, till = now + ASKED_AFTER,
      are_local = are_local(file.read(("/proc/%s/mountinfo"):format(of))) }
    looks[key] = known
  end
  return known.are_local
end

--- Whether nobody who looks at the host's files, as this process sees them, has to wait for somebody.
---@param looks table  what is remembered from one call to the next
---@return boolean
function M.waits_for_nobody(looks)
  return has_local("self", core.readlink "/proc/self/ns/mnt" or "", looks, "own_mounts")
end

local SYS_ADMIN = 21

--- The same of who looks at its files. That must not change while he looks: so it is said of the mount namespace of the
--- first one who was ever held, which is the program before exec, and if nobody in there can mount anything.
---@param looks table
---@return boolean
function Caller:waits_for_nobody(looks)
  local namespace = core.readlink(proc(self, "ns/mnt")) or ""
  if looks.fixed == nil then looks.fixed = not self:has(SYS_ADMIN, "CapBnd") and namespace end
  return namespace ~= "" and looks.fixed == namespace and has_local(self.tid, namespace, looks, "its_mounts")
end

local function mount_of(self, number)
  local id = mountinfo.id_at(number)
  for _, mount in ipairs(mountinfo.parse(self:file "mountinfo" or "")) do
    if mount.id == id then return mount end
  end
  return nil
end

--- Whether a descriptor of ours is of a file on a tmpfs, as what the container has for itself is.
---@param number integer
---@return boolean
function Caller:is_on_tmpfs(number)
  local mount = mount_of(self, number)
  return mount ~= nil and mount.kind == "tmpfs"
end

--- Whether the mount of that file, or its file system, is read-only.
---@param number integer
---@param looks table
---@return boolean
function Caller:is_readonly(number, looks)
  if self:waits_for_nobody(looks) then return core.listener.is_readonly(number) == true end
  local mount = mount_of(self, number) -- of which nobody else is asked
  return mount ~= nil and ("," .. mount.flags .. "," .. mount.options .. ","):find(",ro,", 1, true) ~= nil
end

--- The directory above one that a descriptor of ours is of; nil where that is not known.
---@param number integer
---@param looks table
---@return integer?
function Caller:above(number, looks)
  return (core.sys.openat2("..", { "path", "directory" }, self:waits_for_nobody(looks) and {} or { "cached" }, number))
end

--- What is at a path of its root: the number of a descriptor of it, to be closed; false where there is nothing; nil
--- where that is not known.
---@param path string
---@param unfollowed boolean?
---@param looks table  what is remembered from one call to the next
---@return integer|false|nil, string? code  "ENOENT" or "ENOTDIR" where there is nothing
function Caller:find(path, unfollowed, looks)
  if #path >= PATH_MAX then return nil end
  local root = core.open(proc(self, "root"), { "path", "directory" })
  if not root then return nil end
  local resolve = { "in_root", "no_magiclinks" }
  if not self:waits_for_nobody(looks) then resolve[3] = "cached" end
  local flags = unfollowed and { "path", "nofollow" } or { "path" }
  local number, _, errno = core.sys.openat2(path, flags, resolve, root:number())
  root:close()
  if number then return number end
  local code = core.errno_name(errno)
  if code == "ENOENT" or code == "ENOTDIR" then return false, code end
  return nil
end

return M
