--- What becomes of each key of a container's table outside of cella: in a config.json (`oci`), and in a manifest of
--- Kubernetes (`kube`). What one of them cannot say is refused there, by the name of the key.
---
--- spec/oci/keys_spec.lua holds this together with lua/cella/meta/keys.lua: a key that is not here is one that would be
--- dropped.

local lists = require "cella.list"

local M = {}

---@class cella.oci.refusal
---@field why string
---@field unless (fun(value: any): boolean)?  true of the values that are said all the same, or mean nothing more

local Refusal = {}

local function no(why, unless) return setmetatable({ why = why, unless = unless }, Refusal) end

local function both(text) return { oci = text, kube = text } end

local function is(...)
  local values = { ... }
  return function(value) return lists.contains(values, value) end
end

local HOOKS = "a Lua function, which nobody would be there to call"
local LUA = "a Lua function is in this process alone: only a program can be started elsewhere"
local CALLER = "is about who waits for the program, and there it is another"
local NODE = "Kubernetes has no such setting of a container"
local IDS = "which IDs there are is the node's choice: leave the key away, and the pod has 65536 of its own"
local MOVED = "is a descriptor of this process, which others have not"
local STREAM = "who starts it there decides about its streams"
local PARTS = "is said of the root, and a node's file system has no such setting"
local MADE = "a runtime makes what is missing on the host without being asked"
local REMOTE = "a directory of this host, which a node has not: in a list of parts it becomes a part of the image"

local function refused(why, unless)
  local row = no(why, unless)
  return { oci = row, kube = row }
end

local function here(text, why, unless) return { oci = text, kube = no(why or NODE, unless) } end

local function all(names, row)
  local rows = {}
  for name in names:gmatch "%S+" do rows[name] = row end
  return rows
end

local function with(rows, more)
  for name, row in pairs(more) do rows[name] = row end
  return rows
end

local PLACE = { destination = both "mounts[].destination",
  parents = refused("which mode directories have that are made for a mount is the runtime's choice", is "755") }
local FLAGS = with(all("nosuid nodev noexec", { oci = "mounts[].options", kube = "" }), {
  readonly = { oci = "mounts[].options", kube = "volumeMounts[].readOnly, recursiveReadOnly" },
})
FLAGS.nosymfollow = refused("runtimes of before OCI 1.1 do not know it, and some leave away what they do not know",
  is(false))
for _, name in ipairs { "noatime", "strictatime", "nodiratime" } do
  FLAGS[name] = here("mounts[].options", nil, is(false))
end
local SHARED = { propagation = { oci = "mounts[].options", kube = no(NODE, is "private") } }
local CHANGE = "it changes what is there, and a config.json says only what is mounted"
local CONTENT = { oci = "rootfs", kube = "" } -- of a root of parts; elsewhere it is refused with its entry

local NO_NETWORK = "a runtime has neither rules for a network nor a way out of one"
local OF_PODS = "a pod's network is the cluster's: rules for it are a NetworkPolicy of its own"
local function of_network(names)
  return all(names, { oci = no(NO_NETWORK), kube = no(OF_PODS) })
end

local RLIMITS = "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"

