--- The command line of `cella-oci`: that of runc(8), as container engines write it.

local cella = require "cella" -- first: what follows it comes from bytecode where that is installed
local ascii = require "cella.ascii"
local core = require "cella.core"
local Error = require "cella.error"
local json = require "cella.oci.json"
local printable = require "cella.printable"
local runtime = require "cella.oci.runtime"
local states = require "cella.oci.state"
local validate = require "cella.validate"

local M = {}

local FAILED = 1 -- as runc's

-- What an option takes: "flag", "text", "number" (several of "texts"). The first is its long name.
local GLOBAL = { root = "text", log = "text", ["log-format"] = "text", debug = "flag", ["systemd-cgroup"] = "flag",
  ["cgroup-manager"] = "text", rootless = "text", help = "flag", version = "flag" }
local CREATE = { bundle = "text", ["console-socket"] = "text", ["pid-file"] = "text", ["no-pivot"] = "flag",
  ["no-new-keyring"] = "flag", ["preserve-fds"] = "number" }
local RUN = { detach = "flag", keep = "flag" }
for name, kind in pairs(CREATE) do RUN[name] = kind end

local OPTIONS = {
  create = CREATE, run = RUN, start = {}, state = {},
  kill = { all = "flag" }, delete = { force = "flag" }, pause = {}, resume = {}, features = {},
  list = { format = "text", quiet = "flag" }, ps = { format = "text" }, spec = { bundle = "text", rootless = "flag" },
  exec = { process = "text", ["pid-file"] = "text", ["console-socket"] = "text", detach = "flag", tty = "flag",
    cwd = "text", env = "texts", user = "text", ["additional-gids"] = "texts", cap = "texts",
    ["no-new-privs"] = "flag", ["preserve-fds"] = "number", ["ignore-paused"] = "flag" },
}
local SHORT = { h = "help", v = "version", b = "bundle", d = "detach", a = "all", f = "force", q = "quiet",
  p = "process", t = "tty", e = "env", u = "user", c = "cap", g = "additional-gids" }
local SHORT_OF = { list = { f = "format" }, ps = { f = "format" }, run = { d = "detach" } }
local NAMES = { "create", "delete", "exec", "features", "kill", "list", "pause", "ps", "resume", "run", "spec", "start",
  "state" }

--- What --help prints.
M.HELP = [[
Usage: cella-oci [--root DIR] [--log FILE] [--log-format text|json] COMMAND ...

A runtime for OCI containers: what podman, containerd and docker start containers with.

  create [--bundle DIR] [--pid-file FILE] [--console-socket PATH] ID
                           make a container of a bundle, up to its program
  start ID                 start its program
  run [--detach] ... ID    both, and wait for its end; takes what create takes
  exec [--process FILE | --cwd DIR, --env NAME=VALUE, --user UID[:GID], --tty] ID COMMAND ...
                           another program in it
  kill [--all] ID [SIGNAL] TERM, if no signal is given
  delete [--force] ID      what there is of a container that has stopped
  state ID, list, ps ID    what there is
  pause ID, resume ID      all of its processes, where it has a cgroup
  spec [--bundle DIR]      write a config.json to begin with
  features                 what is supported, as JSON

  --root DIR     where containers are kept: /run/cella-oci, or $XDG_RUNTIME_DIR/cella-oci
  --log FILE     where errors are written to, beside the standard error

Example: cella-oci run --bundle /tmp/bundle first

doc/oci-runtime.md tells which fields of a config.json there are, and how an engine is told to use it.
]]

local function usage(message, ...)
  error(Error.new { op = "usage", message = message:format(...) }, 0)
end

