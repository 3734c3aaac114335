--- Programs outside the runner: a spec never changes the process that runs it, and never forks it.

local able = require "spec.support.able"
local core = require "cella.core"
local literal = require "spec.support.literal"
local portable = require "spec.support.portable"
local unpack = table.unpack or unpack

local M = {}

local function quote(word)
  return "'" .. (tostring(word):gsub("'", "'\\''")) .. "'"
end
M.quote = quote

local pwd = assert(io.popen("pwd", "r"))
M.top = pwd:read("*l")
pwd:close()

-- The runner's paths, for a process that may be anywhere.
local function absolute(paths)
  return ((";" .. paths):gsub(";%./", (";" .. M.top .. "/"):gsub("%%", "%%%%")):sub(2))
end

local function interpreter()
  return ("env LUA_PATH=%s LUA_CPATH=%s %s"):format(quote(absolute(package.path)), quote(absolute(package.cpath)),
    portable.program)
end

--- A shell's word for a Lua program with its first arguments, to be started by anything.
function M.interpreter()
  return interpreter()
end

--- Runs a shell command. Returns what it wrote, to either stream, and its exit status.
---@param command string
---@return string output, integer status
function M.sh(command)
  return portable.output("{ " .. command .. "\n} 2>&1 </dev/null")
end

local SECONDS = 480 -- against a hang; nothing is decided by it

--- Runs Lua source in a process of its own; see spec/support/inside.lua for what it finds there.
---
--- `prefix`: a command that starts it. `redirect`: for the shell, of its streams. `arguments`: a list of strings and
--- numbers, its `...`. `output`: what the process writes, and its exit status, come back too, before the results.
---@param source string
---@param options { prefix: string?, redirect: string?, arguments: table?, output: boolean? }?
---@return ... what the source returns
function M.lua(source, options)
  options = options or {}
  local words = { quote(source) }
  for _, argument in ipairs(options.arguments or {}) do words[#words + 1] = quote(argument) end
  local results = os.tmpname()
  -- Of its own: whoever the process becomes can write there.
  local descriptor = assert(core.open(results, "rdonly"))
  assert(core.sys.fchmod(descriptor:number(), 438))
  descriptor:close()
  local output, status = M.sh(("timeout -k 5 %d %s %s %s/spec/support/inside.lua %s %s %s"):format(SECONDS,
    options.prefix or "", interpreter(), M.top, results, table.concat(words, " "), options.redirect or ""))
  local file = assert(io.open(results, "r"))
  local text = file:read("*a")
  file:close()
  os.remove(results)
  local values = text ~= "" and literal.read(text)
  local raised = values and values.raised
  if not options.output and (raised or not values) then
    error(("the process outside ended with %d\n%s\n%s"):format(status, raised or "", output), 2)
  end
  if raised then output, values = output .. raised, nil end
  values = values or { n = 0 }
  if options.output then return output, status, unpack(values, 1, values.n) end
  return unpack(values, 1, values.n)
end

--- As root of a new user namespace in which only that ID exists.
M.NAMESPACE_ROOT = "unshare --user --map-root-user"

function M.as_namespace_root(source, options)
  options = options or {}
  options.prefix = M.NAMESPACE_ROOT .. " " .. (options.prefix or "")
  return M.lua(source, options)
end

--- As a root with several IDs: the real one, or one of a user namespace with subordinate IDs.
function M.several_ids_prefix()
  return able.lacks "root" and "unshare --user --map-root-user --map-auto" or ""
end

function M.with_several_ids(source, options)
  options = options or {}
  options.prefix = M.several_ids_prefix() .. " " .. (options.prefix or "")
  return M.lua(source, options)
end

return M
