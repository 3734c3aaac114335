--- Programs without a container: a plan's handle and result are the same with one.

local cella = require "cella"
local trial = require "spec.support.trial"

local M = {}

--- A plan that executes no more than this.
function M.new(command) return cella.plan():exec(command) end

--- Its result; it has to start.
function M.run(command, options)
  local result, err = M.new(command):run(options)
  return result or error(tostring(err), 2)
end

--- A shell script without streams of the runner's, and what else a command may say.
function M.sh(script, keys)
  local command = { "sh", "-c", script, stdin = "null", stdout = "null", stderr = "null" }
  for key, value in pairs(keys or {}) do command[key] = value end
  return command
end

--- Of /proc, without reaping: the letter of what a process does, or "gone".
function M.state(pid)
  local text = trial.read(("/proc/%d/stat"):format(pid))
  return text and text:match("^.*%) (%S)") or "gone"
end

--- That a call raises a string with this message in it. Returns it.
function M.raises(message, f, ...)
  local ok, err = pcall(f, ...)
  if ok then error("nothing was raised", 2) end
  if type(err) ~= "string" then error("what is raised is a " .. type(err), 2) end
  if not err:find(message, 1, true) then error(("%q is not in %q"):format(message, err), 2) end
  return err
end

return M
