--- The part of a container's plan that is the same whatever is started in it: recorded once, and kept for as long as
--- the host answers every question as it did then.

local facts = require "cella.host"
local policy = require "cella.policy"
local unchanged = require "cella.host.unchanged" -- by the second start it may be out of reach

local M = {}

---@class cella.container.compiled
---@field host cella.Host   what was asked for it
---@field plan cella.plan?  up to the command; copied for each start
---@field cwd string?
---@field holds boolean?    the capabilities that it asks for have been looked at: they are there in the end

local function is_open_file(mount)
  return type(mount) == "table" and type(mount.source) == "table" and mount.source.fd ~= nil
end

-- Whether nobody but the host decides about the steps. A policy of the caller's may ask whom it likes, a number means
-- another file tomorrow, and what is joined is what it is when it is named.
local function rests_on_facts(box)
  -- A name has other addresses tomorrow.
  for _, one in ipairs(box.network and box.network.allow or {}) do
    if one.host then return false end
  end
  for _, kind in pairs(box.namespaces) do
    if type(kind) == "table" and not kind.offsets then return false end
  end
  if type(box.ids) == "function" and not policy.rests_on_facts(box.ids) then return false end
  if is_open_file(box.root) then return false end
  for _, list in ipairs { box.root or {}, box.mounts or {} } do
    for _, mount in ipairs(list) do
      if is_open_file(mount) then return false end
    end
  end
  return true
end

--- The facts of now: those of the plan that is kept, where they are known to be the same still.
---@param box table
---@return cella.Host
function M.facts(box)
  local kept = box.compiled
  if kept and unchanged.are_unchanged(kept.host) then return kept.host end
  return facts.facts()
end

-- Whether the kept plan's facts are those of now.
local function holds(kept, host) return kept.host == host or unchanged.are_still(kept.host, host) end

--- A plan up to the command: a copy of the one that is kept, or what `begin` records.
---@param box table
---@param cwd string
---@param host cella.Host  facts of now: M.facts(box)
---@param begin fun(box: table, cwd: string, host: cella.Host): cella.plan?, cella.error?
---@return cella.plan?, cella.error?, cella.container.compiled?
function M.take(box, cwd, host, begin)
  local kept = box.compiled
  if kept and kept.cwd == cwd and holds(kept, host) then return kept.plan:branch(), nil, kept end
  box.compiled = nil
  local plan, err = begin(box, cwd, host)
  if not plan then return nil, err end
  if not rests_on_facts(box) then return plan, nil, { host = host } end
  box.compiled = { plan = plan, host = host, cwd = cwd }
  return plan:branch(), nil, box.compiled
end

--- Whether what was started with the plan that `take` has returned with `kept` is what would be started now, as far as
--- the host decides that: this process may have given up since what it was started with. Others who decide are not
--- asked again.
---@param kept cella.container.compiled
---@param host cella.Host  facts of now
---@return boolean
function M.is_still(kept, host)
  return unchanged.are_still(kept.host, host)
end

return M
