-- state:after_exec and the other rules against the kernel: the same steps, predicted by cella.caps and taken by a small
-- program (spec/support/caps_trial.c) that then executes another. What both end in has to be the same: each step's
-- error, all five sets, securebits, no_new_privs, the IDs, and whether the program is in secure mode.

local core = require "cella.core"
local Plan = require "cella.plan"
local caps = require "cella.caps"
local idmap = require "cella.idmap"
local portable = require "spec.support.portable"
local securebits = require "cella.caps.securebits"
local unpack = table.unpack or unpack

-- The rules are those of the kernel that runs; before 6.16 exec's differ, before 6.14 there are fewer securebits.
local osrelease = assert(io.open "/proc/sys/kernel/osrelease")
local kernel = osrelease:read("*l"):match "^%d+%.%d+"
osrelease:close()
local major, minor = kernel:match "(%d+)%.(%d+)"
local has_exec_bits = tonumber(major) > 6 or tonumber(major) == 6 and tonumber(minor) >= 14

local directory, problem -- where the programs are; why there are none
local nosuid -- whether the mount that they are on has it
local counts = { total = 0 }

local function run(command) return portable.execute(command) == true end

local function build()
  if not run "command -v cc >/dev/null" then return nil, "needs a C compiler (cc)" end
  directory = os.tmpname()
  os.remove(directory)
  assert(run(("mkdir -m 755 %s"):format(directory)))
  local flags = "-O1 -Wall -Werror"
  assert(run(("cc %s -o %s/caps_trial spec/support/caps_trial.c"):format(flags, directory)))
  assert(run(("cc %s -nostdlib -static -ffreestanding -fno-stack-protector -o %s/report spec/support/caps_report.c")
    :format(flags, directory)))
  nosuid = assert(caps.program(directory .. "/report")).nosuid
  return true
end

-- Files

local NR = "0000000000002000" -- net_raw
local NONE = ("0"):rep(16)
local V2, V2E, V3, V3E = 0x2000000, 0x2000001, 0x3000000, 0x3000001

-- name, mode, uid, gid [, permitted, inheritable, magic, rootid]
local FILES = {
  { "plain", 493, 0, 0 },
  { "suid_root", 2541, 0, 0 },
  { "suid_1001", 2541, 1001, 0 },
  { "sgid_1001", 1517, 0, 1001 },
  { "sgid_no_x", 1477, 0, 1009 }, -- 02705: without the group's x it means something else
  { "both_1001", 3565, 1001, 1001 },
  { "p", 493, 0, 0, NR, NONE, V2, 0 },
  { "ep", 493, 0, 0, NR, NONE, V2E, 0 },
  { "i", 493, 0, 0, NONE, NR, V2, 0 },
  { "ei", 493, 0, 0, NONE, NR, V2E, 0 },
  { "epi", 493, 0, 0, NR, NR, V2E, 0 },
  { "nothing", 493, 0, 0, NONE, NONE, V2, 0 },
  { "only_e", 493, 0, 0, NONE, NONE, V2E, 0 },
  { "ep_suid", 2541, 0, 0, NR, NONE, V2E, 0 },
  { "ep_two", 493, 0, 0, "0000000000002001", NONE, V2E, 0 },
  { "p_suid_1001", 2541, 1001, 0, NR, NONE, V2, 0 },
}
-- Those that only the initial user namespace's root can make.
local FOREIGN = {
  { "v3_ns", 493, 0, 0, NR, NONE, V3E, 100000 },
  { "v3_ns_p", 493, 0, 0, NR, NONE, V3, 100000 },
  { "v3_other", 493, 0, 0, NR, NONE, V3E, 100001 },
  { "suid_ns_root", 2541, 100000, 100000 },
  { "suid_ns_1000", 2541, 101000, 100000 },
  { "suid_no_group", 2541, 100000, 5 },
  { "sgid_ns", 1517, 100000, 101001 },
}

