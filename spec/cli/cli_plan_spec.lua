-- cella plan: stages, reasons, and what two plans do differently.

local cella = require "cella"
local core = require "cella.core"
local reasons = require "cella.cli.reasons"
local stages = require "cella.plan.stage"
local trial = require "spec.support.trial"

describe("the stages of a plan", function()
  it("are told from the operations, each of which has one or goes with those around it", function()
    local around = { await = true, await_plan = true, close = true, openat2 = true, write = true, write_file = true,
      umask = true, wait_for_byte = true }
    for op in pairs(core.operations) do
      local alone = { { side = "parent", op = "clone3", args = {} }, { side = "child", op = op, args = {} } }
      local other = { alone[1], { side = "child", op = "setresuid", args = {} }, alone[2] }
      local known = stages.of(alone)[2] == stages.of(other)[3]
      assert.equal(not around[op], known, op)
      assert.is_string(stages.TITLES[stages.of(other)[3]], op)
    end
  end)

  it("are told from the arguments where an operation is for several things", function()
    local clone = { side = "parent", op = "clone3", args = {} }
    local function after(op, args, before)
      before = { side = "child", op = before, args = {} }
      return stages.of { clone, before, { side = "child", op = op, args = args } }[3]
    end
    assert.equal("namespaces", after("write_file", { path = "/proc/self/uid_map" }, "mount"))
    assert.equal("root", after("write_file", { path = "/etc/hosts" }, "mount"))
    assert.equal("root", after("chdir", { path = "/" }, "umount2"))
    assert.equal("command", after("chdir", { path = "/" }, "capset"))
    assert.equal("identity", after("securebits", { bits = { "no_setuid_fixup" } }, "timer_slack"))
    assert.equal("capabilities", after("securebits", { bits = {} }, "setresuid"))
  end)
end)

describe("the reasons of a plan", function()
  it("are there for each operation, with a manual page", function()
    local count = 0
    for op in pairs(core.operations) do
      local reason = reasons.of { op = op, args = {} }
      assert.is_table(reason, op .. " has no reason")
      assert.matches("^[%w_]+%(%d%)$", reason.page, op)
      assert.matches("%.$", reason.why, op)
      count = count + 1
    end
    assert.is_true(count > 80)
    for stage in pairs(stages.TITLES) do assert.is_string(reasons.STAGES[stage], stage) end
    assert.is_nil(reasons.of { op = "no such operation", args = {} })
  end)

  it("are there for each step of the parent's", function()
    local source = trial.sh [[grep -rhoE 'render\.call[ (]*"[a-z_0-9.]+"' lua]]
    local count = 0
    for op in source:gmatch '"([^"]+)"' do
      assert.is_table(reasons.of { op = op, args = {} }, op)
      count = count + 1
    end
    assert.is_true(count > 10)
  end)
end)

