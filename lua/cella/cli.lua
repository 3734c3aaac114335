--- The command line.

local cella = require "cella" -- first: what follows it comes from bytecode where that is installed
local output = require "cella.cli.output"
local printable = require "cella.printable"
local words_module = require "cella.cli.words"

local M = {}

local USAGE = 125 -- as set-up failures: the program never ran (env(1))

local function print_version(streams)
  local jit = rawget(_G, "jit")
  streams.out:write(("%s (%s)\n"):format(cella._VERSION, jit and jit.version or _VERSION))
  return 0
end

local function perform(module, parsed, split, streams)
  -- What argparse calls so is what follows a name (`cella idmap policy subids OWNER`).
  parsed.words, parsed.file_arguments = split.command or parsed.words, split.arguments
  return module.run(parsed, streams)
end

--- Whether a line has to be taken apart by argparse, which takes longer to load than what is started by the others.
---@param words string[]
---@return boolean
function M.needs_parser(words)
  return words[1] ~= "--version" and not words_module.plain(words)
end

local function run(words, streams)
  if words[1] == "--version" then return print_version(streams) end
  local split = words_module.split(words)
  local plain = words_module.plain(words)
  if plain and not (split.command and #split.command == 0) then
    return perform(require "cella.cli.run", plain, split, streams)
  end
  local parser, found = require("cella.cli.grammar").parser(words[1])
  local ok, parsed = pcall(parser.parse, parser, split.ours)
  if not ok then
    if type(parsed) ~= "table" then error(parsed, 0) end
    streams.err:write("cella: ", printable.text(parsed.message), "\n", parsed.usage, "\n")
    return USAGE
  end
  if parsed.version then return print_version(streams) end
  if split.command and #split.command == 0 then
    streams.err:write("cella: there is no command behind `--`\n")
    return USAGE
  end
  return perform(found[parsed.command], parsed, split, streams)
end

--- Runs the command line `words`; returns the exit status.
---@param words string[]
---@param streams { out: file*, err: file*, input: file* }?
---@return integer
function M.main(words, streams)
  if streams then return run(words, streams) end
  local out = output.of(io.stdout)
  local status = run(words, { out = out, err = io.stderr, input = io.stdin })
  out:flush()
  -- Who has failed already has said why.
  if not out.failed or status == USAGE then return status end
  io.stderr:write("cella: standard output: ", out.failed, "\n")
  return USAGE
end

return M
