--- The exec transformation of capabilities(7), with everything that bends it. Pure.
--
-- IDs are those that the observer of the facts sees ("outside"): an ID without a mapping is a number like any other
-- here, where the process itself sees 65534.

local fileset = require "cella.caps.fileset"
local modes = require "cella.mode"
local securebits = require "cella.caps.securebits"
local set = require "cella.caps.set"
local state = require "cella.caps.state"
local validate = require "cella.validate"

local rule = validate.rule

local M = {}

-- A user namespace whose maps are not written: nobody in it has an ID.
local nobody = {}
function nobody.outside() return nil end
function nobody.inside() return nil end
M.UNMAPPED = { uid = nobody, gid = nobody }

local function version(value, path)
  rule.string(value, path)
  if not value:find("^%d+%.%d+") then
    validate.fail(path, 'a version of Linux expected, as "6.18", got %s', validate.show(value))
  end
  return value
end

--- What a file is to exec.
M.file_rule = rule.record {
  path = rule.path, interpreter = rule.path, mode = modes.any, uid = rule.id, gid = rule.id,
  nosuid = rule.boolean, capabilities = fileset.rule,
}

--- What state:after_exec takes.
M.rule = rule.record {
  file = M.file_rule, uid = state.ids_rule, gid = state.ids_rule, groups = rule.list(rule.id), ids = state.maps_rule,
  traced = rule.boolean, kernel = version,
}

local function before_6_16(kernel)
  if not kernel then return false end
  local major, minor = kernel:match("^(%d+)%.(%d+)")
  major, minor = tonumber(major), tonumber(minor)
  return major < 6 or major == 6 and minor < 16
end

local function mapped(ids, kind, id)
  return id ~= nil and (not ids or ids[kind]:inside(id) ~= nil)
end

-- Bits of a mode; 5.1 has no operators for them.
local function has_bit(mode, bit)
  return math.floor(mode / bit) % 2 == 1
end

-- The IDs that set-ID bits give the new program, or the old ones and why not.
local function set_id(fields, file, notes)
  local mode = file.mode or 493
  local uid, gid = fields.uid.effective, fields.gid.effective
  local setuid, setgid = has_bit(mode, 2048), has_bit(mode, 1024) and has_bit(mode, 8)
  if not (setuid or setgid) then return uid, gid end
  if file.nosuid then
    notes[#notes + 1] = "the mount has nosuid: the set-ID bits are ignored"
  elseif fields.no_new_privs then
    notes[#notes + 1] = "no_new_privs: the set-ID bits are ignored"
  elseif not (mapped(fields.ids, "uid", file.uid) and mapped(fields.ids, "gid", file.gid)) then
    notes[#notes + 1] = "the file's owner or group has no mapping in this user namespace: the set-ID bits are ignored"
  else
    return setuid and file.uid or uid, setgid and file.gid or gid
  end
  return uid, gid
end

--- The root of the user namespace, nil where it has none. Maps do not change: it is looked up once.
function M.root_of(ids)
  if not ids then return 0 end
  if ids.root == nil then ids.root = ids.uid:outside(0) or false end
  return ids.root or nil
end
local root_of = M.root_of

-- File capabilities count where their name-space owner is root, here or in a namespace around this one. To the
-- observer, 0 is its own root; the kernel shows it those of its ancestors as 0 as well.
local function honoured(rootid, ids)
  if rootid == 0 or rootid == root_of(ids) then return true end
  for _, map in ipairs(ids and ids.parents or {}) do
    if map:outside(0) == rootid then return true end
  end
  return false
end

local function file_capabilities(fields, file, notes)
  local caps = file.capabilities
  if not caps then return nil end
  if file.nosuid then
    notes[#notes + 1] = "the mount has nosuid: the file's capabilities are ignored"
  elseif not honoured(caps.rootid, fields.ids) then
    notes[#notes + 1] = ("the file's capabilities count below root %.0f: they are ignored in this user namespace")
      :format(caps.rootid)
  else
    return caps
  end
  return nil
end

local function in_group(fields, gid)
  if gid == fields.gid.effective then return true end
  for _, group in ipairs(fields.groups) do
    if group == gid then return true end
  end
  return false
end

--- The fields after exec and what happened; or nil and why the kernel refuses (EPERM).
function M.transform(old, facts)
  local notes, file = {}, facts.file or {}
  local new = {}
  for key, value in pairs(old) do new[key] = value end
  local root = root_of(old.ids)
  local uid, gid = set_id(old, file, notes)
  local caps = file_capabilities(old, file, notes)
  local permitted, effective = set.NONE, false

  if caps then
    -- P' = (P(inheritable) & F(inheritable)) | (F(permitted) & P(bounding))
    local granted = set.mask(caps.permitted)
    permitted = granted * old.bounding + set.mask(caps.inheritable) * old.inheritable
    effective = caps.effective
    local lacking = granted - permitted
    if effective and not lacking:empty() then
      return nil, ("the program's file capability %s is outside the bounding set, and its effective bit says that it "
        .. "cannot do without"):format(tostring(lacking))
    end
  end

  if root and not securebits.has(old.securebits, "noroot") then
    local real, acting = old.uid.real == root, uid == root
    if caps and acting and not real then
      notes[#notes + 1] = "a set-user-ID root program with file capabilities gets those only"
    elseif real or acting then
      permitted = old.bounding + old.inheritable
      effective = effective or acting
      if not permitted:empty() then
        notes[#notes + 1] = ("%s is root: permitted becomes all that is in bounding or inheritable"):format(
          acting and "the effective user" or "the real user")
      end
    end
  end

  local id_changed
  if before_6_16(facts.kernel) then
    id_changed = uid ~= old.uid.real or gid ~= old.gid.real
  else
    id_changed = uid ~= old.uid.effective or not in_group(old, gid)
  end
  if (id_changed or not old.permitted:contains(permitted)) and (old.no_new_privs or facts.traced) then
    if old.no_new_privs or not old.effective:has "setuid" then uid, gid = old.uid.real, old.gid.real end
    if not old.permitted:contains(permitted) then
      notes[#notes + 1] = ("%s: the program does not get %s, which was not permitted before"):format(
        old.no_new_privs and "no_new_privs" or "traced", tostring(permitted - old.permitted))
    end
    permitted = permitted * old.permitted
  end

  if caps or id_changed then
    if not old.ambient:empty() then
      notes[#notes + 1] = ("%s: ambient is emptied"):format(caps and "the file has capabilities of its own"
        or "the program changes the user or group ID")
    end
    new.ambient = set.NONE
  end
  new.permitted = permitted + new.ambient
  new.effective = effective and new.permitted or new.ambient
  new.securebits = securebits.without(old.securebits, "keep_caps")
  new.uid = { real = old.uid.real, effective = uid, saved = uid }
  new.gid = { real = old.gid.real, effective = gid, saved = gid }
  new.secure = id_changed or uid ~= old.uid.real or gid ~= old.gid.real
    or old.uid.real ~= root and (effective or not new.ambient:contains(new.permitted))
  local lost = old.permitted - new.permitted
  if not lost:empty() then
    notes[#notes + 1] = ("permitted loses %s: exec keeps what is ambient, what the file grants, and for root what is "
      .. "in bounding or inheritable"):format(tostring(lost))
  end
  return new, notes
end

return M
