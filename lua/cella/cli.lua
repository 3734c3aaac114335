--- The command line.

local argparse = require "argparse"
local lists = require "cella.list"
local printable = require "cella.printable"

local M = {}

local USAGE = 125 -- as set-up failures: the program never ran (env(1))

-- Commands with a parser of their own: each is a module that has summary, configure(command) and run(arguments, io).
local PLUGINS = { "idmap", "caps", "enter" }

local function container_command(parser, name, summary, description)
  local command = parser:command(name, summary)
  command:mutex(
    command:flag("-t --terminal", "Give the program a terminal of its own, wherever this one's streams lead."),
    command:flag("--no-terminal", "Give it none: it has the streams that this one has."))
  command:description(description)
  command:usage(("Usage: cella %s [-h] [-t | --no-terminal] FILE.lua [ARGS] [-- COMMAND [ARGUMENT ...]]"):format(name))
  command:argument("file", "A Lua program that returns a container."):target("file")
  command:epilog [[
ARGS reach the file as `...`. What stands behind `--` replaces the program that the file names (its key
`command`).

Exit status: that of the program; 128+n if signal n ended it; 124 if its time was up; 125 if the container could
not be set up; 126 if the program could not be executed; 127 if there is no such program.]]
  return command
end

local CONTAINER, ENTER = { run = true, plan = true }, "enter"

-- The parser, and the plugins that it knows by name: where `word` is a command, that alone is loaded.
local function make_parser(word)
  local parser = argparse("cella", "Linux containers as Lua programs.")
  parser:command_target("command")
  parser:require_command(true)
  container_command(parser, "run", "Start the container that a file returns.",
    "Runs FILE.lua, starts the container that it returns, and waits for its program to end.")
  container_command(parser, "plan", "Print the kernel steps that `run` would take.",
    "Runs FILE.lua and prints every kernel step that starting its container would take, in order, with the side "
    .. "(parent or child) that takes it. Nothing is started.")
  local wanted = CONTAINER[word or ""] and {} or lists.contains(PLUGINS, word) and { word } or PLUGINS
  local found = {}
  for _, name in ipairs(wanted) do
    found[name] = require(("cella.cli.%s"):format(name))
    found[name].configure(parser:command(name, found[name].summary))
  end
  return parser, found
end

-- Everything behind FILE belongs to it, whatever it looks like, up to `--` and the command. So our own parser sees
-- the words up to FILE only; of `enter`, those up to `--`.
local function split(words)
  local ours, arguments, command = { words[1] }, {}, nil
  local file = 2
  if words[1] == ENTER then
    while words[file] and words[file] ~= "--" do
      ours[#ours + 1] = words[file]
      file = file + 1
    end
  elseif not CONTAINER[words[1] or ""] then
    return words, {}, nil
  end
  while words[file] and words[file]:sub(1, 1) == "-" and words[file] ~= "--" do
    ours[#ours + 1] = words[file]
    file = file + 1
  end
  if words[file] and words[file] ~= "--" then
    ours[#ours + 1] = words[file]
    file = file + 1
  end
  for i = file, #words do
    if command then
      command[#command + 1] = words[i]
    elseif words[i] == "--" then
      command = {}
    else
      arguments[#arguments + 1] = words[i]
    end
  end
  return ours, arguments, command
end

--- Runs the command line `words`; returns the exit status.
---@param words string[]
---@param streams { out: file*, err: file*, input: file* }?
---@return integer
function M.main(words, streams)
  streams = streams or { out = io.stdout, err = io.stderr, input = io.stdin }
  local parser, found = make_parser(words[1])
  local ours, arguments, command = split(words)
  local ok, parsed = parser:pparse(ours)
  if not ok then
    streams.err:write("cella: ", printable.text(parsed), "\n", parser:get_usage(), "\n")
    return USAGE
  end
  if command and #command == 0 then
    streams.err:write("cella: there is no command behind `--`\n")
    return USAGE
  end
  if CONTAINER[parsed.command] then
    local request = { file = parsed.file, arguments = arguments, command = command }
    if parsed.terminal or parsed.no_terminal then request.terminal = parsed.terminal == true end
    return require("cella.cli.run")[parsed.command](request, streams)
  end
  if parsed.command == ENTER then parsed.words = command end
  return found[parsed.command].run(parsed, streams)
end

return M
