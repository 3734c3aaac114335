--- Programs that take part in the start of a container: they are started while its child waits, and what they leave is
--- known before it goes on. Whatever becomes of the start, none of them is left.

local core = require "cella.core"

local M = {}

--- Goes on with a helper until `is_ready(process)`, or it has ended, or the time is over. Who starts a container and
--- does not wait does not wait for its helpers.
---@param process cella.process
---@param till number     by the clock of core.now()
---@param context table   of the steps of a plan
---@param is_ready (fun(process: cella.process): boolean)?  none where its end is waited for
---@return boolean ready  or ended
function M.go_on(process, till, context, is_ready)
  while true do
    if process:step() or is_ready and is_ready(process) then return true end
    local left = till - core.now()
    if left <= 0 then return false end
    left = math.min(left, process:timeout() or left)
    if context.pause then
      context.pause(process:pollfd(), left)
    else
      core.poll({ process:pollfd() }, left)
    end
  end
end

--- Waits for the end of a helper. Its handle is let go of where there is a result.
---@param process cella.process
---@param seconds number
---@param context table
---@return cella.result?, cella.error?
function M.wait_for(process, seconds, context)
  local till = core.now() + seconds
  if context.pause then M.go_on(process, till, context) end
  local result, err = process:wait(math.max(0, till - core.now()))
  if result then process:close() end -- or what it was waited for with would stay
  return result, err
end

--- The whole group of a helper that takes too long, while its number is still its own.
---@param process cella.process
function M.finish(process)
  process:signal_group "kill"
  process:close()
end

--- Notes a helper that runs, and a descriptor that it is heard by, for who gives up the start of the container.
---@param process cella.process
---@param context table
---@param heard_by cella.fd?
function M.note(process, context, heard_by)
  context.helpers = context.helpers or {}
  context.helpers[#context.helpers + 1] = { process = process, heard_by = heard_by }
end

--- Ends those that run still for a start that nobody goes on with.
---@param context table
function M.finish_all(context)
  for _, one in ipairs(context.helpers or {}) do
    local process = one.process
    if process.result or process.failure then process:close() else M.finish(process) end
    if one.heard_by then one.heard_by:close() end
  end
  context.helpers = nil
end

return M
