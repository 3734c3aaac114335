--- What a plan's child will hold at each step, predicted from the recorded steps before anything happens, and whether
--- that is what the plan asks for.

local blame = require "cella.blame"
local core = require "cella.core"
local Error = require "cella.error"
local exec = require "cella.caps.exec"
local idmap = require "cella.idmap.value"
local lists = require "cella.list"
local read = require "cella.caps.read"
local state = require "cella.caps.state"
local validate = require "cella.validate"
require "cella.caps.prctl"
require "cella.caps.rules"

local rule = validate.rule
local M = {}

-- What a step does to the fields of a state: notes, or nil and the error that the kernel would give, as the rules
-- (cella.caps.state); false where it does nothing to them. The third is what it is called, where that is not its name.
local acts = {}

-- A map as the new namespace's process wrote it is in terms of the namespace around it; the observer's may be farther
-- out.
local function write_map(fields, context, kind, source)
  local map = idmap.try(source)
  local ids = fields.ids
  fields.ids = nil -- not known; if the kernel refuses the map, that step's error says why
  if map and ids then
    local around = context.around
    if around then map = map:compose(around[kind]) end
    fields.ids = { uid = ids.uid, gid = ids.gid, parents = ids.parents }
    fields.ids[kind] = map
  end
  return {}, nil, kind .. "_map"
end

-- Entering a user namespace; what was the namespace is the one around it from now on.
local function enter(fields, context)
  local around = fields.ids
  local notes, err = state.perform(fields, "unshare_user")
  if not notes then return nil, err end
  context.around = around and around.uid.compose and not around.whole and around or nil
  return notes, nil, "unshare user"
end

function acts.capset(fields, a)
  return state.perform(fields, "capset", a.effective, a.permitted, a.inheritable)
end

for _, name in ipairs { "capbset_drop", "ambient_raise", "ambient_lower" } do
  acts[name] = function(fields, a) return state.perform(fields, name, a.capabilities) end
end

for name, argument in pairs { ambient_clear = "", securebits = "bits", keep_caps = "on", no_new_privs = "",
  setgroups = "groups" } do
  acts[name] = function(fields, a) return state.perform(fields, name, a[argument]) end
end

function acts.setresuid(fields, a) return state.perform(fields, "setresuid", a.ruid, a.euid, a.suid) end
function acts.setresgid(fields, a) return state.perform(fields, "setresgid", a.rgid, a.egid, a.sgid) end

function acts.unshare(fields, a, context)
  if not lists.contains(a.namespaces, "user") then return false end
  return enter(fields, context)
end

acts.fork = acts.unshare

-- A filter is no part of the state, but whether the kernel takes it is decided by that.
function acts.seccomp(fields)
  if fields.no_new_privs ~= false or not fields.effective or fields.effective:has "sys_admin" then return false end
  return state.refused("seccomp", "EACCES", "a filter needs no_new_privs, or CAP_SYS_ADMIN in the effective set "
    .. "(seccomp(2))")
end

-- Nor are rules of Landlock's.
function acts.landlock_restrict_self(fields)
  if fields.no_new_privs ~= false or not fields.effective or fields.effective:has "sys_admin" then return false end
  return state.refused("landlock_restrict_self", "EPERM", "rules need no_new_privs, or CAP_SYS_ADMIN in the effective "
    .. "set (landlock_restrict_self(2))")
end

-- Where the parent has written maps of which its steps do not tell, IDs pass as they are: better no prediction than a
-- wrong one. Returns whether anything has changed.
local function settle(fields)
  local ids = fields.ids
  if not ids or ids.uid.compose and ids.gid.compose then return false end
  fields.ids = nil
  return true
end

-- Joined: the maps are those of a namespace that exists, and may be looked up where the plan names it.
function acts.setns(fields, a, context)
  if not lists.contains(a.namespaces, "user") then return false end
  local notes, err = enter(fields, context)
  if not notes then return nil, err end
  fields.ids = context.joined -- nil: not known; then IDs pass as they are
  return {}
end

function acts.write_file(fields, a, context)
  local kind = a.path:match("^/proc/self/([ug]id)_map$")
  if not kind then return false end
  return write_map(fields, context, kind, a.data)
end

function acts.execve(fields, _, context)
  local notes, err = state.perform(fields, "exec", context.exec)
  return notes, err, "exec"
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
  file = exec.file_rule,
  kernel = rule.string,
  joined = state.maps_rule,
}

local function check_plan_value(plan)
  if type(plan) ~= "table" or type(plan.steps) ~= "function" then
    blame("plan: a plan expected, got " .. validate.show(plan))
  end
end

-- The operations that there are, as plan:visit takes them.
local EVERY = {}
for _, number in pairs(core.operations) do EVERY[number] = true end

local function copy(fields)
  local same = {}
  for key, value in pairs(fields) do same[key] = value end
  return same
end

-- Walks the steps with the fields of `from`, which change; calls visit(number, side, op, args, fields, notes, err,
-- name), the last three as acts have them; a name of nil is that of what came before. Stops where a step fails, or
-- where visit returns something. `only`: as plan:visit takes it.
local function each_step(plan, from, options, only, visit)
  -- From an injected state nothing is asked of this host.
  local kernel = options.kernel or not options.state and read.kernel() or nil
  local context = { exec = { file = options.file, kernel = kernel }, joined = options.joined or joined_ids(plan) }
  local fields, cloned, maps_written = state.fields(from), false, false
  plan:visit(function(number, side, op, args)
    local notes, err, name = false, nil, nil
    if side == "child" then
      local settled = maps_written and settle(fields)
      maps_written = false
      if acts[op] then notes, err, name = acts[op](fields, args, context) end
      if notes then name = name or op elseif notes == false and settled then notes = {} end
    elseif op == "clone3" then
      cloned = true
      if lists.contains(plan.namespaces, "user") then notes, err, name = enter(fields, context) end
    else
      maps_written = cloned
      if args.kind then notes, err, name = write_map(fields, context, args.kind, plan.ids[args.kind]) end
    end
    return visit(number, side, op, args, fields, notes, err, name) or notes == nil
  end, only)