describe("`cella plan`", function()
  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  local function file(name, keys)
    return trial.write(("%s/%s.lua"):format(directory, name), ("return { %s }"):format(keys))
  end

  -- Of an output: the lines that are steps, and the headings.
  local function parts_of(text)
    local steps, headings = {}, {}
    for line in text:gmatch "[^\n]+" do
      if line:find "^%s*%d+ " then steps[#steps + 1] = line else headings[#headings + 1] = line end
    end
    return table.concat(steps, "\n"), headings
  end

  it("prints the plan, under a heading for each stage", function()
    local keys = 'hostname = "moon", ids = policy.root()'
    local result = trial.cella { "plan", "-e", keys, "--", "/bin/true" }
    local steps, headings = parts_of(result.stdout)
    local expected = cella.container { hostname = "moon", ids = cella.policy.root() }
      :plan { "/bin/true", stdin = "null" }
    -- The standard input, and that signals are handed on, are the command line's.
    local function lines(text) return select(2, text:gsub("\n", "\n")) end
    assert.is_true(math.abs(lines(steps) - lines(tostring(expected))) <= 4)
    assert.matches('sethostname("moon")', steps, 1, true)
    assert.equal("Before there is a child", headings[1])
    assert.equal("Command", headings[#headings])
    local found = {}
    for _, heading in ipairs(headings) do found[heading] = true end
    for _, title in pairs(stages.TITLES) do assert.is_true(found[title], title) end
    assert.is_nil(result.stdout:find "\27")
    local coloured = trial.cella { "plan", "--colour", "always", "-e", keys, "--", "/bin/true" }.stdout
    assert.equal(result.stdout, (coloured:gsub("\27%[[%d;]*m", "")))
    assert.matches("\27%[[%d;]+mRoot and mounts\27%[0m", coloured)
  end)

  it("prints a page that needs nothing else", function()
    local keys = [[hostname = "moon", environment = { A = "<b>&\"'\27" }]]
    local result = trial.cella { "plan", "--html", "-e", keys, "--", "/bin/<i>" }
    assert.equal(0, result.status, result.stderr)
    local page = result.stdout
    assert.matches("^<!DOCTYPE html>", page)
    assert.matches("prefers-color-scheme: dark", page, 1, true)
    -- Nothing is fetched, and nothing that a user wrote is markup.
    for _, wrong in ipairs { "src=", "http:", "https:", "url(", "@import", "<script", "<link", "<b>&", "<i>", "\27" } do
      assert.is_nil(page:find(wrong, 1, true), wrong)
    end
    assert.matches("/bin/&lt;i&gt;", page, 1, true)
    local steps = select(2, page:gsub('<li class="', ""))
    assert.equal(steps, select(2, page:gsub('<p class="why"><b>', "")))
    assert.equal(select(2, parts_of(trial.cella({ "plan", "-e", 'hostname = "moon"', "--", "/bin/x" }).stdout)
      :gsub("\n", "\n")) + 1, steps)
    for _, element in ipairs { "section", "li", "ol", "div", "p", "code", "span", "a", "body", "html" } do
      assert.equal(select(2, page:gsub("<" .. element .. "[ >]", "")), select(2, page:gsub("</" .. element .. ">", "")),
        element)
    end
  end)

  describe("with --diff", function()
    it("prints what the one does, and the other does not", function()
      local old = file("old", 'hostname = "moon", command = { "true" }')
      local new = file("new", 'hostname = "sun", command = { "true" }, mounts = { { type = "tmpfs", '
        .. 'destination = "/x" } }, rlimits = { nofile = 64 }')
      local result = trial.cella { "plan", "--diff", old, new }
      assert.equal(1, result.status, result.stderr)
      local lines = {}
      for line in result.stdout:gmatch "[^\n]+" do lines[#lines + 1] = (line:gsub("^([+-])%s*%d+ %a+ +", "%1")) end
      assert.same({
        "Namespaces and maps", '-sethostname("moon")', '+sethostname("sun")',
        "Root and mounts", '+SLOT = fsopen("tmpfs")', '+fsconfig(SLOT, "string", "source", "tmpfs")',
        '+fsconfig(SLOT, "create")', '+SLOT = fsmount(SLOT, {"nosuid", "nodev"})', "+close(SLOT)",
        '+mkdir("x", 493, SLOT)', '+move_mount(SLOT, SLOT, "x")',
        "Limits, and what exec would hand on", '+setrlimit("nofile", 64, 64)',
      }, (function()
        for i, line in ipairs(lines) do lines[i] = line:gsub("slot%d+", "SLOT") end
        return lines
      end)())
    end)

    it("prints nothing for two that do the same, whatever IDs they get", function()
      local one, same = file("one", 'hostname = "moon"'), file("same", "hostname = 'moon', init = true")
      local result = trial.cella { "plan", "--diff", one, same, "--", "true" }
      assert.equal("", result.stderr .. result.stdout)
      assert.equal(0, result.status)
      local other = file("other", 'hostname = "moon", ids = require("cella.policy").me()')
      result = trial.cella { "plan", "--diff", one, other, "--", "true" }
      assert.equal(1, result.status)
      assert.matches("map", result.stdout)
    end)

    it("hands arguments to both, and refuses what is none", function()
      local one = trial.write(directory .. "/a.lua", 'return { hostname = (...) }')
      local two = trial.write(directory .. "/b.lua", 'return { hostname = ... .. "y" }')
      assert.matches('-%s*%d+ child   sethostname%("x"%)\n%+%s*%d+ child   sethostname%("xy"%)',
        trial.cella({ "plan", "--diff", one, two, "x", "--", "true" }).stdout)
      local result = trial.cella { "plan", "--diff", "/no/such.lua", one, "x", "--", "true" }
      assert.equal(125, result.status)
      assert.matches("/no/such.lua", result.stderr, 1, true)
      assert.equal(125, trial.cella({ "plan", "--diff", one, "--html", two, "--", "true" }).status)
    end)
  end)
end)
