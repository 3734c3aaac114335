--- What the kernel does to a capability state, as pure functions: nothing here asks the kernel anything.
--
-- Each takes a state and what the call takes, and returns the state after it (with `notes`: what happened and by
-- which rule), or nil and the error that the kernel would give. The rules are those of security/commoncap.c and
-- of capabilities(7), tried on Linux 6.18 over some thousand programs by spec/caps_exec_spec.lua.

local ascii = require "cella.ascii"
local exec = require "cella.caps.exec"
local securebits = require "cella.caps.securebits"
local set = require "cella.caps.set"
local state = require "cella.caps.state"
local validate = require "cella.validate"

local rule = validate.rule
local methods = state.methods

local refused, after = state.refused, state.after
local ALL_SETS = { "effective", "permitted", "inheritable", "bounding", "ambient", "securebits" }

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
  local facts = validate.check(exec.rule, options or {}, "", 2)
  state.need(self, ALL_SETS, "after_exec")
  state.need(self, { "no_new_privs" }, "after_exec")
  local fields = state.fields(self)
  fields.ids = facts.ids or fields.ids
  for _, kind in ipairs { "uid", "gid" } do
    if facts[kind] then
      fields[kind] = {}
      for which, id in pairs(facts[kind]) do
        local outside = id
        if fields.ids then outside = fields.ids[kind]:outside(id) end
        if not outside then error(("%s: %.0f is not in the map"):format(kind, id), 2) end
        fields[kind][which] = outside
      end
    end
    if not fields[kind] then
      if kind == "uid" then error("after_exec: this state does not say who it is: give uid", 2) end
      fields.gid = fields.gid or fields.uid -- who names a uid alone means user and group of that number
    end
  end
  fields.groups = facts.groups or fields.groups or {}
  local next_fields, notes = exec.transform(fields, facts)
  if not next_fields then return refused("execve", "EPERM", notes) end
  return after(next_fields, "exec", notes)
end

local function root_of(fields)
  if not fields.ids then return 0 end
  return fields.ids.uid:outside(0)
end

local ID_KEYS = { "real", "effective", "saved" }

-- The new triple, or nil and what the kernel says. A process without the capability may only take what it has.
local function new_ids(self, op, kind, wanted, capability)
  local old, ids = self[kind], self.ids
  local fresh = {}
  for i, key in ipairs(ID_KEYS) do
    local id = wanted[i]
    if id == nil then
      fresh[key] = old[key]
    else
      local outside = id
      if ids then outside = ids[kind]:outside(id) end
      if not outside then
        return refused(op, "EINVAL", ("%s %.0f is not in the map of this user namespace"):format(kind, id))
      end
      if outside ~= old.real and outside ~= old.effective and outside ~= old.saved
        and not self.effective:has(capability) then
        return refused(op, "EPERM", ("becoming %s %.0f needs CAP_%s in effect"):format(kind, id,
          ascii.upper(capability)))
      end
      fresh[key] = outside
    end
  end
  return fresh
end

local function check_id(value, name)
  if value ~= nil then validate.check(rule.id, value, name, 3) end
end

