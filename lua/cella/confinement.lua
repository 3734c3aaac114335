--- What a process is confined by, as a list of attributes: a container gives them to its program, and who enters a
--- process takes on those that it has. Both hand a value for each attribute to M.record, which refuses to record
--- anything while one is missing: a new attribute cannot be forgotten in one of the two.
---
--- Namespaces, root and working directory are not among them: they are where a process is.

local lazy = require "cella.lazy"
---@module "cella.cgroup.description"
local cgroup = lazy "cella.cgroup.description"
---@module "cella.landlock"
local landlock = lazy "cella.landlock"
local blame = require "cella.blame"
local core = require "cella.core"
local cpulist = require "cella.cpulist"
local capabilities = require "cella.caps.set"
---@module "cella.caps.five"
local five = lazy "cella.caps.five"
local filter = require "cella.filter"
local mode = require "cella.mode"
local rlimits = require "cella.rlimits"
local status = require "cella.host.status"
local validate = require "cella.validate"

local rule = validate.rule
local M = {}

---@class cella.confinement.attribute
---@field rules { container: table<string, function>?, enter: table<string, function>? }?  the keys by which a user's
---  table says it, for a container and on entering
---@field steps table<string, fun(plan: cella.plan, value: any)>  by the names that the sequences below have
---@field expect fun(plan: cella.plan, value: any)?  records that it is read back, before exec
---@field read fun(facts: table, source: cella.confinement.source)?  takes it from the files in /proc of a process
---@field always any       the value, where it is the same for everybody
---@field unread string?   why it is not read from a process that is entered
---@field unexpected string?  why it is not read back

---@class cella.confinement.source
---@field status string   /proc/PID/status
---@field limits string   /proc/PID/limits
---@field cgroup string   /proc/PID/cgroup

---@type table<string, cella.confinement.attribute>
local attributes = {}
M.attributes = attributes

-- { limits = } of a container, or { moves = } to the cgroups of a process: a function, or nothing to do.
attributes.cgroups = {
  rules = { container = { cgroup = function(value, path) return cgroup.rule(value, path) end } },
  steps = {
    join = function(options, value)
      options.cgroup = value.limits
      options.created = value.moves or options.created
    end,
  },
  read = function(facts, source) facts.cgroups = source.cgroup end,
  unexpected = "who makes or moves a process sees the answer of the kernel",
}

-- { first =, program = }: of who makes things in the root of a container, whose modes are then what they are said to
-- be; and of the program, where that is another.
attributes.umask = {
  rules = { container = { umask = mode.mask_rule } },
  steps = {
    set = function(plan, value) plan:umask(value.first) end,
    set_last = function(plan, value)
      if value.program and value.program ~= value.first then plan:umask(value.program) end
    end,
  },
  read = function(facts, source) facts.umask = tonumber(status.field(source.status, "Umask") or "22", 8) end,
  unexpected = "umask(2) cannot fail",
}

-- How getrlimit(2) and proc(5) name the same.
local LIMITS = {
  ["Max cpu time"] = "cpu", ["Max file size"] = "fsize", ["Max data size"] = "data", ["Max stack size"] = "stack",
  ["Max core file size"] = "core", ["Max resident set"] = "rss", ["Max processes"] = "nproc",
  ["Max open files"] = "nofile", ["Max locked memory"] = "memlock", ["Max address space"] = "as",
  ["Max file locks"] = "locks", ["Max pending signals"] = "sigpending", ["Max msgqueue size"] = "msgqueue",
  ["Max nice priority"] = "nice", ["Max realtime priority"] = "rtprio", ["Max realtime timeout"] = "rttime",
}

-- A limit from 2^53 on is taken for 2^53, which every Lua has as an integer: less than it was, and never reached.
local HIGHEST = 9007199254740992

local function limit_of(text)
  if text == "unlimited" then return text end
  local number = tonumber(text)
  return number and (number < HIGHEST and number or HIGHEST)
