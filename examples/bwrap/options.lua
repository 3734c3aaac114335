-- The command line: words in, a request out. Nothing is done here but the reading of --args.
local core = require "cella.core"
local sys = require("cella.core").sys
local unpack = table.unpack or unpack

local M = {}

local VERSION = "bubblewrap 0.11.0 (examples/bwrap.lua of cella)\n"

-- Raised, and caught in M.parse.
local function refuse(message, ...)
  error({ message = message:format(...) }, 0)
end

-- Digits only: tonumber alone would also take "0x10", "1e3" and "8.0".
local function number(text, base, highest)
  local value = text:find(base == 8 and "^[0-7]+$" or "^%d+$") and #text < 16 and tonumber(text, base)
  return value and value <= highest and value or nil
end

local function fd(text, request)
  local value = number(text, 10, 2147483647)
  if not value then refuse("Invalid fd: %s", text) end
  if value > 2 then request.descriptors[#request.descriptors + 1] = value end
  return value
end

local function id(kind)
  return function(text)
    return number(text, 10, 4294967294) or refuse("Invalid %s: %s", kind, text)
  end
end

local function octal(option, text)
  return number(text, 8, 4095) or refuse("%s takes an octal argument <= 07777", option)
end

-- Bytes as strtoull(3) reads them: also octal and hexadecimal.
local function size(text)
  local value = text:find "^%d+$" and number(text, text:sub(1, 1) == "0" and 8 or 10, 9223372036854775807)
    or text:find "^0[xX]%x+$" and #text < 18 and tonumber(text)
  if not value and text:find "^%d+$" and #text > 15 and not text:find "^0" then value = 9007199254740992 end
  if not value or value == 0 then refuse "--size takes a non-zero number of bytes" end
  if value > 9007199254740991 then refuse "--size (for tmpfs) is limited to 9007199254740991" end
  return value
end

-- bwrap takes cap_from_name(3)'s words.
local function capability(text)
  if text:upper() == "ALL" then return "ALL" end
  local name = text:lower()
  local plan = core.recorder()
  local known = name:find "^cap_" and pcall(plan.record, plan, "ambient_lower", { name })
    or number(text, 10, 63) and pcall(plan.record, plan, "ambient_lower", { tonumber(text) })
  if not known then refuse("unknown cap: %s", text) end
  return name:find "^cap_" and name:sub(5) or math.tointeger(tonumber(text))
end

--- All of a descriptor, which is closed then. `what` is for the message.
local function read_all(number_, what)
  local file, message = core.dup(number_)
  if not file then refuse("%s: %s", what, (message:gsub("^.-: ", ""))) end
  local pieces = {}
  while true do
    local data
    data, message = file:read()
    if data == nil then refuse("%s: %s", what, (message:gsub("^.-: ", ""))) end
    if data == "" then break end
    if data == false then core.poll { file:number() } else pieces[#pieces + 1] = data end
  end
  file:close()
  if number_ > 2 then sys.close(number_) end
  return table.concat(pieces)
end

local list = {} -- in the order of --help
local by_name = {}

-- An option: its name, its arguments as --help names them, what it does with them, what it says of itself.
local function option(name, arguments, act, help)
  local entry = { name = name, arguments = {}, act = act, help = help }
  for argument in arguments:gmatch "%S+" do entry.arguments[#entry.arguments + 1] = argument end
  list[#list + 1], by_name[name] = entry, entry
end

local function flag(name, key, help)
  option(name, "", function(request) request[key] = true end, help)
end

-- Of what can be said once only the last one counts.
local function once(request, name, key)
  if request[key] ~= nil then
    request.warnings[#request.warnings + 1] = ("Only the last %s option will take effect"):format(name)
  end
end

local function value(name, argument, key, convert, help)
  option(name, argument, function(request, text)
    once(request, name, key)
    request[key] = convert and convert(text, request) or text
  end, help)
end

-- A part of the file system; --perms and --size before it are used up by what takes them.
local function part(name, arguments, make, help)
  option(name, arguments, function(request, ...)
    local entry = make(request, ...)
    entry.option = name
    if entry.perms then entry.perms, request.perms = request.perms, nil end
    if entry.size then entry.size, request.size = request.size, nil end
    request.parts[#request.parts + 1] = entry
  end, help)
end

option("--help", "", function(request) request.print = M.usage() end, "Print this help")
option("--version", "", function(request) request.print = VERSION end, "Print version")
option("--args", "FD", function(request, text)
  if request.in_args then refuse "--args not supported in arguments file" end
  local words = {}
  local data = read_all(fd(text, { descriptors = {} }), "Can't read --args data")
  if data ~= "" and data:sub(-1) ~= "\0" then data = data .. "\0" end
  for word in data:gmatch "([^%z]*)%z" do words[#words + 1] = word end
  request.in_args = true
  local stop = M.words(request, words, 1)
  request.in_args = false
  if words[stop] and not request.print then refuse("--args: '%s' is not an option", words[stop]) end
end, "Parse NUL-separated args from FD")
option("--argv0", "VALUE", function(request, text)
  if request.argv0 then refuse "--argv0 used multiple times" end
  request.argv0 = text
end, "Set argv[0] to the value VALUE before running the program")
flag("--not-a-security-boundary", "no_boundary",
  "Accepted, and changes nothing: a step that fails is an error all the same")
flag("--level-prefix", "level_prefix", "Prepend e.g. <3> to diagnostic messages")
option("--unshare-all", "", function(request)
  for _, name in ipairs { "ipc", "pid", "net", "uts" } do request.unshare[name] = true end
  request.unshare_user_try, request.unshare_cgroup_try = true, true
end, "Unshare every namespace we support by default")
option("--share-net", "", function(request) request.unshare.net = nil end,
  "Retain the network namespace (can only combine with --unshare-all)")
for _, name in ipairs { "user", "ipc", "pid", "net", "uts", "cgroup" } do
  option("--unshare-" .. name, "", function(request) request.unshare[name] = true end,
    ("Create new %s namespace"):format(name == "net" and "network" or name))
end
flag("--unshare-user-try", "unshare_user_try", "Create new user namespace if possible else continue by skipping it")
flag("--unshare-cgroup-try", "unshare_cgroup_try",
  "Create new cgroup namespace if possible else continue by skipping it")
value("--userns", "FD", "userns", fd, "Use this user namespace (cannot combine with --unshare-user)")
value("--userns2", "FD", "userns2", fd, "After setup switch to this user namespace, only useful with --userns")
flag("--disable-userns", "disable_userns", "Disable further use of user namespaces inside sandbox")
flag("--assert-userns-disabled", "assert_userns_disabled",
  "Fail unless further use of user namespace inside sandbox is disabled")
value("--pidns", "FD", "pidns", fd, "Use this pid namespace (as parent namespace if using --unshare-pid)")
value("--uid", "UID", "uid", id "uid", "Custom uid in the sandbox (requires --unshare-user or --userns)")
value("--gid", "GID", "gid", id "gid", "Custom gid in the sandbox (requires --unshare-user or --userns)")
value("--hostname", "NAME", "hostname", nil, "Custom hostname in the sandbox (requires --unshare-uts)")
value("--chdir", "DIR", "chdir", nil, "Change directory to DIR")
option("--clearenv", "", function(request)
  request.environment = { PWD = request.environment.PWD }
end, "Unset all environment variables")
option("--setenv", "VAR VALUE", function(request, name, text)
  if name == "" or name:find "=" then refuse "setenv failed" end
  request.environment[name] = text
end, "Set an environment variable")
option("--unsetenv", "VAR", function(request, name)
  if name == "" or name:find "=" then refuse "unsetenv failed" end
  request.environment[name] = nil
end, "Unset an environment variable")
option("--lock-file", "DEST", function(request, path)
  request.locks[#request.locks + 1] = path
end, "Take a lock on DEST while sandbox is running")
value("--sync-fd", "FD", "sync_fd", fd, "Keep this fd open while sandbox is running")

local function bind(name, properties, help)
  part(name, "SRC DEST", function(_, source, destination)
    local entry = { kind = "bind", source = source, destination = destination }
    for key, property in pairs(properties) do entry[key] = property end
    return entry
  end, help)
  if properties.optional == nil and not properties.fd then
    local again = { optional = true }
    for key, property in pairs(properties) do again[key] = property end
    bind(name .. "-try", again, ("Equal to %s but ignores non-existent SRC"):format(name))
  end
end
bind("--bind", {}, "Bind mount the host path SRC on DEST")
bind("--dev-bind", { devices = true }, "Bind mount the host path SRC on DEST, allowing device access")
bind("--ro-bind", { readonly = true }, "Bind mount the host path SRC readonly on DEST")
for _, name in ipairs { "--bind-fd", "--ro-bind-fd" } do
  local readonly = name == "--ro-bind-fd"
  part(name, "FD DEST", function(request, text, destination)
    return { kind = "bind", fd = fd(text, request), destination = destination, readonly = readonly }
  end, "Bind open directory or path fd " .. (readonly and "read-only " or "") .. "on DEST")
end
part("--remount-ro", "DEST", function(_, destination)
  return { kind = "remount", destination = destination }
end, "Remount DEST as readonly; does not recursively remount")
option("--overlay-src", "SRC", function(request, source)
  table.insert(request.overlay, 1, source) -- the last lies on top
end, "Read files from SRC in the following overlay")
local function overlay(name, arguments, least, make, help)
  part(name, arguments, function(request, ...)
    if #request.overlay < least then
      refuse("%s requires at least %s --overlay-src", name, least == 1 and "one" or "two")
    end
    local entry = make(...)
    entry.kind, entry.lower, request.overlay = "overlay", request.overlay, {}
    return entry
  end, help)
end
overlay("--overlay", "RWSRC WORKDIR DEST", 1, function(upper, work, destination)
  return { upper = upper, work = work, destination = destination }
end, "Mount overlayfs on DEST, with RWSRC as the host path for writes and WORKDIR an empty directory on the same file "
  .. "system")
overlay("--tmp-overlay", "DEST", 1, function(destination)
  return { upper = "tmpfs", destination = destination }
end, "Mount overlayfs on DEST, with writes going to an invisible tmpfs")
overlay("--ro-overlay", "DEST", 2, function(destination)
  return { destination = destination }
end, "Mount overlayfs read-only on DEST")
for _, name in ipairs { "--exec-label", "--file-label" } do
  option(name, "LABEL", function()
    refuse("labeling not supported on this system: cella sets no SELinux labels (%s)", name)
  end, "Refused: SELinux labels are not cella's")
end
for _, kind in ipairs { "proc", "dev", "mqueue" } do
  part("--" .. kind, "DEST", function(_, destination)
    return { kind = kind, destination = destination }
  end, ("Mount new %s on DEST"):format(kind == "proc" and "procfs" or kind))
end
part("--tmpfs", "DEST", function(_, destination)
  return { kind = "tmpfs", destination = destination, perms = true, size = true }
end, "Mount new tmpfs on DEST")
part("--dir", "DEST", function(_, destination)
  return { kind = "directory", destination = destination, perms = true }
end, "Create dir at DEST")
part("--file", "FD DEST", function(request, text, destination)
  return { kind = "file", data = fd(text, request), destination = destination, perms = true }
end, "Copy from FD to destination DEST")
for _, name in ipairs { "--bind-data", "--ro-bind-data" } do
  local readonly = name == "--ro-bind-data"
  part(name, "FD DEST", function(request, text, destination)
    return { kind = "data", data = fd(text, request), destination = destination, readonly = readonly, perms = true }
  end, "Copy from FD to file which is " .. (readonly and "readonly " or "") .. "bind-mounted on DEST")
end
part("--symlink", "SRC DEST", function(_, target, destination)
  return { kind = "symlink", target = target, destination = destination }
end, "Create symlink at DEST with target SRC")
option("--seccomp", "FD", function(request, text)
  if request.filters.added then refuse "--seccomp cannot be combined with --add-seccomp-fd" end
  if request.filters.only then
    request.warnings[#request.warnings + 1] = "Only the last --seccomp option will take effect"
  end
  request.filters = { fd(text, request), only = true }
end, "Load and use seccomp rules from FD (not repeatable)")
option("--add-seccomp-fd", "FD", function(request, text)
  if request.filters.only then refuse "--add-seccomp-fd cannot be combined with --seccomp" end
  request.filters.added = true
  request.filters[#request.filters + 1] = fd(text, request)
end, "Load and use seccomp rules from FD (repeatable)")
value("--block-fd", "FD", "block_fd", fd, "Block on FD until some data to read is available")
value("--userns-block-fd", "FD", "userns_block_fd", fd, "Block on FD until the user namespace is ready")
value("--info-fd", "FD", "info_fd", fd, "Write information about the running container to FD")
value("--json-status-fd", "FD", "json_status_fd", fd, "Write container status to FD as multiple JSON documents")
flag("--new-session", "new_session", "Create a new terminal session")
flag("--die-with-parent", "die_with_parent",
  "Kills with SIGKILL child process (COMMAND) when bwrap or bwrap's parent dies.")
flag("--as-pid-1", "as_pid_1", "Do not install a reaper process with PID=1")
for _, name in ipairs { "--cap-add", "--cap-drop" } do
  option(name, "CAP", function(request, text)
    request.capabilities[#request.capabilities + 1] = { add = name == "--cap-add", name = capability(text) }
  end, ("%s cap CAP when running as privileged user"):format(name == "--cap-add" and "Add" or "Drop"))
end
option("--perms", "OCTAL", function(request, text)
  if request.perms then refuse "--perms given twice for the same action" end
  request.perms = octal("--perms", text)
end, "Set permissions of next argument (--bind-data, --file, etc.)")
option("--size", "BYTES", function(request, text)
  if request.size then refuse "--size given twice for the same action" end
  request.size = size(text)
end, "Set size of next argument (only for --tmpfs)")
part("--chmod", "OCTAL PATH", function(_, text, path)
  return { kind = "chmod", mode = octal("--chmod", text), destination = path }
end, "Change permissions of PATH (must already exist)")

--- The text of --help.
function M.usage()
  local lines = { "usage: bwrap [OPTIONS...] [--] COMMAND [ARGS...]\n" }
  for _, entry in ipairs(list) do
    local words = entry.name .. " " .. table.concat(entry.arguments, " ")
    lines[#lines + 1] = ("    %-28s %s"):format(words, entry.help)
  end
  return table.concat(lines, "\n") .. "\n"
end

local COUNT = { "an argument", "two arguments", "three arguments" }

--- Reads options from `words` from `first` on; returns where the command begins.
function M.words(request, words, first)
  local i = first
  while words[i] and words[i]:sub(1, 1) == "-" and not request.print do
    if words[i] == "--" then return i + 1 end
    local entry = by_name[words[i]]
    if not entry then error({ message = "Unknown option " .. words[i], usage = M.usage() }, 0) end
    local count = #entry.arguments
    if count > #words - i then refuse("%s takes %s", entry.name, COUNT[count]) end
    entry.act(request, unpack(words, i + 1, i + count))
    if entry.name ~= "--perms" and entry.name ~= "--size" then
      if request.perms then refuse "--perms must be followed by an option that creates a file" end
      if request.size then refuse "--size must be followed by --tmpfs" end
    end
    i = i + 1 + count
  end
  return i
end

local function environment()
  local result = {}
  for _, entry in ipairs(sys.environment()) do
    local name, text = entry:match "^([^=]+)=(.*)$"
    if name then result[name] = text end
  end
  return result
end

local function check_together(request)
  local unshare = request.unshare
  if #request.overlay > 0 then refuse "--overlay-src must be followed by another overlay option" end
  if request.userns and unshare.user then refuse "--userns not compatible --unshare-user" end
  if request.userns and request.unshare_user_try then refuse "--userns not compatible --unshare-user-try" end
  -- Who is not root needs one in any case.
  local _, uid = sys.getresuid()
  local _, gid = sys.getresgid()
  if uid ~= 0 and not request.userns then unshare.user = true end
  if request.userns_block_fd and not request.said_unshare_user then
    refuse "--userns-block-fd requires --unshare-user"
  end
  if request.userns_block_fd and not request.info_fd then refuse "--userns-block-fd requires --info-fd" end
  if request.disable_userns and not request.said_unshare_user then refuse "--disable-userns requires --unshare-user" end
  if request.disable_userns and request.userns_block_fd then
    refuse "--disable-userns is not compatible with --userns-block-fd"
  end
  local own = unshare.user or request.unshare_user_try or request.userns
  local function stays(kind, wanted, is)
    if wanted and wanted ~= is and not own then refuse("Specifying --%s requires --unshare-user or --userns", kind) end
  end
  stays("uid", request.uid, uid)
  stays("gid", request.gid, gid)
  if request.hostname and not unshare.uts then refuse "Specifying --hostname requires --unshare-uts" end
  if request.as_pid_1 and not unshare.pid then refuse "Specifying --as-pid-1 requires --unshare-pid" end
  if request.as_pid_1 and #request.locks > 0 then refuse "Specifying --as-pid-1 and --lock-file is not permitted" end
end

-- Which path is missing that is no path at all.
local NOTHING = "%s: No such file or directory"

local function check_paths(request)
  if request.command[1] == "" then refuse(NOTHING, "execvp ") end
  if request.chdir == "" then refuse(NOTHING, "Can't chdir to ") end
  for _, path in ipairs(request.locks) do
    if path == "" then refuse(NOTHING, "Unable to open lock file ") end
  end
  local parts = {}
  for _, entry in ipairs(request.parts) do
    local missing = entry.source == ""
    if missing and not entry.optional then refuse(NOTHING, "Can't find source path ") end
    if entry.target == "" then refuse(NOTHING, "Can't make symlink at " .. entry.destination) end
    if not missing then parts[#parts + 1] = entry end
  end
  request.parts = parts
end

-- What a descriptor holds is read once everything else is known to be right.
local function read_data(request)
  for _, entry in ipairs(request.parts) do
    if entry.data then entry.content = read_all(entry.data, "Can't write data to file " .. entry.destination) end
  end
  for i, number_ in ipairs(request.filters) do
    request.filters[i] = read_all(number_, "Can't read seccomp data")
    if #request.filters[i] % 8 ~= 0 then refuse "Invalid seccomp data, must be multiple of 8" end
  end
end

local function parse(arguments, warnings)
  local request = { unshare = {}, parts = {}, locks = {}, overlay = {}, filters = {}, capabilities = {},
    descriptors = {}, environment = environment(), warnings = warnings }
  if #arguments == 0 then error({ usage = M.usage() }, 0) end
  local first = M.words(request, arguments, 1)
  if request.print then return request end
  request.command = { unpack(arguments, first) }
  request.said_unshare_user = request.unshare.user
  check_together(request)
  check_paths(request)
  if #request.command == 0 then error({ usage = M.usage() }, 0) end
  read_data(request)
  return request
end

--- What a command line asks for.
---@param arguments string[]
---@return table? request
---@return { message: string?, usage: string? }? problem
---@return string[] warnings  in any case
function M.parse(arguments)
  local warnings = {}
  local ok, result = pcall(parse, arguments, warnings)
  if ok then return result, nil, warnings end
  if type(result) ~= "table" then error(result, 0) end
  return nil, result, warnings
end

return M
