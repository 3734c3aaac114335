-- The sandbox as a plan: every step from the namespaces to exec, in bwrap's order. A container table of cella does not
-- say it, because bwrap's defaults are others and some options (--userns2, --disable-userns) are about the order of
-- steps.
local cella = require "cella"
local command = require "cella.command"
local core = require "cella.core"
local description = require "cella.root.description"
local host = require "cella.host"
local messages = require "bwrap.messages"
local root = require "cella.root"
local render = require "cella.plan.render"
local root_parts = require "bwrap.root"
local unpack = table.unpack or unpack
local sys = core.sys

local M = {}

local KINDS = { "user", "mount", "pid", "ipc", "uts", "net", "cgroup" } -- as namespaces(7) has them

local function read(path)
  local file = io.open(path)
  local text = file and file:read "*a"
  if file then file:close() end
  return text
end

local function wanted_namespaces(request)
  local wanted = { mount = true }
  for name in pairs(request.unshare) do wanted[name] = true end
  if request.unshare_user_try and (read "/proc/sys/user/max_user_namespaces" or "0\n") ~= "0\n" then
    wanted.user = true
  end
  if request.unshare_cgroup_try and sys.namespace "cgroup" then wanted.cgroup = true end
  return wanted
end

local function has_part(request, kind)
  for _, part in ipairs(request.parts) do
    if part.kind == kind then return true end
  end
  return false
end

-- Who the program is, and who the process is until the file system is done: devpts wants a uid 0 and a gid 0.
local function identity(request, wanted)
  local _, uid = sys.getresuid()
  local _, gid = sys.getresgid()
  local who = { outer_uid = uid, outer_gid = gid, uid = request.uid or uid, gid = request.gid or gid }
  who.first_uid, who.first_gid = who.uid, who.gid
  if wanted.user and not request.userns_block_fd then
    if has_part(request, "dev") then who.first_uid, who.first_gid = 0, 0 end
    who.again = request.disable_userns or who.first_uid ~= who.uid or who.first_gid ~= who.gid
    who.ids = {
      uid = ("%d %d 1"):format(who.first_uid, uid), gid = ("%d %d 1"):format(who.first_gid, gid),
      setgroups = "deny", via = "self",
    }
  end
  return who
end

-- While the child waits: tells of it, and lets somebody else write its ID maps.
local function holder(request, new)
  if not request.info_fd and not request.json_status_fd and not request.userns_block_fd then return nil end
  return function(facts)
    local pid = facts.pid
    -- Who does not hear of it waits for ever, or takes no program for one.
    local function tell(fd, format)
      local ok, message = messages.write(fd, messages.info(pid, new, format))
      return ok, ok or "Write to info_fd: " .. message:gsub("^write: ", "")
    end
    local ok, message = true, nil
    if request.info_fd then
      ok, message = tell(request.info_fd, messages.INFO)
      if request.info_fd > 2 then sys.close(request.info_fd) end
    end
    if ok and request.json_status_fd then ok, message = tell(request.json_status_fd, messages.STATUS) end
    if not ok then return nil, message end
    if request.userns_block_fd then
      sys.wait_for_byte(request.userns_block_fd)
      -- Without a map the program would be nobody inside and its old self outside.
      for _, name in ipairs { "uid_map", "gid_map" } do
        if (read(("/proc/%d/%s"):format(pid, name)) or "") == "" then
          return nil, ("nobody has written the %s of process %d"):format(name, pid)
        end
      end
    end
    return true
  end
end