end

-- { wanted =, ours = } of a container and of this process, which the end of its plan sets; or { theirs =, ours = } of
-- a process that is entered, and of this one.
attributes.limits = {
  rules = { container = { rlimits = rlimits.rule } },
  steps = {
    -- What has to be raised, while there is a privilege to; what is lowered, so that it holds from now on.
    set = function(plan, value)
      if value.wanted then return rlimits.record_raised(plan, value.wanted, value.ours) end
      local now = {}
      for resource, limit in pairs(value.theirs) do now[resource] = resource ~= "nproc" and limit or nil end
      rlimits.record_others(plan, now, value.ours)
    end,
    -- What would refuse a fork.
    set_last = function(plan, value)
      if value.theirs then rlimits.record_others(plan, { nproc = value.theirs.nproc }, value.ours) end
    end,
  },
  read = function(facts, source)
    facts.limits = {}
    for line in source.limits:gmatch("[^\n]+") do
      local name, soft, hard = line:match("^(%S.-)%s%s+(%S+)%s+(%S+)")
      local resource = name and LIMITS[name]
      if resource then
        facts.limits[resource] = { soft = limit_of(soft), hard = limit_of(hard) }
      end
    end
  end,
  unexpected = "setrlimit(2) sets what it was told, or fails",
}

-- How the program is scheduled, and how soon it is killed for memory: false where it stays as the caller is. It bounds
-- nobody who is in there, so who enters stays as he is too.
local OWN_BUSINESS = "every process may change its own"

attributes.nice = {
  always = false,
  rules = { container = { nice = rule.integer(-20, 19) } },
  steps = {
    set = function(plan, value)
      if value then plan:setpriority(value) end
    end,
  },
  expect = function(plan, value)
    if value then plan:expect_priority(value) end
  end,
  unread = OWN_BUSINESS,
}

attributes.cpus = {
  always = false,
  rules = { container = { cpus = cpulist.rule } },
  steps = {
    set = function(plan, value)
      if value then plan:sched_setaffinity(value) end
    end,
  },
  expect = function(plan, value)
    if value then plan:expect_affinity(value) end
  end,
  unread = OWN_BUSINESS,
}

-- While there is a /proc of the caller's.
attributes.oom_score_adj = {
  always = false,
  rules = { container = { oom_score_adj = rule.integer(-1000, 1000) } },
  steps = {
    set = function(plan, value)
      if value then plan:write_file("/proc/self/oom_score_adj", ("%d"):format(value)) end
    end,
  },
  unread = OWN_BUSINESS,
  unexpected = "who writes it sees the answer of the kernel",
}

-- What exec hands on from the caller, and must not: attributes that weaken a program, or tell it something. What
-- confines the caller confines the program too, and is not touched.
local NOT_HANDED_ON = "nobody hands it on: it is the same for every program"

attributes.personality = {
  always = 0, -- PER_LINUX (personality(2)): addresses are random, nothing readable is executable for that alone
  steps = { set = function(plan, value) plan:personality(value) end },
  expect = function(plan, value) plan:expect_personality(value) end,
  unread = NOT_HANDED_ON,
}

-- Before an init, whose child has its timer slack as the default.
attributes.timer_slack = {
  always = 50000, -- nanoseconds, that of process 1
  steps = { set = function(plan, value) plan:timer_slack(value) end },
  expect = function(plan, value) plan:expect_timer_slack(value) end,
  unread = NOT_HANDED_ON,
}

-- { are_default = } of the caller. Attributes of memory, which exec hands on: of the runner's, or of that of the copy
-- that a function runs in.
attributes.memory = {
  steps = {
    set = function(plan, value)
      if value.are_default then return end
      plan:thp_disable(false)
      plan:memory_merge(false)
    end,
    expect = function(plan) plan:expect_memory_defaults() end,
  },
  unread = NOT_HANDED_ON,
  unexpected = "its own step does, behind all others",
}

