--- What capset(2) and the prctl(2)s of capabilities(7) do to a state: pure functions, as in cella.caps.rules.

local securebits = require "cella.caps.securebits"
local set = require "cella.caps.set"
local state = require "cella.caps.state"
local validate = require "cella.validate"

local methods = state.methods
local refused, after = state.refused, state.after

local ALL_SETS = { "effective", "permitted", "inheritable", "bounding", "ambient", "securebits" }

--- The state after capset(2).
---@return cella.caps.state?, cella.error?
function methods:after_capset(effective, permitted, inheritable)
  effective, permitted, inheritable = set.new(effective, 2), set.new(permitted, 2), set.new(inheritable, 2)
  state.need(self, ALL_SETS, "after_capset")
  if not self.permitted:contains(permitted) then
    return refused("capset", "EPERM", ("permitted only shrinks, and it does not hold %s"):format(
      tostring(permitted - self.permitted)))
  elseif not permitted:contains(effective) then
    return refused("capset", "EPERM", ("effective may hold what permitted holds, and that would not be %s"):format(
      tostring(effective - permitted)))
  elseif not self.effective:has("setpcap") and not (self.inheritable + self.permitted):contains(inheritable) then
    return refused("capset", "EPERM",
      ("without CAP_SETPCAP in effect, inheritable takes from permitted alone, which does "
      .. "not hold %s"):format(tostring(inheritable - self.inheritable - self.permitted)))
  elseif not (self.inheritable + self.bounding):contains(inheritable) then
    return refused("capset", "EPERM",
      ("what is added to inheritable has to be in the bounding set, which does not hold %s")
      :format(tostring(inheritable - self.inheritable - self.bounding)))
  end
  local fields, notes = state.fields(self), {}
  fields.effective, fields.permitted, fields.inheritable = effective, permitted, inheritable
  fields.ambient = self.ambient * permitted * inheritable
  if fields.ambient ~= self.ambient then
    notes[1] = ("ambient loses %s, which left permitted or inheritable"):format(tostring(self.ambient - fields.ambient))
  end
  return after(fields, "capset", notes)
end

local function needs_setpcap(self, op, what)
  if self.effective:has("setpcap") then return true end
  return refused(op, "EPERM", what .. " needs CAP_SETPCAP in effect")
end

--- The state after PR_CAPBSET_DROP of each of a set: only the bounding set shrinks; what is permitted, inheritable or
--- ambient stays (prctl(2)).
---@return cella.caps.state?, cella.error?
function methods:after_capbset_drop(dropped)
  dropped = set.new(dropped, 2)
  state.need(self, { "effective", "bounding" }, "after_capbset_drop")
  if not dropped:empty() then
    local ok, err = needs_setpcap(self, "capbset_drop", "dropping from the bounding set")
    if not ok then return nil, err end
  end
  local fields = state.fields(self)
  fields.bounding = self.bounding - dropped
  return after(fields, "capbset_drop")
end

--- The state after PR_CAP_AMBIENT_RAISE of each of a set.
---@return cella.caps.state?, cella.error?
function methods:after_ambient_raise(raised)
  raised = set.new(raised, 2)
  state.need(self, ALL_SETS, "after_ambient_raise")
  local missing = raised - self.permitted * self.inheritable
  if not missing:empty() then
    return refused("ambient_raise", "EPERM",
      ("an ambient capability has to be permitted and inheritable, which is not so of %s")
      :format(tostring(missing)))
  elseif not raised:empty() and securebits.has(self.securebits, "no_cap_ambient_raise") then
    return refused("ambient_raise", "EPERM", "the securebit no_cap_ambient_raise is set")
  end
  local fields = state.fields(self)
  fields.ambient = self.ambient + raised
  return after(fields, "ambient_raise")
end

--- The state after PR_CAP_AMBIENT_LOWER of each of a set.
---@return cella.caps.state
function methods:after_ambient_lower(lowered)
  lowered = set.new(lowered, 2)
  state.need(self, { "ambient" }, "after_ambient_lower")
  local fields = state.fields(self)
  fields.ambient = self.ambient - lowered
  return after(fields, "ambient_lower")
end

--- The state after PR_CAP_AMBIENT_CLEAR_ALL.
---@return cella.caps.state
function methods:after_ambient_clear()
  local fields = state.fields(self)
  fields.ambient = set.none
  return after(fields, "ambient_clear")
end

local UNPRIVILEGED = "^exec_" -- no rules of the kernel's: what user space asks of itself (Linux 6.14)

--- The state after PR_SET_SECUREBITS.
---@param bits string[]
---@return cella.caps.state?, cella.error?
function methods:after_securebits(bits)
  bits = validate.check(securebits.rule, bits, "securebits", 2)
  state.need(self, { "securebits", "effective" }, "after_securebits")
  local old, changed, privileged = self.securebits, false, false
  for _, name in ipairs(securebits.names) do
    local was, is = securebits.has(old, name), securebits.has(bits, name)
    if was ~= is then
      changed = true
      privileged = privileged or not name:find(UNPRIVILEGED)
      if was and name:find("_locked$") then
        return refused("securebits", "EPERM", "a lock is for ever: " .. name)
      elseif securebits.has(old, name .. "_locked") then
        return refused("securebits", "EPERM", name .. " is locked")
      end
    end
  end
  if privileged or not changed then
    local ok, err = needs_setpcap(self, "securebits", "setting securebits")
    if not ok then return nil, err end
  end
  local fields = state.fields(self)
  fields.securebits = bits
  return after(fields, "securebits")
end

--- The state after PR_SET_NO_NEW_PRIVS.
---@return cella.caps.state
function methods:after_no_new_privs()
  local fields = state.fields(self)
  fields.no_new_privs = true
  return after(fields, "no_new_privs")
end

--- The state after PR_SET_KEEPCAPS, which needs no capability: the securebit keep_caps, until the next exec.
---@param on boolean
---@return cella.caps.state?, cella.error?
function methods:after_keep_caps(on)
  validate.check(validate.rule.boolean, on, "on", 2)
  state.need(self, { "securebits" }, "after_keep_caps")
  if securebits.has(self.securebits, "keep_caps_locked") then
    return refused("keep_caps", "EPERM", "keep_caps is locked")
  end
  local fields = state.fields(self)
  fields.securebits = securebits.without(self.securebits, "keep_caps")
  if on then fields.securebits = securebits.with(self.securebits, "keep_caps") end
  return after(fields, "keep_caps")
end
