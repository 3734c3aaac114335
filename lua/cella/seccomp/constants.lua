--- Names of values that arguments of system calls have: where a policy says one, the number stands for it.

local M = {}

local function pairs_of(text)
  local names = {}
  for name, number in text:gmatch "([a-z0-9_]+)=([0-9a-fx]+)" do names[name] = tonumber(number) end
  return names
end

-- AF_ of socket(2)
local FAMILIES = pairs_of [[unspec=0 unix=1 inet=2 ax25=3 ipx=4 appletalk=5 netrom=6 bridge=7 atmpvc=8 x25=9
  inet6=10 rose=11 netbeui=13 security=14 key=15 netlink=16 packet=17 ash=18 econet=19 atmsvc=20 rds=21 sna=22 irda=23
  pppox=24 wanpipe=25 llc=26 ib=27 mpls=28 can=29 tipc=30 bluetooth=31 iucv=32 rxrpc=33 isdn=34 phonet=35 ieee802154=36
  caif=37 alg=38 nfc=39 vsock=40 kcm=41 qipcrtr=42 smc=43 xdp=44 mctp=45]]
-- CLONE_ of clone(2) and unshare(2): namespaces by their names
local NEW = pairs_of [[mount=0x20000 cgroup=0x2000000 uts=0x4000000 ipc=0x8000000 user=0x10000000 pid=0x20000000
  net=0x40000000 time=0x80]]
local CLONE = pairs_of [[mount=0x20000 cgroup=0x2000000 uts=0x4000000 ipc=0x8000000 user=0x10000000 pid=0x20000000
  net=0x40000000 vm=0x100 fs=0x200 files=0x400 sighand=0x800 pidfd=0x1000 ptrace=0x2000 vfork=0x4000 parent=0x8000
  thread=0x10000 sysvsem=0x40000 settls=0x80000 untraced=0x800000 io=0x80000000]]
local REQUESTS = pairs_of [[tcgets=0x5401 tcsets=0x5402 tcsetsw=0x5403 tcsetsf=0x5404 tiocsctty=0x540e tiocgpgrp=0x540f
  tiocspgrp=0x5410 tiocsti=0x5412 tiocgwinsz=0x5413 tiocswinsz=0x5414 fionread=0x541b tioclinux=0x541c tioccons=0x541d
  fionbio=0x5421 tiocsetd=0x5423 fionclex=0x5450 fioclex=0x5451 fioasync=0x5452]]
local PROTECTION = pairs_of "none=0 read=1 write=2 exec=4"
-- Those that are the same on all machines.
local OPEN = pairs_of "rdonly=0 wronly=1 rdwr=2 accmode=3 creat=0x40 excl=0x80 noctty=0x100 trunc=0x200 append=0x400"

local BY_ARGUMENT = {
  ["socket 0"] = FAMILIES, ["socketpair 0"] = FAMILIES,
  ["socket 1"] = pairs_of "stream=1 dgram=2 raw=3 rdm=4 seqpacket=5 dccp=6 packet=10",
  ["clone 0"] = CLONE, ["unshare 0"] = NEW, ["setns 1"] = NEW,
  ["ioctl 1"] = REQUESTS,
  ["mmap 2"] = PROTECTION, ["mprotect 2"] = PROTECTION, ["pkey_mprotect 2"] = PROTECTION,
  ["open 1"] = OPEN, ["openat 2"] = OPEN,
  ["ptrace 0"] = pairs_of "traceme=0 attach=16 seize=0x4206",
}

--- The names for an argument's values; none where it has no names.
---@param call string
---@param index integer
---@return table<string, integer>
function M.of(call, index) return BY_ARGUMENT[call .. " " .. index] or {} end

--- The name of a value, where it has one; of several the first in order.
---@param call string
---@param index integer
---@param number number
---@return string?
function M.name(call, index, number)
  local found
  for name, value in pairs(M.of(call, index)) do
    if value == number and (not found or name < found) then found = name end
  end
  return found
end

--- Flags as a list of names, where they are nothing else: the largest first.
---@param call string
---@param index integer
---@param number number
---@return string[]?
function M.flags(call, index, number)
  local values, list = {}, {}
  for name, value in pairs(M.of(call, index)) do
    if value > 0 then values[#values + 1] = { name, value } end
  end
  table.sort(values, function(a, b) return a[2] > b[2] or a[2] == b[2] and a[1] < b[1] end)
  for _, one in ipairs(values) do
    local name, value = one[1], one[2]
    local lowest = value -- of its bits
    while lowest % 2 == 0 do lowest = lowest / 2 end
    local width, next_power = value / lowest, 1
    while next_power <= lowest do next_power = next_power * 2 end
    -- Bits beside each other, all of which are there.
    if next_power == lowest + 1 and math.floor(number / width) % next_power == lowest then
      list[#list + 1], number = name, number - value
    end
  end
  table.sort(list)
  return number == 0 and #list > 0 and list or nil
end

return M