--- By the classes of lua/cella/meta/keys.lua.
---@type table<string, table<string, { oci: string|cella.oci.refusal, kube: string|cella.oci.refusal }>>
M.ROWS = {
  ["cella.container.keys"] = {
    hostname = { oci = "hostname", kube = "hostname" },
    domainname = here "domainname",
    namespaces = { oci = "linux.namespaces", kube = "hostPID, hostIPC, hostNetwork, hostUsers" },
    ids = { oci = "linux.uidMappings, linux.gidMappings", kube = no(IDS) },
    user = { oci = "process.user",
      kube = "securityContext.runAsUser, runAsGroup, supplementalGroups, supplementalGroupsPolicy" },
    root = { oci = "root, mounts", kube = "image" },
    mounts = { oci = "mounts", kube = "volumes" },
    devices = here("mounts, linux.resources.devices"),
    masked_paths = here("linux.maskedPaths", "the runtime of the node has a list of its own"),
    readonly_paths = here("linux.readonlyPaths", "the runtime of the node has a list of its own"),
    network = { oci = no 'a runtime has neither rules for it nor a way out: "none", "host", or the path of one to join',
      kube = "NetworkPolicy" },
    proc = here("linux.maskedPaths", "every container of a pod has a /proc", is(true)),
    capabilities = { oci = "process.capabilities", kube = "securityContext.capabilities" },
    lock_mounts = refused("a runtime locks no mounts: false says that whoever has sys_admin inside may undo them",
      is(false)),
    no_new_privs = { oci = "process.noNewPrivileges", kube = "securityContext.allowPrivilegeEscalation" },
    nesting = { oci = "linux.seccomp", kube = "securityContext.seccompProfile" },
    user_namespaces = { oci = "linux.seccomp", kube = "securityContext.seccompProfile" },
    keyrings = { oci = no("a runtime makes a session keyring, unless whoever starts it says otherwise",
      is("none", "own")), kube = no("whether there are keyrings is the node's choice", is "none") },
    seccomp = { oci = "linux.seccomp", kube = "securityContext.seccompProfile" },
    landlock = refused("runtimes and nodes have no rules of Landlock's", is(false)),
    new_session = refused("every runtime makes a session of its own", is(true)),
    init = refused("it is cella's own, and there is none in a bundle: the program is process 1", is(false)),
    die_with_parent = refused("a runtime leaves the container to itself", is(false)),
    hooks = both "", -- of which each key is refused
    rlimits = here "process.rlimits",
    umask = here("process.user.umask", nil, is(18)),
    nice = here "process.scheduler",
    cpus = refused "which processors it runs on is said by a cgroup there: cgroup = { cpuset = ... }",
    oom_score_adj = here("process.oomScoreAdj", "the node chooses it by the pod's class"),
    sysctl = { oci = "linux.sysctl", kube = "securityContext.sysctls" },
    cgroup = { oci = "linux.resources", kube = "resources.limits" },
    environment = { oci = "process.env", kube = "env" },
    cwd = { oci = "process.cwd", kube = "workingDir" },
    command = { oci = "process", kube = "command" },
  },
  ["cella.capabilities.keys"] = all("bounding permitted effective inheritable ambient",
    here("process.capabilities", "Kubernetes knows one list of capabilities")),
  ["cella.namespaces.keys"] = with(all("user mount pid ipc uts net cgroup",
    { oci = "linux.namespaces", kube = "hostPID, hostIPC, hostNetwork, hostUsers" }), {
    time = here("linux.namespaces", nil, is "host"),
  }),
  ["cella.namespaces.target"] = {
    path = here("linux.namespaces[].path", "a namespace of this host is none of a node's"),
    pid = refused "a process of now, whose number another may have by then: name a path that stays (cella.namespace)",
    fd = refused(MOVED .. ": name a path that stays (cella.namespace)"),
  },
  ["cella.namespaces.offsets"] = all("monotonic boottime", here "linux.timeOffsets"),
  ["cella.network.keys"] = with(of_network("allow program ports host_ports nameservers addresses gateways interface "
    .. "mtu ipv4 ipv6"), { type = { oci = no(NO_NETWORK), kube = "" } }),
  ["cella.network.allow.host"] = of_network "host port protocol",
  ["cella.network.allow.address"] = of_network "address port protocol",
  ["cella.network.port.keys"] = of_network "outside inside address protocol",
  ["cella.network.host_port.keys"] = of_network "inside outside protocol",
  ["cella.ids.keys"] = {
    uid = here("linux.uidMappings", IDS),
    gid = here("linux.gidMappings", IDS),
    setgroups = { oci = no("a runtime denies setgroups only to who cannot help it", is "allow"), kube = no(IDS) },
    via = { oci = "", kube = no(IDS) }, -- who writes the maps: it is the same inside
  },
  ["cella.user.keys"] = {
    uid = { oci = "process.user.uid", kube = "securityContext.runAsUser" },
    gid = { oci = "process.user.gid", kube = "securityContext.runAsGroup" },
    groups = { oci = "process.user.additionalGids", kube = "securityContext.supplementalGroups" },
  },
  ["cella.hooks.keys"] = all("created mapped before_exec exited", refused(HOOKS)),
  ["cella.rlimits.keys"] = all(RLIMITS, here "process.rlimits"),
  ["cella.rlimits.pair"] = all("soft hard", here "process.rlimits"),
  ["cella.cgroup.keys"] = {
    memory = { oci = "linux.resources.memory.limit", kube = "resources.limits.memory" },
    memory_high = here "linux.resources.unified",
    swap = here("linux.resources.memory.swap", "the node decides about swap", is(0)),
    pids = here("linux.resources.pids.limit", "how many there may be is a setting of the node's (podPidsLimit)"),
    cpu = { oci = "linux.resources.cpu", kube = "resources.limits.cpu" },
    cpu_weight = here "linux.resources.unified",
    cpuset = here "linux.resources.cpu.cpus",
    cpuset_mems = here "linux.resources.cpu.mems",
    io = here "linux.resources.blockIO",
    unified = here "linux.resources.unified",
    parent = here("linux.cgroupsPath", "the node makes the cgroups"),
    name = here("linux.cgroupsPath", "the node makes the cgroups"),
  },
  ["cella.cgroup.bandwidth.keys"] = all("quota period", { oci = "linux.resources.cpu", kube = "resources.limits.cpu" }),
  ["cella.cgroup.io.keys"] = all("device rbps wbps riops wiops", here "linux.resources.blockIO"),
  ["cella.root.directory"] = {
    path = { oci = "root.path", kube = "image" },
    fd = refused(MOVED),
    readonly = { oci = "root.readonly", kube = "securityContext.readOnlyRootFilesystem" },
    nodev = { oci = "", kube = "" }, -- of which config.lua decides
    idmap = refused("a config.json says it of mounts alone"),
    propagation = here("linux.rootfsPropagation", PARTS, is "private"),
  },
  ["cella.root.parts"] = {
    readonly = { oci = "root.readonly", kube = "securityContext.readOnlyRootFilesystem" },
    size = refused "a bundle's root is a directory, whose size nobody bounds: make it read-only instead",
    mode = { oci = "rootfs", kube = "image" },
    inodes = refused "a bundle's root is a directory, whose files nobody counts: leave it away",
    owner = { oci = "rootfs", kube = "image" },
    propagation = here("linux.rootfsPropagation", PARTS, is "private"),
  },
  ["cella.device.keys"] = {
    path = here "mounts[].source",
    destination = here "mounts[].destination",
    optional = here "", -- decided when it is written
  },
  ["cella.mount.place"] = PLACE,
  ["cella.mount.flags"] = FLAGS,
  ["cella.mount.shared"] = SHARED,
  ["cella.mount.bind"] = {
    type = both "mounts[].type",
    source = { oci = "mounts[].source", kube = "volumes[].hostPath" },
    recursive = { oci = "mounts[].options",
      kube = no("a node binds all that is mounted below, too", is(true)) },
    optional = here("", "a node would make a directory in its place", is(false)), -- decided when it is written
    create = here("", MADE, is(false)), -- where it can be written to, a runtime does so anyway
    idmap = here("mounts[].uidMappings", nil),
    propagation = here("mounts[].options", NODE, is "private"),
  },
  ["cella.mount.source.fd"] = { fd = refused(MOVED) },
  ["cella.mount.source.content"] = {
    content = here("a file of the bundle", "data of a pod is in a ConfigMap; as a part of the root it is in the image"),
    mode = here("a file of the bundle"),
  },
  ["cella.mount.ids.keys"] = all("uid gid", here "mounts[].uidMappings, gidMappings"),
  ["cella.mount.tmpfs"] = {
    type = both "mounts[].type",
    size = { oci = "mounts[].options", kube = "volumes[].emptyDir.sizeLimit" },
    mode = { oci = "mounts[].options", kube = no("a directory in memory has the mode 0777 there", is("1777", "777")) },
    inodes = here "mounts[].options",
    owner = here "mounts[].options",
  },
  ["cella.mount.overlay"] = {
    type = here("mounts[].type", REMOTE),
    lower = here("mounts[].options", REMOTE),
    upper = { oci = no('what "tmpfs" forgets a config.json cannot say: name a directory, and `work`',
      function(value) return value ~= "tmpfs" end), kube = no(REMOTE) },
    work = here("mounts[].options", REMOTE),
    idmap = refused "runtimes map the IDs of binds alone",
    create = refused(MADE, is(false)),
  },
  ["cella.mount.filesystem"] = all("type fstype source options", here "mounts[]"),
  ["cella.mount.proc"] = {
    type = both "mounts[].type",
    subset = here "mounts[].options",
    hidepid = here("mounts[].options", nil, is "off"),
    protect = { oci = "linux.readonlyPaths, linux.maskedPaths", kube = "" },
  },
  ["cella.mount.sysfs"] = { type = both "mounts[].type" },
  ["cella.mount.cgroup2"] = { type = both "mounts[].type" },
  ["cella.mount.mqueue"] = { type = both "mounts[].type" },
  ["cella.mount.devpts"] = { type = both "mounts[].type", group = here "mounts[].options",
    mode = here "mounts[].options", ptmxmode = here "mounts[].options" },
  ["cella.mount.dev"] = { type = both "mounts[].type", size = here "mounts[].options", mode = here "mounts[].options",
    inodes = here "mounts[].options", owner = here "mounts[].options" },
  ["cella.mount.file"] = { type = CONTENT, content = CONTENT, mode = CONTENT, owner = CONTENT, existing = CONTENT },
  ["cella.mount.symlink"] = { type = CONTENT, target = CONTENT, existing = CONTENT },
  ["cella.mount.directory"] = { type = CONTENT, mode = CONTENT, owner = CONTENT, existing = CONTENT },
  ["cella.mount.remount"] = { type = refused(CHANGE) },
  ["cella.mount.chmod"] = { type = CONTENT, mode = CONTENT },
  ["cella.mount.owner.keys"] = all("uid gid", both "mounts[].options"),
  ["cella.command.shared"] = {
    stdin = refused(STREAM, is("null", "inherit")),
    stdout = refused(STREAM, is "inherit"),
    stderr = refused(STREAM, is "inherit"),
    fds = refused(MOVED, function(value) return next(value) == nil end),
    terminal = { oci = "process.terminal", kube = "tty" },
    environment = { oci = "process.env", kube = "env" },
    cwd = { oci = "process.cwd", kube = "workingDir" },
    timeout = { oci = no(CALLER), kube = "activeDeadlineSeconds" },
    setup_timeout = refused(CALLER),
    wait = refused(CALLER, is(true)),
    cpu_limit = refused(CALLER .. "; rlimits = { cpu = ... } bounds each process"),
    output_limit = refused(CALLER),
    capture_limit = refused(CALLER),
    result_limit = refused(CALLER),
    log = refused(CALLER),
    denied = refused(CALLER),
  },
  ["cella.command.keys"] = { argv0 = refused "there a program is told the name that it is found by" },
  ["cella.call.keys"] = { n = refused(LUA) },
  ["cella.terminal.keys"] = {
    rows = here("process.consoleSize", "the size is that of who attaches to it"),
    columns = here("process.consoleSize", "the size is that of who attaches to it"),
    like = refused(MOVED),
    from = refused("the runtime makes the terminal, in the container", is "container"),
  },
}

