--- `cella learn`: runs a program, and prints the container that it takes.

local common = require "cella.cli.common"
local containers = require "cella.cli.container"
local core = require "cella.core"
local printable = require "cella.printable"

local M = { summary = "Run a program, and print a container's table that allows what it did." }

local ROUNDS = 20

--- Describes the command to the parser.
---@param command table  of argparse
function M.configure(command)
  containers.configure(command, "[--timeout SECONDS]")
  command:option("--timeout", "Seconds after which each run of the program is ended."):argname "SECONDS"
  command:description [[
Runs the program in the default container, or in that of FILE.lua or of KEYS,
hears what is denied it, opens that, and runs it again, until it lacks nothing
any more. Then it prints the container as a Lua program: for you to read, and
for `cella run`.]]
  command:epilog([[
What the program reads is opened as it asks for it, so no stranger's program is
to be learnt from. It writes on the host below the present directory alone;
elsewhere the container gets a file system of its own. The program is run
several times. What it prints goes to the standard error. System calls,
capabilities and networks are not opened; what was denied of them is in the
table as a comment.

]] .. containers.STATUS .. [[


  cella learn -- gcc -o hello hello.c > box.lua
  cella run box.lua
  cella learn -e 'network = "host"' -- curl http://localhost/]])
end

-- The program of the caller's PATH, where the container's has none of that name.
local function in_path(name)
  if name:find("/", 1, true) then return name end
  local usual = require("cella.command").PATH
  for directory in (usual .. ":" .. (os.getenv "PATH" or "")):gmatch "[^:]+" do
    local status = core.file_status(directory .. "/" .. name)
    if status and status.type == "file" then
      return (":" .. usual .. ":"):find(":" .. directory .. ":", 1, true) and name or directory .. "/" .. name
    end
  end
  return name
end

local function learn(box, request, streams)
  local given = box.description.command
  local words = request.command
  if not words and not given then common.stop "a program is missing, behind `--`" end
  local command = {}
  for key, value in pairs(not words and given or {}) do command[key] = value end
  for i, word in ipairs(words or {}) do command[i] = word end
  if type(command[1]) ~= "string" then common.stop "the program of the container is a function" end
  if words then command[1] = in_path(command[1]) end
  command.stdout, command.stderr, command.stdin, command.timeout = 2, 2, "null", request.timeout
  command.terminal = nil
  local of = request.file or request.keys and ("-e '%s'"):format(request.keys)
    or request.seccomp and "--seccomp " .. request.seccomp or nil
  local learnt = require("cella.learn").run {
    make = function() return containers.load(request) end,
    command = command, rounds = ROUNDS,
    cwd = common.present_directory(),
    tell = function(text) streams.err:write("cella learn: ", printable.line(text), "\n") end,
  }
  local argv = {}
  for i, word in ipairs(command) do argv[i] = tostring(word) end
  local text = require("cella.learn.text").of(learnt, argv, of)
  local start = require "cella.cli.start"
  if not start.show(streams, text) then return common.TROUBLE end
  if learnt.result then return start.status_of_result({}, learnt.result) end
  streams.err:write("cella learn: ", printable.text(tostring(learnt.err)), "\n")
  return start.status_of_error(learnt.err)
end

--- Runs the command.
---@param arguments table
---@param streams table
---@return integer status
function M.run(arguments, streams)
  return common.guard("learn", streams, function()
    return containers.with(arguments, streams, learn)
  end)
end

return M
