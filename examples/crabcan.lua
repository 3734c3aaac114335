-- A whole small container as a configuration program, after the tutorial "Writing a container in Rust" (crabcan).
--
--   cella run examples/crabcan.lua --mount-dir DIR --uid N [--subids] [--debug] [-- COMMAND ...]
--
-- Its three well-known mistakes are not made here:
--
-- - Its capability step edits a copy of the process's capabilities and never applies it, so that the program keeps them
--   all. Here the sets are applied, and read back before the program starts: if one differs, nothing runs. They also
--   hold for what the program executes later, because all five sets are set, not the bounding and inheritable ones
--   alone.
-- - It mounts the directory on a temporary one in /tmp, which stays behind. Here the root is a mount that is never
--   attached anywhere outside the container (open_tree(2)), so there is nothing to clean up, not even after a crash.
-- - Where the kernel has no user namespaces it says "not supported, continuing" and runs the program as the real root.
--   Here every step that fails is the end: without a user namespace nothing runs, and the exit status is 125.
local argparse = require "argparse"
local cella = require "cella"
local policy = require "cella.policy"
local sys = require "cella.sys"

local COUNT, OFFSET = 2000, 10000 -- inside: 0 to 1999; outside: 10000 to 11999

-- Digits only: tonumber alone would also take "0x10", "1e3" and "8.0".
local function id(text)
  local value = text:find "^%d+$" and math.tointeger(tonumber(text))
  if not value or value >= COUNT then return nil, ("an ID from 0 to %d expected, got '%s'"):format(COUNT - 1, text) end
  return value
end

local parser = argparse("crabcan.lua", "A small container with a directory as its root.")
parser:option("--mount-dir", "The directory that becomes the root. The container's root, ID 10000 of the host, has to "
  .. "be able to read it."):argname("DIR"):count(1)
parser:option("--uid", "Who the program is inside, as user and as group."):argname("N"):count(1):convert(id)
parser:flag("--subids", "Take the IDs from the caller's subordinate ones: for who is not root.")
parser:flag("--debug", "Show every step before it is taken.")
local parsed, options = parser:pparse { ... }
-- Not parser:parse, which would exit with a status that looks like the program's own.
if not parsed then error(("%s\n%s"):format(options, parser:get_usage()), 0) end

-- "weird-moon-93"
local function made_up_name()
  local first = { "cold", "brave", "calm", "lucky", "silent", "tiny", "weird", "young" }
  local second = { "book", "boat", "cloud", "fox", "lake", "moon", "river", "stone" }
  return ("%s-%s-%d"):format(first[math.random(#first)], second[math.random(#second)], math.random(0, 99))
end

-- The tutorial maps a range that needs root. Who is not root has to ask for another one: what a container's IDs are
-- outside decides which files they own there, and is nothing to choose silently.
local function ids()
  if not options.subids then return policy.range(0, OFFSET, COUNT) end
  local wanted = {}
  for inside = 0, COUNT - 1 do wanted[#wanted + 1] = inside end
  return policy.exactly(wanted)
end

local REMOVED = {
  "audit_control", "audit_read", "audit_write", "block_suspend", "dac_read_search", "dac_override", "fsetid",
  "ipc_lock", "mac_admin", "mac_override", "mknod", "setfcap", "syslog", "sys_admin", "sys_boot", "sys_module",
  "sys_nice", "sys_rawio", "sys_resource", "sys_time", "wake_alarm",
}

-- Those that whoever chose the 21 could choose from: numbers 0 to 37, in the kernel's order. There are more by now, and
-- there will be others. A list of what to remove lets them all through: perfmon, bpf and checkpoint_restore were pieces
-- of sys_admin, which is to go, until Linux 5.9. So what nobody has judged is removed as well.
local JUDGED = {
  "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
  "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
  "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
  "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
  "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read",
}

local function kept_capabilities()
  local removed, kept = {}, {}
  for _, name in ipairs(REMOVED) do removed[name] = true end
  for i, name in ipairs(JUDGED) do
    local number = i - 1
    if not removed[name] and number <= sys.last_capability() then kept[#kept + 1] = name end
  end
  return kept
end

local box = cella.container {
  hostname = made_up_name(),
  root = options.mount_dir,
  ids = ids(),
  -- Switched in the order groups, gid, uid: each takes away the right to do the one before it.
  user = { uid = options.uid, gid = options.uid, groups = { options.uid } },
  capabilities = kept_capabilities(),
  die_with_parent = true, -- what is killed cannot clean up: the kernel does
  command = { "/bin/sh" },
}

-- A container is an ordinary value: here its `spawn` talks before it acts. `cella plan` shows the same.
if options.debug then
  local spawn = box.spawn
  function box.spawn(self, command)
    local plan = self:plan(command)
    if plan then io.stderr:write(tostring(self), "\n", tostring(plan), "\n") end
    return spawn(self, command)
  end
end

return box
