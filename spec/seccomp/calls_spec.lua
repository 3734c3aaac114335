-- The table of system calls, beside the headers that this machine has: a number that both have is the same.

local calls = require "cella.seccomp.calls"
local trial = require "spec.support.trial"

describe("the table of system calls", function()
  local HEADERS = { x86_64 = { "cc", "-m64" }, aarch64 = { "aarch64-linux-gnu-gcc", "" } }

  for machine, compiler in pairs(HEADERS) do
    it("has the numbers of the kernel's headers: " .. machine, function()
      local own = trial.sh "uname -m":gsub("\n", "")
      local cc = machine == own and "cc" or compiler[1]
      if trial.sh("command -v " .. cc) == "" or machine == "x86_64" and own ~= machine then
        return pending("needs a compiler for " .. machine)
      end
      local text = trial.sh("echo '#include <asm/unistd.h>' | " .. cc .. " -E -dM -")
      local count = 0
      for name, number in text:gmatch "#define __NR_([a-z0-9_]+) (%d+)\n" do
        if name ~= "syscalls" and name ~= "arch_specific_syscall" then
          local call = calls.of(name)
          assert.truthy(call or tonumber(number) > calls.NEWEST, name)
          if call then assert.equal(tonumber(number), call.numbers[machine], name) end
          count = count + 1
        end
      end
      assert.is_true(count > 250, text:sub(1, 200))
    end)
  end

  it("has one name for a number, and numbers up to the newest", function()
    local count = 0
    for _, machine in ipairs(calls.MACHINES) do
      local taken = {}
      for _, name in ipairs(calls.names()) do
        local number = calls.of(name).numbers[machine]
        if number then
          assert.is_nil(taken[number], name)
          assert.is_true(number <= calls.NEWEST, name)
          taken[number], count = name, count + 1
        end
      end
      assert.is_string(taken[calls.NEWEST])
    end
    assert.is_true(count > 950)
  end)

  it("knows how much of an argument the kernel reads", function()
    assert.equal(32, (calls.width(calls.of "socket", 0)))
    assert.equal(64, (calls.width(calls.of "unshare", 0)))
    assert.equal(16, (calls.width(calls.of "fchmod", 1)))
    -- Where it takes a long, and goes on with an int of it.
    for name, index in pairs { clone = 0, mbind = 2, mmap = 4, preadv = 0, preadv2 = 0, pwritev = 0, pwritev2 = 0,
      readv = 0, writev = 0 } do
      assert.equal(32, (calls.width(calls.of(name), index)), name)
    end
    assert.equal(64, (calls.width(calls.of "mmap", 5)))
    assert.is_nil((calls.width(calls.of "socket", 3)))
    assert.same({ 64, true }, { calls.width(calls.of "openat", 1) })
  end)
end)
