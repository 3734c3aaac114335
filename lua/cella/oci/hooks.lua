--- Hooks of an OCI bundle: commands that the runtime starts at points of a container's life, with its state on their
--- standard input.

local Error = require "cella.error"
local json = require "cella.oci.json"
local Plan = require "cella.plan"
local printable = require "cella.printable"

local M = {}

local MOST_SAID = 4096 -- of what one says

-- What one has said, for an error.
local function words_of(result)
  local text = ((result.stderr or "") .. (result.stdout or "")):gsub("%s+$", "")
  return text ~= "" and ": " .. printable.line(text:sub(-MOST_SAID)) or ""
end

--- Runs those of a point, one after the other. Returns nil and an error at the first that fails, or takes longer than
--- its timeout: it is killed then, with all of its process group.
---@param point string
---@param list cella.oci.hook[]
---@param state table  what it reads
---@param first integer?  the number of the first, where the list is a part of those of the point
---@return true?, cella.error?
function M.run(point, list, state, first)
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
    local plan = Plan.new()
    plan:setsid()
    local process, err = plan:exec(command):spawn { capture_limit = 65536 }
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
