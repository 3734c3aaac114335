-- cella.host: what policies are told of this process, and what a plain table may leave out.

local core = require "cella.core"
local host = require "cella.host"
local idmap = require "cella.idmap"
local portable = require "spec.support.portable"
local program = require "cella.subid.program"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function status(field)
  return read("/proc/self/status"):match("\n" .. field .. ":[ \t]*([^\n]*)")
end

describe("the host", function()
  it("has the IDs of this process, as /proc/self/status shows them", function()
    local facts = host.facts()
    local real, effective = status("Uid"):match("^(%d+)%s+(%d+)")
    assert.equal(tonumber(real), facts.real_uid)
    assert.equal(tonumber(effective), facts.uid)
    real, effective = status("Gid"):match("^(%d+)%s+(%d+)")
    assert.equal(tonumber(real), facts.real_gid)
    assert.equal(tonumber(effective), facts.gid)
    local groups = {}
    for group in status("Groups"):gmatch("%d+") do groups[#groups + 1] = tonumber(group) end
    assert.same(groups, facts.groups)
  end)

  it("has the capabilities of this process", function()
    local facts = host.facts()
    local effective, bounding = status("CapEff"), status("CapBnd")
    for field, mask in pairs { capabilities = effective, bounding = bounding } do
      -- CAP_SETUID is bit 7: in the second digit from the right the highest of four.
      assert.equal(tonumber(mask:sub(-2, -2), 16) >= 8, facts[field].setuid == true)
      -- CAP_SETGID is bit 6.
      assert.equal(tonumber(mask:sub(-2, -2), 16) % 8 >= 4, facts[field].setgid == true)
    end
  end)

  it("has the maps of its own user namespace, and whether setgroups is allowed there", function()
    local facts = host.facts()
    assert.equal(idmap.of("self", "uid"), facts.uid_map)
    assert.equal(idmap.of("self", "gid"), facts.gid_map)
    assert.equal(read("/proc/self/setgroups"), facts.setgroups .. "\n")
    assert.equal(status("NoNewPrivs") == "1", facts.no_new_privs)
  end)

  it("has the subordinate ranges of its user", function()
    local facts = host.facts()
    local subid = require "cella.subid"
    assert.same((subid.ranges(facts.uid, "uid")), facts.subuid)
    assert.same((subid.ranges(facts.uid, "gid")), facts.subgid)
    local _, answer = subid.ranges(facts.uid, "uid")
    assert.equal(answer.source, facts.subid_source)
    assert.same({}, facts.problems)
  end)

  it("has the group of its user after a login", function()
    local facts = host.facts()
    if not facts.user then return pending("the user has no name") end
    local _, group = core.user_id(facts.user)
    assert.equal(group, facts.login_gid)
    assert.is_boolean(facts.grants_other_groups)
  end)

  it("knows the ranges of others, by name and by number", function()
    local owners = host.facts().owners
    local name, uid = core.user_name(0), 0
    assert.same(owners[name].subuid, owners[uid].subuid)
    assert.same({}, owners["no-such-user"].subuid)
  end)

  it("knows where the helpers are", function()
    local facts = host.facts()
    for _, name in ipairs { "newuidmap", "newgidmap" } do
      assert.equal(program.find(name), facts[name])
      if facts[name] then assert(io.open(facts[name])):close() end
    end
  end)

  it("finds out once, and only what it is asked", function()
    local facts = host.facts()
    assert.is_nil(rawget(facts, "subuid"))
    assert.is_nil(rawget(facts, "newuidmap"))
    local first = facts.subuid
    assert.is_true(rawequal(first, facts.subuid))
    assert.is_true(rawequal(facts.subgid, rawget(facts, "subgid")))
  end)

  it("keeps a note of what it could not find out", function()
    local subid = require "cella.subid"
    local ranges = subid.ranges
    subid.ranges = function() return nil, "the directory is down" end
    local facts = host.facts()
    local list, source = facts.subuid, facts.subid_source
    subid.ranges = ranges
    assert.same({}, list)
    assert.equal("none", source)
    assert.same({ "the directory is down" }, facts.problems)
  end)

  it("says what it is told to say", function()
    local facts = host.facts { uid = 5, subuid = {}, newuidmap = "/x", no_new_privs = true }
    assert.equal(5, facts.uid)
    assert.same({}, facts.subuid)
    assert.equal("/x", facts.newuidmap)
    assert.is_true(facts.no_new_privs)
    facts = host.facts { no_new_privs = false }
    assert.is_false(facts.no_new_privs)
  end)

  it("has no other facts", function()
    assert.is_nil(host.facts().nothing)
    local ok, message = pcall(host.facts, { subuids = {} })
    assert.is_false(ok)
    assert.truthy(message:find("did you mean 'subuid'?", 1, true), message)
  end)

  it("keeps its state in root's directory if it is root, else where the user's is", function()
    assert.equal("/var/lib/cella", host.facts({ uid = 0 }).state)
    local state = host.facts({ uid = 1000 }).state
    assert.is_true(state == nil or state:sub(1, 1) == "/" and state:sub(-6) == "/cella")
  end)

  it("is one in a namespace of its own too", function()
    local unshare = program.find "unshare"
    if not unshare then return pending("no unshare(1)") end
    local result = assert(program.run { unshare, "--user", "--map-root-user", assert(portable.path()),
      "-e", [[
      local facts = require("cella.host").facts()
      print(facts.uid, facts.uid_map, facts.setgroups, facts.initial, facts.capabilities.setuid)]] })
    if result.code ~= 0 then return pending("no user namespaces: " .. result.stderr) end
    assert.equal(("0\t0 %d 1\tdeny\tfalse\ttrue\n"):format((core.sys.getresuid())), result.stdout)
  end)

  it("is one in a namespace without maps, where nothing is mapped", function()
    local unshare = program.find "unshare"
    if not unshare then return pending("no unshare(1)") end
    local result = assert(program.run { unshare, "--user", assert(portable.path()), "-e", [[
      local facts = require("cella.host").facts()
      print(facts.uid, #facts.uid_map, facts.uid_map:covers(facts.uid))]] })
    if result.code ~= 0 then return pending("no user namespaces: " .. result.stderr) end
    assert.equal("65534\t0\tfalse\n", result.stdout)
  end)
end)

describe("a host that is written down", function()
  it("needs no more than two IDs", function()
    local facts = host.complete { uid = 1000, gid = 100 }
    assert.same({}, facts.capabilities)
    assert.same({}, facts.subuid)
    assert.equal("none", facts.subid_source)
    assert.equal("0 0 4294967295", tostring(facts.uid_map))
    assert.equal(1000, facts.real_uid)
    assert.equal(100, facts.real_gid)
    assert.equal("allow", facts.setgroups)
    assert.is_true(facts.initial)
  end)

  it("is in the initial namespace only where its map can be that of one", function()
    assert.is_false(host.complete({ uid = 0, gid = 0, uid_map = "0 100000 65536" }).initial)
  end)

  it("is not changed by completing it, and is complete after it", function()
    local plain = { uid = 1, gid = 1 }
    local facts = host.complete(plain)
    assert.same({ uid = 1, gid = 1 }, plain)
    assert.is_true(rawequal(facts, host.complete(facts)))
    local real = host.facts()
    assert.is_true(rawequal(real, host.complete(real)))
  end)

  it("has IDs that are IDs", function()
    for _, bad in ipairs { -1, 4294967295, 4294967296, "0", 1.5 } do
      assert.has_error(function() host.complete { uid = bad, gid = 0 } end)
      assert.has_error(function() host.complete { uid = 0, gid = bad } end)
    end
    assert.has_error(function() host.complete { gid = 0 } end)
    assert.has_error(function() host.complete(nil) end)
  end)
end)
