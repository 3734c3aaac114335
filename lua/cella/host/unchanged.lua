--- Whether facts that were found out once are still so.

local core = require "cella.core"
local find = require "cella.host.find"
local facts = require "cella.host"

local M = {}

local function is_same(mine, theirs)
  if mine == theirs then return true end -- ID maps and masks as values
  if type(mine) ~= "table" or type(theirs) ~= "table" then return false end
  for key, value in pairs(mine) do
    if not is_same(theirs[key], value) then return false end -- which asks, where it is asked for one by one
  end
  for key in pairs(theirs) do
    if rawget(mine, key) == nil then return false end
  end
  return true
end

-- What follows from another fact alone, or says nothing about the host.
local DERIVED = { capabilities = true, bounding = true, ambient = true, problems = true }

--- Whether every fact that was asked for is still so: each is asked for again, once. No where there were problems.
---@param host cella.Host  of cella.host.facts
---@param now cella.Host   of cella.host.facts
---@return boolean
function M.are_still(host, now)
  if #host.problems > 0 then return false end
  if rawget(host, find.EFFECTIVE) ~= nil and find.effective(now) ~= rawget(host, find.EFFECTIVE) then return false end
  if rawget(host, find.SETS) ~= nil and not is_same(rawget(host, find.SETS), find.sets(now)) then return false end
  for name, value in pairs(host) do
    if type(name) == "string" and not DERIVED[name] and not is_same(value, now[name]) then return false end
  end
  for name in pairs(facts.absent(host)) do
    if now[name] ~= nil then return false end
  end
  return #now.problems == 0
end

-- Whether both lists have the same members, in the same order.
local function is_same_list(mine, theirs)
  if not theirs or #mine ~= #theirs then return false end
  for i, value in ipairs(mine) do
    if theirs[i] ~= value then return false end
  end
  return true
end

local function is_file_still(path, known)
  local status, errno = find.look(path)
  if known.errno ~= errno then return false end
  for _, field in ipairs(find.STATUS) do
    if known[field] ~= (status and status[field]) then return false end
  end
  return true
end

-- What follows from others: asked of the facts themselves, of which all are compared.
local function follows(name)
  return function(host, value) return is_same(value, find.of[name](host)) end
end

-- Compared where another is.
local function is_with_another() return true end

-- How facts on which most containers rest are asked for again, each a function(host, value) -> boolean: without making
-- a table of facts anew, which takes longer than to ask for them.
local still = {
  uid = function(host)
    local real, effective_id, saved = core.sys.getresuid()
    return real == host.real_uid and effective_id == host.uid and saved == host.saved_uid
  end,
  gid = function(host)
    local real, effective_id, saved = core.sys.getresgid()
    return real == host.real_gid and effective_id == host.gid and saved == host.saved_gid
  end,
  real_uid = is_with_another, saved_uid = is_with_another, real_gid = is_with_another, saved_gid = is_with_another,
  groups = function(_, value) return is_same_list(value, (core.sys.getgroups())) end,
  securebits = function(_, value) return is_same_list(value, find.of.securebits()) end,
  no_new_privs = function(_, value) return core.sys.get_no_new_privs() == value end,
  memory_defaults = function(_, value) return find.of.memory_defaults() == value end,
  interpreter = function(_, value) return find.of.interpreter() == value end,
  namespaces = function(_, value)
    for kind, number in pairs(value) do
      if core.sys.namespace(kind) ~= number then return false end
    end
    return true
  end,
  files = function(_, value)
    for path, known in pairs(value) do
      if not is_file_still(path, known) then return false end
    end
    return true
  end,
  limits = function(_, value)
    for resource, known in pairs(value) do
      local soft, hard = core.sys.getrlimit(resource)
      if soft ~= known.soft or hard ~= known.hard then return false end
    end
    return true
  end,
  initial = follows "initial", uid_map = follows "uid_map", gid_map = follows "gid_map",
  setgroups = follows "setgroups", root_uid = follows "root_uid", root_gid = follows "root_gid",
  system = follows "system",
}

--- Whether facts are known to be still so, by the same questions as `are_still` with those of now. No where that is not
--- known so quickly either: then it is for the other to say.
---@param host cella.Host  of cella.host.facts
---@return boolean
function M.are_unchanged(host)
  if #host.problems > 0 or next(facts.absent(host)) ~= nil then return false end
  if rawget(host, find.EFFECTIVE) ~= nil and core.caps.effective() ~= rawget(host, find.EFFECTIVE) then return false end
  if rawget(host, find.SETS) ~= nil and not is_same(rawget(host, find.SETS), core.caps.sets()) then return false end
  for name in pairs(host) do
    if type(name) == "string" and not DERIVED[name] and not still[name] then return false end
  end
  for name, ask in pairs(still) do
    local value = rawget(host, name)
    if value ~= nil and not ask(host, value) then return false end
  end
  return #host.problems == 0
end

return M
