--- Supplementary groups: where they can be set, and that they do not cross into a user namespace.
---
--- They are given up by who may, before a user namespace is crossed, whatever works behind it: in one that denies
--- setgroups they could not be given up any more, and would be rights of whoever can trace the program
--- there.

local lists = require "cella.list"

local M = {}

---@class cella.groups.choice
---@field groups integer[]?  what the program has, as IDs inside; nil: they stay what they are
---@field before integer[]?  to be set before the user namespace is crossed, as IDs of the caller's
---@field inside boolean     whether they are set there

---@class cella.groups.crossing
---@field crosses boolean    whether there is another user namespace to go into
---@field joined boolean     one in which others may live
---@field map cella.IdMap?   its gid_map, where that is known
---@field setgroups "allow"|"deny"|nil  nil: it is not known

local function stay(own, wanted)
  return lists.same_members(own, wanted) and { groups = wanted, inside = false } or nil
end

local function refusal(own, crossing, host, wanted)
  local place = crossing.crosses and "that" or "this process's"
  return ("%ssetgroups is denied in %s user namespace, and you have %s (user_namespaces(7)); who has CAP_SETGID "
    .. "outside of it sets them before%s"):format(#wanted == 0 and "they cannot be given up: " or "", place,
    #own == 0 and "none" or "the groups " .. table.concat(own, " "),
    host.setgroups ~= "deny" and crossing.crosses and not crossing.joined
      and "; a policy with subordinate IDs has a namespace that allows it" or "")
end

--- Decides what becomes of the supplementary groups.
---@param wanted integer[]?  as IDs inside; nil: none, but where they cannot be given up they stay
---@param crossing cella.groups.crossing
---@param host cella.Host
---@return cella.groups.choice?, string?
function M.choose(wanted, crossing, host)
  local own = host.groups or {}
  local may = host.capabilities.setgid ~= nil and host.setgroups ~= "deny"
  local groups, outside = wanted or {}, {}
  for i, gid in ipairs(groups) do
    outside[i] = gid
    if crossing.map then outside[i] = crossing.map:outside(gid) end
    if not outside[i] then return nil, ("[%d]: %d is not in the map\n%s"):format(i, gid, tostring(crossing.map)) end
  end
  if not crossing.crosses then
    -- Who may not set them keeps them; that others cannot be had the step says, in a plan of which that is wanted.
    local kept = not host.capabilities.setgid and (not wanted or lists.same_members(own, outside))
    if host.setgroups ~= "deny" and not kept then return { groups = groups, inside = true } end
  elseif crossing.setgroups == "allow" then
    -- In a new one there is nobody yet.
    return { groups = groups, before = crossing.joined and may and #own > 0 and {} or nil, inside = true }
  elseif crossing.setgroups == nil and may then
    return { groups = groups, before = #own > 0 and {} or nil, inside = #groups > 0 }
  elseif crossing.setgroups == nil then
    return wanted and (#own + #groups == 0 and stay(own, groups) or { groups = groups, inside = true })
      or stay(own, {}) or { inside = false }
  elseif may then
    return stay(own, outside) and { groups = groups, inside = false }
      or { groups = groups, before = outside, inside = false }
  end
  if lists.same_members(own, outside) then return { groups = groups, inside = false } end
  if not wanted then return { inside = false } end
  return nil, ": " .. refusal(own, crossing, host, groups)
end

return M
