-- What decides about IDs, and may be broken, hostile or slow: registries, files, helpers.

local cella = require "cella"
local core = require "cella.core"
local outside = require "spec.support.outside"
local policy = require "cella.policy"
local subid = require "cella.subid"
local trial = require "spec.support.trial"

local HOST = { uid = 1000, gid = 1000, user = "alice", subuid = { { first = 100000, count = 65536 } },
  subgid = { { first = 100000, count = 65536 } }, subid_source = "files", newuidmap = "/usr/bin/newuidmap",
  newgidmap = "/usr/bin/newgidmap" }

describe("what decides about IDs", function()
  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  local function claim(registry)
    return policy.slice("web", 10, { registry = registry })(HOST)
  end

  it("is no registry of slices that others may write to, or that is something else", function()
    local registry = directory .. "/slices"
    for _, prepare in ipairs { "mkdir -m 777 R", "mkdir -m 770 R", ": > R",
      "mkdir -m 700 R; : > R/slices; chmod 666 R/slices", "mkdir -m 700 R; : > R/lock; chmod 622 R/lock",
      "mkdir -m 700 R; mkfifo -m 600 R/slices", "mkdir -m 700 R; mkfifo -m 600 R/lock" } do
      trial.sh(("rm -rf R; " .. prepare):gsub("R", (registry:gsub("%%", "%%%%"))))
      local began = core.now()
      local result, err = claim(registry)
      assert.is_nil(result, prepare)
      assert.equal("slices", err.op)
      assert.is_nil((policy.slices({ registry = registry }, HOST)))
      assert.is_true(core.now() - began < 5)
    end
    -- The control.
    trial.sh(("rm -rf %s; mkdir -m 700 %s"):format(registry, registry))
    assert(claim(registry))
    assert.equal("web", assert(policy.slices({ registry = registry }, HOST))[1].name)
  end)

  it("is not made by who only lists", function()
    local registry = directory .. "/slices"
    assert.same({}, (assert(policy.slices({ registry = registry }, HOST))))
    assert.is_false(policy.release("web", { registry = registry }, HOST))
    assert.equal("", trial.sh("ls -A " .. directory))
  end)

  it("is no FIFO in a file's place", function()
    local path = directory .. "/subuid"
    trial.sh("mkfifo " .. path)
    local list, err = subid.ranges("alice", "uid", { subuid = path })
    assert.is_nil(list)
    assert.matches("not a regular file, but a fifo", tostring(err))
    list, err = subid.users(path)
    assert.is_nil(list)
    assert.matches("fifo", tostring(err))
  end)

  it("has no NUL byte in its name", function()
    for _, call in ipairs { function() return subid.users "/etc/passwd\0x" end,
      function() return core.inode "/etc/passwd\0x" end, function() return core.same_file("/etc\0x", "/etc") end,
      function() return core.file_status "/etc/passwd\0x" end,
      function() return core.is_executable "/bin/sh\0x" end } do
      assert.matches("NUL byte", trial.raised(call))
    end
    assert(subid.users "/etc/passwd")
  end)

  it("is not unknown and called nothing: where no descriptor is free, that is said", function()
    local said = outside.lua [[
      local policy, host, core = require "cella.policy", require "cella.host", require "cella.core"
      local facts = host.facts { user = "nobody-has-this-name" }
      local all = {}
      while true do
        local fd = core.open("/dev/null", "rdonly")
        if not fd then break end
        all[#all + 1] = fd
      end
      local result, err = policy.subids()(facts)
      for _, fd in ipairs(all) do fd:close() end
      return result and "given" or tostring(err)
    ]]
    assert.not_matches("has no subordinate", said)
    assert.matches("cannot be found out", said)
  end)

  it("is a helper that can be executed, wherever in PATH that is", function()
    trial.sh(("mkdir %s/first %s/second; cd %s; echo '#!/bin/sh' | tee first/newuidmap > second/newuidmap; "
      .. "chmod 755 second/newuidmap"):format(directory, directory, directory))
    local function found()
      return trial.sh(("PATH=%s/first:%s/second:$PATH %s -e %s"):format(directory, directory, trial.interpreter(),
        trial.quote 'print(require("cella.subid.program").find "newuidmap")'))
    end
    assert.equal(directory .. "/second/newuidmap\n", found())
    trial.sh(("chmod 755 %s/first/newuidmap"):format(directory))
    assert.equal(directory .. "/first/newuidmap\n", found())
  end)

  if trial.lacks_user_namespaces() then return end

  it("ends in time, with all that it has started #slow", function()
    local path = directory .. "/newuidmap"
    local word = "998.125"
    trial.write(path, ("#!/bin/sh\n[ $# -gt 0 ] || exit 1\nsleep %s & sleep %s\n"):format(word, word))
    trial.sh("chmod 755 " .. path)
    local _, uid = core.sys.getresuid()
    local _, gid = core.sys.getresgid()
    local plan = cella.plan { namespaces = { "user" }, ids = { uid = ("0 %d 1"):format(uid),
      gid = ("0 %d 1"):format(gid), via = "helper", newuidmap = path, newgidmap = path } }
    local began = core.now()
    local result, err = plan:exec({ "true" }):run { timeout = 2 }
    assert.is_nil(result)
    assert.matches("has not ended in time", err.message)
    assert.is_true(core.now() - began < 3.5, core.now() - began)
    trial.wait_for(function() return trial.sh("ps -eo args | grep -c '^sleep 998[.]125'") == "0\n" end,
      "the helper's children to end")
  end)
end)
