-- What execve(2) leaves: what weakens or leaks is reset, what confines stays and cannot be loosened.

local escape = require "spec.support.escape"
local outside = require "spec.support.outside"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

teardown(escape.remove)

-- Attempts in a container that somebody starts who was started with `prefix`. `how` is a method of escape.
local function below(prefix, how, attempts, description)
  return outside.lua([[
    local escape = require "spec.support.escape"
    escape.use_program(...)
    local attempts = { select(4, ...) }
    local how, description = select(2, ...)
    local said = how == "outside" and escape.outside(attempts)
      or escape[how](portable.load("return " .. description)(), attempts)
    local result = {}
    for i, attempt in ipairs(attempts) do result[i] = said[attempt] end
    return result
  ]], { prefix = prefix, arguments = { escape.program(), how, description or "{}", unpack(attempts) } })
end

local WAYS = { { "in a default container", "inside" }, { "after enter", "entered" } }

describe("what exec leaves #slow", function()
  local function resets(prefix, attempt, left, reset)
    assert.same({ left }, below(prefix, "outside", { attempt }))
    for _, way in ipairs(WAYS) do
      assert.same({ reset }, below(prefix, way[2], { attempt }), way[1])
    end
  end

  it("of the execution domain is reset", function()
    if not trial.sh("setarch -R true"):find "^$" then return pending "needs setarch(1)" end
    resets("setarch -R", "personality", "00040000", "00000000")
  end)

  it("of the umask is reset", function()
    assert.same({ "0000" }, below("sh -c 'umask 0; exec \"$@\"' sh", "outside", { "umask" }))
    assert.same({ "0022" }, below("sh -c 'umask 0; exec \"$@\"' sh", "inside", { "umask" }))
  end)

  it("of ignored signals is reset", function()
    local prefix = "sh -c 'trap \"\" USR1 PIPE; exec \"$@\"' sh"
    for _, way in ipairs(WAYS) do
      assert.same({ "", "" }, below(prefix, way[2], { "ignored", "blocked" }), way[1])
    end
  end)

  it("of the environment is what is named", function()
    assert.truthy(below("env SECRET=x", "outside", { "environment" })[1]:find "SECRET")
    for _, way in ipairs(WAYS) do
      for name in below("env SECRET=x LD_PRELOAD= HOME=/root", way[2], { "environment" })[1]:gmatch "[^\n]+" do
        assert.truthy(name == "PATH" or name == "TERM" or name == "HOME", name)
      end
    end
  end)

  it("of descriptors is what was handed in", function()
    local prefix = "sh -c 'exec 7</etc/passwd 8>>/dev/null; exec \"$@\"' sh"
    for _, way in ipairs(WAYS) do
      for line in below(prefix, way[2], { "descriptors" })[1]:gmatch "[^\n]+" do
        assert.truthy(line:find "^[012] ", line)
      end
    end
  end)

  it("of limits, nice and OOM score stays, and cannot be loosened", function()
    local prefix = "sh -c 'ulimit -n 950; echo 300 > /proc/self/oom_score_adj; exec nice -n 5 \"$@\"' sh"
    for _, how in ipairs { "inside", "entered" } do
      local said = below(prefix, how, { "nice", "nofile", "content=/proc/self/oom_score_adj", "lower_nice",
        "real_time", "raise_nofile", "lower_oom=-1" })
      assert.same({ "5", "950", "300", "no EACCES", "no EPERM", "no EPERM", "no EACCES" }, said)
    end
  end)

  it("of the CPU set stays", function()
    if tonumber(trial.sh "nproc") < 2 then return pending "needs two processors" end
    for _, how in ipairs { "outside", "inside", "entered" } do
      assert.same({ "1" }, below("taskset -c 0", how, { "cpus" }), how)
    end
  end)
end)
