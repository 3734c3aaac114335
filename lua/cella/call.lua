--- A Lua function as the program: what goes into a copy of this process, what is done there, and what comes back.

local lazy = require "cella.lazy"
local blame = require "cella.blame"
local core = require "cella.core"
local Error = require "cella.error"
---@module "cella.call.modules"
local modules = lazy "cella.call.modules"
local validate = require "cella.validate"

local unpack = table.unpack or unpack -- luacheck: ignore 143

local M = {}

--- What result_limit is where nothing is said: 16 MiB.
M.RESULT_LIMIT = 16 * 1024 * 1024

local MOST_ITEMS = 1000000

--- How many values a call may have as arguments, and hand over as results: each passes over the caller's stack several
--- times, which holds a million, and in Lua 5.1 and LuaJIT 8000 for a function in C.
M.MOST_VALUES = _VERSION == "Lua 5.1" and 7000 or 200000

local RETURNED, RAISED = 0, 1 -- exit statuses, as the interpreter's own
local UNTOLD = 125            -- and of a copy that cannot tell what it has come to

-- An error's words come home whatever the limit is; longer ones are cut.
local LONGEST = 65536
local WORDS = 4 * LONGEST

--- True for a command that is a function with its arguments.
function M.is(command)
  return type(command) == "table" and type(rawget(command, 1)) == "function"
end

--- Calls a function of the caller's, which may not yield: nobody would resume it.
---@return boolean ok, any result_or_error, any message
function M.whole(f, argument)
  local thread = coroutine.create(function()
    return xpcall(function() return f(argument) end, function(err)
      return type(err) == "string" and debug.traceback(err, 2) or err
    end)
  end)
  local _, ok, result, message = coroutine.resume(thread)
  if coroutine.status(thread) == "dead" then return ok, result, message end
  return false, "the function yields, and nobody would resume it"
end

--- Raises where the function that calls this was given more than MOST_VALUES as its `...`. It is the debugger that
--- knows: who counts them puts them all on the stack again, where they may not fit. (Lua 5.1 does not know, and there a
--- caller has no way to give many more.)
function M.check_arguments()
  if not debug.getlocal(2, -(M.MOST_VALUES + 1)) then return end
  blame(("more than %d arguments: there may be more in a table, as one of them"):format(M.MOST_VALUES))
end

--- `f, ...` as a command; any other value as it is.
function M.command(f, ...)
  if type(f) ~= "function" then
    for i = 1, select("#", ...) do
      if select(i, ...) ~= nil then
        blame(("argument %d: only a function takes more of them, and the keys of a command are in its table: "
          .. "{ \"program\", \"argument\", timeout = 5 }"):format(i + 1))
      end
    end
    return f
  end
  return { n = select("#", ...) + 1, f, ... }
end

--- A rule for { f, arguments..., key = value }: the keys follow the rules in `fields`, the items may be anything. `n`
--- says how many items there are, as table.pack does, where the last are nil.
function M.rule(fields)
  local keys = { n = validate.rule.integer(1, MOST_ITEMS) }
  for key, check in pairs(fields) do keys[key] = check end
  local record = validate.rule.record(keys, nil, nil, "command")
  return function(value, path)
    local named, items, last = {}, {}, 0
    if not M.is(value) then
      validate.fail(path, "a function, or a list of one and its arguments expected, got %s", validate.show(value))
    elseif getmetatable(value) ~= nil then
      validate.fail(path, "a plain table expected, got one with a metatable")
    end
    for key, item in pairs(value) do
      if type(key) == "number" and key >= 1 and key <= MOST_ITEMS and key == math.floor(key) then
        items[key] = item
        last = math.max(last, key)
      else
        named[key] = item
      end
    end
    local copy = record(named, path)
    if copy.n and copy.n < last then
      validate.fail(validate.join(path, "n"), "%d, and there is an item %d", copy.n, last)
    end
    -- What follows a hole (a misspelt variable, say) may be meant: then `n` says so.
    for i = 1, copy.n and 0 or last do
      if items[i] == nil then validate.fail(validate.join(path, i), "missing; if it is to be nil, give `n`") end
    end
    copy.n = copy.n or last
    for i, item in pairs(items) do copy[i] = item end
    return copy
  end
end

--- A function as a person would name it: "function at file.lua:12".
function M.name(f)
  local info = debug.getinfo(f, "S")
  if info.what == "C" then return "function in C" end
  return ("function at %s:%d"):format(info.short_src, info.linedefined)
end

--- Why this process cannot be copied now, or nil.
---@return cella.error?
function M.refused()
  local threads = core.copy.threads()
  if threads == 1 then return nil end
  return Error.new {
    op = "call", errno = 22, message = ("this process has %s threads"):format(threads > 2 and threads or "other"),
    why = "a copy has one: a lock that another holds at that moment would stay locked for ever (fork(2)). Run a "
      .. "program instead of a function, or do this before threads are started",
  }
end

