--- `cella repl`: Lua at a prompt, with cella's operations and values at hand.

local chunks = require "cella.cli.chunk"
local common = require "cella.cli.common"
local complete = require "cella.cli.repl.complete"
local help = require "cella.cli.repl.help"
local lines = require "cella.cli.repl.line"
local printable = require "cella.printable"
local values = require "cella.cli.repl.values"
local words = require "cella.words"

local M = { summary = "Lua at a prompt, with cella's operations and values at hand." }

-- The fields of `cella`, which are there once they are asked for.
local FIELDS = { "container", "plan", "enter", "wait", "pool", "namespace", "doctor", "cgroup", "caps", "idmap",
  "policy", "seccomp", "landlock", "sys", "tree", "show", "same" }

--- Describes the command to the parser.
---@param command table  of argparse
function M.configure(command)
  command:description [[
Reads Lua, a line at a time, and shows what comes of it. sys, idmap, caps,
policy, namespace, cgroup, seccomp, landlock and cella are at hand,
help(sys.unshare) tells what a function does. What a line calls in sys acts on
this very process. Where there is a module readline or linenoise (Debian: lua-readline), lines can be edited,
names are completed, and there is a history.]]
  command:epilog [[
  cella repl
  echo 'sys.unshare "user"; print(sys.getresuid())' | cella repl]]
end

-- What a chunk has for its local variables when it is over becomes the environment's: the next line has them.
local function keep_locals(environment)
  return function()
    local i = 1
    while true do
      local name, value = debug.getlocal(2, i)
      if not name then return end
      if name:find "^[A-Za-z_]" then rawset(environment, name, value) end
      i = i + 1
    end
  end
end

local KEEP = "__cella_keep_locals"
local NAME = "=line"

-- A function for what has been typed; false where more has to come; nil and what is wrong.
local function compile(text, environment)
  local chunk, unfinished = chunks.compile("return " .. text, NAME, environment)
  if chunk then return chunk end
  -- Locals are kept at the end of a chunk, behind which there is nothing where it ends with `return`. Of a constant
  -- nothing is left there.
  local kept = text:gsub("^(%s*local%s+[A-Za-z0-9_]+)%s*<const>", "%1")
  chunk = chunks.compile(("%s\n;%s()"):format(kept, KEEP), NAME, environment)
  if chunk then return chunk end
  local message
  chunk, message = chunks.compile(text, NAME, environment)
  if chunk then return chunk end
  if unfinished:find "<eof>'?$" or message:find "<eof>'?$" then return false end
  return nil, message
end

local function pack(...) return { n = select("#", ...), ... } end

-- Only the message: of the calls that have led to it only one's own is of interest, and that is the line.
local function perform(chunk, streams)
  local ok, results = common.try(function() return pack(chunk()) end)
  if not ok then
    streams.err:write("error: ", printable.text(words.of(results)), "\n")
    return
  end
  local shown = values.results(results)
  if shown then streams.out:write(printable.text(shown), "\n") end
end

local function environment_of(streams)
  local environment = {}
  function environment.help(what)
    streams.out:write(printable.text(help.of(what, chunks.NAMES, chunks.value)), "\n")
  end
  environment[KEEP] = keep_locals(environment)
  return setmetatable(environment, { __index = function(_, name)
    local value = chunks.value(name)
    if value == nil then value = _G[name] end
    return value
  end })
end

--- Runs the command.
---@param streams { out: file*, err: file*, input: file* }
---@return integer status
function M.run(_, streams)
  local environment = environment_of(streams)
  local globals = { "help" }
  for _, name in ipairs(chunks.NAMES) do globals[#globals + 1] = name end
  for name in pairs(_G) do globals[#globals + 1] = name end
  local input = lines.open(streams, function(word)
    return complete.of(word, environment, { [environment] = globals, [environment.cella] = FIELDS })
  end)
  local text = nil
  while true do
    local line = input.read(text and ">> " or "> ")
    if not line then break end
    text = text and text .. "\n" .. line or line
    local chunk, message = compile(text, environment)
    if chunk ~= false then
      text = nil
      if chunk then perform(chunk, streams) else streams.err:write("error: ", printable.text(message), "\n") end
      streams.out:flush()
    end
  end
  if text and text:find "%S" then streams.err:write("error: the last line is not finished\n") end
  input.close()
  return 0
end

return M
