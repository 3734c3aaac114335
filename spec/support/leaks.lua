--- What a spec leaves behind in the runner: descriptors, children, mounts. For before_each and after_each.

local core = require "cella.core"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

local M = {}

local MOST = 255

--- The numbers of the open descriptors, looked at without opening one.
function M.descriptors()
  local list = {}
  for number = 0, MOST do
    if core.is_open(number) then list[#list + 1] = number end
  end
  return table.concat(list, " ")
end

local function children()
  local file = io.open(("/proc/self/task/%d/children"):format(core.sys.getpid()))
  if not file then return "" end -- a kernel without CONFIG_PROC_CHILDREN
  local list = file:read("*a")
  file:close()
  return list
end

local function mounts()
  local file = assert(io.open "/proc/self/mountinfo")
  local text = file:read("*a")
  file:close()
  return text
end

local before

function M.watch()
  portable.collect()
  before = { descriptors = M.descriptors(), children = children(), mounts = mounts() }
end

function M.check()
  trial.release()
  portable.collect()
  assert(before.descriptors == M.descriptors(), "descriptors were left open: " .. M.descriptors())
  assert(before.children == children(), "children were left: " .. children())
  assert(before.mounts == mounts(), "mounts were left:\n" .. mounts())
end

return M
