--- What a plan's child will hold at each step, predicted from the recorded steps before anything happens, and whether
--- that is what the plan asks for.

local Error = require "cella.error"
local idmap = require "cella.idmap"
local lists = require "cella.list"
local read = require "cella.caps.read"
local set = require "cella.caps.set"
local state = require "cella.caps.state"
local validate = require "cella.validate"
require "cella.caps.prctl"
require "cella.caps.rules"

local rule = validate.rule
local M = {}

-- A map as the new namespace's process wrote it is in terms of the namespace around it; the observer's may be farther
-- out.
local function with_map(context, current, kind, text)
  local ok, map = pcall(idmap.new, text)
  local fields, ids = state.fields(current), current.ids
  if ok and ids then
    local around = context.around
    if around then map = map:compose(around[kind]) end
    fields.ids = { uid = ids.uid, gid = ids.gid, parents = ids.parents }
    fields.ids[kind] = map
  else
    fields.ids = nil -- not known; if the kernel refuses the map, that step's error says why
  end
  return state.wrap(fields, "predicted: after " .. kind .. "_map")
end

-- Entering a user namespace; what was the namespace is the one around it from now on.
local function enter(context, current)
  local around = current.ids
  local following, err = current:after_unshare_user()
  if not following then return nil, err end
  context.around = around and around.uid.compose and around or nil
  return following
end

local acts = {}

function acts.capset(current, a)
  return current:after_capset(set.from_mask(a.effective), set.from_mask(a.permitted), set.from_mask(a.inheritable))
end

for _, name in ipairs { "capbset_drop", "ambient_raise", "ambient_lower" } do
  acts[name] = function(current, a) return current["after_" .. name](current, set.from_mask(a.capabilities)) end
end

function acts.ambient_clear(current) return current:after_ambient_clear() end
function acts.securebits(current, a) return current:after_securebits(a.bits) end
function acts.keep_caps(current, a) return current:after_keep_caps(a.on) end
function acts.no_new_privs(current) return current:after_no_new_privs() end
function acts.setresuid(current, a) return current:after_setresuid(a.ruid, a.euid, a.suid) end
function acts.setresgid(current, a) return current:after_setresgid(a.rgid, a.egid, a.sgid) end
function acts.setgroups(current, a) return current:after_setgroups(a.groups) end

function acts.unshare(current, a, context)
  if lists.contains(a.namespaces, "user") then return enter(context, current) end
  return current
end

function acts.fork(current, a, context)
  if lists.contains(a.namespaces, "user") then return enter(context, current) end
  return current
end

-- Where the parent has written maps of which its steps do not tell, IDs pass as they are: better no prediction than a
-- wrong one.
local function settled(current)
  local ids = current.ids
  if not ids or ids.uid.compose and ids.gid.compose then return current end
  local fields = state.fields(current)
  fields.ids = nil
  return state.wrap(fields, current.origin)
end

-- Joined: the maps are those of a namespace that exists, and may be looked up where the plan names it.
function acts.setns(current, a, context)
  if not lists.contains(a.namespaces, "user") then return current end
  local following, err = enter(context, current)
  if not following then return nil, err end
  local fields = state.fields(following)
  fields.ids = context.joined -- nil: not known; then IDs pass as they are
  return state.wrap(fields, "predicted: after setns")
end

function acts.write_file(current, a, context)
  local kind = a.path:match("^/proc/self/([ug]id)_map$")
  if kind then return with_map(context, current, kind, a.data) end
  return current
end

function acts.execve(current, _, context)
  return current:after_exec { file = context.file, kernel = context.kernel }
end

-- The maps that the parent writes, from what its steps say that they will write.
local function parent_map(args)
  if not args.kind then return nil end
  if args.data then return args.kind, args.data end
  local lines = {}
  for i = 1, #args.numbers, 3 do lines[#lines + 1] = table.concat(args.numbers, " ", i, i + 2) end
  return args.kind, table.concat(lines, "\n")
end

local function joined_ids(plan)
  for _, step in ipairs(plan.before) do
    local path = step.args.path
    local pid = path and path:match("^/proc/(%d+)/ns/user$")
    local uid = pid and idmap.of(tonumber(pid), "uid")
    local gid = pid and idmap.of(tonumber(pid), "gid")
    if uid and gid then return { uid = uid, gid = gid } end
  end
  return nil
end

local options_rule = rule.record {
  state = function(value, path)
    if not state.is(value) then validate.fail(path, "a state expected, got %s", validate.show(value)) end
    return value
  end,
  file = function(value) return value end, -- after_exec checks it
  kernel = rule.string,
  joined = state.maps_rule,
}

local function check_plan_value(plan, level)
  if type(plan) ~= "table" or type(plan.steps) ~= "function" then
    error("plan: a plan expected, got " .. validate.show(plan), level + 1)
  end
end

