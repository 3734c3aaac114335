-- What the reference consists of, in its order: modules and values, and where their annotations are. The reference is
-- made of it (tools/doc.lua), and spec/house/reference_spec.lua looks that nothing is missing.

---@class doc.section
---@field title string
---@field text string?     beside that of the file
---@field module string?   whose comment at the beginning stands here
---@field shown string     what stands before a name: "policy.", "process:"
---@field from { [1]: string, [2]: string? }[]  files, and the pattern of names that belong here
---@field classes string[]?  which are told here, of these files
---@field more string[]?   files of a class whose fields are the names
---@field there (fun(): table)?  what has these names when it runs
---@field makers table<string, string>?  a file, and what its M.new is to users
---@field internal string?  names that are for others of cella's modules

local function methods(make)
  return function() return getmetatable(make()).__index end
end

local function value(name) return function() return require(name) end end

---@type doc.section[]
local SECTIONS = {
  { title = "cella", shown = "cella.", from = {}, more = { "lua/cella.lua" }, classes = { "cella" },
    text = '`local cella = require "cella"`: each field is loaded when it is first used.', there = value "cella" },
  { title = "Tables that you write", shown = "", from = {}, classes = { "^cella%.container%.keys$", "%.keys$",
    "^cella%.namespaces%.", "^cella%.network%.",
    "^cella%.rlimits%.", "^cella%.root%.", "^cella%.mount%.", "^cella%.streams%.",
    "^cella%.command%." },
    text = "The keys of tables that describe something. An unknown one is refused, with the nearest that there is." },
  { title = "Containers", shown = "box:", from = { { "lua/cella/container.lua", "^Container:" },
    { "lua/cella/container.lua", "^M%.new$" } }, classes = { "cella.container" },
    text = "What `cella.container` returns.", makers = { ["lua/cella/container.lua"] = "container" },
    internal = "build hand_over is_still park rest_plan",
    there = methods(function() return require("cella.container").new {} end) },
  { title = "Processes", shown = "process:", from = { { "lua/cella/process.lua", "^Process[:.]" },
    { "lua/cella/enter/process.lua", "^Process%.methods:" }, { "lua/cella/process/wait.lua", "^M%.wait$" } },
    classes = { "cella.process", "cella.result" },
    text = "What `spawn` returns, and how it ended.", makers = { ["lua/cella/process/wait.lua"] = "wait" },
    there = function() return require("cella.process").methods end },
  { title = "Pools", shown = "pool:", from = { { "lua/cella/pool.lua", "^Pool[:.]" },
    { "lua/cella/pool.lua", "^M%.new$" } },
    classes = { "cella.pool" }, text = "What `cella.pool` returns.",
    makers = { ["lua/cella/pool.lua"] = "pool" }, there = methods(function()
      local pool = assert(require("cella.pool").new { require("cella.container").new {} })
      pool:close()
      return pool
    end) },
  { title = "Workers", shown = "worker:", from = { { "lua/cella/worker.lua", "^Worker[:.]" } },
    classes = { "cella.worker" }, text = "What `box:worker` returns.",
    internal = "waits_for has_ended", there = function() return require("cella.worker").methods end },
  { title = "Entering", shown = "entrance:", from = { { "lua/cella/enter.lua", "^Entrance:" },
    { "lua/cella/enter.lua", "^M%.new$" }, { "lua/cella/container.lua", "^Container:plan$" },
    { "lua/cella/container.lua", "^Container:spawn$" }, { "lua/cella/container.lua", "^Container:run$" } },
    classes = { "cella.entrance" }, text = "What `cella.enter` returns.",
    makers = { ["lua/cella/enter.lua"] = "enter" }, internal = "build", there = methods(function()
      return require("cella.enter").new { pid = require("cella.sys").getpid() }
    end) },
  { title = "Finding", shown = "found:", from = { { "lua/cella/found.lua", "^Found:" },
    { "lua/cella/found.lua", "^M%.find$" } }, classes = { "cella.found" }, text = "What `cella.find` returns.",
    makers = { ["lua/cella/found.lua"] = "find" }, there = methods(function()
      local own = require("cella.process.identity").of(require("cella.sys").getpid())
      return require("cella.found").find(own)
    end) },
  { title = "Plans", shown = "plan:", from = { { "lua/cella/plan.lua", "^methods:" },
    { "lua/cella/plan.lua", "^M%.new$" }, { "lua/cella/meta/plan.lua", "^plan:" } },
    classes = { "cella.plan", "cella.slot", "cella.plan.step", "cella.plan.done" },
    makers = { ["lua/cella/plan.lua"] = "plan" },
    internal = "await_steps branch meet input input_descriptor optional only_with rest visit",
    text = "Every operation of "
      .. "cella.sys is a method too.", there = methods(function() return require("cella.plan").new() end) },
  { title = "cella.sys: operations and queries", shown = "sys.", from = { { "lua/cella/meta/sys.lua", "^sys%." },
    { "lua/cella/sys.lua", "^sys%." } }, classes = { "cella.sys", "cella.capability_sets" },
    there = value "cella.sys" },
  { title = "cella.doctor", shown = "doctor.", module = "lua/cella/doctor.lua", from = {
    { "lua/cella/doctor.lua", "^M%." } }, classes = { "cella.doctor.Result", "cella.doctor.Finding" },
    there = value "cella.doctor" },
  { title = "cella.busted", shown = "boxed.", module = "lua/cella/busted.lua", from = {
    { "lua/cella/busted.lua", "^M%." }, { "lua/cella/busted/keys.lua", "^$" } }, internal = "give_way",
    there = value "cella.busted" },
  { title = "cella.policy", shown = "policy.", module = "lua/cella/policy.lua", from = {
    { "lua/cella/policy.lua", "^M%." } }, classes = { "cella.policy.Result" }, internal = "maker rests_on_facts via",
    there = value "cella.policy" },
  { title = "cella.idmap", shown = "idmap.", from = { { "lua/cella/idmap.lua", "^M%." },
    { "lua/cella/idmap/value.lua", "^M%.[nop]" } }, classes = { "cella.idmap.Extent", "cella.idmap.Report",
    "cella.idmap.Situation" }, there = value "cella.idmap" },
  { title = "ID maps", shown = "map:", from = { { "lua/cella/idmap/value.lua", "^methods:" } },
    classes = { "cella.IdMap" }, there = methods(function() return require("cella.idmap").new "" end) },
  { title = "cella.caps", shown = "caps.", module = "lua/cella/caps.lua", from = { { "lua/cella/caps.lua", "^M%." } },
    classes = { "cella.caps.explanation" }, there = value "cella.caps" },
  { title = "Sets of capabilities", shown = "set:", from = { { "lua/cella/caps/set.lua", "^methods:" } },
    classes = { "cella.caps.set" }, there = methods(function() return require("cella.caps").none end) },
  { title = "States of capabilities", shown = "state:", from = { { "lua/cella/caps/state.lua", "^methods:" },
    { "lua/cella/caps/rules.lua", "^methods:" }, { "lua/cella/caps/prctl.lua", "^methods:" },
    { "lua/cella/caps/apply.lua", "^state%.methods:" } },
    classes = { "cella.caps.state" }, there = function() return require("cella.caps.state").methods end },
  { title = "Capabilities of files", shown = "fileset:", from = { { "lua/cella/caps/fileset.lua", "^methods:" } },
    classes = { "cella.caps.fileset" }, there = methods(function() return require("cella.caps.fileset").wrap {} end) },
  { title = "cella.seccomp", shown = "seccomp.", module = "lua/cella/seccomp.lua", from = {
    { "lua/cella/seccomp.lua", "^M%." } }, internal = "rule rules filter_of told_filter decide closing_tcp handing_on",
    there = value "cella.seccomp" },
  { title = "Policies of system calls", shown = "policy:", from = { { "lua/cella/seccomp.lua", "^methods:" } },
    classes = { "cella.seccomp.policy" }, internal = "may_be_first refuses_start closes_tcp",
    there = methods(function() return require("cella.seccomp").named "default" end) },
  { title = "What was denied", shown = "event.", from = {}, classes = { "cella.denied.event" },
    text = "What the key `denied` of a command is called with." },
  { title = "cella.landlock", shown = "landlock.", module = "lua/cella/landlock.lua", from = {
    { "lua/cella/landlock.lua", "^M%." } }, internal = "rule held is_about_tcp without_filter",
    there = value "cella.landlock" },
  { title = "Policies of files and ports", shown = "policy:", from = { { "lua/cella/landlock.lua", "^methods:" } },
    classes = { "cella.landlock.policy" }, internal = "refuses_start",
    there = methods(function() return require("cella.landlock").policy { tcp = {} } end) },
  { title = "cella.cgroup", shown = "cgroup.", from = { { "lua/cella/cgroup.lua", "^M%." } },
    internal = "create facts needs rule",
    there = value "cella.cgroup" },
  { title = "cgroups", shown = "group:", from = { { "lua/cella/cgroup.lua", "^Group:" } },
    internal = "apply explain_birth number remove",
    classes = { "cella.cgroup", "cella.cgroup.usage" },
    text = "`process.cgroup`." },
  { title = "cella.namespace", shown = "namespace.", from = { { "lua/cella/namespace.lua", "^M%." } },
    classes = { "cella.namespace.kept" }, there = value "cella.namespace" },
  { title = "The hierarchy of namespaces", shown = "tree:", from = { { "lua/cella/tree.lua", "^M%.new$" },
    { "lua/cella/tree.lua", "^methods:" } }, classes = { "^cella%.tree" },
    makers = { ["lua/cella/tree.lua"] = "tree" }, text = "What `cella.tree` returns." },
  { title = "Processes seen", shown = "page:", from = { { "lua/cella/show.lua", "^M%.new$" },
    { "lua/cella/show.lua", "^methods:" }, { "lua/cella/same.lua", "^M%.of$" } }, classes = { "^cella%.show",
    "^cella%.same" },
    makers = { ["lua/cella/show.lua"] = "show", ["lua/cella/same.lua"] = "same" },
    text = "What `cella.show` and `cella.same` return." },
  { title = "cella.oci", shown = "oci.", module = "lua/cella/oci.lua", from = {
    { "lua/cella/oci/read.lua", "^M%.read$" } }, classes = { "^cella%.oci%.bundle$", "^cella%.oci%.hook$" },
    there = value "cella.oci" },
  { title = "cella.host", shown = "host.", from = { { "lua/cella/host.lua", "^M%." } }, classes = { "cella.Host" },
    text = "The facts about this host from which policies decide.", internal = "absent complete sets",
    there = value "cella.host" },
  { title = "Errors", shown = "err.", from = {},
    classes = { "cella.error", "cella.failure" }, text = "What comes behind nil." },
}

return SECTIONS
