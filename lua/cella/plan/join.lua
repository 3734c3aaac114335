--- Joining namespaces that exist (setns(2)), as steps of a plan.

local core = require "cella.core"
local held_module = require "cella.plan.held"
local kinds = require "cella.kinds"
local lists = require "cella.list"
local render = require "cella.plan.render"
local validate = require "cella.validate"

local rule = validate.rule

local M = {}

local process_id = rule.integer(1, 2147483647)

-- One that is held: it is open for as long as the plan is there, unless somebody closes it.
local function held(value, path)
  if core.is_fd(value) then return value end
  validate.fail(path, "a descriptor expected, got %s", validate.show(value))
end

local join_rule = rule.record({
  type = rule.one_of(kinds.list),
  path = rule.path,
  pid = process_id,
  fd = rule.integer(0, 2147483647),
  pidfd = rule.any("a descriptor", rule.integer(0, 2147483647), held),
}, { "type" })

--- A list of `{ type = "net", path | pid | fd | pidfd = ... }`.
M.rule = rule.list(function(value, path)
  if held_module.is(value) then return value end
  local copy = join_rule(value, path)
  local given = (copy.path and 1 or 0) + (copy.pid and 1 or 0) + (copy.fd and 1 or 0) + (copy.pidfd and 1 or 0)
  if given ~= 1 then validate.fail(path, "exactly one of path, pid, fd and pidfd expected") end
  return copy
end)

-- The user namespace comes first, because the right to join the others may come with it.
local function in_joining_order(joins)
  local ordered = {}
  for _, one in ipairs(joins) do
    table.insert(ordered, one.type == "user" and 1 or #ordered + 1, one)
  end
  return ordered
end

-- What one setns joins: a namespace, or those of a process together, where the kernel checks the right to every one
-- before it changes any (Linux 5.8).
local function in_calls(joins)
  local calls, of_process = {}, {}
  for _, one in ipairs(in_joining_order(joins)) do
    local call = one.pidfd and of_process[one.pidfd]
    if call then
      table.insert(call.types, one.type)
    else
      call = { from = one, types = { one.type } }
      calls[#calls + 1] = call
      if one.pidfd then of_process[one.pidfd] = call end
    end
  end
  return calls
end

-- A plan may be performed often, and every time its error is another.
local function copy_of(fields)
  local copy = {}
  for key, value in pairs(fields) do copy[key] = value end
  return setmetatable(copy, getmetatable(fields))
end

local function opener(one)
  local fd = one.fd or one.pidfd
  if type(one.pidfd) == "number" then
    return render.call("dup", { "fd", fd }), function() return core.dup(fd) end, nil, fd
  end
  return one.call or render.call("dup", { "fd", fd:number() }), function()
    if one.failure then return nil, copy_of(one.failure) end
    local number = fd:number()
    if not number then return nil, "the process was let go of before it was joined" end
    return core.dup(number)
  end
end

-- Records the joining itself.
local function record(plan, joins)
  local exposed = false
  for _, one in ipairs(joins) do
    exposed = exposed or one.pidfd or one.type == "user" or one.type == "pid" or one.type == "mount"
  end
  -- Who lives there already could trace this process, which has what the caller has (ptrace(2)).
  if exposed then plan:dumpable(false) end
  for _, call in ipairs(in_calls(joins)) do
    local slot = plan:input(opener(call.from))
    plan:setns(slot, call.types)
    plan:close(slot)
  end
end

local OPEN_PROC = render.call("open", { "path", "/proc" }, { "flags", { "path", "directory" } })

-- That this process is in what is held, and in nothing else. The kernel is asked in its own words where the namespaces
-- that are joined have no /proc. `left`: of which kinds it makes new ones next, or has.
local function record_expected(plan, joins, namespaces, left)
  local proc
  for _, one in ipairs(joins) do
    if one.inode and lists.contains(namespaces, one.type) == left then
      proc = proc or plan:input(OPEN_PROC, function() return core.open("/proc", { "path", "directory" }) end)
      plan:expect_namespace("self/ns/" .. kinds.link(one.type), one.inode, true, proc)
    end
  end
  if proc then plan:close(proc) end
end

--- Records the steps into namespaces that exist, and from there into new ones. Of a pid namespace only the children are
--- in it, and new namespaces come behind those that are joined. A new pid namespace is made only by who is in the one
--- above it (pid_namespaces(7)).
---@param plan cella.plan
---@param joins table[]
---@param namespaces string[]
---@param last boolean?  a fork into a joined pid namespace is left to the end of the plan (`plan.forks_last`)
function M.record(plan, joins, namespaces, last)
  joins = held_module.hold(joins)
  record(plan, joins)
  local children_only = false
  for _, one in ipairs(joins) do children_only = children_only or one.type == "pid" end
  if last then
    plan.forks_last = children_only
    return
  end
  if children_only and lists.contains(namespaces, "pid") then plan:fork {} end
  record_expected(plan, joins, namespaces, true)
  if #namespaces > 0 or children_only then plan:fork(namespaces) end
  record_expected(plan, joins, namespaces, false)
end

return M
