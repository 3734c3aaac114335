--- Bringing this process to a state: every set, securebits and no_new_privs, in the one order in which the steps do not
--- take away what the next ones need, and read back from the kernel afterwards.

local core = require "cella.core"
local Error = require "cella.error"
local read = require "cella.caps.read"
local securebits = require "cella.caps.securebits"
local set = require "cella.caps.set"
local state = require "cella.caps.state"
local validate = require "cella.validate"
require "cella.caps.prctl"
require "cella.caps.rules"

local sys = core.sys
local SETPCAP = set.mask "setpcap"
local unpack_list = table.unpack or unpack
local M = {}

local function with_default(target, now)
  local fields = {}
  target, now = state.raw(target), state.raw(now)
  for _, name in ipairs(state.SETS) do fields[name] = target[name] or now[name] end
  -- A text of cap_iab(3) says what is blocked; what is not there anyhow, it does not ask for.
  if target.bounding_at_most then fields.bounding = target.bounding * now.bounding end
  fields.securebits = target.securebits or now.securebits
  fields.no_new_privs = now.no_new_privs
  if target.no_new_privs ~= nil then fields.no_new_privs = target.no_new_privs end
  -- Lowering permitted or inheritable lowers ambient with it; who did not speak of ambient means that.
  if not target.ambient then fields.ambient = fields.ambient * fields.permitted * fields.inheritable end
  if not target.effective then fields.effective = fields.effective * fields.permitted end
  return fields
end

-- The steps from one state to the fields of another. Each is { operation, arguments... }.
local function steps_between(now, to)
  local steps = {}
  now = state.raw(now)
  local function add(...) steps[#steps + 1] = { ... } end
  local bits_differ = not securebits.equal(now.securebits, to.securebits)
  local dropped = now.bounding - to.bounding
  local raised = to.ambient - now.ambient
  local lowered = now.ambient - to.ambient
  local new_inheritable = to.inheritable - now.inheritable - now.permitted
  -- A bit in the way of raising ambient is cleared for as long as that takes, where it is not locked.
  local blocker = "no_cap_ambient_raise"
  local blocked = not raised:empty() and securebits.has(now.securebits, blocker)
    and not securebits.has(now.securebits, blocker .. "_locked")
  bits_differ = bits_differ or blocked
  local effective = now.effective
  if (bits_differ or not dropped:empty() or not new_inheritable:empty()) and now.permitted:has "setpcap" then
    effective = effective + SETPCAP
  end
  if not lowered:empty() then add("ambient_lower", lowered) end
  -- Before the bounding set shrinks: what is added to inheritable has to be in it. First in effect, then in use.
  if effective ~= now.effective then add("capset", effective, now.permitted, now.inheritable) end
  local inheritable = now.inheritable + to.inheritable
  if inheritable ~= now.inheritable then add("capset", effective, now.permitted, inheritable) end
  if not raised:empty() then
    if blocked then add("securebits", securebits.without(now.securebits, blocker)) end
    add("ambient_raise", raised)
  end
  if not dropped:empty() then add("capbset_drop", dropped) end
  if bits_differ then add("securebits", to.securebits) end
  if not (effective == to.effective and now.permitted == to.permitted and inheritable == to.inheritable) then
    add("capset", to.effective, to.permitted, to.inheritable)
  end
  if to.no_new_privs and not now.no_new_privs then add("no_new_privs") end
  return steps
end

local function cannot(why)
  return nil, Error.new { op = "apply", errno = 1, why = why }
end

-- The modes of libcap are names for what the sets are. Of two that with_mode makes alike, the sets decide which it is.
local function other_mode(wanted, is)
  if not wanted or is == wanted then return nil end
  return ("the mode would be %s and not %s%s"):format(is, wanted, wanted == "PURE1E" and is ~= "UNCERTAIN"
    and ": with nothing inheritable, cap_get_mode(3) calls it that" or "")
end

-- What the pure rules say of the steps, before the first is taken: all or nothing.
local function rehearse(now, steps, to, mode)
  local missing = to.bounding - state.raw(now).bounding
  if not missing:empty() then
    return cannot("the bounding set only shrinks, and it does not hold " .. tostring(missing))
  elseif now.no_new_privs and not to.no_new_privs then
    return cannot("no_new_privs is for ever")
  end
  local predicted = now
  for _, step in ipairs(steps) do
    local following, err = predicted["after_" .. step[1]](predicted, unpack_list(step, 2))
    if not following then return nil, err end
    predicted = following
  end
  local wanted = state.wrap(to, "wanted")
  local differ = predicted:differences(wanted)
  if #differ > 0 then
    return cannot(("the kernel's rules do not lead there: %s would be %s"):format(differ[1],
      tostring(predicted[differ[1]])))
  end
  local problem = other_mode(mode, predicted:mode())
  if problem then return cannot(problem) end
  return true
end

-- The kernel changes the calling thread alone (nptl(7)).
local function alone()
  local threads = read.threads()
  if not threads or threads == 1 then return true end
  return nil, Error.new { op = "apply", errno = 22, why = ("this process has %d threads, and the kernel would change "
    .. "one: do it before threads start, or in a child (a plan)"):format(threads) }
end

--- Whether permitted stays when all user IDs leave 0: PR_SET_KEEPCAPS, which unlike the other securebits needs no
--- capability. exec clears it (capabilities(7)).
---@param on boolean
---@return true?, cella.error?
function M.keep_caps(on)
  validate.check(validate.rule.boolean, on, "on")
  local ok, err = alone()
  if not ok then return nil, err end
  local done, _, errno = core.sys.keep_caps(on)
  if done then return true end
  return nil, Error.new { op = "PR_SET_KEEPCAPS", errno = errno, why = "the securebit keep_caps is locked" }
end

--- Gives this process the state: what it does not say stays. Nothing is done where the rules say that a step would
--- fail; afterwards everything is read back. Refused while the process has other threads, of which none would change
--- (I18): do it before they start, or in a child. IDs are not switched: that is sys.setresuid.
---@return true?, cella.error?
function state.methods:apply()
  local ok, err = alone()
  if not ok then return nil, err end
  local now
  now, err = read.own()
  if not now then return nil, err end
  local to = with_default(self, now)
  local steps = steps_between(now, to)
  ok, err = rehearse(now, steps, to, self.wanted_mode)
  if not ok then return nil, err end
  for _, step in ipairs(steps) do
    local done, message, errno = sys[step[1]](unpack_list(step, 2))
    if not done then
      return nil, Error.new { op = step[1], errno = errno, message = core.strerror(errno), why = message }
    end
  end
  local actual
  actual, err = read.own()
  if not actual then return nil, err end
  local wanted = state.wrap(to, "wanted")
  local differ = actual:differences(wanted)
  if #differ > 0 then
    local name = differ[1]
    local function shown(one)
      local value = one[name]
      return type(value) == "table" and #value > 0 and table.concat(value, ",") or tostring(value)
    end
    return nil, Error.new { op = "apply", errno = 131, why = ("%s reads back as %s and not as %s"):format(name,
      shown(actual), shown(wanted)) }
  end
  local problem = other_mode(self.wanted_mode, actual:mode())
  if problem then return nil, Error.new { op = "apply", errno = 131, why = problem } end
  return true
end

return M
