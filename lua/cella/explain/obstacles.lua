--- What stands in the way of containers on a host, and what removes it: for the error of a start, and for the doctor.
---
--- Each function asks the host and returns the obstacle that it has seen, or nil. None is guessed: a kernel that merely
--- refuses has shown no cause.

local core = require "cella.core"
local files = require "cella.host.file"
local filter = require "cella.explain.filter"
local host_facts = require "cella.host"
local idmap = require "cella.idmap.value"
local lists = require "cella.list"
local mountinfo = require "cella.mountinfo"
local programs = require "cella.subid.program"

local M = {}

---@class cella.obstacle
---@field name string     "max_namespaces"
---@field says string     the rule, in a sentence
---@field remedy string?  commands, or a text to paste, where there are any

local read = files.read_trimmed

local function sysctl(name, value)
  return ("sysctl -w %s=%s    # as root; to keep it: echo %s=%s > /etc/sysctl.d/60-containers.conf"):format(name, value,
    name, value)
end

-- Over the initial user namespace, as the kernel's capable() asks.
local function is_privileged()
  local facts = host_facts.facts()
  return facts.initial and facts.capabilities.sys_admin == true
end

local ENGINES_SECCOMP = [[
# Docker, Podman: a profile that allows it, or none
--security-opt seccomp=unconfined
# Kubernetes, in the securityContext of the container or the pod
seccompProfile: { type: Unconfined }
# systemd, in the unit: no RestrictNamespaces=, and a SystemCallFilter= that has @mount, or none]]

local CELLA_SECCOMP = [[
-- The container that this process is in is cella's: among its keys
nesting = true]]

local function is_in_container_of_cella() return read "/proc/1/comm" == "cella-init" end

--- A filter that answers a call itself.
---@param op string
---@param namespaces string[]?
---@return cella.obstacle?
function M.filter(op, namespaces)
  local verdict, answer, call = filter.of(op, namespaces)
  if verdict ~= "refuses" then return nil end
  -- The kernel's own answer to unshare(2), whatever else is wrong with it.
  if call == "unshare" and answer == "EPERM" and M.unprivileged_userns_clone() then return nil end
  local how = answer == "killed" and "kills whoever calls" or ("answers %s in the kernel's place to"):format(answer)
  local more = call == "clone3" and ". cella starts everything by clone3(2): clone(2) has no flag for birth in a "
    .. "cgroup or a time namespace, nor for signal handlers that are not handed on" or ""
  return { name = "seccomp", remedy = is_in_container_of_cella() and CELLA_SECCOMP or ENGINES_SECCOMP,
    says = ("a seccomp filter that this process is under (Seccomp: 2 in /proc/self/status) %s %s(2)%s"):format(how,
      call, more) }
end

--- The label by which AppArmor confines this process; nil where there is no AppArmor.
---@return string?
local function apparmor_label()
  local label = read "/proc/self/attr/apparmor/current"
  if label then return label end
  return read "/sys/module/apparmor/parameters/enabled" == "Y" and read "/proc/self/attr/current" or nil
end

local function apparmor_profile()
  local program = (core.readlink "/proc/self/exe" or ""):match "^/[A-Za-z0-9_/.+-]+$" or "PATH OF THE LUA INTERPRETER"
  return ([[
cat > /etc/apparmor.d/cella <<'END'
abi <abi/4.0>,
include <tunables/global>
profile cella "%s" flags=(unconfined) {
  userns,
}
END
apparmor_parser -r /etc/apparmor.d/cella    # as root; it holds for each program that this interpreter runs]])
    :format(program)
end

local RESTRICT = "kernel.apparmor_restrict_unprivileged_userns"

--- Ubuntu's restriction: who has no profile gets user namespaces without capabilities, or none.
---@return cella.obstacle?
function M.apparmor_restriction()
  local label = apparmor_label()
  if read "/proc/sys/kernel/apparmor_restrict_unprivileged_userns" ~= "1" or label and label ~= "unconfined"
    or is_privileged() then
    return nil
  end
  return { name = "apparmor_restrict_unprivileged_userns",
    says = ("%s is 1 and this program's AppArmor label is %q: it needs a profile with the rule `userns,`"):format(
      RESTRICT, label or "unknown"),
    remedy = apparmor_profile() .. "\n# or, for all programs\n" .. sysctl(RESTRICT, 0) }
end

local APPARMOR_RULES = [[
# in the profile of that name (/etc/apparmor.d); then, as root: apparmor_parser -r FILE
userns,
capability,
# or without confinement
aa-exec -p unconfined COMMAND]]

local DISCONNECTED = [[
# in the profile of that name (/etc/apparmor.d); then, as root: apparmor_parser -r FILE
flags=(attach_disconnected)
/** rix,
# or without confinement
aa-exec -p unconfined COMMAND]]

--- A security module that denies capabilities also to the root of a namespace of its own: seen by a call for which
--- there is no other reason.
---@return cella.obstacle?
function M.security_module()
  if filter.is_there() or not core.denies_capabilities() then return nil end
  local label = apparmor_label()
  local says = "a security module denies this process the capabilities that it has in a user namespace of its own"
  if label and label:find("(enforce)", 1, true) then
    return { name = "security_module", says = ("%s; AppArmor confines it, by the profile %s"):format(says, label),
      remedy = APPARMOR_RULES }
  end
  if read "/sys/fs/selinux/enforce" == "1" then
    return { name = "security_module", says = ("%s: SELinux enforces, and its context is %s"):format(says,
      tostring(read "/proc/self/attr/current")), remedy = "ausearch -m avc -ts recent    # as root: what it denied" }
  end
  return { name = "security_module", says = says .. "; which one is not to be seen" }
end

--- A profile of AppArmor's by which this process executes no file in memory: such a file has no path.
---@return cella.obstacle?
function M.disconnected()
  local label = apparmor_label()
  if not label or not label:find("(enforce)", 1, true) then return nil end
  return { name = "security_module", remedy = DISCONNECTED, says = ("a security module confines this process (%s) and "
    .. "does not allow that: for AppArmor such a file has no path"):format(label) }
end

--- A process whose own IDs its user namespace does not have.
---@return cella.obstacle?
function M.unmapped()
  local facts = host_facts.facts()
  for _, kind in ipairs { "uid", "gid" } do
    if not rawget(facts, "failure") and not facts[kind .. "_map"]:covers(facts[kind]) then
      return { name = "unmapped", says = ("this process's own %s %.0f has no mapping in its user namespace, and the "
        .. "kernel lets such a process make none (clone(2), EPERM)"):format(kind, facts[kind]),
        remedy = "# write the maps of the namespace that it is in first: uid_map, then gid_map" }
    end
  end
  return nil
end

--- A process that is in a chroot(2), where that can be seen.
---@return cella.obstacle?
function M.chrooted()
  local chrooted = core.is_chrooted()
  if chrooted == nil then
    -- The root of a mount namespace is a mount. Without one, the root is a directory of somebody's choosing.
    local mounts = mountinfo.own()
    chrooted = #mounts > 0
    for _, mount in ipairs(mounts) do
      if mount.point == "/" then chrooted = false end
    end
  end
  if not chrooted then return nil end
  return { name = "chrooted", says = "this process is chrooted (chroot(2)), and the kernel lets such a process make no "
    .. "user namespace (clone(2), EPERM)", remedy = "# enter the directory by pivot_root(2) in place of chroot(2), as\n"
    .. "unshare --mount sh -c 'mount --rbind DIR DIR && cd DIR && pivot_root . . && umount -l . && exec COMMAND'" }
end

--- Debian's switch.
---@return cella.obstacle?
function M.unprivileged_userns_clone()
  if read "/proc/sys/kernel/unprivileged_userns_clone" ~= "0" or is_privileged() then return nil end
  return { name = "unprivileged_userns_clone",
    says = "kernel.unprivileged_userns_clone is 0: only root may make user namespaces here; "
      .. "`sysctl kernel.unprivileged_userns_clone=1` as root allows it",
    remedy = sysctl("kernel.unprivileged_userns_clone", 1) }
end

--- A kernel in which no file in memory can be executed.
---@return cella.obstacle?
function M.memfd_noexec()
  if read "/proc/sys/vm/memfd_noexec" ~= "2" then return nil end
  return { name = "memfd_noexec", remedy = sysctl("vm.memfd_noexec", 1),
    says = "vm.memfd_noexec is 2 here, and no such file may be executed (0 or 1 allows it)" }
end

local function limit_key(namespace)
  return ("max_%s_namespaces"):format(namespace == "mount" and "mnt" or namespace)
end

--- The limit of a type of namespace in this user namespace.
---@param namespace string
---@return string key, string? value
function M.limit(namespace)
  local key = limit_key(namespace)
  return "user." .. key, read("/proc/sys/user/" .. key)
end

--- A limit that allows none of some types of namespaces.
---@param namespaces string[]
---@return cella.obstacle?
function M.max_namespaces(namespaces)
  for _, namespace in ipairs(namespaces) do
    local key, value = M.limit(namespace)
    if value == "0" then
      return { name = "max_namespaces", says = ("%s is 0: no %s namespaces may be made here"):format(key, namespace),
        remedy = sysctl(key, 15000) }
    end
  end
  return nil
end

--- Why there is no user namespace to be had, by what clone3, unshare or a fork said.
---@param code string
---@param op string?
---@return cella.obstacle?
function M.user_namespace(code, op)
  if code == "ENOSPC" or code == "EUSERS" then return M.max_namespaces { "user" } end
  if code == "EACCES" then return M.apparmor_restriction() or M.security_module() end
  return M.unmapped() or M.unprivileged_userns_clone() or M.chrooted() or M.apparmor_restriction()
    or M.filter(op or "clone3", op == "unshare" and { "user" } or nil) or M.security_module()
end

-- The mount that a path lies on.
local function mount_of(path)
  local found = "/"
  for _, mount in ipairs(mountinfo.own()) do
    local point = mount.point == "/" and "/" or mount.point .. "/"
    if path:sub(1, #point) == point and #mount.point >= #found then found = mount.point end
  end
  return found
end

local function quoted(path) return "'" .. path:gsub("'", "'\\''") .. "'" end

local function remount(path, flag)
  return ("mount -o remount,%s %s    # as root, where it was mounted; to keep it: that line in /etc/fstab"):format(flag,
    quoted(mount_of(path)))
end

--- How newuidmap(1) and newgidmap(1) come to a host.
M.INSTALL_HELPERS = "apt install uidmap    # as root; elsewhere the package is shadow-utils, or shadow"

-- Whether who owns a file has no ID in this user namespace. In one that maps 65534 as well there is no telling.
local function is_unmapped(facts) return facts.uid == idmap.overflow and not host_facts.facts().initial end

-- What lies elsewhere, or belongs to somebody else, may be anybody's program of that name: it is given no privileges.
local function remedy_of(path, facts, command)
  local others_write = facts.mode % 0x20 >= 0x10 or facts.mode % 4 >= 2
  if programs.is_of_system(path) and not others_write and (facts.uid == 0 or is_unmapped(facts)) then return command end
  return ("# this is not the system's helper: take its directory out of PATH\n%s"):format(M.INSTALL_HELPERS)
end

--- Why a file gives whoever executes it none of its owner's privileges (execve(2)), or cannot be executed; nil where
--- that is not seen.
---@param path string
---@return cella.obstacle?
function M.helper_file(path)
  local file = core.open(path, "path")
  local facts = file and core.caps.file_facts(file:number())
  local capabilities = file and core.caps.file_get(file:number())
  if file then file:close() end
  if not facts then return nil end
  if facts.noexec then
    return { name = "helper_noexec", says = path .. " lies on a noexec mount",
      remedy = remedy_of(path, facts, remount(path, "exec")) }
  elseif facts.nosuid then
    return { name = "helper_nosuid", remedy = remedy_of(path, facts, remount(path, "suid")),
      says = path .. " lies on a nosuid mount, so that nobody gains privileges by it" }
  end
  local set_user_id = facts.mode % 0x1000 >= 0x800
  if set_user_id and facts.uid == 0 or capabilities then return nil end
  if set_user_id and is_unmapped(facts) then
    return { name = "helper_unmapped", says = path .. " is set-user-ID, of somebody who has no ID in this user "
      .. "namespace, so that nobody gains privileges by it (execve(2))" }
  end
  return { name = "helper_unprivileged",
    says = path .. " is not set-user-ID root and has no file capabilities, so that nobody gains privileges by it",
    remedy = remedy_of(path, facts, ("chmod u+s %s    # as root"):format(quoted(path))) }
end

-- Directories of /proc that are there to be mounted on, and have nothing in them that would show: no cause.
local EMPTY = { "/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd", "/proc/xen", "/proc/openprom" }

local MASKED = [[
# Docker
--security-opt systempaths=unconfined
# Podman
--security-opt unmask=ALL
# Kubernetes, in the securityContext of the container (of a pod with hostUsers: false)
procMount: Unmasked
# the container's own table, for one without
proc = false]]

-- The topmost mount on /proc, and what is mounted below it.
local function proc_mounts()
  local seen
  local covered = {}
  for _, mount in ipairs(mountinfo.own()) do
    if mount.point == "/proc" and mount.kind == "proc" then seen = mount end
    if mount.point:sub(1, 6) == "/proc/" and not lists.contains(EMPTY, mount.point) then
      covered[#covered + 1] = mount.point
    end
  end
  return seen, covered
end

--- A /proc in which nothing can be written, not even by the owner of a file.
---@return cella.obstacle?
function M.readonly_proc()
  local seen = proc_mounts()
  if not seen or not ("," .. seen.flags .. ","):find(",ro,", 1, true) then return nil end
  return { name = "readonly_proc", remedy = "mount -o remount,bind,rw /proc    # as root of this mount namespace",
    says = "/proc is mounted read-only here: ID maps are written there, and the kernel mounts a fresh one that is not "
      .. "read-only only where the old one is not" }
end

--- Why no fresh /proc can be mounted by the root of a user namespace.
---@return cella.obstacle?
function M.proc()
  local seen, covered = proc_mounts()
  if not seen then
    return { name = "no_proc", remedy = "mount -t proc proc /proc    # as root of this mount and pid namespace",
      says = "the kernel mounts a fresh /proc only where an old one is seen whole, and there is no /proc mounted here" }
  elseif #covered > 0 then
    return { name = "masked_proc", remedy = MASKED,
      says = "the kernel mounts a fresh /proc only where the old one is whole, and here parts of it are covered: "
        .. table.concat(covered, ", ") }
  end
  return M.readonly_proc()
end

return M
