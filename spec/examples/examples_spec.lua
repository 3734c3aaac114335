-- examples/: every file in there is run, or this fails.

local cella = require "cella"
local policy = require "cella.policy"
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

local function lines(command)
  local list = {}
  for line in trial.sh(command):gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

-- All specs as one text: an example that no spec names is run by none.
local specs = ""
for _, path in ipairs(lines "find spec -name '*_spec.lua'") do specs = specs .. trial.read(path) end

local function is_named(path)
  if specs:find(path, 1, true) then return true end
  local directory, name = path:match "^(examples/.+/)(.-)%.lua$"
  if not directory then return false end
  -- One of those in a directory that a spec runs through, or a part of a program.
  local program = directory:gsub("/$", ".lua")
  return specs:find(directory, 1, true) ~= nil and specs:find(name, 1, true) ~= nil
    or trial.read(program) ~= nil and is_named(program)
end

describe("examples/", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  trial.around(before_each, after_each)

  local there = lines "find examples -name '*.lua' | sort"

  for _, path in ipairs(there) do
    it("has a spec that runs " .. path, function()
      assert.is_true(is_named(path), "no spec names " .. path)
    end)
  end

  it("has programs that say at their beginning what they are", function()
    for _, path in ipairs(there) do assert.truthy(trial.read(path):find "^%-%-+ %S", path) end
  end)

  it("has programs that parse", function()
    for _, path in ipairs(there) do assert.is_function((loadfile(path))) end
  end)

  describe("first.lua", function()
    local said
    local function says(line)
      assert.truthy(("\n" .. said):find("\n" .. line .. "\n", 1, true), ("%q is not in\n%s"):format(line, said))
    end

    before_each(function() said = run { "run", "examples/first.lua" }:gsub(" +", " ") end)

    it("shows who it is, inside and outside", function()
      says "uid=0(root) gid=0(root) groups=0(root)"
      for kind, own in pairs { uid = uid, gid = gid } do
        local first, count = said:match("\n" .. kind .. "_map 0 (%d+) (%d+)\n")
        -- Root gives none of its own IDs.
        assert.equal(own == 0 and "65536" or "1", count)
        assert.equal(own ~= 0, tonumber(first) == own)
      end
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

    it("is a place for a shell, which has nothing to complain of", function()
      local screen = trial.terminal("TERM=vt220 " .. trial.cli_text { "run", "examples/first.lua", "--", "bash",
        "--noediting" }, { { "moon", "echo kind=$TERM cols=$(tput cols); exit\n" } })
      assert.matches("\nkind=vt220 cols=%d+\n", screen)
      for line in screen:gmatch "[^\n]+" do assert.is_nil(line:find "bash: ", line) end
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

  -- As in the container of an engine: whoever is in there has neither privileges nor subordinate IDs.
  it("has first.lua, and the README its first program, that run in a container as well", function()
    local here = { { type = "bind", source = trial.top, destination = trial.top, readonly = true } }
    local outer = cella.container { mounts = here, cwd = trial.top, nesting = true,
      ids = uid == 0 and policy.available() or policy.me(), user = uid == 0 and { uid = 4321, gid = 4321 } or nil }
    local function inside(line)
      local result = assert(outer:run { "sh", "-c", line, stdout = "capture", stderr = "stdout" })
      assert.equal("exited 0", tostring(result), result.stdout)
      return result.stdout
    end
    local inner = uid == 0 and 4321 or uid
    assert.equal(inner .. "\n", inside "id -u")
    local said = inside(trial.cli_text { "run", "examples/first.lua" })
    assert.matches("\nuid_map *0 *" .. inner .. " *1\n", said)
    assert.matches("/etc/hello': Read-only file system", said, 1, true)
    local snippet = trial.read "README.md":match "\n```lua\n(.-)\n```\n"
    assert.matches("cella.container {", snippet, 1, true)
    assert.matches("\n0\nmoon\n", inside(trial.interpreter() .. " -e " .. trial.quote(snippet)), 1, true)
  end)

  -- Each waits until all twenty are there: were they run one after another, none would end.
  local function twenty(path)
    local result = trial.host { trial.lua, path }
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    for number = 1, 20 do
      assert.truthy(("\n" .. result.stdout):find(("\n%d squared is %d"):format(number, number * number)), result.stdout)
    end
    assert.truthy(result.stdout:find "\nthe sum of the numbers is 210\n$")
  end

  it("has twenty sandboxes at once in a Lua process: examples/twenty.lua", function()
    twenty "examples/twenty.lua"
  end)

  it("has them in the loop of cqueues: examples/twenty-cqueues.lua", function()
    if not pcall(require, "cqueues") then return pending "needs cqueues (Debian: lua-cqueues)" end
    twenty "examples/twenty-cqueues.lua"
  end)
end)