local function facts_of(file, mount_nosuid)
  local facts = { mode = file[2], uid = file[3], gid = file[4], nosuid = mount_nosuid }
  if file[7] then
    facts.capabilities = { permitted = "0x" .. file[5], inheritable = "0x" .. file[6],
      effective = file[7] % 2 == 1, rootid = file[8] }
  end
  return facts
end

-- Steps: { rule, arguments... }, and their text for the program.

local function step_text(step)
  local words = { step[1] }
  for i = 2, #step do
    local value = step[i]
    if step[1] == "securebits" then
      value = securebits.number(value)
    elseif step[1] == "setgroups" then
      value = table.concat(value, ",")
    elseif type(value) == "table" then
      value = value:mask()
    end
    words[i] = tostring(value):gsub(" ", "_")
  end
  return table.concat(words, ",")
end

local function predict_step(state, step)
  local name = step[1]
  if name == "unshare_user" then
    if step[2] == "-" then return state:after_unshare_user() end
    if step[2] == "self" then
      local parents = state.ids and { state.ids.uid }
      return state:after_unshare_user { ids = { parents = parents,
        uid = idmap.new { inside = step[3], outside = state.uid.effective, count = 1 },
        gid = idmap.new { inside = step[3], outside = state.gid.effective, count = 1 } } }
    end
    return state:after_unshare_user { ids = { uid = idmap.new(step[2]), gid = idmap.new(step[3]) } }
  elseif name:find "^setres" then
    local ids = {}
    for i = 1, 3 do ids[i] = step[i + 1] ~= -1 and step[i + 1] or nil end
    return state["after_" .. name](state, ids[1], ids[2], ids[3])
  end
  return state["after_" .. name](state, unpack(step, 2))
end

