--- The capability state of a process as a value: five sets, securebits, no_new_privs, and who the process is.
--
-- A state never changes. state:with{...} makes another, which says of itself that it is not applied; what it
-- does to a process is for state:apply() (cella.caps.apply) and for the rules (cella.caps.rules) to say.
--
-- Its fields have masks (cella.caps.set) for the sets; who reads one from outside gets the set.

local blame = require "cella.blame"
local core = require "cella.core"
local Error = require "cella.error"
local securebits = require "cella.caps.securebits"
local set = require "cella.caps.set"
local validate = require "cella.validate"

local rule = validate.rule

---@class cella.caps.state
---@field effective cella.caps.set?    nil: not said, and left as it is by apply
---@field permitted cella.caps.set?
---@field inheritable cella.caps.set?
---@field bounding cella.caps.set?
---@field ambient cella.caps.set?
---@field securebits string[]?         names, in the order of their bits; nil for another process
---@field no_new_privs boolean?
---@field uid { real: integer, effective: integer, saved: integer }?  as the observer sees them
---@field gid { real: integer, effective: integer, saved: integer }?
---@field groups integer[]?
---@field ids { uid: cella.IdMap, gid: cella.IdMap, parents: cella.IdMap[]? }?  the process's user namespace, from
---  inside to the observer's; nil: the observer's own, where everything is mapped
---@field notes string[]               what the last step did to it, in sentences
---@field origin string                where it comes from: "process 17", "not applied", "predicted: after exec"
---@field secure boolean?              after exec: the program starts in secure mode (AT_SECURE, getauxval(3))
local State = { __name = "cella.caps.state" }
local methods = {}

local M = { methods = methods }

M.SETS = { "effective", "permitted", "inheritable", "bounding", "ambient" }

local FIELDS = {} -- the key under which a state keeps them, which no user can spell

local function is_state(value)
  return type(value) == "table" and getmetatable(value) == State
end
M.is = is_state

function State:__index(key)
  local value = rawget(self, FIELDS)[key]
  if value == nil then return methods[key] end
  if type(value) == "userdata" then return set.of(value) end
  return value
end

function State.__newindex()
  blame("a state does not change: make another with state:with{...}, then :apply() it")
end

local triple = rule.record({ real = rule.id, effective = rule.id, saved = rule.id }, { "real", "effective", "saved" })

-- One ID for all three, or each.
function M.ids_rule(value, path)
  if type(value) == "number" then
    local id = rule.id(value, path)
    return { real = id, effective = id, saved = id }
  end
  return triple(value, path)
end

local function map_table(value, path)
  if type(value) ~= "table" then validate.fail(path, "{ uid = map, gid = map } expected, got %s",
    validate.show(value)) end
  for _, key in ipairs { "uid", "gid" } do
    if type(value[key]) ~= "table" or not value[key].outside then
      validate.fail(validate.join(path, key), "an ID map (cella.idmap) expected")
    end
  end
  return { uid = value.uid, gid = value.gid, parents = value.parents }
end
M.maps_rule = map_table

local fields_rule = rule.record {
  effective = set.mask_rule, permitted = set.mask_rule, inheritable = set.mask_rule, bounding = set.mask_rule,
  ambient = set.mask_rule,
  securebits = securebits.rule, no_new_privs = rule.boolean,
  uid = M.ids_rule, gid = M.ids_rule, groups = rule.list(rule.id), ids = map_table,
}

--- Wraps fields that are known to be good; `origin` says where they come from.
function M.wrap(fields, origin, notes)
  fields.origin, fields.notes = origin, notes or {}
  return setmetatable({ [FIELDS] = fields }, State)
end

--- The fields themselves, with masks, for who only reads them.
function M.raw(state)
  return rawget(state, FIELDS)
end

--- A copy of the fields, for rules that make the next state from it.
function M.fields(state)
  local copy = {}
  for key, value in pairs(rawget(state, FIELDS)) do copy[key] = value end
  copy.origin, copy.notes, copy.secure, copy.pid, copy.name, copy.wanted_mode = nil, nil, nil, nil, nil, nil
  return copy
end

local rules = {}

--- Says what an operation does: a rule changes the fields of a state, and returns notes; or nil and the error that the
--- kernel would give. `needed`: which fields have to be there.
---@param name string      as in the method after_NAME of states
---@param needed string[]
---@param perform fun(fields: table, ...): string[]?, cella.error?
---@param shown string?    how the origin of a state calls the operation; the name if nil
function M.rule(name, needed, perform, shown)
  rules[name] = { needed = needed, perform = perform, shown = shown or name }
end

local function need(fields, names, what)
  for i = 1, #names do
    local name = names[i]
    if fields[name] == nil then blame(("%s: this state does not say what is %s"):format(what, name)) end
  end
end

--- Raises where a state does not say what is asked of it.
function M.need(state, names, what)
  need(rawget(state, FIELDS), names, what)
end

--- Follows a rule.
---@param fields table  changed
---@param name string
---@return string[]? notes, cella.error?
function M.perform(fields, name, ...)
  local one = rules[name]
  need(fields, one.needed, "after_" .. name)
  return one.perform(fields, ...)
end

--- The state after an operation; for the methods of states.
---@return cella.caps.state?, cella.error?
function M.after(state, name, ...)
  local fields = M.fields(state)
  local notes, err = M.perform(fields, name, ...)
  if not notes then return nil, err end
  return M.predicted(fields, name, notes)
end

--- A state from the fields that a rule has made.
function M.predicted(fields, name, notes)
  return M.wrap(fields, "predicted: after " .. (rules[name] and rules[name].shown or name), notes)
