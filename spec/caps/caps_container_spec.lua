-- Capabilities in containers: each one alone, from the five sets to the act that it allows; callers that hold more than
-- they should; and what caps.walk and caps.check_plan say before anything runs.

local core = require "cella.core"
local container = require("cella.container").new
local Plan = require "cella.plan"
local caps = require "cella.caps"
local host = require "cella.host"
local idmap = require "cella.idmap"
local policy = require "cella.policy"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

local directory, problem
local all, none = caps.all(), caps.none

local function run(command) return portable.execute(command) == true end

local function is_initial_root()
  local _, euid = core.sys.getresuid()
  local map = idmap.of("self", "uid")
  return euid == 0 and map and map:covers(0, 4294967295)
end

-- Maps with an ID 1000 that is not the root of the container.
local function ids()
  if is_initial_root() then return { uid = "0 100000 65536", gid = "0 100000 65536" } end
  return policy.subids()
end

local function needs()
  if not run "command -v cc >/dev/null" then return "needs a C compiler (cc)" end
  local box = container { ids = ids(), user = { uid = 1000, gid = 1000 } }
  local result, err = box:run { "/bin/true" }
  if not result or result.code ~= 0 then return "needs subordinate IDs: " .. tostring(err) end
  return nil
end

local function build()
  directory = os.tmpname()
  os.remove(directory)
  assert(run(("mkdir -m 777 %s"):format(directory))) -- also for IDs of the container's
  assert(run(("cc -O1 -Wall -Werror -static -o %s/probe spec/support/caps_probe.c"):format(directory)))
  assert(run(("cc -O1 -Wall -Werror -nostdlib -static -ffreestanding -fno-stack-protector -o %s/report "
    .. "spec/support/caps_report.c"):format(directory)))
  assert(run(("touch %s/secret && chmod 0 %s/secret"):format(directory, directory)))
  if is_initial_root() then assert(run(("chown 100005:100005 %s/secret"):format(directory))) end
end

local function box_with(names, more)
  local description = {
    ids = ids(), user = { uid = 1000, gid = 1000 }, capabilities = names,
    mounts = {
      { type = "bind", source = directory, destination = "/mnt" },
      { type = "tmpfs", destination = "/tmp", mode = 1023 },
    },
  }
  for key, value in pairs(more or {}) do description[key] = value end
  return container(description)
end

-- The five masks that the program in the container sees of itself, and the rest of its line.
local function report(box)
  local result = assert(box:run { "/mnt/report", stdout = "capture" })
  assert.equal(0, result.code)
  local e, p, i, b, a, rest = result.stdout:match "^A (%x+) (%x+) (%x+) (%x+) (%x+) (.-)%s*$"
  return { effective = e, permitted = p, inheritable = i, bounding = b, ambient = a }, rest
end

local function probe(box, act, argument)
  return assert(box:run { "/mnt/probe", act, argument }).code
end

local EPERM, EACCES = 1, 13

