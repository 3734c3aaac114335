-- examples/: each container that they start, or return, as a bundle under runc, crun and cella-oci: what its program
-- writes there is what it writes under cella. What cannot be said in a config.json is refused, by the name of the key.

local json = require "cella.oci.json"
local lfs = require "lfs"
local runtimes = require "spec.support.runtimes"
local trial = require "spec.support.trial"

local SAME = "same"
local STREAMS = "command.stdin: "

-- What is expected of an example's starts, one after the other, the last of any more; and what a runtime says that
-- cannot have it so. @ is a directory with what is in `prepare`. Those that make no container are plans by hand, and a
-- worker's, which is Lua called over and over.
local EXAMPLES = {
  { "examples/first.lua", expect = { SAME } },
  { "examples/crabcan.lua", "--mount-dir", "/", "--uid", "0",
    expect = { "root: a runtime would make the mount points of the container in the host's own root" } },
  { "examples/fleet/fleet.lua", "@/programs", "@/tests", expect = { SAME } },
  { "examples/judge.lua", "@/program.c", "@/tests", expect = { "command.cpu_limit: ", STREAMS } },
  { "examples/enter.lua", expect = { SAME } },
  { "examples/function.lua", "return 1", expect = { "command: a Lua function" } },
  { "examples/luarocks.lua", "@/tree", "install", "none",
    expect = { "root[1]: what lies over the whole root" } },
  { "examples/twenty.lua", expect = { STREAMS } },
  { "examples/twenty-cqueues.lua", expect = { STREAMS }, needs = "cqueues" },
  { "examples/challenges/1-a-range.lua", expect = { SAME } },
  { "examples/challenges/2-everything.lua", expect = { "lock_mounts: " } },
  { "examples/challenges/3-web-server.lua", expect = { SAME }, lacks = { runc = "mapping found" } },
  { "examples/challenges/4-a-bad-map.lua", expect = { SAME, SAME, "policy: refused" } },
  { "examples/challenges/5-four-deep.lua", expect = {} },
  { "examples/plugins.lua", expect = {} },
  { "examples/capsh.lua", "--", "-c", "true", expect = {} },
  { "examples/bwrap.lua", "--ro-bind", "/", "/", "true", expect = {} },
}
for _, name in ipairs { "1-nobody", "2-root", "3-nested", "4-same", "5-capabilities", "6-host-name", "7-mounts",
  "8-root", "9-process-1", "10-hierarchy" } do
  table.insert(EXAMPLES, { ("examples/by-hand/%s.lua"):format(name), expect = {} })
end

local function prepare(directory)
  for _, name in ipairs { "programs", "tests", "tree" } do assert(lfs.mkdir(directory .. "/" .. name)) end
  trial.write(directory .. "/programs/0", "#!/bin/sh\nread -r a b && echo $((a + b))\n")
  trial.sh(("chmod 755 %s %s/programs/0"):format(directory, directory))
  trial.write(directory .. "/tests/1.in", "2 3\n")
  trial.write(directory .. "/tests/1.out", "5\n")
  trial.write(directory .. "/program.c", [[
    #include <stdio.h>
    int main(void) { puts("5"); return 0; }
  ]])
end

-- Namespaces have another number each time; the devices below /dev are mounted in another order; and a mount that
-- another lies over, which is the same, is seen by nobody. A runtime makes the devices of /dev, which is then no nodev.
-- Which of two streams comes first is up to who hands them on.
local function comparable(text)
  local lines, seen = {}, {}
  text = text:gsub("%[[0-9]+%]", "[a number]"):gsub("(\n */dev rw,nosuid),nodev,", "%1,")
  for line in text:gmatch "[^\n]+" do
    local device = line:match "^/dev/([a-z]+) "
    local is_mount = line:sub(1, 1) == "/"
    if not (is_mount and seen[line]) and (not device or device == "pts" or device == "shm") then
      lines[#lines + 1] = line
    end
    seen[line] = true
  end
  table.sort(lines)
  return table.concat(lines, "\n")
end

describe("an example's containers as bundles #slow", function()
  local directory, reason

  setup(function()
    reason = trial.lacks_user_namespaces() or trial.lacks_root() and "needs root, by whom there are ranges of IDs"
      or not json.available() and "needs dkjson" or not lfs.attributes "/bin/busybox" and "needs busybox-static"
    directory = trial.directory()
    prepare(directory)
  end)
  teardown(function() trial.remove_directory(directory) end)

  -- Exports all, into a directory of its own; returns that, and what the program said.
  local function export(example, number)
    local to = ("%s/%d"):format(directory, number)
    assert(lfs.mkdir(to))
    local words = { trial.lua, trial.top .. "/spec/support/exported.lua", to }
    for i, word in ipairs(example) do words[2 + 1 + i] = (word:gsub("^@", directory)) end
    words.environment = { PATH = os.getenv "PATH", HOME = directory, LUA_PATH = package.path, LUA_CPATH = package.cpath,
      JOB_COMPLETION_INDEX = "0" }
    local result = trial.host(words)
    return to, result.stdout .. result.stderr
  end

  for number, example in ipairs(EXAMPLES) do
    it("are what they were, or refused by name: " .. example[1], function()
      if reason then return pending(reason) end
      if example.needs and not pcall(require, example.needs) then return pending("needs " .. example.needs) end
      local to, said = export(example, number)
      local expect, at = example.expect, 1
      while true do
        local start = ("%s/%d"):format(to, at)
        local refused, output = trial.read(start .. ".refused"), trial.read(start .. ".cella")
        if not refused and not output then break end
        local wanted = expect[at] or expect[#expect]
        if wanted == SAME then
          assert.is_nil(refused)
          for _, name in ipairs(runtimes.NAMES) do
            local there, lack = trial.read(start .. "." .. name), (example.lacks or {})[name]
            if lack then
              assert.truthy(not there or there:find(lack, 1, true), there)
            elseif not runtimes.lacks(name) then
              assert.equal(comparable(output), comparable(there), name)
            end
          end
        else
          assert.truthy(refused, "it is not refused for " .. tostring(wanted))
          assert.truthy(refused:find(wanted, 1, true), refused)
          assert.is_nil(lfs.attributes(start))
        end
        at = at + 1
      end
      assert.is_true(at > #expect, ("%d starts, not %d: %s"):format(at - 1, #expect, said))
    end)
  end

  it("are those of every example", function()
    local named = {}
    for _, example in ipairs(EXAMPLES) do named[example[1]] = true end
    for path in trial.sh "ls examples/*.lua examples/*/*.lua":gmatch "%S+" do
      -- What is in a directory of a program's name are its parts.
      local whole = (path:match "^(.*)/[^/]*$" or "") .. ".lua"
      assert.truthy(named[path] or named[whole], path)
    end
  end)
end)
