--- What each capability allows, and why a container would keep it or not (capabilities(7)).
--
-- `host_only`: the kernel asks for it over the initial user namespace, so that in a container with a user namespace of
-- its own it allows nothing. Where only a part of it is so, the sentence says it.

local named = require "cella.caps.named"
local names = require "cella.caps.names"
local set = require "cella.caps.set"

local M = {}

local ONLY_HOST = "The kernel asks for it over the initial user namespace: in a container with a user namespace of "
  .. "its own it does nothing, in one without it reaches the host. "

local texts = {
  chown = {
    "Give a file to any user and group.",
    "Package managers and servers that prepare files for others need it; it reaches the container's IDs only. Keep "
      .. "it for set-up, drop it for a program that does one thing.",
  },
  dac_override = {
    "Read, write and search files and directories whatever their permission bits say.",
    "It makes every permission inside the container advice. Root programs that assume it break without; drop it where "
      .. "they can be given the right owners instead.",
  },
  dac_read_search = {
    "Read any file and search any directory, and open files by handle (open_by_handle_at).",
    "Opening by handle went round mount namespaces and read the host's files from containers without a user namespace "
      .. "(\"shocker\"); that part asks for more now. Backup programs apart, nothing needs it: drop "
      .. "it.",
  },
  fowner = {
    "Do to a file what its owner may: change its mode, its times, its flags, delete it from a sticky directory.",
    "Installers need it beside chown; it reaches the container's IDs only.",
  },
  fsetid = {
    "Keep set-user-ID and set-group-ID bits when a file is changed, and set a group ID bit for a group not one's own.",
    "With it a program may leave set-ID files behind that survive it. Drop it unless packages are installed inside.",
  },
  kill = {
    "Send any signal to any process.",
    "An init or a supervisor of several users needs it. With a pid namespace it reaches the container's processes "
      .. "only.",
  },
  setgid = {
    "Take any group ID, set the supplementary groups, and write group maps of child user namespaces.",
    "Servers that start as root and become somebody need it, with setuid. A container that is somebody from the start "
      .. "does not.",
  },
  setuid = {
    "Take any user ID, and write user maps of child user namespaces.",
    "As setgid: for programs that become somebody. The IDs of the map are all there are to take.",
  },
  setpcap = {
    "Drop from the bounding set, add what is bounded to inheritable, and change securebits.",
    "It takes away more than it gives; programs that drop privileges of their own accord use it. Keep it for those.",
  },
  linux_immutable = {
    "Set and clear the immutable and append-only attributes of files (chattr).",
    ONLY_HOST .. "Files that nobody can delete are a nuisance at best: drop it.",
    host_only = true,
  },
  net_bind_service = {
    "Listen on ports below 1024.",
    "Web, mail and name servers want it; it is asked over the network namespace, and a container has its own. The "
      .. "least harmful of all, and the one most often kept. net.ipv4.ip_unprivileged_port_start does without.",
  },
  net_broadcast = {
    "Nothing: the kernel has the name and never asks for it.",
    "There is nothing to keep.",
  },
  net_admin = {
    "Configure interfaces, addresses, routes, firewalls and socket options of the network namespace.",
    "A router or a VPN needs it. It opens much kernel code (netfilter, traffic control) that has had many holes: "
      .. "drop it unless networking is the container's job, and never keep it with the host's network.",
  },
  net_raw = {
    "Open raw and packet sockets: build packets by hand, and hear those of others.",
    "ping needs it only where net.ipv4.ping_group_range has not the user. It can forge addresses on a shared bridge: "
      .. "drop it where nothing sniffs.",
  },
  ipc_lock = {
    "Lock any amount of memory, and take huge pages.",
    ONLY_HOST .. "It goes round memory limits on locking, and a limit (memlock) serves better: drop it.",
    host_only = true,
  },
  ipc_owner = {
    "Use System V shared memory, semaphores and queues whatever their permissions say.",
    "With an ipc namespace there are only the container's own. Rarely needed; harmless with one, dangerous without.",
  },
  sys_module = {
    "Load and unload kernel modules.",
    ONLY_HOST .. "Who loads code into the kernel owns the host: drop it always.",
    host_only = true,
  },
  sys_rawio = {
    "Touch I/O ports, physical memory and raw device commands.",
    ONLY_HOST .. "It is a way to the hardware past the kernel: drop it always.",
    host_only = true,
  },
  sys_chroot = {
    "Change the root directory (chroot), and join mount namespaces.",
    "Servers that lock themselves in use it. With a root that was pivoted there is no way out by it; with a mere "
      .. "chroot there is.",
  },
  sys_ptrace = {
    "Trace and read any process, and what is in /proc about it.",
    "Debuggers need it, for processes of other users. With user and pid namespaces it ends at the container's; "
      .. "shared with another program it means that neither has secrets.",
  },
  sys_pacct = {
    "Switch process accounting on and off (acct).",
    ONLY_HOST .. "The file that accounting writes grows for everybody's processes: drop it.",
    host_only = true,
  },
  sys_admin = {
    "Mount, name hosts, enter and make namespaces, set quotas, and a hundred things that found no better name.",
    "The new root: without a user namespace it is as good as being root of the host. With one it mounts inside and "
      .. "opens much kernel code. Keep it for containers in containers alone.",
  },
  sys_boot = {
    "Reboot, and load another kernel (kexec).",
    "In a pid namespace of its own reboot only ends the container; kexec asks over the initial user namespace. "
      .. "Nothing but an init needs it: drop it.",
  },
  sys_nice = {
    "Raise priorities, take real-time scheduling, and choose CPUs and memory nodes for others.",
    "Raising asks over the initial user namespace mostly: with a user namespace there is little left of it, without "
      .. "one the container can starve the host. Drop it.",
  },
  sys_resource = {
    "Go past resource limits, quotas and reserved blocks, and raise hard limits.",
    ONLY_HOST .. "It makes every limit of the container advice: drop it.",
    host_only = true,
  },
  sys_time = {
    "Set the system clock and the hardware clock.",
    ONLY_HOST .. "There is one clock for all (a time namespace shifts the monotonic ones, and needs no such right): "
      .. "drop it, and let the host keep time.",
    host_only = true,
  },
  sys_tty_config = {
    "Hang up terminals and configure virtual consoles.",
    ONLY_HOST .. "A container has no console: no reason to keep it.",
    host_only = true,
  },
  mknod = {
    "Make device nodes.",
    ONLY_HOST .. "In one without it a disk's node is the disk. The few nodes that programs need are bound from the "
      .. "host: drop it. Without a user namespace, keep it only beside a list of allowed devices.",
    host_only = true,
  },
  lease = {
    "Take a lease on any file, to be told when another opens it.",
    ONLY_HOST .. "Opening waits while somebody holds a lease, and only file servers want to: drop it.",
    host_only = true,
  },
  audit_write = {
    "Write records to the kernel's audit log.",
    ONLY_HOST .. "login, su and sshd write such records and mostly go on without: drop it unless they insist.",
    host_only = true,
  },
  audit_control = {
    "Configure auditing: switch it, and change its rules.",
    ONLY_HOST .. "A container has no say in what the host records: drop it.",
    host_only = true,
  },
  setfcap = {
    "Give files capabilities, and map the parent's root into a user namespace.",
    "Package managers set file capabilities. In a user namespace they count in it alone; without one a file can be "
      .. "left behind for somebody on the host. Drop it where nothing is installed.",
  },
  mac_override = {
    "Go past the mandatory access control of the Smack security module.",
    ONLY_HOST .. "It is the switch that turns a protection off: drop it.",
    host_only = true,
  },
  mac_admin = {
    "Change the policy or labels of a security module (Smack, AppArmor, SELinux).",
    ONLY_HOST .. "What confines the container is not for it to change: drop it.",
    host_only = true,
  },
  syslog = {
    "Read and clear the kernel's log, and see kernel addresses.",
    ONLY_HOST .. "The log speaks of everybody, and addresses help attacks: drop it.",
    host_only = true,
  },
  wake_alarm = {
    "Set timers that wake the machine up from sleep.",
    ONLY_HOST .. "When the host sleeps is for the host: drop it.",
    host_only = true,
  },
  block_suspend = {
    "Keep the machine from going to sleep.",
    ONLY_HOST .. "When the host sleeps is for the host: drop it.",
    host_only = true,
  },
  audit_read = {
    "Listen to the audit log as it is written.",
    ONLY_HOST .. "The log speaks of everybody: drop it.",
    host_only = true,
  },
  perfmon = {
    "Use performance counters and tracing (perf_event_open, part of BPF).",
    ONLY_HOST .. "Counters show what other programs do, to side channels also: drop it unless profiling is the job.",
    host_only = true,
  },
  bpf = {
    "Load BPF programs and make maps, beyond what everybody may.",
    ONLY_HOST .. "(A BPF token can hand parts of it to a user namespace.) Programs in the kernel, checked by a "
      .. "verifier that has had holes: drop it.",
    host_only = true,
  },
  checkpoint_restore = {
    "Choose the pid of a new process and read what checkpointing needs to know of others.",
    "CRIU needs it; it is asked over the namespaces concerned. Nothing else does: drop it.",
  },
}

---@class cella.caps.explanation
---@field number integer
---@field name string|integer
---@field allows string       what it allows, in a sentence
---@field container string    why a container would keep it, or not
---@field host_only boolean   whether it does nothing in a user namespace of one's own
---@field tutorial "dropped"|"kept"  what crabcan does with it (caps.crabcan21)
---@field docker boolean      whether it is in Docker's default set
---@field podman boolean      whether it is in Podman's default set

--- The explanation of a capability by its number.
---@param number integer
---@return cella.caps.explanation
function M.of(number)
  local name = names.label[number]
  local text = texts[name] or { "It is newer than this library, which does not know what it allows.",
    "What is not known to be needed is dropped." }
  local one = set.new { number }
  return {
    number = number, name = name, allows = text[1], container = text[2], host_only = text.host_only == true,
    tutorial = named.crabcan21:contains(one) and "dropped" or "kept",
    docker = named.docker:contains(one), podman = named.podman:contains(one),
  }
end

return M