-- What is said where one of the steps up to here fails.
local function purpose(plan, words)
  plan.purposes[#plan.purposes + 1] = { size = plan.recorder:size(), words = words }
end

local function begin(request, wanted, who)
  local new, join = {}, {}
  for _, name in ipairs(KINDS) do
    if wanted[name] then new[#new + 1] = name end
  end
  if request.userns then join[#join + 1] = { type = "user", fd = request.userns } end
  if request.pidns then join[#join + 1] = { type = "pid", fd = request.pidns } end
  local plan = cella.plan { namespaces = new, join = join, ids = who.ids }
  local hold = holder(request, new)
  if hold then plan:await(hold, "tell_and_wait") end
  plan.purposes = {}
  purpose(plan, request.userns and "Joining specified user namespace failed"
    or request.pidns and "Setting pidns failed" or "Creating new namespace failed")
  if request.userns then
    -- It may have other IDs for us than those that we came with.
    plan:securebits { "no_setuid_fixup" }
    if request.gid then plan:setresgid(who.gid, who.gid, who.gid) end
    purpose(plan, ("unable to switch to gid %d"):format(who.gid))
    if request.uid then plan:setresuid(who.uid, who.uid, who.uid) end
    purpose(plan, ("unable to switch to uid %d"):format(who.uid))
    plan:securebits {}
  end
  if wanted.net then plan:link_up "lo" end
  purpose(plan, "loopback: Failed RTM_NEWADDR")
  if request.hostname then plan:sethostname(request.hostname) end
  purpose(plan, ("Can't set hostname to %s"):format(request.hostname))
  return plan
end

local function file_system(plan, request, wanted)
  local parts, words, of = root_parts.parts(request, { own_pids = wanted.pid or request.pidns ~= nil })
  -- 493 is 0755
  parts.mode = 493
  local in_namespace = wanted.user or request.userns ~= nil
  local ok, checked = pcall(description.root_rule, parts, "root")
  if not ok and checked.validation then
    local number, reason = checked.validation:match "^root%[(%d+)%][^:]*: (.*)$"
    local part = of[tonumber(number)]
    error(("%s %s: %s"):format(part.option, part.destination, reason), 0)
  elseif not ok then
    error(checked, 0)
  end
  local done = root.record(plan, { root = checked, mounts = {} }, {
    unprivileged = in_namespace,
    maps_group = function(gid) return not in_namespace and host.facts().gid_map:covers(gid) end,
  })
  local words_of = {}
  for i, part in ipairs(checked) do words_of[part] = words[i] end
  for _, one in ipairs(done) do
    plan.purposes[#plan.purposes + 1] = { size = one.size, words = one.entry and words_of[one.entry] or nil }
  end
  purpose(plan, "pivot_root")
end

-- A second user namespace, in the first: there the IDs are the program's. The first has a limit that it cannot raise.
local function enter_again(plan, request, who, proc)
  if request.disable_userns then
    plan:write_file("sys/user/max_user_namespaces", "1\n", nil, nil, proc)
    purpose(plan, "cannot open /proc/sys/user/max_user_namespaces")
  end
  plan:unshare "user"
  plan:write_file("self/setgroups", "deny", nil, nil, proc)
  plan:write_file("self/uid_map", ("%d %d 1"):format(who.uid, who.first_uid), nil, nil, proc)
  plan:write_file("self/gid_map", ("%d %d 1"):format(who.gid, who.first_gid), nil, nil, proc)
  plan:close(proc)
  purpose(plan, "unshare user ns")
end

-- What --cap-add and --cap-drop leave; root begins with what it has, others with nothing. All are those that there are
-- to be had: in a user namespace of one's own each.
local function capabilities(request, uid, in_namespace)
  local kept = {}
  local function set(names, value)
    for _, name in ipairs(names) do kept[name] = value or nil end
  end
  local all = {}
  if #request.capabilities > 0 then
    for number = 0, sys.last_capability() do all[#all + 1] = number end
  end
  local numbers = {}
  local plan = core.recorder() -- which knows the names
  for _, number in ipairs(all) do
    plan:record("ambient_lower", { number })
    numbers[plan:describe(plan:size()):match '"(.-)"' or number] = true
  end
  if uid == 0 then set(sys.capabilities().effective, true) end
  for _, change in ipairs(request.capabilities) do
    if change.name ~= "ALL" then
      set({ change.name }, change.add)
    elseif change.add and in_namespace then
      for name in pairs(numbers) do kept[name] = true end
    elseif change.add then
      set(sys.capabilities().permitted, true)
    else
      kept = {}
    end
  end
  local list = {}
  for name in pairs(kept) do list[#list + 1] = name end
  table.sort(list, function(a, b) return tostring(a) < tostring(b) end)
  return list
end

local function privileges(plan, request, wanted, who)
  local keep = capabilities(request, who.outer_uid, wanted.user or request.userns ~= nil)
  local rest = { "all" }
  for _, name in ipairs(keep) do rest[#rest + 1] = "-" .. name end
  -- Root that says nothing of capabilities keeps what it has, as bwrap's users of that kind expect.
  local untouched = who.outer_uid == 0 and #request.capabilities == 0
  if not untouched or wanted.user or request.userns then plan:capbset_drop(rest) end
  if not untouched then
    local set = #keep > 0 and keep or "none"
    plan:ambient_clear()
    plan:capset(set, set, set)
    if #keep > 0 then plan:ambient_raise(set) end
    plan:expect_capabilities(set, set, set, set, set)
  end
  purpose(plan, "capset failed")
  plan:no_new_privs()
  if request.die_with_parent then
    plan:pdeathsig "kill" -- after the ID switch, which erases it
    plan:expect_parent()
  end
  if not request.userns_block_fd and not request.userns and not request.userns2 then
    plan:expect_ids(who.uid, who.gid)
  end
  plan:expect_no_new_privs(true)
  purpose(plan, "prctl(PR_SET_NO_NEW_PRIVS) failed")
end

local function current_directory()
  local pwd = os.getenv "PWD"
  if pwd and pwd:sub(1, 1) == "/" and core.same_file(pwd, ".") then return pwd end
  local result = cella.plan():exec({ "pwd", "-P", stdout = "capture", stderr = "null" }):run { timeout = 10 }
  return result and result.code == 0 and result.stdout:gsub("\n$", "") or nil
end

-- Returns the environment, and whether its PWD has to be found out when it is known.
local function working_directory(plan, request, old)
  local environment = request.environment
  environment.PWD = request.chdir or old or "/"
  if request.chdir then
    plan:chdir(request.chdir)
  else
    local home = environment.HOME
    home = home and home ~= "" and home or "/"
    plan:chdir_first { old or home, home, "/" }
  end
  purpose(plan, ("Can't chdir to %s"):format(request.chdir or "/"))
  plan:expect_cwd()
  return command.environment_list(environment), not request.chdir
end

local NULL = render.call("open", { "path", "/dev/null" }, { "flags", { "rdwr" } })

-- 0, 1, 2, --sync-fd and the lock files: nothing else gets into the sandbox.
local function descriptors(plan, request)
  local keep, taken = { 0, 1, 2 }, {}
  for _, fd in ipairs(request.descriptors) do taken[fd] = true end
  local free = 3
  for _, path in ipairs(request.locks) do
    while taken[free] do free = free + 1 end
    local slot = plan:openat2(path, "rdonly")
    purpose(plan, "Unable to open lock file " .. path)
    plan:lock(slot)
    purpose(plan, "Unable to lock file " .. path)
    plan:dup2(slot, free)
    keep[#keep + 1] = free
    free = free + 1
  end
  if request.sync_fd then
    plan:dup2(request.sync_fd, request.sync_fd) -- so that exec does not close it
    purpose(plan, "--sync-fd")
    keep[#keep + 1] = request.sync_fd
  end
  for fd = 0, 2 do
    if not core.is_open(fd) then
      plan:dup2(plan:input(NULL, function()
        local null, message, errno = core.open("/dev/null", "rdwr", nil, free)
        if null then return null end
        return nil, { message = message, errno = errno }
      end), fd)
    end
  end
  plan:close_others(keep)
end

--- The plan of a request; nothing happens yet. `plan.purposes` says what each step is for, in bwrap's words.
---@param request table
---@return cella.plan
function M.plan(request)
  local umask = sys.umask(0)
  sys.umask(umask)
  local old = current_directory()
  local wanted = wanted_namespaces(request)
  local who = identity(request, wanted)
  local plan = begin(request, wanted, who)
  local proc = who.again and plan:openat2("/proc", { "path", "directory" })
  plan:umask(0) -- modes are what was said
  file_system(plan, request, wanted)
  plan:umask(umask)
  if request.userns2 then
    local slot = plan:input_descriptor(request.userns2)
    plan:setns(slot, "user")
    plan:close(slot)
    purpose(plan, "Setting userns2 failed")
  end
  if who.again then enter_again(plan, request, who, proc) end
  if request.disable_userns or request.assert_userns_disabled then
    plan:expect_no_user_namespaces()
    purpose(plan, "creation of new user namespaces was not disabled as requested")
  end
  privileges(plan, request, wanted, who)
  local environment, pwd = working_directory(plan, request, old)
  if request.block_fd then
    plan:wait_for_byte(plan:input_descriptor(request.block_fd))
    purpose(plan, "--block-fd")
  end
  if wanted.pid and not request.as_pid_1 then plan:init(not request.die_with_parent) end
  if request.new_session then plan:setsid() end
  purpose(plan, "setsid")
  descriptors(plan, request)
  plan:sigdefault "all"
  plan:sigunblock()
  for _, filter in ipairs(request.filters) do plan:seccomp(filter) end
  purpose(plan, "prctl(PR_SET_SECCOMP)")
  plan.program = request.command[1]
  local argv = { unpack(request.command) }
  argv[1] = request.argv0 or argv[1]
  plan:execve(command.candidates(request.command[1], environment), argv, environment, pwd)
  return plan
end

return M