-- Or false: they stay as they are where nobody may change them, without CAP_SETPCAP.
attributes.securebits = {
  always = {},
  steps = {
    -- Or leaving uid 0 would empty the sets that the next steps need.
    keep_sets = function(plan, value)
      if value then plan:securebits { "no_setuid_fixup" } end
    end,
    set = function(plan, value)
      if value then plan:securebits(value) end
    end,
  },
  expect = function(plan, value)
    if value then plan:expect_securebits(value) end
  end,
  unread = "the kernel tells nobody those of another process",
}

-- { list =, sets = }: the list nil where they stay what they are, `sets` false where they are those by what happened
-- before.
attributes.groups = {
  steps = {
    set = function(plan, value)
      if value.list and value.sets ~= false then plan:setgroups(value.list) end
    end,
  },
  expect = function(plan, value)
    if value.list then plan:expect_groups(value.list) end
  end,
  read = function(facts, source) facts.groups = status.numbers(source.status, "Groups") end,
}

-- { uid =, gid =, unmapped = }: the last is what who has no ID is called inside, where nobody is to have one.
attributes.ids = {
  steps = {
    -- A user namespace of its own, in which no map is ever written. What it is made in, the root among it, belongs to
    -- the first one, over which nobody inside has anything. It gives all capabilities, which go with the next steps.
    leave = function(plan, value)
      if value.unmapped then plan:unshare("user") end
    end,
    set = function(plan, value)
      plan:setresgid(value.gid, value.gid, value.gid)
      plan:setresuid(value.uid, value.uid, value.uid)
    end,
  },
  expect = function(plan, value)
    local nobody = value.unmapped
    plan:expect_ids(nobody and nobody.uid or value.uid, nobody and nobody.gid or value.gid)
  end,
  read = function(facts, source)
    facts.uid, facts.gid = status.numbers(source.status, "Uid"), status.numbers(source.status, "Gid")
  end,
}

-- Whether others live there, who could trace the process before it is the program.
attributes.undumpable = {
  steps = {
    -- Where fs.suid_dumpable is 1 the switch of IDs has made it so.
    set = function(plan, value)
      if value then plan:dumpable(false) end
    end,
  },
  unread = "it is about who enters, until exec",
  unexpected = "exec makes the program dumpable or not by itself",
}

-- One set, which is all five; or each by its name.
local function capabilities_rule(value, path)
  local by_name = type(value) == "table" and getmetatable(value) == nil and type(next(value)) == "string"
  return (by_name and five.rule or capabilities.rule)(value, path)
end

-- The five, as masks. The bounding set is dropped from while there is CAP_SETPCAP; `keeps_bounding` where there never
-- was, and no_new_privs lets nobody gain of it.
attributes.capabilities = {
  rules = { container = { capabilities = capabilities_rule }, enter = { capabilities = capabilities_rule } },
  steps = {
    drop = function(plan, value)
      plan:ambient_clear()
      if not value.keeps_bounding then plan:capbset_drop(-value.bounding) end
    end,
    set = function(plan, value)
      plan:capset(value.effective, value.permitted, value.inheritable)
      if not value.ambient:empty() then plan:ambient_raise(value.ambient) end
    end,
  },
  expect = function(plan, value)
    plan:expect_capabilities(value.effective, value.permitted, value.inheritable, value.bounding, value.ambient)
  end,
  read = function(facts, source)
    local function mask(name) return core.caps.mask(status.field(source.status, name)) * capabilities.ALL end
    facts.sets = { effective = mask "CapEff", permitted = mask "CapPrm", inheritable = mask "CapInh",
      bounding = mask "CapBnd", ambient = mask "CapAmb" }
  end,
}

attributes.no_new_privs = {
  rules = { container = { no_new_privs = rule.boolean }, enter = { no_new_privs = rule.boolean } },
  steps = {
    set = function(plan, value)
      if value then plan:no_new_privs() end
    end,
  },
  expect = function(plan, value) plan:expect_no_new_privs(value) end,
  read = function(facts, source) facts.no_new_privs = status.field(source.status, "NoNewPrivs") == "1" end,
}

