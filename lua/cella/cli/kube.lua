--- `cella kube`: a container as a manifest of Kubernetes.

local common = require "cella.cli.common"
local containers = require "cella.cli.container"
local printable = require "cella.printable"

local M = { summary = "Print a container as a Pod or Job of Kubernetes." }

--- Describes the command to the parser.
---@param command table  of argparse
function M.configure(command)
  command:usage("Usage: cella kube [-h] FILE.lua --image NAME [OPTIONS] [ARGS] [-- COMMAND ...]\n"
    .. "       cella kube [-h] -e KEYS --image NAME [OPTIONS] [-- COMMAND ...]")
  command:option("-e --eval", "The container's keys, in Lua, as for `cella run`."):argname "KEYS":target "keys"
  command:option("--image", "The image, as a node pulls it: `cella oci image` makes one."):argname "NAME"
  command:option("--name", "Of the Pod or Job; the host name, if it is not given."):argname "NAME"
  command:flag("--job", "A Job, which is done once its pods are.")
  command:option("--completions", "Of a Job: how many pods have to succeed, each with its number in "
    .. "JOB_COMPLETION_INDEX."):argname "N"
  command:option("--parallelism", "Of a Job: how many run at once."):argname "N"
  command:option("--runtime-class", "Which of the nodes' runtimes starts it."):argname "NAME"
  command:option("--seccomp-profile", "Where the nodes have the container's policy of system calls."):argname "PATH"
  command:option("--seccomp", "Its system calls, as for `cella run`."):argname "POLICY"
  command:argument("file", "A Lua program that returns a container."):args "?"
  command:description [[
Prints a manifest for `kubectl apply -f -`: a Pod or a Job, and where the
container has a network of its own a NetworkPolicy that lets nothing in or out.
The root is that of the image; what else a manifest cannot say is refused, by
the name of the key.]]
  command:epilog [[
ARGS reach the file as `...`. What stands behind `--` replaces the program that
the container names (its key `command`).

Exit status: 0; 125 where there is no such manifest.

  cella kube web.lua --image registry.example/web:1 | kubectl apply -f -
  cella kube judge.lua --image judge --job --completions 100 --parallelism 10]]
end

local function count(word, option)
  if not word then return nil end
  return word:find "^[1-9]%d?%d?%d?%d?$" and tonumber(word)
    or common.stop("%s: a number from 1 to 99999 expected, got %q", option, word)
end

local function manifest(box, request, arguments)
  if not require("cella.container").is(box) then common.stop "what the file returns is no container" end
  local options = { image = arguments.image, name = arguments.name, job = arguments.job or nil,
    completions = count(arguments.completions, "--completions"),
    parallelism = count(arguments.parallelism, "--parallelism"), seccomp_profile = arguments.seccomp_profile,
    runtime_class = arguments.runtime_class }
  local ok, text, err = common.try(require("cella.oci.kube").manifest, box, options,
    require("cella.cli.command").of(box, request))
  if not ok then common.stop("%s", tostring(text)) end
  return text or common.stop("%s", tostring(err))
end

--- Runs the command.
---@param arguments table
---@param streams table
---@return integer status
function M.run(arguments, streams)
  if not arguments.image then
    streams.err:write "cella: the image is missing: --image NAME\n"
    return common.TROUBLE
  end
  return containers.with(arguments, streams, function(box, request)
    local ok, text = pcall(manifest, box, request, arguments)
    if not ok and not (type(text) == "table" and text.trouble) then error(text, 0) end
    if not ok then
      streams.err:write("cella: ", printable.text(text.trouble), "\n")
      return common.TROUBLE
    end
    return require("cella.cli.start").show(streams, text) and common.YES or common.TROUBLE
  end)
end

return M
