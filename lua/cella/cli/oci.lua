--- `cella oci`: containers for the runtimes and engines of others.

local commands = require "cella.cli.command"
local common = require "cella.cli.common"
local containers = require "cella.cli.container"
local printable = require "cella.printable"

local M = { summary = "Write a container as a bundle or an image, for other runtimes." }

local function add_container(command, name, what)
  command:usage(("Usage: cella oci %s [-h] [--seccomp POLICY] FILE.lua DIR [ARGS] [-- COMMAND ...]\n"
    .. "       cella oci %s [-h] [--seccomp POLICY] -e KEYS DIR [-- COMMAND ...]"):format(name, name))
  command:option("-e --eval", "The container's keys, in Lua, as for `cella run`."):argname "KEYS":target "keys"
  command:option("--seccomp", "Its system calls, as for `cella run`."):argname "POLICY"
  command:argument("file", "A Lua program that returns a container."):args "?"
  command:argument("directory", what):args "?"
end

--- Describes the command to the parser.
---@param command table  of argparse
function M.configure(command)
  command:description [[
Writes a container in the forms of the Open Container Initiative. What these
cannot say is refused, by the name of the key; what is otherwise there though
nobody has asked for it is told on the standard error.]]
  command:epilog [[
ARGS reach the file as `...`. What stands behind `--` replaces the program that
the container names (its key `command`).

Exit status: 0; 125 where it could not be written.

  cella oci bundle web.lua web && runc run --bundle web web
  cella oci image web.lua web-image && skopeo inspect oci:web-image]]
  local subcommand = common.with_subcommands(command, "oci_command")
  local bundle = subcommand("bundle", "Write config.json, and a root: for runc, crun and their like.", [[
Writes a bundle of the OCI's runtime specification to DIR, which must not be
there yet: config.json, and in rootfs/ the root of a container that puts it
together of parts. Binds and directories stay where they are on this host.]])
  add_container(bundle, "bundle", "Where to; it is made.")
  bundle:epilog [[
  cella oci bundle examples/first.lua moon
  cella oci bundle -e 'hostname = "moon"' moon -- sh]]
  local image = subcommand("image", "Write an image: for podman, skopeo and registries.", [[
Writes an image layout of the OCI's image specification to DIR, which must not
be there yet: the root as its one layer, and of the other keys `user`, `cwd`,
`environment` and `command`. Everything else is said where it is started.]])
  add_container(image, "image", "Where to; it is made.")
  image:epilog "  cella oci image examples/fleet/program.lua image && podman pull oci:image"
end

local actions = {}

function actions.bundle(box, directory, command)
  return require("cella.oci.bundle").write(box, directory, command)
end

function actions.image(box, directory, command)
  return require("cella.oci.image").write(box, directory, command)
end

--- Runs the command.
---@param arguments table
---@param streams table
---@return integer status
function M.run(arguments, streams)
  local function fail(message)
    streams.err:write("cella: ", printable.text(tostring(message)), "\n")
    return common.TROUBLE
  end
  if arguments.keys and not arguments.directory then
    arguments.file, arguments.directory = nil, arguments.file
  end
  local directory = arguments.directory
  if not directory then
    return fail(("where to is missing: cella oci %s %s DIR"):format(arguments.oci_command,
      arguments.keys and "-e KEYS" or "FILE.lua"))
  end
  return containers.with(arguments, streams, function(box, request)
    if not require("cella.container").is(box) then return fail "what the file returns is no container" end
    local ok, notes, err = common.try(actions[arguments.oci_command], box, directory, commands.of(box, request))
    if not ok then return fail(notes) end
    if not notes then return fail(err) end
    for _, note in ipairs(notes) do streams.err:write("cella: note: ", printable.text(note), "\n") end
    return common.YES
  end)
end

return M
