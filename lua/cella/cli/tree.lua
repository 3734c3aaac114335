--- `cella tree`: the hierarchy of namespaces.

local colour = require "cella.cli.colour"
local common = require "cella.cli.common"
local tree = require "cella.tree"

local M = { summary = "Show the hierarchy of namespaces." }

local function act(arguments, streams)
  local shown, err = tree.new(arguments.pid and common.process_id(arguments.pid))
  if not shown then common.stop("%s", tostring(err)) end
  if arguments.json then
    common.print_json(streams, shown:data(), require("cella.tree.data").ORDER)
  elseif arguments.dot or arguments.svg then
    streams.out:write(arguments.dot and shown:dot() or shown:svg())
  else
    streams.out:write(shown:text { colour = colour.wanted(arguments.colour, streams) }, "\n")
  end
  return common.YES
end

--- Describes the command's arguments.
function M.configure(command)
  command:help_max_width(80)
  command:description [[
Shows all namespaces that can be seen from here: user namespaces, each below
the one that it was made in, with who made it, its IDs as they are here, and
its processes; and the other namespaces that each of them governs. They are
found by processes, by descriptors that these hold, by mounts, and by each
other. What may not be looked at is counted.]]
  command:argument("pid", "Only what has to do with this process: the namespaces above its own, its own, and those "
    .. "below."):argname "PID":args "?"
  command:mutex(
    command:flag("--json", "Print JSON (needs the Lua module dkjson)."),
    command:flag("--dot", "Print a graph for dot(1) of Graphviz."),
    command:flag("--svg", "Print a picture, for a file that a browser shows."))
  colour.option(command)
  command:epilog [[
Exit status: 0; 125 where there is no such process, or it may not be looked at.

  cella tree
  cella tree 4242
  cella tree --svg 4242 > namespaces.svg
  cella tree --dot | dot -Tpdf > namespaces.pdf]]
end

--- Runs the command.
---@param arguments table  as argparse gives them
---@param streams { out: file*, err: file*, input: file* }
---@return integer status
function M.run(arguments, streams)
  return common.guard("tree", streams, act, arguments, streams)
end

return M
