-- The key `network.allow`: where a program in a container may send, and where not, tried from inside.

local able = require "spec.support.able"
local cella = require "cella"
local outer = require "spec.support.outer"
local trial = require "spec.support.trial"

trial.around(before_each, after_each)

local needs = able.needs(function(reason) pending(reason) end)

-- What clients say, in a network of the specs' own: a section each, asked for once for each role.
local SCRIPT = [[
local MANY = "tcp 203.0.113.7 80, udp 203.0.113.7 80, tcp 2001:db8:7::7 80, udp 2001:db8:7::7 80, tcp 203.0.113.7 81, "
  .. "udp 203.0.113.7 81, tcp 203.0.113.8 80, tcp 127.0.0.1 99, name other.example"
local function section(name, allow, text)
  print("-- " .. name)
  io.write(outer.says({ network = { type = "user", allow = allow } }, text))
end
section("addresses", { "203.0.113.7:80", "2001:db8:7::/48" }, MANY)
section("nothing", {}, "tcp 203.0.113.7 80, udp 203.0.113.7 80, tcp 2001:db8:7::7 80")
section("all", nil, "tcp 203.0.113.7 80, udp 203.0.113.7 80, tcp 2001:db8:7::7 80")
section("name", { { host = "some.example", port = 80 } }, "name some.example, name other.example, tcp 203.0.113.7 80")
section("resolver", { "169.254.1.1:53" }, "name other.example, tcp 203.0.113.7 80")
local box = cella.container { network = { type = "none", allow = { { host = "some.example", port = 443 } } } }
print "-- hosts"
io.write(assert(box:run { "grep", "-v", "localhost", "/etc/hosts", stdout = "capture" }).stdout)
print "-- plan"
print(box:plan { "true" })
]]

local said = {}

-- A section of that. Root can be an ordinary user in there too.
local function section(name, as_user, body)
  return needs("user_namespaces", function()
    local reason = outer.lacks("nft", "pasta") or outer.lacks_rules() or outer.lacks_tun()
      or as_user and trial.lacks_root()
    if reason then return pending(reason) end
    said[as_user] = said[as_user] or outer.run(SCRIPT, as_user)
    local text = (said[as_user] .. "-- "):match("%-%- " .. name .. "\n(.-)%-%- ")
    body(assert(text, said[as_user]))
  end)
end

