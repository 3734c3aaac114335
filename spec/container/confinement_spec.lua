-- The list of what a process is confined by: that it is whole, that containers and entrances both use all of it, and
-- that who enters a process has what the process has.

local able = require "spec.support.able"
local cella = require "cella"
local confinement = require "cella.confinement"
local core = require "cella.core"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

describe("the list of attributes", function()
  it("says of each how it is read from a process and read back, or why not", function()
    local count = 0
    for name, attribute in pairs(confinement.attributes) do
      count = count + 1
      assert.is_true(attribute.read ~= nil or type(attribute.unread) == "string", name .. ": read or unread")
      assert.is_true(attribute.expect ~= nil or type(attribute.unexpected) == "string", name .. ": expect, or why not")
    end
    assert.is_true(count > 12)
  end)

  it("has each step in one sequence, and each read-back once", function()
    local seen, known = {}, {}
    for _, list in pairs(confinement.SEQUENCES) do
      for _, step in ipairs(list) do
        assert.is_nil(seen[step], step .. " twice")
        seen[step] = true
      end
    end
    for name, attribute in pairs(confinement.attributes) do
      for step in pairs(attribute.steps) do known[name .. "." .. step] = true end
    end
    assert.same(known, seen)
    seen, known = {}, {}
    for _, list in pairs(confinement.READ_BACK) do
      for _, name in ipairs(list) do seen[#seen + 1] = name end
    end
    for name, attribute in pairs(confinement.attributes) do
      if attribute.expect then known[#known + 1] = name end
    end
    table.sort(seen)
    table.sort(known)
    assert.same(known, seen)
  end)
end)

local SLEEP = { "sleep", "60", stdin = "null" }
local FIELDS = { "Uid", "Gid", "Groups", "Umask", "NoNewPrivs", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
  "Seccomp" }

local function contents(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

-- What the kernel says of a process from outside.
local function report_of(pid)
  local status, lines = contents(("/proc/%d/status"):format(pid)), {}
  for i, field in ipairs(FIELDS) do lines[i] = assert(status:match("\n(" .. field .. ":[^\n]*)"), field) end
  lines[#lines + 1] = contents(("/proc/%d/limits"):format(pid))
  lines[#lines + 1] = contents(("/proc/%d/cgroup"):format(pid))
  return table.concat(lines, "\n")
end

describe("a container and who enters it", function()
  local function finish(process)
    process:kill "kill"
    process:wait()
  end

  -- `before`: a program that executes the one that sleeps.
  local function reports(description, before)
    local command = { stdin = "null" }
    for _, list in ipairs { before or {}, SLEEP } do
      for _, word in ipairs(list) do command[#command + 1] = word end
    end
    local process = assert(cella.container(description):spawn(command))
    while before and contents(("/proc/%d/comm"):format(process.pid)) ~= "sleep\n" do core.poll({}, 0.01) end
    local entrance = assert(process:enter())
    local other, err = entrance:spawn(SLEEP)
    local of_process, of_other = report_of(process.pid), other and report_of(other.pid)
    if other then finish(other) end
    entrance:close()
    finish(process)
    assert(other, tostring(err))
    return of_process, of_other
  end

  it("have a value for every attribute: a new one is forgotten in neither", needs("user_namespaces", function()
    local box = cella.container {}
    local process = assert(box:spawn(SLEEP))
    local entrance = assert(process:enter())
    assert(box:plan { "true" })
    assert(entrance:plan { "true" }) -- the control
    confinement.attributes.weather = { steps = {}, unread = "it is new", unexpected = "it is new" }
    local planned, said = pcall(box.plan, cella.container {}, { "true" })
    local planned_there, said_there = pcall(entrance.plan, entrance, { "true" })
    confinement.attributes.weather = nil
    entrance:close()
    finish(process)
    assert.is_false(planned or planned_there)
    assert.truthy(tostring(said):find("nothing is said about weather", 1, true), said)
    assert.truthy(tostring(said_there):find("nothing is said about weather", 1, true), said_there)
    assert(box:plan { "true" })
  end))

  it("are confined alike", needs("user_namespaces", function()
    local first, entered = reports { capabilities = { "net_raw", "chown" }, rlimits = { nofile = 77, core = 0 } }
    assert.equal(first, entered)
    local second
    second, entered = reports { no_new_privs = false, capabilities = { "kill" }, rlimits = { nproc = 400 } }
    assert.equal(second, entered)
    assert.are_not.equal(first, second) -- the control
  end))

  it("are confined alike where the sets differ from one another", needs("several_ids", function()
    local ids = trial.several_ids()
    local first, entered = reports({ ids = ids, user = { uid = 5, gid = 5, groups = {} },
      capabilities = { "kill", "chown", "setpcap" } },
      { "setpriv", "--ambient-caps=-kill,-setpcap", "--inh-caps=-kill" })
    assert.equal(first, entered)
    local sets = {}
    for field, digits in first:gmatch "(Cap%a+):%s*(%x+)" do sets[field] = tostring(core.caps.mask(digits)) end
    assert.same({ CapInh = "chown,setpcap", CapPrm = "chown", CapEff = "chown", CapBnd = "chown,kill,setpcap",
      CapAmb = "chown" }, sets)
  end))
end)
