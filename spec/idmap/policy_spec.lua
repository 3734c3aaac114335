-- cella.policy: which maps a policy gives on which host. Everything but the last part is pure: the hosts are plain
-- tables, so these specs need neither root nor Linux features.

local cella = require "cella"
local core = require "cella.core"
local errors = require "cella.error"
local idmap = require "cella.idmap"
local layout = require "cella.policy.ranges"
local policy = require "cella.policy"
local portable = require "spec.support.portable"
local program = require "cella.subid.program"

local function range(first, count) return { first = first, count = count } end

local function set(...)
  local result = {}
  for _, name in ipairs { ... } do result[name] = true end
  return result
end

local function host(changes)
  local facts = {
    uid = 1000, gid = 1000, user = "alice", groups = { 1000, 27 },
    subuid = { range(100000, 65536) }, subgid = { range(200000, 65536) }, subid_source = "files",
    newuidmap = "/usr/bin/newuidmap", newgidmap = "/usr/bin/newgidmap",
    bounding = set("setuid", "setgid", "setfcap"),
  }
  for name, value in pairs(changes or {}) do facts[name] = value end
  for _, name in ipairs(changes and changes.without or {}) do facts[name] = nil end
  facts.without = nil
  return facts
end

local function root(changes)
  local facts = host {
    uid = 0, gid = 0, user = "root", groups = { 0 }, subuid = {}, subgid = {},
    capabilities = set("setuid", "setgid", "setfcap", "sys_admin"),
    owners = { alice = { subuid = { range(100000, 65536) }, subgid = { range(200000, 65536) }, source = "files" } },
  }
  for name, value in pairs(changes or {}) do facts[name] = value end
  return facts
end

local hosts = {
  user = host(),
  root = root(),
  root_without_setuid = root { capabilities = set("setgid", "setfcap", "sys_admin") },
  container = root { uid_map = "0 100000 65536", gid_map = "0 200000 65536" },
  no_subids = host { subuid = {}, subgid = {} },
  three_ranges = host {
    subuid = { range(300000, 10), range(100000, 20), range(200000, 30) },
    subgid = { range(100000, 20), range(300000, 10), range(200000, 30) },
  },
}

local function given(result)
  return { tostring(result.uid), tostring(result.gid), result.via, result.setgroups }
end

-- What a policy gives on each host: { uid, gid, via, setgroups }, or a part of the error.
local function on_hosts(make, expected)
  for name, facts in pairs(hosts) do
    it("on a host like " .. name, function()
      local want = expected[name]
      assert(want ~= nil, "no expectation for " .. name)
      local result, err = make()(facts)
      if type(want) == "string" then
        assert.is_nil(result, result and tostring(result.uid))
        assert.is_true(errors.is(err))
        assert.truthy(tostring(err):find(want, 1, true), tostring(err))
        assert.is_string(err.why, "an error without a why")
      else
        assert(result, tostring(err))
        if not want[2] then want[2] = want[1] end
        assert.same(want, given(result))
      end
    end)
  end
end

