--- What the program of a container is denied, told to a function of the caller's: the key `denied` of a command.
---
---     box:run { "pip", "install", ".", denied = function(event) print(event, event.key) end }
--
-- The filter holds calls back (seccomp_unotify(2)), and whoever waits for the program answers them: those that the
-- policy refuses with its error, the others are performed. Which it is, the policy decides, by the registers of the
-- call, before anything else is looked at. What lies in the program's memory, and what is found in its root, is for the
-- telling alone: it may be something else by the time that the kernel looks.

local action = require "cella.seccomp.action"
local caller_of = require "cella.denied.caller"
local calls = require "cella.seccomp.calls"
local cause = require "cella.denied.cause"
local core = require "cella.core"
local Error = require "cella.error"
local printable = require "cella.printable"
local readers = require "cella.denied.reader"
local seccomp = require "cella.seccomp"
local watched = require "cella.denied.calls"
local word = require "cella.seccomp.word"

local M = {}

--- Something that was denied, or that the caller has asked to hear of.
---@class cella.denied.event
---@field call string        the system call: "openat"
---@field arguments (integer|string)[]  what it was called with, hexadecimal text above 2^53
---@field pid integer        of the process, as the caller sees it
---@field comm string        its name, which it chooses itself
---@field cause "filter"|"file"|"read-only"|"permission"|"network"|"capability"|"landlock"|"limit"|"notify"
---@field certain boolean    the filter has refused it. Otherwise it is what is to be expected: the kernel decides later
---@field errno string?      "EPERM": the error; nil where it is performed (cause "notify")
---@field why string         a sentence
---@field path string?       which file, as the container has it: what lay in memory when it was looked at
---@field address string?    of a connection: "192.0.2.7:443", "/run/socket", "@abstract"; likewise
---@field key string?        the key of the container that opens it, as Lua
local Event = { __name = "cella.denied.event" }
Event.__index = Event

function Event:__tostring()
  local object = self.path or self.address
  return printable.line(("%s (%d): %s%s: %s%s"):format(self.comm, self.pid, self.call, object and " " .. object or "",
    self.errno and self.errno .. ", " or "", self.why))
end

---@class cella.denied.supervisor
---@field listener cella.fd
---@field reader cella.denied.reader
local Supervisor = {}
Supervisor.__index = Supervisor

local EPERM = 1

-- Calls that are answered in one go, and for how long: then limits and output have their turn.
local MOST_AT_ONCE, LONGEST = 64, 0.1

-- What is the same is told once, as long as it is remembered: a program may ask for as many files as it likes.
local MOST_REMEMBERED = 4096

function Supervisor:number() return self.listener:number() end

function Supervisor:close()
  self.listener:close()
  self.reader:close()
end

local function numbers(call, name)
  local list = {}
  for i = 1, math.min(6, #calls.of(name).arguments) do
    local high, low = word.halves(call.arguments[i])
    list[i] = high < 2097152 and high * 4294967296 + low or "0x" .. call.arguments[i]
  end
  return list
end

-- What is to be told of a call, before it is answered: nil where it is nothing.
local function event_of(self, call, name, given)
  local who = caller_of.new(call, self.reader)
  if self.looks.fixed == nil then who:waits_for_nobody(self.looks) end
  local found
  if not action.permits(given) then
    found = { cause = "filter", certain = true, errno = given }
  else
    found = cause.of(who, name, self.looks, self.bounds)
  end
  if not found and given == "notify" then found = { cause = "notify", certain = false } end
  if not found then return nil end
  cause.describe(found, who, name, self.policy)
  found.call, found.arguments = name, numbers(call, name)
  found.pid, found.comm = who:identity()
  -- If it waits no longer, what was read may be of another process that has its number now.
  if not core.listener.waits(self:number(), call.id) then
    if not found.certain then return nil end
    found.path, found.address, found.comm, found.pid = nil, nil, "?", call.pid
  end
  return setmetatable(found, Event)
end

local function tell(self, event)
  local what = table.concat({ event.call, event.cause, event.errno or "", event.path or "", event.address or "",
    event.key or "" }, "\0")
  if self.told[what] then return end
  if self.count >= MOST_REMEMBERED then self.told, self.count = {}, 0 end
  self.told[what], self.count = true, self.count + 1
  self.call(event)
end

local function answer(self, call)
  local name = calls.name_of(call.number, core.machine)
  local given = name and seccomp.decide(self.decides, name, call.arguments) or "ENOSYS"
  local ok, event = true, nil
  if name then ok, event = pcall(event_of, self, call, name, given) end
  -- "kill" the kernel answers itself. Whatever comes here and is not permitted is refused.
  local errno = not action.permits(given) and (action.errno(given) or EPERM) or nil
  core.listener.answer(self:number(), call.id, errno)
  if not ok then error(event, 0) end
  if event then tell(self, event) end
end

--- Answers the calls that wait now, and tells of them.
---@return boolean  false once all are gone whom the filter was on
function Supervisor:serve()
  local till = core.now() + LONGEST
  for _ = 1, MOST_AT_ONCE do
    if core.now() > till then return true end
    if not self:number() then return false end -- what was told has closed it
    local call, message, errno = core.listener.receive(self:number())
    if call then
      answer(self, call)
    elseif call == false then
      return true
    else
      local code = core.errno_name(errno)
      if code == "ENOTCONN" then return false end
      -- Who has made it has gone, or a signal came.
      if code ~= "ENOENT" and code ~= "EINTR" then
        error(Error.new { op = "seccomp_unotify", message = message, errno = errno }, 0)
      end
    end
  end
  return true
end

--- The filter of a container whose program somebody hears of.
---@param policy cella.seccomp.policy|false  that decides
---@param call fun(event: cella.denied.event)
---@param bounds cella.denied.bounds
---@return cella.filter
function M.filter(policy, call, bounds)
  local filter = seccomp.told_filter(policy, watched.NAMES)
  function filter.supervise(listener)
    return setmetatable({ listener = listener, call = call, policy = policy, bounds = bounds, told = {}, count = 0,
      looks = {}, reader = readers.new(), decides = policy or seccomp.policy { default = "allow" } }, Supervisor)
  end
  return filter
end

return M
