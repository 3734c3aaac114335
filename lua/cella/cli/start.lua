--- A program that the command line starts, in a container or in what is entered: to its end, with its signals and its
--- exit status.

local core = require "cella.core"
local Error = require "cella.error"
local common = require "cella.cli.common"
local printable = require "cella.printable"
local terminal = require "cella.cli.terminal"

local M = {}

local SETUP_FAILED, NOT_EXECUTABLE, NOT_FOUND, TIMED_OUT, SIGNALED = 125, 126, 127, 124, 128

-- Paths are others' to choose, and this goes to a terminal.
local function shown_text(value) return printable.text(tostring(value)) end

--- The status of a set-up failure, as env(1) has it.
local function status_of_error(err)
  if not Error.is(err) or err.op ~= "execve" then return SETUP_FAILED end
  if err.code == "ENOENT" or err.code == "ENOTDIR" then return NOT_FOUND end
  return NOT_EXECUTABLE
end

-- What is not handed on: "kill" and "stop" cannot be held, a fault is this process's own, as "chld" is, and "ttin" and
-- "ttou" are about the terminal that this process is in the background of. 32 and 33 belong to the C library.
local KEPT = { kill = true, stop = true, chld = true, ttin = true, ttou = true,
  ill = true, trap = true, bus = true, fpe = true, segv = true, sys = true }