describe("the policy", function()
  describe("root: root inside is me", function()
    on_hosts(policy.root, {
      user = { "0 1000 1", nil, "self", "deny" },
      root = { "0 0 1", nil, "parent" },
      root_without_setuid = { "0 0 1", nil, "self", "deny" },
      container = { "0 0 1", nil, "parent" },
      no_subids = { "0 1000 1", nil, "self", "deny" },
      three_ranges = { "0 1000 1", nil, "self", "deny" },
    })

    it("is named by its result", function()
      assert.equal("root", policy.root()(hosts.user).name)
    end)
  end)

  describe("me: I am myself", function()
    on_hosts(policy.me, {
      user = { "1000 1000 1", nil, "self", "deny" },
      root = { "0 0 1", nil, "parent" },
      root_without_setuid = { "0 0 1", nil, "self", "deny" },
      container = { "0 0 1", nil, "parent" },
      no_subids = { "1000 1000 1", nil, "self", "deny" },
      three_ranges = { "1000 1000 1", nil, "self", "deny" },
    })
  end)

  describe("identity: everything as it is", function()
    on_hosts(policy.identity, {
      user = "it lacks CAP_SETUID",
      root = { "0 0 4294967295", nil, "parent" },
      root_without_setuid = "this process: it lacks CAP_SETUID",
      container = { "0 0 65536", nil, "parent" },
      no_subids = "none (source: files)",
      three_ranges = "uid 0 to 999 is not among the subordinate IDs of alice",
    })
  end)

  describe("subids: I am root, and behind me are all my subordinate IDs", function()
    on_hosts(policy.subids, {
      user = { "0 1000 1\n1 100000 65536", "0 1000 1\n1 200000 65536", "helper" },
      root = "root has no subordinate uids (source: files)",
      root_without_setuid = "usermod --add-subuids",
      container = "root has no subordinate uids",
      no_subids = "alice has no subordinate uids (source: files)",
      three_ranges = {
        "0 1000 1\n1 300000 10\n11 100000 20\n31 200000 30",
        "0 1000 1\n1 100000 20\n21 300000 10\n31 200000 30", "helper",
      },
    })

    it("gives root its own ranges where it has some", function()
      local result = assert(policy.subids()(root { subuid = { range(5000, 5) }, subgid = { range(6000, 6) } }))
      assert.same({ "0 0 1\n1 5000 5", "0 0 1\n1 6000 6", "parent" }, given(result))
    end)

    it("needs subordinate gids as well", function()
      local result, err = policy.subids()(host { subgid = {} })
      assert.is_nil(result)
      assert.truthy(tostring(err):find("no subordinate gids", 1, true), tostring(err))
    end)

    it("joins ranges that continue each other", function()
      local result = assert(policy.subids()(host { subuid = { range(100, 10), range(110, 10) } }))
      assert.equal("0 1000 1\n1 100 20", tostring(result.uid))
    end)

    it("uses an ID once, though a file names it twice", function()
      local result = assert(policy.subids()(host { subuid = { range(100, 10), range(100, 10), range(95, 10) } }))
      assert.equal("0 1000 1\n1 100 10\n11 95 5", tostring(result.uid))
    end)

    it("maps me once, though my own ID is among my subordinate ones", function()
      local result = assert(policy.subids()(host { subuid = { range(999, 3) } }))
      assert.equal("0 1000 1\n1 999 1\n2 1001 1", tostring(result.uid))
    end)

    it("fits into the IDs that there are, or is refused", function()
      local result = assert(policy.subids()(root { subuid = { range(1, 4294967294) }, subgid = { range(1, 1) } }))
      assert.equal("0 0 4294967295", tostring(result.uid))
      result = policy.subids()(host { user = "x", uid = 7, subuid = { range(0, 4294967295) } })
      assert.equal("0 7 1\n1 0 7\n8 8 4294967287", tostring(result.uid))
    end)

    it("works with another group than that after a login only where the administrator allows it", function()
      assert.truthy(policy.subids()(host { login_gid = 7, grants_other_groups = true }))
    end)

    it("does not work under no_new_privs, without helpers, or with another real user", function()
      for reason, changes in pairs {
        ["no_new_privs"] = { no_new_privs = true },
        ["newuidmap is not installed"] = { without = { "newuidmap" } },
        ["newgidmap is not installed"] = { without = { "newgidmap" } },
        ["they go by the real uid 5"] = { real_uid = 5 },
        ["they want the group to be the one after a login, 7,"] = { login_gid = 7 },
        ["not in the bounding set"] = { bounding = set("setuid") },
      } do
        local result, err = policy.subids()(host(changes))
        assert.is_nil(result, reason)
        assert.equal("EPERM", err.code)
        assert.truthy(tostring(err):find(reason, 1, true), tostring(err))
      end
    end)
  end)

  describe("subids of another owner", function()
    on_hosts(function() return policy.subids "alice" end, {
      user = { "0 1000 1\n1 100000 65536", "0 1000 1\n1 200000 65536", "helper" },
      root = { "0 100000 65536", "0 200000 65536", "parent" },
      root_without_setuid = "uid 100000 to 165535 is not among the subordinate IDs of root, which are none",
      container = "uid 100000 to 165535 does not exist in this user namespace, whose map is '0 100000 65536'",
      no_subids = "no subordinate uids",
      three_ranges = {
        "0 1000 1\n1 300000 10\n11 100000 20\n31 200000 30",
        "0 1000 1\n1 100000 20\n21 300000 10\n31 200000 30", "helper",
      },
    })

    it("are those of somebody else only with privilege", function()
      local facts = host { owners = { bob = { subuid = { range(7, 7) }, subgid = { range(7, 7) }, source = "files" } } }
      local result, err = policy.subids "bob"(facts)
      assert.is_nil(result)
      assert.truthy(tostring(err):find("uid 7 to 13 is not among the subordinate IDs of alice", 1, true), tostring(err))
    end)

    it("may be named by number", function()
      local facts = root { owners = { [1000] = { subuid = { range(7, 7) }, subgid = { range(8, 7) } } } }
      assert.same({ "0 7 7", "0 8 7", "parent" }, given(assert(policy.subids(1000)(facts))))
    end)

    it("is nobody who has none, and nobody unknown", function()
      local result, err = policy.subids "bob"(root())
      assert.is_nil(result)
      assert.truthy(tostring(err):find("nothing is known of subordinate IDs of bob", 1, true), tostring(err))
      result, err = policy.subids "bob"(root { owners = { bob = { subuid = {}, subgid = {}, source = "libsubid" } } })
      assert.is_nil(result)
      assert.truthy(tostring(err):find("bob has no subordinate uids (source: libsubid)", 1, true), tostring(err))
      result, err = policy.subids "bob"(root { owners = { bob = { subuid = {}, subgid = {}, problem = "is down" } } })
      assert.is_nil(result)
      assert.truthy(tostring(err):find("is down", 1, true), tostring(err))
    end)

    it("is no text that looks like a number", function()
      assert.has_error(function() policy.subids "1000" end)
      assert.has_error(function() policy.subids "" end)
      assert.has_error(function() policy.subids(-1) end)
      assert.has_error(function() policy.subids(4294967295) end)
    end)
  end)

  describe("range: these and no others", function()
    on_hosts(function() return policy.range(0, 200000, 10) end, {
      user = "uid 200000 to 200009 is not among the subordinate IDs of alice, which are 100000 to 165535",
      root = { "0 200000 10", nil, "parent" },
      root_without_setuid = "it lacks CAP_SETUID;",
      container = "does not exist in this user namespace",
      no_subids = "which are none",
      three_ranges = { "0 200000 10", nil, "helper" },
    })

    it("may be different for users and groups, and anything that is a map", function()
      local make = policy.range { uid = "0 100000 5", gid = { { inside = 0, outside = 200000, count = 6 } } }
      assert.same({ "0 100000 5", "0 200000 6", "helper" }, given(assert(make(hosts.user))))
    end)

    it("of one own ID needs no helper, but setgroups denied", function()
      assert.same({ "5 1000 1", "5 1000 1", "self", "deny" }, given(assert(policy.range(5, 1000, 1)(hosts.user))))
    end)

    it("is a map, when it is made", function()
      for _, bad in ipairs {
        { 0, 4294967296, 1 }, { 0, 0, 0 }, { -1, 0, 1 }, { "0", 0, 1 }, { 0, 0 }, { {} }, { { uid = "0 0 1" } },
        { { uid = "0 0 1", gid = "x" } }, { { uid = "0 0 1", gid = "0 0 1", pid = 1 } },
        { { uid = "0 0 1", gid = "0 0 1" }, 1 },
      } do
        assert.has_error(function() policy.range(bad[1], bad[2], bad[3]) end)
      end
    end)
  end)

  describe("exactly: these inside IDs", function()
    on_hosts(function() return policy.exactly { 1000, 0, 33 } end, {
      user = { "0 100000 1\n33 100001 1\n1000 100002 1", "0 200000 1\n33 200001 1\n1000 200002 1", "helper" },
      root = "3 uids are wanted, and root has 0 subordinate ones",
      root_without_setuid = "3 uids are wanted",
      container = "3 uids are wanted",
      no_subids = "3 uids are wanted, and alice has 0 subordinate ones (source: files)",
      three_ranges = { "0 300000 1\n33 300001 1\n1000 300002 1", nil, "helper" },
    })

    it("can have my own ID among them", function()
      local result = assert(policy.exactly { 0, 33, 1000, own = 33 }(hosts.user))
      assert.same({ "0 100000 1\n33 1000 1\n1000 100001 1", "0 200000 1\n33 1000 1\n1000 200001 1", "helper" },
        given(result))
    end)

    it("can be my own ID alone, for which no subordinate ones are needed", function()
      assert.same({ "33 1000 1", "33 1000 1", "self", "deny" },
        given(assert(policy.exactly { 33, own = 33 }(hosts.no_subids))))
    end)

    it("can differ for users and groups", function()
      local result = assert(policy.exactly { uid = { 0 }, gid = { 0, 4, own = 4 } }(hosts.user))
      assert.same({ "0 100000 1", "0 200000 1\n4 1000 1", "helper" }, given(result))
    end)

    it("need as many subordinate gids", function()
      local result, err = policy.exactly { 0, 1, 2 }(host { subgid = { range(5, 2) } })
      assert.is_nil(result)
      assert.truthy(tostring(err):find("3 gids are wanted, and alice has 2", 1, true), tostring(err))
    end)

    it("are IDs, none twice, at least one, and the own one is among them", function()
      for _, bad in ipairs {
        {}, { 0, 0 }, { -1 }, { "0" }, { 4294967295 }, { 0, own = 5 }, { 0, owner = 0 }, { uid = { 0 } },
      } do
        assert.has_error(function() policy.exactly(bad) end)
      end
      assert.has_error(function() policy.exactly() end)
      assert.has_error(function() policy.exactly(5) end)
    end)

    local function placed(ids, ranges)
      local extents = layout.place(ids, ranges)
      return extents and idmap.new(extents)
    end

    it("come in as few extents as there can be: a run of IDs stays in one range that holds it", function()
      local ids = {}
      for id = 0, 9 do ids[#ids + 1] = id end
      for id = 100, 129 do ids[#ids + 1] = id end
      assert.equal("0 500 10\n100 900 30", tostring(placed(ids, { range(500, 10), range(900, 30) })))
      assert.equal("0 500 10\n100 900 30", tostring(placed(ids, { range(900, 30), range(500, 10) })))
    end)

    it("lie across two ranges that continue each other", function()
      assert.equal("0 100 4", tostring(placed({ 0, 1, 2, 3 }, { range(102, 2), range(100, 2) })))
    end)

    -- Tries every order of runs on every order of ranges, filling range after range: that finds the fewest cuts.
    local function fewest(runs, ranges)
      local best = math.huge
      local function permutations(list, visit, k)
        k = k or #list
        if k <= 1 then return visit(list) end
        for i = 1, k do
          list[i], list[k] = list[k], list[i]
          permutations(list, visit, k - 1)
          list[i], list[k] = list[k], list[i]
        end
      end
      -- A range may be left before it is full, so at each cut there is a choice.
      local function fill(order, bins, i, need, b, room, cuts)
        if cuts >= best then return end
        if i > #order then best = cuts return end
        if b > #bins then return end
        if need <= room then
          fill(order, bins, i + 1, order[i + 1] or 0, b, room - need, cuts)
        elseif room > 0 then
          fill(order, bins, i, need - room, b + 1, bins[b + 1] or 0, cuts + 1)
        end
        fill(order, bins, i, need, b + 1, bins[b + 1] or 0, cuts)
      end
      permutations(runs, function(order)
        permutations(ranges, function(bins) fill(order, bins, 1, order[1], 1, bins[1], 0) end)
      end)
      return best
    end

    it("come in as few extents as there can be, for random runs and ranges #slow", function()
      local seed = tonumber(os.getenv "CELLA_SEED") or os.time()
      math.randomseed(seed)
      for case = 1, 300 do
        local ids, sizes, total, next_id = {}, {}, 0, 0
        for i = 1, math.random(1, 4) do
          sizes[i] = math.random(1, 9)
          for _ = 1, sizes[i] do ids[#ids + 1], next_id = next_id, next_id + 1 end
          total, next_id = total + sizes[i], next_id + 5
        end
        local ranges, rooms, have = {}, {}, 0
        while have < total do
          local count = math.random(1, 9)
          ranges[#ranges + 1] = range(#ranges * 1000 + math.random(0, 900), count)
          rooms[#ranges], have = count, have + count
          if #ranges == 6 then break end
        end
        local map = placed(ids, ranges)
        local name = ("seed %d, case %d"):format(seed, case)
        if have < total then
          assert.is_nil(map, name)
        else
          for _, id in ipairs(ids) do assert.truthy(map:outside(id), name) end
          local covered = 0
          for _, extent in ipairs(map:extents()) do covered = covered + extent.count end
          assert.equal(total, covered, name)
          local there = layout.set(ranges)
          for _, extent in ipairs(map:extents()) do assert.is_true(there:covers(extent.outside, extent.count), name) end
          assert.equal(#sizes + fewest(sizes, rooms), #map:extents(), name .. "\n" .. tostring(map))
        end
      end
    end)

    it("take their time only up to a bound", function()
      local ids, ranges = {}, {}
      for i = 0, 199 do
        for j = 0, 6 do ids[#ids + 1] = i * 100 + j end
      end
      for i = 1, 150 do ranges[i] = range(i * 1000, i % 2 == 0 and 9 or 10) end
      local started = os.clock()
      local map = assert(placed(ids, ranges))
      assert.is_true(os.clock() - started < 3)
      assert.is_true(#map:extents() <= 200 + 150)
    end)
  end)

  describe("available: what the caller can give, whoever that is", function()
    local function available(facts)
      local result, err = policy.available()(facts)
      return assert(result, tostring(err))
    end

    -- A range that nobody else has is another each time: what is the same of all is looked at.
    local function gives_a_range(result)
      local extents = result.uid:extents()
      assert.same({ 1, 0, 65536 }, { #extents, extents[1].inside, extents[1].count })
      assert.is_true(result.uid == result.gid)
      assert.same({ "default", "parent" }, { result.name, result.via })
      assert.same({}, result.tried)
      assert.matches("^a range that nobody else has: 0 to 65535 are %d+ to %d+ outside$", result.notes[1])
      return extents[1].outside
    end

    it("is a range that nobody else has for who may map any, also where he has subordinate IDs", function()
      assert.is_true(gives_a_range(available(hosts.root)) >= 1879048192)
      gives_a_range(available(root { subuid = { range(5000, 5) }, subgid = { range(6000, 6) } }))
    end)

    it("is the same range as long as the policy's value is the same", function()
      local same = policy.available()
      local one = assert(same(hosts.root)).uid
      for _ = 1, 20 do assert.equal(one, assert(same(hosts.root)).uid) end
    end)

    it("is the subordinate IDs of who has some, and helpers", function()
      local result = available(hosts.user)
      assert.same({ "0 1000 1\n1 100000 65536", "0 1000 1\n1 200000 65536", "helper" }, given(result))
      assert.equal("subids", result.name)
      assert.same({ "the subordinate IDs of alice: 0 is 1000 outside, 1 to 65536 are 100000 to 165535 outside" },
        result.notes)
      assert.same({}, result.tried)
    end)

    it("is one ID for everyone else, and says why not more", function()
      for why, facts in pairs {
        ["has no subordinate uids"] = hosts.no_subids,
        ["newuidmap is not installed"] = host { without = { "newuidmap" } },
        ["has no_new_privs"] = host { no_new_privs = true },
        ["is not in the bounding set"] = host { bounding = {} },
        ["the file is broken"] = host { subuid = {}, subid_problem = "the file is broken" },
      } do
        local result = available(facts)
        assert.same({ "0 1000 1", "0 1000 1", "self", "deny" }, given(result))
        assert.equal("root", result.name)
        assert.same({ "one ID: 0 is 1000 outside" }, result.notes)
        assert.equal("subids", result.tried[1].name)
        assert.truthy(tostring(result.tried[1].err):find(why, 1, true), tostring(result.tried[1].err))
      end
    end)

    it("is never the host's root, and nothing less than a range for who may give one", function()
      local result, err = policy.available()(hosts.root_without_setuid)
      assert.is_nil(result)
      assert.matches("the only ID that can be given is the host's root", err.message, 1, true)
      assert.equal("subids", err.tried[1].name)
      local all = { range(1879048192, 4094 * 65536) }
      result, err = policy.available()(root { taken = all, subuid = { range(5000, 5) }, subgid = { range(5000, 5) } })
      assert.is_nil(result)
      assert.matches("accounts have some of each range", err.message)
    end)

    it("is never the host's root among subordinate IDs", function()
      local mine = { range(5000, 5) }
      for why, facts in pairs {
        ["its uid 0 is the caller's own"] = root { capabilities = set "setgid", subuid = mine, subgid = mine },
        ["its uid 0 is one of the subordinate uids of alice"] = host { subuid = { range(0, 10) } },
        ["its gid 0 is one of the subordinate gids of alice"] = host { subgid = { range(0, 10) } },
      } do
        local result, err = policy.available()(facts)
        assert.is_nil(result)
        assert.equal("the host's root is among the IDs that could be given", err.message)
        assert.truthy(err.why:find(why, 1, true), err.why)
        assert(policy.subids()(facts), "there would be subordinate IDs")
      end
      assert.equal("subids", available(host { gid = 0, real_gid = 0, login_gid = 0 }).name)
    end)

    it("is a part of the caller's own map, where that has no such ranges", function()
      local result = available(hosts.container)
      assert.equal("default", result.name)
      assert.is_nil(result.uid:inside(0))
    end)

    it("says which it was where a person looks: the result and the plan", function()
      local said = "the subordinate IDs of alice: 0 is 1000 outside, 1 to 65536 are 100000 to 165535 outside"
      assert.equal("policy subids\n  uid 0 is 1000 outside, 1 to 65536 are 100000 to 165535 outside\n  "
        .. "gid 0 is 1000 outside, 1 to 65536 are 200000 to 265535 outside\n  written by newuidmap and newgidmap\n  "
        .. said, tostring(available(hosts.user)))
      local plan = cella.plan():umask(18)
      plan.policy = available(hosts.user)
      assert.equal("-- ids: " .. said .. "\n  1 parent  clone3({})\n  2 child   umask(18)", tostring(plan))
    end)
  end)

  describe("first: the first that works", function()
    local function choice()
      return policy.first { policy.identity(), policy.subids(), policy.root() }
    end
    on_hosts(choice, {
      user = { "0 1000 1\n1 100000 65536", "0 1000 1\n1 200000 65536", "helper" },
      root = { "0 0 4294967295", nil, "parent" },
      root_without_setuid = { "0 0 1", nil, "self", "deny" },
      container = { "0 0 65536", nil, "parent" },
      no_subids = { "0 1000 1", nil, "self", "deny" },
      three_ranges = {
        "0 1000 1\n1 300000 10\n11 100000 20\n31 200000 30",
        "0 1000 1\n1 100000 20\n21 300000 10\n31 200000 30", "helper",
      },
    })

    it("says which it was, and why it was none before", function()
      local result = choice()(hosts.no_subids)
      assert.equal("root", result.name)
      assert.equal("identity", result.tried[1].name)
      assert.equal("subids", result.tried[2].name)
      assert.truthy(tostring(result.tried[2].err):find("no subordinate uids", 1, true))
    end)

    it("says why it is none", function()
      local result, err = policy.first { policy.identity(), function() return nil, "not today" end }(hosts.user)
      assert.is_nil(result)
      assert.equal(2, #err.tried)
      assert.truthy(tostring(err):find("identity: ", 1, true))
      assert.truthy(tostring(err):find("not today", 1, true))
    end)

    it("takes policies of one's own, by their number", function()
      local result = policy.first { function() return nil, "no" end, function(h)
        return { uid = { inside = 7, outside = h.uid, count = 1 }, gid = "7 1000 1" }
      end }(hosts.user)
      assert.equal("number 2", result.name)
      assert.same({ "7 1000 1", "7 1000 1", "self", "deny" }, given(result))
    end)

    it("is a list of policies", function()
      assert.has_error(function() policy.first {} end)
      assert.has_error(function() policy.first(policy.root()) end)
      assert.has_error(function() policy.first { policy.root } (hosts.user) end)
      assert.has_error(function() policy.first { { uid = "0 0 1" } } end)
    end)
  end)

  describe("keep_groups: my supplementary groups stay", function()
    on_hosts(function() return policy.keep_groups(policy.root()) end, {
      user = { "0 1000 1", nil, "self", "deny" },
      root = { "0 0 1", nil, "parent", "deny" },
      root_without_setuid = { "0 0 1", nil, "self", "deny" },
      container = { "0 0 1", nil, "parent", "deny" },
      no_subids = { "0 1000 1", nil, "self", "deny" },
      three_ranges = { "0 1000 1", nil, "self", "deny" },
    })

    it("and the notes say which, and as what", function()
      local result = policy.keep_groups(policy.root())(hosts.user)
      assert.is_true(result.keep_groups)
      assert.same({
        "the own group 1000 stays, as 0", "the group 27 stays in force, and looks like 65534",
      }, result.notes)
      assert.equal("keep_groups(root)", result.name)
    end)

    it("with their numbers, where I may map them and the numbers are free", function()
      local result = policy.keep_groups(policy.range(0, 100000, 100))(root { groups = { 0, 27, 5000 } })
      assert.equal("0 100000 100\n5000 5000 1", tostring(result.gid))
      assert.same({
        "the own group 0 stays in force, and looks like 65534",
        "the group 27 stays in force, and looks like 65534",
        "the group 5000 stays, as 5000",
      }, result.notes)
    end)

    it("with a helper too, which is then not to leave setgroups as it is", function()
      local result = policy.keep_groups(policy.subids())(hosts.user)
      assert.equal("helper", result.via)
      assert.equal("deny", result.setgroups)
    end)

    it("is about a policy, and fails where that does", function()
      assert.has_error(function() policy.keep_groups() end)
      local result, err = policy.keep_groups(policy.identity())(hosts.user)
      assert.is_nil(result)
      assert.is_true(errors.is(err))
    end)
  end)

  describe("slice: each name its own", function()
    local directory

    before_each(function()
      directory = os.tmpname()
      os.remove(directory)
    end)

    after_each(function()
      for _, name in ipairs { "slices", "slices.new", "lock" } do os.remove(directory .. "/" .. name) end
      os.remove(directory)
    end)

    local function claim(name, count, facts, changes)
      local options = { registry = directory }
      for key, value in pairs(changes or {}) do options[key] = value end
      return policy.slice(name, count, options)(facts or hosts.user)
    end

    local function lines()
      local file = io.open(directory .. "/slices")
      if not file then return "" end
      local text = file:read("*a")
      file:close()
      return text
    end

    it("as large as it should be, from the subordinate IDs", function()
      local result = assert(claim("web", 1000))
      assert.equal(1, #result.uid:extents())
      assert.is_true(result.uid:covers(0, 1000))
      assert.is_false(result.uid:covers(1000))
      assert.is_true(result.uid:outside(0) >= 100000 and result.uid:outside(999) < 165536)
      assert.is_true(result.gid:outside(0) >= 200000 and result.gid:outside(999) < 265536)
      assert.equal("helper", result.via)
    end)

    it("the same for the same name, and another for another", function()
      local a, b, again = assert(claim("a", 1000)), assert(claim("b", 1000)), assert(claim("a", 1000))
      assert.equal(a.uid, again.uid)
      assert.equal(a.gid, again.gid)
      assert.equal("", tostring(a.uid:invert():intersect(b.uid:invert())))
    end)

    it("the same for the same name on another day and with another registry, if nobody has it", function()
      local first = assert(claim("web", 1000))
      assert.is_true(policy.release("web", { registry = directory }, hosts.user))
      assert.equal("", lines())
      assert.equal(first.uid, assert(claim("web", 1000)).uid)
    end)

    it("the same numbers for users and groups, where they can be", function()
      local facts = host { subgid = { range(100000, 65536) } }
      for i = 1, 20 do
        local result = assert(claim("box" .. i, 1000, facts))
        assert.equal(result.uid, result.gid)
      end
    end)

    it("not the same numbers where another name has the gids already", function()
      assert(claim("a", 10, host { subuid = { range(100, 10) }, subgid = { range(200, 10) } }))
      local result = assert(claim("b", 10, host { subuid = { range(200, 10) }, subgid = { range(200, 20) } }))
      assert.equal("0 200 10", tostring(result.uid))
      assert.equal("0 210 10", tostring(result.gid))
    end)

    it("until all are taken, without an ID that two have, and then says so", function()
      local facts = host { subuid = { range(100, 30), range(2000, 25) }, subgid = { range(500, 70) } }
      local seen = { uid = {}, gid = {} }
      for i = 1, 5 do -- three in the first range, two in the second
        local result = assert(claim("box" .. i, 10, facts))
        for _, kind in ipairs { "uid", "gid" } do
          for id = 0, 9 do
            local outside = result[kind]:outside(id)
            assert.is_nil(seen[kind][outside])
            seen[kind][outside] = true
          end
        end
      end
      local result, err = claim("box6", 10, facts)
      assert.is_nil(result)
      assert.truthy(tostring(err):find("no uids are free for a slice of 10", 1, true), tostring(err))
      assert.truthy(err.why:find("55 in 2 ranges, of which 5 slices have 50", 1, true), err.why)
      assert.is_true(policy.release("box3", { registry = directory }, facts))
      assert.truthy(claim("box6", 10, facts))
      assert.is_nil((claim("box7", 10, facts)))
    end)

    it("also between slices of other sizes", function()
      local facts = host { subuid = { range(0, 100) }, subgid = { range(0, 100) } }
      assert(claim("large", 60, facts))
      assert(claim("small", 30, facts, {}))
      local taken = {}
      for _, slice in ipairs(assert(policy.slices({ registry = directory }, facts))) do
        for id = slice.uid.first, slice.uid.first + slice.uid.count - 1 do
          assert.is_nil(taken[id])
          taken[id] = true
        end
      end
      assert(claim("rest", 10, facts))
      assert.is_nil((claim("none", 1, facts)))
    end)

    it("never me: my own ID is nobody's slice", function()
      local facts = host { subuid = { range(990, 20) }, subgid = { range(990, 20) } }
      for i = 1, 19 do
        local result = assert(claim("box" .. i, 1, facts))
        assert.is_nil(result.uid:inside(1000))
      end
      assert.is_nil((claim("box20", 1, facts)))
    end)

    it("of the size that it had, or it is refused", function()
      assert(claim("web", 10))
      local result, err = claim("web", 11)
      assert.is_nil(result)
      assert.truthy(tostring(err):find('the slice "web" has 10 uids, not 11', 1, true), tostring(err))
    end)

    it("of IDs that are still one's own, or it is refused", function()
      assert(claim("web", 10))
      local result, err = claim("web", 10, host { subuid = { range(900000, 100) } })
      assert.is_nil(result)
      assert.truthy(tostring(err):find("no longer yours", 1, true), tostring(err))
    end)

    it("of a range that root says", function()
      local result = assert(claim("web", 10, hosts.root, { within = range(700000, 10) }))
      assert.same({ "0 700000 10", "0 700000 10", "parent" }, given(result))
      assert.is_nil((claim("other", 10, hosts.root, { within = range(700000, 10) })))
    end)

    it("on no host without subordinate IDs", function()
      for _, name in ipairs { "root", "container", "no_subids" } do
        local result, err = claim("web", 10, hosts[name])
        assert.is_nil(result)
        assert.truthy(tostring(err):find("no subordinate uids", 1, true), tostring(err))
      end
    end)

    it("under a name with blanks or an accent in it, but no newline", function()
      local result = assert(claim("my böx 2 3 4", 10))
      assert.equal(result.uid, assert(claim("my böx 2 3 4", 10)).uid)
      assert.equal("my böx 2 3 4", policy.slices({ registry = directory }, hosts.user)[1].name)
      assert.has_error(function() policy.slice("a\nb", 10) end)
      assert.has_error(function() policy.slice("", 10) end)
      assert.has_error(function() policy.slice("a", 0) end)
      assert.has_error(function() policy.slice("a", 10, { path = "/x" }) end)
    end)

    it("in a directory that only its owner can open, which is made with those above it", function()
      local above = directory
      directory = above .. "/b/c"
      assert(claim("web", 10))
      local result = assert(program.run { assert(program.find "stat"), "-c", "%a %F", above, directory,
        directory .. "/slices", directory .. "/lock" })
      assert.equal("700 directory\n700 directory\n600 regular file\n600 regular empty file\n", result.stdout)
      for _, name in ipairs { "slices", "lock" } do os.remove(directory .. "/" .. name) end
      os.remove(directory)
      os.remove(above .. "/b")
      directory = above
    end)

    it("not where the registry is broken: it is left as it is", function()
      assert(claim("web", 10))
      local file = assert(io.open(directory .. "/slices", "a"))
      file:write("garbage\n")
      file:close()
      local before = lines()
      for _, try in ipairs {
        function() return claim("other", 10) end,
        function() return claim("web", 10) end,
        function() return policy.release("web", { registry = directory }, hosts.user) end,
        function() return policy.slices({ registry = directory }, hosts.user) end,
      } do
        local result, err = try()
        assert.is_nil(result)
        assert.truthy(tostring(err):find("line 2 is not of the form of a slice", 1, true), tostring(err))
      end
      assert.equal(before, lines())
    end)

    it("not where there is nowhere to note it", function()
      local result, err = policy.slice("web", 10)(host())
      assert.is_nil(result)
      assert.truthy(tostring(err):find("nowhere to note", 1, true), tostring(err))
      result, err = policy.slice("web", 10, { registry = "/proc/none" })(host())
      assert.is_nil(result)
      assert.equal("/proc/none", err.path)
    end)

    it("and gives back what it has, once", function()
      assert(claim("web", 10))
      assert.is_true(policy.release("web", { registry = directory }, hosts.user))
      assert.is_false(policy.release("web", { registry = directory }, hosts.user))
    end)

    it("also where many processes ask at the same time", function()
      local lua = assert(portable.path())
      local script = directory .. ".lua"
      local file = assert(io.open(script, "w"))
      file:write(([[
        local policy = require "cella.policy"
        local facts = { uid = 1000, gid = 1000, subuid = { { first = 100000, count = 4000 } },
          subgid = { { first = 100000, count = 4000 } }, newuidmap = "/x", newgidmap = "/x" }
        for i = 1, 25 do
          assert(policy.slice(("%%s/%%d"):format(arg[1], i), 10, { registry = %q })(facts))
        end]]):format(directory))
      file:close()
      local command = {}
      for i = 1, 8 do command[i] = ("%s %s %d &"):format(lua, script, i) end
      local result = assert(program.run { "/bin/sh", "-c", table.concat(command, "\n") .. "\nwait" })
      os.remove(script)
      assert.equal("", result.stderr)
      local slices, seen = assert(policy.slices({ registry = directory }, hosts.user)), {}
      assert.equal(200, #slices)
      for _, slice in ipairs(slices) do
        assert.is_nil(seen[slice.uid.first], slice.name)
        seen[slice.uid.first] = true
      end
    end)
  end)
end)

describe("who writes the maps", function()
  local function via(uid, gid, facts, changes)
    local pair = { uid = idmap.new(uid), gid = idmap.new(gid) }
    for key, value in pairs(changes or {}) do pair[key] = value end
    return policy.via(pair, facts)
  end

  it("is the parent with CAP_SETUID and CAP_SETGID", function()
    local who, setgroups, helper = via("0 5 10", "0 5 10", root())
    assert.same({ "parent" }, { who, setgroups, helper })
  end)

  it("is nobody where uid 0 is mapped and CAP_SETFCAP is missing, but gid 0 may be", function()
    local facts = root { capabilities = set("setuid", "setgid") }
    local who, err = via("0 0 10", "0 0 10", facts)
    assert.is_nil(who)
    assert.truthy(tostring(err):find("CAP_SETFCAP", 1, true), tostring(err))
    assert.equal("parent", (via("0 1 10", "0 0 10", facts)))
  end)

  it("is for the single root the helper where CAP_SETFCAP is missing: that gets it back", function()
    local facts = root { capabilities = set("setuid", "setgid") }
    assert.equal("helper", (via("0 0 1", "0 0 1", facts)))
    facts.newuidmap = nil
    local who, err = via("0 0 1", "0 0 1", facts)
    assert.is_nil(who)
    assert.truthy(tostring(err):find("CAP_SETFCAP", 1, true), tostring(err))
    facts.newuidmap, facts.bounding = "/x", set("setuid", "setgid")
    who, err = via("0 0 1", "0 0 1", facts)
    assert.is_nil(who)
    assert.truthy(tostring(err):find("CAP_SETFCAP is not in the bounding set", 1, true), tostring(err))
  end)

  it("is the parent also with one of both, if the other map is one own ID", function()
    local who, setgroups = via("0 5 10", "0 0 1", root { capabilities = set("setuid") })
    assert.same({ "parent", "deny" }, { who, setgroups })
    who, setgroups = via("0 1000 1", "0 5 10", host { capabilities = set("setgid") })
    assert.same({ "parent" }, { who, setgroups })
  end)

  it("is the process itself for one ID, that is the writer's effective one", function()
    for _, case in ipairs {
      { "5 1000 1", "6 1000 1", host() }, { "0 7 1", "0 1000 1", host { uid = 7, real_uid = 1000 } },
    } do
      local who, setgroups = via(case[1], case[2], case[3])
      assert.same({ "self", "deny" }, { who, setgroups })
    end
    assert.is_nil((via("0 1000 2", "0 1000 1", hosts.no_subids)))
    assert.is_nil((via("0 1001 1", "0 1000 1", hosts.no_subids)))
    assert.is_nil((via("0 1000 1", "0 1001 1", hosts.no_subids)))
    assert.is_nil((via("0 1000 1", "0 1000 1", hosts.no_subids, { setgroups = "allow" })))
  end)

  it("is the helper within the subordinate IDs, and for the own one beside them", function()
    assert.equal("helper", (via("0 100000 65536", "0 200000 65536", host())))
    assert.is_nil((via("0 99999 2", "0 200000 1", host())))
    assert.is_nil((via("0 165535 2", "0 200000 1", host())))
    assert.is_nil((via("0 200000 1", "0 200000 1", host())))
    assert.equal("helper", (via("0 1000 1\n1 165535 1", "0 1000 1\n1 200000 1", host())))
    assert.is_nil((via("0 1000 1\n1 1001 1", "0 200000 1", host())))
  end)

  it("gives the helpers decimal numbers, cut where one's own ID and the ranges meet", function()
    local facts = host { uid = 99999, subuid = { range(100010, 5), range(100000, 10) } }
    local who, setgroups, helper = via("0 99999 16", "0 1000 1", facts)
    assert.equal("helper", who)
    assert.equal("deny", setgroups) -- newgidmap writes it for an own group alone
    assert.equal("0 99999 1 1 100000 10 11 100010 5", table.concat(helper.uid, " "))
    assert.equal("0 1000 1", table.concat(helper.gid, " "))
    for _, words in pairs(helper) do
      for _, word in ipairs(words) do
        assert.is_string(word)
        assert.truthy(word == "0" or word:find("^[1-9]%d*$"), word)
      end
    end
  end)

  it("gives the helpers large numbers in digits", function()
    local facts = host { subuid = { range(1, 4294967294) } }
    local _, _, helper = via("4000000000 4000000000 294967295", "0 1000 1", facts)
    assert.equal("4000000000 4000000000 294967295", table.concat(helper.uid, " "))
  end)

  it("writes a map in pieces where the parent namespace's has several extents", function()
    local facts = root { uid_map = "0 1000 1\n1 100000 65536", gid_map = "0 1000 5\n5 1005 5" }
    local _, _, _, text = via("0 0 65537", "0 0 10", facts)
    assert.same({ uid = "0 0 1\n1 1 65536", gid = "0 0 5\n5 5 5" }, text)
    local result = assert(policy.identity()(facts))
    assert.same({ uid = "0 0 1\n1 1 65536", gid = "0 0 5\n5 5 5" }, result.text)
    assert.equal("0 0 65537", tostring(result.uid))
    facts = host { uid_map = "0 1000 100010\n100010 200000 500000", uid = 0, user = "x" }
    local _, _, helper = via("0 100000 20", "0 1000 1", facts)
    assert.equal("0 100000 10 10 100010 10", table.concat(helper.uid, " "))
  end)

  it("is nobody where an ID does not exist in the parent namespace", function()
    local who, err = via("0 65530 10", "0 0 1", hosts.container)
    assert.is_nil(who)
    assert.equal("EPERM", err.code)
    assert.truthy(tostring(err):find("uid 65536 to 65539 does not exist", 1, true), tostring(err))
  end)

  it("is nobody where this process is not mapped itself", function()
    local who, err = via("0 65534 1", "0 65534 1", host { uid = 65534, gid = 65534, uid_map = "", gid_map = "" })
    assert.is_nil(who)
    assert.truthy(tostring(err):find("own uid 65534 has no mapping", 1, true), tostring(err))
  end)

  it("is nobody where setgroups is to be allowed and was denied", function()
    local who, err = via("0 5 10", "0 5 10", root { setgroups = "deny" }, { setgroups = "allow" })
    assert.is_nil(who)
    assert.truthy(tostring(err):find("inherits", 1, true), tostring(err))
    local setgroups
    who, setgroups = via("0 5 10", "0 5 10", root { setgroups = "deny" })
    assert.same({ "parent", "deny" }, { who, setgroups }) -- inherited
  end)

  it("is nobody for what no map is to the kernel", function()
    local many = {}
    for i = 0, 340 do many[i + 1] = { inside = i * 2, outside = i * 2, count = 1 } end
    for _, uid in ipairs { "", many } do
      local who, err = via(uid, "0 0 1", root())
      assert.is_nil(who)
      assert.equal("EINVAL", err.code)
    end
  end)

  it("is who a policy says, if that can be", function()
    local function asking(who)
      return function() return { uid = "0 1000 1", gid = "0 1000 1", via = who } end
    end
    local able = host { capabilities = set("setuid", "setgid") }
    for _, who in ipairs { "self", "parent", "helper" } do
      assert.equal(who, policy.resolve(asking(who), able).via)
    end
    local result, err = policy.resolve(asking "helper", host { without = { "newuidmap" } })
    assert.is_nil(result)
    assert.truthy(tostring(err):find("newuidmap is not installed", 1, true))
    assert.has_error(function() policy.resolve(asking "me", able) end)
  end)
end)

describe("a policy of one's own", function()
  it("returns anything that is a map, and is completed", function()
    local result = assert(policy.resolve(function(facts)
      return { uid = ("0 %d 1"):format(facts.uid), gid = { inside = 0, outside = facts.gid, count = 1 } }
    end, hosts.user))
    assert.same({ "0 1000 1", "0 1000 1", "self", "deny" }, given(result))
  end)

  it("can change what another one gives", function()
    local function web(facts)
      local result, err = policy.subids()(facts)
      if not result then return nil, err end
      return { uid = result.uid:set(33, facts.uid), gid = result.gid:set(33, facts.gid) }
    end
    local result = assert(policy.resolve(web, hosts.user))
    assert.equal(1000, result.uid:outside(33))
    assert.is_nil(result.uid:outside(0))
    assert.equal("helper", result.via)
  end)

  it("that returns something else is a mistake", function()
    for message, bad in pairs {
      ["nothing"] = function() end,
      ["policy.uid: missing"] = function() return {} end,
      ["policy.uids: unknown key"] = function() return { uids = "0 0 1", uid = "0 0 1", gid = "0 0 1" } end,
      ["policy.gid: "] = function() return { uid = "0 0 1", gid = "0 0" } end,
      ["policy.setgroups"] = function() return { uid = "0 0 1", gid = "0 0 1", setgroups = true } end,
      ["a table expected"] = function() return "0 0 1" end,
    } do
      local ok, err = pcall(policy.resolve, bad, hosts.user)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(message, 1, true), tostring(err))
    end
    assert.has_error(function() policy.resolve(policy.root) end)
    assert.has_error(function() policy.resolve({}, hosts.user) end)
  end)

  it("that fails gives an error with its own words", function()
    local result, err = policy.resolve(function() return nil, "not on Sundays" end, hosts.user)
    assert.is_nil(result)
    assert.is_true(errors.is(err))
    assert.equal("not on Sundays", err.message)
  end)
end)

describe("on this host the kernel takes the maps of #vm", function()
  local facts = require("cella.host").facts()
  local Plan = require "cella.plan"

  local function try(make, changes)
    local result, err = make(changes or facts)
    if not result then return nil, err end
    local plan = Plan.new { namespaces = { "user" }, ids = {
      uid = result.uid, gid = result.gid, setgroups = result.setgroups, via = result.via } }
    plan:exec { "/bin/sh", "-c", "cat /proc/self/uid_map; echo; cat /proc/self/gid_map; echo; cat /proc/self/setgroups",
      stdout = "capture" }
    local run
    run, err = plan:run { timeout = 20 }
    assert(run, tostring(err))
    local uid, gid, setgroups = run.stdout:match("^(.-)\n\n(.-)\n\n(%l+)\n$")
    assert.equal(result.uid, idmap.new(uid))
    assert.equal(result.gid, idmap.new(gid))
    assert.equal(result.setgroups or facts.setgroups, setgroups)
    return result
  end

  if not policy.root()(facts) then
    pending("needs leave to map oneself: " .. tostring(select(2, policy.root()(facts))))
    return
  end

  for _, name in ipairs { "root", "me" } do
    it(name, function() assert(try(policy[name]())) end)
  end

  it("subids, all ranges of this user in several orders", function()
    if facts.uid == 0 or #facts.subuid == 0 or facts.no_new_privs or not facts.newuidmap
      or facts.login_gid ~= facts.gid then
      return pending("needs an unprivileged user with subordinate IDs, and newuidmap without no_new_privs")
    end
    assert(try(policy.subids()))
    local function parts(list, order)
      local first, count = list[1].first, list[1].count
      local all = { range(first, 1000), range(first + 1000, 10), range(first + 2000, count - 2000) }
      return { all[order[1]], all[order[2]], all[order[3]] }
    end
    for _, order in ipairs { { 1, 2, 3 }, { 3, 2, 1 }, { 2, 3, 1 }, { 3, 1, 2 } } do
      local changed = require("cella.host").facts {
        subuid = parts(facts.subuid, order), subgid = parts(facts.subgid, { order[3], order[1], order[2] }),
      }
      local result = assert(try(policy.subids(), changed))
      assert.is_true(#result.uid:extents() >= 3)
      assert(try(policy.exactly { 0, 1, 2, 33, 1000, 1001, own = 33 }, changed))
    end
  end)

  it("range, identity and another's subids, as root", function()
    if not (facts.capabilities.setuid and facts.capabilities.setgid and facts.capabilities.setfcap) then
      return pending("needs CAP_SETUID, CAP_SETGID and CAP_SETFCAP")
    end
    assert(try(policy.identity()))
    local changed = require("cella.host").facts {
      owners = { alice = { subuid = { range(100000, 65536) }, subgid = { range(300000, 5), range(100000, 5) } } } }
    if not facts.uid_map:covers(0, 400000) then return pending("needs the IDs up to 400000") end
    assert(try(policy.range(0, 100000, 65536)))
    assert(try(policy.subids "alice", changed))
    assert(try(policy.exactly { 0, 33, 1000, own = 0 }, require("cella.host").facts {
      subuid = { range(300000, 1), range(100000, 5) }, subgid = { range(300000, 5) } }))
  end)

  it("keep_groups, which then cannot be dropped", function()
    local result = policy.keep_groups(policy.root())(facts)
    assert.equal("deny", result.setgroups)
    local plan = Plan.new { namespaces = { "user" }, ids = {
      uid = result.uid, gid = result.gid, setgroups = result.setgroups, via = result.via } }
    plan:setgroups {}
    plan:exec { "/bin/true" }
    local run, err = plan:run()
    assert.is_nil(run)
    assert.equal("EPERM", err.code)
    assert.equal("setgroups", err.op)
  end)

  it("what via refuses, the kernel refuses as well", function()
    if facts.uid == 0 or facts.capabilities.setuid or facts.capabilities.setgid then
      return pending("needs an unprivileged user")
    end
    for _, pair in ipairs {
      { uid = "0 0 1", gid = ("0 %d 1"):format(facts.gid), setgroups = "deny", via = "self" },
      { uid = ("0 %d 2"):format(facts.uid), gid = ("0 %d 1"):format(facts.gid), setgroups = "deny", via = "parent" },
      { uid = ("0 %d 1"):format(facts.uid), gid = ("0 %d 1"):format(facts.gid), via = "parent" },
    } do
      local plan = Plan.new { namespaces = { "user" }, ids = pair }
      local run, err = plan:exec({ "/bin/true" }):run()
      assert.is_nil(run)
      assert.equal("EPERM", err.code)
      pair.uid, pair.gid = idmap.new(pair.uid), idmap.new(pair.gid)
      local explicit = { uid = pair.uid, gid = pair.gid, via = pair.via, setgroups = pair.setgroups or "allow" }
      assert.is_nil((policy.via(explicit, facts)))
    end
  end)

  it("nothing is left behind", function()
    local left = {}
    for number = 3, 100 do left[number] = core.is_open(number) end
    try(policy.root())
    for number = 3, 100 do assert.equal(left[number], core.is_open(number)) end
  end)
end)
