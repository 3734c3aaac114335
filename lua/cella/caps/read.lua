--- States of processes, as the kernel shows them now.

local core = require "cella.core"
local Error = require "cella.error"
local exec = require "cella.caps.exec"
local facts = require "cella.host"
local file = require "cella.host.file"
local kernel = require "cella.host.kernel"
local idmap = require "cella.idmap"
local set = require "cella.caps.set"
local state = require "cella.caps.state"
local status = require "cella.host.status"

local sys = core.sys
local M = {}

local function triple(real, effective, saved)
  return { real = real, effective = effective, saved = saved }
end

local EVERY_ID = 4294967295 -- how many there are

-- The observer's own user namespace, from its own IDs to its own IDs: it knows who has a mapping and whether there is a
-- root. nil where there is no /proc to ask: then everything is taken as mapped.
local function own_ids(host)
  local ids = { whole = true } -- whether no ID is another there, so that maps within are as they are
  for _, kind in ipairs { "uid", "gid" } do
    local map = host[kind .. "_map"]
    if rawget(host, "failure") then return nil end
    if map:outside(0, EVERY_ID) == 0 then
      ids[kind] = map
    else
      ids.whole = false
      local extents = map:extents()
      if #extents == 0 then return exec.UNMAPPED end
      for _, extent in ipairs(extents) do extent.outside = extent.inside end
      ids[kind] = idmap.new(extents)
    end
  end
  return ids
end

local function same_namespace(pid)
  local mine, theirs = sys.namespace("user"), sys.namespace("user", pid)
  if mine and theirs then return mine == theirs end
  -- Not ours to look at. The maps are for everybody to read; equal texts mean equal rights.
  return file.read("/proc/self/uid_map") == file.read(("/proc/%d/uid_map"):format(pid))
end

local function ids_of(pid)
  if same_namespace(pid) then return own_ids(facts.facts()) end
  local uid, gid = idmap.of(pid, "uid"), idmap.of(pid, "gid")
  if not uid or not gid then return nil end
  if #uid:extents() == 0 or #gid:extents() == 0 then return exec.UNMAPPED end
  return { uid = uid, gid = gid }
end

--- The state of this process. The calling thread's, where there are several.
---@param host cella.Host?  facts of this process, which are not asked for again
function M.own(host)
  host = host or facts.facts()
  local sets, message, errno = facts.sets(host), nil, nil
  if not sets then sets, message, errno = core.caps.sets() end
  if not sets then return nil, Error.new { op = "cap_get_proc", message = message, errno = errno } end
  local fields = {
    securebits = host.securebits,
    no_new_privs = host.no_new_privs,
    uid = triple(host.real_uid, host.uid, host.saved_uid),
    gid = triple(host.real_gid, host.gid, host.saved_gid),
    groups = host.groups,
    ids = own_ids(host),
    pid = sys.getpid(),
  }
  for _, name in ipairs(state.SETS) do fields[name] = sets[name] end
  return state.wrap(fields, "of this process")
end

-- One read of one file, so that the sets are of one moment.
local STATUS = { effective = "CapEff", permitted = "CapPrm", inheritable = "CapInh", bounding = "CapBnd",
  ambient = "CapAmb" }

--- The state of another process or thread. Its securebits are nobody's to know but its own: the field is nil.
function M.of(pid)
  local path = ("/proc/%d/status"):format(pid)
  local text, message, errno = file.read(path)
  if not text then
    return nil, Error.new { op = "open", path = path, message = core.strerror(errno or 0), errno = errno or nil,
      why = (errno == 2 or errno == 3) and "there is no such process (or no /proc)" or message }
  end
  local fields = { pid = pid, name = status.field(text, "Name"), ids = ids_of(pid) }
  for name, label in pairs(STATUS) do
    local mask = status.field(text, label)
    if not mask then
      return nil, Error.new { op = "read", path = path, message = "no " .. label .. " there",
        why = "/proc is not a procfs?" }
    end
    fields[name] = core.caps.mask(mask) * set.ALL
  end
  fields.no_new_privs = status.field(text, "NoNewPrivs") == "1"
  local uid, gid = status.numbers(text, "Uid"), status.numbers(text, "Gid")
  fields.uid, fields.gid = triple(uid[1], uid[2], uid[3]), triple(gid[1], gid[2], gid[3])
  fields.groups = status.numbers(text, "Groups")
  return state.wrap(fields, ("of process %d"):format(pid))
end

--- The version of the running kernel, "6.18.1"; nil where there is no /proc.
function M.kernel()
  return (kernel.release() or ""):match "^%d+%.%d+[%d.]*"
end

--- How many threads this process has; nil where there is no /proc.
function M.threads()
  local text = file.read("/proc/self/status")
  return text and tonumber(status.field(text, "Threads"))
end

return M
