--- Writing the ID maps of a new user namespace (user_namespaces(7)): by the child itself, by the parent, or by
--- shadow's privileged helpers. Which, is policy's business (cella.policy); how, is here.

local core = require "cella.core"
local file = require "cella.host.file"
local idmap = require "cella.idmap.value"
local lazy = require "cella.lazy"
---@module "cella.plan.helper"
local helper = lazy "cella.plan.helper"
---@module "cella.subid.program"
local program = lazy "cella.subid.program"
local render = require "cella.plan.render"
local validate = require "cella.validate"

local rule = validate.rule
local M = {}

local function map(value, path)
  local result, message = idmap.try(value)
  if not result then validate.fail(path, "%s", message) end
  local writable, reason = result:writable()
  if not writable then validate.fail(path, "%s", reason) end
  return result
end

M.map_rule = map

local fields = rule.record({
  uid = map,
  gid = map,
  setgroups = rule.one_of { "allow", "deny" },
  via = rule.one_of { "self", "parent", "helper" },
  name = rule.string,
  text = rule.record({ uid = rule.string, gid = rule.string }, { "uid", "gid" }),
  helper = rule.record({ uid = rule.list(rule.string), gid = rule.list(rule.string) }, { "uid", "gid" }),
  newuidmap = rule.path,
  newgidmap = rule.path,
}, { "uid", "gid", "via" })

--- What a policy returns, checked.
function M.rule(value, path)
  local ids = fields(value, path)
  if ids.via == "self" and ids.setgroups == "allow" then
    validate.fail(validate.join(path, "setgroups"),
      'a process that writes its own gid_map has to deny setgroups first (Linux 3.19)')
  end
  return ids
end

--- The maps of a container's `ids`, given as a table: who writes them need not be said.
M.table_rule = rule.record({
  uid = map,
  gid = map,
  setgroups = rule.one_of { "allow", "deny" },
  via = rule.one_of { "self", "parent", "helper" },
}, { "uid", "gid" })

-- The kernel takes no extent that lies across two of the parent's map, even where they continue each other: a policy
-- knows where to cut.
local function text_of(ids, kind)
  return ids.text and ids.text[kind] or tostring(ids[kind])
end

local EXDEV = 18

-- A number is that of another process in a /proc of another pid namespace.
local function has_own_proc()
  local own = ("/proc/%d"):format(core.sys.getpid())
  if core.same_file(own, "/proc/self") or not core.inode "/proc/version" then return true end
  return nil, {
    errno = EXDEV, message = core.strerror(EXDEV),
    why = "the /proc that is mounted here is of another pid namespace, where a process has another number: mount one "
      .. "of the caller's (unshare --mount-proc)",
  }
end

local function step(call, perform)
  function call.perform(child, context)
    if not context.has_own_proc then
      local ok, err = has_own_proc()
      if not ok then return nil, err end
      context.has_own_proc = true
    end
    return perform(child, context)
  end
  return call
end