--- The classes of tables that are no part of a container's: of other calls, and of streams, which are refused with
--- their keys.
M.ELSEWHERE = { "cella.plan.ids.keys", "cella.exec.keys", "cella.streams.input_file", "cella.streams.output_file",
  "cella.streams.content", "cella.enter.keys", "cella.enter.user.keys", "cella.plan.keys", "cella.plan.join.keys",
  "cella.spawn.keys", "cella.worker.keys", "cella.slice.keys", "cella.seccomp.keys",
  "cella.landlock.keys", "cella.landlock.rule.keys", "cella.landlock.ports.keys" }

-- Which classes the table of a mount has its keys from.
local function classes_of_mount(mount)
  return { "cella.mount." .. tostring(mount.type), "cella.mount.shared", "cella.mount.flags", "cella.mount.place" }
end

--- Names what of a table is refused.
---@param found string[]  to which a line is added for each
---@param target "oci"|"kube"
---@param classes string|string[]  whose keys the table has
---@param value table
---@param path string
function M.check(found, target, classes, value, path)
  if type(classes) == "string" then classes = { classes } end
  for _, key in ipairs(lists.sorted_keys(value)) do
    if type(key) == "string" and value[key] ~= nil then
      local row
      for _, class in ipairs(classes) do row = row or M.ROWS[class][key] end
      local at = path == "" and key or path .. "." .. key
      if not row then
        -- Whoever has added the key has not said what becomes of it.
        found[#found + 1] = ("%s: not known here"):format(at)
      elseif getmetatable(row[target]) == Refusal then
        local refusal = row[target]
        if not (refusal.unless and refusal.unless(value[key])) then
          found[#found + 1] = ("%s: %s"):format(at, refusal.why)
        end
      end
    end
  end
end

--- The same of a list of mounts or parts.
---@param found string[]
---@param target "oci"|"kube"
---@param list table[]
---@param path string
function M.check_mounts(found, target, list, path)
  for i, mount in ipairs(list) do
    local at = ("%s[%d]"):format(path, i)
    M.check(found, target, classes_of_mount(mount), mount, at)
    if type(mount.source) == "table" then
      M.check(found, target, mount.source.content and "cella.mount.source.content" or "cella.mount.source.fd",
        mount.source, at .. ".source")
    end
    if mount.owner then M.check(found, target, "cella.mount.owner.keys", mount.owner, at .. ".owner") end
    if type(mount.idmap) == "table" then
      M.check(found, target, "cella.mount.ids.keys", mount.idmap, at .. ".idmap")
    end
  end
end

--- Whether a row says that its key is refused.
---@param said string|cella.oci.refusal
---@return boolean
function M.is_refusal(said) return getmetatable(said) == Refusal end

return M
