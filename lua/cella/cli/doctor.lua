--- `cella doctor`: what this host allows, what not, why, and the remedy.

local common = require "cella.cli.common"
local doctor = require "cella.doctor"

local M = { summary = "Say what this host allows, what not, why, and the remedy." }

local ORDER = { "works", "asked", "uid", "user", "kernel", "features", "name", "group", "about", "because", "says",
  "error", "code", "why", "remedy", "held", "of", "by", "without" }

local function act(arguments, streams)
  local ok, result = common.try(doctor.ask, arguments.features)
  if not ok then
    if type(result) ~= "string" then error(result, 0) end
    common.stop("%s", result)
  end
  if arguments.json then
    common.print_json(streams, result, ORDER)
  else
    streams.out:write(tostring(result), "\n")
  end
  return result.works and common.YES or common.NO
end

--- Describes the command's arguments.
function M.configure(command)
  command:description [[
Tries what containers take of this host, as who you are: each feature by a
process that does it in namespaces of its own and ends. What is refused is told
with the cause, where that can be seen, and with what to do about it.]]
  command:argument("features", "Only these (default: all)."):args "*":argname "FEATURE"
  common.json_option(command)
  command:epilog(([[
Features:
%s

Exit status: 0 if the default container works, or all FEATUREs that are named
do; 1 if not; 125 if it cannot be asked.

  cella doctor
  cella doctor overlay cgroup.memory && make -C images]]):format(M.list_of(doctor.names())))
end

--- Names in lines of a terminal's width.
function M.list_of(names)
  local lines, line = {}, " "
  for _, name in ipairs(names) do
    if #line + #name + 1 > 78 then
      lines[#lines + 1] = line
      line = " "
    end
    line = line .. " " .. name
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

--- Runs the command.
---@param arguments table  as argparse gives them
---@param streams { out: file*, err: file*, input: file* }
---@return integer status
function M.run(arguments, streams)
  return common.guard("doctor", streams, act, arguments, streams)
end

return M
