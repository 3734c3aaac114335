--- What each step of a plan is for: the stage that it belongs to, from its operation and its arguments.

local M = {}

---@alias cella.plan.stage "preparation"|"namespaces"|"root"|"limits"|"identity"|"capabilities"|"check"|"command"

--- The stages, with what a person calls them.
M.TITLES = {
  preparation = "Before there is a child",
  namespaces = "Namespaces and maps",
  root = "Root and mounts",
  limits = "Limits, and what exec would hand on",
  identity = "Identity",
  capabilities = "Capabilities and privileges",
  check = "Read back",
  command = "Command",
}

local OPERATIONS = {
  namespaces = [[clone3 unshare unshare_mounts_below setns fork newuidmap newgidmap expect_map expect_namespace
    expect_no_user_namespaces sethostname setdomainname link_up]],
  root = [[mount umount2 fsopen fsconfig fsconfig_at fsmount open_tree open_tree_of move_mount mount_setattr pivot_root
    chroot chdir_first fchdir mkdir mknod symlink make_target make_symlink mask lock fchmod fchown expect_node
    expect_not_root expect_root expect_same_filesystem expect_locked_mounts]],
  limits = "cgroup setrlimit setpriority sched_setaffinity personality timer_slack thp_disable memory_merge",
  identity = "setgroups setresgid setresuid keep_caps",
  capabilities = [[ambient_clear ambient_lower ambient_raise capbset_drop capset securebits no_new_privs seccomp
    seccomp_listener landlock_create_ruleset landlock_add_rule landlock_add_path landlock_add_port
    landlock_restrict_self deny_keys join_session_keyring dumpable]],
  check = [[expect_ids expect_groups expect_capabilities expect_securebits expect_no_new_privs expect_no_keys
    expect_seccomp expect_landlock expect_device expect_personality expect_timer_slack expect_priority
    expect_affinity expect_memory_defaults]],
  command = [[expect_cwd init setsid setctty openpt ptpeer copy_tty tcsetwinsize send_fd dup2 close_others close_range
    sigdefault sigunblock pidfd_open pidfd_send_signal pdeathsig expect_parent expect_program execve call
    hold_signals]],
}

local STAGE = {}
for stage, list in pairs(OPERATIONS) do
  for name in list:gmatch "%S+" do STAGE[name] = stage end
end

-- The files by which a user namespace and a time namespace get what they are.
local function is_of_namespace(path)
  return path:find("^/proc/[A-Za-z0-9]+/[ug]id_map$") or path:find("^/proc/[A-Za-z0-9]+/setgroups$")
    or path:find("^/proc/[A-Za-z0-9]+/timens_offsets$") or path:find("^/proc/self/ns/")
    or path:find "^/proc/sys/"
end

-- Where an operation is used for several things, its arguments tell, or what goes on around it.
local function stage_of(step, before)
  local args, path = step.args, step.args.path
  if (step.op == "write_file" or step.op == "openat2") and type(path) == "string" and is_of_namespace(path) then
    return "namespaces"
  elseif step.op == "write_file" and path == "/proc/self/oom_score_adj" then
    return "limits"
  elseif step.op == "unshare" and before == "root" and type(args.namespaces) == "table"
    and args.namespaces[1] == "mount" then
    return "root" -- a copy of the finished one
  elseif step.op == "chdir" then
    return before == "root" and "root" or "command"
  elseif step.op == "securebits" and type(args.bits) == "table" and args.bits[1] == "no_setuid_fixup" then
    return "identity"
  end
  return STAGE[step.op] or before
end

--- The stage of each step, in the order of plan:steps().
---@param steps { side: "parent"|"child", op: string, args: table }[]
---@return cella.plan.stage[]
function M.of(steps)
  local stages, cloned = {}, false
  local before = { parent = "preparation", child = "namespaces" }
  for i, step in ipairs(steps) do
    cloned = cloned or step.op == "clone3"
    local stage = cloned and stage_of(step, before[step.side]) or "preparation"
    stages[i], before[step.side] = stage, stage
  end
  return stages
end

return M
