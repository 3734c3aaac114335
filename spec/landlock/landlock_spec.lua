-- Policies of Landlock as values: what is said, what it means, what it takes, how it is printed. No kernel is asked.

local landlock = require "cella.landlock"
local rights = require "cella.landlock.rights"
local trial = require "spec.support.trial"

local load_text = loadstring or load -- luacheck: ignore

local function read_back(policy)
  local chunk = assert(load_text("local landlock = ... return " .. tostring(policy)))
  return chunk(landlock)
end

local USUAL = { "execute", "write_file", "read_file", "read_dir", "remove_dir", "remove_file", "make_char", "make_dir",
  "make_reg", "make_sock", "make_fifo", "make_block", "make_sym", "refer", "truncate", "ioctl_dev" }

describe("a policy of Landlock", function()
  local abi

  before_each(function() abi = landlock.abi end)
  after_each(function() landlock.abi = abi end)

  -- What a start takes of it where the host has that ABI.
  local function held(description, level)
    landlock.abi = function() return level end
    return landlock.held(landlock.policy(description))
  end

  it("is about all rights to files that Linux 6.10 has, and what rules name", function()
    assert.same(USUAL, held({ files = {} }, 11).fs)
    assert.equal(5, landlock.policy { files = {} }:needs())
    local newer = landlock.policy { files = { { path = "/run/x", allow = { "read", "resolve_unix" } } } }
    assert.equal(9, newer:needs())
    assert.equal("resolve_unix", held({ files = { { path = "/run/x", allow = "resolve_unix" } } }, 11).fs[17])
  end)

  it("is about what `restrict` says", function()
    assert.same({ "read_file", "read_dir" }, held({ files = {}, restrict = "read" }, 11).fs)
    assert.equal(1, landlock.policy { files = {}, restrict = { "read", "execute" } }:needs())
    -- The kernel refuses `refer` wherever it refuses anything: allowed it has to be known.
    assert.same({ "write_file", "refer" }, held({ restrict = "write_file",
      files = { { path = "/", allow = { "write_file", "refer" } } } }, 11).fs)
  end)

  it("means of a group what there is of a directory, and of a file", function()
    local rule = held({ files = { { path = "/srv", allow = { "read", "make", "ioctl_dev" } } } }, 11).paths[1]
    assert.same({ "read_file", "read_dir", "make_dir", "make_reg", "make_sock", "make_fifo", "make_sym", "ioctl_dev" },
      rule.access)
    assert.same({ "read_file", "ioctl_dev" }, rule.of_file)
    -- What is named is asked of whatever is there.
    rule = held({ files = { { path = "/srv", allow = { "read_dir", "remove" } } } }, 11).paths[1]
    assert.same({ "read_dir" }, rule.of_file)
    rule = held({ files = { { path = "/srv", allow = "all" } } }, 11).paths[1]
    assert.same(USUAL, rule.access)
  end)

  it("refuses ports that it does not list, of the kinds that it names", function()
    local one = held({ tcp = { connect = { 443, 80 }, bind = 80 }, udp = { bind = "any" } }, 11)
    assert.same({ "bind_tcp", "connect_tcp", "connect_send_udp" }, one.net)
    assert.same({ { port = 80, access = { "bind_tcp", "connect_tcp" } }, { port = 443, access = { "connect_tcp" } } },
      one.ports)
    assert.same({ "bind_tcp", "connect_tcp" }, held({ tcp = {} }, 11).net)
    assert.same({}, held({ tcp = {} }, 11).fs)
  end)

  it("tells what it takes, and what an ABI lacks of it", function()
    local policy = landlock.policy { files = {}, tcp = {}, scopes = { "signal" } }
    assert.equal(6, policy:needs())
    assert.same({ "refer", "truncate", "ioctl_dev", "bind_tcp", "connect_tcp", "signal" }, policy:lacks(1))
    assert.same({ "ioctl_dev", "signal" }, policy:lacks(4))
    assert.same({}, policy:lacks(6))
    assert.equal(10, landlock.policy { udp = {} }:needs())
    assert.equal("6.10", landlock.kernel(5))
    assert.is_nil(landlock.kernel(99))
  end)

  it("is refused where the host has less, with what is missing and the Linux that has it", function()
    local none, err = held({ files = {}, tcp = {} }, 2)
    assert.is_nil(none)
    assert.equal("landlock", err.op)
    for _, words in ipairs { "ABI 2, which lacks", "truncate (ABI 3, Linux 6.2)", "ioctl_dev (ABI 5, Linux 6.10)",
      "bind_tcp (ABI 4, Linux 6.7)", "at_least = 2" } do
      assert.truthy(tostring(err):find(words, 1, true), tostring(err))
    end
    none, err = held({ files = {}, at_least = 3 }, 2)
    assert.is_nil(none)
    assert.truthy(tostring(err):find("`at_least` is 3", 1, true), tostring(err))
  end)

  it("is held in part where it says that this is enough, and says which", function()
    local part = held({ files = { { path = "/a", allow = "ioctl_dev" }, { path = "/b", allow = "write" } }, tcp = {},
      at_least = 2 }, 2)
    assert.same({ "truncate", "ioctl_dev", "bind_tcp", "connect_tcp" }, part.lacks)
    assert.equal("refer", part.fs[#part.fs])
    assert.same({}, part.net)
    assert.equal(1, #part.paths)
    assert.is_false(table.concat(part.paths[1].access, " "):find "truncate" ~= nil)
    assert.equal(2, part.abi)
    assert.equal(5, part.needs)
    assert.equal(18, #held({ files = {}, tcp = {}, at_least = 0 }, 0).lacks)
  end)

  it("has names in the order of the kernel, up to each ABI", function()
    assert.equal(13, #landlock.rights(1))
    assert.equal("refer", landlock.rights(2)[14])
    assert.equal(18, #landlock.rights(5))
    assert.equal(20, #landlock.rights(7))
    assert.equal(23, #landlock.rights(rights.NEWEST))
    assert.same({}, landlock.rights(0))
  end)

  it("is printed as the Lua that makes it", function()
    for _, one in ipairs {
      { files = {} }, { tcp = {} }, { scopes = { "signal" } }, { files = {}, restrict = { "read", "make_dir" } },
      { files = { { path = { "/a", "/b" }, allow = { "read", "execute" } },
        { path = "/\"c\n", allow = "write", optional = true } }, tcp = { bind = { 1, 2 }, connect = "any" },
        udp = { bind = {} }, scopes = { "signal", "abstract_unix_socket" }, at_least = 2 },
    } do
      -- A newline is in no path.
      if one.tcp and one.files then one.files[2].path = "/\"c" end
      local policy = landlock.policy(one)
      local again = read_back(policy)
      assert.equal(tostring(policy), tostring(again))
      assert.is_true(policy == again)
      assert.equal(policy:needs(), again:needs())
    end
    assert.is_false(landlock.policy { tcp = {} } == landlock.policy { udp = {} })
  end)

  it("does not change with the table that it was made of", function()
    local description = { files = { { path = "/a", allow = "read" } } }
    local policy = landlock.policy(description)
    local before = tostring(policy)
    description.files[1].path = "/b"
    assert.equal(before, tostring(policy))
  end)

  it("starts no program where none may be executed", function()
    local policy = landlock.policy { files = { { path = "/", allow = "read" } } }
    assert.truthy(policy:refuses_start():find "execute")
    assert.is_nil(policy:refuses_start(true))
    assert.is_nil(landlock.policy { files = {}, restrict = "write" }:refuses_start())
    assert.is_nil(landlock.policy { files = { { path = "/usr", allow = "all" } } }:refuses_start())
  end)

  describe("refuses", function()
    local function refused(words, description)
      local message = trial.raised(landlock.policy, description)
      assert.truthy(message:find(words, 1, true), message)
      assert.truthy(message:find "^spec/landlock/landlock_spec.lua:%d+: " or message:find "support/trial", message)
    end
    local function file(rule) return { files = { rule } } end

    it("names that are none, with the nearest", function()
      refused("files[1].allow: the string \"reed\"", file { path = "/", allow = "reed" })
      refused("did you mean 'write_file'", file { path = "/", allow = { "write_fil" } })
      refused("scopes[1]", { scopes = { "signals" } })
      refused("did you mean 'signal'", { scopes = { "signals" } })
      refused("did you mean 'optional'", file { path = "/", allow = "read", optionel = true })
      refused("files = { { path", { { "/usr", "read" } })
      refused("tcp = { bind", { net = {} })
      refused("`allow`", file { path = "/", rights = "read" })
      refused("`restrict`", { handled = "read" })
    end)

    it("what restricts nothing, and what is not restricted", function()
      refused("restricts nothing", {})
      refused("restricts nothing", { tcp = { bind = "any", connect = "any" } })
      refused("restricts nothing", { scopes = {} })
      refused("files[1].allow: read_file is not restricted", { restrict = "write",
        files = { { path = "/", allow = "read_file" } } })
      refused("files[1].allow: nothing of it is restricted", { restrict = "write",
        files = { { path = "/", allow = "read" } } })
      refused("restrict: it is about `files`", { restrict = "write", tcp = {} })
      refused("at_least: 7 is more", { tcp = {}, at_least = 7 })
    end)

    it("paths, ports and numbers that are wrong", function()
      refused("files[1].path: an absolute path", file { path = "usr", allow = "read" })
      refused("files[1].path[2]: '..'", file { path = { "/a", "/a/../b" }, allow = "read" })
      refused("files[1].path: an empty list", file { path = {}, allow = "read" })
      refused("files[1].allow: an empty list", file { path = "/", allow = {} })
      refused("files[1].allow: missing", file { path = "/" })
      refused("files[1].path: missing", file { allow = "read" })
      refused("files[2]: missing", { files = { { path = "/", allow = "read" }, nil, { path = "/", allow = "read" } } })
      refused("tcp.bind[1]", { tcp = { bind = { 65536 } } })
      refused("tcp.connect: a port, a list", { tcp = { connect = "all" } })
      refused("tcp.bind: an integer from 0 to 65535", { tcp = { bind = -1 } })
      refused("at_least", { tcp = {}, at_least = -1 })
      refused("a table expected", "read")
    end)
  end)
end)