-- Walks the steps; calls visit(number, op, arguments, state before, state after | nil, err). Stops where a step fails.
local function each_step(plan, options, visit)
  local current = options.state
  if not current then
    local problem
    current, problem = read.own()
    if not current then return nil, problem end
  end
  -- From an injected state nothing is asked of this host.
  local kernel = options.kernel or not options.state and read.kernel() or nil
  local context = { file = options.file, kernel = kernel, joined = options.joined or joined_ids(plan) }
  local steps = plan:steps()
  local child, cloned, maps_written = 0, false, false
  for _, step in ipairs(steps) do
    local following, arguments, err
    if step.side == "child" then
      child = child + 1
      if maps_written then current, maps_written = settled(current), false end
      local name = step.op
      arguments = step.args
      following, err = current, nil
      if acts[name] then following, err = acts[name](current, arguments, context) end
    elseif step.op == "clone3" then
      cloned, following, err = true, current, nil
      if lists.contains(plan.namespaces, "user") then following, err = enter(context, current) end
    else
      maps_written = cloned
      local kind, text = parent_map(step.args)
      following, err = kind and with_map(context, current, kind, text) or current, nil
    end
    visit(step, arguments, current, following, err)
    if not following then return true end
    current = following
  end
  return true
end

--- The state of a plan's child at each step, predicted. Starts from `options.state`, that of this process if nil.
--- `file` is what it executes, as for state:after_exec; without it, a program without set-ID bits or capabilities.
--- `joined`: the ID maps of a user namespace that it joins, `{ uid =, gid = }`, where /proc/PID/ns/user does not lead
--- to them.
---
--- A step that the rules say will fail is the last, with `err` in place of `state`.
---@param plan cella.plan
---@param options { state: cella.caps.state?, file: table?, kernel: string?, joined: table? }?
---@param level integer?  whom to blame for these: 1, if not given, is who calls this
---@return { number: integer, side: string, op: string, text: string, state: cella.caps.state?, err: cella.error? }[]?
---@return cella.error?
function M.walk(plan, options, level)
  level = (level or 1) + 1
  check_plan_value(plan, level)
  options = validate.check(options_rule, options or {}, "", level)
  local list = {}
  local ok, err = each_step(plan, options, function(step, _, _, following, problem)
    list[#list + 1] = { number = step.number, side = step.side, op = step.op, text = step.text, state = following,
      err = problem }
  end)
  if not ok then return nil, err end
  return list
end

-- An exec's text has the whole environment in it.
local function shown(plan, step)
  if step.op == "execve" or step.op == "call" then return ("%s(%q)"):format(step.op, plan.program or "?") end
  return step.text
end

local function as_error(plan, step, message, why, code)
  return Error.new { op = step.op, step = step.number, side = step.side, text = shown(plan, step), code = code,
    errno = code == "EINVAL" and 22 or 1, message = message, why = why }
end

local EXPECTED = { "effective", "permitted", "inheritable", "bounding", "ambient" }

-- Where a capability left a set for the last time.
local function lost_at(history, field, lacking)
  for i = #history, 2, -1 do
    local before, now = history[i - 1].state[field], history[i].state[field]
    if before and now and not (lacking * before - now):empty() then return history[i] end
  end
  return nil
end

local function describe_loss(plan, history, field, lacking)
  local where = lost_at(history, field, lacking)
  if not where then return ("%s never held %s"):format(field, tostring(lacking)) end
  local notes = table.concat(where.state.notes, "; ")
  return ("step %d, %s, takes %s from %s%s"):format(where.step.number, shown(plan, where.step), tostring(lacking),
    field,
    notes ~= "" and ": " .. notes or "")
end

--- Whether the rules let the plan come to its end with what it asks for: every step that changes credentials
--- succeeds, what its expect_capabilities steps read back is so, and the program has, after exec, what they said was
--- effective. Otherwise nil and an error with the step that fails or loses a capability, which, and why. Nothing is
--- run.
---
--- Takes the options of walk. Where a user namespace is joined whose maps are not known, only what does not depend on
--- them is said.
---@param plan cella.plan
---@param options table?
---@param level integer?  as for walk
---@return true?, cella.error?
function M.check(plan, options, level)
  level = (level or 1) + 1
  check_plan_value(plan, level)
  options = validate.check(options_rule, options or {}, "", level)
  local history, problem, expected = {}, nil, nil
  local ok, err = each_step(plan, options, function(step, arguments, current, following, refused)
    if problem then return end
    if #history == 0 then history[1] = { step = step, state = current } end
    if refused then
      problem = as_error(plan, step, refused.message, refused.why, refused.code)
      return
    end
    history[#history + 1] = { step = step, state = following }
    if step.op == "expect_capabilities" then
      expected = arguments
      for _, field in ipairs(EXPECTED) do
        local wanted, is = set.from_mask(arguments[field]), following[field]
        local lacking, surplus = wanted - is, is - wanted
        if not lacking:empty() then
          problem = as_error(plan, step, ("%s will lack %s"):format(field, tostring(lacking)), describe_loss(plan,
            history, field,
            lacking))
          return
        elseif not surplus:empty() then
          problem = as_error(plan, step, ("%s will hold %s too"):format(field, tostring(surplus)),
            "no step takes it away")
          return
        end
      end
    elseif step.op == "execve" and expected then
      for _, field in ipairs { "effective", "permitted" } do
        local lacking = set.from_mask(expected[field]) - following[field]
        if not lacking:empty() then
          problem = as_error(plan, step, ("the program will not hold %s"):format(tostring(lacking)),
            describe_loss(plan, history, field, lacking))
          return
        end
      end
    end
  end)
  if not ok then return nil, err end
  if problem then return nil, problem end
  return true
end

return M
