--- Who reads what lies in the memory of a program: a process of its own, because that may have to wait for it, for as
--- long as somebody in there likes (a page of a file of FUSE), and no signal would end that. It is asked over a socket,
--- and given up where it does not answer.

local core = require "cella.core"
local plans = require "cella.plan"
local runner = require "cella.runner"

local M = {}

-- How long one answer may take, which takes some microseconds: so many times as long as the reader took to start, which
-- tells how busy the machine is; within these bounds, in seconds.
local TIMES, SHORTEST, LONGEST = 20, 0.5, 10
local MOST = 3 -- readers that one program may keep waiting

---@class cella.denied.reader
---@field started integer  how many there have been
---@field socket cella.fd?
---@field patience number?  seconds
local Reader = {}
Reader.__index = Reader

---@return cella.denied.reader
function M.new() return setmetatable({ started = 0 }, Reader) end

local function start()
  local ours, theirs = core.listener.pair()
  if not ours then return nil end
  local program = runner.open()
  if not program then
    ours:close()
    theirs:close()
    return nil
  end
  local began = core.now()
  local plan = plans.new()
  plan:chdir "/"
  plan:setsid()
  plan:exec { "/proc/self/fd/4", "reader", environment = {}, stdin = "null", stdout = "null", stderr = "null",
    fds = { [3] = theirs:number(), [4] = program:number() } }
  local result = plan:run()
  program:close()
  theirs:close()
  if result and result.code == 0 then
    return ours, math.max(SHORTEST, math.min(LONGEST, TIMES * (core.now() - began)))
  end
  ours:close()
  return nil
end

--- What lies there, as core.listener.memory has it; nil where that is not known.
---@param pid integer
---@param address string
---@param size integer
---@param is_text boolean?
---@return string?, boolean?
function Reader:read(pid, address, size, is_text)
  if not self.socket then
    if self.started >= MOST then return nil end
    self.started = self.started + 1
    self.socket, self.patience = start()
    if not self.socket then return nil end
  end
  local bytes, second, errno = core.listener.memory(self.socket:number(), math.floor(1000 * self.patience), pid,
    address, size, is_text)
  if bytes then return bytes, second end
  local code = core.errno_name(errno)
  if code == "ETIMEDOUT" or code == "EPIPE" or code == "ECONNRESET" then self:close() end
  return nil
end

--- Lets go of it. It ends by that, once it waits no longer.
function Reader:close()
  if self.socket then self.socket:close() end
  self.socket = nil
end

return M
