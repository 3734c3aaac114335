---@meta cella.plan
-- luacheck: ignore 212 (declarations: the functions are C, in csrc/ops)
-- Written by tools/meta.lua, from the comments and rows there: change those.
error "for editors and readers, not for running"

--- Every operation of cella.sys (meta/sys.lua) is a method of a plan too, with the same arguments: it records a
--- step, and returns the slot of one that yields a descriptor, else the plan. These are in a plan only (as are await,
--- init and call: see plan.lua).
---@class cella.plan
local plan = {}

---@class cella.slot  what a step yields: a descriptor that there will be

--- Moves this process into a new mount namespace, a copy of its own, that belongs to a new user namespace below its
--- own. A copy that is made of that later, by `unshare`, belongs to its own again, and the kernel locks in it every
--- mount: none can be unmounted, moved or given more than it allows (mount_namespaces(7)).
---@param keep_cwd boolean?  the working directory stays what it is, or the step fails; without, it may be "/" then
---@return cella.plan
function plan:unshare_mounts_below(keep_cwd) end

--- Closes every descriptor but these, whatever was open: close_range(2). The one by which the parent learns of failures
--- detached, until exec closes it.
---@param keep integer[]
---@param fd cella.fd?  one more to keep
---@return cella.plan
function plan:close_others(keep, fd) end

--- Tells the parent that this process is there, and sleeps until the parent sends the rest of the plan, and the
--- descriptors that it names. The executor does it.
---@return cella.plan
function plan:await_plan() end

--- Another process, born into new namespaces, goes on with the rest; this one ends: clone(2). Needed where a pid
--- namespace has been joined, which holds children only, and where new namespaces come after a join. The executor does
--- it.
---@param namespaces (cella.namespace|cella.namespace[])?
---@return cella.plan
function plan:fork(namespaces) end

--- That the parent is there still: who has died before pdeathsig sends nothing, but its end of the channel tells.
--- ECANCELED where it is not.
---@return cella.plan
function plan:expect_parent() end

--- That the kernel refuses to make a user namespace: tried, because no number tells. ENOTRECOVERABLE where it could be
--- made.
---@return cella.plan
function plan:expect_no_user_namespaces() end

--- That one of several paths is there and is a file that may be executed, as execve will try them, long before that
--- does.
---@param path string|string[]
---@return cella.plan
function plan:expect_program(path) end

--- Hands the parent a copy of a descriptor: unix(7), SCM_RIGHTS. The parent says that it has it
--- (parent/wait_for_exec.c): there may be no room for it there, and then the program must not run.
---@param fd cella.fd
---@return cella.plan
function plan:send_fd(fd) end

--- As seccomp, with a filter that has answers of the kind SECCOMP_RET_USER_NOTIF. Its listener goes to the parent, who
--- has to answer: execve(2) is to be among them, so that nothing is executed before. EBUSY where this process has such
--- a filter already; EAGAIN where it may have no thread for a moment, by its limits.
---@param filter string  a compiled classic BPF program
---@param policy string?  what a printed plan calls it
---@return cella.plan
function plan:seccomp_listener(filter, policy) end

--- That the kernel has locked the mount at the root, and with it, in one go, all below it: what is locked has its
--- setting of access times locked, and no other can be put in its place. Nothing else tells.
---@return cella.plan
function plan:expect_locked_mounts() end

return plan
