--- The fields of an OCI config.json: of which type each is, and what it becomes of a container's.
--- doc/oci-runtime.md has the same table, which spec/oci/document_spec.lua holds together with this one.

local M = {}

--- A path in config.json, its type, and what it becomes; false: it is refused by its name, where it says anything.
--- "[]" stands for each item of a list. An object is there by its fields.
---@class cella.oci.field
---@field [1] string
---@field [2] "string"|"boolean"|"integer"|"integers"|"strings"|"map"|"any"
---@field [3] string|false
---@field [4] string?  why it is refused, or a word about it

local NO_V1 = "a setting of cgroup v1"
local NO_WINDOWS = "not a field for Linux"

---@type cella.oci.field[]
M.rows = {
  { "ociVersion", "string", "1.x, or it is refused" },
  { "root.path", "string", "`root`", "seen from the bundle; /dev nodes in it are not usable: `nodev`" },
  { "root.readonly", "boolean", "`root.readonly`" },
  { "hostname", "string", "`hostname`" },
  { "domainname", "string", "`domainname`" },
  { "annotations", "map", "what `state` and hooks see" },
  { "mounts[].destination", "string", "`mounts[].destination`", "absolute" },
  { "mounts[].type", "string", "`mounts[].type`", "any other is for the kernel: `filesystem`" },
  { "mounts[].source", "string", "`mounts[].source` of a bind, or of a `filesystem`",
    "seen from the bundle; of others it is a name that nobody reads" },
  { "mounts[].options", "strings", "`readonly`, `nosuid`, ..., `propagation`, `size`, `mode`",
    "one that cella has no key for is refused" },
  { "mounts[].uidMappings[].containerID", "integer", "`mounts[].idmap.uid`" },
  { "mounts[].uidMappings[].hostID", "integer", "`mounts[].idmap.uid`" },
  { "mounts[].uidMappings[].size", "integer", "`mounts[].idmap.uid`" },
  { "mounts[].gidMappings[].containerID", "integer", "`mounts[].idmap.gid`" },
  { "mounts[].gidMappings[].hostID", "integer", "`mounts[].idmap.gid`" },
  { "mounts[].gidMappings[].size", "integer", "`mounts[].idmap.gid`" },
  { "process.terminal", "boolean", "`command.terminal`" },
  { "process.consoleSize.height", "integer", "`command.terminal.rows`" },
  { "process.consoleSize.width", "integer", "`command.terminal.columns`" },
  { "process.user.uid", "integer", "`user.uid`" },
  { "process.user.gid", "integer", "`user.gid`" },
  { "process.user.umask", "integer", "`umask`" },
  { "process.user.additionalGids", "integers", "`user.groups`" },
  { "process.user.username", "string", false, NO_WINDOWS },
  { "process.args", "strings", "`command`" },
  { "process.commandLine", "string", false, NO_WINDOWS },
  { "process.env", "strings", "`command.environment`",
    "a name that is there twice is refused; HOME, where it is missing, is that of /etc/passwd inside" },
  { "process.cwd", "string", "`cwd`", "made where it is missing" },
  { "process.capabilities.bounding", "strings", "`capabilities`" },
  { "process.capabilities.effective", "strings", "`capabilities`" },
  { "process.capabilities.permitted", "strings", "`capabilities`" },
  { "process.capabilities.inheritable", "strings", "`capabilities`" },
  { "process.capabilities.ambient", "strings", "`capabilities`" },
  { "process.rlimits[].type", "string", "`rlimits`" },
  { "process.rlimits[].soft", "integer", "`rlimits`", "2^64-1 is \"unlimited\"" },
  { "process.rlimits[].hard", "integer", "`rlimits`" },
  { "process.noNewPrivileges", "boolean", "`no_new_privs`" },
  { "process.oomScoreAdj", "integer", "`oom_score_adj`" },
  { "process.apparmorProfile", "string", false },
  { "process.selinuxLabel", "string", false },
  { "process.scheduler", "any", false },
  { "process.ioPriority", "any", false },
  { "process.execCPUAffinity", "any", false },
  { "hooks.prestart[].path", "string", "a command, when the namespaces are there" },
  { "hooks.createRuntime[].path", "string", "the same" },
  { "hooks.createContainer[].path", "string",
    "a command of the host's in the container's namespaces, when its mounts are there" },
  { "hooks.startContainer[].path", "string", "a command in the container, confined as its program, before that" },
  { "hooks.poststart[].path", "string", "a command, when the program is executed" },
  { "hooks.poststop[].path", "string", "a command, when all is deleted" },
  { "linux.namespaces[].type", "string", "`namespaces`" },
  { "linux.namespaces[].path", "string", "`namespaces`", "one that is joined" },
  { "linux.uidMappings[].containerID", "integer", "`ids.uid`" },
  { "linux.uidMappings[].hostID", "integer", "`ids.uid`" },
  { "linux.uidMappings[].size", "integer", "`ids.uid`" },
  { "linux.gidMappings[].containerID", "integer", "`ids.gid`" },
  { "linux.gidMappings[].hostID", "integer", "`ids.gid`" },
  { "linux.gidMappings[].size", "integer", "`ids.gid`" },
  { "linux.timeOffsets.monotonic.secs", "integer", "`namespaces.time.monotonic`" },
  { "linux.timeOffsets.monotonic.nanosecs", "integer", "`namespaces.time.monotonic`" },
  { "linux.timeOffsets.boottime.secs", "integer", "`namespaces.time.boottime`" },
  { "linux.timeOffsets.boottime.nanosecs", "integer", "`namespaces.time.boottime`" },
  { "linux.sysctl", "map", "`sysctl`" },
  { "linux.maskedPaths", "strings", "`masked_paths`" },
  { "linux.readonlyPaths", "strings", "`readonly_paths`" },
  { "linux.rootfsPropagation", "string", "`root.propagation`", "private or shared" },
  { "linux.mountLabel", "string", false },
  { "linux.cgroupsPath", "string", "a cgroup of version 2", "from the mount of cgroup2 on" },
  { "linux.resources.devices[].allow", "boolean", "held by `nodev` of every mount",
    "rules that need more are refused" },
  { "linux.resources.devices[].type", "string", "the same" },
  { "linux.resources.devices[].major", "integer", "the same" },
  { "linux.resources.devices[].minor", "integer", "the same" },
  { "linux.resources.devices[].access", "string", "the same" },
  { "linux.resources.memory.limit", "integer", "`cgroup.memory`: memory.max" },
  { "linux.resources.memory.reservation", "integer", "memory.low" },
  { "linux.resources.memory.swap", "integer", "`cgroup.swap`: memory.swap.max, less the limit" },
  { "linux.resources.memory.kernel", "integer", false, NO_V1 },
  { "linux.resources.memory.kernelTCP", "integer", false, NO_V1 },
  { "linux.resources.memory.swappiness", "integer", false, NO_V1 },
  { "linux.resources.memory.disableOOMKiller", "boolean", "false, which is how it is", NO_V1 },
  { "linux.resources.memory.useHierarchy", "boolean", "true, which is how it is" },
  { "linux.resources.memory.checkBeforeUpdate", "boolean", false },
  { "linux.resources.cpu.shares", "integer", "`cgroup.cpu_weight`: cpu.weight", "1024, the default, is as nothing" },
  { "linux.resources.cpu.quota", "integer", "`cgroup.cpu`: cpu.max" },
  { "linux.resources.cpu.period", "integer", "`cgroup.cpu`: cpu.max" },
  { "linux.resources.cpu.burst", "integer", "cpu.max.burst" },
  { "linux.resources.cpu.idle", "integer", "cpu.idle" },
  { "linux.resources.cpu.cpus", "string", "`cgroup.cpuset`: cpuset.cpus" },
  { "linux.resources.cpu.mems", "string", "`cgroup.cpuset_mems`: cpuset.mems" },
  { "linux.resources.cpu.realtimeRuntime", "integer", false, NO_V1 },
  { "linux.resources.cpu.realtimePeriod", "integer", false, NO_V1 },
  { "linux.resources.pids.limit", "integer", "`cgroup.pids`: pids.max" },
  { "linux.resources.unified", "map", "the files of the cgroup that it names" },
  { "linux.resources.blockIO", "any", false },
  { "linux.resources.hugepageLimits", "any", false },
  { "linux.resources.network", "any", false, NO_V1 },
  { "linux.resources.rdma", "any", false },
  { "linux.devices", "any", false },
  { "linux.seccomp.defaultAction", "string", "`seccomp.default`" },
  { "linux.seccomp.defaultErrnoRet", "integer", "`seccomp.default`" },
  { "linux.seccomp.architectures", "strings", "checked",
    "that of this machine has to be there; calls by another are not made" },
  { "linux.seccomp.flags", "strings", "checked", "SECCOMP_FILTER_FLAG_LOG and _SPEC_ALLOW are refused" },
  { "linux.seccomp.listenerPath", "string", false },
  { "linux.seccomp.listenerMetadata", "string", false },
  { "linux.seccomp.syscalls[].names", "strings", "`seccomp`" },
  { "linux.seccomp.syscalls[].action", "string", "`seccomp`", "ALLOW, ERRNO, LOG, KILL, KILL_PROCESS, KILL_THREAD" },
  { "linux.seccomp.syscalls[].errnoRet", "integer", "`seccomp`" },
  { "linux.seccomp.syscalls[].args[].index", "integer", "a condition" },
  { "linux.seccomp.syscalls[].args[].value", "integer", "a condition" },
  { "linux.seccomp.syscalls[].args[].valueTwo", "integer", "a condition" },
  { "linux.seccomp.syscalls[].args[].op", "string", "a condition" },
  { "linux.intelRdt", "any", false },
  { "linux.personality", "any", false },
  { "linux.netDevices", "any", false },
  { "linux.memoryPolicy", "any", false },
  { "solaris", "any", false, NO_WINDOWS }, { "windows", "any", false, NO_WINDOWS }, { "vm", "any", false, NO_WINDOWS },
  { "zos", "any", false, NO_WINDOWS }, { "freebsd", "any", false, NO_WINDOWS },
}

--- The points of a container's life at which there are hooks, in their order.
M.hooks = { "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop" }

-- What each hook has beside its path.
for _, point in ipairs(M.hooks) do
  local at = "hooks." .. point .. "[]."
  table.insert(M.rows, { at .. "args", "strings", "argv", "the path's name first" })
  table.insert(M.rows, { at .. "env", "strings", "its environment, and nothing else" })
  table.insert(M.rows, { at .. "timeout", "integer", "seconds after which it is killed, and has failed" })
end

return M
