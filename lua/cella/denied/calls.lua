--- The calls that a filter may let pass and a container refuse nevertheless, and what they do to which file.

local M = {}

---@class cella.denied.use
---@field path integer   the argument that is the address of a path; the first is 0
---@field at integer?    that which is the directory's descriptor; the working directory, if there is none
---@field flags integer? that which is the flags of open(2)
---@field how integer?   the address of a struct open_how
---@field mode integer?  that which is the mode of access(2)
---@field from cella.denied.use?  where what is put there, or linked, comes from
---@field does "look"|"read"|"create"|"write"|"change"|"make"|"put"|"remove"|"enter"|"execute"
---@field unfollowed boolean?  a symbolic link is meant itself

-- NAME:DOES:ARGUMENTS, and behind a comma what else it does. Arguments by the first letter of their names: "p1a0f2".
-- "-": a symbolic link is meant itself.
local PATHS = [[
  open:read:p0f1 openat:read:p1a0f2 openat2:read:p1a0h2 creat:create:p0
  stat:look:p0 lstat:look-:p0 newfstatat:look:p1a0 statx:look:p1a0 access:look:p0m1 faccessat:look:p1a0m2
  faccessat2:look:p1a0m2 readlink:look-:p0 readlinkat:look-:p1a0 statfs:look:p0 chdir:enter:p0
  execve:execute:p0 execveat:execute:p1a0
  truncate:write:p0 chmod:change:p0 fchmodat:change:p1a0 fchmodat2:change:p1a0 chown:change:p0 lchown:change-:p0
  fchownat:change:p1a0 utime:change:p0 utimes:change:p0 futimesat:change:p1a0 utimensat:change:p1a0
  setxattr:change:p0 lsetxattr:change-:p0
  mkdir:make-:p0 mkdirat:make-:p1a0 mknod:make-:p0 mknodat:make-:p1a0 symlink:make-:p1 symlinkat:make-:p2a1
  unlink:remove-:p0 unlinkat:remove-:p1a0 rmdir:remove-:p0 link:look-:p0,make-:p1 linkat:look-:p1a0,make-:p3a2
  rename:remove-:p0,put-:p1 renameat:remove-:p1a0,put-:p3a2 renameat2:remove-:p1a0,put-:p3a2
]]

local LETTERS = { p = "path", a = "at", f = "flags", h = "how", m = "mode" }

---@type table<string, cella.denied.use[]>
M.PATHS = {}

for name, uses in PATHS:gmatch "([a-z0-9]+):(%S+)" do
  M.PATHS[name] = {}
  for does, link, arguments in uses:gmatch "([a-z]+)(%-?):([a-z0-9]+)" do
    local use = { does = does, unfollowed = link == "-" }
    for letter, index in arguments:gmatch "([a-z])(%d)" do use[LETTERS[letter]] = tonumber(index) end
    use.from = M.PATHS[name][1]
    table.insert(M.PATHS[name], use)
  end
end

--- Those that send a file's name, or an address, elsewhere: the argument that is the address of it.
M.ADDRESSES = { connect = true, bind = true }

--- What takes a capability, as far as it can be seen in the registers.
M.CAPABILITIES = { socket = true, sethostname = true, setdomainname = true, setgroups = true }

--- Those that make a descriptor, of which there may be too many.
M.DESCRIPTORS = { open = true, openat = true, openat2 = true, creat = true, socket = true }

--- All of them.
---@type table<string, true>
M.NAMES = {}
for _, list in ipairs { M.PATHS, M.ADDRESSES, M.CAPABILITIES } do
  for name in pairs(list) do M.NAMES[name] = true end
end

return M
