--- `cella run`: starts a container, and waits for its program.

local containers = require "cella.cli.container"

local M = { summary = "Start a container: of a file, of keys in the line, or the default one." }

--- Describes the command to the parser.
---@param command table  of argparse
function M.configure(command)
  containers.configure(command, "[OPTIONS]")
  command:option("--timeout", "Seconds after which the program is ended, whatever its command says."):argname "SECONDS"
  command:flag("--debug", "Tell each step on the standard error once it is done, with its time.")
  command:flag("--denied", "Tell on the standard error what the program is denied, and which key opens it.")
  command:description [[
Runs FILE.lua, starts the container that it returns, and waits for its program
to end. Without a file it is the default container, or the one whose keys are
given with -e.]]
  command:epilog([[
ARGS reach the file as `...`. What stands behind `--` replaces the program that
the container names (its key `command`).

]] .. containers.STATUS .. [[


  cella run web.lua 8080
  cella run -- sh
  cella run --timeout 10 -- make test
  cella run --debug -- true
  cella run --denied -- cat ~/.profile
  cella run --seccomp strict -- lua5.4 -e 'print(2^10)'
  cella run -e 'hostname = "moon", ids = policy.root()' -- sh]])
end

--- Runs the command.
---@param arguments table
---@param streams table
---@return integer status
function M.run(arguments, streams)
  return containers.with(arguments, streams, require("cella.cli.start").run)
end

return M
