--- Sets of capabilities that people know by name.

local set = require "cella.caps.set"

local M = {}

-- Docker, from the moby sources: oci/caps/defaults.go, DefaultCapabilities(); also the table "Runtime privilege and
-- Linux capabilities" of `docker run`'s reference.
M.docker = set.new { "chown", "dac_override", "fsetid", "fowner", "mknod", "net_raw", "setgid", "setuid", "setfcap",
  "setpcap", "net_bind_service", "sys_chroot", "kill", "audit_write" }

-- Podman, from containers/common: pkg/config/default.go, DefaultCapabilities; also `default_capabilities` in
-- containers.conf(5). (net_raw, mknod and audit_write left it in Podman 4.)
M.podman = set.new { "chown", "dac_override", "fowner", "fsetid", "kill", "net_bind_service", "setfcap", "setgid",
  "setpcap",
  "setuid", "sys_chroot" }

-- The 21 that crabcan drops: CAPABILITIES_DROP of its src/capabilities.rs, which takes them from the tutorial "Linux
-- containers in 500 lines of code". What remains, it keeps.
M.crabcan21 = set.new { "audit_control", "audit_read", "audit_write", "block_suspend", "dac_read_search",
  "dac_override",
  "fsetid", "ipc_lock", "mac_admin", "mac_override", "mknod", "setfcap", "syslog", "sys_admin", "sys_boot",
    "sys_module",
  "sys_nice", "sys_rawio", "sys_resource", "sys_time", "wake_alarm" }

M.none = set.none

return M
