-- cella-oci is killed in the middle of what it does: whatever that was, the container is told of, and can be deleted,
-- after which nothing of it is left.

local bundles = require "spec.support.bundle"
local json = require "cella.oci.json"
local trial = require "spec.support.trial"

-- A command, and before which system call of its process that is: a pattern of strace(1), and the number of that.
local POINTS = {
  { "create", "mkdirat?", 1 }, { "create", "flock", 1 }, { "create", "rename(at2?)?", 1 },
  { "create", "mknodat", 2 }, { "create", "clone3", 1 }, { "create", "recvmsg", 1 },
  { "create", "rename(at2?)?", 3 }, { "create", "sendto", 1 },
  { "start", "write", 1 }, { "start", "unlink(at)?", 1 },
  { "kill", "pidfd_send_signal", 1 },
  { "delete", "pidfd_send_signal", 1 }, { "delete", "rename(at2?)?", 1 }, { "delete", "unlink(at)?", 2 },
  { "delete", "rmdir|unlinkat", 1 },
}

describe("cella-oci that is killed #slow", function()
  local directory
  -- Before its directory goes.
  after_each(function()
    if trial.read(directory .. "/bundle/config.json") then
      bundles.runtime(directory, { "delete", "--force", "one" })
    end
  end)
  trial.around(before_each, after_each, function(own) directory = own end)

  if trial.lacks_user_namespaces() then
    pending("needs user namespaces, which this host refuses")
    return
  elseif trial.sh "command -v strace || true" == "" then
    pending("needs strace")
    return
  end

  local function run(words) return bundles.runtime(directory, words) end
  local function said(words) return bundles.said(directory, words) end

  -- Those whose root is that of the bundle: on its file system that has another path where /tmp is one of its own.
  local function processes()
    return (trial.sh(("grep -l %s/bundle/rootfs /proc/[0-9]*/mountinfo 2>/dev/null || true")
      :format(directory:match "/[^/]*$")))
  end

  -- Runs a command under strace, which kills it. Returns whether it has come to that.
  local function killed(words, call, number)
    local line = ("strace -qq -o /dev/null -e 'inject=/^(%s)$:signal=SIGKILL:when=%s' %s %s/bin/cella-oci --root "
      .. "%s/states %s </dev/null >%s/said 2>&1; echo $?"):format(call, number, trial.lua, trial.top, directory, words,
      directory)
    return trial.sh(line):match "(%d+)%s*$" == "137"
  end

  local function expect_nothing(what)
    local state = run { "state", "one" }
    if state.status == 0 then
      local status = json.decode(state.stdout).status
      assert.truthy(("creating created running stopped"):find(status, 1, true), what)
    else
      assert.matches("container does not exist", state.stderr, 1, true)
    end
    said { "list" }
    said { "delete", "--force", "one" }
    assert.equal("", trial.sh(("ls -A %s/states 2>/dev/null || true"):format(directory)), what)
    trial.wait_for(function() return processes() == "" end, what .. ": the end of its processes")
    -- The name is free.
    said { "create", "--bundle", directory .. "/bundle", "one" }
    assert.are_not.equal("", processes(), "nothing would be found")
    said { "delete", "--force", "one" }
  end

  for _, point in ipairs(POINTS) do
    local command, call, number = point[1], point[2], point[3]
    it(("before call %d of %s, in %s"):format(number, call, command), function()
      local path = bundles.make(directory, { "sleep", "1000" })
      local words = command .. " one"
      if command == "create" then
        words = ("create --bundle %s one"):format(path)
      else
        said { "create", "--bundle", path, "one" }
        if command ~= "start" then said { "start", "one" } end
        if command == "delete" then words = "delete --force one" end
      end
      assert.is_true(killed(words, call, number), "it has come to its end: " .. trial.read(directory .. "/said"))
      expect_nothing(("%s %d in %s"):format(call, number, command))
    end)
  end
end)
