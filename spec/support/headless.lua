--- spec/support/headless.c, a process whose first thread has ended; compiled when the first spec asks for it.

local made = require "spec.support.made"
local trial = require "spec.support.trial"

local M = {}

--- Has the program at a path.
---@param path string
function M.at(path)
  local compiled = assert(made.once("headless", function(new)
    local said = trial.sh(("cc -std=c11 -D_GNU_SOURCE -Wall -Wextra -O1 -static -o %s spec/support/headless.c "
      .. "-lpthread"):format(new))
    return said ~= "" and said or nil
  end))
  trial.sh(("cp %s %s && chmod 755 %s"):format(compiled, path, path))
  made.done(compiled)
end

--- Waits until the first thread of a process has ended, and no longer than another runs on.
---@param pid integer
function M.await(pid)
  trial.wait_for(function()
    return (trial.read(("/proc/%d/stat"):format(pid)) or "gone"):find "^[^)]*headless%) Z "
  end, "the end of the first thread")
  assert(trial.runs(pid))
end

return M
