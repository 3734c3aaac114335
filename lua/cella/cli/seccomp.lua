--- `cella seccomp`: policies of system calls on the command line: shown, explained, checked.

local calls = require "cella.seccomp.calls"
local common = require "cella.cli.common"
local filters = require "cella.cli.filter"
local grammar = require "cella.seccomp.grammar"
local named = require "cella.seccomp.named"
local printable = require "cella.printable"
local seccomp = require "cella.seccomp"
local validate = require "cella.validate"

local M = { summary = "Show, explain and check policies of system calls." }

--- Describes the command to the parser.
---@param command table  of argparse
function M.configure(command)
  command:description [[
A policy says what each system call of a program is answered. POLICY is one of
those that have names (default, nesting, strict), or a Lua program that returns
one, as `cella seccomp show` prints them.]]
  command:epilog [[
Exit status: 0; 1 where the answer is no (the policy is wrong, or no program
could be started under it); 125 where the question could not be answered.

  cella seccomp show default > mine.lua
  cella seccomp explain socket
  cella seccomp check mine.lua && cella run --seccomp mine.lua -- sh]]
  local subcommand = common.with_subcommands(command, "seccomp_command")

  local show = subcommand("show", "Print a policy as Lua, or which have names.", [[
Prints the Lua program that returns the policy. Without one: those that have
names.]])
  show:argument("policy", "A name, or a file."):argname "POLICY":args "?"
  show:flag("--oci", "As JSON, as runtimes and the nodes of a cluster read it (needs the Lua module dkjson). It is the "
    .. "policy alone: what a container's keys refuse beside it is told on the standard error.")
  show:epilog [[
  cella seccomp show strict
  cella seccomp show --oci default > profile.json]]

  local explain = subcommand("explain", "Say what a system call is answered, and why.", [[
Tells of a system call its numbers, what the kernel reads of its arguments, and
what policies answer to it, in words.]])
  explain:argument("name", "The system call."):argname "NAME"
  explain:argument("policy", "Under this policy; without it, under those that have names."):argname "POLICY":args "?"
  explain:epilog [[
  cella seccomp explain unshare
  cella seccomp explain socket mine.lua]]

  local check = subcommand("check", "Say whether a policy is right, and what it means on a machine.", [[
Reads the policy, compiles it, and tells whether a program could be started
under it, and which of the calls that it names the machine does not have.]])
  check:argument("policy", "A file, or a name."):argname "POLICY"
  check:option("-m --machine", "The machine, if it is not to be this one."):choices(calls.MACHINES)
  check:epilog [[
  cella seccomp check mine.lua
  cella seccomp check --machine aarch64 mine.lua]]
end

local actions = {}

local KEYS = { keyrings = '`keyrings = "none"` (add_key, request_key, keyctl)',
  user_namespaces = "`user_namespaces = false` (clone, clone3 and unshare for a user namespace)" }

local function policy_of(word)
  return filters.take(word) or common.stop "none is the word for no policy at all: every call is allowed"
end

-- A node has nothing but the policy. A container of cella's that says no more refuses by its keys, too.
local function tell_of_keys(policy, streams)
  local box = require("cella.container").new({}).description
  for _, key in ipairs(require("cella.oci.export.config").not_held(box, policy)) do
    streams.err:write(("cella seccomp: not in it: the calls that %s refuses in a container that is not told otherwise, "
      .. "beside its policy\n"):format(KEYS[key]))
  end
end

local function show_oci(policy, streams)
  local made, problem = require("cella.oci.export.seccomp").of(policy)
  local text, message
  if made then text, message = require("cella.oci.json").encode(made, true) end
  if not text then common.stop("%s", problem or message) end
  streams.out:write(text, "\n")
  tell_of_keys(policy, streams)
  return common.YES
end

function actions.show(arguments, streams)
  if arguments.oci and not arguments.policy then common.stop "--oci: the policy is missing" end
  if arguments.oci then return show_oci(policy_of(arguments.policy), streams) end
  if arguments.policy then
    streams.out:write('local seccomp = require "cella.seccomp"\n\nreturn ', tostring(policy_of(arguments.policy)), "\n")
    return common.YES
  end
  for _, name in ipairs(seccomp.names()) do streams.out:write(("%-8s  %s\n"):format(name, named.ABOUT[name])) end
  return common.YES
end

-- "41 on x86_64, 198 on aarch64 and riscv64"
local function numbers_text(call)
  local machines, parts = {}, {}
  for _, machine in ipairs(calls.MACHINES) do
    local number = call.numbers[machine]
    if number then
      if not machines[number] then parts[#parts + 1] = number end
      machines[number] = machines[number] or {}
      table.insert(machines[number], machine)
    end
  end
  for i, number in ipairs(parts) do
    parts[i] = ("%d on %s"):format(number, table.concat(machines[number], " and "))
  end
  return table.concat(parts, ", ")
end

local function arguments_text(call)
  local parts = {}
  for index = 0, #call.arguments - 1 do
    local bits, is_address = calls.width(call, index)
    parts[#parts + 1] = ("%d: %s"):format(index, is_address and "an address" or ("%d bits"):format(bits))
  end
  return #parts > 0 and table.concat(parts, ", ") or "none that are known"
end

function actions.explain(arguments, streams)
  local ok, call = pcall(validate.check, grammar.call_rule, arguments.name, "NAME")
  if not ok then common.stop("%s", (tostring(call):gsub("^.*NAME: ", ""))) end
  streams.out:write(("%s: system call %s\n"):format(call.name, numbers_text(call)))
  streams.out:write(("  arguments  %s\n"):format(arguments_text(call)))
  local shown = arguments.policy and { { arguments.policy, policy_of(arguments.policy) } } or {}
  for _, name in ipairs(arguments.policy and {} or seccomp.names()) do
    shown[#shown + 1] = { name, seccomp.named(name) }
  end
  for _, one in ipairs(shown) do
    streams.out:write(("  %-9s  %s\n"):format(printable.line(one[1]), (one[2]:explain(call.name))))
  end
  local reason = named.reason(call.name)
  if reason and not arguments.policy then streams.out:write("  why        ", reason, "\n") end
  return common.YES
end

function actions.check(arguments, streams)
  local policy, problem = filters.read(arguments.policy)
  if policy == false then common.stop "none is the word for no policy at all: there is nothing to check" end
  local filter, err
  if policy then
    filter, err = policy:filter(arguments.machine)
    problem = err and err.message or policy:refuses_start()
  end
  if problem then
    streams.err:write("cella seccomp: ", printable.text(problem), "\n")
    return common.NO
  end
  streams.out:write(("%s: %d instructions\n"):format(printable.line(arguments.policy), #filter / 8))
  local lacking = policy:lacking(arguments.machine)
  if #lacking > 0 then
    streams.out:write(("not there on %s: %s\n"):format(arguments.machine or require("cella.core").machine,
      table.concat(lacking, " ")))
  end
  return common.YES
end

--- Runs the command.
---@param arguments table  as argparse gives them
---@param streams { out: file*, err: file* }
---@return integer status
function M.run(arguments, streams)
  return common.guard("seccomp", streams, actions[arguments.seccomp_command], arguments, streams)
end

return M
