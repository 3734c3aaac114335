-- Addresses, and what else a person writes into the key `network`: read to numbers, and nothing but those comes out.

local address = require "cella.network.address"
local allow = require "cella.network.allow"
local cella = require "cella"
local names = require "cella.network.names"
local rules = require "cella.network.rules"
local trial = require "spec.support.trial"

local raised = trial.raised

local function read(text) return address.show(address.rule(text, "x")) end

local function allowed(...)
  local list = allow.rule({ ... }, "allow")
  local found = { ["example.org"] = { address.parse "192.0.2.1", address.parse "2001:db8::1" } }
  return table.concat(allow.rules(list, found), "\n")
end

-- What cella.container says of a network.
local function refused(network) return raised(cella.container, { network = network }) end

local function assert_refused(cases)
  for expected, network in pairs(cases) do
    local said = refused(network)
    assert.truthy(said:find(expected, 1, true), said)
    assert.is_nil(said:find("start.lua", 1, true), said)
  end
end

describe("an address", function()
  it("is written as its system writes it, however it was said", function()
    for text, expected in pairs {
      ["192.0.2.7"] = "192.0.2.7", ["0.0.0.0/0"] = "0.0.0.0/0", ["10.0.0.0/8"] = "10.0.0.0/8", ["::"] = "::",
      ["192.0.2.7/32"] = "192.0.2.7", ["::1"] = "::1", ["2001:DB8:0:0:0:0:0:1"] = "2001:db8::1",
      ["2001:db8::/32"] = "2001:db8::/32", ["::/0"] = "::/0", ["1:2:3:4:5:6:7:8"] = "1:2:3:4:5:6:7:8",
      ["1:0:0:2:0:0:0:3"] = "1:0:0:2::3", ["64:ff9b::192.0.2.33"] = "64:ff9b::c000:221",
      ["fe80::1:0:0:1"] = "fe80::1:0:0:1",
      ["1::"] = "1::", ["1:2:3:4:5:6:7::"] = "1:2:3:4:5:6:7:0", ["[::1]:80"] = "::1",
      ["[2001:db8::]/32:80"] = "2001:db8::/32",
      ["[2001:db8::/32]:80"] = "2001:db8::/32", ["172.16.0.0/12:80-90"] = "172.16.0.0/12",
      ["10.128.0.0/9"] = "10.128.0.0/9",
      ["2001:db8:8000::/33"] = "2001:db8:8000::/33",
    } do
      assert.equal(expected, read(text), text)
    end
  end)

  it("has the ports that are said", function()
    assert.same({ 443, 443 }, address.rule("192.0.2.7:443", "x").ports)
    assert.same({ 1, 65535 }, address.rule("[::1]:1-65535", "x").ports)
    assert.is_nil(address.rule("2001:db8::443", "x").ports)
  end)

  it("is refused where it is none", function()
    for _, text in ipairs { "", "192.0.2", "192.0.2.256", "192.0.2.07", "0x7f.0.0.1", "1.2.3.4.5", ":::", "1::2::3",
      "12345::",
      "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::1.2.3", "1.2.3.4::", "[::1", "::1]", "[::1]80", "[192.0.2.7]:80",
      "[]:80",
      "192.0.2.7:", "192.0.2.7:0", "192.0.2.7:65536", "192.0.2.7:80-", "192.0.2.7:90-80", "192.0.2.7:1e1",
      "192.0.2.7:-1",
      "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1", "::/129", "10.0.0.1/8", "2001:db8::1/32",
      "fe80::1%eth0",
      "::ffff:192.0.2.7", "192.0.2.7 ", " 192.0.2.7", "192.0.2.7\n", "192.0.2.7\0", "192.0.2.7;", "192.0.2.7 accept",
      "192.0.2.7\naccept", "192.0.2.7:80\n accept", "10.0.0.0/8\n", "१.2.3.4", "*", "any", ("1"):rep(10000) } do
      assert.is_false((pcall(address.rule, text, "x")), ("%q"):format(text))
    end
  end)

  it("that is refused is named, with what was meant", function()
    assert_refused {
      ["network.allow[1]: the string \"10.0.0.1/8\" has bits behind its prefix"] = { type = "none",
      allow = { "10.0.0.1/8" } },
      ["the network is 10.0.0.0/8"] = { type = "none", allow = { "10.0.0.1/8" } },
      ["a port is a number from 1 to 65535, or two, 8000-8010, got \"0\""] = { type = "none",
      allow = { "192.0.2.7:0" } },
      ["got \"65536\" in"] = { type = "none", allow = { "192.0.2.7:65536" } },
      ["a name is said as { host = \"example.org\", port = 443 }"] = { type = "none", allow = { "example.org:443" } },
      ["a name is said as { host = \"localhost\" }"] = { type = "none", allow = { "localhost" } },
      ["the prefix of the string \"10.0.0.0/33\" is more than 32 bits"] = { type = "none", allow = { "10.0.0.0/33" } },
      ["is an IPv4 address: write it as one"] = { type = "none", allow = { "::ffff:192.0.2.7" } },
      ["no interface behind it"] = { type = "none", allow = { "fe80::1%eth0" } },
      ["network.allow[2].host: missing"] = { type = "none", allow = { "192.0.2.7", {} } },
      ["network.allow[1].port: a port from 1 to 65535 expected, got 0"] = { type = "none",
        allow = { { host = "a.example", port = 0 } } },
      ["network.allow[1].port: the address has one already"] = { type = "none",
        allow = { { address = "192.0.2.7:80", port = 81 } } },
      ["network.allow[1].protocol: the string \"icmp\" is not one of tcp, udp"] = { type = "none",
        allow = { { address = "192.0.2.7", protocol = "icmp" } } },
      ["network.allow[1].prot: unknown key; did you mean 'port'?"] = { type = "none",
        allow = { { host = "a.example", prot = 1 } } },
      ["network.allow: a list expected"] = { type = "none", allow = "192.0.2.7" },
    }
  end)
end)

