--- `cella show`: a page about one process.

local colour = require "cella.cli.colour"
local common = require "cella.cli.common"
local show = require "cella.show"

local M = { summary = "Show what a process is, and what it may do over what." }

local function act(arguments, streams)
  local page, err = show.new(common.process_id(arguments.pid))
  if not page then common.stop("%s", tostring(err)) end
  if arguments.json then
    common.print_json(streams, page:data(), require("cella.show.data").ORDER)
  else
    streams.out:write(page:text { colour = colour.wanted(arguments.colour, streams) }, "\n")
  end
  return common.YES
end

--- Describes the command's arguments.
function M.configure(command)
  command:help_max_width(80)
  command:description [[
Shows one process: its IDs in every user namespace between it and you, its
capabilities and over which user namespaces it holds them, what confines it,
its namespaces beside yours and who governs them, its files, cgroups and
limits.]]
  command:argument("pid", "The process."):argname "PID"
  common.json_option(command)
  colour.option(command)
  command:epilog [[
Exit status: 0; 125 where there is no such process, or it may not be looked at.

  cella show 4242]]
end

--- Runs the command.
---@param arguments table  as argparse gives them
---@param streams { out: file*, err: file*, input: file* }
---@return integer status
function M.run(arguments, streams)
  return common.guard("show", streams, act, arguments, streams)
end

return M