-- What was raised, in a form that can be brought home.
local function describe(err)
  local message
  if type(err) == "string" or type(err) == "number" then
    message = tostring(err)
  else
    local meta = getmetatable(err)
    local speaks = type(meta) == "table" and rawget(meta, "__tostring") ~= nil
    local ok, text = pcall(tostring, err)
    message = speaks and ok and type(text) == "string" and text or ("(error object is a %s value)"):format(type(err))
  end
  if #message > LONGEST then message = message:sub(1, LONGEST) .. "..." end
  local trace = debug.traceback(message, 2)
  -- Up to the frame of this file that called the function.
  local cut, from = nil, 1
  while true do
    local at = trace:find("\n%s*%[C%]: in [a-z ]*'?xpcall'?", from) -- "function", or "global" (5.5)
    if not at then break end
    cut, from = at, at + 1
  end
  -- Above it is the call of this file, in the words of each Lua.
  if cut then trace = trace:sub(1, cut - 1):gsub("\n%s*%([A-Za-z0-9. ]*tail calls?[.]*%)[^\n]*$", "") end
  return { message = message, traceback = trace, value = err, missing = modules.missing(2) }
end

-- io.read and io.write are about what a program would start with.
local function own_streams()
  local kept = { io.input(), io.output() } -- dropped, the caller's would be closed
  pcall(io.input, io.stdin)
  pcall(io.output, io.stdout)
  return kept
end

local function to_status(code)
  if code == nil or code == true then return 0 end
  if code == false then return 1 end
  if type(code) ~= "number" then blame("bad argument #1 to 'exit' (number or boolean expected)") end
  return math.floor(code) % 256
end

local function message_of(results, limit)
  local ok = results[1]
  if ok then
    for i = 1, results.n do results[i] = results[i + 1] end -- not by way of the stack: it may be many
    local data, problem = core.serialize.encode("v", results, results.n - 1, limit)
    if data then return data, RETURNED end
    problem = "return " .. problem
    return core.serialize.encode("e", { problem, problem }, 3, WORDS), RAISED
  end
  local failure = results[2]
  -- No handler is called where memory runs out.
  if type(failure) ~= "table" then
    failure = { message = tostring(failure), traceback = tostring(failure), value = failure }
  end
  local list = { failure.message, failure.traceback, failure.value }
  list[4] = failure.missing
  local data = core.serialize.encode("e", list, 4, limit + WORDS)
  if not data then data = core.serialize.encode("e", { list[1], list[2] }, 3, WORDS) end
  return data, RAISED
end

--- What the copy does; it does not return. `number` is the descriptor for the results.
---@param command table   as M.rule leaves it
---@param number integer
---@param limit integer?  result_limit
---@return function
function M.body(command, number, limit)
  lazy.load("cella.everything")()
  return function()
    core.copy.guard()
    modules.watch()
    local kept = own_streams()
    -- The C function would close the state where it is asked to, with all that the caller has in it.
    os.exit = function(code) core.copy.leave(to_status(code)) end -- luacheck: ignore 122
    local function call() return command[1](unpack(command, 2, command.n)) end
    local function pack(...) return { n = select("#", ...), ... } end
    local has_room, results = pcall(function() return pack(xpcall(call, describe)) end)
    if not has_room then
      results = { n = 2, false, "the function has returned too many values: " .. tostring(results) }
    end
    local fine, data, status = pcall(message_of, results, limit or M.RESULT_LIMIT)
    if not fine then
      local words = "the results cannot be handed over: " .. tostring(data)
      data, status = core.serialize.encode("e", { words, words }, 3, WORDS), RAISED
    end
    if not data or not core.copy.deliver(number, data) then status = UNTOLD end
    core.copy.leave(status, kept)
  end
end

---@class cella.failure
---@field message string     the error, as text
---@field traceback string   the same, and where
---@field value any          what was raised, where that is plain data
---@field why string?         of a module that was not found inside: where it lies outside, and what to do
local Failure = { __name = "cella.failure" }
Failure.__index = Failure

function Failure:__tostring()
  return self.why and self.traceback .. "\n  " .. self.why or self.traceback
end

local function ended_how(result)
  if result.reason == "exited" then return ("it left with the status %d"):format(result.code) end
  return ("it was ended (%s)"):format(result.reason == "signaled" and result.signal or result.reason)
end

--- How many bytes may come through the pipe: no message needs more than the memory that it stands for.
---@param limit integer?
---@return integer
function M.most(limit)
  return (limit or M.RESULT_LIMIT) + WORDS
end

--- Turns what came through the pipe, which may be anything, into the fields of a result: `values`, or `error`, or,
--- where neither has come in one piece, `lost`.
---@param result cella.result
---@param data string
---@param limit integer?
function M.receive(result, data, limit)
  if data == "" then
    local may_have = result.reason == "exited" and result.code == UNTOLD
    result.lost = (may_have and "the function has not returned, or could not say so: "
      or "the function has not returned: ") .. ended_how(result)
    return
  end
  local kind, values, count = core.serialize.decode(data, M.most(limit))
  if kind == "v" then
    values.n = count
    result.values = values
  elseif kind == "e" and (count == 3 or count == 4) and type(values[1]) == "string" and type(values[2]) == "string" then
    result.error = setmetatable({ message = values[1], traceback = values[2], value = values[3],
      why = modules.advice(values[4]) }, Failure)
  else
    result.lost = ("what came is not a whole result: %s; %s"):format(kind and "it is of no known kind" or values,
      ended_how(result))
  end
end

return M