describe("a name", function()
  it("is that of a host", function()
    for _, name in ipairs { "example.org", "localhost", "a-b.c_d.example", "x1", "1e.example", "a" } do
      assert.equal(name, names.rule(name, "x"))
    end
  end)

  it("is refused where it could be more than one", function()
    for _, name in ipairs { "", ".", "a.", ".a", "a..b", "-a.example", "a-.example", "a b", "a\nb", "a\n192.0.2.1 b",
      "a;b", "a#b",
      "a\0", "$(id)", "`id`", "a/b", "192.0.2.7", "192.0.2", "1", "0x7f000001", "ex\195\164mple.org", ("a"):rep(64),
      ("a."):rep(127) .. "abc", "a\tb", "--help", 5, {} } do
      local said = refused { type = "none", allow = { { host = name } } }
      assert.truthy(said:find("network.allow[1].host: ", 1, true), said)
    end
  end)
end)

describe("the rules", function()
  it("are made for both versions, TCP and UDP, and for pings where there is no port", function()
    assert.equal("ip daddr 192.0.2.7 tcp dport 443 accept\nip daddr 192.0.2.7 udp dport 443 accept",
      allowed "192.0.2.7:443")
    assert.equal("ip6 daddr 2001:db8::/32 tcp dport 80-90 accept\nip6 daddr 2001:db8::/32 udp dport 80-90 accept",
      allowed "[2001:db8::]/32:80-90")
    assert.equal("ip daddr 10.0.0.0/8 meta l4proto tcp accept\nip daddr 10.0.0.0/8 meta l4proto udp accept\n"
      .. "ip daddr 10.0.0.0/8 icmp type echo-request accept", allowed "10.0.0.0/8")
    assert.equal("ip daddr 192.0.2.1 tcp dport 443 accept\nip6 daddr 2001:db8::1 tcp dport 443 accept",
      allowed { host = "example.org", port = 443, protocol = "tcp" })
    assert.equal("ip daddr 192.0.2.7 udp dport 53 accept",
      allowed({ address = "192.0.2.7", port = 53, protocol = "udp" }, { address = "192.0.2.7:53", protocol = "udp" }))
    assert.equal("", allowed())
  end)

  local ALLOWED = { "ip daddr 192.0.2.7 tcp dport 443 accept" }

  it("are looked for in what the kernel has", function()
    local script = rules.script(ALLOWED, { { protocol = "tcp", inside = 80 } })
    assert.is_true(rules.is_there(script, script))
    assert.is_false(rules.is_there("", script))
    assert.is_false(rules.is_there(rules.script(ALLOWED, {}), script))
    assert.is_false(rules.is_there(rules.script({}, { { protocol = "tcp", inside = 80 } }), script))
    assert.is_false(rules.is_there(rules.script(), script))
    -- Each line of it, lost, or doing another thing, but what is a name alone.
    local lines, count = {}, 0
    for line in script:gmatch "[^\n]+" do lines[#lines + 1] = line end
    for i, line in ipairs(lines) do
      if line:find "^    " or line:find "chain" then
        local kept = table.remove(lines, i)
        assert.is_false(rules.is_there(table.concat(lines, "\n"), script), line)
        table.insert(lines, i, kept)
        count = count + 1
      end
    end
    assert.is_true(count > 25)
    for from, to in pairs { ["policy drop"] = "policy accept", ["goto refused"] = "accept",
      ["mark set 2"] = "mark set 1", ["hook forward"] = "hook input", ["jump loopback"] = "accept" } do
      local text, found = script:gsub(from, to, 1)
      assert.same({ 1, false }, { found, rules.is_there(text, script) }, from)
    end
    local open = rules.script()
    assert.is_true(rules.is_there(open, open))
    assert.is_false(rules.is_there(open:gsub("oifname[^\n]*\n", "", 1), open))
  end)

  -- As nft 1.0 lists them.
  it("are known however nft writes them", function()
    local script = rules.script(ALLOWED, { { protocol = "tcp", inside = 80 } })
    local listed = script:gsub("priority 0", "priority filter"):gsub("priority %-300", "priority raw")
      :gsub("mark ([0-2])", "mark 0x0000000%1"):gsub("mark set ([0-2])", "mark set 0x0000000%1")
      :gsub("meta l4proto tcp", "meta l4proto 6"):gsub("icmpx type", "icmpx")
    assert.not_equal(script, listed)
    assert.is_true(rules.is_there(listed, script))
  end)

  it("bring in what is asked for, and the ports that lead in; all where who has given the device decides", function()
    local script = rules.script(ALLOWED, { { protocol = "udp", inside = 53 } })
    assert.truthy(script:find("hook input priority 0; policy drop;", 1, true))
    assert.truthy(script:find("udp dport 53 ct state new ct mark 0 ct mark set 1 accept", 1, true))
    assert.truthy(rules.script(ALLOWED):find("hook input priority 0; policy accept;", 1, true))
  end)
end)

describe("an address that is no host's of its own", function()
  it("is known", function()
    for text, kind in pairs {
      ["127.0.0.1"] = "loopback", ["127.255.0.1"] = "loopback", ["127.0.0.0/9"] = "loopback", ["::1"] = "loopback",
      ["::ffff:127.0.0.1"] = "loopback", ["::127.0.0.1"] = "loopback", ["0.0.0.0"] = "unspecified",
      ["0.1.2.3"] = "unspecified", ["::"] = "unspecified", ["169.254.169.254"] = "link-local",
      ["fe80::1"] = "link-local", ["febf::1"] = "link-local", ["fe80::/10"] = "link-local",
      ["::ffff:169.254.1.1"] = "link-local", ["224.0.0.1"] = "multicast", ["ff02::1"] = "multicast",
      ["255.255.255.255"] = "broadcast", ["::ffff:10.0.0.1"] = "IPv4 address in IPv6",
    } do
      local bare, prefix = text:match "^([^/]*)/?([0-9]*)$"
      local one = address.parse(bare)
      one.prefix = tonumber(prefix) or one.prefix
      assert.truthy(tostring(address.special(one)):find(kind, 1, true), text)
    end
    for _, text in ipairs { "126.0.0.0/7", "0.0.0.0/0", "::/0", "128.0.0.1", "169.253.0.1", "fec0::1", "fe00::/9",
      "10.0.0.1", "2001:db8::1", "240.0.0.1", "1::1" } do
      assert.is_nil(address.special(address.rule(text, "x")), text)
    end
  end)

  it("is refused in `allow` where no rule could let it out", function()
    for _, text in ipairs { "127.0.0.1", "127.0.0.1:80", "127.0.0.0/8", "[::1]:80", "::", "0.0.0.0:80" } do
      local said = refused { type = "user", allow = { text } }
      assert.truthy(said:find("network.allow[1]: the string \"" .. text .. "\" is a", 1, true), said)
      assert.truthy(said:find("host_ports", 1, true), said)
      said = refused { type = "none", allow = { { address = text } } }
      assert.truthy(said:find("network.allow[1].address: ", 1, true), said)
    end
  end)
end)
