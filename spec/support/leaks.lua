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

local function look() return { descriptors = M.descriptors(), children = children(), mounts = mounts() } end

local function is_same(one, other)
  for name, text in pairs(one) do
    if other[name] ~= text then return false end
  end
  return true
end

local clean, before

-- What no longer has an owner goes first, where there is more, or less, than there was: a collection takes long.
function M.watch()
  before = look()
  if clean and is_same(before, clean) then return end
  portable.collect()
  clean = look()
  before = clean
end

function M.check()
  trial.release()
  local now = look()
  if is_same(now, before) then return end
  portable.collect()
  now = look()
  assert(before.descriptors == now.descriptors, "descriptors were left open: " .. now.descriptors)
  assert(before.children == now.children, "children were left: " .. now.children)
  assert(before.mounts == now.mounts, "mounts were left:\n" .. now.mounts)
end

return M
