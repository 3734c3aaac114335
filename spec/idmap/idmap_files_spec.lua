-- cella.idmap against the kernel's own arithmetic: the owners of files, through maps that are written for real.
-- CELLA_SEED=n repeats a run.

local cella = require "cella"
local host = require "cella.host"
local idmap = require "cella.idmap"
local policy = require "cella.policy"
local trial = require "spec.support.trial"

local facts = host.facts()
local ROOM = 2000

-- Where there are two thousand IDs to map, for users and for groups.
local function room()
  if facts.capabilities.setuid and facts.capabilities.setgid and facts.uid_map:covers(100000, ROOM)
    and facts.gid_map:covers(100000, ROOM) then
    return 100000, 100000
  end
  local user, group = facts.subuid[1], facts.subgid[1]
  if user and group and user.count >= ROOM and group.count >= ROOM
    and policy.range { uid = { inside = 0, outside = user.first, count = 1 },
      gid = { inside = 0, outside = group.first, count = 1 } }(facts) then
    return user.first, group.first
  end
end

describe("the owners of files are what the map says", function()
  local uid_first, gid_first = room()
  if not uid_first or trial.lacks_user_namespaces() then
    pending("needs user namespaces and 2000 IDs: CAP_SETUID, or subordinate ones and newuidmap")
    return
  end

  local seed = tonumber(os.getenv "CELLA_SEED") or os.time() % 1000000
  local directory

  trial.around(before_each, after_each, function(own)
    directory = own
    trial.sh("chmod 777 " .. directory)
  end)

  -- A map of `count` extents that begins at root, with its outside IDs in another order, in a window of ROOM IDs.
  local function random_map(count, first)
    local extents, order, inside, outside = {}, {}, 0, first
    for i = 1, count do
      order[i] = i
      extents[i] = { inside = inside, count = math.random(1, 30) }
      inside = inside + extents[i].count + math.random(0, 3) * 1000
    end
    for i = count, 2, -1 do
      local j = math.random(1, i)
      order[i], order[j] = order[j], order[i]
    end
    for _, i in ipairs(order) do
      extents[i].outside = outside
      outside = outside + extents[i].count + math.random(0, 2)
    end
    assert(outside <= first + ROOM)
    return idmap.new(extents)
  end

  local function run(uid, gid, script)
    local ids, err = policy.range { uid = uid, gid = gid }(facts)
    assert(ids, tostring(err))
    local plan = cella.plan { namespaces = { "user" }, ids = {
      uid = ids.uid, gid = ids.gid, via = ids.via, setgroups = ids.setgroups, helper = ids.helper } }
    plan:setresgid(0, 0, 0):setresuid(0, 0, 0)
    plan:exec { "/bin/sh", "-c", script, directory, stdout = "capture", stderr = "capture" }
    local result
    result, err = plan:run { timeout = 30 }
    assert(result, tostring(err))
    return result
  end

  -- Some of the inside IDs: both ends of every extent.
  local function ends(map)
    local ids = {}
    for _, extent in ipairs(map:extents()) do
      ids[#ids + 1] = extent.inside
      ids[#ids + 1] = extent.inside + extent.count - 1
    end
    return ids
  end

  for _, count in ipairs { 1, 2, 5, 6, 7, 20, 40 } do
    it(("through a random map of %d extents, and nobody else can own one%s"):format(count,
      count > 5 and " #slow" or ""), function()
      math.randomseed(seed + count)
      local uid, gid = random_map(count, uid_first), random_map(count, gid_first)
      local users, all_groups, groups, unmapped = ends(uid), ends(gid), {}, {}
      for i, id in ipairs(users) do
        groups[i] = all_groups[(i - 1) % #all_groups + 1] -- extents may have joined
        unmapped[i] = not uid:outside(id + 1) and id + 1 or nil
      end
      local words = { 'cd "$0" || exit 9; umask 022' }
      for i, id in ipairs(users) do
        words[#words + 1] = (": > %d; chown %d:%d %d || exit 1"):format(i, id, groups[i], i)
        words[#words + 1] = ("stat -c '%%n %%u %%g' %d"):format(i)
        if unmapped[i] then
          words[#words + 1] = (": > u%d; chown %d u%d 2>&1 | grep -q 'Invalid argument' || exit 2"):format(
            i, unmapped[i], i)
        end
      end
      local result = run(uid, gid, table.concat(words, "\n"))
      assert.equal(0, result.code, result.stderr .. ("CELLA_SEED=%d\n%s"):format(seed, tostring(uid)))
      local inside = {}
      for name, user, group in result.stdout:gmatch("(%d+) (%d+) (%d+)\n") do
        inside[tonumber(name)] = { tonumber(user), tonumber(group) }
      end
      for i, id in ipairs(users) do
        assert.same({ id, groups[i] }, inside[i])
        local user, group = trial.sh(("stat -c '%%u %%g' %s/%d"):format(directory, i)):match("^(%d+) (%d+)\n$")
        assert.equal(uid:outside(id), tonumber(user), ("CELLA_SEED=%d, inside %d\n%s"):format(seed, id, tostring(uid)))
        assert.equal(gid:outside(groups[i]), tonumber(group))
        assert.equal(id, uid:inside(tonumber(user)))
      end
    end)
  end

  it("and whoever is not mapped looks like 65534", function()
    trial.write(directory .. "/mine", "")
    local mine = trial.sh(("stat -c '%%u' %s/mine"):format(directory)):match("%d+")
    local map = idmap.new { inside = 0, outside = uid_first, count = 5 }
    assert.is_nil(map:inside(tonumber(mine)))
    local result = run(map, idmap.new { inside = 0, outside = gid_first, count = 5 }, 'stat -c "%u %g" "$0/mine"')
    assert.equal(("%d %d\n"):format(idmap.overflow, idmap.overflow), result.stdout)
  end)
end)