-- When a filter is put on, is said by `when` of these three attributes. The kernel takes it of who can gain nothing any
-- more (no_new_privs), or has sys_admin.
--   "program"     it is the program's, and not its init's, which says what it is (cella.enter.target)
--   "init"        the program could trace its init, and have it do what is refused to itself: both are under it
--   "privileged"  there is no no_new_privs, and the capability is about to be given up

-- { which =, when = }. Which of the kernel's keys a program reaches: none of them; a session keyring of its own, and
-- what its user has; the caller's.
local keyrings = rule.one_of { "none", "own", "host" }

local function at(when, act)
  return function(plan, value)
    if value.when == when then act(plan, value) end
  end
end

local function deny_keys(plan, value)
  if value.which ~= "none" then return end
  plan:deny_keys()
  plan.denies_keys = true
end

attributes.keys = {
  rules = { container = { keyrings = keyrings }, enter = { keyrings = keyrings } },
  steps = {
    make = function(plan, value)
      if value.which == "own" then plan:join_session_keyring() end -- it belongs to who makes it
    end,
    deny_privileged = at("privileged", deny_keys),
    deny_init = at("init", deny_keys),
    deny = at("program", deny_keys),
  },
  expect = function(plan)
    if plan.denies_keys then plan:expect_no_keys() end
  end,
  unread = "which keys a process reaches nobody else is told; whether it has a filter more is",
}

-- A filter that allows everything.
local ALLOWS = "\6\0\0\0\0\0\255\127" -- BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW

local function doubt(plan)
  plan:seccomp(ALLOWS, "allow all")
  plan.is_doubted = true
end

-- { when = }: where the program could trace its init, and there is no filter that would be the init's too, one that
-- allows everything is: nobody can take it from it, and by it nobody believes what it says (cella.enter.target).
attributes.init = {
  steps = {
    doubt_privileged = at("privileged", doubt),
    doubt = at("init", doubt),
  },
  unread = "it is about the init of a container, which who enters has none of",
  unexpected = "seccomp(2) does what it is told, or fails, and it confines nothing",
}

-- A list of what cella.landlock.held returns: each is a layer, and all have to allow it. Behind the steps that open
-- files, and the fork, which an init makes (plan.lua).
attributes.landlock = {
  rules = { container = { landlock = function(value, path) return landlock.rule(value, path) end },
    enter = { landlock = function(value, path) return landlock.rule(value, path) end } },
  steps = {
    set_last = function(plan, value) plan.landlock = #value > 0 and value or nil end,
  },
  unread = "the kernel tells nobody the rules of a process",
  unexpected = "its own step does, behind the rules, as far as something can be tried without consequences",
}

local function filter_early(plan, value)
  if not value.filter then return end
  plan:seccomp(value.filter.program, value.filter.name)
  plan.filter, plan.is_filtered = value.filter, value.when
end

-- { filter = of cella.filter or false, when = }: one more than those that fork and exec hand on. For the program alone
-- it is the last that is done before exec (plan.lua), or it would answer to the steps behind it.
attributes.seccomp = {
  rules = { container = { seccomp = filter.rule }, enter = { seccomp = filter.rule } },
  steps = {
    set_privileged = at("privileged", filter_early),
    set_init = at("init", filter_early),
    set_last = at("program", function(plan, value) plan.filter = value.filter or nil end),
  },
  read = function(facts, source)
    facts.seccomp = { mode = tonumber(status.field(source.status, "Seccomp") or "0"),
      filters = tonumber(status.field(source.status, "Seccomp_filters") or "1") }
  end,
  unexpected = "its own step does, behind the filter",
}

