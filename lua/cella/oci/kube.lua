--- A container as a manifest of Kubernetes: a Pod, or a Job. The root is that of an image (cella.oci.image); what a
--- manifest cannot say of the rest is refused, by the name of the key.
---
---     local kube = require "cella.oci.kube"
---     io.write((assert(kube.manifest(box, { image = "registry/web:1", job = true }))))

local ascii = require "cella.ascii"
local blame = require "cella.blame"
local call = require "cella.call"
local capabilities = require "cella.caps.set"
local check = require "cella.oci.export.said"
local config = require "cella.oci.export.config"
local containers = require "cella.container"
local description = require "cella.root.description"
local Error = require "cella.error"
local files = require "cella.oci.export.files"
local host = require "cella.host"
local json = require "cella.oci.json"
local lists = require "cella.list"
local own = require "cella.root.own"
local resources = require "cella.oci.export.resources"
local sizes = require "cella.size"
local validate = require "cella.validate"
local yaml = require "cella.oci.yaml"
local wording = require "cella.oci.export.words"

local clean = description.clean
local rule = validate.rule
local M = {}

local function label(value, path)
  rule.line(value, path)
  if #value > 63 or not value:find "^[a-z0-9]$" and not value:find "^[a-z0-9][a-z0-9-]*[a-z0-9]$" then
    validate.fail(path, "up to 63 of the letters a to z, digits and - expected, got %s", validate.show(value))
  end
  return value
end

local function word(value, path)
  rule.line(value, path)
  if value == "" or value:find "[\1-\32\127]" then
    validate.fail(path, "a word without blanks expected, got %s", validate.show(value))
  end
  return value
end

local count = rule.integer(1, 100000)
local options_rule = rule.record({ image = word, name = label, job = rule.boolean, completions = count,
  parallelism = count, seccomp_profile = word, runtime_class = label }, { "image" })

---@class cella.oci.kube.options
---@field image string             the name of the image, as a node pulls it
---@field name string?             of the Pod or Job. The host name, else "cella", if not given
---@field job boolean?             a Job, which is done once its pods are
---@field completions integer?     of a Job: how many pods have to succeed, each with its number in JOB_COMPLETION_INDEX
---@field parallelism integer?     of a Job: how many run at once
---@field runtime_class string?    which of the nodes' runtimes is to start it: a RuntimeClass of the cluster
---@field seccomp_profile string?  where the nodes have the policy of the key `seccomp`: below the directory of profiles
---  of their kubelet

-- What $(NAME) and $$ mean there is not meant here.
local function literal(text)
  local result = text:gsub("()%$", function(at)
    local behind = text:sub(at + 1, at + 1)
    return (behind == "$" or behind == "(") and "$$" or nil
  end)
  return result
end

local function text(state, value, at) return wording.text(state, value, at, "a manifest") end