-- The line that the program prints of a state.
local function line_of(state, secure)
  local function shown(kind, id)
    if not state.ids then return id end
    return state.ids[kind]:inside(id) or 65534
  end
  local words = {}
  for _, name in ipairs { "effective", "permitted", "inheritable", "bounding", "ambient" } do
    words[#words + 1] = state[name]:mask()
  end
  words[#words + 1] = securebits.number(state.securebits)
  words[#words + 1] = state.no_new_privs and 1 or 0
  for _, kind in ipairs { "uid", "gid" } do
    for _, which in ipairs { "real", "effective", "saved" } do words[#words + 1] = shown(kind, state[kind][which]) end
  end
  words[#words + 1] = secure and 1 or 0
  return table.concat(words, " ")
end

local function state_of_line(line, ids)
  local masks, numbers = {}, {}
  for word in line:gmatch "%S+" do
    if #word == 16 then masks[#masks + 1] = "0x" .. word else numbers[#numbers + 1] = tonumber(word) end
  end
  return caps.new_state { effective = masks[1], permitted = masks[2], inheritable = masks[3], bounding = masks[4],
    ambient = masks[5], securebits = securebits.from_number(numbers[1]), no_new_privs = numbers[2] == 1,
    uid = { real = numbers[3], effective = numbers[4], saved = numbers[5] },
    gid = { real = numbers[6], effective = numbers[7], saved = numbers[8] }, groups = {}, ids = ids }
end

-- What the program would print for a trial.
local function predict(start, trial)
  local errors, state = {}, start
  for i, step in ipairs(trial.steps) do
    local after, err = predict_step(state, step)
    errors[i] = after and 0 or err.errno
    state = after or state
  end
  local before = ("C %d %s%s %s"):format(trial.number, table.concat(errors, ","), #errors > 0 and "," or "",
    line_of(state))
  local after, err = state:after_exec { file = trial.facts, kernel = kernel }
  return before, after and "A " .. line_of(after, after.secure) or ("X %d"):format(err.errno)
end

-- Starts the program as `user` (nil: as we are) and compares. `ids`: of its namespace, to itself.
local function compare(files, trials, options)
  local lines, input_name = {}, os.tmpname()
  for _, file in ipairs(files) do
    lines[#lines + 1] = ("F %s %o %d %d %s %s %x %d"):format(file[1], file[2], file[3], file[4], file[5] or "0",
      file[6] or "0", file[7] or 0, file[8] or 0)
  end
  for number, trial in ipairs(trials) do
    local words = {}
    for i, step in ipairs(trial.steps) do words[i] = step_text(step) end
    trial.number = number
    trial.line = ("T %d %s = %s"):format(number, table.concat(words, " "), trial.file)
    lines[#lines + 1] = trial.line
  end
  local input = assert(io.open(input_name, "w"))
  input:write(table.concat(lines, "\n"), "\n")
  input:close()

  local plan = Plan.new {}
  if options.user then
    plan:setgroups {}
    plan:setresgid(options.user, options.user, options.user)
    plan:setresuid(options.user, options.user, options.user)
  end
  local source = assert(core.open(input_name, "rdonly"))
  plan:exec { directory .. "/caps_trial", options.where, options.mount and "mount" or nil, stdin = source:number(),
    stdout = "capture", stderr = "capture" }
  local result = assert(plan:run { timeout = 600 }) -- against a hang
  source:close()
  os.remove(input_name)
  assert.equal("", result.stderr)
  assert.equal(0, result.code)

  local said = result.stdout:gmatch "([^\n]*)\n"
  local start = state_of_line(said():match "^S (.*)$", options.ids)
  local disagreements = {}
  for _, trial in ipairs(trials) do
    local before, after = predict(start, trial)
    local kernel_before, kernel_after = said() or "nothing", said() or "nothing"
    -- The program does not know of secure mode before exec; it ends every line with a blank.
    if before ~= kernel_before:gsub("%s+$", "") or after ~= kernel_after:gsub("%s+$", "") then
      disagreements[#disagreements + 1] = ("printf 'F ...\\n%s\\n' | caps_trial %s%s\n  predicted %s\n  kernel    %s\n"
        .. "  predicted %s\n  kernel    %s"):format(trial.line, options.where, options.mount and " mount" or "", before,
        kernel_before, after, kernel_after)
    end
  end
  counts.total = counts.total + #trials
  counts[#counts + 1] = ("%s %d"):format(options.name, #trials)
  assert(#disagreements == 0, ("%d of %d trials differ; the first:\n%s\nfiles:\n%s"):format(#disagreements, #trials,
    table.concat(disagreements, "\n", 1, math.min(3, #disagreements)),
    table.concat(lines, "\n", 1, #files)))
end

-- Every `stride`th of the product of the lists. The stride shares no factor with the lists' lengths.
local function cross(dimensions, stride, visit)
  local total = 1
  for _, list in ipairs(dimensions) do total = total * #list end
  for index = 0, total - 1, stride do
    local rest, choice = index, {}
    for i, list in ipairs(dimensions) do
      choice[i] = list[rest % #list + 1]
      rest = math.floor(rest / #list)
    end
    visit(unpack(choice))
  end
end

local set = caps.set
local none = caps.none
local net_raw = set "net_raw"
local few = set "net_raw,setuid,setpcap"

-- The sets, each in terms of what there is.
local SETS = {
  function(all) return { p = all, e = all, i = none, a = none } end,
  function(all) return { p = all, e = none, i = net_raw, a = none } end,
  function(all) return { p = all, e = all, i = net_raw, a = net_raw } end,
  function() return { p = net_raw, e = net_raw, i = net_raw, a = net_raw } end,
  function() return { p = few, e = few, i = none, a = none } end,
  function() return { p = none, e = none, i = none, a = none } end,
  function(all) return { p = all, e = all, i = all, a = none } end,
  function(all) return { p = all, e = all, i = all, a = all } end,
  function() return { p = net_raw, e = none, i = net_raw, a = none } end,
}
local BOUNDING = {
  function() return none end,
  function(all) return all end,
  function(all) return all - net_raw end,
  function() return net_raw end,
}
local PURE = { "noroot", "noroot_locked", "no_setuid_fixup", "no_setuid_fixup_locked", "keep_caps_locked",
  "no_cap_ambient_raise", "no_cap_ambient_raise_locked" }
local ROOT_BITS = { {}, { "noroot" }, PURE, { "noroot", "noroot_locked" }, { "no_cap_ambient_raise" } }
local KEEP = { {}, { "keep_caps" }, { "no_setuid_fixup" } }

local function joined(a, b)
  local list = { unpack(a) }
  for _, item in ipairs(b) do
    if not securebits.has(list, item) then list[#list + 1] = item end
  end
  return list
end

-- What is in common: sets, bounding, no_new_privs, in the order in which they can be had.
local function add_sets(steps, all, make_sets, make_dropped, nnp)
  local wanted = make_sets(all)
  steps[#steps + 1] = { "capset", all, all, wanted.i }
  if not wanted.a:empty() then steps[#steps + 1] = { "ambient_raise", wanted.a } end
  steps[#steps + 1] = { "capbset_drop", make_dropped(all) }
  steps[#steps + 1] = { "capset", wanted.e, wanted.p, wanted.i }
  if nnp then steps[#steps + 1] = { "no_new_privs" } end
end

local function is_initial_root()
  local _, euid = core.sys.getresuid()
  local map = idmap.of("self", "uid")
  return euid == 0 and map and map:covers(0, 4294967295)
end

local function user_namespaces()
  local result = Plan.new({ namespaces = { "user" } }):exec({ "/bin/true" }):run()
  return result ~= nil and result.code == 0
end

local ALL_FILES = {}
for _, file in ipairs(FILES) do ALL_FILES[#ALL_FILES + 1] = file end
for _, file in ipairs(FOREIGN) do ALL_FILES[#ALL_FILES + 1] = file end

local function programs(files)
  local list = {}
  for _, file in ipairs(files) do list[#list + 1] = { name = file[1], facts = facts_of(file, nosuid) } end
  for _, file in ipairs { FILES[2], FILES[8] } do
    list[#list + 1] = { name = "nosuid/" .. file[1], facts = facts_of(file, true) }
  end
  return list
end

describe("what a program will hold after exec #slow", function()
  setup(function()
    local ok, why = build()
    if not ok then problem = why end
  end)

  teardown(function()
    if directory then run("rm -rf " .. directory) end
    print(("\n%d programs executed and predicted: %s"):format(counts.total, table.concat(counts, ", ")))
  end)

  it("is as predicted for root and those it becomes", function()
    if problem then return pending(problem) end
    if not is_initial_root() then return pending "needs root of the initial user namespace" end
    local all = caps.state().permitted
    local ids = {
      { 0, 0, 0 }, { 0, 1000, 1000 }, { 0, 1000, 0 }, { 1000, 0, 0 }, { 1000, 1000, 1000 }, { 1000, 1001, 1001 },
      { 1000, 1000, 0 }, { -1, -1, -1 }, { -1, 1000, -1 },
    }
    local trials = {}
    cross({ programs(ALL_FILES), ids, KEEP, ROOT_BITS, SETS, BOUNDING, { false, true }, { {}, { 1001, 7 } },
      { false, true } }, 1049,
      function(program, triple, keep, bits, sets, dropped, nnp, groups, late)
        local steps = { { "setgroups", groups }, { "securebits", joined(bits, keep) } }
        if triple[1] == 1000 then steps[#steps + 1] = { "setresgid", 1000, triple[2], -1 } end
        -- Before the sets, which it then decides about; or last, when it takes from them.
        if late then add_sets(steps, all, sets, dropped, nnp) end
        steps[#steps + 1] = { "setresuid", unpack(triple) }
        if not late then add_sets(steps, all, sets, dropped, nnp) end
        trials[#trials + 1] = { steps = steps, file = program.name, facts = program.facts }
      end)
    compare(ALL_FILES, trials, { name = "root", where = directory })
  end)

  it("is as predicted after walks of single steps, refused ones among them", function()
    if problem then return pending(problem) end
    if not is_initial_root() then return pending "needs root of the initial user namespace" end
    local all = caps.state().permitted
    local sets = { all, none, net_raw, few, all - net_raw, set "setpcap", set "net_raw,kill",
      set "setuid,setpcap,kill" }
    local ids = { 0, 1000, 1001, -1 }
    local bits = { {}, { "noroot" }, { "keep_caps" }, { "no_setuid_fixup" }, { "keep_caps", "keep_caps_locked" }, PURE,
      { "no_cap_ambient_raise" }, { "exec_restrict_file" }, { "exec_restrict_file", "exec_restrict_file_locked" } }
    if not has_exec_bits then bits[8], bits[9] = {}, {} end
    -- Numerical Recipes' generator: the same walks every time.
    local seed = 12345
    local function pick(list)
      seed = (seed * 1664525 + 1013904223) % 4294967296
      return list[math.floor(seed / 65536) % #list + 1]
    end
    local kinds = {
      function() return { "capset", pick(sets), pick(sets), pick(sets) } end,
      function() return { "capset", all, all, pick(sets) } end,
      function() return { "capset", few, few, pick(sets) } end,
      function() return { "capbset_drop", pick(sets) } end,
      function() return { "ambient_raise", net_raw } end,
      function() return { "ambient_raise", set "kill" } end,
      function() return { "ambient_lower", pick(sets) } end,
      function() return { "ambient_clear" } end,
      function() return { "securebits", pick(bits) } end,
      function() return { "securebits", pick { bits[3], bits[5], bits[8], bits[9] } } end, -- a lock, and what it locks
      function() return { "setresuid", pick(ids), pick(ids), pick(ids) } end,
      function() return { "setresuid", pick(ids), pick(ids), pick(ids) } end,
      function() return { "setresgid", pick(ids), pick(ids), pick(ids) } end,
      function() return { "setgroups", pick { {}, { 1001 }, { 7, 8 } } } end,
      function() return { "no_new_privs" } end,
      function() return { "keep_caps", pick { true, false } } end,
    }
    local list, trials = programs(ALL_FILES), {}
    for number = 1, 900 do
      local steps, program = {}, list[number % #list + 1]
      if number % 2 == 0 then steps = { { "capset", all, all, all }, { "ambient_raise", net_raw } } end
      for _ = 1, 2 + number % 5 do steps[#steps + 1] = pick(kinds)() end
      trials[#trials + 1] = { steps = steps, file = program.name, facts = program.facts }
    end
    compare(ALL_FILES, trials, { name = "walks", where = directory })
  end)

  it("is as predicted in user namespaces, mapped or not, with a root or without, one in another", function()
    if problem then return pending(problem) end
    if not is_initial_root() then return pending "needs root of the initial user namespace" end
    local all, own = caps.all(), caps.state().permitted
    local before = {
      {}, { { "capbset_drop", own } }, { { "securebits", PURE } }, { { "no_new_privs" } },
      { { "setresgid", 1000, 1000, 1000 }, { "setresuid", 1000, 1000, 1000 } },
      { { "capset", own, own, net_raw }, { "ambient_raise", net_raw } },
    }
    local namespaces = {
      { { "unshare_user", "0 100000 65536", "0 100000 65536" } },
      { { "unshare_user", "5 100000 10", "5 100000 10" } },
      { { "unshare_user", "0 1000 1", "0 1000 1" } },
      { { "unshare_user", "1000 1000 2", "1000 1000 2" } },
      { { "unshare_user", "-" } },
      { { "unshare_user", "0 100000 65536", "0 100000 65536" }, { "setresgid", 7, 7, 7 }, { "setresuid", 7, 7, 7 },
        { "unshare_user", "self", 0 } },
      { { "unshare_user", "0 100000 65536", "0 100000 65536" }, { "setresgid", 7, 7, 7 }, { "setresuid", 7, 7, 7 },
        { "unshare_user", "self", 12 } },
      { { "unshare_user", "0 100000 65536", "0 100000 65536" }, { "unshare_user", "-" } },
    }
    local inner = { false, { 0, 0, 0 }, { 1000, 1000, 1000 }, { 0, 1000, 0 }, { 5, 5, 5 }, { 1000, 0, 0 }, { 99, 5,
      0 } }
    local trials = {}
    cross({ programs(ALL_FILES), before, namespaces, inner, KEEP, ROOT_BITS, SETS, BOUNDING, { false, true } }, 11411,
      function(program, first, namespace, triple, keep, bits, sets, dropped, nnp)
        local steps = { unpack(first) }
        for _, step in ipairs(namespace) do steps[#steps + 1] = step end
        steps[#steps + 1] = { "securebits", joined(bits, keep) }
        if triple then
          if triple[1] ~= 99 then steps[#steps + 1] = { "setresgid", triple[2], triple[2], triple[2] } end
          steps[#steps + 1] = { "setresuid", unpack(triple) }
        end
        add_sets(steps, all, sets, dropped, nnp)
        trials[#trials + 1] = { steps = steps, file = program.name, facts = program.facts }
      end)
    compare(ALL_FILES, trials, { name = "user namespaces", where = directory })
  end)

  -- The same suite, run by somebody else: with a directory of their own.
  local function as_nobody_special()
    local _, euid = core.sys.getresuid()
    local where = directory .. "/own"
    run(("mkdir -p -m 755 %s && cp %s/report %s"):format(where, directory, where))
    if euid ~= 0 then return where, nil, euid end
    assert(run(("chown -R 54321:54321 %s"):format(where)))
    return where, 54321, 54321
  end

  it("is as predicted for a user without privileges, in a user namespace of their own", function()
    if problem then return pending(problem) end
    if not user_namespaces() then return pending "needs user namespaces" end
    local where, user = as_nobody_special()
    local files, list = {}, {}
    for _, file in ipairs(FILES) do
      if file[3] == 0 and file[4] == 0 then files[#files + 1] = file end
    end
    for _, file in ipairs(files) do
      list[#list + 1] = { name = file[1], facts = facts_of(file) }
      list[#list + 1] = { name = "nosuid/" .. file[1], facts = facts_of(file, true) }
    end
    local trials = {}
    local namespaces = { false, { "unshare_user", "self", 0 }, { "unshare_user", "self", 9 }, { "unshare_user", "-" } }
    cross({ list, namespaces, KEEP, ROOT_BITS, SETS, BOUNDING, { false, true } }, 157,
      function(program, namespace, keep, bits, sets, dropped, nnp)
        local steps = { { "securebits", joined(bits, keep) } }
        if namespace then steps = { namespace, steps[1] } end
        add_sets(steps, caps.all(), sets, dropped, nnp)
        trials[#trials + 1] = { steps = steps, file = program.name, facts = program.facts }
      end)
    local one = { uid = idmap.new "0 0 1", gid = idmap.new "0 0 1" }
    compare(files, trials, { name = "unprivileged, own user namespace", where = where, user = user, mount = true,
      ids = one })
  end)

  it("is as predicted for a user without privileges", function()
    if problem then return pending(problem) end
    local where, user, id = as_nobody_special()
    local files = { { "plain", 493, id, id }, { "suid_self", 2541, id, id }, { "sgid_self", 1517, id, id } }
    local list, trials = {}, {}
    for _, file in ipairs(files) do list[#list + 1] = { name = file[1], facts = facts_of(file, nosuid) } end
    cross({ list, { { id, id, id }, { 0, 0, 0 }, { -1, id, -1 } }, KEEP, ROOT_BITS, SETS, BOUNDING, { false, true } },
      53,
      function(program, triple, keep, bits, sets, dropped, nnp)
        local steps = { { "setresuid", unpack(triple) }, { "securebits", joined(bits, keep) } }
        add_sets(steps, caps.all(), sets, dropped, nnp)
        trials[#trials + 1] = { steps = steps, file = program.name, facts = program.facts }
      end)
    compare(files, trials, { name = "unprivileged", where = where, user = user })
  end)

  it("was compared for hundreds of programs", function()
    if problem then return pending(problem) end
    if not user_namespaces() then return pending "needs user namespaces" end
    assert.is_true(counts.total >= 700, counts.total .. " only")
  end)
end)
