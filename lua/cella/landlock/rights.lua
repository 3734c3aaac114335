--- What Landlock can refuse, by the names of landlock(7), and since when: its ABI, which counts what was added, and the
--- kernel that came with it.

local M = {}

-- Of files: { name, ABI, whether it is about files that are no directories too }, in the kernel's order.
local FILES = {
  { "execute", 1, true }, { "write_file", 1, true }, { "read_file", 1, true }, { "read_dir", 1 }, { "remove_dir", 1 },
  { "remove_file", 1 }, { "make_char", 1 }, { "make_dir", 1 }, { "make_reg", 1 }, { "make_sock", 1 },
  { "make_fifo", 1 }, { "make_block", 1 }, { "make_sym", 1 }, { "refer", 2 }, { "truncate", 3, true },
  { "ioctl_dev", 5, true }, { "resolve_unix", 9, true },
}

-- Of ports, by the keys of a policy.
local PORTS = {
  tcp = { bind = { "bind_tcp", 4 }, connect = { "connect_tcp", 4 } },
  udp = { bind = { "bind_udp", 10 }, connect = { "connect_send_udp", 10 } },
}

local SCOPES = { { "abstract_unix_socket", 6 }, { "signal", 6 } }

-- The Linux in which each ABI was new.
local KERNELS = { "5.13", "5.19", "6.2", "6.7", "6.10", "6.12", "6.15", "7.0", "7.1", "7.2" }

--- What `files` are about where nothing else is said: what there is since this ABI. A right that a later one has added
--- counts where it is named.
M.USUAL = 5

--- Several rights by one word.
M.GROUPS = {
  read = { "read_file", "read_dir" },
  make = { "make_dir", "make_reg", "make_sym", "make_sock", "make_fifo" },
  remove = { "remove_dir", "remove_file" },
  write = { "write_file", "truncate", "make_dir", "make_reg", "make_sym", "make_sock", "make_fifo", "remove_dir",
    "remove_file", "refer" },
  device = { "make_char", "make_block", "ioctl_dev" },
  all = {},
}

M.files, M.scopes = {}, {}
M.ports = PORTS

local since, of_file = {}, {}

for i, one in ipairs(FILES) do
  M.files[i], since[one[1]], of_file[one[1]] = one[1], one[2], one[3] or false
  M.GROUPS.all[i] = one[1]
end
for i, one in ipairs(SCOPES) do M.scopes[i], since[one[1]] = one[1], one[2] end
for _, kinds in pairs(PORTS) do
  for _, one in pairs(kinds) do since[one[1]] = one[2] end
end

--- The ABI that has added a right or scope.
---@param name string
---@return integer
function M.since(name) return since[name] end

--- Whether a right is one to a file that is no directory too.
---@param name string
---@return boolean
function M.is_of_file(name) return of_file[name] end

--- The Linux that was the first with an ABI; nil of one that is newer than this list.
---@param abi integer
---@return string?
function M.kernel(abi) return KERNELS[abi] end

--- The newest that has added something of these.
M.NEWEST = 10

--- All rights and scopes that an ABI has, in order.
---@param abi integer
---@return string[]
function M.up_to(abi)
  local list = {}
  local function add(name)
    if since[name] <= abi then list[#list + 1] = name end
  end
  for _, name in ipairs(M.files) do add(name) end
  for _, kind in ipairs { "tcp", "udp" } do
    add(PORTS[kind].bind[1])
    add(PORTS[kind].connect[1])
  end
  for _, name in ipairs(M.scopes) do add(name) end
  return list
end

return M
