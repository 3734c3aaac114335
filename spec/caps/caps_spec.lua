-- cella.caps: sets, states and texts as values, the rules that one sentence of the manual names, and applying.

local core = require "cella.core"
local Plan = require "cella.plan"
local caps = require "cella.caps"
local cella = require "cella"
local idmap = require "cella.idmap"
local portable = require "spec.support.portable"

local sys = core.sys
local all, none = caps.all(), caps.none

local function message(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

local function refuses(value, ...)
  local said = message(function()
    local set = caps.set(value)
    return set
  end)
  for _, part in ipairs { ... } do assert.truthy(said:find(part, 1, true), said) end
  assert.truthy(said:find("caps_spec.lua:", 1, true), "names the caller: " .. said)
end

describe("a set of capabilities", function()
  it("is made from names in any spelling, lists, numbers and masks", function()
    local wanted = caps.set { "chown", "net_raw" }
    for _, value in ipairs { "net_raw,chown", "CAP_NET_RAW, cap_chown", "chown net_raw", { 0, 13 }, "0,13",
      "0x2001", "0000000000002001", 0x2001, wanted } do
      assert.equal(wanted, caps.set(value))
    end
    assert.equal(all - "chown", caps.set { "all", "-CAP_CHOWN" })
    assert.equal(none, caps.set "")
    assert.equal(none, caps.set "none")
    assert.equal(none, caps.set {})
    assert.equal(none, caps.set(0))
  end)

  it("is the list of its names, in the order of the numbers, which cella.sys and plans take", function()
    assert.same({ "chown", "net_raw" }, caps.set("net_raw,chown"):names())
    assert.equal("chown", caps.set("net_raw,chown")[1])
    assert.equal(2, #caps.set "net_raw,chown")
    local plan = Plan.new():capset(none, caps.set "chown", "none"):capbset_drop(all - "net_raw")
    assert.equal('capset("none", {"chown"}, "none")', (plan.recorder:describe(1)))
    assert.equal('capbset_drop({"all", "-net_raw"})', (plan.recorder:describe(2)))
  end)

  it("has union, difference, intersection, complement and order", function()
    local a, b = caps.set "chown,kill", caps.set "kill,net_raw"
    assert.equal(caps.set "chown,kill,net_raw", a + b)
    assert.equal(caps.set "chown", a - b)
    assert.equal(caps.set "kill", a * b)
    assert.equal(caps.set "chown,kill,net_raw", a + "net_raw")
    assert.equal(caps.set "chown,kill,net_raw", { "net_raw" } + a)
    assert.equal(all - a, -a)
    assert.equal(all - a, a:complement())
    assert.is_true(a * b <= a)
    assert.is_true(a * b < a)
    assert.is_false(a < a)
    assert.is_false(a <= b)
    assert.is_true(a:contains "kill")
    assert.is_false(a:contains(b))
    assert.are_not.equal(a, b)
    assert.equal(none, a - a)
    assert.is_true((a - a):empty())
  end)

  it("says what it has", function()
    local set = caps.set "net_raw"
    assert.is_true(set:has "NET_RAW")
    assert.is_true(set:has(13))
    assert.is_false(set:has "chown")
    assert.equal("0000000000002000", set:mask())
    local seen = {}
    for number, name in caps.set("kill,net_raw"):each() do seen[#seen + 1] = number .. name end
    assert.same({ "5kill", "13net_raw" }, seen)
    assert.truthy(message(set.has, set, "net_rwa"):find("did you mean 'net_raw'", 1, true))
  end)

  it("prints as what makes it again", function()
    for _, set in ipairs { none, all, caps.set "net_raw", all - "sys_admin,chown", caps.docker } do
      assert.equal(set, caps.set(tostring(set)))
      assert.equal(set, caps.set(set:mask()))
      assert.equal(set, caps.set("0x" .. set:mask()))
    end
    assert.equal("chown,net_raw", tostring(caps.set "net_raw,chown"))
    assert.equal("all,-sys_admin", tostring(all - "sys_admin"))
    assert.equal("none", tostring(none))
    assert.equal("all", tostring(all))
  end)

  it("is a mask of 64 bits inside, whose algebra is that of lists", function()
    local mask, high = core.caps.mask, "8000000000000001"
    assert.equal(high, mask(high):digits())
    assert.same({ 0, 63 }, mask(high):numbers())
    assert.same({ "chown" }, mask(high):names())
    for _, digits in ipairs { "1", ("0"):rep(15) .. "g", "0x" .. ("0"):rep(14), ("0"):rep(16) .. "\0", "" } do
      assert.is_false((pcall(mask, digits)), digits)
    end
    math.randomseed(7)
    local function random()
      local list, members = {}, {}
      for number = 0, caps.last do
        members[number] = math.random(2) == 1 or nil
        if members[number] then list[#list + 1] = number end
      end
      return list, members
    end
    local function those(holds)
      local list = {}
      for number = 0, caps.last do
        if holds(number) then list[#list + 1] = number end
      end
      return caps.set(list)
    end
    for _ = 1, 200 do
      local a, in_a = random()
      local b, in_b = random()
      a, b = caps.set(a), caps.set(b)
      assert.equal(those(function(n) return in_a[n] or in_b[n] end), a + b)
      assert.equal(those(function(n) return in_a[n] and in_b[n] end), a * b)
      assert.equal(those(function(n) return in_a[n] and not in_b[n] end), a - b)
      assert.equal(those(function(n) return not in_a[n] end), -a)
      assert.is_true(a:contains(a * b))
      assert.equal(a <= b, (a - b):empty())
    end
  end)

  it("does not change", function()
    assert.truthy(message(function() all.x = 1 end):find "does not change")
    assert.truthy(message(function() all[99] = "chown" end):find "does not change")
  end)

  it("is read alike by cella.caps, by operations and by containers", function()
    local values = { "all,-net_raw", { "all", "-net_raw" }, "net_raw, kill", { "CAP_KILL", 13 }, { "13" },
      { "-13" }, { "-kill" }, "0,13", "-13", "13", "0x2001", {}, "", "none", { "net_rwa" }, { 63 }, { 2.5 }, { true },
      { x = true }, "a\0b", true }
    for _, value in ipairs(values) do
      local good, set = pcall(caps.set, value)
      local planned, plan = pcall(function() return Plan.new():capbset_drop(value) end)
      local contained, box = pcall(function() return cella.container { capabilities = value } end)
      assert.equal(good, planned)
      assert.equal(good, contained)
      if good then
        assert.equal(Plan.new():capbset_drop(set).recorder:describe(1), (plan.recorder:describe(1)))
        assert.equal(set, box.description.capabilities)
      end
    end
  end)

  it("is no bare number but where caps.set makes it of a mask", function()
    assert.equal(caps.set "chown,dac_read_search,fowner", caps.set(13))
    assert.truthy(message(function() cella.container { capabilities = 13 } end):find("{ number }", 1, true))
    assert.truthy(message(function() Plan.new():capbset_drop(13) end):find("got 13", 1, true))
  end)

  it("ends where the running kernel's capabilities end", function()
    local file = assert(io.open "/proc/sys/kernel/cap_last_cap")
    local last = file:read "*n"
    file:close()
    assert.equal(last, caps.last)
    assert.equal(last + 1, #all)
    assert.equal(("%016x"):format(2 ^ (last + 1) - 1), all:mask())
  end)

  it("refuses what there is not, naming what is near", function()
    refuses("net_rwa", "net_rwa", "did you mean 'net_raw'?")
    refuses("cap_sys_amdin", "did you mean 'sys_admin'?")
    refuses({ "chown", "NET_BIND" }, "capabilities[2]", "NET_BIND")
    refuses({ caps.last + 1 }, tostring(caps.last + 1), "0 (chown) to " .. caps.last)
    refuses({ 63 }, "63 is no capability")
    refuses({ 64 }, "64 is no capability")
    refuses({ -1 }, "-1 is no capability")
    refuses({ 4294967296 }, "4294967296 is no capability")
    refuses(tostring(caps.last + 1), "is no capability")
    refuses("63", "is no capability")
    refuses("64", "is no capability")
    refuses("-1", "is no capability")
    if portable.integers then refuses({ 2.0 }, "2.0 is no capability") end
    refuses({ 2.5 }, "2.5 is no capability")
    refuses(portable.power(caps.last + 1), "has bit " .. caps.last + 1)
    refuses(-1, "a mask is an integer")
    refuses(1.5, "a mask is an integer")
    refuses("0x" .. ("f"):rep(16), "and this kernel's highest capability is " .. caps.last)
    refuses("0x1" .. ("0"):rep(16), "more than 64 bits")
    refuses("0xg", "unknown capability")
    refuses("chown;kill", "unknown capability 'chown;kill'; did you mean 'chown'?")
    refuses("what;ever", "unknown capability", "there are chown, dac_override")
    refuses("chown,,kill", "an empty name")
    refuses("chown,", "an empty name")
    refuses("chown\0kill", "NUL")
    refuses("cap_chown=ep", "unknown capability")
    refuses({ "13" }, "capabilities[1]", "'13' is a string")
    refuses({ "all", "-13" }, "capabilities[2]", "'-13' is a string")
    refuses("-13", "is no capability")
    refuses("-chown", "nothing before it")
    refuses({ "-chown" }, "capabilities[1]", "nothing before it")
    refuses("-", "unknown capability")
    refuses({ "chown", x = true }, "capabilities.x")
    refuses({ "chown", [3] = "kill" }, "capabilities[2]: missing")
    refuses({ {} }, "capabilities[1]", "got a table")
    refuses(true, "got true")
    refuses(nil, "missing")
    refuses(setmetatable({}, {}), "got a table")
  end)
end)

describe("the sets that people know", function()
  it("are Docker's 14, Podman's 11, and the 21 that crabcan drops", function()
    assert.equal(14, #caps.docker)
    assert.equal(11, #caps.podman)
    assert.equal(caps.set "mknod,net_raw,audit_write", caps.docker - caps.podman)
    assert.equal(21, #caps.crabcan21)
    assert.is_true(caps.crabcan21:has "sys_admin")
    assert.is_false(caps.crabcan21:has "net_raw")
  end)
end)

describe("the state of a process", function()
  it("is what /proc/self/status shows", function()
    local state, file = assert(caps.state()), assert(io.open "/proc/self/status")
    local status = file:read "*a"
    file:close()
    for field, label in pairs { effective = "CapEff", permitted = "CapPrm", inheritable = "CapInh", bounding = "CapBnd",
      ambient = "CapAmb" } do
      assert.equal(status:match(label .. ":%s*(%x+)"), state[field]:mask())
    end
    assert.equal(status:match "NoNewPrivs:%s*(%d)" == "1", state.no_new_privs)
    assert.equal(tonumber(status:match "Uid:%s*%d+%s+(%d+)"), state.uid.effective)
    assert.same(sys.get_securebits(), state.securebits)
  end)

  it("of a pid is the same, but for the securebits, which nobody else can know", function()
    local own, by_pid = caps.state(), assert(caps.state(sys.getpid()))
    assert.same({}, own:differences(by_pid))
    assert.is_nil(by_pid.securebits)
    assert.same(own.uid, by_pid.uid)
    assert.truthy(tostring(by_pid):find "securebits   %?")
    local state, err = caps.state(2147483646)
    assert.is_nil(state)
    assert.equal("ENOENT", err.code)
    assert.truthy(message(caps.state, -1):find "pid")
    assert.truthy(message(caps.state, "1"):find "pid")
  end)

  it("has libcap's texts, which make it again", function()
    local state = caps.new_state { effective = "net_raw", permitted = "net_raw,kill", inheritable = "kill",
      bounding = all - "chown", ambient = "kill" }
    assert.equal("cap_kill=ip cap_net_raw+ep", state:text())
    assert.equal("!cap_chown,^cap_kill", state:iab())
    for _, text in ipairs { state:text(), "=ep", "=", "cap_chown=i" } do
      local again = caps.parse(text)
      assert.equal(text, again:text())
      assert.is_nil(again.bounding)
    end
    local again = caps.parse(state:iab())
    assert.equal(state.bounding, again.bounding)
    assert.equal(state.ambient, again.ambient)
    assert.equal(state.inheritable, again.inheritable)
    assert.is_nil(again.effective)
    assert.truthy(message(again.text, again):find "does not say what is effective")
  end)

  it("refuses junk in a text, naming what is near", function()
    for text, said in pairs {
      ["cap_net_rwa=ep"] = "did you mean 'net_raw'?", ["!cap_net_rwa"] = "did you mean 'net_raw'?",
      ["cap_chown=ep;rm -rf"] = "unknown capability", ["41=ep"] = "41 is no capability",
      ["63+p"] = "63 is no capability", ["64=p"] = "64 is no capability", ["-1=ep"] = "no text of", ["=z"] = "unknown",
      ["cap_chown=ep\0cap_kill=ep"] = "NUL", ["^^"] = "no text of", ["!63"] = "63 is no capability",
    } do
      if not (text == "41=ep" and caps.last >= 41) then
        local ok, problem = pcall(caps.parse, text)
        assert.is_false(ok, text)
        assert.truthy(problem:find(said, 1, true), text .. ": " .. problem)
      end
    end
    assert.truthy(message(caps.parse, nil):find "a string expected")
    assert.truthy(message(caps.parse, 5):find "a string expected")
  end)

  it("does not change, and says of a copy that it is not applied", function()
    local state = caps.state()
    assert.truthy(message(function() state.effective = none end):find "does not change")
    local other = state:with { effective = none }
    assert.equal("not applied", other.origin)
    assert.truthy(tostring(other):find("(not applied)", 1, true))
    assert.equal(state.effective, caps.state().effective)
    assert.truthy(message(state.with, state, { efective = none }):find("did you mean 'effective'", 1, true))
    assert.truthy(message(state.with, state, { securebits = { "nroot" } }):find("did you mean 'noroot'", 1, true))
  end)

  it("is in libcap's mode", function()
    assert.equal(core.caps.mode(), caps.state():mode())
    local state = caps.new_state { effective = all, permitted = all, inheritable = none, bounding = all, ambient = none,
      securebits = {}, no_new_privs = false }
    assert.equal("HYBRID", state:mode())
    for _, mode in ipairs { "NOPRIV", "PURE1E_INIT", "PURE1E", "HYBRID" } do
      local wanted = mode == "PURE1E" and state:with { inheritable = "kill" } or state
      assert.equal(mode, wanted:with_mode(mode):mode())
    end
    assert.equal("UNCERTAIN", state:with_mode("PURE1E"):with { ambient = "kill", inheritable = "kill" }:mode())
    assert.equal("UNCERTAIN", state:with({ securebits = { "noroot" } }):mode())
    assert.is_true(state:with_mode("NOPRIV").no_new_privs)
    assert.truthy(message(state.with_mode, state, "PURE"):find "PURE1E")
  end)
end)

local root = caps.new_state { effective = all, permitted = all, inheritable = none, bounding = all, ambient = none,
  securebits = {}, no_new_privs = false, uid = 0, gid = 0, groups = {} }

describe("a rule", function()
  it("loses everything when the last of the three user IDs leaves 0", function()
    local after = root:after_setresuid(1000, 1000, 1000)
    assert.equal(none, after.permitted)
    assert.equal(none, after.effective)
    assert.equal(all, after.bounding)
    local kept = root:after_setresuid(1000, 1000, 0)
    assert.equal(all, kept.permitted)
    assert.equal(none, kept.effective)
  end)

  it("keeps everything when an ID that only looks like 65534 leaves: there was no 0 to leave", function()
    local ids = { uid = idmap.new "0 100000 10", gid = idmap.new "0 100000 10" }
    local unmapped = root:after_unshare_user { ids = ids }
    assert.is_nil(ids.uid:inside(unmapped.uid.effective))
    local after = unmapped:after_setresuid(5, 5, 5)
    assert.equal(all, after.permitted)
    assert.equal(all, after.effective)
    assert.truthy(after.notes[1]:find "nothing is taken away")
    -- The way by 0 drops them.
    assert.equal(none, unmapped:after_setresuid(0, 0, 0):after_setresuid(5, 5, 5).permitted)
  end)

  it("takes nil for unchanged, and refuses -1, with which an error would be a silent success", function()
    local after = root:after_setresuid(nil, nil, nil)
    assert.equal(root, after)
    assert.truthy(message(root.after_setresuid, root, -1):find "ruid")
    assert.truthy(message(root.after_setresuid, root, 0, 4294967295):find "euid")
    assert.truthy(message(root.after_setresgid, root, 0, 0, -1):find "sgid")
  end)

  it("says which ID is not in the map, and which capability a switch needs", function()
    local inside = root:after_unshare_user { ids = { uid = idmap.new "0 0 10", gid = idmap.new "0 0 10" } }
    local state, err = inside:after_setresuid(10, 10, 10)
    assert.is_nil(state)
    assert.equal("EINVAL", err.code)
    assert.truthy(err.why:find "10 is not in the map")
    state, err = root:after_setresuid(1000, 1000, 1000):after_setresuid(0, 0, 0)
    assert.is_nil(state)
    assert.equal("EPERM", err.code)
    assert.truthy(err.why:find "CAP_SETUID")
  end)

  it("gives everything back in a new user namespace, and all of it to lose at the first exec without maps", function()
    local poor = root:with { bounding = none, effective = none, permitted = none, no_new_privs = true,
      securebits = { "noroot", "noroot_locked" } }
    local inside = poor:after_unshare_user()
    assert.equal(all, inside.permitted)
    assert.equal(all, inside.bounding)
    assert.same({}, inside.securebits)
    assert.is_true(inside.no_new_privs)
    assert.equal(none, inside:after_exec().permitted)
    local state, err = inside:after_unshare_user()
    assert.is_nil(state)
    assert.truthy(err.why:find "no mapping")
  end)

  it("regains all for root from I = all over an empty bounding set", function()
    assert.equal(all, root:with({ bounding = none, inheritable = all, permitted = none, effective = none })
      :after_exec().permitted)
    assert.equal(none, root:with({ bounding = none }):after_exec().permitted)
  end)

  it("refuses to exec a program whose capability is outside the bounding set, and says which", function()
    local state, err = root:with({ bounding = all - "net_raw" }):after_exec {
      uid = 1000, file = { capabilities = "cap_net_raw=ep" } }
    assert.is_nil(state)
    assert.equal("EPERM", err.code)
    assert.truthy(err.why:find "net_raw")
    local quiet = root:with({ bounding = all - "net_raw" }):after_exec {
      uid = 1000, file = { capabilities = "cap_net_raw=p" } }
    assert.equal(none, quiet.permitted)
  end)

  it("keeps ambient ones over exec, but for a program with IDs or capabilities of its own", function()
    local one = caps.set "net_raw"
    local user = root:with { uid = 1000, gid = 1000, permitted = one, effective = one, inheritable = one, ambient = one,
      bounding = none }
    assert.equal(one, user:after_exec().effective)
    assert.equal(none, user:after_exec({ file = { capabilities = { permitted = none } } }).permitted)
    assert.equal(none, user:after_exec({ file = { mode = 1517, uid = 0, gid = 5 } }).permitted)
    -- A group that it is in already is no change.
    assert.equal(one, user:after_exec({ groups = { 5 }, file = { mode = 1517, uid = 0, gid = 5 } }).permitted)
  end)

  it("clears ambient for IDs that differed before, on a kernel before 6.16", function()
    local one = caps.set "net_raw"
    local mixed = root:with { uid = { real = 1000, effective = 1001, saved = 1001 }, gid = 1000, permitted = one,
      effective = one, inheritable = one, ambient = one }
    assert.equal(one, mixed:after_exec({ kernel = "6.16" }).permitted)
    assert.equal(none, mixed:after_exec({ kernel = "6.15.4" }).permitted)
    assert.equal(none, mixed:after_exec({ kernel = "5.10" }).permitted)
    assert.truthy(message(mixed.after_exec, mixed, { kernel = "new" }):find "kernel")
  end)

  it("gives a traced program no more than it had", function()
    local user = root:with { uid = 1000, gid = 1000, permitted = none, effective = none }
    local file = { mode = 2541, uid = 0, gid = 0 }
    assert.equal(all, user:after_exec({ file = file }).permitted)
    local traced = user:after_exec { file = file, traced = true }
    assert.equal(none, traced.permitted)
    assert.equal(1000, traced.uid.effective)
  end)

  it("needs to know who executes, and takes no key that there is not", function()
    local state = caps.new_state { effective = all, permitted = all, inheritable = none, bounding = all, ambient = none,
      securebits = {}, no_new_privs = false }
    assert.truthy(message(state.after_exec, state):find "give uid")
    assert.equal(all, state:after_exec({ uid = 0 }).permitted)
    assert.truthy(message(state.after_exec, state, { uid = 0, fil = {} }):find("did you mean 'file'", 1, true))
    assert.truthy(message(state.after_exec, state, { uid = 0, file = { mod = 1 } }):find("file.mod", 1, true))
    assert.truthy(message(state.after_exec, state, { uid = -1 }):find "uid")
    local less = caps.parse "=ep"
    assert.truthy(message(less.after_exec, less, { uid = 0 }):find "does not say")
  end)
end)


describe("applying a state", function()
  local function unable()
    if caps.state().permitted:has "setpcap" then return nil end
    local result = Plan.new({ namespaces = { "user" } }):exec({ "/bin/true" }):run()
    if result and result.code == 0 then return nil end
    return "needs CAP_SETPCAP or user namespaces"
  end

  local function applied(text)
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    file:write('local caps = require "cella.caps"\nlocal state = caps.state()\n', text)
    file:close()
    -- Unprivileged, as root of a user namespace of its own, where there is everything to give up.
    local options = {}
    if not caps.state().permitted:has "setpcap" then
      local _, uid = sys.getresuid()
      local _, gid = sys.getresgid()
      options = { namespaces = { "user" }, ids = { uid = ("0 %d 1"):format(uid), gid = ("0 %d 1"):format(gid),
        via = "self", setgroups = "deny" } }
    end
    local plan = Plan.new(options)
    local result = assert(plan:exec({ portable.program, name, stdout = "capture", stderr = "capture" })
      :run { timeout = 20 })
    os.remove(name)
    return result
  end

  it("brings every set, securebits and no_new_privs about, in an order in which no step spoils the next", function()
    if unable() then return pending(unable()) end
    local result = applied [[
      local wanted = state:with { effective = "none", permitted = "kill,net_raw", inheritable = "kill",
        bounding = "chown", ambient = "kill", securebits = { "noroot", "no_cap_ambient_raise", "noroot_locked" },
        no_new_privs = true }
      assert(wanted:apply())
      local now = caps.state()
      assert(now == wanted, tostring(now))
      io.write(now:mode(), " ", now:text())]]
    assert.equal("", result.stderr)
    assert.equal("UNCERTAIN cap_kill=ip cap_net_raw+p", result.stdout)
  end)

  it("reaches each of libcap's modes, as libcap sees it", function()
    if unable() then return pending(unable()) end
    for _, mode in ipairs { "NOPRIV", "PURE1E_INIT", "PURE1E", "HYBRID" } do
      local result = applied(([[
        local core = require "cella.core"
        if %q == "PURE1E" then state = state:with { inheritable = "kill" } end
        assert(state:with_mode(%q):apply())
        io.write(core.caps.mode())]]):format(mode, mode))
      assert.equal("", result.stderr)
      assert.equal(mode, result.stdout)
    end
  end)

  it("is refused where the sets would make it another mode, and nothing is changed", function()
    if unable() then return pending(unable()) end
    local result = applied [[
      local before = caps.state()
      local ok, err = before:with { inheritable = "none" }:with_mode("PURE1E"):apply()
      assert(caps.state() == before, tostring(caps.state()))
      io.write(tostring(ok), " ", err.code, " ", err.why)]]
    assert.equal("", result.stderr)
    assert.truthy(result.stdout:find("nil EPERM the mode would be PURE1E_INIT and not PURE1E", 1, true), result.stdout)
  end)

  it("is in the mode that libcap sees, whatever the securebits", function()
    if unable() then return pending(unable()) end
    -- A lock is for ever: those without come first, and each of the others has a process of its own.
    for _, locked in ipairs { 0x2f, 0xef, 0xff, 0xaf, 0x3ef } do
      local result = applied(([[
        local core = require "cella.core"
        local securebits = require "cella.caps.securebits"
        for number = 0, %d do
          if not table.concat(securebits.from_number(number), " "):find "_locked" or number == %d then
            assert(core.sys.securebits(securebits.from_number(number)))
            local mode = caps.state():mode()
            assert(mode == core.caps.mode(), number .. ": " .. mode .. " is " .. core.caps.mode())
            io.write(mode, " ")
          end
        end]]):format(locked, locked))
      assert.equal("", result.stderr)
      assert.truthy(result.stdout:find "^HYBRID UNCERTAIN UNCERTAIN")
      assert.equal(locked == 0xef, result.stdout:find "PURE1E_INIT $" ~= nil)
    end
  end)

  it("does nothing at all where a step would fail, and says why", function()
    if unable() then return pending(unable()) end
    local result = applied [[
      assert(caps.state():with { bounding = "kill" }:apply())
      local before = caps.state()
      for _, change in ipairs {
        { bounding = "chown" }, { permitted = "none", effective = "kill" }, { ambient = "kill" },
        { permitted = "none", ambient = "kill", inheritable = "kill" }, { inheritable = "chown" },
      } do
        local ok, err = before:with(change):apply()
        assert(not ok and err.why and err.code == "EPERM", tostring(err))
        assert(caps.state() == before)
        io.write(err.why:match "^[%w ]+", "\n")
      end
      assert(before:with { securebits = { "noroot", "noroot_locked" }, no_new_privs = true }:apply())
      local ok, err = before:apply()
      assert(not ok)
      io.write(err.why, "\n")]]
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
    local lines = {}
    for line in result.stdout:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(6, #lines)
    assert.truthy(lines[1]:find "the bounding set only shrinks")
    assert.truthy(lines[6]:find "no_new_privs is for ever")
  end)

  it("changes only what the state says", function()
    if unable() then return pending(unable()) end
    local result = applied [[
      assert(caps.parse("cap_kill,cap_setpcap=ep"):apply())
      local now = caps.state()
      assert(now.bounding == state.bounding and now.permitted == caps.set "kill,setpcap")
      assert(caps.parse("!cap_chown,^cap_kill"):apply())
      now = caps.state()
      assert(now.bounding == state.bounding - "chown" and now.ambient == caps.set "kill", tostring(now))
      assert(now.permitted == caps.set "kill,setpcap")]]
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
  end)

  it("lowers ambient alone, and a pid shows what each set has become", function()
    if unable() then return pending(unable()) end
    local result = applied [[
      assert(state:with { inheritable = "kill,chown", ambient = "kill,chown", bounding = "setpcap" }:apply())
      assert(caps.state():with { ambient = "chown", effective = "setpcap" }:apply())
      local now = caps.state()
      assert(now.ambient == caps.set "chown" and now.inheritable == caps.set "kill,chown", tostring(now))
      assert(now.permitted == state.permitted and now.bounding == caps.set "setpcap")
      local shown = assert(caps.state(require("cella.sys").getpid()))
      assert(#now:differences(shown) == 0, tostring(shown))
      assert(now:with({ no_new_privs = true }):apply())
      assert(caps.state(require("cella.sys").getpid()).no_new_privs and not shown.no_new_privs)]]
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
  end)

  it("finds the way where a step is needed on the way only", function()
    if unable() then return pending(unable()) end
    local result = applied [[
      -- An unlocked bit forbids to raise ambient ones, and CAP_SETPCAP is not in effect.
      assert(state:with { securebits = { "no_cap_ambient_raise" }, effective = "none" }:apply())
      assert(caps.state():with { inheritable = "kill", ambient = "kill" }:apply())
      local now = caps.state()
      assert(now.ambient == caps.set "kill" and now.effective:empty(), tostring(now))
      assert(now.securebits[1] == "no_cap_ambient_raise")
      -- To inheritable from what is only bounded; and then the bounding set closes behind it.
      assert(now:with { permitted = "setpcap", effective = "none" , ambient = "none" }:apply())
      assert(caps.state():with { inheritable = "chown", bounding = "none" }:apply())
      now = caps.state()
      assert(now.inheritable == caps.set "chown" and now.bounding:empty() and now.effective:empty(), tostring(now))]]
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
  end)

  it("is all or nothing for whatever target, from wherever", function()
    if unable() then return pending(unable()) end
    local reached, refused = 0, 0
    for seed = 1, 20 do
      local result = applied(("local seed = %d\n"):format(seed) .. [[
        local function pick(list)
          seed = (seed * 1664525 + 1013904223) % 4294967296
          return list[math.floor(seed / 65536) % #list + 1]
        end
        local sets = { "none", "kill", "kill,chown", "setpcap", "setpcap,kill,chown", state.permitted }
        local bits = { {}, { "noroot" }, { "no_cap_ambient_raise" }, { "keep_caps" },
          { "noroot", "noroot_locked", "no_cap_ambient_raise" }, { "no_setuid_fixup" } }
        for _ = 1, 12 do
          local before, target = caps.state(), {}
          for _, field in ipairs { "effective", "permitted", "inheritable", "bounding", "ambient" } do
            if pick { true, true, false } then target[field] = pick { pick(sets), before[field] } end
          end
          if pick { true, false } then target.securebits = pick(bits) end
          if pick { true, false, false, false } then target.no_new_privs = true end
          local wanted = caps.new_state(target)
          local ok, err = wanted:apply()
          local after = caps.state()
          if ok then
            assert(#wanted:differences(after) == 0, tostring(wanted) .. tostring(after))
            io.write "+"
          else
            assert(after == before and err.why, ("%s\n%s\n%s"):format(tostring(err), tostring(before),
              tostring(wanted)))
            io.write "-"
          end
        end]])
      assert.equal("", result.stderr)
      assert.equal(12, #result.stdout)
      reached = reached + select(2, result.stdout:gsub("%+", ""))
      refused = refused + select(2, result.stdout:gsub("%-", ""))
    end
    assert.is_true(reached >= 40 and refused >= 40, reached .. " " .. refused)
  end)

  it("is refused while there are other threads, of which the kernel would change none", function()
    local cc = portable.execute "command -v cc >/dev/null"
    if not cc then return pending "needs a C compiler (cc)" end
    local directory = os.tmpname()
    os.remove(directory)
    assert(portable.execute("mkdir " .. directory))
    local source = assert(io.open(directory .. "/thread.c", "w"))
    source:write [[
      #include <pthread.h>
      #include <unistd.h>
      static void *idle(void *p) { for (;;) pause(); return p; }
      int luaopen_thread(void *L);
      int luaopen_thread(void *L) { pthread_t t; (void)L; return pthread_create(&t, 0, idle, 0) * 0; }]]
    source:close()
    assert(portable.execute(("cc -shared -fPIC -o %s/thread.so %s/thread.c -lpthread"):format(directory, directory)))
    local result = applied(([[
      package.cpath = %q .. "/?.so;" .. package.cpath
      require "thread"
      local ok, err = state:with { effective = "none" }:apply()
      assert(not ok)
      io.write(err.why)
      assert(caps.state() == state)
      io.flush()
      os.exit(0, false) -- without closing the module: the thread runs in it]]):format(directory))
    portable.execute("rm -r " .. directory)
    assert.equal("", result.stderr)
    assert.truthy(result.stdout:find "2 threads", result.stdout)
  end)
end)

