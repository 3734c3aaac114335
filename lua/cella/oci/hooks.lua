--- Hooks of an OCI bundle: commands that the runtime starts at points of a container's life, with its state on their
--- standard input.

local core = require "cella.core"
local Error = require "cella.error"
local json = require "cella.oci.json"
local Plan = require "cella.plan"
local printable = require "cella.printable"

local M = {}

local MOST_SAID = 4096 -- of what one says
local CAPTURE_LIMIT = 65536

-- What one has said, for an error.
local function words_of(result)
  local text = ((result.stderr or "") .. (result.stdout or "")):gsub("%s+$", "")
  return text ~= "" and ": " .. printable.line(text:sub(-MOST_SAID)) or ""
end

--- Starts one, behind the steps of a plan.
---@param plan cella.plan
---@param command table
---@return cella.process?, cella.error?
function M.start(plan, command)
  plan:setsid()
  return plan:exec(command):spawn { capture_limit = CAPTURE_LIMIT }
end

local function start_here(command) return M.start(Plan.new(), command) end

--- Has those of a point run in the namespaces of a process, confined as that is.
---@param entrance cella.entrance
---@return fun(command: table): cella.process?, cella.error?
function M.inside(entrance)
  return function(command)
    command.capture_limit = CAPTURE_LIMIT
    local ok, process, err = pcall(entrance.spawn, entrance, command)
    if ok then return process, err end
    return nil, Error.new { op = "enter", message = tostring(process):gsub("^[^ ]*:%d+: ", "") }
  end
end

local INTERVAL = 0.1 -- seconds, in which that is seen

-- Waits for the end of one; no longer than its timeout, and than until its container is to be deleted.
local function wait(process, timeout, doomed)
  local till = timeout and core.now() + timeout
  while true do
    local left = till and math.max(till - core.now(), 0)
    local result, err = process:wait(doomed and math.min(left or INTERVAL, INTERVAL) or left)
    if result or err.code ~= "ETIMEDOUT" or till and core.now() >= till then return result, err end
    if doomed and doomed() then
      err.is_doomed = true
      return nil, err
    end
  end
end

--- Runs those of a point, one after the other. Returns nil and an error at the first that fails, or takes longer than
--- its timeout: it is killed then, with all of its process group.
---@param point string
---@param list cella.oci.hook[]
---@param state table  what it reads
---@param how { first: integer?, start: function?, doomed: (fun(): boolean)? }?  the number of the first, where the list
---  is a part of those of the point; what starts one, of points in the container; and whether that is to be deleted:
---  then the hook is killed
---@return true?, cella.error?
function M.run(point, list, state, how)
  how = how or {}
  for i, hook in ipairs(list or {}) do
    local command = { hook.path, stdin = { content = assert(json.encode(state)) }, stdout = "capture",
      stderr = "capture", environment = { PATH = false, HOME = false, TERM = false } }
    for _, entry in ipairs(hook.env or {}) do
      local name, value = entry:match "^([^=]+)=(.*)$"
      command.environment[name] = value -- cella.oci.read has checked that there is one, and each once
    end
    for j, word in ipairs(hook.args or {}) do
      if j == 1 then command.argv0 = word else command[j] = word end
    end
    local name = ("hooks.%s[%d]"):format(point, (how.first or 1) + i - 2)
    local process, err = (how.start or start_here)(command)
    local result
    if process then result, err = wait(process, hook.timeout, how.doomed) end
    if process and not result and err.code == "ETIMEDOUT" then
      process:signal_group "kill"
      result = process:wait() or {}
      local why = err.is_doomed and "is killed: the container is being deleted"
        or ("has not ended after %d seconds"):format(hook.timeout)
      return nil, Error.new { op = name, path = hook.path, message = why .. words_of(result) }
    elseif not result then
      return nil, Error.new { op = name, path = hook.path, message = tostring(err) }
    elseif result.reason ~= "exited" or result.code ~= 0 then
      local ending = result.code and ("status %d"):format(result.code) or tostring(result.signal or result.reason)
      return nil, Error.new { op = name, path = hook.path,
        message = ("has ended with %s%s"):format(ending, words_of(result)) }
    end
  end
  return true
end

return M
