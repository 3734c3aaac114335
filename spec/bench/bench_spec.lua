-- `make bench`: that it measures what it says, and how many system calls a start makes. No time decides anything here.
local able = require "spec.support.able"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

local lacks = able.lacks "user_namespaces"
if (os.getenv "CELLA_BUILD" or ""):find "sanitized" then lacks = "measures nothing with sanitizers" end
if not require("spec.support.portable").integers then lacks = "bench/ is written in Lua 5.4" end
if lacks then
  describe("the bench", function()
    it("measures", function() pending(lacks) end)
  end)
  return
end

package.path = trial.top .. "/?.lua;" .. package.path
local json = require "dkjson"

local calls, cases, effects, measure, systems

local function output(words)
  return trial.sh(("cd %s && lua5.4 bench/main.lua %s; echo status $?"):format(trial.quote(trial.top), words))
end

local function find(list, name)
  for _, one in ipairs(list) do
    if one.name == name then return one end
  end
  error("there is no " .. name)
end

describe("the bench #slow", function()
  setup(function()
    local said = trial.sh("make -s -C " .. trial.quote(trial.top) .. " bench-programs && echo good")
    assert(said:find "good\n$", said)
    calls, cases, effects = require "bench.calls", require "bench.cases", require "bench.effects"
    measure, systems = require "bench.measure", require "bench.systems"
  end)

  teardown(function() require("bench.here").remove_directories() end)

  it("checks and measures every row, and writes what it found #slow", function()
    local directory = require("bench.here").directory()
    local said = output(("--quick --json %s/json --svg %s/svg --markdown %s/markdown"):format(directory, directory,
      directory))
    assert.truthy(said:find "status 0\n$", said)
    local results = assert(json.decode(trial.read(directory .. "/json")))
    assert.equal(#cases, #results.groups)
    for _, group in ipairs(cases) do
      local found = find(results.groups, group.name)
      assert.truthy(said:find(group.title, 1, true), group.title)
      for _, row in ipairs(group.rows) do
        local what = group.name .. ": " .. row.name
        local entry = find(found.rows, row.name)
        if row.own and not entry.missing then
          assert.is_nil(entry.failed, what)
          assert.is_true(#entry.effects > 0 or row.effects == false or #row.effects == 0, what)
          assert.is_true(entry.median > 0 and entry.best_tenth > 0 and entry.to_base.ratio > 0, what)
        elseif not entry.median then
          assert.truthy(entry.missing or entry.failed, what)
        end
      end
    end
    local svg = trial.read(directory .. "/svg")
    assert.truthy(svg:find "^<svg " and svg:find "</svg>\n$", svg)
    for _, text in ipairs { ">cella, box:run<", ">floor, with init<", "<polyline ", ">256 MiB<" } do
      assert.truthy(svg:find(text, 1, true), text)
    end
    assert.truthy(trial.read(directory .. "/markdown"):find("| cella, box:run |", 1, true))
  end)

  it("finds each effect missing where there is no sandbox", function()
    local plain = systems.line("true", function(command) return command end)
    for _, effect in ipairs { "filter", table.unpack(effects.SANDBOX) } do
      if effect ~= "readonly" then
        local row = { name = "plain", start = plain, effects = { effect } }
        local found, problem = effects.check(cases[1], row)
        assert.is_nil(found, effect)
        assert.truthy(problem:find("^" .. effect .. ": "), problem)
      end
    end
    local floor = find(cases[1].rows, "floor").start
    for _, row in ipairs { { init = true }, { init = false }, { binds = 3 }, { extents = 7 } } do
      row.name, row.effects, row.start = "changed", {}, row.init == false and plain or floor
      assert.is_nil((effects.check(cases[1], row)))
    end
  end)

  it("finds what can be written to, in a sandbox where it can", function()
    local file = require("bench.here").directory() .. "/writable.lua"
    local out = assert(io.open(file, "w"))
    out:write [[
      local root = {}
      for _, path in ipairs { "/usr", "/bin", "/lib", "/lib64", "/etc" } do
        root[#root + 1] = { type = "overlay", lower = path, upper = "tmpfs", destination = path }
      end
      root[#root + 1] = { type = "proc", destination = "/proc" }
      root[#root + 1] = { type = "dev", destination = "/dev" }
      return { root = root }
    ]]
    out:close()
    local row = { name = "writable", effects = { "readonly" }, start = systems.line("lua5.4", function(command)
      local words = trial.cli { "run", file, "--" }
      for _, word in ipairs(command) do words[#words + 1] = word end
      return words
    end) }
    local found, problem = effects.check(cases[1], row)
    assert.is_nil(found)
    assert.equal("readonly: /usr: ", problem)
  end)

  it("does not time what does not do what it says, nor what is not there", function()
    local plain = systems.line("true", function(command) return command end)
    local none = systems.line("no-such-system", function(command) return command end)
    local results = measure.group({ name = "trial", title = "", command = { "/bin/true" }, base = "plain", rows = {
      { name = "plain", start = plain, effects = {} },
      { name = "no sandbox", start = plain, effects = { "namespaces" } },
      { name = "no program", start = none, effects = {} },
    } }, { rounds = 1, each = 1 })
    local there, open, absent = unpack(results.rows)
    assert.is_true(there.median > 0)
    assert.is_nil(open.median)
    assert.truthy(open.failed:find("namespaces: ", 1, true))
    assert.is_nil(absent.median)
    assert.equal("no-such-system is not installed", absent.missing)
  end)

  it("ends with 125 for an option that it does not know, or a group", function()
    assert.truthy(output("--fast"):find("unknown option '%-%-fast'.*status 125\n$"))
    assert.truthy(output("--group nothing"):find("there is no group nothing\nstatus 125\n$"))
    assert.truthy(output("--list"):find("cella, box:run\n.*status 0\n$"))
  end)

  -- Calls of the parent for a start and its wait, and of all others up to exec. To be lowered as they become fewer. In
  -- root's container there are IDs that nobody else has: its maps are written by the parent.
  local as_root = able.lacks "root" == nil
  local BOUNDS = {
    ["cella, box:run"] = { parent = as_root and 110 or 81, child = 345 },
    ["cella, program as process 1"] = { parent = as_root and 95 or 67, child = 318 },
    ["cella, a plan made once"] = { parent = as_root and 76 or 48, child = 345 },
  }

  it("- a start makes no more system calls than it did", function()
    local reason = able.lacks "strace"
    if reason then return pending(reason) end
    local group = cases[1]
    for name, bound in pairs(BOUNDS) do
      local count, problem = calls.count(group, find(group.rows, name))
      assert(count, problem)
      for side, most in pairs(bound) do
        assert.is_true(count[side] <= most, ("%s: %d calls of the %s, not %d"):format(name, count[side], side, most))
        assert.is_true(count[side] > 20, ("%s: only %d calls of the %s were seen"):format(name, count[side], side))
      end
    end
    -- A control: vfork and wait, and exec.
    assert.same({ parent = 2, child = 1 }, calls.count(group, find(group.rows, "no sandbox (vfork, exec)")))
  end)
end)
