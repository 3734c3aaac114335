--- How a container's process waits between create and start: in the runner, after all that it is confined by has been
--- set and read back, for a byte from a FIFO in the directory of its state. Nobody else has to be there. It holds
--- another one open until it is the program: who has let it go sees that it has come to that.

local commands = require "cella.command"
local core = require "cella.core"
local failed = require "cella.oci.failed"

local sys = core.sys
local M = {}

local START, EXECUTED = "/start", "/executed"
local START_PATIENCE = 10 -- seconds
local ENXIO = 6

-- A FIFO in the directory of a state, open for both so that it has no end: what reads from it waits for a byte.
local function make_fifo(state, name)
  local path = state.path .. name
  local ok, message, errno = sys.mknod(path, "fifo", 384) -- 0600
  if not ok then return failed("mknod", path, message, errno) end
  local fd
  fd, message, errno = core.open(path, { "rdwr", "nofollow", "nonblock" })
  if not fd then return failed("open", path, message, errno) end
  return fd
end

-- The same file description without O_NONBLOCK would be shared: this opens it anew, to wait.
local function blocking(path)
  local fd, message, errno = core.open(path, { "rdwr", "nofollow" })
  if not fd then return failed("open", path, message, errno) end
  return fd
end

--- Makes both, in the directory of a state. Returns descriptors for the child: what it waits on, and what it holds.
---@param state cella.oci.state
---@return cella.fd?, cella.fd|cella.error?
function M.prepare(state)
  local start, err = make_fifo(state, START)
  if not start then return nil, err end
  start:close()
  start, err = blocking(state.path .. START)
  if not start then return nil, err end
  local executed
  executed, err = make_fifo(state, EXECUTED)
  if not executed then
    start:close()
    return nil, err
  end
  return start, executed
end

--- What the process does behind its streams, before it is the program: says that all is done, and waits.
---@param plan cella.plan
---@param command table
---@param number integer  of the first of both descriptors; the other has the next
---@param tell fun(child: table): true?, any
function M.record(plan, command, number, tell)
  plan.program = command[1]
  plan:expect_program(commands.candidates(command[1], commands.environment_list(command.environment)))
  plan:meet(tell, "created")
  plan:wait_for_byte(number)
  plan:close(number):close(number + 1)
end

-- That the process has been let go and is the program, or gone: then nobody holds the other end any more.
local function wait_for_program(executed)
  local till = core.now() + START_PATIENCE
  repeat
    local data, message, errno = executed:read()
    if data == nil then return failed("read", nil, message, errno) end
    if data ~= false then return true end
    core.poll({ executed:number() }, math.max(till - core.now(), 0))
  until core.now() >= till
  return failed("start", nil, ("the program is not executed after %d seconds"):format(START_PATIENCE))
end

local function let_go(path)
  local start, message, errno = core.open(path, { "wronly", "nonblock", "nofollow" })
  if errno == ENXIO then return failed("start", nil, "the container's process does not wait for it any more") end
  if not start then return failed("open", path, message, errno) end
  local ok
  ok, message, errno = sys.write(start:number(), "!")
  start:close()
  if not ok then return failed("write", path, message, errno) end
  os.remove(path)
  return true
end

--- Lets the process go on. Returns once it is the program; nil and an error where it was not seen to be.
---@param state cella.oci.state
---@return true?, cella.error?
function M.finish(state)
  local path = state.path .. EXECUTED
  local executed, message, errno = core.open(path, { "rdonly", "nonblock", "nofollow" })
  if not executed then return failed("open", path, message, errno) end
  local ok, err = let_go(state.path .. START)
  if ok then ok, err = wait_for_program(executed) end
  executed:close()
  if not ok then return nil, err end
  os.remove(path)
  return true
end

return M
