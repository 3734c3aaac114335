-- bin/cella enter, as a shell sees it; and examples/enter.lua.

local cella = require "cella"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

describe("cella enter", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local process
  trial.around(before_each, after_each, function()
    process = trial.hold(cella.container { hostname = "moon", capabilities = { "chown", "kill" },
      mounts = { { type = "proc", destination = "/proc" } } }:spawn { "sleep", "1000", stdin = "null" })
  end)

  local function enter(...)
    local words = { "enter", ... }
    for i, word in ipairs(words) do words[i] = word == "PID" and tostring(process.pid) or word end
    return trial.cella(words)
  end

  local function said(...)
    local result = enter(...)
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    return (result.stdout:gsub("\n$", ""))
  end

  it("starts a program in there", function()
    assert.equal("moon", said("PID", "--", "hostname"))
    assert.equal("a  b --c", said("PID", "--", "sh", "-c", 'echo "$1"', "-", "a  b --c"))
  end)

  it("starts a shell where no program is named", function()
    local result = trial.host(trial.cli { "enter", tostring(process.pid), stdin = { path = "/dev/null" } })
    assert.equal("0 ", ("%d %s"):format(result.status, result.stdout .. result.stderr))
    local text = trial.sh(("echo hostname | %s"):format(trial.cli_text { "enter", tostring(process.pid) }))
    assert.equal("moon\n", text)
  end)

  it("has the status of the program, as `cella run`", function()
    assert.equal(7, enter("PID", "--", "sh", "-c", "exit 7").status)
    assert.equal(128 + 9, enter("PID", "--", "sh", "-c", "kill -9 $$").status)
    assert.equal(127, enter("PID", "--", "nonesuch").status)
    assert.equal(126, enter("PID", "--", "/proc").status)
    assert.equal(125, enter("--cwd", "/nonesuch", "PID", "--", "true").status)
  end)

  local function status(field, ...)
    local words = { ... }
    for _, word in ipairs { "PID", "--", "sed", "-n", ("s/^%s:[\t ]*//p"):format(field), "/proc/self/status" } do
      words[#words + 1] = word
    end
    return said(unpack(words))
  end

  it("takes what is to be different", function()
    assert.equal("0000000000000021", status "CapEff")
    assert.equal("0000000000000020", status("CapEff", "--capabilities", "kill"))
    assert.equal("0000000000000000", status("CapEff", "-c", "none"))
    assert.equal("0000000000000002", status("CapEff", "-c", "dac_override", "--exceed", "capabilities"))
    assert.equal("/usr", said("-d", "/usr", "PID", "--", "pwd"))
    assert.equal("a=b c", said("-e", "A=a=b", "-e", "C=c", "PID", "--", "sh", "-c", "echo $A $C"))
    assert.equal("0", said("-u", "0:0", "PID", "--", "id", "-u"))
    -- Of the host's root, which it would be without the user namespace, nobody becomes a user by the way.
    local result = enter("-n", "mount", "-u", "0", "PID", "--", "id", "-u")
    assert.equal(125, result.status)
    if trial.lacks_root() then return end
    assert.truthy((result.stderr or result.output):find("this would be a user of the host", 1, true))
    assert.equal("3 4", said("-n", "net", "-u", "host:3:4", "PID", "--", "sh", "-c", "echo $(id -u) $(id -g)"))
  end)

  it("enters some namespaces only", function()
    local own = trial.sh "readlink /proc/self/ns/net /proc/self/ns/uts"
    local theirs = trial.sh(("readlink /proc/%d/ns/net /proc/%d/ns/uts"):format(process.pid, process.pid))
    local found = said("--namespaces", "user,net", "PID", "--", "readlink", "/proc/self/ns/net", "/proc/self/ns/uts")
    assert.equal(theirs:match "^net[^\n]*", found:match "^net[^\n]*")
    assert.equal(own:match "uts[^\n]*", found:match "uts[^\n]*")
    assert.not_equal(own:match "^net[^\n]*", theirs:match "^net[^\n]*")
  end)

  it("prints its steps", function()
    local text = said("--plan", "PID")
    assert.truthy(text:find('setns(slot0, {"user", "mount", "pid", "ipc", "uts", "net", "cgroup"})', 1, true), text)
    assert.truthy(text:find('execve({"/bin/sh"}, {"/bin/sh"}', 1, true), text)
  end)

  it("hands signals on", function()
    local directory = trial.directory()
    local text = trial.sh(([[
      %s -- sh -c 'trap "exit 3" TERM; echo ready; while :; do sleep 0.02; done' >%s/out 2>&1 &
      child=$!
      until grep -qs ready %s/out; do sleep 0.02; done
      kill -TERM $child
      wait $child
      echo $?]]):format(trial.cli_text { "enter", tostring(process.pid) }, directory, directory))
    trial.remove_directory(directory)
    assert.equal("3\n", text)
  end)

  it("refuses, with the status 125 and no more than a message", function()
    for _, case in ipairs {
      { "pid", "enter" },
      { '"x" is not a process ID', "enter", "x" },
      { '"0" is not a process ID', "enter", "0" },
      { "has ended, or never was", "enter", "2147483647" },
      { "there is no command behind `--`", "enter", "PID", "--" },
      { "did you mean 'net'", "enter", "-n", "nett", "PID" },
      { "is not [host:]UID[:GID[:GROUP,...]]", "enter", "-u", "root", "PID" },
      { "is not [host:]UID[:GID[:GROUP,...]]", "enter", "-u", "0:", "PID" },
      { "is not [host:]UID[:GID[:GROUP,...]]", "enter", "-u", "0x1", "PID" },
      { "is not [host:]UID[:GID[:GROUP,...]]", "enter", "-u", "host:", "PID" },
      { "is not an ID", "enter", "-u", "4294967295", "PID" },
      { "user.uid: 4000000000 is not in the map", "enter", "-u", "4000000000", "PID" },
      { "does not have it", "enter", "-c", "sys_admin", "PID", "--", "true" },
      { "unknown capability", "enter", "-c", "chwon", "PID" },
      { "is not NAME=VALUE", "enter", "-e", "A", "PID" },
      { "absolute path expected", "enter", "-d", "usr", "PID" },
      { "exceed[1]", "enter", "--exceed", "all", "PID" },
      { "--privileged", "enter", "--privileged", "PID" },
    } do
      local words = {}
      for i = 2, #case do words[i - 1] = case[i] == "PID" and tostring(process.pid) or case[i] end
      local result = trial.cella(words)
      assert.equal(125, result.status, table.concat(words, " "))
      assert.equal("", result.stdout)
      assert.truthy(result.stderr:find(case[1], 1, true), result.stderr)
      assert.is_nil(result.stderr:find("traceback", 1, true), result.stderr)
    end
  end)

  it("is a program in examples/enter.lua", function()
    local result = trial.host { "/bin/sh", "-c", trial.interpreter() .. " examples/enter.lua" }
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    assert.truthy(result.stdout:find "^I am 0 on moon, process %d+, and may open 64 files\n", result.stdout)
    assert.truthy(result.stdout:find("CapEff:\t0000000000000400\nNoNewPrivs:\t1\n", 1, true), result.stdout)
    assert.truthy(result.stdout:find("with me: [^\n]*cella%-init [^\n]*sleep "), result.stdout)
    assert.truthy(result.stdout:find("capabilities: sys_admin: process %d+ does not have it"), result.stdout)
    assert.truthy(result.stdout:find "the guest was ended by kill\n$", result.stdout)
  end)
end)