local function known(options, name, command)
  if options[name] then return options[name] end
  local names = {}
  for other in pairs(options) do names[#names + 1] = other end
  local near = validate.nearest(name, names)
  usage("%s has no option --%s%s", command or "cella-oci", name:sub(1, 80),
    near and "; did you mean --" .. near .. "?" or "")
end

local function put(found, name, kind, value)
  if kind == "number" then
    if not value:find "^%d+$" or #value > 4 then usage("--%s: a number expected, got %q", name, value:sub(1, 80)) end
    found[name] = tonumber(value)
  elseif kind == "texts" then
    found[name] = found[name] or {}
    table.insert(found[name], value)
  else
    found[name] = value
  end
end

-- Takes options off the front of the words. Returns them and the number of the first word that is none.
local function take_options(words, at, options, command)
  local found = {}
  while words[at] and words[at]:sub(1, 1) == "-" and words[at] ~= "-" do
    local word = words[at]
    at = at + 1
    if word == "--" then break end
    local name, value = word:match "^%-%-?([^=]+)=(.*)$"
    name = name or word:match "^%-%-?(.+)$"
    if #name == 1 then name = (SHORT_OF[command] or {})[name] or SHORT[name] or usage("no option -%s", name) end
    local kind = name == "help" and "flag" or known(options, name, command)
    if kind == "flag" then
      if value ~= nil and value ~= "true" and value ~= "false" then usage("--%s takes no value", name) end
      found[name] = value ~= "false"
    else
      if value == nil then
        value = words[at] or usage("--%s: the value is missing", name)
        at = at + 1
      end
      put(found, name, kind, value)
    end
  end
  return found, at
end

local function one_id(words, at, command)
  local id = words[at]
  if not id then usage("%s: the ID of a container is missing", command) end
  if words[at + 1] then usage("%s: one ID expected, got %q too", command, words[at + 1]:sub(1, 80)) end
  return id
end

-- Output, which has to arrive.
local function say(text)
  local ok, message = io.stdout:write(text)
  if ok then ok, message = io.stdout:flush() end
  if not ok then error(Error.new { op = "write", message = "standard output: " .. tostring(message) }, 0) end
end

local function must(ok, err)
  if ok then return ok end
  error(err, 0)
end

local commands = {}

-- The default is the working directory; an empty path is a variable that was not set.
local function bundle_of(found)
  if found.bundle == "" then usage("--bundle: the path is empty") end
  return found.bundle or "."
end

local function create_options(found, common, id)
  return { root = common.root, id = id, bundle = bundle_of(found), pid_file = found["pid-file"],
    console_socket = found["console-socket"], preserve_fds = found["preserve-fds"],
    keyring = not found["no-new-keyring"], cgroups = common["cgroup-manager"] ~= "disabled",
    warn = function(message) M.report(common, message, "warning") end }
end

-- A bundle is found again by later commands, which may be elsewhere.
local function absolute(path)
  if path:sub(1, 1) == "/" then return path end
  local here = core.readlink "/proc/self/cwd"
  if not here then usage("--bundle: the working directory is not to be found") end
  return path == "." and here or here .. "/" .. path
end

local function refuse_no_pivot(found)
  if found["no-pivot"] then
    usage("--no-pivot is not supported: behind chroot(2) a way out would stay open; the root has to be on a file "
      .. "system that pivot_root(2) takes")
  end
end

function commands.create(found, words, at, common)
  refuse_no_pivot(found)
  local options = create_options(found, common, one_id(words, at, "create"))
  options.bundle = absolute(options.bundle)
  must(runtime.create(options))
  return 0
end

function commands.run(found, words, at, common)
  refuse_no_pivot(found)
  local options = create_options(found, common, one_id(words, at, "run"))
  options.bundle = absolute(options.bundle)
  return must(runtime.run(options, found.detach, found.keep))
end

function commands.start(_, words, at, common)
  must(runtime.start { root = common.root, id = one_id(words, at, "start") })
  return 0
end

function commands.state(_, words, at, common)
  local state = must(runtime.state { root = common.root, id = one_id(words, at, "state") })
  say(json.encode(state, true) .. "\n")
  return 0
end

-- TERM, SIGTERM, 15
local function signal_of(text)
  if text:find "^%d+$" then
    local number = tonumber(text)
    if number > 64 then usage("kill: no signal %s", text:sub(1, 80)) end
    return number
  end
  local name = ascii.lower((text:gsub("^[Ss][Ii][Gg]", "")))
  for number = 1, 64 do
    if core.signal_name(number) == name then return number end
  end
  local base, plus = name:match "^(rtm[a-z]+)([+-]?%d*)$"
  local from = base == "rtmin" and 34 or base == "rtmax" and 64
  if from and from + (tonumber(plus) or 0) >= 34 and from + (tonumber(plus) or 0) <= 64 then
    return from + (tonumber(plus) or 0)
  end
  usage("kill: no signal %q", text:sub(1, 80))
end

function commands.kill(found, words, at, common)
  local id = words[at] or usage("kill: the ID of a container is missing")
  if words[at + 2] then usage("kill: an ID and a signal expected, got %q too", words[at + 2]:sub(1, 80)) end
  must(runtime.kill { root = common.root, id = id, signal = signal_of(words[at + 1] or "TERM"), all = found.all })
  return 0
end

function commands.delete(found, words, at, common)
  local ok, err = runtime.delete { root = common.root, id = one_id(words, at, "delete"), force = found.force }
  must(ok, err)
  -- A hook that has failed is said, and nothing more (runtime.md).
  if err then M.report(common, err, "warning") end
  return 0
end

function commands.pause(_, words, at, common)
  must(runtime.freeze({ root = common.root, id = one_id(words, at, "pause") }, true))
  return 0
end

function commands.resume(_, words, at, common)
  must(runtime.freeze({ root = common.root, id = one_id(words, at, "resume") }, false))
  return 0
end

local function format_of(found)
  local format = found.format or "table"
  if format ~= "table" and format ~= "json" then
    usage("--format: table or json expected, got %q", format:sub(1, 80))
  end
  return format
end

function commands.list(found, words, at, common)
  if words[at] then usage("list: nothing expected, got %q", words[at]:sub(1, 80)) end
  local format = format_of(found)
  local list, broken = runtime.list(common.root)
  must(list, broken)
  if found.quiet then
    for _, state in ipairs(list) do say(state.id .. "\n") end
  elseif format == "json" then
    say(json.encode(json.array(list)) .. "\n")
  else
    say(("%-24s %-10s %-10s %-44s %s\n"):format("ID", "PID", "STATUS", "BUNDLE", "CREATED"))
    for _, state in ipairs(list) do
      say(printable.line(("%-24s %-10d %-10s %-44s %s"):format(state.id, state.pid, state.status, state.bundle,
        state.created or "")) .. "\n")
    end
  end
  for _, err in ipairs(broken) do M.report(common, err, "error") end
  return #broken > 0 and FAILED or 0
end

function commands.ps(found, words, at, common)
  local id = words[at] or usage("ps: the ID of a container is missing")
  local format = format_of(found)
  local list = must(runtime.processes { root = common.root, id = id })
  if format == "json" then
    local pids = {}
    for i, one in ipairs(list) do pids[i] = one.pid end
    say(json.encode(json.array(pids)) .. "\n")
    return 0
  end
  say(("%-10s %-10s %-8s %s\n"):format("PID", "PPID", "UID", "CMD"))
  for _, one in ipairs(list) do
    say(printable.line(("%-10d %-10s %-8s %s"):format(one.pid, one.parent, one.uid, one.command)) .. "\n")
  end
  return 0
end

function commands.exec(found, words, at, common)
  local id = words[at] or usage("exec: the ID of a container is missing")
  local args = {}
  for i = at + 1, #words do args[#args + 1] = words[i] end
  if found.process and #args > 0 then usage "exec: --process and a command exclude each other" end
  if not found.process and #args == 0 then usage "exec: a command, or --process FILE, is missing" end
  return must(runtime.exec { root = common.root, id = id, process = found.process, args = args,
    pid_file = found["pid-file"], console_socket = found["console-socket"], detach = found.detach,
    terminal = found.tty, cwd = found.cwd, env = found.env, user = found.user, groups = found["additional-gids"],
    capabilities = found.cap, no_new_privs = found["no-new-privs"], preserve_fds = found["preserve-fds"],
    ignores_paused = found["ignore-paused"] })
end

function commands.features(_, words, at)
  if words[at] then usage("features: nothing expected, got %q", words[at]:sub(1, 80)) end
  say(json.encode(require("cella.oci.features").describe(), true) .. "\n")
  return 0
end

function commands.spec(found, words, at)
  if words[at] then usage("spec: nothing expected, got %q", words[at]:sub(1, 80)) end
  local path = bundle_of(found) .. "/config.json"
  local text = json.encode(require("cella.oci.features").config(found.rootless), true)
  local ok, message = core.sys.write_file(path, text .. "\n", { "wronly", "creat", "excl" }, 420)
  if not ok then usage("spec: %s", message) end
  return 0
end

local function quoted(text)
  return '"' .. printable.line(text):gsub('[\\"]', "\\%0") .. '"'
end

--- Says what has happened: on the standard error, and in the log of an engine.
---@param common table
---@param err any
---@param level "error"|"warning"
function M.report(common, err, level)
  local text = tostring(err)
  local log = common.log
  local where = log and io.open(log, "a")
  if where then
    local time = os.date "!%Y-%m-%dT%H:%M:%SZ"
    if common["log-format"] == "json" then
      local message = json.is_utf8(text) and text or printable.text(text)
      where:write(json.encode { level = level, msg = message, time = time }, "\n")
    else
      where:write(("time=%s level=%s msg=%s\n"):format(quoted(time), level, quoted(text)))
    end
    where:close()
  end
  io.stderr:write("cella-oci: ", printable.text(text), "\n")
end

local function perform(words, common)
  local found, at = take_options(words, 1, GLOBAL)
  for name, value in pairs(found) do common[name] = value end
  if found.version then
    local jit = rawget(_G, "jit")
    say(("cella-oci version %s\nspec: 1.0.2\n%s\n"):format(cella._VERSION:match "^cella (.*)$", jit and jit.version
      or _VERSION))
    return 0
  end
  local name = words[at]
  if found.help or name == "help" then
    say(M.HELP)
    return 0
  end
  if not name then usage "a command is missing; cella-oci --help tells which there are" end
  if not commands[name] then
    local near = validate.nearest(name, NAMES)
    usage("no command %q%s", name:sub(1, 80), near and "; did you mean " .. near .. "?" or "")
  end
  if common["systemd-cgroup"] or common["cgroup-manager"] == "systemd" then
    usage "--systemd-cgroup is not supported: the engine has to use the manager cgroupfs"
  end
  local format = common["log-format"] or "text"
  if format ~= "text" and format ~= "json" then
    usage("--log-format: text or json expected, got %q", format:sub(1, 80))
  end
  if common.root == "" then usage "--root: the path is empty" end
  if common.log then
    local log, message = io.open(common.log, "a")
    if not log then usage("--log: %s", tostring(message)) end
    log:close()
  end
  local options
  options, at = take_options(words, at + 1, OPTIONS[name], name)
  if options.help then
    say(M.HELP)
    return 0
  end
  if not common.root and name ~= "features" and name ~= "spec" then common.root = must(states.default_root()) end
  return commands[name](options, words, at, common)
end

--- Performs a command line. Returns the exit status.
---@param words string[]
---@return integer
function M.main(words)
  local common = {}
  local ok, status = pcall(perform, words, common)
  if ok then return status end
  M.report(common, status, "error")
  return Error.is(status) and status.status or FAILED
end

return M
