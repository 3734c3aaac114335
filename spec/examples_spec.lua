-- examples/: every file in there is run, or this fails.

local sys = require "cella.sys"
local trial = require "spec.support.trial"

local _, uid = sys.getresuid()
local _, gid = sys.getresgid()

local function run(words)
  local result = trial.cella(words)
  assert.equal("", result.stderr)
  assert.equal(0, result.status)
  return result.stdout
end

-- Who checks what. A new example needs a spec that runs it, and a line here.
local checked_by = {
  ["examples/capsh.lua"] = "spec/capsh_spec.lua",
  ["examples/crabcan.lua"] = "spec/crabcan_spec.lua",
  ["examples/first.lua"] = "spec/examples_spec.lua",
}
for _, name in ipairs { "README.md", "1-nobody.lua", "2-root.lua", "3-nested.lua", "4-same.lua", "5-capabilities.lua",
  "6-host-name.lua", "7-mounts.lua", "8-root.lua", "9-process-1.lua" } do
  checked_by["examples/by-hand/" .. name] = "spec/by_hand_spec.lua"
end
for _, name in ipairs { "1-a-range.lua", "2-everything.lua", "3-web-server.lua", "4-a-bad-map.lua",
  "5-four-deep.lua" } do
  checked_by["examples/challenges/" .. name] = "spec/challenges_spec.lua"
end

describe("examples/", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local before
  before_each(function() before = trial.look() end)
  after_each(function() trial.nothing_left(before) end)

  local there = {}
  for path in trial.sh("find examples -type f | sort"):gmatch "[^\n]+" do there[#there + 1] = path end

  for _, path in ipairs(there) do
    it("has a check for " .. path, function()
      local spec = assert(checked_by[path], "nobody checks " .. path)
      local text = assert(trial.read(spec), spec .. " is not there")
      assert.truthy(text:find(path:match("([^/]+)%.%a+$"), 1, true), ("%s is not in %s"):format(path, spec))
    end)
  end

  it("has every file that is checked", function()
    local missing = {}
    for path in pairs(checked_by) do missing[path] = true end
    for _, path in ipairs(there) do missing[path] = nil end
    assert.same({}, missing)
  end)

  it("has programs that say at their beginning what they are", function()
    for _, path in ipairs(there) do
      if path:find "%.lua$" then assert.truthy(trial.read(path):find "^%-%- %S", path) end
    end
  end)

  it("has programs that parse", function()
    for _, path in ipairs(there) do
      if path:find "%.lua$" then assert.is_function((loadfile(path))) end
    end
  end)

  describe("first.lua", function()
    local said
    local function says(line)
      assert.truthy(("\n" .. said):find("\n" .. line .. "\n", 1, true), ("%q is not in\n%s"):format(line, said))
    end

    before_each(function() said = run { "run", "examples/first.lua" }:gsub(" +", " ") end)

    it("shows who it is, inside and outside", function()
      says "uid=0(root) gid=0(root) groups=0(root)"
      says(("uid_map 0 %d 1"):format(uid))
      says(("gid_map 0 %d 1"):format(gid))
    end)

    it("shows that it may do nothing", function()
      for _, set in ipairs { "Inh", "Prm", "Eff", "Bnd", "Amb" } do says(("Cap%s:\t0000000000000000"):format(set)) end
      says "NoNewPrivs:\t1"
    end)

    it("shows its namespaces beside the host's", function()
      for _, link in ipairs { "cgroup", "ipc", "mnt", "net", "pid", "user", "uts" } do
        assert.truthy(said:find(("\n%s %s:%%[%%d+%%] not %s:%%[%%d+%%]\n"):format(link, link, link)), link)
      end
      assert.truthy(said:find "\ntime time:%[%d+%] the same as time:%[%d+%]\n")
      says "host name: moon"
    end)

    it("shows its processes", function()
      says "1 cella-init"
      says "2 sh"
    end)

    it("shows its mounts, and that it cannot write to the host's files", function()
      for _, place in ipairs { "/proc", "/dev", "/dev/pts", "/dev/shm", "/tmp" } do
        assert.truthy(said:find("\n" .. place .. " rw,", 1, true), place)
      end
      assert.truthy(said:find("/etc/hello': Read-only file system", 1, true), said)
      assert.is_nil(io.open "/etc/hello")
    end)
  end)
end)
