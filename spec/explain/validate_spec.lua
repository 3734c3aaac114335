-- cella.validate: what is refused, by its full path, in words that help.

local portable = require "spec.support.portable"
local validate = require "cella.validate"

local rule = validate.rule

-- The message with which a value is refused, without the place in this file.
local function refusal(check, value, path)
  local ok, err = pcall(validate.check, check, value, path or "x", 1)
  assert.is_false(ok, "it was taken")
  assert.equal("string", type(err))
  return (err:gsub("^[^\n]-%.lua:%d+: ", ""))
end

local function takes(check, value)
  local ok, result = pcall(validate.check, check, value, "x")
  assert.is_true(ok, result)
  return result
end

describe("a rule for", function()
  local LAST = 4294967294

  it("integers takes whole numbers of its range, and nothing that only looks like one", function()
    local check = rule.integer(0, 10)
    for _, good in ipairs { 0, 1, 10 } do assert.equal(good, takes(check, good)) end
    for _, bad in ipairs { -1, 11, 1.5, "3", "", true, {}, 2 ^ 32, 2 ^ 63, 0 / 0, math.huge, -math.huge,
      math.maxinteger, math.mininteger } do
      assert.truthy(refusal(check, bad):find("x: an integer from 0 to 10 expected, got ", 1, true))
    end
    if not portable.integers then return assert.equal(3, takes(check, 6 / 2)) end
    assert.truthy(refusal(check, 3.0):find("x: an integer from 0 to 10 expected, got ", 1, true))
    assert.equal("x: an integer from 0 to 10 expected, got 3.0, which is a float: math.tointeger makes an integer of "
      .. "it", refusal(check, 6 / 2))
    assert.equal("x: an integer from 0 to 10 expected, got 12.0", refusal(check, 24 / 2))
    -- The words of a choice among rules keep that.
    local either = rule.any('an integer up to 10 or "all"', rule.one_of { "all" }, check)
    assert.equal('x: an integer up to 10 or "all" expected, got 3.0, which is a float: math.tointeger makes an '
      .. "integer of it", refusal(either, 6 / 2))
    assert.equal('x: an integer up to 10 or "all" expected, got 12.0', refusal(either, 24 / 2))
    for key, value in pairs { rlimits = { as = 2 ^ 20 }, cgroup = { pids = 2 ^ 5 } } do
      local _, err = pcall(require("cella").container, { [key] = value })
      assert.truthy(err:find(", which is a float: math.tointeger makes an integer of it", 1, true), err)
    end
  end)

  it("IDs ends before 2^32 - 1, which the kernel takes for \"unchanged\"", function()
    assert.equal(LAST, takes(rule.id, LAST))
    assert.equal(0, takes(rule.id, 0))
    assert.equal("x: an integer from 0 to 4294967294 expected, got 4294967295", refusal(rule.id, LAST + 1))
    for _, bad in ipairs { -1, LAST + 2, LAST + 3, "0", "root", 2 ^ 32, 2 ^ 63 } do refusal(rule.id, bad) end
  end)

  it("seconds takes fractions, and no time without an end", function()
    assert.equal(0.25, takes(rule.seconds, 0.25))
    assert.equal(0, takes(rule.seconds, 0))
    for _, bad in ipairs { -1, -0.001, 1e10, math.huge, 0 / 0, "5", true } do refusal(rule.seconds, bad) end
  end)

  it("booleans takes two values", function()
    assert.is_false(takes(rule.boolean, false))
    assert.is_true(takes(rule.boolean, true))
    for _, bad in ipairs { 0, 1, "true", {} } do refusal(rule.boolean, bad) end
  end)

  it("strings takes any bytes but NUL, and no numbers", function()
    assert.equal("a\nb\255", takes(rule.string, "a\nb\255"))
    assert.equal("", takes(rule.string, ""))
    assert.equal("x: the string has a NUL byte in it", refusal(rule.string, "a\0b"))
    assert.equal("x: a string expected, got 5", refusal(rule.string, 5))
  end)

  it("text takes numbers too, as every Lua and every person writes them", function()
    assert.equal("5", takes(rule.text, "5"))
    for _, case in ipairs { { 5, "5" }, { 80.0, "80" }, { -3, "-3" }, { -0.0, "0" }, { 0.5, "0.5" }, { 1e-9, "1e-09" },
      { 2 ^ 52, "4503599627370496" },
      { 2 ^ 53, "9007199254740992" }, { 1e18, "1000000000000000000" }, { 1e100, "1e+100" } } do
      assert.equal(case[2], takes(rule.text, case[1]))
    end
    for _, bad in ipairs { 0 / 0, math.huge, -math.huge, true, {}, "a\0b" } do refusal(rule.text, bad) end
    assert.equal("x: a string or a finite number expected, got -inf", refusal(rule.text, -math.huge))
  end)

  it("lines has no newline, paths are neither empty nor too long, and absolute ones do not go up", function()
    assert.equal("x: the string has a newline in it", refusal(rule.line, "a\n"))
    assert.equal("x: the path is empty", refusal(rule.path, ""))
    assert.equal("x: the path is longer than 4095 bytes", refusal(rule.path, ("a"):rep(4096)))
    assert.equal(4095, #takes(rule.path, ("a"):rep(4095)))
    assert.equal("../a", takes(rule.path, "../a"))
    for _, good in ipairs { "/", "/a", "/a/..b", "/a../b", "/..." } do
      assert.equal(good, takes(rule.absolute, good))
    end
    for _, bad in ipairs { "a", "./a", "", "/..", "/../a", "/a/..", "/a/../b", "/a\0", "/a\nb", 5 } do
      refusal(rule.absolute, bad)
    end
  end)

  it("words names those that there are, and the nearest", function()
    local check = rule.one_of { "private", "slave", "shared" }
    assert.equal("slave", takes(check, "slave"))
    assert.equal([[x: the string "slvae" is not one of private, slave, shared; did you mean 'slave'?]],
      refusal(check, "slvae"))
    assert.equal([[x: the string "nonsense" is not one of private, slave, shared]], refusal(check, "nonsense"))
    for _, bad in ipairs { 1, true, {}, "", "slave\0", "SLAVE!", "private, slave" } do refusal(check, bad) end
  end)

  it("lists takes items from 1 on, and copies", function()
    local check = rule.list(rule.integer(0, 9))
    local list = { 1, 2 }
    local copy = takes(check, list)
    assert.same(list, copy)
    list[1] = 99
    assert.equal(1, copy[1])
    assert.same({}, takes(check, {}))
    assert.equal("x[2]: an integer from 0 to 9 expected, got 10", refusal(check, { 1, 10 }))
    for _, bad in ipairs { 5, "1", { x = 1 }, { 1, x = 1 }, { [0] = 1 }, { [1.5] = 1 }, { [-1] = 1 }, { 1, nil, 3 },
      { [2] = 1 } } do
      refusal(check, bad)
    end
  end)

  it("tables with names knows them all", function()
    local fields = { source = rule.string, readonly = rule.boolean, size = rule.integer(0, 9) }
    local check = rule.record(fields, { "source" })
    assert.same({ source = "a", readonly = true }, takes(check, { source = "a", readonly = true }))
    assert.equal("x.source: missing", refusal(check, { readonly = true }))
    assert.equal("x.readOnly: unknown key; did you mean 'readonly'?", refusal(check, { source = "a", readOnly = true }))
    assert.equal("x.banana: unknown key; there are readonly, size, source",
      refusal(check, { source = "a", banana = 1 }))
    assert.equal("x.size: an integer from 0 to 9 expected, got the string \"5\"",
      refusal(check, { source = "a", size = "5" }))
    assert.equal("x[1]: unknown key; there are readonly, size, source", refusal(check, { "a", source = "a" }))
    for _, bad in ipairs { 5, "a", true, setmetatable({ source = "a" }, {}),
      setmetatable({}, { __index = { source = "a" } }) } do
      refusal(check, bad)
    end
  end)

  it("tables with names may have items too, of which none is missing", function()
    local check = rule.record({ name = rule.string }, nil, rule.string)
    assert.same({ "a", "b", name = "c" }, takes(check, { "a", "b", name = "c" }))
    assert.equal("x[2]: missing", refusal(check, { "a", nil, "c" }))
    assert.equal("x[1]: missing", refusal(check, { [2] = "b" }))
    assert.equal("x[2]: a string expected, got 5", refusal(check, { "a", 5 }))
    for _, bad in ipairs { { [0] = "a" }, { [1.5] = "a" }, { [-1] = "a" }, { [math.maxinteger or 2 ^ 53] = "a" },
      { [true] = "a" } } do
      refusal(check, bad)
    end
  end)

  it("several kinds says what there may be, or what is wrong inside the one that was meant", function()
    local check = rule.any("a number or a table", rule.integer(0, 9), rule.record { limit = rule.integer(0, 9) })
    assert.equal(5, takes(check, 5))
    assert.same({ limit = 5 }, takes(check, { limit = 5 }))
    assert.equal("x: a number or a table expected, got the string \"5\"", refusal(check, "5"))
    assert.equal("x.limit: an integer from 0 to 9 expected, got 10", refusal(check, { limit = 10 }))
  end)

  it("maps checks keys and values", function()
    local check = rule.map(rule.integer(3, 9), rule.string)
    assert.same({ [5] = "a" }, takes(check, { [5] = "a" }))
    refusal(check, { [2] = "a" })
    assert.equal("x[5]: a string expected, got true", refusal(check, { [5] = true }))
    refusal(check, "a")
  end)

  it("nested values gives the whole path", function()
    local check = rule.record { mounts = rule.list(rule.record { source = rule.path }) }
    assert.equal("mounts[2].source: the path is empty",
      refusal(check, { mounts = { { source = "/" }, { source = "" } } }, ""))
    assert.equal([=[box.mounts[1]["a b"]: unknown key; there are source]=],
      refusal(check, { mounts = { { ["a b"] = 1 } } }, "box"))
  end)

  it("any value ends, also where the value is a cycle", function()
    local cycle = {}
    cycle.next, cycle[1] = cycle, cycle
    refusal(rule.record { next = rule.record {} }, cycle)
    refusal(rule.list(rule.list(rule.string)), { cycle })
    refusal(rule.any("nothing", rule.list(rule.string), rule.map(rule.string, rule.string)), cycle)
  end)
end)

describe("the nearest name", function()
  local NAMES = { "namespaces", "hostname", "ids", "user", "root", "mounts" }

  it("is found where letters are swapped, missing, too many or of the other case", function()
    for wrong, right in pairs { namespace = "namespaces", hostnmae = "hostname", Hostname = "hostname", id = "ids",
      users = "user", mount = "mounts" } do
      assert.equal(right, validate.nearest(wrong, NAMES))
    end
  end)

  it("is found where somebody writes it as the kernel's headers do, or in full", function()
    local names = { "nofile", "term", "net", "mount", "cap" }
    for wrong, right in pairs { RLIMIT_NOFILE = "nofile", SIGTERM = "term", TERM = "term", network = "net",
      mounts_of = "mount" } do
      assert.equal(right, validate.nearest(wrong, names))
    end
  end)

  it("is none where nothing is near", function()
    assert.is_nil(validate.nearest("banana", NAMES))
    assert.is_nil(validate.nearest("", NAMES))
    assert.is_nil(validate.nearest("net", { "network" })) -- a beginning is not the whole
    assert.is_nil(validate.nearest("xyz", { "net" }))
    assert.is_nil(validate.nearest("x", {}))
  end)
end)

describe("a refusal", function()
  it("blames the caller of the public function", function()
    local function public(value) validate.check(rule.boolean, value, "on", 2) end
    local ok, err = pcall(function() public(5) end)
    assert.is_false(ok)
    assert.truthy(err:find("^[^\n]*validate_spec.lua:%d+: on: true or false expected, got 5$"), err)
  end)

  it("is not mistaken for a defect, which is raised as it is", function()
    local defect = {}
    local ok, err = pcall(validate.check, function() error(defect) end, 1, "x")
    assert.is_false(ok)
    assert.equal(defect, err)
  end)
end)
