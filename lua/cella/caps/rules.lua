--- What the kernel does to a capability state, as pure functions: nothing here asks the kernel anything.
--
-- Each method takes what the call takes, and returns the state after it (with `notes`: what happened and by which
-- rule), or nil and the error that the kernel would give. The rules are those of security/commoncap.c and
-- of capabilities(7), tried on Linux 6.18 over some thousand programs by spec/caps/caps_exec_spec.lua.

local ascii = require "cella.ascii"
local blame = require "cella.blame"
local exec = require "cella.caps.exec"
local securebits = require "cella.caps.securebits"
local set = require "cella.caps.set"
local state = require "cella.caps.state"
local validate = require "cella.validate"

local rule = validate.rule
local methods = state.methods

local refused = state.refused
local ALL_SETS = { "effective", "permitted", "inheritable", "bounding", "ambient", "securebits" }

-- IDs inside a user namespace as the observer sees them.
local function outside_ids(fields, kind, ids)
  local outside = {}
  for which, id in pairs(ids) do
    outside[which] = id
    if fields.ids then outside[which] = fields.ids[kind]:outside(id) end
    if not outside[which] then return nil, ("%s: %.0f is not in the map"):format(kind, id) end
  end
  return outside
end

-- Takes what exec.rule has checked, with IDs as the observer sees them.
state.rule("exec", { "effective", "permitted", "inheritable", "bounding", "ambient", "securebits", "no_new_privs" },
  function(fields, facts)
    fields.ids = facts.ids or fields.ids
    fields.uid, fields.gid = facts.uid or fields.uid, facts.gid or fields.gid
    if not fields.uid then blame("after_exec: this state does not say who it is: give uid") end
    fields.gid = fields.gid or fields.uid -- who names a uid alone means user and group of that number
    fields.groups = facts.groups or fields.groups or {}
    local following, notes = exec.transform(fields, facts)
    if not following then return refused("execve", "EPERM", notes) end
    for key, value in pairs(following) do fields[key] = value end
    return notes
  end)

--- The state after the program `file` has been executed (execve(2), capabilities(7)), or nil and EPERM where the
--- kernel would refuse. Options, all of which default to what the state says:
---
--- * `file`: what caps.program(path) returns, or a table `{ mode =, uid =, gid =, nosuid =, capabilities = }`:
---   permission bits, owner and group as the observer sees them (nil: an owner without a mapping), whether the mount
---   has nosuid, and file capabilities as caps.file returns them or as text. Without it: a program without set-ID
---   bits or capabilities.
--- * `uid`, `gid`, `groups`: who executes it, one ID or { real =, effective =, saved = }, as the process sees itself.
--- * `ids`: the maps of its user namespace, `{ uid = map, gid = map, parents = { map, ... } }`; parents: the uid maps
---   of the namespaces between that one and the observer's.
--- * `traced`: it is being traced by one without CAP_SYS_PTRACE over it.
--- * `kernel`: "6.15" asks for the rule before Linux 6.16, under which a real ID that differs from the effective one
---   counts as an ID change.
---@param options table?
---@return cella.caps.state?, cella.error?
function methods:after_exec(options)
  local facts = validate.check(exec.rule, options or {}, "")
  state.need(self, ALL_SETS, "after_exec")
  state.need(self, { "no_new_privs" }, "after_exec")
  local given = state.raw(self)
  local ids = { ids = facts.ids or given.ids }
  for _, kind in ipairs { "uid", "gid" } do
    if facts[kind] then
      local problem
      facts[kind], problem = outside_ids(ids, kind, facts[kind])
      if problem then blame(problem) end
    end
  end
  if not (facts.uid or given.uid) then blame("after_exec: this state does not say who it is: give uid") end
  return state.after(self, "exec", facts)
end

local ID_KEYS = { "real", "effective", "saved" }

-- The new triple, or nil and what the kernel says. A process without the capability may only take what it has.
local function new_ids(fields, op, kind, wanted, capability)
  local old, ids = fields[kind], fields.ids
  local fresh = {}
  for i, key in ipairs(ID_KEYS) do
    local id = wanted[i]
    if id == nil then
      fresh[key] = old[key]
    elseif id == wanted[i - 1] then
      fresh[key] = fresh[ID_KEYS[i - 1]]
    else
      local outside = id
      if ids then outside = ids[kind]:outside(id) end
      if not outside then
        return refused(op, "EINVAL", ("%s %.0f is not in the map of this user namespace"):format(kind, id))
      end
      if outside ~= old.real and outside ~= old.effective and outside ~= old.saved
        and not fields.effective:has(capability) then
        return refused(op, "EPERM", ("becoming %s %.0f needs CAP_%s in effect"):format(kind, id,
          ascii.upper(capability)))
      end
      fresh[key] = outside
    end
  end
  return fresh
end

local function check_id(value, name)
  if value ~= nil then validate.check(rule.id, value, name) end
end

