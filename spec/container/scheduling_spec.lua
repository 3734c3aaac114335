-- How a program is scheduled, how soon it is killed for memory, what its files are not, and what it is called: the keys
-- nice, cpus, oom_score_adj, umask and argv0.

local able = require "spec.support.able"
local boxed = require "cella.busted"
local cella = require "cella"
local outside = require "spec.support.outside"
local sys = require "cella.sys"
local trial = require "spec.support.trial"

trial.around(before_each, after_each)

local needs = able.needs(function(reason) pending(reason) end)
local raised, refused, word = trial.raised, trial.refused, trial.word

local function with(keys)
  local description = { namespaces = { net = "host" } }
  for key, value in pairs(keys) do description[key] = value end
  return description
end

-- The processors that this process may run on.
local function allowed()
  return trial.read "/proc/self/status":match "\nCpus_allowed_list:%s*([%d,-]+)"
end

local ALLOWED = "sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/self/status"

describe("the key", function()
  it("`nice` is the program's nice value, and that of its init", needs("user_namespaces", function()
    local own = word(with {}, "nice")
    assert.equal("19", word(with { nice = 19 }, "nice"))
    assert.equal("19", word(with { nice = 19 }, "cut -d' ' -f19 /proc/1/stat"))
    assert.equal("19", word(with { nice = 19, init = false }, "nice"))
    assert.equal(own, word(with { nice = tonumber(own) }, "nice"))
    assert.equal(own .. "\n", trial.sh "nice") -- the caller stays as it is
  end))

  it("`nice` below the caller's is refused with the reason", needs("user_namespaces", function()
    local said = outside.lua([[
      local result, err = cella.container({ namespaces = { net = "host" }, nice = -20 }):run { "true" }
      return result and "it ran" or err.op .. " " .. err.code .. " " .. tostring(err)
    ]], { prefix = "nice -n 5 sh -c 'ulimit -e 0; exec \"$@\"' sh" })
    assert.truthy(said:find("setpriority EACCES ", 1, true), said)
    assert.truthy(said:find("RLIMIT_NICE (0 here)", 1, true), said)
  end))

  it("`cpus` are the processors that it runs on, as text or as a list", needs("user_namespaces", function()
    local own = allowed()
    local first = own:match "^%d+"
    assert.equal(own, word(with {}, ALLOWED))
    assert.equal(first, word(with { cpus = first }, ALLOWED))
    assert.equal(first, word(with { cpus = { tonumber(first) } }, ALLOWED))
    assert.equal(first, word(with { cpus = first, init = false }, ALLOWED))
    assert.equal(own, word(with { cpus = own }, ALLOWED))
    assert.equal(own, allowed())
  end))

  it("`cpus` of which the host lacks one is refused, and never fewer than were asked for", needs("user_namespaces",
    function()
      local err = refused(with { cpus = allowed() .. ",8191" })
      assert.equal("expect_affinity", err.op)
      assert.truthy(tostring(err):find("not all of these processors are there", 1, true), tostring(err))
      err = refused(with { cpus = "8191" })
      assert.equal("sched_setaffinity", err.op)
      assert.truthy(tostring(err):find("none of these processors is there", 1, true), tostring(err))
    end))

  it("`oom_score_adj` is who is killed first", needs("user_namespaces", function()
    assert.equal("1000", word(with { oom_score_adj = 1000 }, "cat /proc/self/oom_score_adj"))
    assert.equal("1000", word(with { oom_score_adj = 1000 }, "cat /proc/1/oom_score_adj"))
    assert.equal(trial.read "/proc/self/oom_score_adj", word(with {}, "cat /proc/self/oom_score_adj") .. "\n")
    local facts = sys.capabilities()
    if table.concat(facts.effective, " "):find("sys_resource", 1, true) then return end
    local err = refused(with { oom_score_adj = -1000 })
    assert.same({ "write_file", "EACCES" }, { err.op, err.code })
    assert.truthy(tostring(err):find("only CAP_SYS_RESOURCE over the initial user namespace", 1, true), tostring(err))
  end))

  it("`umask` is the program's, and nothing's that is made for it", needs("user_namespaces", function()
    local made = { { type = "directory", destination = "/srv/made", mode = "755" } }
    local look = "umask; touch /tmp/file; stat -c %a /tmp/file /srv /srv/made"
    local tmp = { { type = "tmpfs", destination = "/tmp" }, { type = "tmpfs", destination = "/srv", mode = "755" },
      made[1] }
    assert.equal("0022\n644\n755\n755\n", trial.inside(with { mounts = tmp }, look))
    assert.equal("0077\n600\n755\n755\n", trial.inside(with { mounts = tmp, umask = "077" }, look))
    assert.equal("0000\n666\n755\n755\n", trial.inside(with { mounts = tmp, umask = "0" }, look))
  end))

  it("`argv0` of a command is what the program is told that its name is", needs("user_namespaces", function()
    local box = cella.container(with {})
    local function name(keys)
      local command = { "sh", "-c", "readlink /proc/$$/exe; tr '\\0' ' ' </proc/$$/cmdline", stdout = "capture" }
      for key, value in pairs(keys) do command[key] = value end
      return assert(box:run(command)).stdout
    end
    assert.truthy(name {}:find("sh -c", 1, true))
    local said = name { argv0 = "-login name" }
    assert.truthy(said:find("-login name -c", 1, true), said)
    assert.truthy(said:find("/usr/bin/%w*sh\n"), said)
    assert.truthy(tostring(box:plan { "true", argv0 = "other" }):find(', {"other"}, ', 1, true))
    assert.truthy(raised(box.run, box, { print, argv0 = "x" }):find("argv0", 1, true))
  end))

  it("is read back before exec", needs("user_namespaces", function()
    local function try(name, ...)
      local plan = cella.plan()
      local result, err = plan[name](plan, ...):exec({ "true" }):run()
      return result and result.code or err.op .. " " .. err.code
    end
    assert.equal("expect_priority ENOTRECOVERABLE", try("expect_priority", -20))
    assert.equal("expect_affinity ENOTRECOVERABLE", try("expect_affinity", { 8191 }))
    local own = {}
    for number in pairs(require("cella.cpulist").parse(allowed())) do own[#own + 1] = number end
    assert.equal(0, try("expect_affinity", own))
  end))

  it("is refused where it is none", function()
    for expected, keys in pairs {
      ["nice: an integer from -20 to 19 expected, got 20"] = { nice = 20 },
      ["cpus: processors as "] = { cpus = 1.5 },
      ["cgroup = { cpu = 1.5 }"] = { cpus = 2 },
      ["cpus: numbers and ranges such as"] = { cpus = "2-1" },
      ["cpus: the list is empty"] = { cpus = {} },
      ["cpus[2]: 0 is there twice"] = { cpus = { 0, 0 } },
      ["cpus: 8192 is above 8191"] = { cpus = "8192" },
      ["oom_score_adj: an integer from -1000 to 1000 expected, got 1001"] = { oom_score_adj = 1001 },
      ['umask: octal digits as text, "022", up to "777", expected, got 22'] = { umask = 22 },
      ['up to "777", expected, got the string "1777"'] = { umask = "1777" },
      ['up to "777", expected, got the string "8"'] = { umask = "8" },
    } do
      local said = raised(cella.container, keys)
      assert.truthy(said:find(expected, 1, true), said)
    end
  end)
end)

describe("the operations of scheduling", function()
  -- In a box, because they are of this process, and would be of all specs behind this one.
  boxed.it("are of this process when they are called at once", function()
    local own = tonumber(allowed():match "^%d+")
    assert.is_true(sys.setpriority(19) and sys.expect_priority(19))
    assert.is_true(sys.sched_setaffinity { own } and sys.expect_affinity { own })
    assert.equal("19\n", trial.sh "nice")
    assert.equal(tostring(own), allowed())
    local ok, _, errno = sys.expect_priority(-20)
    assert.is_nil(ok)
    assert.equal(131, errno) -- ENOTRECOVERABLE
  end)

  it("were of that one alone", function()
    assert.not_equal("19\n", trial.sh "nice")
  end)
end)
