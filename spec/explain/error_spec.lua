-- cella.error: errors that a program can look into, and a person can read.

local cella = require "cella"
local Error = require "cella.error"

describe("an error", function()
  it("has the name and the text of its errno", function()
    local err = Error.new { op = "mount", errno = 1 }
    assert.equal("EPERM", err.code)
    assert.equal("Operation not permitted", err.message)
    assert.equal("mount: Operation not permitted (EPERM)", tostring(err))
  end)

  it("keeps what was said in place of it", function()
    local err = Error.new { op = "newuidmap", errno = 1, message = "uid range not allowed", code = "EACCES" }
    assert.equal("newuidmap: uid range not allowed (EACCES)", tostring(err))
  end)

  it("says its step, its side, the path and why, once each", function()
    local err = Error.new { op = "open_tree", errno = 2, step = 7, side = "child", text = 'open_tree("/a")',
      path = "/a/b", why = "there is nothing there" }
    assert.equal('step 7 (child), open_tree("/a"): No such file or directory (ENOENT)\n  /a/b\n'
      .. "  there is nothing there", tostring(err))
    err = Error.new { op = "open_tree", errno = 2, step = 7, side = "child", text = 'open_tree("/a")', path = "/a" }
    assert.equal('step 7 (child), open_tree("/a"): No such file or directory (ENOENT)', tostring(err))
  end)

  it("is text that a terminal shows, whatever the names in it are", function()
    local err = Error.new { op = "open", errno = 2, path = "/a\27]0;x\7\nopen: fine", why = "not\155 there" }
    assert.equal("open: No such file or directory (ENOENT)\n  /a\\x1b]0;x\\x07\\x0aopen: fine\n  not\\x9b there",
      tostring(err))
    assert.equal("/a\27]0;x\7\nopen: fine", err.path)
    local box = cella.container { root = "/no/\27[31m\155/such" }
    local started, why = box:run { "true" }
    assert.is_nil(started)
    assert.truthy(tostring(why):find("\\x9b", 1, true), tostring(why))
    assert.is_nil(tostring(why):find "[\27\155]")
    local plan = tostring(cella.plan():chdir("/\27[31m\155\194\155"):exec { "/bin/true" })
    assert.truthy(plan:find "chdir")
    assert.is_nil(plan:find "[\27\155]")
  end)

  it("always has a message", function()
    assert.equal("x: failed", tostring(Error.new { op = "x" }))
    assert.equal("x: failed", tostring(Error.new { op = "x", errno = 0 }))
    assert.equal("string", type(tostring(Error.new { op = "x", errno = 4000 })))
  end)

  it("is told from other values", function()
    assert.is_true(Error.is(Error.new { op = "x" }))
    for _, other in ipairs { {}, "x", 5, true, setmetatable({}, {}), print } do assert.is_false(Error.is(other)) end
    assert.is_false(Error.is(nil))
  end)

  it("of a plan is one, with all that a program would ask", function()
    local process, err = cella.plan():umask(18):chdir("/nonexistent/cella"):exec({ "true" }):spawn()
    assert.is_nil(process)
    assert.is_true(Error.is(err))
    assert.same({ "chdir", 3, "child", "/nonexistent/cella", 2, "ENOENT", "No such file or directory" },
      { err.op, err.step, err.side, err.path, err.errno, err.code, err.message })
    assert.equal("string", type(err.why))
  end)

  it("never says that something is not permitted without saying why", function()
    -- What can be refused to anybody: each has a reason beside its errno.
    for _, plan in ipairs {
      cella.plan():exec { "/nonexistent/cella" },
      cella.plan():exec { "/" },
      cella.plan { join = { { type = "net", pid = 2147483647 } } }:exec { "true" },
      cella.plan():setrlimit("nofile", 4294967295, 4294967295):exec { "true" },
    } do
      local process, err = plan:spawn()
      assert.is_nil(process)
      assert.equal("string", type(err.why), tostring(err))
      assert.truthy(tostring(err):find(err.why, 1, true))
    end
  end)
end)

describe("an error object that cannot be made text", function()
  local trial = require "spec.support.trial"
  local function silent(text) return setmetatable({}, { __tostring = text }) end
  local MUTE = { silent(function() error "no" end), silent(function() return {} end), silent(function() end) }

  it("is an error all the same, in hooks and in functions that get output, and nothing stays", function()
    local before = trial.snapshot()
    for _, bad in ipairs(MUTE) do
      local function raise() error(bad) end
      local result, err = cella.plan():await(raise):exec({ "true" }):run()
      assert.is_nil(result)
      assert.matches("error object is a table value", tostring(err), 1, true)
      assert.equal(bad, err.cause)
      result, err = cella.plan():await(function() return nil, bad end):exec({ "true" }):run()
      assert.is_nil(result)
      assert.equal(bad, err.cause)
      local ok, raised = pcall(function()
        return cella.plan():exec({ "echo", "x", stdout = raise }):run()
      end)
      assert.is_false(ok)
      assert.equal(bad, raised)
      result, err = cella.plan():exec({ "true" }):run { exited = raise }
      assert.is_nil(result)
      assert.equal(0, err.result.code)
      result = assert(cella.plan():call(raise):run())
      assert.matches("error object is a table value", result.error.message, 1, true)
    end
    trial.nothing_left(before)
  end)
end)
