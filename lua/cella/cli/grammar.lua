--- What the command line takes: the parser, and which module does what it says.

local argparse = require "argparse"
local lists = require "cella.list"

local M = {}

-- In the order of the help. Each is a module that has summary, configure(command) and run(arguments, io).
local COMMANDS = { "run", "plan", "learn", "doctor", "enter", "tree", "show", "same", "idmap", "caps", "seccomp",
  "oci", "kube", "busted", "repl", "completion" }

-- A word that is wrong is for the command that it was said to, which alone can tell how it is called.
local function refuse(parser, message)
  error({ usage = parser:get_usage(), message = message }, 0)
end

--- The parser, and the modules of the commands that it knows by name: where `word` is a command, that alone is loaded.
---@param word string?
---@return table parser, table<string, table> found
function M.parser(word)
  local parser = argparse("cella", "Linux containers as Lua programs.")
  parser.error = refuse
  parser:command_target("command")
  parser:require_command(true)
  parser:help_max_width(80)
  parser:flag("--version", "Print the version.")
  parser:epilog [[
"cella COMMAND --help" tells what each takes.

  cella run -- sh
  cella run examples/first.lua
  cella plan -e 'hostname = "moon"' -- hostname

"cella-oci --help": a runtime for podman, containerd and docker.]]
  local found = {}
  for _, name in ipairs(lists.contains(COMMANDS, word) and { word } or COMMANDS) do
    found[name] = require(("cella.cli.%s"):format(name))
    local command = parser:command(name)
    found[name].configure(command)
    command:summary(found[name].summary)
  end
  return parser, found
end

return M
