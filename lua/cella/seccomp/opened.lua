--- Which calls of those that "default" and "nesting" refuse a capability is for: who keeps it has them.

---@type table<string, string[]>
return {
  bpf = { "bpf" },
  dac_read_search = { "open_by_handle_at" },
  perfmon = { "perf_event_open" },
  sys_admin = { "mount", "umount2", "pivot_root", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "move_mount",
    "mount_setattr", "open_tree_attr", "setns", "unshare", "clone", "clone3", "swapon", "swapoff", "quotactl",
    "quotactl_fd", "fanotify_init" },
  sys_boot = { "reboot", "kexec_load", "kexec_file_load" },
  sys_chroot = { "chroot" },
  sys_module = { "init_module", "finit_module", "delete_module" },
  sys_nice = { "move_pages", "migrate_pages" },
  sys_pacct = { "acct" },
  sys_ptrace = { "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp" },
  sys_rawio = { "iopl", "ioperm" },
  sys_time = { "settimeofday", "clock_settime" },
  sys_tty_config = { "vhangup" },
  syslog = { "syslog" },
}
