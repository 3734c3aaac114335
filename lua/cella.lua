--- cella: Linux containers as Lua programs.

-- Where cella is installed: of which sources the bytecode is that was installed with them (csrc/bytecode).
local bytecode = nil
if bytecode then
  local found, use = pcall(require, "cella.bytecode")
  if found then use(bytecode) end
end

local lazy = require "cella.lazy"

-- A field is loaded when it is first asked for: a start needs few of cella's modules, and compiling them all takes
-- longer than it.
local FIELDS = {
  container = { "cella.container", "new", enter = true },
  plan = { "cella.plan", "new", enter = true },
  enter = { "cella.enter", "new", enter = true },
  find = { "cella.found", "find" },
  wait = { "cella.process.wait", "wait" },
  first = { "cella.first", "of", enter = true },
  pool = { "cella.pool", "new", enter = true },
  namespace = { "cella.namespace", enter = true },
  doctor = { "cella.doctor", "ask" },
  cgroup = { "cella.cgroup" },
  caps = { "cella.caps" },
  idmap = { "cella.idmap" },
  policy = { "cella.policy" },
  seccomp = { "cella.seccomp" },
  landlock = { "cella.landlock" },
  oci = { "cella.oci" },
  sys = { "cella.sys" },
  tree = { "cella.tree", "new" },
  show = { "cella.show", "new" },
  same = { "cella.same", "of" },
  load_everything = { "cella.everything" },
  use_huge_page = { "cella.core", "use_huge_page" },
}

---@class cella
---@field container fun(keys: cella.container.keys): cella.container  describes a container; see cella.container
---@field plan fun(options: cella.plan.keys?): cella.plan               an empty plan; see cella.plan
---@field enter fun(options: cella.enter.keys): cella.entrance?, cella.error?  takes hold of a process to start programs
---  in its namespaces; see cella.enter
---@field find fun(identity: string): cella.found?, cella.error?  a program that was detached, by what its handle said;
---  see cella.found
---@field wait fun(processes: cella.process[], timeout: number?): cella.process[]?, cella.error?  waits for the first of
---  several processes to end; see cella.process.wait
---@field first fun(list: cella.container[]): cella.container?, cella.error[]|cella.error  the first of several that can
---  be started here; see cella.first
---@field pool fun(description: table): cella.pool?, cella.error?  containers that are started before there is a command
---  for them; see cella.pool
---@field doctor fun(features: string|string[]|nil): cella.doctor.Result  tries what this host allows; print it; see
---  cella.doctor
---@field namespace cella.namespace.module  namespaces with names; see cella.namespace
---@field cgroup cella.cgroup.module  control groups; see cella.cgroup
---@field caps cella.caps.module  sets of capabilities; see cella.caps
---@field idmap cella.idmap.module  ID maps; see cella.idmap
---@field policy cella.policy.module  which IDs a container gets; see cella.policy
---@field seccomp cella.seccomp.module  policies of system calls; see cella.seccomp
---@field landlock cella.landlock.module  policies of files, ports and other processes; see cella.landlock
---@field oci cella.oci.module  bundles of other runtimes and of container engines; see cella.oci
---@field sys cella.sys  one system call at a time; see cella.sys
---@field tree fun(pid: integer?): cella.tree?, cella.error?  the hierarchy of namespaces, or what
---  has to do with one process; see cella.tree
---@field show fun(pid: integer): cella.show?, cella.error?  a page about a process; see cella.show
---@field same fun(one: integer, other: integer, types: string[]?): cella.same?, cella.error?  whether two processes are
---  in the same namespaces; see cella.same
---@field load_everything fun()  loads all of cella now, for a process that will be where cella's files are not, or may
---  not read them: behind a chroot(2) or setuid(2) that is not cella's
---@field use_huge_page fun(): boolean  for a program that does little more than start a container: what the process
---  takes from malloc(3) from now on lies in one huge page (madvise(2), MADV_HUGEPAGE), which is had at once, not by a
---  page fault for every 4 KiB. It takes up to 4 MiB, and changes for the whole process how its memory is had
---  (mallopt(3)). False where the C library or the kernel has no such thing: nothing is changed then
local M = { _VERSION = "cella dev" }

return setmetatable(M, { __index = function(_, name)
  local field = FIELDS[name]
  if not field then return nil end
  local value = lazy.load(field[1])
  if field.enter then lazy.load "cella.enter.process" end -- its processes have the method
  if field[2] then value = value[field[2]] end
  M[name] = value
  return value
end })
