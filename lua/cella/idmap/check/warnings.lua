--- What the kernel allows and a person would not: each is a table { code =, message =, remedy = }.

local M = {}

-- Accounts of people are in this range (UID_MIN and UID_MAX of login.defs(5)).
local FIRST_LOGIN, LAST_LOGIN = 1000, 59999

local function add(list, code, message, remedy)
  list[#list + 1] = { code = code, message = message, remedy = remedy }
end

local function span(first, count)
  return count == 1 and ("%.0f"):format(first) or ("%.0f to %.0f"):format(first, first + count - 1)
end

local function root_mapped(list, map, situation)
  local kind, inside = situation.kind, map:inside(0)
  if not inside then return end
  add(list, "initial-root",
    ("%s %.0f inside is %s's root outside: a process that gets it, or a file that it makes, is root's there"):format(
      kind, inside, situation.host.initial and "the initial namespace" or "the parent namespace"),
    "map IDs that nobody has, such as subordinate ones (subuid(5))")
end

local function users_mapped(list, map, situation)
  local kind, host = situation.kind, situation.host
  local found, seen = {}, {}
  for _, user in ipairs(host.users or {}) do
    local id = user[kind]
    if id and id >= FIRST_LOGIN and id <= LAST_LOGIN and id ~= host[kind] and map:inside(id) and not seen[id] then
      seen[id] = true
      found[#found + 1] = user
    end
  end
  if #found == 0 then return end
  local name = found[1].name
  add(list, "other-user", ("%s %.0f inside is %s outside, and may do to %s's files what %s may%s"):format(kind,
    map:inside(found[1][kind]), name, name, name,
    #found > 1 and ("; other users who are mapped: %d"):format(#found - 1) or ""),
    "leave the IDs of users out of the map")
end

local function shared(list, map, situation)
  local ids = map:invert():compose(map) -- every outside ID to itself
  for number, other in ipairs(situation.others or {}) do
    local theirs = other.map or other
    local common = ids:intersect(theirs:invert():compose(theirs)):extents()
    if #common > 0 then
      local name = other.name or ("another container (%d)"):format(number)
      add(list, "shared", ("%s has %s %s too: root in one is a user of the other's files and processes"):format(
        name, situation.kind .. "s", span(common[1].inside, common[1].count)), "give each container IDs of its own")
    end
  end
end

local function beyond_owner(list, map, situation)
  if not situation.ranges then return end
  local left = map:invert():compose(map):subtract(situation.ranges):extents()
  if #left > 0 then
    add(list, "beyond-owner", ("%ss %s outside are not among the subordinate IDs of whom the map is for"):format(
      situation.kind, span(left[1].inside, left[1].count)), "map only what getsubids(1) shows for the user")
  end
end

local function groups_droppable(list, _, situation)
  local host = situation.host
  if situation.kind ~= "gid" or situation.setgroups == "deny" or host.capabilities.setgid then return end
  local extra = {}
  for _, group in ipairs(host.groups) do
    if group ~= host.gid then extra[#extra + 1] = ("%.0f"):format(group) end
  end
  if #extra == 0 then return end
  add(list, "groups-droppable",
    ("setgroups is allowed, so a process inside can drop the groups %s, and open what is closed to them"):format(
      table.concat(extra, ", ")), "deny setgroups before the gid map is written, if files are closed to groups here")
end

local function creator_unmapped(list, map, situation)
  local host, kind = situation.host, situation.kind
  if kind == "projid" or map:inside(host[kind]) then return end
  add(list, "creator-unmapped",
    ("your %s %.0f is not mapped: until it switches, the first process looks like %s 65534 and still is you towards "
      .. "files outside"):format(kind, host[kind], kind),
    "have it switch to a mapped ID before it runs anything (setresgid(2), then setresuid(2))")
end

local all = { root_mapped, users_mapped, shared, beyond_owner, groups_droppable, creator_unmapped }

--- All warnings about a map that will be in force.
---@param map cella.IdMap
---@param situation table  kind, host, setgroups, others, ranges (a set as a map)
function M.of(map, situation)
  local list = {}
  for _, warn in ipairs(all) do warn(list, map, situation) end
  return list
end

return M
