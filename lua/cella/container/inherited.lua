--- What a program would inherit from the caller over exec, and must not: attributes that weaken it, or tell it
--- something. What confines the caller confines the program too, and is not touched.

local core = require "cella.core"

local M = {}

local LINUX = 0 -- the persona (personality(2)): addresses are random, nothing readable is executable for that alone
local SLACK = 50000 -- nanoseconds, that of process 1

--- Attributes of the process. Before an init, whose child has its timer slack as the default.
---@param plan cella.plan
function M.record_reset(plan)
  plan:personality(LINUX)
  plan:timer_slack(SLACK)
end

--- Attributes of its memory, which exec hands on: those of the runner, or of the copy that a function runs in.
---@param plan cella.plan
function M.record_memory(plan)
  if not core.sys.expect_memory_defaults() then
    plan:thp_disable(false)
    plan:memory_merge(false)
  end
  plan:expect_memory_defaults()
end

--- Reads back what record_reset has set.
---@param plan cella.plan
function M.record_expected(plan)
  plan:expect_personality(LINUX)
  plan:expect_timer_slack(SLACK)
end

return M
