-- examples/fleet: one container, here, as an image, as a bundle, and as a Job.

local json = require "cella.oci.json"
local lfs = require "lfs"
local trial = require "spec.support.trial"

describe("examples/fleet", function()
  local directory, reason, ids

  setup(function()
    directory = trial.directory()
    if not lfs.attributes "/bin/busybox" then reason = "needs busybox-static" end
    if not json.available() then reason = "needs dkjson" end
    ids = trial.several_ids()
    for _, name in ipairs { "programs", "tests" } do assert(lfs.mkdir(directory .. "/" .. name)) end
    -- Shell, in the place of what a compiler makes: it needs nothing but the busybox.
    local function program(number, text)
      local path = trial.write(("%s/programs/%d"):format(directory, number), "#!/bin/sh\n" .. text)
      trial.sh("chmod 755 " .. path)
    end
    program(0, "read -r a b && echo $((a + b))")
    program(1, "echo 5")
    program(2, "exit 1")
    trial.write(directory .. "/tests/1.in", "2 3\n")
    trial.write(directory .. "/tests/1.out", "5\n")
    trial.write(directory .. "/tests/2.in", "3 3\n")
    trial.write(directory .. "/tests/2.out", "6\n")
  end)
  teardown(function() trial.remove_directory(directory) end)

  local function words(...)
    local list = { ... }
    list[#list + 1] = directory .. "/programs"
    list[#list + 1] = directory .. "/tests"
    return list
  end

  local function judged(number)
    local command = trial.cli(words("run", "examples/fleet/fleet.lua"))
    command.environment = { PATH = os.getenv "PATH", JOB_COMPLETION_INDEX = number,
      LUA_PATH = package.path, LUA_CPATH = package.cpath }
    local result = trial.host(command)
    return result.stdout .. result.stderr, result.status
  end

  it("judges the program of its number", function()
    if reason then return pending(reason) end
    if not ids or trial.lacks_root() then return pending "needs root, by whom it has more than one ID" end
    assert.same({ "0: accepted\n", 0 }, { judged "0" })
    assert.same({ "1: 2: wrong answer\n", 1 }, { judged "1" })
    assert.same({ "2: 1: failed\n", 1 }, { judged "2" })
  end)

  it("is an image and a Job, of which nothing is refused", function()
    if reason then return pending(reason) end
    local result = trial.cella(words("kube", "--image", "fleet", "--job", "--completions", "100", "--parallelism", "10",
      "examples/fleet/fleet.lua"))
    assert.equal(0, result.status, result.stderr)
    for _, text in ipairs { "completions: 100", "parallelism: 10", 'kind: "NetworkPolicy"', "runAsUser: 1000",
      'mountPath: "/tmp"', "readOnlyRootFilesystem: true", "hostUsers: false" } do
      assert.truthy(result.stdout:find(text, 1, true), text)
    end
    result = trial.cella { "oci", "image", "examples/fleet/fleet.lua", directory .. "/image", directory .. "/programs",
      directory .. "/tests" }
    assert.equal(0, result.status, result.stderr)
    local layer = trial.sh(("ls -S %s/image/blobs/sha256/* | head -n 1"):format(directory))
    local listed = "\n" .. trial.sh("tar -tf " .. layer)
    for _, path in ipairs { "./judge", "./programs/0", "./tests/1.in", "./bin/busybox", "./bin/sh" } do
      assert.truthy(listed:find("\n" .. path .. "\n", 1, true), path)
    end
  end)
end)
