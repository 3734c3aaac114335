--- From an OCI bundle to a container: what a config.json says, as the table that cella.container takes. Who has written
--- it is not to be trusted: it has a bound, and each field is supported or refused by its name.

local bind = require "cella.root.bind"
local blame = require "cella.blame"
local container = require "cella.container"
local devices = require "cella.oci.read.devices"
local document = require "cella.oci.read.document"
local Error = require "cella.error"
local hooks = require "cella.oci.read.hooks"
local host = require "cella.host"
local lazy = require "cella.lazy"
local mounts = require "cella.oci.read.mounts"
local namespaces = require "cella.oci.read.namespaces"
local processes = require "cella.oci.read.process"
local resources = require "cella.oci.read.resources"
local schema = require "cella.oci.read.schema"
---@module "cella.oci.read.seccomp"
local seccomp_of = lazy "cella.oci.read.seccomp"
local validate = require "cella.validate"

local fail, required = schema.fail, schema.required
local M = {}

local LONGEST_PATH = 4095 -- PATH_MAX counts the NUL

--- What a config.json says.
---@class cella.oci.bundle
---@field path string              the directory
---@field container cella.container.keys  what cella.container takes
---@field command table            what box:run takes: the program, `environment`, `terminal`
---@field hooks table<string, cella.oci.hook[]>  by their points
---@field annotations table<string, string>
---@field cgroup { path: string?, files: { [1]: string, [2]: string, unified: true? }[] }  its directory, and what is
---  written to which files
---@field config table             as it stands there
---@field text string              the same, as it was read
---@field box cella.container      made of `container`
---@field joined { uid: table[], gid: table[] }?  the maps that a user namespace which is joined is said to have

local PROPAGATION = { private = "private", rprivate = "private", shared = "shared", rshared = "shared" }

-- Everything that there is, from a config.json that has been checked.
local function build(config, directory)
  local linux = config.linux or {}
  if not required(config.ociVersion, "ociVersion"):find "^1%.[0-9]+%.[0-9]+[-+0-9A-Za-z.]*$" then
    fail("ociVersion", "%q is not supported: 1.x is", config.ociVersion:sub(1, 40))
  end
  local process = processes.of(required(config.process, "process"))
  local root = required(config.root, "root")
  local rootfs = mounts.below(required(root.path, "root.path"), directory)
  if root.path == "" then fail("root.path", "the path is empty") end
  if #rootfs > LONGEST_PATH then fail("root.path", "longer than %d bytes", LONGEST_PATH) end
  -- That it is not this root by the time that it is taken, the plan sees to.
  if bind.of_host_root({ source = rootfs }, host.facts()) then
    fail("root.path", "not supported: it leads to the root of this host")
  end
  local kinds = namespaces.of(linux)
  local entries, bound = mounts.of(config.mounts, directory, rootfs, kinds)
  local named = devices.of(linux.devices, kinds.user ~= "host", bound)
  local sets = process.capabilities
  local undone = devices.check((linux.resources or {}).devices, named, entries, sets.bounding)
  if undone and kinds.user == "host" then
    fail(undone, "not supported together with CAP_SYS_ADMIN over the host: it could mount without nodev")
  end
  for _, device in ipairs(named) do device.number, device.field = nil, nil end
  local personality = linux.personality or {}
  if personality.domain and personality.domain ~= "" and personality.domain ~= "LINUX" then
    fail("linux.personality.domain", "%q is not supported: LINUX is", personality.domain:sub(1, 80))
  end
  local propagation = linux.rootfsPropagation
  if propagation and propagation ~= "" and not PROPAGATION[propagation] then
    -- Engines say so of the root where a volume has to be that: each mount has its own here.
    if not propagation:find "^r?slave$" or not mounts.hears(entries) then
      fail("linux.rootfsPropagation", "%q is not supported", propagation:sub(1, 80))
    end
  end
  if process.cwd ~= "/" then
    table.insert(entries, { type = "directory", destination = process.cwd, existing = true })
  end
  if process.command.terminal and mounts.has_own_dev(entries) then
    -- The first terminal of its own.
    table.insert(entries, { type = "symlink", destination = "/dev/console", target = "pts/0", existing = true })
  end
  local ids, joined = namespaces.ids(linux, kinds)
  local keys = {
    hostname = config.hostname ~= "" and config.hostname or nil,
    domainname = config.domainname ~= "" and config.domainname or nil,
    namespaces = kinds,
    ids = ids,
    user = process.user,
    root = { { type = "bind", source = rootfs, destination = "/", create = true, recursive = true, nosuid = false,
      nodev = true }, readonly = root.readonly or nil, propagation = PROPAGATION[propagation or ""] },
    mounts = entries, devices = #named > 0 and named or nil,
    masked_paths = schema.below_root(linux.maskedPaths, "linux.maskedPaths"),
    readonly_paths = schema.below_root(linux.readonlyPaths, "linux.readonlyPaths"),
    capabilities = sets,
    no_new_privs = process.no_new_privs,
    seccomp = linux.seccomp and seccomp_of.policy(linux.seccomp) or false, user_namespaces = true,
    keyrings = "own",
    sysctl = linux.sysctl,
    rlimits = process.rlimits,
    umask = process.umask,
    oom_score_adj = process.oom_score_adj, nice = process.nice,
    cwd = process.cwd,
    init = false, die_with_parent = false,
  }
  return { path = directory, container = keys, command = process.command, hooks = hooks.of(config.hooks or {}),
    annotations = config.annotations or {}, cgroup = resources.of(linux), config = config,
    rootfs = rootfs, joined = joined }
end

--- Reads a bundle: the directory that has a config.json. What a container of cella's cannot be is refused, with the
--- name of the field. Nothing happens yet: `cella.container(bundle.container)` makes the container.
---@param directory string
---@return cella.oci.bundle?, cella.error?
function M.read(directory)
  if type(directory) ~= "string" or directory == "" or directory:find "%z" then
    blame("bundle: the path of a directory expected, got " .. validate.show(directory))
  end
  local path = directory .. "/config.json"
  local config, err, text = document.read(path)
  if not config then return nil, err end
  local bundle
  bundle, err = document.checked(path, build, config, directory)
  if not bundle then return nil, err end
  bundle.text = text
  -- What the rules of a container refuse beyond that is of the document as well.
  local ok, box = pcall(container.new, bundle.container)
  if not ok then
    if Error.is(box) then return nil, box end
    return document.refused(path, (tostring(box):gsub("^[^ ]*:%d+: ", "")))
  end
  bundle.box = box
  return bundle
end

return M