end

--- The state of a plan's child at each step, predicted. Starts from `options.state`, that of this process if nil.
--- `file` is what it executes, as for state:after_exec; without it, a program without set-ID bits or capabilities.
--- `joined`: the ID maps of a user namespace that it joins, `{ uid =, gid = }`, where /proc/PID/ns/user does not lead
--- to them.
---
--- A step that the rules say will fail is the last, with `err` in place of `state`.
---@param plan cella.plan
---@param options { state: cella.caps.state?, file: table?, kernel: string?, joined: table? }?
---@return { number: integer, side: string, op: string, text: string, state: cella.caps.state?, err: cella.error? }[]?
---@return cella.error?
function M.walk(plan, options)
  check_plan_value(plan)
  options = validate.check(options_rule, options or {}, "")
  local current, problem = options.state, nil
  if not current then current, problem = read.own() end
  if not current then return nil, problem end
  local predicted = {}
  each_step(plan, current, options, EVERY, function(number, _, _, _, fields, notes, err, name)
    if notes then
      current = state.wrap(copy(fields), name and "predicted: after " .. name or current.origin, notes)
    end
    predicted[number] = { state = notes ~= nil and current or nil, err = err }
  end)
  local list = {}
  for i, step in ipairs(plan:steps()) do
    local after = predicted[i]
    if not after then break end
    list[i] = { number = i, side = step.side, op = step.op, text = step.text, state = after.state, err = after.err }
  end
  return list
end

-- An exec's text has the whole environment in it.
local function shown(plan, number, op)
  if op == "execve" or op == "call" then return ("%s(%q)"):format(op, plan.program or "?") end
  return plan:steps()[number].text
end

local function as_error(plan, at, message, why, code)
  return Error.new { op = at.op, step = at.number, side = at.side, text = shown(plan, at.number, at.op), code = code,
    errno = ({ EINVAL = 22, EACCES = 13 })[code] or 1, message = message, why = why }
end

-- What check looks at: what changes a state, what reads one back, and where the parent does its part.
local CHECKED = {}
for _, name in ipairs { "expect_capabilities", "await" } do CHECKED[core.operations[name]] = true end
for name in pairs(acts) do CHECKED[core.operations[name]] = true end

-- Which step took a capability from a set for the last time before another step, as the end of a sentence.
local function describe_loss(plan, start, options, stop, field, lacking)
  local before, where = state.raw(start)[field], nil
  each_step(plan, start, options, CHECKED, function(number, _, op, _, fields, notes)
    if before and fields[field] and not (lacking * before - fields[field]):empty() then
      where = { number = number, op = op, notes = table.concat(notes or {}, "; ") }
    end
    before = fields[field]
    return number == stop
  end)
  if not where then return ("%s never held %s"):format(field, tostring(lacking)) end
  return ("step %d, %s, takes %s from %s%s"):format(where.number, shown(plan, where.number, where.op),
    tostring(lacking), field, where.notes ~= "" and ": " .. where.notes or "")
end

--- As check, from a state, with options that are known to be good.
---@param start cella.caps.state
---@param plan cella.plan
---@param options table
---@return true?, cella.error?
function M.check_from(start, plan, options)
  local problem, expected
  local function lacks(at, fields, field, message)
    local wanted = expected[field]
    if wanted == fields[field] then return false end
    local lacking = wanted - fields[field]
    if lacking:empty() then return false end
    problem = as_error(plan, at, message:format(tostring(lacking)),
      describe_loss(plan, start, options, at.number, field, lacking))
    return true
  end
  local function has_more(at, fields, field)
    local wanted = expected[field]
    if wanted == fields[field] then return false end
    local surplus = fields[field] - wanted
    if surplus:empty() then return false end
    problem = as_error(plan, at, ("%s will hold %s too"):format(field, tostring(surplus)), "no step takes it away")
    return true
  end
  each_step(plan, start, options, CHECKED, function(number, side, op, args, fields, _, err)
    if not err and op ~= "expect_capabilities" and (op ~= "execve" or not expected) then return nil end
    local at = { number = number, side = side, op = op }
    if err then
      problem = as_error(plan, at, err.message, err.why, err.code)
      return true
    elseif op == "expect_capabilities" then
      expected = args
      for _, field in ipairs(state.SETS) do
        if lacks(at, fields, field, field .. " will lack %s") or has_more(at, fields, field) then return true end
      end
    else
      return lacks(at, fields, "effective", "the program will not hold %s")
        or lacks(at, fields, "permitted", "the program will not hold %s")
    end
    return nil
  end)
  if problem then return nil, problem end
  return true
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
---@return true?, cella.error?
function M.check(plan, options)
  check_plan_value(plan)
  options = validate.check(options_rule, options or {}, "")
  local start, unknown = options.state, nil
  if not start then start, unknown = read.own() end
  if not start then return nil, unknown end
  return M.check_from(start, plan, options)
end

return M