local function specify(as_user)
  it("lets out what it has, and refuses the rest at once", section("addresses", as_user, function(text)
    assert.equal(table.concat({
      "tcp 203.0.113.7 80 from 203.0.113.7", "udp 203.0.113.7 80 from 203.0.113.7",
      "tcp 2001:db8:7::7 80 from 2001:db8:7::7", "udp 2001:db8:7::7 80 from 2001:db8:7::7",
      "error: Connection refused", "error: Operation not permitted", -- another port
      "error: Connection refused", -- another address
      "error: Connection refused", -- its own loopback
      "unknown name\n",
    }, "\n"), text)
  end))

  it("of nothing lets out nothing", section("nothing", as_user, function(text)
    assert.equal("error: Connection refused\nerror: Operation not permitted\nerror: Connection refused\n", text)
  end))

  it("lets out all where it is not there", section("all", as_user, function(text)
    assert.equal("tcp 203.0.113.7 80 from 203.0.113.7\nudp 203.0.113.7 80 from 203.0.113.7\n"
      .. "tcp 2001:db8:7::7 80 from 2001:db8:7::7\n", text)
  end))

  it("of a name lets out to its addresses, and the container knows it", section("name", as_user, function(text)
    assert.equal("203.0.113.9\nunknown name\nerror: Connection refused\n", text)
  end))

  it("of the resolver's address lets the container ask for names", section("resolver", as_user, function(text)
    assert.equal("203.0.113.9\nerror: Connection refused\n", text)
  end))

  it("writes the names into /etc/hosts, and into the plan", section("hosts", as_user, function(text)
    assert.equal("203.0.113.9 some.example\n", text)
    for _, whole in pairs(said) do
      assert.truthy(whole:find("nft -f - -- allow some.example:443\n", 1, true), whole)
    end
  end))

  -- What is said of a container where getent(1) is a script.
  local function with_getent(script, name)
    local directory = trial.directory()
    trial.write(directory .. "/getent", "#!/bin/sh\n" .. script .. "\n")
    trial.sh("chmod 755 " .. directory .. "/getent")
    local text = trial.sh(([[PATH=%s:$PATH %s -e '
      local box = require("cella").container { network = { type = "none", allow = { { host = "%s" } } } }
      print(box:run { "true" })']]):format(directory, trial.interpreter(), name))
    trial.remove_directory(directory)
    return text
  end

  it("stops where a name has no address, and names it", needs("user_namespaces", function()
    if outer.lacks_rules() then return pending(outer.lacks_rules()) end
    local text = with_getent("exit 2", "nowhere.example")
    assert.truthy(text:find("getaddrinfo: nowhere.example: no address is known", 1, true), text)
  end))

  it("stops where a name leads to loopback, to the neighbours or nowhere, and says where", needs("user_namespaces",
    function()
      if outer.lacks_rules() then return pending(outer.lacks_rules()) end
      assert.truthy(with_getent("echo 192.0.2.7 STREAM", "some.example"):find "exited 0") -- the control
      for found, kind in pairs { ["127.0.0.1"] = "a loopback address", ["127.0.1.1"] = "a loopback address",
        ["::1"] = "a loopback address", ["::ffff:127.0.0.1"] = "a loopback address",
        ["0.0.0.0"] = "an unspecified address", ["::"] = "an unspecified address",
        ["169.254.169.254"] = "a link-local address", ["fe80::1"] = "a link-local address",
        ["fe80::2%eth0"] = "a link-local address", ["ff02::1"] = "a multicast address",
        ["255.255.255.255"] = "the broadcast address" } do
        local text = with_getent("echo 192.0.2.7 STREAM; echo " .. found .. " STREAM", "some.example")
        local expected = ("getaddrinfo: some.example: is [0-9a-f.:]+, %s"):format(kind:gsub("%-", "%%-"))
        assert.truthy(text:find(expected), text)
        assert.is_nil(text:find "exited", text)
      end
    end))
end

describe("`network.allow`", function() specify(false) end)
describe("`network.allow` of an ordinary user, in root's specs #slow", function() specify(true) end)

-- What the kernel has in a container's network, asked from outside.
local function rules_of(process, types)
  local joins = {}
  for i, kind in ipairs(types) do joins[i] = { type = kind, pid = process.pid } end
  local plan, kept = cella.plan { join = joins }, { "net_admin" }
  plan:securebits { "noroot", "no_setuid_fixup" }
  plan:capset(kept, kept, kept):ambient_raise(kept)
  return assert(plan:exec({ "/usr/sbin/nft", "list", "ruleset", stdout = "capture" }):run()).stdout
end

describe("the rules of a container", function()
  local function box() return cella.container { network = { type = "none", allow = { "192.0.2.7:443" } } } end

  local function with_nft(body)
    return needs("user_namespaces", function()
      if outer.lacks_rules() then return pending(outer.lacks_rules()) end
      body()
    end)
  end

  it("that the kernel does not have are refused by nft's own word #vm", needs("user_namespaces", function()
    if trial.sh "PATH=$PATH:/usr/sbin:/sbin command -v nft" == "" then return pending "needs nft" end
    if not outer.lacks_rules() then return pending "needs a kernel without nf_tables" end
    local directory = trial.directory()
    local pasta = directory .. "/pasta"
    trial.write(pasta, "#!/bin/sh\necho $$ > /proc/self/fd/1; exec sleep 1000\n")
    trial.sh("chmod 755 " .. pasta)
    for _, network in ipairs { { type = "none", allow = {} }, { type = "user", program = pasta } } do
      local result, err = cella.container { network = network }:run { "true" }
      assert.is_nil(result)
      assert.same({ "nft", "parent" }, { err.op, err.side })
      assert.truthy(err.why:find("no program runs without its rules", 1, true), err.why)
    end
    trial.remove_directory(directory)
  end))

  it("are there before its program, and nobody inside changes them", with_nft(function()
    local text = "PATH=$PATH:/usr/sbin:/sbin; nft flush ruleset; nft list ruleset; nft delete table inet cella; "
      .. "unshare --user --map-root-user nft flush ruleset; ip link add ext type veth; echo tried; sleep 60"
    for _, id in ipairs { 0, 1000 } do
      local keys = { network = { type = "none", allow = { "192.0.2.7:443" } } }
      if id == 0 then keys.user = { uid = 0, gid = 0 } end
      local lines = {}
      local process = trial.hold(cella.container(keys):spawn { "/bin/sh", "-c", text, stderr = "null",
        stdout = function(line) lines[#lines + 1] = line end })
      trial.wait_for(function() return process:step() or lines[1] == "tried" end, "the attempts")
      local listed = rules_of(process, { "user", "net" })
      assert.truthy(listed:find("ip daddr 192.0.2.7 tcp dport 443 accept", 1, true), listed)
      assert.truthy(listed:find("type filter hook output priority filter; policy drop;", 1, true), listed)
    end
  end))

  it("are a condition: without nft, with one that does nothing or fails, no program runs", with_nft(function()
    local directory = trial.directory()
    local path = trial.sh "echo $PATH":gsub("\n", "")
    local function try(script)
      trial.write(directory .. "/nft", "#!/bin/sh\n" .. script .. "\n")
      trial.sh("chmod 755 " .. directory .. "/nft")
      return trial.sh(([[PATH=%s:%s %s -e '
        local box = require("cella").container { network = { type = "none", allow = { "192.0.2.7" } } }
        print(box:run { "true" })']]):format(directory, path, trial.interpreter()))
    end
    assert.truthy(try "exec /usr/sbin/nft \"$@\"":find("exited 0", 1, true)) -- the control
    local text = try "exit 0"
    assert.truthy(text:find("nft -f - -- allow 192.0.2.7: has ended well, and the rules are not there", 1, true), text)
    text = try "echo 'it fails here' >&2; exit 1"
    assert.truthy(text:find("nft -f - -- allow 192.0.2.7: it fails here", 1, true), text)
    assert.truthy(text:find("no program runs without its rules", 1, true), text)
    text = try "kill -9 $$"
    assert.truthy(text:find("ended with kill", 1, true), text)
    trial.remove_directory(directory)
  end))

  it("are set where the caller's own namespace denies setgroups", with_nft(function()
    local drop = trial.lacks_root() and "" or "setpriv --reuid=65533 --regid=65533 --clear-groups --inh-caps=-all "
    local text = trial.sh(([[%sunshare --user --map-root-user %s -e '
      io.write(io.open("/proc/self/setgroups"):read "*a")
      print(require("cella").container { network = { type = "none", allow = {} } }:run { "true" })']]):format(
      drop, trial.interpreter()))
    assert.truthy(text:find "^deny\nexited 0", text)
  end))

  it("are not those of the host", with_nft(function()
    if trial.lacks_root() then return pending "needs root, to look at the rules of the host's network" end
    local before = trial.sh "/usr/sbin/nft list ruleset"
    assert.equal(0, assert(box():run { "true" }).code)
    assert.equal(before, trial.sh "/usr/sbin/nft list ruleset")
  end))

  it("hold with the host's user namespace too", with_nft(function()
    if trial.lacks_root() then return pending "needs root" end
    local keys = { network = { type = "none", allow = {} }, namespaces = { user = "host" } }
    keys.user = { uid = 1, gid = 1 }
    local process = trial.hold(cella.container(keys):spawn { "sleep", "60" })
    local listed = rules_of(process, { "net" })
    assert.truthy(listed:find("policy drop", 1, true), listed)
  end))

  it("come with wait = false, and from a pool #slow", with_nft(function()
    local process = trial.hold(box():spawn { "true", wait = false })
    assert.equal(0, assert(process:wait()).code)
    local pool = trial.hold(cella.pool { box(), size = 2 })
    for _ = 1, 3 do assert.equal(0, assert(pool:run { "true" }).code) end
  end))
end)
