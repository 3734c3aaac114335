--- `cella plan`: the steps of a start, shown, and none taken.

local colour = require "cella.cli.colour"
local common = require "cella.cli.common"
local containers = require "cella.cli.container"
local paint = require "cella.paint"
local printable = require "cella.printable"

local M = { summary = "Print the kernel steps that `run` would take." }

--- Describes the command to the parser.
---@param command table  of argparse
function M.configure(command)
  containers.configure(command, "[OPTIONS]")
  command:mutex(
    command:flag("--html", "Print a page of HTML, with the reason of each step and where the manual pages tell of it."),
    command:option("--diff", "Print what the container of this file would do otherwise: its steps with -, those of the "
      .. "other with +."):argname "FILE")
  colour.option(command)
  command:description [[
Prints every kernel step that starting the container would take, in order, with
the side (parent or child) that takes it, by stages. Nothing is started.]]
  command:epilog([[
ARGS and what stands behind `--` are as for `cella run`.

Exit status: 0; with --diff 1 where the two differ; 125 where there can be no
such plan.

  cella plan web.lua 8080
  cella plan -e 'user = { uid = 33 }' -- id
  cella plan --html web.lua > web.html
  cella plan --diff old.lua new.lua]])
end

-- Two containers that say nothing about their IDs have others each: what differs by that is not what they say.
local function with_same_ids(box, plan, other, request)
  local default = plan.policy and plan.policy.name == "default"
  if not default or type(other.description) ~= "table" then return end
  local start = require "cella.cli.start"
  local its = start.plan(other, request)
  if its and its.policy and its.policy.name == "default" then
    other.description.ids, other.description.compiled = box.description.ids, nil
  end
end

local function fail(streams, message)
  streams.err:write("cella: ", printable.text(message), "\n")
  return common.TROUBLE
end

local function compare(box, request, streams, path, heading)
  local start, steps = require "cella.cli.start", require "cella.cli.steps"
  local old, message = require("cella.cli.source").load { file = path, arguments = request.arguments }
  if not old then return fail(streams, message) end
  local plans = {}
  for i, one in ipairs { old, box } do
    plans[i], message = start.plan(one, request)
    if not plans[i] then return fail(streams, message) end
    if i == 1 then with_same_ids(old, plans[1], box, request) end
  end
  local text = steps.difference(plans[1], plans[2], heading)
  if text and not start.show(streams, text) then return common.TROUBLE end
  return text and common.NO or common.YES
end

--- Runs the command.
---@param arguments table
---@param streams table
---@return integer status
function M.run(arguments, streams)
  local heading = paint.of(colour.wanted(arguments.colour, streams)).user
  return containers.with(arguments, streams, function(box, request)
    if arguments.diff then return compare(box, request, streams, arguments.diff, heading) end
    return require("cella.cli.start").print(box, request, streams, function(plan)
      if arguments.html then return require("cella.cli.page").of(plan, tostring(plan.program)) end
      return require("cella.cli.steps").text(plan, heading)
    end)
  end)
end

return M
