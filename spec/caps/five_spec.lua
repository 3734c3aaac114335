-- Five sets of capabilities, each by its name: `capabilities = { bounding =, permitted =, ... }`.

local able = require "spec.support.able"
local caps = require "cella.caps"
local cella = require "cella"
local trial = require "spec.support.trial"

trial.around(before_each, after_each)

local needs = able.needs(function(reason) pending(reason) end)

local FIELDS = { bounding = "CapBnd", permitted = "CapPrm", effective = "CapEff", inheritable = "CapInh",
  ambient = "CapAmb" }

-- The five sets of a program in a container, as text.
local function sets_of(keys, start)
  local text = (start or trial.inside)(keys, "exec grep ^Cap /proc/self/status")
  local sets = {}
  for field, name in pairs(FIELDS) do sets[field] = tostring(caps.set(text:match(name .. ":%s*(%x+)"))) end
  return sets
end

local function expected(sets)
  local all = {}
  for field in pairs(FIELDS) do all[field] = tostring(caps.set(sets[field] or "none")) end
  return all
end

local ROOT = { uid = 0, gid = 0 }

describe("five sets of capabilities", function()
  for name, case in pairs {
    ["of root, what is permitted"] = { ROOT, { bounding = "chown,kill", permitted = "chown", effective = "chown" } },
    ["of root, what is ambient"] = { ROOT, { bounding = "chown,kill,fowner", permitted = "chown,kill",
      effective = "chown,kill", inheritable = "chown", ambient = "chown" } },
    ["of root, what is inheritable alone"] = { ROOT, { bounding = "chown,kill", inheritable = "kill" } },
    ["of root, what bounds alone"] = { ROOT, { bounding = "chown,kill" } },
    ["of root, where programs may gain by exec"] = { ROOT, { bounding = "chown,kill", permitted = "chown,kill",
      effective = "chown,kill", inheritable = "kill" }, false },
    ["of a user, what is ambient"] = { nil, { bounding = "chown,kill,net_raw", permitted = "chown", effective = "chown",
      inheritable = "chown,kill", ambient = "chown" } },
    ["of a user, what bounds alone"] = { nil, { bounding = "all" } },
    ["of a user, where programs may gain by exec"] = { nil, { bounding = "all", inheritable = "kill" }, false },
    ["of nobody"] = { nil, { ambient = {} } },
  } do
    it("are what the program has, " .. name, needs("user_namespaces", function()
      local ids = cella.policy.available()
      local keys = { ids = ids, user = case[1], capabilities = case[2], no_new_privs = case[3] }
      if not case[1] then
        -- Whoever is not root inside.
        local uid, gid = cella.sys.getresuid(), cella.sys.getresgid()
        keys.user = { uid = 5, gid = 5 }
        keys.ids = { uid = ("5 %d 1"):format(uid), gid = ("5 %d 1"):format(gid) }
      end
      assert.same(expected(case[2]), sets_of(keys))
    end))
  end

  it("are what who enters has at most", needs("user_namespaces", function()
    local five = { bounding = "chown,kill", permitted = "chown", effective = "chown" }
    local process = trial.hold(cella.container({ capabilities = five, user = ROOT, ids = cella.policy.available() })
      :spawn { "sleep", "1000" })
    local function enter(keys, text)
      local entrance = trial.hold(process:enter(keys))
      local result, err = entrance:run(trial.script(text))
      return result and result.stdout or tostring(err)
    end
    -- Without no_new_privs exec would give root all of the bounding set.
    assert.same(expected(five), sets_of({}, enter))
    local less = { bounding = "kill", permitted = {} }
    assert.same(expected(less), sets_of({ capabilities = less }, enter))
    assert.matches("capabilities: kill: process %d+ does not have it",
      enter({ capabilities = { bounding = "kill", permitted = "kill", effective = "kill" } }, "true"))
    assert.matches("capabilities: fowner: process %d+ does not have it",
      enter({ capabilities = { bounding = "fowner" } }, "true"))
    assert.matches("capabilities.effective: user 0 has in effect after exec all that it is permitted, chown too",
      enter({ capabilities = { bounding = "chown", permitted = "chown" } }, "true"), 1, true)
  end))

  it("are refused by name where the kernel would not take them", function()
    for expected_text, sets in pairs {
      ["capabilities.permitted: chown not in bounding"] = { bounding = "kill", permitted = "chown" },
      ["capabilities.inheritable: chown not in bounding"] = { inheritable = "chown" },
      ["capabilities.effective: chown not in permitted"] = { bounding = "all", effective = "chown" },
      ["capabilities.ambient: chown not in permitted"] = { bounding = "all", inheritable = "chown",
        ambient = "chown" },
      ["capabilities.ambient: chown not in inheritable"] = { bounding = "all", permitted = "chown",
        ambient = "chown" },
      ["capabilities.effectiv"] = { effectiv = "chown" },
      ["capabilities.effective"] = { effective = 5 },
      ["capabilities.bounding[1]"] = { bounding = { "chwon" } },
      ["capabilities"] = { bounding = "chown", "kill" },
    } do
      local said = trial.raised(cella.container, { capabilities = sets })
      assert.matches(expected_text, said, 1, true)
    end
  end)

  it("are refused by name where exec would make others of them", needs("user_namespaces", function()
    local function start(sets, user, more)
      local keys = { capabilities = sets, user = user, ids = cella.policy.available() }
      for key, value in pairs(more or {}) do keys[key] = value end
      local box = cella.container(keys)
      return trial.raised(box.plan, box, { "true" })
    end
    local own = cella.sys.getresuid()
    local other = { ids = { uid = ("5 %d 1"):format(own), gid = ("5 %d 1"):format((cella.sys.getresgid())) } }
    local other_user = { uid = 5, gid = 5 }
    assert.matches("capabilities.permitted: exec leaves user 5 what is ambient: kill has to be in ambient and "
      .. "inheritable too", start({ bounding = "all", permitted = "kill,chown", inheritable = "chown",
        ambient = "chown", effective = "chown" }, other_user, other), 1, true)
    assert.matches("capabilities.effective: what is ambient is in effect after exec, chown too", start({
      bounding = "all", permitted = "chown", inheritable = "chown", ambient = "chown" }, other_user, other), 1, true)
    assert.matches("capabilities.effective: user 0 has in effect after exec all that it is permitted, chown too",
      start({ bounding = "chown", permitted = "chown" }, ROOT), 1, true)
    assert.matches("capabilities.permitted: user 0 gets by exec all that is in bounding or inheritable, kill too",
      start({ bounding = "chown,kill", permitted = "chown", effective = "chown" }, ROOT, { no_new_privs = false }), 1,
      true)
  end))

  it("are predicted and read back, set by set", needs("user_namespaces", function()
    local plan = assert(cella.container({ user = ROOT, ids = cella.policy.available(),
      capabilities = { bounding = "chown,kill", permitted = "chown", effective = "chown" } }):plan { "true" })
    local read_back
    for _, step in ipairs(plan:steps()) do
      if step.op == "expect_capabilities" then read_back = step.args end
    end
    assert.same({ "chown,kill", "chown", "chown", "none", "none" }, { tostring(caps.set(read_back.bounding)),
      tostring(caps.set(read_back.permitted)), tostring(caps.set(read_back.effective)),
      tostring(caps.set(read_back.inheritable)), tostring(caps.set(read_back.ambient)) })
    local walked = assert(caps.walk(plan))
    local last = walked[#walked].state
    assert.equal("chown", tostring(last.effective))
    assert.equal("chown,kill", tostring(last.bounding))
  end))

  it("are what other keys look at: a filter needs sys_admin in effect", function()
    local keys = { seccomp = "strict", no_new_privs = false, capabilities = { bounding = "sys_admin" } }
    assert.matches("seccomp: without no_new_privs the kernel takes a filter only of who has sys_admin",
      trial.raised(cella.container, keys), 1, true)
    keys.capabilities = { bounding = "sys_resource" }
    keys.no_new_privs, keys.user_namespaces = nil, false
    assert.matches("sys_resource do not go together", trial.raised(cella.container, keys), 1, true)
  end)
end)
