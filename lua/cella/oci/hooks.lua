--- Hooks of an OCI bundle: commands that the runtime starts at points of a container's life, with its state on their
--- standard input.

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

--- Runs those of a point, one after the other. Returns nil and an error at the first that fails, or takes longer than
--- its timeout: it is killed then, with all of its process group.
---@param point string
---@param list cella.oci.hook[]
---@param state table  what it reads
---@param first integer?  the number of the first, where the list is a part of those of the point
---@param start (fun(command: table): cella.process?, cella.error?)?  those of some points are in the container
---@return true?, cella.error?
function M.run(point, list, state, first, start)
  for i, hook in ipairs(list or {}) do
    local command = { hook.path, stdin = { content = assert(json.encode(state)) }, stdout = "capture",
      stderr = "capture", environment = {} }
    for _, entry in ipairs(hook.env or {}) do
      local name, value = entry:match "^([^=]+)=(.*)$"
      if name then command.environment[name] = value end
    end
    for j, word in ipairs(hook.args or {}) do
      if j == 1 then command.argv0 = word else command[j] = word end
    end
    local name = ("hooks.%s[%d]"):format(point, (first or 1) + i - 2)
    local process, err = (start or start_here)(command)
    local result
    if process then result, err = process:wait(hook.timeout) end
    if process and not result and err.code == "ETIMEDOUT" then
      process:signal_group "kill"
      result = process:wait() or {}
      return nil, Error.new { op = name, path = hook.path,
        message = ("has not ended after %d seconds%s"):format(hook.timeout, words_of(result)) }
    elseif not result then
      return nil, Error.new { op = name, path = hook.path, message = tostring(err) }
    elseif result.reason ~= "exited" or result.code ~= 0 then
      local how = result.code and ("status %d"):format(result.code) or tostring(result.signal or result.reason)
      return nil, Error.new { op = name, path = hook.path,
        message = ("has ended with %s%s"):format(how, words_of(result)) }
    end
  end
  return true
end

return M
