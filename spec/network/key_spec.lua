-- The key `network`: whose network a container has, and what it may not be.

local able = require "spec.support.able"
local cella = require "cella"
local trial = require "spec.support.trial"

trial.around(before_each, after_each)

local needs = able.needs(function(reason) pending(reason) end)
local raised, word = trial.raised, trial.word

local NUMBER = "readlink /proc/self/ns/net"

local function text_of(keys) return tostring(assert(cella.container(keys):plan { "true" })):gsub("%d%d%d%d+", "N") end

local function assert_refused(cases)
  for expected, keys in pairs(cases) do
    local said = raised(cella.container, keys)
    assert.truthy(said:find(expected, 1, true), said)
  end
end

describe("the key `network`", function()
  it("is a network of its own, the host's, or one to join", needs("user_namespaces", function()
    local host = trial.sh(NUMBER):gsub("\n", "")
    assert.not_equal(host, word({}, NUMBER))
    assert.not_equal(host, word({ network = "none" }, NUMBER))
    assert.not_equal(host, word({ network = { type = "none" } }, NUMBER))
    assert.equal(host, word({ network = "host" }, NUMBER))
    assert.equal(host, word({ network = { type = "host" } }, NUMBER))
    local process = trial.hold(cella.container {}:spawn { "sleep", "60" })
    local theirs = trial.sh("readlink /proc/" .. process.pid .. "/ns/net"):gsub("\n", "")
    local user = { user = { pid = process.pid } }
    assert.equal(theirs, word({ network = { pid = process.pid }, namespaces = user }, NUMBER))
    assert.equal(theirs, word({ network = ("/proc/%d/ns/net"):format(process.pid), namespaces = user }, NUMBER))
  end))

  it("says what `namespaces.net` says: the same steps", needs("user_namespaces", function()
    assert.equal(text_of {}, text_of { network = "none" })
    assert.equal(text_of { namespaces = { net = "host" } }, text_of { network = "host" })
    assert.not_equal(text_of {}, text_of { network = "host" })
  end))

  it("and `namespaces.net` do not both stand there", function()
    for _, net in ipairs { "new", "host", "/proc/1/ns/net" } do
      assert_refused { ["network: namespaces.net says whose network it is too: leave one of the two away"] =
        { network = "none", namespaces = { net = net } } }
    end
  end)

  it("is refused where it is none, with what was meant", function()
    assert_refused {
      ['network: "none", "host", "user", { type = ... }'] = { network = "x" },
      ["did you mean 'host'?"] = { network = "hosts" },
      ["did you mean 'user'?"] = { network = "pasta" },
      ["did you mean 'none'?"] = { network = "new" },
      ["got true"] = { network = true },
      ["network.type: missing"] = { network = {} },
      ["network.type: the string \"hots\" is not one of none, host, user; did you mean 'host'?"] =
        { network = { type = "hots" } },
      ["network.alow: unknown key; did you mean 'allow'?"] = { network = { type = "none", alow = {} } },
      ["exactly one of pid, fd and path expected"] = { network = { pid = 1, fd = 3 } },
      ["network.type: unknown key"] = { network = { pid = 1, type = "user" } },
      ['network.ports: needs a user-mode network, type = "user", and the type is "none"'] =
        { network = { type = "none", ports = { 80 } } },
      ["network.allow: the rules would be those of the host's whole network"] =
        { network = { type = "host", allow = {} } },
      ["net: unknown key; `network = \"host\"` is the caller's network"] = { net = "host" },
    }
  end)

  it("is refused with what could undo it", function()
    local rules = { type = "none", allow = {} }
    assert_refused {
      ["network.allow: the capability net_admin and rules do not go together: it could change them"] =
        { network = rules, capabilities = { "net_admin" } },
      ["the capability net_admin and rules"] = { network = rules, capabilities = "all" },
      ["network.allow: the capability net_raw and rules do not go together: who sends"] =
        { network = rules, capabilities = { "net_raw" } },
      ["network.allow: with a user namespace that is joined those who live there have a say"] =
        { network = rules, namespaces = { user = "/proc/self/ns/user" } },
      ["network: a user-mode network needs a new user namespace"] = { network = "user",
        namespaces = { user = "host" } },
      ["network: a user-mode network needs a new pid namespace"] = { network = "user", namespaces = { pid = "host" } },
      ["network: a user-mode network ends with the caller, and die_with_parent is false"] =
        { network = "user", die_with_parent = false },
    }
  end)

  it("of a user-mode network says what cannot be", function()
    local function user(keys)
      keys.type = "user"
      return { network = keys }
    end
    assert_refused {
      ["network.ports[1]: a port from 1 to 65535 expected, got 0"] = user { ports = { 0 } },
      ["network.ports[1].inside: a port from 1 to 65535 expected, got 65536"] = user { ports = { { inside = 65536 } } },
      ["network.ports[1]: inside or outside is missing"] = user { ports = { {} } },
      ["network.ports[2]: port 80 outside is that of network.ports[1] already"] =
        user { ports = { 80, { inside = 81, outside = 80 } } },
      ["network.ports[1]: of UDP the port is the same inside and outside"] =
        user { ports = { { inside = 80, outside = 81, protocol = "udp" } } },
      ['network.ports[1].address: one address expected, such as "192.0.2.53", got the string "127.0.0.1/8080"'] =
        user { ports = { { inside = 80, address = "127.0.0.1/8080" } } },
      ["network.ports[1]: a port, or { inside =, outside =, protocol = } expected, got the string \"80:80\""] =
        user { ports = { "80:80" } },
      ["network.host_ports[1].address: unknown key"] =
        user { host_ports = { { inside = 80, address = "127.0.0.1" } } },
      ['network.program: "pasta", "slirp4netns" or the absolute path of one of them expected'] =
        user { program = "/bin/sh" },
      ["network.ports: slirp4netns has no such thing: it needs pasta"] =
        user { program = "slirp4netns", ports = { 80 } },
      ["network.ipv4: the helper is asked for names by IPv4: give nameservers"] = user { ipv4 = false },
      ["network.ipv6: ipv4 is false too"] = user { ipv4 = false, ipv6 = false },
      ["network.nameservers: one to 3 addresses, or false expected"] = user { nameservers = {} },
      ["network.nameservers[1]: one address expected"] = user { nameservers = { "192.0.2.53\noptions x" } },
      ["network.addresses[2]: there is one of IPv4 already"] = user { addresses = { "10.0.2.1/24", "10.0.2.2" } },
      ["network.addresses[1]: one address expected"] = user { addresses = { 0 / 0 } },
      ["network.addresses[1]: a prefix from 1 to 31 expected"] = user { addresses = { "10.0.2.1/32" } },
      ["network.interface: the name of a network interface expected"] = user { interface = "--pcap" },
      ["network.mtu: an integer from 1280 to 65520 expected, got 0"] = user { mtu = 0 },
    }
  end)

  it("loads nothing where it is not there", function()
    local said = trial.sh(([[%s -e '
      local cella = require "cella"
      local function loaded()
        local list = {}
        for name in pairs(package.loaded) do
          if name:find "^cella%%.network" or name == "cella.plan.helper" then list[#list + 1] = name end
        end
        print(#list)
      end
      cella.container {}:plan { "true" }
      loaded()
      cella.container { network = "host" }
      loaded()']]):format(trial.interpreter()))
    assert.truthy(said:find "^0\n[1-9]", said)
  end)
end)
