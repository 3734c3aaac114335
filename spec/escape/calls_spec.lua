-- System calls that a program in a container never needs: answered by the filter, before the kernel looks at them. That
-- each answer is the filter's, and not the kernel's, is in spec/seccomp/filter_spec.lua.

local calls = require "cella.seccomp.calls"
local core = require "cella.core"
local escape = require "spec.support.escape"
local named = require "cella.seccomp.named"
local refused_with = require "spec.support.refused"

local unpack = table.unpack or unpack -- luacheck: ignore 143

teardown(escape.remove)

local function number(name) return calls.of(name).numbers[core.machine] end

-- What who makes containers inside may call.
local NESTED = {}
for _, name in ipairs { "mount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount", "fspick",
  "open_tree", "move_mount", "mount_setattr", "open_tree_attr", "setns", "unshare", "clone", "clone3" } do
  NESTED[name] = true
end

local function refusals(nests)
  local attempts = {}
  for _, group in ipairs(named.groups()) do
    for key, value in pairs(group.calls) do
      local name = type(key) == "number" and value or key
      if number(name) and not (nests and NESTED[name]) then
        local words = { ("call=%d"):format(number(name)), unpack(refused_with(name, group.errno)) }
        attempts[table.concat(words, ",")] = "no " .. group.errno
      end
    end
  end
  return attempts
end

describe("system calls #slow", function()
  for _, container in ipairs(escape.each_container()) do
    it("of the list are refused before the kernel in " .. container.name, function()
      local said = escape.refuse(container, refusals(container.nests))
      local count = 0
      for _ in pairs(said) do count = count + 1 end
      assert.is_true(count > 40)
    end)
  end

  it("of the list are not where somebody says so", function()
    local userfaultfd = ("call=%d,0x80000000"):format(number "userfaultfd")
    local netlink = ("call=%d,16,3,12"):format(number "socket")
    local attempts = { userfaultfd, netlink, ("call=%d"):format(number "getpid") }
    local said = escape.inside({ seccomp = false }, attempts)
    assert.not_equal("no ENOSYS", said[userfaultfd]) -- the kernel's is another
    assert.not_equal("no EAFNOSUPPORT", said[netlink])
    said = escape.inside({}, attempts)
    assert.same({ "no ENOSYS", "no EAFNOSUPPORT", "yes" }, { said[attempts[1]], said[attempts[2]], said[attempts[3]] })
  end)

  it("cannot be had back: no user namespace is made, filter or not", function()
    local ways = { "user_namespace=unshare", "user_namespace=clone", "user_namespace=clone3" }
    for _, try in ipairs { escape.inside, escape.entered } do
      local said = try({}, ways)
      assert.same({ "no EPERM", "no EPERM", "no ENOSYS" }, { said[ways[1]], said[ways[2]], said[ways[3]] })
      said = try({ seccomp = false }, ways)
      assert.same({ "no ENOSPC", "no ENOSPC", "no ENOSPC" }, { said[ways[1]], said[ways[2]], said[ways[3]] })
      said = try({ nesting = true }, ways) -- the control
      assert.same({ "yes", "yes", "yes" }, { said[ways[1]], said[ways[2]], said[ways[3]] })
    end
  end)
end)
