--- What is looked at before a row is timed: a shell runs in the sandbox, instead of the command, and says what the
--- kernel says there. It is the row's own way to start, so what is true of the shell is true of the command.

local here = require "bench.here"
local systems = require "bench.systems"
local Plan = require "cella.plan"

local M = {}

-- Builtins of the shell, where there are any: there are many rows.
local SCRIPT = [==[
export LC_ALL=C
echo "self=$$"
for link in $(cd /proc/self/ns && readlink cgroup ipc mnt net pid user uts); do echo "${link%%:*}=$link"; done
while read -r key value; do
  case $key in Cap*|NoNewPrivs:|Seccomp:) echo "${key%:}=$value" ;; esac
done </proc/self/status
first=$1 name=$2 system=$3
set -- /proc/[0-9]*
echo "processes=$#"
read -r line </proc/sys/kernel/hostname && echo "hostname=$line"
for path in /home /boot "$first"; do [ ! -e "$path" ] || echo "seen$path=yes"; done
# To create is refused for the mount before it is for its owner. Where it is not refused, nothing is left.
for path in $system; do
  echo "write$path=$({ true >"$path/$name"; } 2>&1)"
  [ ! -e "$path/$name" ] || rm "$path/$name"
done
[ -z "$name" ] || true >"/tmp/$name" && echo tmp=written
true >/dev/null && echo null=opened
for path in /dev/kmsg /dev/mem /dev/loop-control /dev/net; do [ ! -e "$path" ] || echo "device$path=there"; done
interfaces=
while read -r key line; do
  case $key in *:*) interfaces="$interfaces${key%%:*} " ;; esac
done </proc/net/dev
echo "interfaces=$interfaces"
while read -r line; do
  case $line in *127.0.0.1*) echo loopback=up; break ;; esac
done </proc/net/fib_trie
binds=0 extents=0 ids=0
while read -r line; do
  case $line in *" /mnt/"[0-9]*) binds=$((binds + 1)) ;; esac
done </proc/self/mountinfo
while read -r inside outside count; do
  extents=$((extents + 1)) ids=$((ids + count))
done </proc/self/uid_map
echo "binds=$binds"
echo "extents=$extents"
echo "ids=$ids"
]==]

local SYSTEM = { "/usr", "/bin", "/lib", "/etc" }

-- Each names what is wrong, or nothing.
local CHECKS = {}

function CHECKS.namespaces(seen, host, group)
  for _, type in ipairs { "cgroup", "ipc", "mnt", "net", "pid", "user", "uts" } do
    local new = not (type == "net" and group.host_network)
    if not seen[type] or (seen[type] ~= host[type]) ~= new then
      return type .. (new and " is the host's" or " is not the host's")
    end
  end
end

function CHECKS.processes(seen)
  -- The shell, and what may be process 1 before it.
  if tonumber(seen.processes) > 2 then return seen.processes .. " processes are in /proc" end
end

function CHECKS.readonly(seen)
  for _, path in ipairs(SYSTEM) do
    local said = seen["write" .. path]
    if not (said and said:find "Read%-only file system") then return path .. ": " .. tostring(said) end
  end
end

function CHECKS.root(seen)
  for key in pairs(seen) do
    if key:find "^seen/" then return key:sub(5) .. " of the host is there" end
  end
end

function CHECKS.tmp(seen, _, _, name)
  if seen.tmp ~= "written" then return "/tmp cannot be written" end
  if os.remove("/tmp/" .. name) then return "/tmp is the host's" end
end

function CHECKS.devices(seen)
  if seen.null ~= "opened" then return "there is no /dev/null" end
  for key in pairs(seen) do
    if key:find "^device/" then return key:sub(7) .. " is there" end
  end
end

function CHECKS.hostname(seen)
  if seen.hostname ~= "bench" then return "the host's name is " .. tostring(seen.hostname) end
end

function CHECKS.loopback(seen, _, group)
  if group.host_network then return nil end
  if seen.interfaces ~= "lo " then return "interfaces: " .. tostring(seen.interfaces) end
  if seen.loopback ~= "up" then return "lo is down" end
end

local SETS = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" }

