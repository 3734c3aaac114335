-- The kernel's keys: a program reaches none, by no entry of the kernel, unless the key `keyrings` says so.

local cella = require "cella"
local able = require "spec.support.able"
local policy = require "cella.policy"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

describe("the kernel's keys", function()
  local directory, keys, problem

  setup(function()
    directory = trial.directory()
    keys = directory .. "/keys"
    problem = trial.sh(("cc -O1 -Wall -Werror -static -o %s spec/support/keys.c"):format(keys))
    if problem == "" then
      problem = trial.sh(keys .. " session"):find "^%d" and "" or "needs a kernel with keys (CONFIG_KEYS)"
    end
  end)

  teardown(function() trial.remove_directory(directory) end)

  -- The caller's own IDs inside and out: the program is of the user whose keys these are.
  local function box(description)
    description = description or {}
    local copy = { root = "/", ids = policy.root(), namespaces = { net = "host" },
      mounts = { { type = "bind", source = directory, destination = directory, readonly = true } } }
    for key, value in pairs(description) do copy[key] = value end
    return copy
  end

  local function inside(description, ...)
    local result, err = cella.container(box(description)):run { keys, stdout = "capture", ... }
    if not result then error(tostring(err), 2) end
    return (result.stdout:gsub("\n$", ""))
  end

  -- A session keyring of this spec's own with a key in it, and what is done with it: words of keys.c with SERIAL.
  local function with_key(ring, lua)
    local outside = require "spec.support.outside"
    return outside.lua([[
      local keys, ring, directory, lua = ...
      assert(sys.join_session_keyring())
      local function own(words) return (assert(io.popen(keys .. " " .. words)):read "*a":gsub("\n$", "")) end
      local serial = own("add " .. ring .. " cella-spec-" .. sys.getpid() .. " secret")
      local name = "cella-spec-" .. sys.getpid()
      assert(serial:find "^%d+$", serial)
      local function inside(keyrings, ...)
        local result = assert(cella.container { root = "/", ids = require("cella.policy").root(), keyrings = keyrings,
          namespaces = { net = "host" },
          mounts = { { type = "bind", source = directory, destination = directory, readonly = true } },
        }:run { keys, stdout = "capture", ... })
        return (result.stdout:gsub("\n$", ""))
      end
      return portable.load(lua, "=keys", setmetatable({ own = own, serial = serial, name = name, inside = inside },
        { __index = _G }))()
    ]], { arguments = { keys, ring, directory, lua } })
  end

  it("are out of reach by every entry of the kernel", needs("user_namespaces", function()
    if problem ~= "" then return pending(problem) end
    local count = 0
    for entry, name, answer in inside({}, "calls"):gmatch "(%S+) (%S+) (%S+)" do
      if name == "getppid" then
        assert.equal("fine", answer, entry)
      elseif name ~= "none" then
        count = count + 1
        assert.equal("ENOSYS", answer, entry .. " " .. name)
      end
    end
    assert.is_true(count >= 3)
    -- The control: the same calls answer something else without the filter.
    count = 0
    for entry, name, answer in inside({ keyrings = "host" }, "calls"):gmatch "(%S+) (%S+) (%S+)" do
      if entry == "native" or entry == "i386" and name ~= "none" then
        count = count + 1
        assert.not_equal("ENOSYS", answer, entry .. " " .. name)
      end
    end
    assert.is_true(count >= 3)
  end))

  it("are out of reach also without no_new_privs, without an init, and of a function", needs("user_namespaces",
    function()
      if problem ~= "" then return pending(problem) end
      assert.equal("ENOSYS", inside({ no_new_privs = false }, "session"))
      assert.equal("ENOSYS", inside({ init = false }, "session"))
      assert.equal("ENOSYS", inside({ namespaces = { net = "host", pid = "host" } }, "session"))
      local function ask(program)
        local pipe = assert(io.popen(program .. " session"))
        local said = pipe:read "*l"
        pipe:close()
        return said
      end
      local result = assert(cella.container(box()):run(ask, keys))
      assert.equal("ENOSYS", result.values and result.values[1], tostring(result.error))
      result = assert(cella.container(box { keyrings = "host" }):run(ask, keys))
      assert.truthy(result.values[1]:find "^%d+$")
    end))

  it("of the caller's session are read neither by name nor by serial, but with keyrings = \"host\"",
    needs("user_namespaces", function()
      if problem ~= "" then return pending(problem) end
      local host_find, host_read, none_find, none_read, none_clear, own_find, still = with_key("session", [[
        local session = own "session"
        local host_find, host_read = inside("host", "find", name) == serial, inside("host", "read", serial)
        local none_find, none_read = inside("none", "find", name), inside("none", "read", serial)
        local none_clear = inside("none", "clear", session)
        local own_find = inside("own", "find", name)
        return host_find, host_read, none_find, none_read, none_clear, own_find, own("read " .. serial)
      ]])
      assert.same({ true, "secret", "ENOSYS", "ENOSYS", "ENOSYS", "ENOKEY", "secret" },
        { host_find, host_read, none_find, none_read, none_clear, own_find, still })
    end))

  it("of the user stay in reach by serial with keyrings = \"own\", whose session keyring is another",
    needs("user_namespaces", function()
      if problem ~= "" then return pending(problem) end
      local session, own_session, own_read, none_read = with_key("user", [[
        local ring = own "user"
        return own "session", inside("own", "session"), inside("own", "read", serial, ring),
          inside("none", "read", serial, ring)
      ]])
      assert.truthy(own_session:find "^%d+$", own_session)
      assert.not_equal(session, own_session)
      -- As the manual says: this is what a keyring of one's own does not hold.
      assert.equal("secret", own_read)
      assert.equal("ENOSYS", none_read)
    end))

  it("say why where a user has too many", needs("user_namespaces", function()
    if problem ~= "" then return pending(problem) end
    local explain = require "cella.explain"
    local why = explain.why({ op = "join_session_keyring", code = "EDQUOT" }, {})
    assert.truthy(why:find("maxkeys %d+", 1), why)
  end))

  it("are kept from a program without no_new_privs by who may, and else the error says what to do", function()
    if not able.lacks "root" then return pending "needs an ordinary user" end
    local result, err = cella.plan():deny_keys():exec({ "true" }):run()
    assert.is_nil(result)
    assert.equal("deny_keys EACCES", ("%s %s"):format(err.op, err.code))
    assert(cella.plan():no_new_privs():deny_keys():expect_no_keys():exec({ "true" }):run())
    assert.truthy(err.why:find('keyrings = "host"', 1, true), err.why)
  end)

  it("are another word's refusal", function()
    local message = trial.raised(cella.container, { keyrings = "mine" })
    assert.truthy(message:find("keyrings", 1, true), message)
  end)

  describe("and who enters:", function()
    local process
    local function sleeper(description)
      process = assert(cella.container(box(description)):spawn { "/bin/sleep", "1000" })
      return process
    end
    after_each(function()
      if process then process:close() end
      process = nil
    end)

    local function ask(entrance)
      local result, err = entrance:run { keys, "session", stdout = "capture" }
      entrance:close()
      if not result then error(tostring(err), 2) end
      return (result.stdout:gsub("\n$", ""))
    end

    it("reaches none either, by a handle and by a number", needs("user_namespaces", function()
      if problem ~= "" then return pending(problem) end
      sleeper {}
      assert.equal("ENOSYS", ask(assert(process:enter())))
      assert.equal("ENOSYS", ask(assert(cella.enter { pid = process.pid })))
      local guest = assert(assert(process:enter()):spawn { "/bin/sleep", "1000" })
      assert.equal("ENOSYS", ask(assert(guest:enter())))
      guest:close()
    end))

    it("reaches them where that is asked for and the process does", needs("user_namespaces", function()
      if problem ~= "" then return pending(problem) end
      sleeper { keyrings = "host" }
      assert.equal("ENOSYS", ask(assert(process:enter())))
      assert.truthy(ask(assert(process:enter { keyrings = "host" })):find "^%d+$")
    end))

    it("has no more than the process, unless that is said", needs("user_namespaces", function()
      if problem ~= "" then return pending(problem) end
      sleeper {}
      local result, err = assert(process:enter { keyrings = "host" }):run { "/bin/true" }
      assert.is_nil(result)
      assert.truthy(err.message:find("keyrings", 1, true), err.message)
      assert.truthy(ask(assert(process:enter { keyrings = "host", exceed = { "seccomp" } })):find "^%d+$")
    end))

    it("is refused where the program has given itself a filter, by a handle and by a number", needs("user_namespaces",
      function()
        if problem ~= "" then return pending(problem) end
        process = assert(cella.container(box()):spawn { keys, "filter" })
        trial.wait_for(function() return trial.status(process.pid, "Seccomp_filters") == "3" end, "its filter")
        for _, entrance in ipairs { assert(process:enter()), assert(cella.enter { pid = process.pid }) } do
          local result, err = entrance:run { "/bin/true" }
          assert.is_nil(result)
          assert.truthy(err.message:find("3 seccomp filters", 1, true), err.message)
          entrance:close()
        end
      end))
  end)
end)
