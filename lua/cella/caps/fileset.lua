--- The capabilities of a file as a value: permitted and inheritable sets, one effective bit for all of them, and the
--- user namespace that they count in.

local core = require "cella.core"
local set = require "cella.caps.set"
local validate = require "cella.validate"

local rule = validate.rule

---@class cella.caps.fileset
---@field permitted cella.caps.set
---@field inheritable cella.caps.set
---@field effective boolean   one bit: what the program gets is in effect from its start
---@field rootid integer      uid of the root of the user namespace in which (and below which) they count; 0: everywhere
---@field revision integer?   2 or 3, as found on the file: VFS_CAP_REVISION_3 has a rootid
local Fileset = { __name = "cella.caps.fileset" }
local methods = {}
Fileset.__index = methods

local M = {}

function M.is(value)
  return type(value) == "table" and getmetatable(value) == Fileset
end

function M.wrap(fields) return setmetatable(fields, Fileset) end

local fields_rule = rule.record { permitted = set.rule, inheritable = set.rule, effective = rule.boolean,
  rootid = rule.id }

local function from_text(text, path)
  rule.string(text, path)
  local body, rootid = text:match("^(.-)%s*%[rootid=(%d+)%]$")
  if body then rootid = rule.id(tonumber(rootid), path) end
  local states = require "cella.caps.text"
  local effective, permitted, inheritable = states.masks(body or text, path)
  local either = permitted + inheritable
  if not effective:empty() and effective ~= either then
    validate.fail(path, "effective is one bit for the whole file: all or none of its capabilities, not %s of %s",
      tostring(effective), tostring(either))
  end
  return { permitted = set.of(permitted), inheritable = set.of(inheritable), effective = not effective:empty(),
    rootid = rootid or 0 }
end

--- A rule of cella.validate: a value of this kind, a text ("cap_net_raw=ep", as setcap(8) takes it, and what tostring
--- gives), a table of the fields; false for none.
function M.rule(value, path)
  if value == false or M.is(value) then return value end
  if type(value) == "string" then return M.wrap(from_text(value, path)) end
  local fields = fields_rule(value, path)
  if not fields.permitted and not fields.inheritable then
    validate.fail(path, "permitted or inheritable: missing")
  end
  fields.permitted, fields.inheritable = fields.permitted or set.none, fields.inheritable or set.none
  fields.effective, fields.rootid = fields.effective == true, fields.rootid or 0
  return M.wrap(fields)
end

--- As cap_to_text(3) has it: "cap_net_raw=ep".
---@return string
function methods:text()
  local permitted, inheritable = set.mask(self.permitted), set.mask(self.inheritable)
  local effective = self.effective and permitted + inheritable or set.NONE
  return assert(core.caps.to_text(effective, permitted, inheritable))
end

--- The text, and the name-space owner as getcap(8) -n shows it where there is one.
function Fileset:__tostring()
  local text = self:text()
  return self.rootid == 0 and text or ("%s [rootid=%.0f]"):format(text, self.rootid)
end

function Fileset.__eq(a, b)
  return a.permitted == b.permitted and a.inheritable == b.inheritable and a.effective == b.effective
    and a.rootid == b.rootid
end

return M