-- What the helpers take after the pid: canonical decimals, because they also read octal. A policy may cut extents
-- further than the kernel needs it.
local function helper_arguments(ids, kind)
  if ids.helper then return ids.helper[kind] end
  local list = {}
  for number in tostring(ids[kind]):gmatch("%d+") do list[#list + 1] = number end
  return list
end

-- A descriptor of /proc/PID that was opened while the child is ours and not reaped: it never comes to
-- mean another.
local function open_child(child)
  local directory, message, errno = core.open(("/proc/%d"):format(child:pid()), { "path", "directory" })
  if not directory then return nil, { message = message, errno = errno } end
  local ok
  ok, message, errno = child:kill(0)
  if ok then return directory end
  directory:close()
  return nil, { message = errno and core.strerror(errno) or message, errno = errno }
end

--- Calls a function with a descriptor of the child's directory in /proc.
---@param child userdata
---@param call fun(directory: userdata): any, table?
---@return any, table?  what it returns; or nil and the fields of an error
local function with_child(child, call)
  local directory, err = open_child(child)
  if not directory then return nil, err end
  local ok
  ok, err = call(directory)
  directory:close()
  return ok, err
end

M.with_child = with_child

-- What the kernel shows has to be what was asked for.
local function read_back(directory, kind, wanted)
  local text, message, errno = file.read(("/proc/self/fd/%d/%s_map"):format(directory:number(), kind))
  if not text then return nil, { message = message, errno = errno } end
  local actual = idmap.try(text)
  if actual == wanted then return true end
  return nil, {
    message = ("%s_map reads back as\n%s\n  and not as\n%s"):format(kind, actual and tostring(actual) or text,
      tostring(wanted)),
  }
end

local function write_in_proc(directory, name, text)
  local ok, message, errno = core.sys.write_file(name, text, nil, nil, directory:number())
  if ok then return true end
  return nil, { errno = errno, message = errno and core.strerror(errno) or message }
end

local function parent_steps(ids)
  local steps = {}
  local function add(name, text, kind)
    local call = render.call("write_file", { "path", "/proc/PID/" .. name }, { "data", text })
    call.args.kind = kind
    steps[#steps + 1] = step(call, function(child)
      local written = false
      local ok, err = with_child(child, function(directory)
        local done, problem = write_in_proc(directory, name, text)
        written = done == true
        if done and kind then return read_back(directory, kind, ids[kind]) end
        return done, problem
      end)
      if not ok and not written then err.map = { kind = kind, ids = ids } end
      return ok, err
    end)
  end
  if ids.setgroups == "deny" then add("setgroups", "deny") end
  add("uid_map", text_of(ids, "uid"), "uid")
  add("gid_map", text_of(ids, "gid"), "gid")
  return steps
end

-- Newer helpers take a descriptor of /proc/PID in place of the pid; their usage says so. Asked once.
local takes_fd = {}

local function helper_takes_fd(new_plan, path, seconds, context)
  if takes_fd[path] == nil then
    local plan = new_plan()
    plan:setsid()
    local process = plan:exec({ path, stdin = "null", stdout = "null", stderr = "capture" })
      :spawn { capture_limit = 4096 }
    if process then helper.note(process, context) end
    local result = process and helper.wait_for(process, math.min(10, seconds), context)
    if process and not result then helper.finish(process) end
    if not result then return false end -- is asked again
    takes_fd[path] = result.stderr:find("fd:", 1, true) ~= nil
  end
  return takes_fd[path]
end

-- The child is held by a descriptor, from which newer helpers take it (`takes`); who takes a number gets it only while
-- the child is there, as the child of this process that nobody has reaped.
local function start_helper(new_plan, path, child, ids, kind, takes, context)
  local directory, err = open_child(child)
  if not directory then return nil, err end
  local command = { path, tostring(child:pid()), stdin = "null", stdout = "null", stderr = "capture" }
  if takes then
    command[2] = "fd:3"
    command.fds = { [3] = directory:number() }
  end
  for _, argument in ipairs(helper_arguments(ids, kind)) do command[#command + 1] = argument end
  local plan = new_plan()
  plan:setsid() -- whatever it starts is of its group, and dies with it
  local process
  process, err = plan:exec(command):spawn { capture_limit = 4096, wait = false }
  directory:close()
  if process then helper.note(process, context) end
  return process, err
end

-- `till`: when it has to have ended.
local function finish_helper(process, err, child, kind, ids, till, context)
  -- Why not, is for explain to say of a helper, not of a program in a container.
  if not process then return nil, { message = err.message, errno = err.errno, path = err.path } end
  local result
  result, err = helper.wait_for(process, math.max(0, till - core.now()), context)
  if not result and not process.pid and err.code ~= "ETIMEDOUT" then
    return nil, { message = err.message, errno = err.errno, path = err.path }
  elseif not result then
    local late = err.code == "ETIMEDOUT"
    helper.finish(process)
    return nil, { message = late and "has not ended in time" or tostring(err), map = { kind = kind, ids = ids } }
  end
  if result.code ~= 0 then
    local said = result.stderr:gsub("%s+$", "")
    local name = ("new%sidmap"):format(kind:sub(1, 1))
    local path = ids[name] or name
    return nil, {
      message = said ~= "" and said or "ended with " .. tostring(result.code or result.signal),
      map = { kind = kind, ids = ids, helper = path:find "/" and path or program.find(path) },
    }
  end
  return with_child(child, function(directory) return read_back(directory, kind, ids[kind]) end)
end

local function helper_steps(new_plan, ids)
  local steps = {}
  local paths = { uid = ids.newuidmap or "newuidmap", gid = ids.newgidmap or "newgidmap" }
  local function call(kind)
    local numbers = helper_arguments(ids, kind)
    return { op = ("new%sidmap"):format(kind:sub(1, 1)), args = { kind = kind, numbers = numbers },
      text = ("%s PID %s"):format(paths[kind], table.concat(numbers, " ")) }
  end
  if ids.setgroups == "deny" then steps[1] = parent_steps(ids)[1] end
  -- The two run at once: each takes longer than everything else together.
  steps[#steps + 1] = step(call "uid", function(child, context)
    local seconds = math.min(30, context.left or 30)
    local till = core.now() + seconds
    local takes = {}
    for _, each in ipairs { "uid", "gid" } do
      takes[each] = helper_takes_fd(new_plan, paths[each], math.max(0.001, till - core.now()), context)
    end
    -- Their answers may have been there for long before anybody came for them.
    if takes_fd[paths.uid] ~= nil and takes_fd[paths.gid] ~= nil then till = core.now() + seconds end
    local uid_process, uid_error = start_helper(new_plan, paths.uid, child, ids, "uid", takes.uid, context)
    local gid_process, gid_error = start_helper(new_plan, paths.gid, child, ids, "gid", takes.gid, context)
    local ok, problem = finish_helper(uid_process, uid_error, child, "uid", ids, till, context)
    if not ok and gid_process then helper.finish(gid_process) end -- nobody will ask for it
    context.gid_helper = { process = gid_process, err = gid_error, till = till }
    return ok, problem
  end)
  steps[#steps + 1] = step(call "gid", function(child, context)
    local gid = context.gid_helper
    context.gid_helper = nil
    return finish_helper(gid.process, gid.err, child, "gid", ids, gid.till, context)
  end)
  return steps
end

--- Records the maps at the beginning of a plan; returns the steps of the parent, for which the child has to wait.
---@param plan cella.plan
---@param ids table  checked by M.rule
function M.record(plan, ids)
  if ids.via ~= "self" then
    return ids.via == "parent" and parent_steps(ids) or helper_steps(plan.new, ids)
  end
  plan:write_file("/proc/self/setgroups", "deny")
  plan:write_file("/proc/self/uid_map", tostring(ids.uid))
  plan:write_file("/proc/self/gid_map", tostring(ids.gid))
  plan:expect_map("/proc/self/uid_map", tostring(ids.uid))
  plan:expect_map("/proc/self/gid_map", tostring(ids.gid))
  return {}
end

return M
