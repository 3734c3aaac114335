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

--- Attributes of its memory, which until exec is the caller's: they are reset where the process has, for a moment, a
--- memory of its own and is not the program yet (csrc/init/exec.c). A function runs in a copy: they are reset there.
---@param plan cella.plan
---@param is_function boolean
function M.record_memory(plan, is_function)
  if plan.hides_interpreter and not is_function then return end -- then it has that anyhow
  if not core.sys.expect_memory_defaults() then
    if not is_function then
      plan.resets_memory = true
      return
    end
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
