-- Supplementary groups: of who starts a container, and of who enters another's.

local cella = require "cella"
local trial = require "spec.support.trial"

describe("groups #slow", function()
  -- A container of an ordinary user's, and root who enters it with groups of the host's.
  local function with_container_of_user(body)
    if trial.lacks_root() then return pending "needs root, who enters the container of a user" end
    local directory = trial.directory()
    trial.sh(("echo group secret > %s/file && chown 0:4 %s/file && chmod 640 %s/file"):format(directory, directory,
      directory))
    local starter = "exec " .. trial.interpreter() .. " -e " .. trial.quote [[
      local process = assert(require("cella").container({ ids = require("cella.policy").root(), root = "/" })
        :spawn { "sleep", "60", stdin = "null", stdout = "null" })
      print(process.pid)
      io.stdout:flush()
      process:wait()]]
    local lines = {}
    local process = assert(cella.plan():exec({ "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
      "--inh-caps=-all", "sh", "-c", starter, stdin = "null", stderr = "inherit",
      stdout = function(line) lines[#lines + 1] = line end }):spawn())
    trial.wait_for(function() return process:step() or lines[1] end, "the user's container")
    local ok, err = pcall(body, assert(tonumber(lines[1])), directory)
    process:close()
    trial.remove_directory(directory)
    if not ok then error(err, 0) end
  end

  local function as_root_with_groups(source, pid)
    return trial.sh(("setpriv --groups 0,4,27 %s -e %s"):format(trial.interpreter(),
      trial.quote(("local pid = %d\n%s"):format(pid, source))))
  end

  it("of who enters a user's container stay outside", function()
    with_container_of_user(function(pid)
      local said = as_root_with_groups([[
        local web = assert(require("cella").enter { pid = pid, user = { uid = 0, gid = 0 } })
        local result = assert(web:run { "grep", "Groups", "/proc/self/status", stdout = "capture" })
        io.write(result.stdout)]], pid)
      assert.truthy(said:find "^Groups:[ \t]*\n$" or said:find "error" or said:find "setgroups", said)
      assert.is_nil(said:find "[:%s]4[%s\n]")
    end)
  end)

  it("are not carried into a user namespace that is joined by path", function()
    with_container_of_user(function(pid)
      local said = as_root_with_groups([[
        local box = require("cella").container { root = "/", namespaces = { user = "/proc/" .. pid .. "/ns/user",
          net = "host", pid = { pid = pid } }, mounts = {} }
        local result, err = box:run { "grep", "Groups", "/proc/self/status", stdout = "capture" }
        io.write(result and result.stdout or "refused " .. tostring(err))]], pid)
      assert.truthy(said:find "^Groups:[ \t]*\n$" or said:find "^refused", said)
    end)
  end)

  it("are not kept by a hardening word", function()
    if trial.lacks_root() then return pending "needs root, whose groups they are" end
    local said = as_root_with_groups([[
      local box = require("cella").container { root = "/", ids = { uid = "0 100000 1000", gid = "0 100000 1000",
        setgroups = "deny" } }
      local result, err = box:run { "grep", "Groups", "/proc/self/status", stdout = "capture" }
      io.write(result and result.stdout or "refused " .. tostring(err))]], 0)
    assert.truthy(said:find "^Groups:[ \t]*\n$" or said:find "^refused", said)
  end)

  it("are root's where nobody gives them up", function()
    if trial.lacks_root() then return pending "needs root" end
    assert.truthy(trial.sh("setpriv --groups 0,4,27 grep Groups /proc/self/status"):find "0 4 27")
  end)
end)
