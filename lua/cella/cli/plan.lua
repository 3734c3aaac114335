--- `cella plan`: the steps of a start, shown, and none taken.

local containers = require "cella.cli.container"

local M = { summary = "Print the kernel steps that `run` would take." }

--- Describes the command to the parser.
---@param command table  of argparse
function M.configure(command)
  containers.configure(command)
  command:description [[
Prints every kernel step that starting the container would take, in order, with
the side (parent or child) that takes it. Nothing is started.]]
  command:epilog([[
ARGS and what stands behind `--` are as for `cella run`.

]] .. containers.STATUS .. [[


  cella plan web.lua 8080
  cella plan -e 'user = { uid = 33 }' -- id]])
end

--- Runs the command.
---@param arguments table
---@param streams table
---@return integer status
function M.run(arguments, streams)
  return containers.with(arguments, streams, require("cella.cli.start").print)
end

return M
