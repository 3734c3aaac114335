--- What somebody means by a key that a table does not have: a key of another table, or what others call it.
--- Looked at when a table is refused.

local M = {}

local function of_command(key)
  return ("it is a key of the command: box:run { \"program\", %s = ... }, or `command` of the container"):format(key)
end

local function of_container(key) return ("it is a key of the container: cella.container { %s = ... }"):format(key) end

local function called(name) return ("here it is called `%s`"):format(name) end

local function in_table(name, key) return ("it is a key of `%s`: %s = { %s = ... }"):format(name, name, key) end

-- { words = { key, ... } } as { key = words }; words may be a function of the key.
local function by_key(groups)
  local result = {}
  for _, group in ipairs(groups) do
    for key in group[1]:gmatch "%S+" do result[key] = type(group[2]) == "function" and group[2](key) or group[2] end
  end
  return result
end

local NETWORK = "`network = \"host\"` is the caller's network, \"user\" a way out of one's own; a container that says "
  .. "nothing has one of its own, with a loopback device"

local tables = {
  container = by_key {
    { "stdin stdout stderr fds terminal wait timeout setup_timeout cpu_limit", of_command },
    { "output_limit capture_limit result_limit", of_command },
    { "cmd args argv entrypoint exec program run", called "command" },
    { "env environ variables", called "environment" },
    { "workdir working_dir workingdir working_directory pwd dir chdir", called "cwd" },
    { "caps cap_add cap_drop", called "capabilities" },
    { "rlimit ulimit ulimits limits", called "rlimits" },
    { "rootfs image chroot", called "root" },
    { "mount volume volumes bind binds tmpfs", called "mounts" },
    { "name host_name", called "hostname" },
    { "hook", called "hooks" },
    { "device gpu", called "devices" },
    { "userns idmap idmaps uid_map gid_map id_map uidmap gidmap", called "ids" },
    { "namespace unshare", called "namespaces" },
    { "affinity cpu_affinity cpulist", called "cpus" },
    { "priority niceness", called "nice" },
    { "oom_score oom_adj", called "oom_score_adj" },
    { "net net_host share_net networking", NETWORK },
    { "pid ipc uts time mnt", function(key)
      return ("it is a key of `namespaces`: namespaces = { %s = \"host\" }"):format(key == "mnt" and "mount" or key)
    end },
    { "uid gid groups", function(key) return in_table("user", key) end },
    { "syscalls system_calls filter", called "seccomp" },
    { "lsm files paths", called "landlock" },
    { "memory pids cpu cpuset io swap mem memory_limit", function(key)
      local name = ({ mem = "memory", memory_limit = "memory", swap = "memory" })[key] or key
      return ("limits for all of it are keys of `cgroup`: cgroup = { %s = ... }"):format(name)
    end },
    { "readonly ro read_only", "a directory as root is read-only with root = { path = ..., readonly = true }; the "
      .. "default root always is" },
    { "1", "the program is named by `command = { \"program\", ... }`, or given to box:run { \"program\", ... }" },
  },
  command = by_key {
    { "network hostname domainname namespaces ids user root mounts devices lock_mounts proc masked_paths "
      .. "readonly_paths cgroup capabilities no_new_privs keyrings seccomp landlock new_session init "
      .. "die_with_parent hooks "
      .. "rlimits", of_container },
    { "uid gid groups", "who the program is, is said by the key `user` of the container" },
    { "cmd args argv program command", "the program and its arguments are the items of the table: { \"ls\", \"-l\" }" },
    { "env environ variables", called "environment" },
    { "workdir working_dir pwd dir chdir", called "cwd" },
    { "input", "text for the program is stdin = { content = \"...\" }" },
    { "output capture", "what it writes comes back with stdout = \"capture\"" },
    { "tty pty", called "terminal" },
    { "shell", "a line for a shell is { \"sh\", \"-c\", \"ls | wc -l\" }" },
  },
  namespaces = by_key {
    { "1", "the kinds are keys: { net = \"host\" }; all but `time` are new where nothing is said" },
    { "network", called "net" },
    { "mnt mounts", called "mount" },
    { "userns", called "user" },
    { "pids", called "pid" },
    { "hostname", called "uts" },
  },
  mount = by_key {
    { "target dest dst to mountpoint path", called "destination" },
    { "src from host lowerdir", called "source" },
    { "ro read_only", called "readonly" },
    { "rw", "a mount may be written to unless it says readonly = true" },
    { "options flags", "each flag is a key: readonly = true, noexec = true" },
    { "1", "it is a table with keys: { type = \"bind\", source = \"/src\", destination = \"/src\" }" },
  },
  seccomp = by_key {
    { "trap trace", "there is `kill`, which ends the process, and `log`" },
    { "deny block refuse", "what is refused stands under its error: errno = { EPERM = { \"mount\" } }" },
    { "1", "names of calls stand in a list: allow = { ... }, kill = { ... }, errno = { EPERM = { ... } }" },
  },
  landlock = by_key {
    { "1 fs paths read write", "rules about files are items of `files`: files = { { path = \"/usr\", "
      .. "allow = \"read\" } }" },
    { "net ports bind connect", "ports are tcp = { bind = { 8080 }, connect = { 443 } }, and `udp` likewise" },
    { "scope scoped signal signals abstract_unix_socket", "it is `scopes`: { \"abstract_unix_socket\", \"signal\" }" },
    { "handled rights governed", called "restrict" },
    { "abi best_effort minimum", "with `at_least = N` ABI N is enough, and the result says what is not held" },
  },
  landlock_rule = by_key {
    { "paths file source", called "path" },
    { "access rights permissions", called "allow" },
    { "1", "it is { path = \"/usr\", allow = { \"read\", \"execute\" } }" },
  },
  root = by_key {
    { "ro read_only", called "readonly" },
    { "source src dir directory", called "path" },
  },
}

--- What somebody means by a key.
---@param whose "container"|"command"|"namespaces"|"mount"|"seccomp"|"landlock"|"landlock_rule"|"root"  the table that
---  does not have it
---@param key any
---@return string?  the rest of a sentence
function M.of(whose, key)
  local words = tables[whose]
  if type(key) == "number" then key = "1" end
  return words and words[key]
end

return M
