-- A death in the execve step is no end of a program: none ran.

local cella = require "cella"
local outside = require "spec.support.outside"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

local MACHINE = outside.sh "uname -m":match "%S+"
local EXECVE = ({ x86_64 = 59, aarch64 = 221 })[MACHINE]

-- A filter (seccomp(2)) that ends who calls execve with SIGSYS, and allows the rest.
local instruction = portable.instruction
local function kills(number)
  return instruction(0x20, 0, 0, 0) .. instruction(0x15, 1, 0, number) .. instruction(0x06, 0, 0, 0x7fff0000)
    .. instruction(0x06, 0, 0, 0x80000000)
end

describe("a death in execve", function()
  it("is an error of the set-up, which names the step", function()
    for _ = 1, 20 do
      local result, err = cella.plan():no_new_privs():seccomp(kills(EXECVE)):exec({ "/bin/true" }):run()
      assert.is_nil(result)
      assert.equal("execve child /bin/true", ("%s %s %s"):format(err.op, err.side, err.path))
      assert.equal("the child was killed in this step", err.message)
    end
  end)

  it("is so behind an init, too: as in any container", function()
    if trial.lacks_user_namespaces() then pending(trial.lacks_user_namespaces()) end
    local function start(number, command)
      local plan = cella.plan { namespaces = { "user", "pid" } }
      command.stdout = "capture"
      return plan:no_new_privs():init():seccomp(kills(number)):exec(command):run()
    end
    for _ = 1, 20 do
      local result, err = start(EXECVE, { "/bin/true" })
      assert.is_nil(result)
      assert.equal("execve child /bin/true", ("%s %s %s"):format(err.op, err.side, err.path))
      assert.equal("the child was killed in this step", err.message)
      assert.equal("signaled sys", (function(ended) return ended.reason .. " " .. ended.signal end)(
        assert(start(4000, { "/bin/sh", "-c", "kill -SYS $$" }))))
    end
    assert.equal("out\n", assert(start(4000, { "/bin/echo", "out" })).stdout)
  end)

  it("is not the same signal, sent by the program to itself as its first act", function()
    -- The control: the filter stops nobody who does not execute again.
    assert.equal(0, cella.plan():no_new_privs():seccomp(kills(4000)):exec({ "/bin/true" }):run().code)
    for _ = 1, 20 do
      local result = assert(cella.plan():exec({ "/bin/sh", "-c", "kill -SYS $$" }):run())
      assert.equal("signaled sys", result.reason .. " " .. result.signal)
    end
  end)

  it("is so where a monitor waits: behind a fork, or where SIGCHLD is ignored", function()
    for _ = 1, 10 do
      local result, err = cella.plan():fork():no_new_privs():seccomp(kills(EXECVE)):exec({ "/bin/true" }):run()
      assert.is_nil(result)
      assert.equal("execve child", ("%s %s"):format(err.op, err.side))
      -- The control.
      result = assert(cella.plan():fork():exec({ "/bin/sh", "-c", "kill -SYS $$" }):run())
      assert.equal("signaled sys", result.reason .. " " .. result.signal)
    end
    local ignoring = { prefix = "env --ignore-signal=CHLD" }
    local source = [[
      local filter, script = ...
      local result, err = cella.plan():no_new_privs():seccomp(filter):exec({ "/bin/sh", "-c", script }):run()
      return err and err.op, result and result.signal
    ]]
    local function escaped(bytes)
      return (bytes:gsub(".", function(byte) return ("\\x%02x"):format(byte:byte()) end))
    end
    ignoring.arguments = { escaped(kills(EXECVE)), "true" }
    source = source:gsub("seccomp%(filter%)", [[seccomp((filter:gsub("\\x(%%x%%x)", function(two)
      return string.char(tonumber(two, 16))
    end)))]])
    assert.equal("execve", (outside.lua(source, ignoring)))
    ignoring.arguments = { escaped(kills(4000)), "kill -SYS $$" }
    assert.equal("sys", select(2, outside.lua(source, ignoring)))
  end)

  it("is not the end of a plan without a program", function()
    assert.equal(0, assert(cella.plan():umask(18):run()).code)
  end)

  it("is none of a container whose caller ignores SIGCHLD: its init tells how the program ended", function()
    if trial.lacks_user_namespaces() then pending(trial.lacks_user_namespaces()) end
    local said = trial.sh(("env --ignore-signal=CHLD env LUA_PATH=%s LUA_CPATH=%s %s -e %s 2>&1"):format(
      trial.quote(package.path), trial.quote(package.cpath), trial.lua, trial.quote [[
        local result, err = require "cella".container({}):run { "/bin/sh", "-c", "exit 7", timeout = 20 }
        print(result and result.code or err)
      ]]))
    assert.equal("7\n", said)
  end)
end)