describe("a capability alone", function()
  setup(function()
    problem = needs()
    if not problem then build() end
  end)

  teardown(function()
    if directory then run("rm -rf " .. directory) end
  end)

  for number = 0, caps.last do
    local name = caps.set({ number })[1]
    it(("%s is all that the program holds, in every set"):format(name), function()
      if problem then return pending(problem) end
      local sets, rest = report(box_with { name })
      local wanted = caps.set({ number }):mask()
      for _, field in ipairs { "effective", "permitted", "inheritable", "bounding", "ambient" } do
        assert.equal(wanted, sets[field], field)
      end
      -- securebits, no_new_privs, the IDs, and no secure mode that ambient would have been lost to
      assert.equal("0 1 1000 1000 1000 1000 1000 1000 0", rest)
    end)
  end

  -- What it allows, with the errno of the refusal; the neighbour is another capability, which does not allow it.
  local acts = {
    { "chown", EPERM }, { "dac_override", EACCES }, { "dac_read_search", EACCES }, { "setgid", EPERM },
    { "setuid", EPERM }, { "setpcap", EPERM }, { "net_bind_service", EACCES }, { "net_admin", EPERM },
    { "net_raw", EPERM }, { "sys_chroot", EPERM }, { "sys_admin", EPERM }, { "setfcap", EPERM },
  }
  local ROOT_ONLY = { { "fowner", EPERM } }
  for _, act in ipairs(ROOT_ONLY) do acts[#acts + 1] = { act[1], act[2], root = true } end

  for _, act in ipairs(acts) do
    local name, errno = act[1], act[2]
    it(("%s allows what it is for, and another does not"):format(name), function()
      if problem then return pending(problem) end
      if (act.root or name:find "^dac") and not is_initial_root() then
        return pending "needs a file of an ID of the container's, which root alone can make"
      end
      -- dac_override reads as well as dac_read_search does.
      local neighbour = name == "dac_read_search" and "fowner" or caps.set { (caps.set(name):each()()) + 1 } [1]
      assert.equal(0, probe(box_with { name }, name))
      assert.equal(errno, probe(box_with { neighbour }, name), "with " .. neighbour)
      assert.equal(errno, probe(box_with {}, name), "with none")
      local others = all - name - (name == "dac_read_search" and "dac_override" or none)
      assert.equal(errno, probe(box_with(others:names()), name), "with all but it")
    end)
  end

  -- Over a process of another user of the same container.
  for _, name in ipairs { "kill", "sys_ptrace" } do
    it(("%s allows what it is for over another user's process, and another does not"):format(name), function()
      if problem then return pending(problem) end
      local other = box_with({}, { user = { uid = 1001, gid = 1001 } })
      local process = assert(other:spawn { "/bin/sleep", "30" })
      local function joined(names)
        return container {
          namespaces = { user = { pid = process.pid }, pid = { pid = process.pid }, mount = { pid = process.pid },
            ipc = "host", uts = "host", net = "host", cgroup = "host" },
          user = { uid = 1000, gid = 1000 }, capabilities = names,
        }
      end
      local ok, err = pcall(function()
        assert.equal(0, probe(joined { name }, name, "1"))
        assert.equal(EPERM, probe(joined { "chown" }, name, "1"))
        assert.equal(EPERM, probe(joined {}, name, "1"))
      end)
      process:kill "kill"
      process:wait()
      if not ok then error(err, 0) end
    end)
  end

  local HOST = { user = "host", mount = "new", pid = "new", ipc = "new", uts = "new", net = "new", cgroup = "new" }

  for _, name in ipairs { "mknod", "sys_time" } do
    it(("%s counts over the initial user namespace alone, and its explanation says so"):format(name), function()
      if problem then return pending(problem) end
      assert.equal(EPERM, probe(box_with { name }, name))
      local text = caps.explain(name)
      assert.is_true(text.host_only)
      assert.truthy(text.container:find "user namespace", text.container)
    end)

    it(("%s allows what it is for in the initial user namespace, and another does not"):format(name), function()
      if problem then return pending(problem) end
      if not is_initial_root() then return pending "needs root of the initial user namespace" end
      if not caps.state().permitted:has(name) then return pending("needs CAP_" .. name:upper()) end
      local function host_box(names)
        local box = { namespaces = HOST, user = { uid = 1000, gid = 1000 }, capabilities = names,
          mounts = { { type = "bind", source = directory, destination = "/mnt" },
            { type = "tmpfs", destination = "/tmp", mode = 1023 } } }
        return container(box)
      end
      assert.equal(0, probe(host_box { name }, name))
      assert.equal(EPERM, probe(host_box { "chown" }, name))
    end)
  end

  it("may be given as a set", function()
    if problem then return pending(problem) end
    local sets = report(box_with(caps.docker * "chown,kill,sys_admin"))
    assert.equal(caps.set("chown,kill"):mask(), sets.effective)
  end)

  it("is not there by default, nor are inheritable and ambient ones of a caller that has all of them", function()
    if problem then return pending(problem) end
    if not is_initial_root() then return pending "needs a caller with capabilities to have inherited" end
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    file:write(([[
      local caps = require "cella.caps"
      local mine = caps.state().permitted
      assert(caps.state():with { inheritable = mine, ambient = mine }:apply())
      assert(caps.state().ambient == mine and #mine > 30)
      local box = require("cella.container").new {
        ids = { uid = "0 100000 65536", gid = "0 100000 65536" }, user = %s,
        mounts = { { type = "bind", source = %q, destination = "/mnt" } },
      }
      assert(box:run { "/mnt/report" })
      assert(caps.state().ambient == mine)]]):format("%s", directory))
    file:close()
    for _, user in ipairs { "{ uid = 0, gid = 0 }", "{ uid = 1000, gid = 1000 }" } do
      local text = assert(io.open(name)):read "*a"
      local script = assert(io.open(name .. ".lua", "w"))
      script:write((text:gsub("%%s", user)))
      script:close()
      local result = assert(Plan.new():exec({ portable.program, name .. ".lua", stdout = "capture",
        stderr = "capture" })
        :run { timeout = 20 })
      assert.equal("", result.stderr)
      local masks = {}
      for mask in result.stdout:gmatch "%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x" do masks[#masks + 1] = mask end
      assert.same({ none:mask(), none:mask(), none:mask(), none:mask(), none:mask() }, masks)
    end
    os.remove(name)
    os.remove(name .. ".lua")
  end)
end)

describe("a plan's child", function()
  local function step(list, op, last)
    local found
    for _, one in ipairs(list) do
      if one.op == op and (last or not found) then found = one end
    end
    return found
  end

  -- Pure: nothing of these is run.
  local root = caps.new_state { effective = all, permitted = all, inheritable = none, bounding = all, ambient = none,
    securebits = {}, no_new_privs = false, uid = 0, gid = 0, groups = {} }
  local maps = { uid = "0 100000 65536", gid = "0 100000 65536", via = "parent" }

  it("is predicted at each step #vm", function()
    if not is_initial_root() then return pending "needs root, whose maps these are" end
    local box = container { ids = maps, user = { uid = 33, gid = 33 }, capabilities = { "net_bind_service" } }
    local plan = assert(box:plan { "/bin/true" })
    local list = assert(caps.walk(plan, { state = root }))
    assert.equal(#plan:steps(), #list)
    assert.equal(all, step(list, "clone3").state.permitted)
    assert.equal(100000, step(list, "setresuid").state.uid.effective)
    assert.equal(100033, step(list, "setresuid", true).state.uid.effective)
    assert.equal(all, step(list, "setresuid", true).state.permitted)
    assert.equal("net_bind_service", tostring(step(list, "capset").state.permitted))
    local after = step(list, "execve").state
    assert.equal("net_bind_service", tostring(after.effective))
    assert.equal("net_bind_service", tostring(after.bounding))
    assert.is_true(after.no_new_privs)
    assert.is_true(caps.check_plan(plan, { state = root }))
  end)

  it("is not refused over maps of which the parent's steps do not tell", function()
    if not is_initial_root() then return pending "needs root, whose maps these are" end
    local box = container { ids = maps, user = { uid = 33, gid = 33 }, capabilities = { "net_bind_service" } }
    local plan = assert(box:plan { "/bin/true" })
    for _, one in ipairs(plan.sync_points[1].steps) do one.text = "something else" end
    assert.is_true(caps.check_plan(plan, { state = root }))
    local list = assert(caps.walk(plan, { state = root }))
    assert.equal("net_bind_service", tostring(step(list, "execve").state.effective))
  end)

  it("has everything in a new user namespace, whatever its caller has given up", function()
    local nobody = root:with { uid = 4711, gid = 4711, effective = none, permitted = none, bounding = none,
      securebits = { "noroot", "noroot_locked" } }
    local plan = Plan.new({ namespaces = { "user" }, ids = { uid = "0 4711 1", gid = "0 4711 1", via = "self",
      setgroups = "deny" } }):capset("chown", "chown", "none"):exec { "/bin/true" }
    local list = assert(caps.walk(plan, { state = nobody }))
    assert.equal(all, step(list, "clone3").state.permitted)
    local after = step(list, "execve").state
    assert.equal(all, after.permitted) -- uid 0, and the bounding set is full again
    assert.same({}, after.securebits)
    plan = Plan.new():capset("chown", "chown", "none"):exec { "/bin/true" }
    local ok, err = caps.check_plan(plan, { state = nobody })
    assert.is_nil(ok)
    assert.equal("capset", err.op)
  end)

  it("holds after exec what was predicted #vm", function()
    if problem then return pending(problem) end
    for _, names in ipairs { {}, { "net_raw" }, caps.docker:names() } do
      for _, user in ipairs { { uid = 0, gid = 0 }, { uid = 1000, gid = 1000 } } do
        local box = container { ids = ids(), user = user, capabilities = names }
        local command = { "/bin/cat", "/proc/self/status", stdout = "capture" }
        local predicted = step(assert(caps.walk(assert(box:plan(command)))), "execve").state
        local status = assert(box:run(command)).stdout
        for field, label in pairs { effective = "CapEff", permitted = "CapPrm", inheritable = "CapInh",
          bounding = "CapBnd", ambient = "CapAmb" } do
          assert.equal(status:match(label .. ":%s*(%x+)"), predicted[field]:mask(), field)
        end
      end
    end
  end)

  it("that would lose a capability is refused before anything runs: which step, which capability, why", function()
    local plan = Plan.new():securebits({ "keep_caps" }):setresuid(1000, 1000, 1000):capset("chown", "chown", "none")
      :expect_capabilities("chown", "chown", "none", "all", "none"):exec { "/bin/true" }
    local ok, err = caps.check_plan(plan, { state = root })
    assert.is_nil(ok)
    assert.equal("execve", err.op)
    assert.truthy(err.message:find "will not hold chown")
    assert.truthy(err.why:find "exec keeps what is ambient")

    plan = Plan.new():setresuid(1000, 1000, 1000)
      :expect_capabilities("chown", "chown", "none", "all", "none"):exec { "/bin/true" }
    ok, err = caps.check_plan(plan, { state = root })
    assert.is_nil(ok)
    assert.equal("expect_capabilities", err.op)
    assert.truthy(err.message:find "effective will lack chown")
    assert.truthy(err.why:find "step 2, setresuid%(1000, 1000, 1000%), takes chown")

    plan = Plan.new():expect_capabilities("all", "all", "none", "none", "none"):exec { "/bin/true" }
    ok, err = caps.check_plan(plan, { state = root })
    assert.is_nil(ok)
    assert.truthy(err.message:find "bounding will hold all too")
  end)

  it("that asks for what the caller has not is refused, with the step that would fail", function()
    local poor = root:with { effective = all - "sys_time", permitted = all - "sys_time", bounding = all - "sys_time" }
    local plan = Plan.new():securebits({ "no_setuid_fixup" }):setresuid(1000, 1000, 1000)
      :capbset_drop(all - "sys_time"):securebits({}):capset("sys_time", "sys_time", "sys_time")
      :ambient_raise("sys_time"):expect_capabilities("sys_time", "sys_time", "sys_time", "sys_time", "sys_time")
      :exec { "/bin/true" }
    local ok, err = caps.check_plan(plan, { state = poor })
    assert.is_nil(ok)
    assert.equal("capset", err.op)
    assert.equal("EPERM", err.code)
    assert.truthy(err.why:find "does not hold sys_time")
    assert.is_true(caps.check_plan(plan, { state = root }))
  end)

  it("is refused by the container that asks for it, with step and reason, and nothing has run", function()
    local lacking = all - caps.state().permitted
    if lacking:empty() then return pending "needs a caller that lacks a capability" end
    local marker = os.tmpname()
    os.remove(marker)
    local box = container { namespaces = { user = "host", mount = "host", pid = "host", ipc = "host", uts = "host",
      net = "host", cgroup = "host" }, capabilities = { lacking[1] } }
    local result, err = box:run { "/bin/touch", marker }
    assert.is_nil(result)
    assert.is_number(err.step)
    assert.equal("EPERM", err.code)
    assert.is_string(err.why)
    assert.is_nil(io.open(marker))
  end)

  it("is known for every operation that changes credentials", function()
    local nobody = root:with { uid = 7, gid = 7, effective = none, permitted = none }
    local changes = {
      keep_caps = { true }, securebits = { { "noroot" } }, capset = { "kill", "kill", "kill" },
      capbset_drop = { "kill" },
      ambient_raise = { "kill" }, ambient_lower = { "kill" }, ambient_clear = {}, no_new_privs = {},
      setresuid = { 5, 5, 5 }, setresgid = { 5, 5, 5 }, setgroups = { { 5 } },
    }
    local start = root:with { inheritable = "kill", ambient = "chown", groups = {} }
    for op, arguments in pairs(changes) do
      local plan = Plan.new()
      plan[op](plan, unpack(arguments)):exec { "/bin/true" }
      local of_root = step(assert(caps.walk(plan, { state = start })), op)
      local of_nobody = step(assert(caps.walk(plan, { state = nobody })), op)
      assert.is_truthy(of_root.err or of_root.state.origin:find("after " .. op, 1, true), op)
      assert.is_truthy(of_nobody.err or of_nobody.state.origin:find("after " .. op, 1, true), op)
    end
    -- The table in C marks what changes one thread alone.
    for path in trial.sh("ls csrc/ops/*.c"):gmatch "%S+" do
      for name in trial.read(path):gmatch '{ "([%w_]+)", [%w_]+, OP_CREDENTIALS' do
        -- These change more than the sets.
        local other = { seccomp = true, deny_keys = true, join_session_keyring = true, unshare = true, setns = true,
          landlock_restrict_self = true }
        assert.is_truthy(changes[name] or other[name], name)
      end
    end
  end)

  it("keeps permitted over a switch of IDs after keep_caps, as the kernel does", function()
    local plan = Plan.new():keep_caps(true):setresuid(33, 33, 33):capset("kill", "kill", "kill"):ambient_raise("kill")
      :expect_capabilities("kill", "kill", "kill", "all", "kill"):exec { "/bin/true" }
    assert.is_true(caps.check_plan(plan, { state = root }))
    plan = Plan.new():keep_caps(true):keep_caps(false):setresuid(33, 33, 33):capset("kill", "kill", "none")
      :exec { "/bin/true" }
    local ok, err = caps.check_plan(plan, { state = root })
    assert.is_nil(ok)
    assert.equal("capset", err.op)
    plan = Plan.new():securebits({ "keep_caps_locked" }):keep_caps(true):exec { "/bin/true" }
    ok, err = caps.check_plan(plan, { state = root })
    assert.is_nil(ok)
    assert.equal("keep_caps", err.op)
  end)

  it("is the kernel's for plans of random steps #slow", function()
    if problem then return pending(problem) end
    local seed = 4711
    local function pick(list)
      seed = (seed * 1664525 + 1013904223) % 4294967296
      return list[math.floor(seed / 65536) % #list + 1]
    end
    local sets = { "all", "none", "net_raw", "setuid,setpcap,kill", "setpcap", "all,-net_raw", "setgid,setuid,setpcap" }
    local bits = { {}, { "noroot" }, { "keep_caps" }, { "no_setuid_fixup" }, { "keep_caps_locked" } }
    local kinds = {
      function(plan) plan:capset(pick(sets), pick(sets), pick(sets)) end,
      function(plan) plan:capset("setuid,setgid,setpcap", "setuid,setgid,setpcap,kill", pick(sets)) end,
      function(plan) plan:capbset_drop(pick(sets)) end,
      function(plan) plan:ambient_raise(pick { "kill", "net_raw" }) end,
      function(plan) plan:ambient_clear() end,
      function(plan) plan:securebits(pick(bits)) end,
      function(plan) plan:keep_caps(pick { true, true, false }) end,
      function(plan) plan:keep_caps(true):setresuid(33, 33, 33) end,
      function(plan) plan:setresuid(pick { 0, 33 }, pick { 0, 33 }, pick { 0, 33 }) end,
      function(plan) plan:setresgid(pick { 0, 33 }, pick { 0, 33 }, pick { 0, 33 }) end,
      function(plan) plan:setgroups(pick { {}, { 33 } }) end,
      function(plan) plan:no_new_privs() end,
    }
    local ended = { executed = 0, refused = 0 }
    local maps_of_plan = ids()
    if type(maps_of_plan) == "function" then
      local decided = assert(policy.resolve(maps_of_plan, host.facts()))
      maps_of_plan = { uid = decided.uid, gid = decided.gid, text = decided.text, setgroups = decided.setgroups,
        via = decided.via, helper = decided.helper }
    else
      maps_of_plan.via = "parent"
    end
    for number = 1, 150 do
      local plan = Plan.new { namespaces = { "user" }, ids = maps_of_plan }
      plan:setresgid(0, 0, 0):setresuid(0, 0, 0)
      for _ = 1, 1 + number % 6 do pick(kinds)(plan) end
      plan:exec { "/bin/cat", "/proc/self/status", stdout = "capture", stderr = "null" }
      local list = assert(caps.walk(plan))
      local last = list[#list]
      local result, err = plan:run { timeout = 30 }
      if last.state then
        assert(result, ("%s\n%s"):format(tostring(err), tostring(plan)))
        for field, label in pairs { effective = "CapEff", permitted = "CapPrm", inheritable = "CapInh",
          bounding = "CapBnd", ambient = "CapAmb" } do
          assert.equal(result.stdout:match(label .. ":%s*(%x+)"), last.state[field]:mask(),
            field .. "\n" .. tostring(plan))
        end
        ended.executed = ended.executed + 1
      else
        assert.is_nil(result, tostring(plan))
        assert.equal(last.number, err.step, tostring(plan))
        assert.equal(last.err.code, err.code)
        ended.refused = ended.refused + 1
      end
    end
    assert.is_true(ended.executed > 20 and ended.refused > 20, ("%d, %d"):format(ended.executed, ended.refused))
  end)

  it("that a file's capabilities change is predicted with the file", function()
    local plan = Plan.new():capbset_drop("net_raw"):exec { "/bin/true" }
    local list = assert(caps.walk(plan, { state = root, file = { capabilities = "cap_net_raw=ep" } }))
    local last = list[#list]
    assert.is_nil(last.state)
    assert.equal("EPERM", last.err.code)
    local ok, err = caps.check_plan(plan, { state = root, file = { capabilities = "cap_net_raw=ep" } })
    assert.is_nil(ok)
    assert.truthy(err.why:find "outside the bounding set")
  end)

  it("is predicted from plans and states alone", function()
    assert.has_error(function() caps.walk(Plan.new():exec { "/bin/true" }, { state = {} }) end)
    assert.has_error(function() caps.walk(Plan.new():exec { "/bin/true" }, { stat = root }) end)
    assert.has_error(function() caps.walk(nil) end)
    assert.has_error(function() caps.check_plan("plan") end)
  end)
end)