-- Whether the program is to die with the caller. An init sees the caller go, and whichever thread of it.
attributes.tie = {
  rules = { container = { die_with_parent = rule.boolean }, enter = { die_with_parent = rule.boolean } },
  steps = {
    -- After the switch of IDs, which erases it.
    set = function(plan, value)
      if value == "before exec" then plan:pdeathsig("kill"):expect_parent() end
    end,
    -- And after a fork, which does not hand it on.
    set_last = function(plan, value)
      if value == "last" then plan:pdeathsig("kill"):expect_parent() end
    end,
  },
  unread = "it is between the process and its parent",
  unexpected = "its own step does: the parent may be gone already",
}

-- In which order things are done. Groups before gid before uid, because the last takes away the right to the others.
local SEQUENCES = {
  birth = { "cgroups.join" }, -- into the options of a plan
  files = { "umask.set", "oom_score_adj.set" }, -- before anything is made that has a mode
  limits = { "umask.set_last", "nice.set", "cpus.set", "limits.set" },
  privileges = { "personality.set", "timer_slack.set", "securebits.keep_sets", "groups.set", "ids.set",
    "ids.leave", "undumpable.set", "keys.make", "init.doubt_privileged", "keys.deny_privileged",
    "seccomp.set_privileged", "capabilities.drop", "securebits.set", "capabilities.set", "no_new_privs.set",
    "init.doubt", "keys.deny_init", "seccomp.set_init", "tie.set", "landlock.set_last", "seccomp.set_last" },
  memory = { "memory.set", "memory.expect" },
  program = { "keys.deny" }, -- of the program alone, where there is an init
  last = { "limits.set_last" },
  tie = { "tie.set_last" },
}
M.SEQUENCES = SEQUENCES

--- In which order what has been set is read back, by the moments behind which that is.
M.READ_BACK = {
  privileges = { "ids", "groups", "capabilities", "securebits", "no_new_privs", "personality", "timer_slack", "nice",
    "cpus" },
  program = { "keys" },
}

-- Each sequence as a list of { attribute's name, step }.
local sequences = {}
for moment, list in pairs(SEQUENCES) do
  sequences[moment] = {}
  for i, item in ipairs(list) do
    local name, step = item:match "^(.-)%.(.*)$"
    sequences[moment][i] = { name, attributes[name].steps[step] }
  end
end

--- The values of all attributes, from those that somebody gives; those that are the same for everybody need not be.
---@param values table<string, any>
---@return table<string, any>
function M.complete(values)
  local whole = {}
  for name, attribute in pairs(attributes) do
    whole[name] = values[name]
    if whole[name] == nil then whole[name] = attribute.always end
    if whole[name] == nil then blame(("confinement: nothing is said about %s"):format(name)) end
  end
  for name in pairs(values) do
    if not attributes[name] then blame(("confinement: there is no attribute %s"):format(tostring(name))) end
  end
  return whole
end

--- Records the steps of a moment. What they set is read back at once, where it can be.
---@param plan cella.plan  for "birth", the options of one
---@param moment "birth"|"files"|"limits"|"privileges"|"memory"|"program"|"last"|"tie"
---@param values table<string, any>  of M.complete
function M.record(plan, moment, values)
  for _, step in ipairs(sequences[moment]) do step[2](plan, values[step[1]]) end
  for _, name in ipairs(M.READ_BACK[moment] or {}) do attributes[name].expect(plan, values[name]) end
end

--- Adds to the fields of a rule the keys by which a user's table says attributes.
---@param fields table<string, function>
---@param whose "container"|"enter"
---@return table<string, function>
function M.add_rules(fields, whose)
  for _, attribute in pairs(attributes) do
    for key, check in pairs(attribute.rules and attribute.rules[whose] or {}) do fields[key] = check end
  end
  return fields
end

--- What the files in /proc of a process say of all attributes that can be read.
---@param facts table  which they are added to
---@param source cella.confinement.source
function M.read(facts, source)
  for _, attribute in pairs(attributes) do
    if attribute.read then attribute.read(facts, source) end
  end
end

return M
