--- `cella same`: whether two processes share their namespaces.

local common = require "cella.cli.common"
local kinds = require "cella.kinds"
local lists = require "cella.list"
local same = require "cella.same"

local M = { summary = "Say whether two processes are in the same namespaces." }

local function types_of(text)
  local types = {}
  for word in text:gmatch "[^%s,]+" do
    if not lists.contains(kinds.list, word) then
      common.stop("%q is no type of namespaces: there are %s", word, table.concat(kinds.list, ", "))
    end
    types[#types + 1] = word
  end
  if #types == 0 then common.stop "--namespaces: none is named" end
  return types
end

local function act(arguments, streams)
  local types = arguments.namespaces and types_of(arguments.namespaces)
  local one, other = common.process_id(arguments.one), common.process_id(arguments.other)
  local result, err = same.of(one, other, types)
  if not result then common.stop("%s", tostring(err)) end
  if arguments.json then
    common.print_json(streams, result, { "all", "user", "mount", "pid", "ipc", "uts", "net", "cgroup", "time", "same",
      "first", "second" })
  elseif not arguments.quiet then
    streams.out:write(tostring(result), "\n")
  end
  return result.all and common.YES or common.NO
end

--- Describes the command's arguments.
function M.configure(command)
  command:help_max_width(80)
  command:description [[
Says of each type of namespaces whether two processes are in the same one, as
two readlink(1) of /proc/PID/ns would.]]
  command:argument("one", "A process."):argname "PID"
  command:argument("other", "Another."):argname "PID"
  command:option("-n --namespaces", "Only these: user, mount, pid, ipc, uts, net, cgroup, time."):argname "LIST"
  command:mutex(
    command:flag("-q --quiet", "Print nothing: the exit status says it."),
    command:flag("--json", "Print JSON (needs the Lua module dkjson)."))
  command:epilog [[
Exit status: 0 if all are the same, 1 if one differs; 125 where there is no such
process, or it may not be looked at.

  cella same $$ 4242
  cella same -q -n user,net $$ 4242 && echo no container]]
end

--- Runs the command.
---@param arguments table  as argparse gives them
---@param streams { out: file*, err: file*, input: file* }
---@return integer status
function M.run(arguments, streams)
  return common.guard("same", streams, act, arguments, streams)
end

return M
