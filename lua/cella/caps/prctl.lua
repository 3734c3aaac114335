--- What capset(2) and the prctl(2)s of capabilities(7) do to a state: pure rules, as in cella.caps.rules.

local securebits = require "cella.caps.securebits"
local set = require "cella.caps.set"
local state = require "cella.caps.state"
local validate = require "cella.validate"

local methods = state.methods
local refused = state.refused

local ALL_SETS = { "effective", "permitted", "inheritable", "bounding", "ambient", "securebits" }

state.rule("capset", ALL_SETS, function(fields, effective, permitted, inheritable)
  if not fields.permitted:contains(permitted) then
    return refused("capset", "EPERM", ("permitted only shrinks, and it does not hold %s"):format(
      tostring(permitted - fields.permitted)))
  elseif not permitted:contains(effective) then
    return refused("capset", "EPERM", ("effective may hold what permitted holds, and that would not be %s"):format(
      tostring(effective - permitted)))
  elseif not fields.effective:has "setpcap" and not (fields.inheritable + fields.permitted):contains(inheritable) then
    return refused("capset", "EPERM",
      ("without CAP_SETPCAP in effect, inheritable takes from permitted alone, which does "
      .. "not hold %s"):format(tostring(inheritable - fields.inheritable - fields.permitted)))
  elseif not (fields.inheritable + fields.bounding):contains(inheritable) then
    return refused("capset", "EPERM",
      ("what is added to inheritable has to be in the bounding set, which does not hold %s")
      :format(tostring(inheritable - fields.inheritable - fields.bounding)))
  end
  local ambient, notes = fields.ambient, {}
  fields.effective, fields.permitted, fields.inheritable = effective, permitted, inheritable
  fields.ambient = ambient * permitted * inheritable
  if fields.ambient ~= ambient then
    notes[1] = ("ambient loses %s, which left permitted or inheritable"):format(tostring(ambient - fields.ambient))
  end
  return notes
end)

--- The state after capset(2).
---@param effective cella.capabilities|cella.caps.set
---@param permitted cella.capabilities|cella.caps.set
---@param inheritable cella.capabilities|cella.caps.set
---@return cella.caps.state?, cella.error?
function methods:after_capset(effective, permitted, inheritable)
  effective, permitted, inheritable = set.mask(effective), set.mask(permitted), set.mask(inheritable)
  return state.after(self, "capset", effective, permitted, inheritable)
end

local function needs_setpcap(fields, op, what)
  if fields.effective:has "setpcap" then return true end
  return refused(op, "EPERM", what .. " needs CAP_SETPCAP in effect")
end

state.rule("capbset_drop", { "effective", "bounding" }, function(fields, dropped)
  if not dropped:empty() then
    local ok, err = needs_setpcap(fields, "capbset_drop", "dropping from the bounding set")
    if not ok then return nil, err end
  end
  fields.bounding = fields.bounding - dropped
  return {}
end)

--- The state after PR_CAPBSET_DROP of each of a set: only the bounding set shrinks; what is permitted, inheritable or
--- ambient stays (prctl(2)).
---@param dropped cella.capabilities|cella.caps.set
---@return cella.caps.state?, cella.error?
function methods:after_capbset_drop(dropped)
  return state.after(self, "capbset_drop", set.mask(dropped))
end

state.rule("ambient_raise", ALL_SETS, function(fields, raised)
  local missing = raised - fields.permitted * fields.inheritable
  if not missing:empty() then
    return refused("ambient_raise", "EPERM",
      ("an ambient capability has to be permitted and inheritable, which is not so of %s")
      :format(tostring(missing)))
  elseif not raised:empty() and securebits.has(fields.securebits, "no_cap_ambient_raise") then
    return refused("ambient_raise", "EPERM", "the securebit no_cap_ambient_raise is set")
  end
  fields.ambient = fields.ambient + raised
  return {}
end)

--- The state after PR_CAP_AMBIENT_RAISE of each of a set.
---@param raised cella.capabilities|cella.caps.set
---@return cella.caps.state?, cella.error?
function methods:after_ambient_raise(raised)
  return state.after(self, "ambient_raise", set.mask(raised))
end

state.rule("ambient_lower", { "ambient" }, function(fields, lowered)
  fields.ambient = fields.ambient - lowered
  return {}
end)

--- The state after PR_CAP_AMBIENT_LOWER of each of a set.
---@param lowered cella.capabilities|cella.caps.set
---@return cella.caps.state
function methods:after_ambient_lower(lowered)
  return state.after(self, "ambient_lower", set.mask(lowered))
end

state.rule("ambient_clear", {}, function(fields)
  fields.ambient = set.NONE
  return {}
end)

--- The state after PR_CAP_AMBIENT_CLEAR_ALL.
---@return cella.caps.state
function methods:after_ambient_clear()
  return state.after(self, "ambient_clear")
end

local UNPRIVILEGED = "^exec_" -- no rules of the kernel's: what user space asks of itself (Linux 6.14)

state.rule("securebits", { "securebits", "effective" }, function(fields, bits)
  local changed, privileged = false, false
  local old, new = securebits.members(fields.securebits), securebits.members(bits)
  for _, name in ipairs(securebits.names) do
    if old[name] ~= new[name] then
      changed = true
      privileged = privileged or not name:find(UNPRIVILEGED)
      if old[name] and name:find("_locked$") then
        return refused("securebits", "EPERM", "a lock is for ever: " .. name)
      elseif old[name .. "_locked"] then
        return refused("securebits", "EPERM", name .. " is locked")
      end
    end
  end
  if privileged or not changed then
    local ok, err = needs_setpcap(fields, "securebits", "setting securebits")
    if not ok then return nil, err end
  end
  fields.securebits = bits
  return {}
end)

--- The state after PR_SET_SECUREBITS.
---@param bits string[]
---@return cella.caps.state?, cella.error?
function methods:after_securebits(bits)
  bits = validate.check(securebits.rule, bits, "securebits")
  return state.after(self, "securebits", bits)
end

state.rule("no_new_privs", {}, function(fields)
  fields.no_new_privs = true
  return {}
end)

--- The state after PR_SET_NO_NEW_PRIVS.
---@return cella.caps.state
function methods:after_no_new_privs()
  return state.after(self, "no_new_privs")
end

state.rule("keep_caps", { "securebits" }, function(fields, on)
  local bits = fields.securebits
  if securebits.has(bits, "keep_caps_locked") then
    return refused("keep_caps", "EPERM", "keep_caps is locked")
  end
  fields.securebits = on and securebits.with(bits, "keep_caps") or securebits.without(bits, "keep_caps")
  return {}
end)

--- The state after PR_SET_KEEPCAPS, which needs no capability: the securebit keep_caps, until the next exec.
---@param on boolean
---@return cella.caps.state?, cella.error?
function methods:after_keep_caps(on)
  validate.check(validate.rule.boolean, on, "on")
  return state.after(self, "keep_caps", on)
end
