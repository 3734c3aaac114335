-- What is read back of capabilities is this process's, whatever somebody has mounted over what /proc says of it.

local able = require "spec.support.able"
local outside = require "spec.support.outside"

local needs = able.needs(function(reason) pending(reason) end)

-- In a mount namespace of its own: `lie(path)` mounts over a file of /proc one that says of every capability that there
-- is none, and returns what can then be read there; `verdict(mask)` what expect_capabilities says of a bounding set.
local LIES = [[
  local function lie(path)
    local text = assert(io.open "/proc/thread-self/status"):read "*a"
    assert(sys.mount("none", "/mnt", "tmpfs"))
    local file = assert(io.open("/mnt/status", "w"))
    file:write((text:gsub("(Cap%a+:\t)%x+", "%1" .. ("0"):rep(16))))
    file:close()
    assert(sys.mount("/mnt/status", path, nil, { "bind" }))
    return assert(io.open(path)):read("*a"):match "CapBnd:\t(%x+)"
  end
  local all = sys.capabilities()
  local function verdict(bounding)
    return (select(3, sys.expect_capabilities(all.effective, all.permitted, all.inheritable, bounding, all.ambient)))
      or "as asked"
  end
  local ENOTRECOVERABLE = 131
]]

describe("capabilities are read back", function()
  it("from the kernel, not from a file that covers what it says", needs("user_namespaces", function()
    local said, truth, lied = outside.as_namespace_root(LIES .. [[
      local said = lie("/proc/" .. sys.getpid() .. "/task/" .. sys.getpid() .. "/status")
      return said, verdict(all.bounding), verdict "none" == ENOTRECOVERABLE
    ]], { prefix = "unshare --mount" })
    assert.equal(("0"):rep(16), said) -- the control: who reads it by its path is lied to
    assert.equal("as asked", truth)
    assert.is_true(lied)
  end))

  it("from the kernel, where /proc is something else", needs("user_namespaces", function()
    local truth, lied = outside.as_namespace_root(LIES .. [[
      assert(sys.mount("none", "/proc", "tmpfs"))
      assert(sys.mkdir("/proc/thread-self", 493))
      local file = assert(io.open("/proc/thread-self/status", "w"))
      file:write("Name:\tx\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\n")
      file:close()
      return verdict(all.bounding), verdict "none" == ENOTRECOVERABLE
    ]], { prefix = "unshare --mount" })
    assert.equal("as asked", truth)
    assert.is_true(lied)
  end))

  it("in one text, not one by one", needs("user_namespaces", "strace", function()
    local output = outside.as_namespace_root(
      [[ local all = sys.capabilities()
         assert(sys.expect_capabilities(all.effective, all.permitted, all.inheritable, all.bounding, all.ambient)) ]],
      { prefix = "strace -e trace=openat2", output = true })
    assert.truthy(output:find('openat2(3, "thread-self/status"', 1, true), output)
  end))
end)