--- The state after setresuid(2). nil leaves an ID as it is. (-1, which the call takes for that, is refused: an ID that
--- was computed wrongly would make the call a silent no-op.) IDs are those inside the process's user namespace.
---@return cella.caps.state?, cella.error?
function methods:after_setresuid(real, effective, saved)
  check_id(real, "ruid")
  check_id(effective, "euid")
  check_id(saved, "suid")
  state.need(self, ALL_SETS, "after_setresuid")
  state.need(self, { "uid" }, "after_setresuid")
  local fresh, err = new_ids(self, "setresuid", "uid", { real, effective, saved }, "setuid")
  if not fresh then return nil, err end
  local fields, old, notes = state.fields(self), self.uid, {}
  fields.uid = fresh
  local root = root_of(fields)
  local function is_root(ids)
    return root ~= nil and (ids.real == root or ids.effective == root or ids.saved == root)
  end
  if securebits.has(self.securebits, "no_setuid_fixup") then
    notes[1] = "no_setuid_fixup: switching IDs leaves the sets alone"
    return after(fields, "setresuid", notes)
  end
  if is_root(old) and not is_root(fresh) then
    if securebits.has(self.securebits, "keep_caps") then
      notes[#notes + 1] = "keep_caps: permitted stays when the last of the three IDs leaves 0"
    else
      notes[#notes + 1] = "the last of the three IDs left 0: permitted, effective and ambient are emptied"
      fields.permitted, fields.effective = set.none, set.none
    end
    fields.ambient = set.none
  elseif not is_root(old) and root ~= old.effective and not self.permitted:empty()
    and fresh.effective ~= old.effective then
    notes[#notes + 1] = "no ID was 0 in this user namespace before: nothing is taken away, whatever the IDs looked like"
  end
  if old.effective == root and fresh.effective ~= root then
    if not fields.effective:empty() then notes[#notes + 1] = "the effective ID left 0: effective is emptied" end
    fields.effective = set.none
  elseif root and old.effective ~= root and fresh.effective == root then
    notes[#notes + 1] = "the effective ID became 0: effective is set to permitted"
    fields.effective = fields.permitted
  end
  return after(fields, "setresuid", notes)
end

--- The state after setresgid(2): who it is changes, the sets do not.
---@return cella.caps.state?, cella.error?
function methods:after_setresgid(real, effective, saved)
  check_id(real, "rgid")
  check_id(effective, "egid")
  check_id(saved, "sgid")
  state.need(self, { "gid", "effective" }, "after_setresgid")
  local fresh, err = new_ids(self, "setresgid", "gid", { real, effective, saved }, "setgid")
  if not fresh then return nil, err end
  local fields = state.fields(self)
  fields.gid = fresh
  return after(fields, "setresgid")
end

--- The state after setgroups(2).
---@param groups integer[]  inside the process's user namespace
---@return cella.caps.state?, cella.error?
function methods:after_setgroups(groups)
  groups = validate.check(rule.list(rule.id), groups, "groups", 2)
  state.need(self, { "effective" }, "after_setgroups")
  if not self.effective:has("setgid") then
    return refused("setgroups", "EPERM", "changing supplementary groups needs CAP_SETGID in effect")
  end
  local fields = state.fields(self)
  for i, group in ipairs(groups) do
    if self.ids then groups[i] = self.ids.gid:outside(group) end
    if not groups[i] then
      return refused("setgroups", "EINVAL", ("gid %.0f is not in the map of this user namespace"):format(group))
    end
  end
  fields.groups = groups
  return after(fields, "setgroups")
end

--- The state after entering a new user namespace (unshare(2), clone(2), and setns(2) into one): everything in
--- effective, permitted and bounding, nothing in inheritable and ambient, no securebits, whatever was given up or
--- locked before (user_namespaces(7)). no_new_privs stays. With `ids`, as if these maps were written already;
--- without, nobody has an ID there and exec loses everything.
---@param options { ids: table? }?
---@return cella.caps.state?, cella.error?
function methods:after_unshare_user(options)
  options = validate.check(rule.record { ids = state.maps_rule }, options or {}, "", 2)
  local fields = state.fields(self)
  if self.ids and self.uid and self.gid
    and not (self.ids.uid:inside(self.uid.effective) and self.ids.gid:inside(self.gid.effective)) then
    return refused("unshare", "EPERM",
      "a process whose own uid or gid has no mapping makes no user namespace: both maps "
      .. "of the one it is in have to be written first")
  end
  local notes = { "a new user namespace: effective, permitted and bounding are full there, inheritable, ambient and "
    .. "securebits empty" }
  if self.bounding and #self.bounding < set.last + 1 then
    notes[2] = "what was dropped from the bounding set before is back, over the new namespace"
  end
  fields.effective, fields.permitted, fields.bounding = set.all(), set.all(), set.all()
  fields.inheritable, fields.ambient, fields.securebits = set.none, set.none, {}
  fields.ids = options.ids or exec.UNMAPPED
  return after(fields, "unshare user", notes)
end