end

--- For rules: the error that the kernel would give, with its reason.
function M.refused(op, code, why)
  return nil, Error.new { op = op, errno = ({ EPERM = 1, EACCES = 13, EINVAL = 22 })[code], code = code, why = why }
end

--- A state of which only what is given is said.
---@param fields table
---@return cella.caps.state
function M.new(fields)
  return M.wrap(validate.check(fields_rule, fields, ""), "not applied")
end

--- Another state, that differs in the given fields.
---@param changes table
---@return cella.caps.state
function methods:with(changes)
  local checked = validate.check(fields_rule, changes, "")
  local fields = M.fields(self)
  for key, value in pairs(checked) do fields[key] = value end
  if changes.bounding then fields.bounding_at_most = nil end
  return M.wrap(fields, "not applied")
end

--- Effective, permitted and inheritable as cap_to_text(3) has them: "cap_net_raw=ep".
---@return string
function methods:text()
  M.need(self, { "effective", "permitted", "inheritable" }, "text")
  local fields = M.raw(self)
  return assert(core.caps.to_text(fields.effective, fields.permitted, fields.inheritable))
end

--- Inheritable, ambient and bounding as cap_iab(3) has them: "!cap_chown,^cap_net_raw".
---@return string
function methods:iab()
  M.need(self, { "inheritable", "ambient", "bounding" }, "iab")
  local fields = M.raw(self)
  return assert(core.caps.iab_to_text(fields.inheritable, fields.ambient, -fields.bounding))
end

-- What cap_set_mode(3) locks down: CAP_SECURED_BITS_AMBIENT of <sys/securebits.h>.
local PURE = { "noroot", "noroot_locked", "no_setuid_fixup", "no_setuid_fixup_locked", "keep_caps_locked",
  "no_cap_ambient_raise", "no_cap_ambient_raise_locked" }

M.MODES = { "NOPRIV", "PURE1E_INIT", "PURE1E", "HYBRID" }

--- The mode of libcap that the state is in: "NOPRIV", "PURE1E", "PURE1E_INIT", "HYBRID" or "UNCERTAIN"
--- (cap_get_mode(3)), by the same questions in the same order.
---@return string
function methods:mode()
  M.need(self, { "securebits", "ambient", "inheritable", "permitted", "effective", "bounding" }, "mode")
  local fields = M.raw(self)
  if #fields.securebits == 0 then return "HYBRID" end
  if not securebits.equal(fields.securebits, PURE) or not fields.ambient:empty() then return "UNCERTAIN" end
  if not fields.inheritable:empty() then return "PURE1E" end
  if not (fields.permitted + fields.effective + fields.bounding):empty() then return "PURE1E_INIT" end
  return "NOPRIV"
end

--- The state that cap_set_mode(3) would bring about, not applied: state:with_mode("NOPRIV"):apply().
---@param mode "NOPRIV"|"PURE1E"|"PURE1E_INIT"|"HYBRID"
---@return cella.caps.state
function methods:with_mode(mode)
  validate.check(rule.one_of(M.MODES), mode, "mode")
  M.need(self, M.SETS, "with_mode")
  local fields = M.fields(self)
  fields.wanted_mode = mode
  fields.effective = set.NONE -- libcap leaves nothing raised, in every mode
  if mode == "HYBRID" then
    fields.securebits = {}
    return M.wrap(fields, "not applied")
  end
  fields.securebits, fields.ambient = PURE, set.NONE
  if mode ~= "PURE1E" then fields.inheritable = set.NONE end
  if mode == "NOPRIV" then
    fields.permitted, fields.bounding, fields.no_new_privs = set.NONE, set.NONE, true
  end
  return M.wrap(fields, "not applied")
end

--- The fields in which two states differ, of those that both have: a list of names.
---@param other cella.caps.state
---@return string[]
function methods:differences(other)
  if not is_state(other) then blame("a state expected, got " .. validate.show(other)) end
  local names = {}
  local mine, theirs = M.raw(self), M.raw(other)
  for _, name in ipairs(M.SETS) do
    if mine[name] and theirs[name] and mine[name] ~= theirs[name] then names[#names + 1] = name end
  end
  if self.securebits and other.securebits and not securebits.equal(self.securebits, other.securebits) then
    names[#names + 1] = "securebits"
  end
  if self.no_new_privs ~= nil and other.no_new_privs ~= nil and self.no_new_privs ~= other.no_new_privs then
    names[#names + 1] = "no_new_privs"
  end
  return names
end

function State.__eq(a, b)
  local mine, theirs = M.raw(a), M.raw(b)
  for _, name in ipairs { "effective", "permitted", "inheritable", "bounding", "ambient", "securebits",
    "no_new_privs" } do
    if (mine[name] == nil) ~= (theirs[name] == nil) then return false end
  end
  return #a:differences(b) == 0
end

function State:__tostring()
  local lines = {}
  for _, name in ipairs(M.SETS) do
    lines[#lines + 1] = ("%-12s %s"):format(name, self[name] == nil and "?" or tostring(self[name]))
  end
  local bits = self.securebits
  lines[#lines + 1] = ("%-12s %s"):format("securebits", bits == nil and "?" or #bits == 0 and "none"
    or table.concat(bits, ","))
  lines[#lines + 1] = ("%-12s %s"):format("no_new_privs", self.no_new_privs == nil and "?"
    or self.no_new_privs and "yes" or "no")
  lines[#lines + 1] = "(" .. self.origin .. ")"
  return table.concat(lines, "\n")
end

return M
