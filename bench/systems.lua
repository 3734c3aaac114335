--- The ways to start a program in a sandbox, as the rows of bench/cases.lua name them: each is a table that says how
--- the process is started that does it (bench/worker.lua, floor), and what there has to be.

local here = require "bench.here"
local json = require "bench.json"

local M = {}

local function words(...)
  local list = {}
  for _, part in ipairs { ... } do table.move(part, 1, #part, #list + 1, list) end
  return list
end

--- The floor, with these options of bench/floor.c.
function M.floor(...)
  return { options = { ... } }
end

--- A command line, made from the command that is to run in the sandbox. `program` is what it needs.
---@param program string
---@param build fun(command: string[], case: table): string[]
function M.line(program, build)
  return { program = program, line = build }
end

--- In process: `prepare(command, case)` returns a function that starts the command once and returns a process, or
--- nothing where there is nothing to wait for; and what is to be done between what is measured, if anything.
function M.lua(prepare)
  return { prepare = prepare }
end

-- What is shared with a system that takes it by options, as { source, destination } each.
local function shared(case)
  local list = {}
  for _, path in ipairs { "/usr", "/bin", "/lib", "/lib64", "/etc" } do
    if io.open(path) then list[#list + 1] = { path, path } end
  end
  if case.files then list[#list + 1] = { case.files, "/bench" } end
  return list
end

-- The options of bubblewrap, which examples/bwrap.lua has too.
local function bwrap_options(case, options)
  local list = { "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup",
    "--hostname", "bench", "--new-session", "--die-with-parent", "--cap-drop", "ALL" }
  if not case.host_network then list[#list + 1] = "--unshare-net" end
  for _, pair in ipairs(shared(case)) do list = words(list, { "--ro-bind" }, pair) end
  return words(list, { "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp" }, options or {}, { "--" })
end

--- Bubblewrap, with these further options.
function M.bwrap(...)
  local options = { ... }
  return M.line("bwrap", function(command, case)
    return words({ "bwrap" }, bwrap_options(case, options), command)
  end)
end

--- examples/bwrap.lua: the same line.
M.bwrap_lua = M.line(here.lua, function(command, case)
  return words({ here.lua, here.top .. "/examples/bwrap.lua" }, bwrap_options(case), command)
end)

--- `cella run`, of bench/shape.lua.
M.cella_run = M.line(here.lua, function(command, case)
  local line = { here.lua, here.top .. "/bin/cella", "run", here.top .. "/bench/shape.lua", case.files }
  return words(line, { "--" }, command)
end)

local function script(huge)
  return M.line(here.lua, function(command, case)
    return words({ here.lua, here.top .. "/bench/script.lua", huge, case.files or "" }, command)
  end)
end

--- A Lua script that starts one container, and ends; and one that has its memory in a huge page.
M.script, M.script_in_huge_page = script "", script "huge"

--- util-linux: the namespaces and a /proc, and nothing of the rest.
M.unshare = M.line("unshare", function(command)
  return words({ "unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--ipc", "--uts", "--net",
    "--cgroup", "--mount-proc" }, command)
end)

local function oci_mount(type, destination, ...)
  return { type = type, source = type, destination = destination, options = { ... } }
end

-- A bundle for an OCI runtime: a directory with a configuration, and one for the root.
local function bundle(command, case)
  local directory = here.directory()
  os.execute("mkdir -p " .. directory .. "/rootfs")
  local mounts, namespaces = {}, {}
  for i, pair in ipairs(shared(case)) do
    local options = { "rbind", "ro", "nosuid", "nodev" }
    mounts[i] = { type = "bind", source = pair[1], destination = pair[2], options = options }
  end
  mounts = words(mounts, { oci_mount("proc", "/proc"), oci_mount("tmpfs", "/dev", "nosuid", "strictatime", "mode=755"),
    oci_mount("devpts", "/dev/pts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
    oci_mount("tmpfs", "/dev/shm", "nosuid", "noexec", "nodev", "mode=1777"),
    oci_mount("tmpfs", "/tmp", "nosuid", "nodev", "mode=1777") })
  for i, type in ipairs { "user", "mount", "pid", "ipc", "uts", "network", "cgroup" } do
    namespaces[i] = { type = type }
  end
  local file = assert(io.open(directory .. "/config.json", "w"))
  assert(file:write(json.encode {
    ociVersion = "1.0.0", hostname = "bench", root = { path = "rootfs" }, mounts = mounts,
    process = { terminal = false, user = { uid = 0, gid = 0 }, args = command, env = { "PATH=/usr/bin:/bin" },
      cwd = "/", capabilities = { bounding = {}, effective = {}, inheritable = {}, permitted = {}, ambient = {} },
      noNewPrivileges = true },
    linux = { namespaces = namespaces, uidMappings = { { containerID = 0, hostID = here.uid, size = 1 } },
      gidMappings = { { containerID = 0, hostID = here.gid, size = 1 } } },
  }))
  assert(file:close())
  return directory
end

-- What an OCI runtime says before and behind `run`, besides where its containers are kept. None makes a cgroup where it
-- can be told so: runc, as root, makes one.
local RUNTIMES = { crun = { "--cgroup-manager=disabled" }, runc = {} }
local RUN = { "run", "--no-new-keyring" }

--- An OCI runtime, with a bundle that is shape S.
---@param name string
function M.runtime(name)
  return M.line(name, function(command, case)
    local directory = bundle(command, case)
    return words({ name, "--root=" .. directory .. "/state" }, RUNTIMES[name], RUN,
      { "--bundle=" .. directory, "bench" })
  end)
end

--- `cella-oci run` of the same bundle.
M.cella_oci = M.line(here.lua, function(command, case)
  local directory = bundle(command, case)
  return words({ here.lua, here.top .. "/bin/cella-oci", "--root=" .. directory .. "/state" }, RUN,
    { "--bundle=" .. directory, "bench" })
end)

-- crun starts nothing where /sys/fs/cgroup has cgroups of version 1: what starts the rows of a `private` group is in a
-- mount namespace of its own, where those of version 2 alone are seen. A user needs a user namespace for that, in which
-- he keeps his ID and has no capability, as before.
local MOUNTED = "umount -R /sys/fs/cgroup 2>&-; mount -t cgroup2 none /sys/fs/cgroup && exec "
local PRIVATE = here.uid == 0
  and { "unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNTED .. '"$@"', "sh" }
  or { "unshare", "--user", "--map-current-user", "--keep-caps", "--cgroup", "--mount", "sh", "-c",
    MOUNTED .. 'setpriv --inh-caps=-all --ambient-caps=-all "$@"', "sh" }

M.nsjail = M.line("nsjail", function(command, case)
  local list = { "nsjail", "-Mo", "--really_quiet", "--disable_rlimits", "--hostname=bench", "--mount=none:/proc:proc:",
    "--tmpfsmount=/tmp", "--user=0:" .. here.uid, "--group=0:" .. here.gid }
  for _, pair in ipairs(shared(case)) do list[#list + 1] = ("--bindmount_ro=%s:%s"):format(pair[1], pair[2]) end
  for _, name in ipairs { "null", "zero", "full", "random", "urandom", "tty" } do
    list[#list + 1] = "--bindmount=/dev/" .. name
  end
  return words(list, { "--" }, command)
end)

M.minijail = M.line("minijail0", function(command, case)
  local list = { "minijail0", "-U", "-m0 " .. here.uid .. " 1", "-M0 " .. here.gid .. " 1", "-v", "-p", "-l", "-e",
    "-N", "--uts=bench", "-n", "-c0", "-P", here.directory(), "-t", "-d" }
  for _, pair in ipairs(shared(case)) do list = words(list, { "-b", ("%s,%s"):format(pair[1], pair[2]) }) end
  return words(list, { "--" }, command)
end)

-- The words of the process that starts `command` in a row's way, in the mounts of the bench.
local function starter(group, row, command, once)
  local way = row.start
  if way.prepare then
    local worker = here.top .. "/bench/worker.lua"
    return words({ here.lua, worker, group.name, row.name, once and tostring(once) or "serve" }, command)
  end
  local list = { here.floor }
  if once then list = words(list, { "--once", tostring(once) }) end
  if row.heap and not once then list = words(list, { "--heap", tostring(row.heap) }) end
  if row.descriptors then list = words(list, { "--descriptors", tostring(row.descriptors) }) end
  if way.line then
    local line = way.line(command, group)
    line[1] = assert(here.find(line[1]))
    return words(list, { "--plain" }, line)
  end
  if row.filter ~= false then list = words(list, { "--filter", here.filter() }) end
  if group.host_network then list[#list + 1] = "--host-network" end
  if group.files then list = words(list, { "--files", group.files }) end
  return words(list, way.options, command)
end

--- The words of the process that starts `command` in a row's way: as often as it is told, or `once` so many times.
---@param group table
---@param row table
---@param command string[]
---@param once integer?
---@return string[]
function M.argv(group, row, command, once)
  local argv = starter(group, row, command, once)
  return group.private and words(PRIVATE, argv) or argv
end

return M
