--- IDs for a container that says nothing about them: never the host's root, and of a privileged caller's none that
--- anybody else has.

local lazy = require "cella.lazy"
local core = require "cella.core"
local errors = require "cella.error"
---@module "cella.policy.hold"
local hold = lazy "cella.policy.hold"
local idmap = require "cella.idmap"

local M = {}

-- 4,094 ranges that no convention uses: below them are those of systemd-nspawn and of directory services, above them
-- numbers that some programs take for negative.
local FIRST, SIZE, RANGES = 1879048192, 65536, 4094

local ROOT = "`ids = policy.root()` gives the caller's own ID as root: for the host's root this means that the host "
  .. "obeys what the container's files and processes do as root"

local function impossible(message, why)
  return nil, errors.new { op = "policy", message = message, why = why }
end

local seed = 0

-- Where to begin: containers that are made at the same time are not to try the same ranges one after the other.
local function anywhere(count)
  seed = seed + 1
  local h = 5381
  for byte in (("%s %.9f %d %d"):format(tostring {}, core.now(), core.sys.getpid(), seed)):gmatch "." do
    h = (h * 33 + byte:byte()) % 4294967296
  end
  return h % count
end

-- True where no ID of a range is in one of some ranges, which are merged and in ascending order.
local function is_free(taken, first, count)
  local low, high = 1, #taken
  while low <= high do
    local middle = math.floor((low + high) / 2)
    local range = taken[middle]
    if range.first >= first + count then
      high = middle - 1
    elseif range.first + range.count <= first then
      low = middle + 1
    else
      return false
    end
  end
  return true
end

local function covers_all(host, first, count)
  return host.uid_map:covers(first, count) and host.gid_map:covers(first, count)
end

local function covers_any(host)
  for i = 0, RANGES - 1 do
    if covers_all(host, FIRST + i * SIZE, SIZE) then return true end
  end
  return false
end

-- The ranges that nobody's files name, as a function of a number from 1 on.
local function of_the_host(host, taken)
  local begin = anywhere(RANGES)
  local next_number = 0
  local list = {}
  return function(number)
    while not list[number] do
      if next_number == RANGES then return nil end
      local first = FIRST + (begin + next_number) % RANGES * SIZE
      next_number = next_number + 1
      if covers_all(host, first, SIZE) and is_free(taken, first, SIZE) then
        list[#list + 1] = { first = first, count = SIZE }
      end
    end
    return list[number]
  end
end

-- The IDs that are both users' and groups' here and are not in use, in ascending order of runs.
local function free_runs(host, taken)
  local function identity(map) return map:compose(map:invert()) end
  local free = identity(host.uid_map):intersect(identity(host.gid_map))
  local function without(first, count)
    free = free:subtract(idmap.new { inside = first, outside = first, count = count })
  end
  for _, range in ipairs(taken) do without(range.first, range.count) end
  for _, name in ipairs { "uid", "gid", "real_uid", "real_gid", "root_uid", "root_gid" } do
    if host[name] then without(host[name], 1) end
  end
  for _, group in ipairs(host.groups) do without(group, 1) end
  without(idmap.overflow, 1)
  local runs = {}
  for _, extent in ipairs(free:extents()) do runs[#runs + 1] = { first = extent.inside, count = extent.count } end
  return runs
end

-- From a map that has none of the ranges above: 65,536 IDs at its upper end where it has so many that are free, else
-- 1,024, else what there is.
local function of_the_map(host, taken)
  local list = {}
  local runs = free_runs(host, taken)
  for _, size in ipairs { SIZE, hold.UNIT } do
    for i = #runs, 1, -1 do
      local run = runs[i]
      local last = math.floor((run.first + run.count) / hold.UNIT) * hold.UNIT - size
      for first = last, run.first, -size do
        list[#list + 1] = { first = first, count = size }
        if #list == RANGES then break end
      end
    end
    if #list > 0 then break end
  end
  local largest
  for i = #runs, 1, -1 do
    if not largest or runs[i].count > largest.count then largest = runs[i] end
  end
  if #list == 0 and largest then list[1] = largest end
  return function(number) return list[number] end
end

local function pair(first, count)
  return { uid = idmap.new { inside = 0, outside = first, count = count },
    gid = idmap.new { inside = 0, outside = first, count = count } }
end

local function alone(host)
  if host.uid == host.root_uid then
    return impossible("the only ID that can be given is the host's root",
      "a container has IDs of its own where the caller has CAP_SETUID and CAP_SETGID, and others in its own ID map; "
      .. ROOT)
  end
  return { uid = idmap.new { inside = 0, outside = host.uid, count = 1 },
    gid = idmap.new { inside = 0, outside = host.gid, count = 1 } }
end

local function count_of(map)
  local count = 0
  for _, extent in ipairs(map:extents()) do count = count + extent.count end
  return count
end

local function unheld(candidate, why)
  local range = candidate(1)
  local result = pair(range.first, range.count)
  result.notes = { ("the IDs are chosen at random and not held, so that another container may be given the same: %s")
    :format(why) }
  return result
end

--- Chooses: a pair of maps, and what holds them, or nil and an error.
---@param host cella.Host
---@return { uid: cella.IdMap, gid: cella.IdMap, notes: string[]? }? maps
---@return any held  or the error
function M.choose(host)
  if not (host.capabilities.setuid and host.capabilities.setgid) then return alone(host) end
  if count_of(host.uid_map) == 1 or count_of(host.gid_map) == 1 then return alone(host) end
  local taken = host.taken
  if not taken then
    local failure = rawget(host, "taken_failure") or rawget(host, "failure") or {}
    return nil, errors.new { op = "policy", path = failure.path, errno = failure.errno, message = failure.message,
      why = "whose IDs are in use cannot be known" }
  end
  local candidate = of_the_host(host, taken)
  if not candidate(1) then
    if covers_any(host) then
      return impossible("accounts have some of each range of IDs that can be given",
        "see /etc/passwd, /etc/group, /etc/subuid and /etc/subgid; `policy.range` names others")
    end
    candidate = of_the_map(host, taken)
  end
  if not candidate(1) then
    return impossible("this user namespace has no IDs that nobody uses",
      "its own map has too few, or accounts have all of them (/etc/passwd, /etc/group); " .. ROOT)
  end
  if not host.runtime then return unheld(candidate, "there is no directory for that") end
  local range, held, nowhere = hold.take(host.runtime, candidate, host.uid)
  if range then return pair(range.first, range.count), held end
  if nowhere then return unheld(candidate, tostring(held)) end
  if held then return nil, held end
  return impossible("all ranges of IDs that can be given are in use",
    "by containers that are there still, or whose processes are; `policy.range` names others")
end

return M
