-- Coverage: what luacov counts in a container comes home. luacov is in no distribution that this is tested on: in its
-- place is a module of that name with what busted and cella use of it, which sums up what it counts in a file.

local suite = require "spec.support.suite"
local trial = require "spec.support.trial"

local LUACOV = [[
local luacov = { data = {}, tick = false, configuration = { exclude = {} } }

local function save()
  local lines = {}
  for name, file in pairs(luacov.data) do
    for line, hits in pairs(file) do
      if name:match "[^/]*$" == "subject.lua" and type(line) == "number" then
        lines[#lines + 1] = ("%d: %d"):format(line, hits)
      end
    end
  end
  table.sort(lines)
  local file = assert(io.open("luacov.stats.out", "a"))
  file:write(table.concat(lines, "\n"), "\n")
  file:close()
end

local function hook(_, line)
  local name = debug.getinfo(2, "S").source:match "^@(.*)"
  if not name then return end
  local file = luacov.data[name] or { max = 0, max_hits = 0 }
  luacov.data[name] = file
  file[line] = (file[line] or 0) + 1
  file.max, file.max_hits = math.max(file.max, line), math.max(file.max_hits, file[line])
end

luacov.debug_hook = hook

local function begin()
  local exit, is_saved = os.exit, false
  local function save_once()
    if not is_saved then save() end
    is_saved = true
  end
  os.exit = function(...)
    save_once()
    exit(...)
  end
  -- For who comes to the end of the program.
  local object = newproxy and newproxy(true) or setmetatable({}, { __gc = save_once })
  if newproxy then getmetatable(object).__gc = save_once end
  luacov.object = object
  debug.sethook(hook, "l")
end

return setmetatable(luacov, { __call = begin })
]]

local FILES = {
  ["subject.lua"] = [[
local M = {}
function M.inside(n)
  local sum = 0
  for i = 1, n do
    sum = sum + i
  end
  return sum
end
function M.never()
  return "never"
end
return M
]],
  ["a_spec.lua"] = [[
    local subject = require "subject"
    describe("the subject", function()
      before_each(function() subject.inside(1) end)
      it("is counted", function() assert.equal(6, subject.inside(3)) end)
      it("is counted where it fails", function() assert.equal(7, subject.inside(4)) end)
    end)
  ]],
  ["b_spec.lua"] = [[
    local subject = require "subject"
    it("is counted in another file", function() assert.equal(3, subject.inside(2)) end)
  ]],
}

describe("lines that luacov counts", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local directory
  trial.around(before_each, after_each, function() directory = trial.directory() end,
    function() trial.remove_directory(directory) end)

  -- The hits of the lines from 2 on: how often the file itself is loaded depends on who loads it.
  local function counted(arguments, program)
    os.remove(directory .. "/luacov.stats.out")
    local report, status = suite.run(directory, "--coverage a_spec.lua b_spec.lua " .. arguments, nil, program)
    suite.has(report, "2 successes / 1 failure / 0 errors / 0 pending")
    assert.equal(1, status)
    local text = assert(trial.read(directory .. "/luacov.stats.out"), report)
    local hits = {}
    for line, count in text:gmatch "(%d+): (%d+)" do hits[tonumber(line)] = tonumber(count) end
    return hits
  end

  it("add up in boxes, and in containers of files", function()
    suite.write(directory, FILES)
    trial.sh("mkdir " .. directory .. "/luacov")
    trial.write(directory .. "/luacov/runner.lua", LUACOV)
    local plain = counted ""
    -- Five calls: 3 of the tests', 2 of the hook's.
    assert.same({ 5, 11, 5 }, { plain[3], plain[5], plain[7] })
    assert.is_nil(plain[10])
    for how, hits in pairs { ["--helper=cella.busted"] = counted "--helper=cella.busted",
      ["cella busted"] = counted("-j 2", trial.top .. "/bin/cella busted") } do
      for line = 3, 10 do assert.equal(plain[line], hits[line], ("%s: line %d"):format(how, line)) end
    end
  end)

  it("are of lines that a file can have, whatever is sent", function()
    local coverage, kept = require "cella.busted.coverage", package.loaded["luacov.runner"]
    local luacov = { data = { ["@b"] = { [1] = 1, max = 1, max_hits = 1 } } }
    package.loaded["luacov.runner"] = luacov
    local ok, err = pcall(function()
      coverage.add { ["@a"] = { [3] = 2, [1e15] = 1, [1.5] = 1, [-1] = 1, [4] = -1, [5] = 0 / 0, [6] = 1 / 0, x = 1,
        max = 1e15 }, ["@b"] = { [1] = 1 }, [7] = {}, ["@c"] = 7,
        ["@d\n1 1"] = { [1] = 1 } }
      for _, wrong in ipairs { 7, "text", true } do coverage.add(wrong) end
    end)
    package.loaded["luacov.runner"] = kept
    assert.is_true(ok, err)
    assert.same({ ["@a"] = { [3] = 2, max = 3, max_hits = 2 }, ["@b"] = { [1] = 2, max = 1, max_hits = 2 } },
      luacov.data)
  end)
end)
