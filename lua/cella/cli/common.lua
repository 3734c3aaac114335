--- What the commands that answer questions have in common.

local core = require "cella.core"
local printable = require "cella.printable"

local M = {}

--- Exit statuses: the answer is yes or no, or could not be given, as when a container could not be set up.
M.YES, M.NO, M.TROUBLE = 0, 1, 125

--- Stops a command with a message for its user, and no traceback.
function M.stop(...)
  error({ trouble = select("#", ...) > 1 and string.format(...) or (...) }, 0)
end

local function without_place(files, ok, result, ...)
  if ok or type(result) ~= "string" then return ok, result, ... end
  for _, file in ipairs(files) do
    local place = file.short_src .. ":"
    if result:sub(1, #place) == place then return false, (result:sub(#place + 1):gsub("^%d+: ", "")) end
  end
  return false, result
end

--- pcall for the library, which blames the file that calls this, or this one: to who typed the values that place says
--- nothing. Of what a user's own file raises it is left.
---@param call function
function M.try(call, ...)
  return without_place({ debug.getinfo(1, "S"), debug.getinfo(2, "S") }, pcall(call, ...))
end

local function whole(text, low, high)
  local value = text:find("^%d+$") and #text <= 10 and tonumber(text)
  return value and value >= low and value <= high and value or nil
end

--- A process ID as a user writes it.
---@param text string
---@return integer
function M.process_id(text)
  return whole(text, 1, 2147483647) or M.stop("%q is not a process ID", text)
end

--- A user or group ID as a user writes it.
---@param text string
---@return integer
function M.id(text)
  return whole(text, 0, 4294967294) or M.stop("%q is not an ID: a number from 0 to 4294967294", text)
end

--- Prints a value as JSON; `order` is that of the keys.
function M.print_json(streams, value, order)
  local ok, library = pcall(require, "dkjson")
  if not ok then M.stop("--json needs the Lua module dkjson: Debian has it as lua-dkjson, LuaRocks as dkjson") end
  streams.out:write(library.encode(value, { indent = true, keyorder = order }), "\n")
end

--- What a command has whose subcommands answer questions. Returns how to add one.
---@param command table  of argparse
---@param target string  the key of the subcommand's name
---@return fun(name: string, summary: string, description: string): table
function M.with_subcommands(command, target)
  command:command_target(target)
  command:require_command(true)
  return function(name, summary, description)
    return command:command(name):summary(summary):description(description)
  end
end

--- Gives a subcommand the option that print_json goes with.
function M.json_option(command)
  command:flag("--json", "Print JSON (needs the Lua module dkjson).")
end

--- The present directory, which a container is to have.
---@return string
function M.present_directory()
  local path = core.readlink "/proc/self/cwd" or "/"
  if path:find("\n", 1, true) then
    M.stop("the present directory cannot be a container's: there is a newline in its path, %q", path)
  end
  return path
end

--- Runs an action of a command; returns the exit status.
---@param name string  of the command, for messages
---@return integer
function M.guard(name, streams, action, ...)
  local ok, status = pcall(action, ...)
  if ok then return status end
  if type(status) ~= "table" or not status.trouble then error(status, 0) end
  streams.err:write("cella ", name, ": ", printable.text(status.trouble), "\n")
  return M.TROUBLE
end

return M
