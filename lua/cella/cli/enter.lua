--- `cella enter`: a program where a process is.

local common = require "cella.cli.common"
local enter = require "cella.enter"

local M = { summary = "Start a program in the namespaces of a process." }

local function words_of(text)
  local list = {}
  for word in text:gmatch("[^%s,]+") do list[#list + 1] = word end
  return list
end

-- UID[:GID[:GROUP,GROUP]], or host and the same behind it
local function user_of(text)
  local is_host, of_host = text == "host", text:match "^host:(.*)$"
  if is_host then return "host" end
  if of_host then text = of_host end
  local uid, rest = text:match("^(%d+)(.*)$")
  local gid, groups = (rest or ""):match("^:(%d+)(.*)$")
  if not uid or rest ~= "" and not gid or gid and groups ~= "" and not groups:find("^:[%d,]*$") then
    common.stop("%q is not [host:]UID[:GID[:GROUP,...]]", text)
  end
  local user = { uid = common.id(uid), gid = gid and common.id(gid) or nil, namespace = of_host and "host" or nil }
  if gid and groups ~= "" then
    user.groups = {}
    for number in groups:gmatch("%d+") do user.groups[#user.groups + 1] = common.id(number) end
  end
  return user
end

local function variables_of(list)
  local environment = {}
  for _, text in ipairs(list) do
    local name, value = text:match("^([^=]+)=(.*)$")
    if not name then common.stop("%q is not NAME=VALUE", text) end
    environment[name] = value
  end
  return environment
end

local function options_of(arguments)
  local options = { pid = common.process_id(arguments.pid), cwd = arguments.cwd }
  if arguments.namespaces then options.namespaces = words_of(arguments.namespaces) end
  if arguments.user then options.user = user_of(arguments.user) end
  if arguments.capabilities then options.capabilities = arguments.capabilities end
  if arguments.no_new_privs then options.no_new_privs = true end
  options.keyrings = arguments.keyrings
  if arguments.seccomp then options.seccomp = require("cella.cli.filter").key(arguments.seccomp) end
  if arguments.exceed then options.exceed = words_of(arguments.exceed) end
  if #arguments.environment > 0 then options.environment = variables_of(arguments.environment) end
  return options
end

local function act(arguments, streams)
  local ok, entrance, err = common.try(enter.new, options_of(arguments))
  if not ok then
    if type(entrance) == "table" then error(entrance, 0) end
    common.stop("%s", tostring(entrance))
  elseif not entrance then
    common.stop("%s", tostring(err))
  end
  local start = require "cella.cli.start"
  local request = { command = arguments.words or { "/bin/sh" } }
  return (arguments.plan and start.print or start.run)(entrance, request, streams)
end

--- Describes the command's arguments.
function M.configure(command)
  command:description [[
Starts a program in the namespaces of a process, confined as that process is: the
same IDs and groups, capabilities, no_new_privs, limits, cgroups, root and
working directory.]]
  command:usage "Usage: cella enter [OPTIONS] PID [-- COMMAND [ARGUMENT ...]]"
  command:argument("pid", "The process."):argname "PID"
  command:option("-n --namespaces", "Only these: user, mount, pid, ipc, uts, net, cgroup, time."):argname "LIST"
  command:option("-u --user", "Be this one there, UID[:GID[:GROUP,...]]. Where its user namespace is not entered: "
    .. "host (who you are) or host:UID[:...], of your own user namespace."):argname "USER"
  command:option("-c --capabilities", 'What stays, "chown,kill" or "none".'):argname "LIST"
  command:flag("--no-new-privs", "Nothing is to be gained by exec.")
  command:option("--keyrings", 'Keys: "none", "own" or "host", as of a container.'):argname "WORD"
  command:option("--seccomp", "System calls: a policy, as of `cella run`. The process's own is not to be known."
    ):argname "POLICY"
  command:option("--exceed", "In what it may have more than the process: capabilities, no_new_privs, seccomp, cgroup, "
    .. "interpreter."):argname "LIST"
  command:option("-d --cwd", "Working directory, there."):argname "DIRECTORY"
  command:option("-e --environment", "A variable, NAME=VALUE; may be repeated."):argname "VARIABLE":count "*":init {}
  command:flag("-p --plan", "Print the kernel steps, and start nothing.")
  command:epilog [[
Without a command it is /bin/sh. Exit status: that of the program; 128+n if
signal n ended it; 125 if it could not be set up; 126 if the program could not
be executed; 127 if there is no such program.

  cella enter 4242 -- ps ax
  cella enter --user 0 --namespaces user,net 4242 -- ip address]]
end

--- Runs the command.
---@param arguments table  as argparse gives them, and `words`: the program and its arguments
---@param streams { out: file*, err: file*, input: file* }
---@return integer status
function M.run(arguments, streams)
  return common.guard("enter", streams, act, arguments, streams)
end

return M