local function environment_of(state, given)
  if wording.is_inherited(state, given) then return nil end
  local list, all = {}, { HOME = "/tmp" }
  for name, value in pairs(given or {}) do all[name] = value end
  for _, name in ipairs(lists.sorted_keys(all)) do
    local at, value = "environment." .. name, all[name]
    if value == false and (name == "HOME" or name == "PATH") then
      state.refuse(at, "the image or the node sets it where nobody does: give it a value")
    elseif value and not name:find "^[A-Za-z_.-][A-Za-z0-9_.-]*$" then
      state.refuse(at, "no name of a variable as Kubernetes has them")
    elseif value then
      list[#list + 1] = { name = name, value = literal(text(state, value, at)) }
    end
  end
  return json.array(list)
end

-- Where each type of mount is that every runtime makes by itself.
local BY_ITSELF = { proc = "/proc", dev = "/dev", devpts = "/dev/pts", mqueue = "/dev/mqueue", sysfs = "/sys",
  cgroup2 = "/sys/fs/cgroup" }

local function add_volume(state, mount, at, volume)
  local name = ("volume-%d"):format(#state.volumes + 1)
  volume.name = name
  table.insert(state.volumes, volume)
  local path = clean(mount.destination)
  -- What is mounted below is another mount, which `readOnly` does not reach.
  local of_all = mount.type == "bind" and mount.readonly
  if of_all and not state.tells_of_all then
    state.tells_of_all = true
    state.note "recursiveReadOnly: of Kubernetes 1.33 and later; an older cluster may leave it away without a word"
  end
  if path:find(":", 1, true) then state.refuse(at .. ".destination", "a colon is in no path of a volume") end
  table.insert(state.volume_mounts, { name = name, mountPath = text(state, path, at .. ".destination"),
    readOnly = mount.readonly and true or nil, recursiveReadOnly = of_all and "Enabled" or nil })
end

local function check_flags(state, mount, at)
  if mount.noexec then state.refuse(at .. ".noexec", "a volume has no such flag") end
  if mount.nosuid and state.box.no_new_privs == false then
    state.refuse(at .. ".nosuid", "a volume has no such flag, and without no_new_privs it would matter")
  end
end

local function add_tmpfs(state, mount, at)
  local size = mount.size
  if type(size) == "string" then size = sizes.bytes(size) end
  if mount.size and not size then
    state.refuse(at .. ".size", "a part of the memory is another on each node: give bytes")
  end
  check_flags(state, mount, at)
  add_volume(state, mount, at, { emptyDir = { medium = "Memory", sizeLimit = size and ("%.0f"):format(size) } })
end

-- Of the root: what is in the image, and what has to be mounted.
local function add_part(state, part, at)
  if part.type == "tmpfs" then return add_tmpfs(state, part, at) end
  local place = BY_ITSELF[part.type]
  -- As nodes have them for who is not privileged.
  if place and part.readonly and part.type ~= "sysfs" and part.type ~= "cgroup2" then
    state.refuse(at .. ".readonly", "a node mounts it by itself, and can be written to")
  end
  if place and clean(part.destination) ~= place then
    state.refuse(at .. ".destination", ("a node has it at %s alone"):format(place))
  end
end

local function add_mount(state, mount, at)
  if mount.type ~= "bind" then
    if not BY_ITSELF[mount.type] and mount.type ~= "tmpfs" then
      return state.refuse(at, ("a %s is no volume: as a part of `root` it is in the image"):format(mount.type))
    end
    return add_part(state, mount, at)
  end
  if type(mount.source) == "table" then return end -- has been refused
  check_flags(state, mount, at)
  local source = files.absolute(mount.source)
  local kind = state.host.files[source].type
  add_volume(state, mount, at, { hostPath = { path = text(state, source, at .. ".source"),
    type = kind == "directory" and "Directory" or kind == "file" and "File" or nil } })
end

local function add_mounts(state, box)
  local whole = own.complete(box, state.host)
  for i, part in ipairs(box.root) do add_part(state, part, ("root[%d]"):format(i)) end
  for _, mount in ipairs(whole.own) do
    if mount.type == "tmpfs" then add_part(state, mount, mount.destination) end
  end
  for i, mount in ipairs(box.mounts) do add_mount(state, mount, ("mounts[%d]"):format(i)) end
end

-- What cella refuses beside a container's policy, where the one that there is there does not.
local function check_held(state, box, policy, whose)
  local quiet = {}
  for _, key in ipairs(config.not_held(box, policy)) do
    if box.said[key] then
      state.refuse(key, ("%s is not known to refuse the system calls that make them: give `seccomp` a policy that does")
        :format(whose))
    else
      quiet[#quiet + 1] = key
    end
  end
  if #quiet > 0 then
    state.note(("%s: %s is not known to refuse the system calls that make them"):format(table.concat(quiet, ", "),
      whose))
  end
end

local function profile_of(state, box, options)
  if box.said.seccomp and box.seccomp == false then
    check_held(state, box, nil, "no policy")
    return { type = "Unconfined" }
  elseif box.said.seccomp then
    if not options.seccomp_profile then
      state.refuse("seccomp", "the nodes have to have it: `cella seccomp show --oci` prints it, and --seccomp-profile "
        .. "says where it is there")
    end
    check_held(state, box, config.own_policy(box), "this policy")
    return { type = "Localhost", localhostProfile = options.seccomp_profile }
  end
  state.note "seccomp: what the node's runtime has as its default"
  check_held(state, box, nil, "that default")
  return { type = "RuntimeDefault" }
end

local function security_of(state, box, options)
  local user, given = box.user or {}, box.capabilities
  local uid, gid = user.uid or 0, user.gid or 0
  local is_own = box.namespaces.user == "new"
  if not is_own and not (user.uid and user.gid) then
    state.refuse("user", "without IDs of its own a pod has to be told uid and gid")
  end
  for key, id in pairs { uid = uid, gid = gid } do
    if is_own and id > 65535 then state.refuse("user." .. key, "a pod has the IDs 0 to 65535") end
  end
  local add = {}
  if capabilities.is(given) then
    for i, name in ipairs(capabilities.mask(given):names()) do add[i] = ascii.upper(tostring(name)) end
  end
  if #add > 0 and uid ~= 0 then
    state.refuse("capabilities", "a node gives them to root alone (it sets no ambient ones), and user.uid is another")
  end
  return { runAsUser = uid, runAsGroup = gid, runAsNonRoot = uid ~= 0, privileged = false,
    allowPrivilegeEscalation = box.no_new_privs == false, readOnlyRootFilesystem = box.root.readonly and true or false,
    capabilities = { drop = json.array { "ALL" }, add = #add > 0 and json.array(add) or nil },
    seccompProfile = profile_of(state, box, options) }
end

local function resources_of(cgroup)
  if not cgroup then return nil end
  local limits = {}
  local memory = cgroup.memory and resources.bytes(cgroup.memory) or -1
  if memory ~= -1 then limits.memory = ("%.0f"):format(memory) end
  if cgroup.cpu then
    local quota, period = resources.bandwidth(cgroup.cpu)
    if quota ~= -1 then limits.cpu = ("%.0fm"):format(math.max(1, quota / period * 1000)) end
  end
  return next(limits) and { limits = limits } or nil
end

local function check_namespaces(state, box)
  for _, kind in ipairs { "cgroup", "uts" } do
    local follows = kind == "uts" and box.namespaces.net == "host"
    if box.namespaces[kind] == "host" and not follows then
      state.refuse("namespaces." .. kind, "a pod has one of its own")
    end
  end
end

local function sysctls_of(state, box)
  local list = {}
  for _, one in ipairs(box.sysctl or {}) do
    if one.kind == "user" then
      state.refuse(("sysctl[%q]"):format(one.name), "a node sets those of net and ipc namespaces alone")
    elseif one.file:find(".", 1, true) then
      state.refuse(("sysctl[%q]"):format(one.name), "runtimes know no name with a dot in a part of it")
    end
    list[#list + 1] = { name = (one.file:gsub("/", ".")), value = text(state, one.value, "sysctl") }
  end
  return #list > 0 and json.array(list) or nil
end

local function container_of(state, box, command, options)
  local container = { name = "program", image = options.image, workingDir = text(state, command.cwd or box.cwd or "/",
    "cwd"), env = environment_of(state, command.environment or box.environment),
    securityContext = security_of(state, box, options), resources = resources_of(box.cgroup) }
  if command[1] then
    local words = {}
    for i, item in ipairs(command) do words[i] = literal(text(state, item, ("command[%d]"):format(i))) end
    container.command = json.array(words)
  end
  if command.terminal then container.tty, container.stdin = true, true end
  if #state.volume_mounts > 0 then container.volumeMounts = json.array(state.volume_mounts) end
  return container
end

local function pod_of(state, box, command, options)
  local kinds, groups = box.namespaces, box.user and box.user.groups or {}
  -- Without "Strict" the image's /etc/group says what other groups the user is in.
  local context = { sysctls = sysctls_of(state, box), supplementalGroups = #groups > 0 and json.array(groups) or nil,
    supplementalGroupsPolicy = "Strict" }
  state.note("supplementalGroupsPolicy: of Kubernetes 1.33 and later; an older cluster may add the groups that the "
    .. "image has the user in")
  if box.hostname and not pcall(label, box.hostname, "") then
    state.refuse("hostname", "a pod's is of the letters a to z, digits and -")
  end
  add_mounts(state, box)
  check_namespaces(state, box)
  return { restartPolicy = "Never", automountServiceAccountToken = false, enableServiceLinks = false,
    runtimeClassName = options.runtime_class, hostname = box.hostname, hostUsers = kinds.user ~= "new",
    hostNetwork = kinds.net == "host" or nil, hostPID = kinds.pid == "host" or nil,
    hostIPC = kinds.ipc == "host" or nil,
    activeDeadlineSeconds = command.timeout and math.max(1, math.ceil(command.timeout)) or nil,
    securityContext = context,
    containers = json.array { container_of(state, box, command, options) },
    volumes = #state.volumes > 0 and json.array(state.volumes) or nil }
end

-- podman reads no `seccompProfile`: without a word about it, it takes its default for any. A cluster takes the field.
local function annotations_of(pod)
  local profile = pod.containers[1].securityContext.seccompProfile
  if profile.type == "RuntimeDefault" then return nil end
  return { ["container.seccomp.security.alpha.kubernetes.io/program"] = profile.localhostProfile
    and "localhost/" .. profile.localhostProfile or "unconfined" }
end

-- A namespace of its own has nothing but `lo`; a pod is in the cluster's network.
local function no_network(name, labels)
  return { apiVersion = "networking.k8s.io/v1", kind = "NetworkPolicy", metadata = { name = name },
    spec = { podSelector = { matchLabels = labels }, policyTypes = json.array { "Ingress", "Egress" } } }
end

local ORDER = { "apiVersion", "kind", "metadata", "name", "labels", "spec", "image", "command", "workingDir", "env",
  "value", "type" }

local function name_of(box, options)
  if options.name then return options.name end
  return box.hostname and pcall(label, box.hostname, "") and box.hostname or "cella"
end

--- The manifest, as YAML: a Pod or a Job, and, where the container has a network namespace of its own, a NetworkPolicy
--- that lets nothing in or out. Raises where it cannot say all of the container, naming the keys. What is otherwise
--- there of what nobody has asked for stands in comments at its beginning.
---@param box cella.container
---@param options cella.oci.kube.options
---@param command cella.command.keys?  the container's own, if not given, else the image's
---@return string? text, cella.error? err
function M.manifest(box, options, command)
  if not containers.is(box) then blame "box: a container expected, as cella.container makes it" end
  options = validate.check(options_rule, options, "options")
  if not options.job and (options.completions or options.parallelism) then
    blame "options: completions and parallelism are of a Job: job = true"
  end
  local about = box.description
  local given = (command or about.command) and containers.checked_command(box, command) or {}
  local available, message = json.available()
  if not available then return nil, Error.new { op = "oci", message = message } end
  local found = {}
  local state = config.new_state(about, host.facts(), found)
  state.volumes, state.volume_mounts = {}, {}
  check(found, "kube", about, given)
  if about.namespaces.mount ~= "new" then
    state.refuse("namespaces.mount", "a container of a pod has mounts of its own")
  end
  if call.is(given) or about.namespaces.mount ~= "new" then config.stop(found, "a manifest") end
  local name = name_of(about, options)
  local labels = { ["app.kubernetes.io/name"] = name }
  local pod = pod_of(state, about, given, options)
  config.stop(found, "a manifest")
  local annotations = annotations_of(pod)
  local document = { apiVersion = "v1", kind = "Pod", spec = pod,
    metadata = { name = name, labels = labels, annotations = annotations } }
  if options.job then
    local completions = options.completions
    document = { apiVersion = "batch/v1", kind = "Job", metadata = { name = name, labels = labels },
      spec = { backoffLimit = 0, completions = completions, parallelism = options.parallelism,
        completionMode = completions and "Indexed" or nil,
        template = { metadata = { labels = labels, annotations = annotations }, spec = pod } } }
  end
  local parts = {}
  for _, note in ipairs(state.notes) do parts[#parts + 1] = "# cella: " .. note .. "\n" end
  if about.namespaces.net == "new" and not about.network then
    parts[#parts + 1] = yaml.encode(no_network(name, labels), ORDER) .. "---\n"
  end
  parts[#parts + 1] = yaml.encode(document, ORDER)
  return table.concat(parts)
end

return M
