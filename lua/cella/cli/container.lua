--- What the commands have in common that take a container: of a file, of keys in the line, or the default one.

local common = require "cella.cli.common"
local printable = require "cella.printable"

local M = {}

--- The exit status, for the help of who runs a program.
M.STATUS = [[
Exit status: that of the program; 128+n if signal n ended it; 124 if its time
was up; 125 if the container could not be set up; 126 if the program could not
be executed; 127 if there is no such program.]]

--- Gives an argparse command the arguments that say which container, and `options` for its usage.
---@param command table
---@param options string?
function M.configure(command, options)
  local name = command._name
  options = options and " " .. options or ""
  command:usage((
    "Usage: cella %s [-h] [-t | --no-terminal]%s FILE.lua [ARGS] [-- COMMAND ...]\n"
    .. "       cella %s [-h] [-t | --no-terminal]%s [-e KEYS] -- COMMAND ..."):format(name, options, name,
    options))
  command:mutex(
    command:flag("-t --terminal", "Give the program a terminal of its own, wherever this one's streams lead."),
    command:flag("--no-terminal", "Give it none: it has the streams that this one has."))
  command:option("-e --eval", "The container's keys, in Lua, as they stand in the table of a file; cella, policy, "
    .. "idmap, caps, sys, seccomp and landlock are at hand."):argname "KEYS":target "keys"
  command:option("--seccomp", "Its system calls: default, nesting, strict, none, or a Lua program that returns a "
    .. "policy (cella seccomp)."):argname "POLICY"
  command:argument("file", "A Lua program that returns a container."):args "?"
end

local function seconds(text)
  local value = tonumber(text)
  if not value or value <= 0 or value > 1e9 then common.stop("--timeout: %q is no number of seconds", text) end
  return value
end

--- The container that is meant: `{ file =, arguments =, keys =, command =, terminal =, timeout = }`. Raises for the
--- command's user where that is not to be seen.
---@param arguments table  as argparse gives them, with file_arguments and words
---@return table request
local function request_of(arguments)
  local file, keys, command = arguments.file, arguments.keys, arguments.words
  if file and keys then
    common.stop("-e says the keys, so there is no file: what is to be run stands behind `--` (%s does not)", file)
  elseif not file and #arguments.file_arguments > 0 then
    common.stop("%q is no option, and there is no file whose argument it could be", arguments.file_arguments[1])
  elseif not file and not keys and not command then
    common.stop("a file is missing; or a program, behind `--`, for the default container: cella %s -- sh",
      arguments.command)
  end
  local request = { file = file, keys = keys, arguments = arguments.file_arguments, command = command }
  request.debug, request.denied = arguments.debug, arguments.denied
  request.seccomp = arguments.seccomp
  request.timeout = arguments.timeout and seconds(arguments.timeout) or nil
  if arguments.terminal or arguments.no_terminal then request.terminal = arguments.terminal == true end
  return request
end

-- The container with the policy of the line, whatever it says of that itself.
local function put_policy(box, word)
  local container = require "cella.container"
  if not container.is(box) then common.stop "--seccomp: what the file returns is no container, and takes no policy" end
  box.description.seccomp = require("cella.cli.filter").key(word)
  box.description.said.seccomp = true
  local ok, message = common.try(require("cella.container.description").check_filter, box.description)
  if not ok then common.stop("--%s", tostring(message)) end
end

--- The container of a request; or nil and why there is none.
---@param request table
---@return cella.container?, string?
function M.load(request)
  local box, message = require("cella.cli.source").load(request)
  if not box or not request.seccomp then return box, message end
  local fine, problem = pcall(put_policy, box, request.seccomp)
  if fine then return box end
  if not problem.trouble then error(problem, 0) end
  return nil, "--seccomp: " .. problem.trouble:gsub("^%-%-seccomp: ", "")
end

--- Calls `act` with the container that the arguments mean; returns the exit status.
---@param arguments table
---@param streams table
---@param act fun(box: cella.container, request: table, streams: table): integer
---@return integer
function M.with(arguments, streams, act)
  local ok, request = pcall(request_of, arguments)
  local message = not ok and request.trouble
  local box
  if ok then box, message = M.load(request) end
  if box then return act(box, request, streams) end
  streams.err:write("cella: ", printable.text(tostring(message)), "\n")
  return common.TROUBLE
end

return M
