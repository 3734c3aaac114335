--- `cella busted`: busted, with each spec file in a container of its own.

local chunks = require "cella.cli.chunk"
local common = require "cella.cli.common"
local core = require "cella.core"
local keys_module = require "cella.busted.keys"

local M = { summary = "Run busted, with each spec file in a container of its own." }

local help -- of this command, which has none of its own options but in words

--- Describes the command to the parser.
---@param command table  of argparse
function M.configure(command)
  help = command
  command:handle_options(false)
  command:argument("arguments", "-j N, --keys=KEYS, and what busted takes."):args "*":argname "ARGS"
  command:description [[
Runs the spec files that busted would, each in a container of its own: with the
working directory in an overlay that is forgotten, a /tmp and a HOME of its own,
no network, as root of nothing. Setups, hooks and tests run there; what they
print, and what became of them, is told here as by busted itself, file by file,
by whatever output handler; and the exit status is busted's.]]
  command:epilog [[
Options, before or among busted's own:
  -j N, --jobs=N   run N files at once (1)
  --keys='KEYS'    keys of the containers and of the commands in them, as the
                   inside of a table in Lua

The Lua that runs cella runs busted: --lua, and `lua` in .busted, are ignored.

  cella busted
  cella busted -j 4 -o junit spec/unit
  cella busted --keys='timeout = 300, cgroup = { pids = 64 }' --tags=slow]]
end

local function number(text)
  local jobs = tonumber(text)
  if not jobs or jobs < 1 or jobs > 1024 or jobs ~= math.floor(jobs) then
    common.stop("-j: a number of files from 1 to 1024 expected, got %s", text or "nothing")
  end
  return jobs
end

local function keys_of(text)
  local environment = setmetatable({}, { __index = function(_, name) return chunks.value(name) end })
  local chunk, message = chunks.compile("return {" .. text .. "\n}", "=--keys", environment)
  if not chunk then common.stop("%s", message) end
  local ok, keys = pcall(chunk)
  if ok then ok, keys = common.try(keys_module.check, keys, "--keys") end
  if not ok then common.stop("%s", tostring(keys)) end
  for _, key in ipairs { "stdout", "stderr", "terminal", "fds", "unavailable" } do
    if keys[key] ~= nil then common.stop("--keys: %s: not here: what a file says is told by busted's report", key) end
  end
  return keys
end

-- Ours, and busted's.
local function take_apart(words)
  local jobs, keys, rest = 1, {}, {}
  local i = 1
  while i <= #words do
    local word = words[i]
    if word == "-j" or word == "--jobs" then
      i = i + 1
      jobs = number(words[i])
    elseif word:find "^%-j." or word:find "^%-%-jobs=" then
      jobs = number(word:match "^%-j(.+)$" or word:match "=(.*)$")
    elseif word == "--keys" then
      i = i + 1
      if not words[i] then common.stop "--keys: the inside of a table of keys expected" end
      keys = keys_of(words[i])
    elseif word:find "^%-%-keys=" then
      keys = keys_of(word:match "^%-%-keys=(.*)$")
    else
      rest[#rest + 1] = word
    end
    i = i + 1
  end
  return jobs, keys, rest
end

-- The file of a module, as an absolute path.
local function file_of(name, cwd)
  for template in package.path:gmatch "[^;]+" do
    local path = template:gsub("%?", (name:gsub("%.", "/"):gsub("%%", "%%%%")))
    if core.inode(path) then return path:sub(1, 1) == "/" and path or cwd .. "/" .. path end
  end
  common.stop("the file of the module %s is not in package.path", name)
end

-- What is relative means the directory in which this began.
local function absolute(paths, cwd)
  local whole = {}
  for template in paths:gmatch "[^;]+" do
    whole[#whole + 1] = template:sub(1, 1) == "/" and template or cwd .. "/" .. template:gsub("^%./", "")
  end
  return table.concat(whole, ";")
end

local function act(arguments, streams)
  local words = arguments.arguments
  if words[1] == "--help" or words[1] == "-h" then
    streams.out:write(help:get_help(), "\n")
    return 0
  end
  local jobs, keys, rest = take_apart(words)
  local there, message = pcall(require, "busted.runner")
  if not there then common.stop("busted is not installed for %s: %s", _VERSION, message) end
  local runs = require "cella.busted.runs"
  local cwd = common.present_directory()
  package.path, package.cpath = absolute(package.path, cwd), absolute(package.cpath, cwd)
  runs.begin { words = rest, jobs = jobs, keys = keys, cwd = cwd, interpreter = core.readlink "/proc/self/exe",
    program = file_of("cella.cli.busted.program", cwd), path = package.path, cpath = package.cpath }
  local own = { [0] = "busted" }
  for i, word in ipairs(rest) do own[i] = word end
  own[#own + 1] = "--ignore-lua"
  own[#own + 1] = "-e"
  own[#own + 1] = "require('cella.busted.files').attach()"
  _G.arg = own -- luacheck: ignore 122
  local load_text = loadstring or load -- luacheck: ignore 143 113
  local status = 0
  local exit = os.exit
  -- busted ends the process where something failed: then our containers end before it.
  local function finish_and_exit(code, ...) exit(runs.finish() or code, ...) end
  os.exit = finish_and_exit -- luacheck: ignore 122
  local ok, err = pcall(load_text("return require 'busted.runner' { standalone = false }", "@busted"))
  local interrupted = runs.finish()
  -- luacov has one around it, by which it writes in the end what it has counted.
  if os.exit == finish_and_exit then os.exit = exit end -- luacheck: ignore 122
  if not ok then
    -- On 5.1 and 5.2 that is how busted ends where something failed; then it has said so.
    if err ~= nil then error(err, 0) end
    status = 1
  end
  return interrupted or status
end

--- Runs the command.
---@param arguments table
---@param streams table
---@return integer status
function M.run(arguments, streams)
  return common.guard("busted", streams, act, arguments, streams)
end

return M