local function sets_are(seen, mask)
  for _, set in ipairs(SETS) do
    if tonumber(seen[set] or "", 16) ~= mask then return set .. " is " .. tostring(seen[set]) end
  end
end

function CHECKS.no_capabilities(seen) return sets_are(seen, 0) end

function CHECKS.net_raw(seen) return sets_are(seen, 1 << 13) end

function CHECKS.no_new_privs(seen)
  if seen.NoNewPrivs ~= "1" then return "NoNewPrivs is " .. tostring(seen.NoNewPrivs) end
end

function CHECKS.filter(seen)
  if seen.Seccomp ~= "2" then return "Seccomp is " .. tostring(seen.Seccomp) end
end

function CHECKS.range(seen, host)
  if seen.user == host.user then return "user is the host's" end
  if tonumber(seen.ids) < 1000 then return seen.ids .. " IDs" end
end

local SANDBOX = { "namespaces", "processes", "readonly", "root", "tmp", "devices", "hostname", "loopback",
  "no_capabilities", "no_new_privs" }

-- What a number in the row says that there has to be.
local function check_counts(row, seen)
  for _, key in ipairs { "binds", "extents" } do
    if row[key] and tonumber(seen[key]) ~= row[key] then return ("%s: %s, not %d"):format(key, seen[key], row[key]) end
  end
  if row.init ~= nil and (seen.self ~= "1") ~= row.init then
    return row.init and "there is no init" or "the program is not process 1"
  end
end

--- Runs a process of the bench to its end.
---@return string? output, string? problem
function M.run(argv)
  local command = table.move(argv, 1, #argv, 1, { stdout = "capture", stderr = "capture" })
  local result, err = Plan.new():exec(command):run { timeout = 120 }
  if not result then return nil, tostring(err) end
  if result.code ~= 0 then
    return nil, ("%s %s: %s"):format(result.reason, result.code or result.signal, result.stderr:gsub("%s+$", ""))
  end
  return result.stdout
end

local function look(argv)
  local output, problem = M.run(argv)
  if not output then return nil, problem end
  local seen = {}
  for key, value in output:gmatch "([%w/_.-]+)=([^\n]*)" do seen[key] = value end
  if not seen.extents then return nil, "the shell in there did not come to its end" end
  return seen
end

local directory, name, of_host

-- The shell, with what it tries to write to for these effects.
local function shell(effects)
  local command = { "/bin/sh", "-c", SCRIPT, "sh", directory, "", "" }
  for _, effect in ipairs(effects) do
    if effect == "tmp" then command[6] = name end
    if effect == "readonly" then command[6], command[7] = name, table.concat(SYSTEM, " ") end
  end
  return command
end

-- A directory of the host's, of which a sandbox may see nothing, and what is true outside.
local function prepare()
  directory = here.directory()
  name = ".cella-" .. directory:match "[^/]*$"
  of_host = assert(look(shell {}))
end

-- The names of the effects that a row has to have.
local function effects_of(row)
  local lacks, list = {}, {}
  for _, effect in ipairs(row.lacks or {}) do lacks[effect] = true end
  for _, effect in ipairs(row.effects or SANDBOX) do
    if not lacks[effect] then list[#list + 1] = effect end
  end
  table.move(row.more or {}, 1, #(row.more or {}), #list + 1, list)
  -- The floor's filter is cella's, which has one by default.
  if row.own and not row.effects and row.filter ~= false then list[#list + 1] = "filter" end
  return list
end

--- The effects of shape S.
M.SANDBOX = SANDBOX

--- Looks at what a row does. Returns the names of what was checked; or nil and what is wrong.
---@return string[]?, string?
function M.check(group, row)
  if row.effects == false then
    local output, problem = M.run(systems.argv(group, row, group.command, 1))
    return output and {}, problem
  end
  if not directory then prepare() end
  local names = effects_of(row)
  local seen, problem = look(systems.argv(group, row, shell(names), 1))
  if not seen then return nil, problem end
  for _, effect in ipairs(names) do
    problem = CHECKS[effect](seen, of_host, group, name)
    if problem then return nil, ("%s: %s"):format(effect, problem) end
  end
  problem = check_counts(row, seen)
  if problem then return nil, problem end
  return names
end

return M