state.rule("setresuid", { "effective", "permitted", "inheritable", "bounding", "ambient", "securebits", "uid" },
  function(fields, real, effective, saved)
    local fresh, err = new_ids(fields, "setresuid", "uid", { real, effective, saved }, "setuid")
    if not fresh then return nil, err end
    local old, notes = fields.uid, {}
    fields.uid = fresh
    local root = exec.root_of(fields.ids)
    local function is_root(ids)
      return root ~= nil and (ids.real == root or ids.effective == root or ids.saved == root)
    end
    if securebits.has(fields.securebits, "no_setuid_fixup") then
      notes[1] = "no_setuid_fixup: switching IDs leaves the sets alone"
      return notes
    end
    if is_root(old) and not is_root(fresh) then
      if securebits.has(fields.securebits, "keep_caps") then
        notes[#notes + 1] = "keep_caps: permitted stays when the last of the three IDs leaves 0"
      else
        notes[#notes + 1] = "the last of the three IDs left 0: permitted, effective and ambient are emptied"
        fields.permitted, fields.effective = set.NONE, set.NONE
      end
      fields.ambient = set.NONE
    elseif not is_root(old) and root ~= old.effective and not fields.permitted:empty()
      and fresh.effective ~= old.effective then
      notes[#notes + 1] = "no ID was 0 in this user namespace before: nothing is taken away, whatever the IDs looked "
        .. "like"
    end
    if old.effective == root and fresh.effective ~= root then
      if not fields.effective:empty() then notes[#notes + 1] = "the effective ID left 0: effective is emptied" end
      fields.effective = set.NONE
    elseif root and old.effective ~= root and fresh.effective == root then
      notes[#notes + 1] = "the effective ID became 0: effective is set to permitted"
      fields.effective = fields.permitted
    end
    return notes
  end)

--- The state after setresuid(2). nil leaves an ID as it is. (-1, which the call takes for that, is refused: an ID that
--- was computed wrongly would make the call a silent no-op.) IDs are those inside the process's user namespace.
---@param real integer?
---@param effective integer?
---@param saved integer?
---@return cella.caps.state?, cella.error?
function methods:after_setresuid(real, effective, saved)
  check_id(real, "ruid")
  check_id(effective, "euid")
  check_id(saved, "suid")
  return state.after(self, "setresuid", real, effective, saved)
end

state.rule("setresgid", { "gid", "effective" }, function(fields, real, effective, saved)
  local fresh, err = new_ids(fields, "setresgid", "gid", { real, effective, saved }, "setgid")
  if not fresh then return nil, err end
  fields.gid = fresh
  return {}
end)

--- The state after setresgid(2): who it is changes, the sets do not.
---@param real integer?
---@param effective integer?
---@param saved integer?
---@return cella.caps.state?, cella.error?
function methods:after_setresgid(real, effective, saved)
  check_id(real, "rgid")
  check_id(effective, "egid")
  check_id(saved, "sgid")
  return state.after(self, "setresgid", real, effective, saved)
end

state.rule("setgroups", { "effective" }, function(fields, groups)
  if not fields.effective:has "setgid" then
    return refused("setgroups", "EPERM", "changing supplementary groups needs CAP_SETGID in effect")
  end
  local outside = {}
  for i, group in ipairs(groups) do
    outside[i] = group
    if fields.ids then outside[i] = fields.ids.gid:outside(group) end
    if not outside[i] then
      return refused("setgroups", "EINVAL", ("gid %.0f is not in the map of this user namespace"):format(group))
    end
  end
  fields.groups = outside
  return {}
end)

--- The state after setgroups(2).
---@param groups integer[]  inside the process's user namespace
---@return cella.caps.state?, cella.error?
function methods:after_setgroups(groups)
  groups = validate.check(rule.list(rule.id), groups, "groups")
  return state.after(self, "setgroups", groups)
end

state.rule("unshare_user", {}, function(fields, new_ids_there)
  local ids = fields.ids
  if ids and fields.uid and fields.gid
    and not (ids.uid:inside(fields.uid.effective) and ids.gid:inside(fields.gid.effective)) then
    return refused("unshare", "EPERM",
      "a process whose own uid or gid has no mapping makes no user namespace: both maps "
      .. "of the one it is in have to be written first")
  end
  local notes = { "a new user namespace: effective, permitted and bounding are full there, inheritable, ambient and "
    .. "securebits empty" }
  if fields.bounding and fields.bounding ~= set.ALL then
    notes[2] = "what was dropped from the bounding set before is back, over the new namespace"
  end
  fields.effective, fields.permitted, fields.bounding = set.ALL, set.ALL, set.ALL
  fields.inheritable, fields.ambient, fields.securebits = set.NONE, set.NONE, {}
  fields.ids = new_ids_there or exec.UNMAPPED
  return notes
end, "unshare user")

--- The state after entering a new user namespace (unshare(2), clone(2), and setns(2) into one): everything in
--- effective, permitted and bounding, nothing in inheritable and ambient, no securebits, whatever was given up or
--- locked before (user_namespaces(7)). no_new_privs stays. With `ids`, as if these maps were written already;
--- without, nobody has an ID there and exec loses everything.
---@param options { ids: table? }?
---@return cella.caps.state?, cella.error?
function methods:after_unshare_user(options)
  options = validate.check(rule.record { ids = state.maps_rule }, options or {}, "")
  return state.after(self, "unshare_user", options.ids)
end