local FORWARDED = {}
for number = 1, 64 do
  local name = core.signal_name(number)
  if not (KEPT[name] or number == 32 or number == 33) then FORWARDED[#FORWARDED + 1] = number end
end

-- Whether the program does something of its own with a signal. Without a handler the first process of a pid namespace
-- does not get it at all (pid_namespaces(7)), where any other program would end.
local function is_handled(pid, number)
  for line in io.lines(("/proc/%d/status"):format(pid)) do
    local mask = line:match("^SigIgn:%s*(%x+)") or line:match("^SigCgt:%s*(%x+)")
    -- A digit for four signals, the first four at the end.
    local digit = mask and tonumber(mask:sub(-1 - math.floor((number - 1) / 4), -1 - math.floor((number - 1) / 4)), 16)
    if digit and math.floor(digit / 2 ^ ((number - 1) % 4)) % 2 == 1 then return true end
  end
  return false
end

local ENDS_NOT = { winch = true, tstp = true, cont = true, urg = true }

-- Terminals and supervisors talk to this process: it hands on what they say, and dies as the program would have.
-- With a terminal of the program's own, those that come from ours are about ours.
local function watch_signals(process, fd, relay)
  local function hand_on(signal)
    -- An init knows what is for the whole group.
    if process.status then return process:kill(signal) end
    return process:signal_group(signal == "tstp" and "stop" or signal)
  end
  local continued = false
  process:watch(fd:number(), function()
    while true do
      local number = fd:read_signal()
      if not number then return end
      local name = core.signal_name(number)
      if relay and name == "winch" then
        relay:resize()
      elseif name == "tstp" then
        if relay then relay:suspend() end
        hand_on(name)
        core.stop_self()
        -- The signal that has continued us is still to be read, unless it is ignored.
        hand_on("cont")
        continued = true
      elseif name == "cont" then
        if relay then relay:resume() end
        if not continued then hand_on(name) end
        continued = false
      else
        hand_on(number)
        local ok, handled = pcall(is_handled, process.pid, number)
        if not process.status and not ENDS_NOT[name] and ok and not handled then
          process.ended_by = number
          process:kill("kill")
        end
      end
    end
  end)
end

-- Whether a signal has come that ends whoever does nothing about it.
local function is_to_end(signals)
  local number = signals:read_signal()
  return number and not ENDS_NOT[core.signal_name(number)]
end

local function status_of_result(process, result)
  if result.reason == "timeout" or result.reason == "cpu" then return TIMED_OUT end
  if result.code then return result.code end
  return SIGNALED + (process.ended_by or result.signal_number)
end

M.status_of_error, M.status_of_result = status_of_error, status_of_result

--- Writes text to the standard output. False, and said, where that cannot be.
---@param streams { out: file*, err: file* }
---@param text string
---@return boolean
function M.show(streams, text)
  local ok, message = streams.out:write(text)
  if ok then ok, message = streams.out:flush() end
  if not ok then streams.err:write("cella: standard output: ", tostring(message), "\n") end
  return ok ~= nil and ok ~= false
end

-- Signals are held from the moment on at which there will be a program to hand them on to. Until then they end this
-- process, and what is being set up with it. Returns a function that gives the descriptor to read them from.
local function hold_signals(box, list)
  local signals
  function box.description.hold_signals()
    signals = signals or assert(core.signals(list))
    return true
  end
  return function() return signals end
end

--- Starts a program and waits for its end.
---@param box cella.container|cella.entrance
---@param request { command: string[]?, timeout: number? }
---@param streams { out: file*, err: file* }
---@return integer status
function M.run(box, request, streams)
  local command, is_own, may_be_ours = terminal.choose(box, request)
  local given = command or type(box.description) == "table" and box.description.command
  if type(given) == "table" and given.stdin == "pipe" then
    streams.err:write('cella: command.stdin: "pipe" is for programs that write to it: here nobody would\n')
    return SETUP_FAILED
  end
  if request.timeout and type(given) == "table" then
    command = command or {}
    for key, value in pairs(given) do command[key] = value end
    command.timeout = request.timeout
    given = command
  end
  local log
  if request.debug and type(given) == "table" then
    log, command = require "cella.cli.log", command or {}
    for key, value in pairs(given) do command[key] = value end
    command.log = log.steps(streams.err)
  end
  if request.denied and type(given) == "table" then
    command = command or {}
    for key, value in pairs(given) do command[key] = value end
    command.denied = require("cella.cli.denied").teller(streams.err)
  end
  local held = hold_signals(box, FORWARDED)
  local ok, process, err = common.try(box.spawn, box, command)
  if ok and err and err.op == "openpt" and may_be_ours then
    command.terminal.from = "host"
    ok, process, err = common.try(box.spawn, box, command)
  end
  if not ok or not process then
    streams.err:write("cella: ", shown_text(not ok and process or err), "\n")
    return status_of_error(not ok and process or err)
  end
  if log then log.started(streams.err, process) end
  local signals = held()
  local relay = is_own and terminal.relay(process, is_own) or nil
  watch_signals(process, signals, relay)
  local result
  ok, result, err = pcall(relay and relay.wait or process.wait, relay or process)
  if relay then
    -- Whatever happens, our terminal is as it was.
    local shown, why = pcall(relay.finish, relay, signals, function() return is_to_end(signals) end)
    relay:suspend()
    if not shown then error(why, 0) end
  end
  if not ok then error(result, 0) end
  if not result then
    streams.err:write("cella: ", shown_text(err), "\n")
    return SETUP_FAILED
  end
  if log then log.ended(streams.err, result) end
  -- A file may ask for a stream to be captured; on the command line nobody else would show it.
  local shown = not result.stdout or M.show(streams, result.stdout)
  streams.err:write(result.stderr or "")
  if result.error then streams.err:write("cella: ", shown_text(result.error), "\n") end
  return shown and status_of_result(process, result) or SETUP_FAILED
end

--- The plan of what would be started.
---@param box cella.container|cella.entrance
---@param request { command: string[]? }
---@return cella.plan?, string?
function M.plan(box, request)
  local command = terminal.choose(box, request)
  hold_signals(box, FORWARDED)
  local ok, plan, err = common.try(box.plan, box, command)
  if ok and plan then return plan end
  return nil, tostring(not ok and plan or err)
end

--- Prints the steps that this would take, as `show` makes text of them; with a heading for each stage if it is not
--- given.
---@param box cella.container|cella.entrance
---@param request { command: string[]? }
---@param streams { out: file*, err: file* }
---@param show (fun(plan: cella.plan): string)?
---@return integer status
function M.print(box, request, streams, show)
  local plan, message = M.plan(box, request)
  if not plan then
    streams.err:write("cella: ", shown_text(message), "\n")
    return SETUP_FAILED
  end
  return M.show(streams, (show or require("cella.cli.steps").text)(plan)) and 0 or SETUP_FAILED
end

return M
