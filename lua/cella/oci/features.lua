--- What the runtime supports, as the specification has it told (features.md); and a config.json to begin with.

local ascii = require "cella.ascii"
local core = require "cella.core"
local fields = require "cella.oci.read.fields"
local json = require "cella.oci.json"
local names = require "cella.caps.names"

local M = {}

local NAMESPACES = { "cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts" }
-- Of all types; some take others beside.
local MOUNT_OPTIONS = { "async", "atime", "bind", "defaults", "dev", "diratime", "exec", "idmap", "noatime", "nodev",
  "nodiratime", "noexec", "nostrictatime", "nosuid", "nosymfollow", "private", "rbind", "relatime", "ridmap",
  "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnosuid", "rnosymfollow", "ro", "rprivate", "rrelatime", "rro",
  "rshared", "rslave", "rstrictatime", "runbindable", "rw", "shared", "slave", "strictatime", "suid", "symfollow",
  "unbindable" }

---@return table
function M.describe()
  local refused = {}
  for _, row in ipairs(fields.rows) do
    if row[3] == false then refused[#refused + 1] = row[1] end
  end
  local capabilities = {}
  for i, name in ipairs(names.known) do capabilities[i] = "CAP_" .. ascii.upper((name:gsub("^cap_", ""))) end
  return {
    ociVersionMin = "1.0.0", ociVersionMax = "1.3.0",
    hooks = fields.hooks,
    mountOptions = MOUNT_OPTIONS,
    linux = {
      namespaces = NAMESPACES, capabilities = capabilities,
      cgroup = { v1 = false, v2 = true, systemd = false, systemdUser = false, rdma = false },
      seccomp = { enabled = true,
        actions = { "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
          "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG" },
        operators = { "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ",
          "SCMP_CMP_NE" } },
      apparmor = { enabled = false }, selinux = { enabled = false }, intelRdt = { enabled = false },
      mountExtensions = { idmap = { enabled = true } },
    },
    annotations = { ["org.cella.refused"] = table.concat(refused, " ") },
  }
end

local function default() return { "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" } end
local MASKED = { "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
  "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi" }
local READONLY = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" }

local function own_id(kind)
  local _, id = core.sys["getres" .. kind]()
  return id
end

--- One that runs a shell in `rootfs`; as who has no privileges, with `rootless`.
---@param rootless boolean?
---@return table
function M.config(rootless)
  local namespaces = { { type = "pid" }, { type = "network" }, { type = "ipc" }, { type = "uts" }, { type = "mount" },
    { type = "cgroup" } }
  local linux = { namespaces = namespaces, maskedPaths = MASKED, readonlyPaths = READONLY }
  local pts = { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" }
  if rootless then
    table.insert(namespaces, { type = "user" })
    linux.uidMappings = { { containerID = 0, hostID = own_id "uid", size = 1 } }
    linux.gidMappings = { { containerID = 0, hostID = own_id "gid", size = 1 } }
    table.remove(pts)
  end
  return {
    ociVersion = "1.0.2",
    process = {
      terminal = true, user = { uid = 0, gid = 0 }, args = { "sh" }, cwd = "/",
      env = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm" },
      capabilities = { bounding = default(), effective = default(), permitted = default() },
      rlimits = { { type = "RLIMIT_NOFILE", hard = 1024, soft = 1024 } }, noNewPrivileges = true,
    },
    root = { path = "rootfs", readonly = true },
    hostname = "cella",
    mounts = {
      { destination = "/proc", type = "proc", source = "proc" },
      { destination = "/dev", type = "tmpfs", source = "tmpfs",
        options = { "nosuid", "strictatime", "mode=755", "size=65536k" } },
      { destination = "/dev/pts", type = "devpts", source = "devpts", options = pts },
      { destination = "/dev/shm", type = "tmpfs", source = "shm",
        options = { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" } },
      { destination = "/dev/mqueue", type = "mqueue", source = "mqueue", options = { "nosuid", "noexec", "nodev" } },
      { destination = "/sys", type = "sysfs", source = "sysfs", options = { "nosuid", "noexec", "nodev", "ro" } },
    },
    linux = linux,
    annotations = json.object {},
  }
end

return M
