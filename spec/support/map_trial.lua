--- Tries a map on the real kernel, and says what came of it in the words of cella.idmap.check: "accepted", the name of
--- an errno, or "refused". A trial is a table with the text and the situation, as the check gets it.

local core = require "cella.core"
local check = require "cella.idmap.check"
local host = require "cella.host"
local idmap = require "cella.idmap"
local program = require "cella.subid.program"

local M = {}

local function name(errno) return core.errno_name(errno) or ("errno " .. tostring(errno)) end

-- A child that waits in a user namespace of its own, after some steps. Nil and the errno if a step failed.
local function waiting(record, namespaces)
  local recorder = core.recorder()
  if record then record(recorder) end
  recorder:record "await"
  local child, message, errno = core.launch(recorder, namespaces or { "user" })
  if not child then return nil, errno, message end
  assert(child:ready())
  return child
end

-- Lets it go on to its end, instead of killing it: what a killed one leaves on its stack, AddressSanitizer takes for
-- something that is there still.
local function finish(child)
  child:release()
  child:wait_for_exec(10)
  child:close()
end

local function map_file(kind) return ("/%s_map"):format(kind) end

local function path_of(child, kind) return ("/proc/%d"):format(child:pid()) .. map_file(kind) end

-- One write(2) on a descriptor that is open already: stdio's buffer is large enough.
local function flush(file, text)
  file:setvbuf("full", 65536)
  assert(file:write(text))
  local ok, _, errno = file:flush()
  return ok and "accepted" or name(errno)
end

local function write(path, text)
  local ok, _, errno = core.sys.write_file(path, text)
  return ok and "accepted" or name(errno)
end

-- Effective capabilities, one of them away, while `action` runs; permitted ones come back.
local function without(capabilities, action)
  local sets = assert(core.sys.capabilities())
  local effective = {}
  for _, held in ipairs(sets.effective) do
    local keep = true
    for _, dropped in ipairs(capabilities) do keep = keep and held ~= dropped end
    if keep then effective[#effective + 1] = held end
  end
  assert(core.sys.capset(effective, sets.permitted, sets.inheritable))
  local results = { pcall(action) }
  assert(core.sys.capset(sets.effective, sets.permitted, sets.inheritable))
  assert(results[1], results[2])
  return results[2], results[3], results[4]
end
M.without = without

-- As another effective user, for root: the saved ID leads back.
local function as(uid, gid, action)
  local before = assert(core.sys.capabilities())
  local _, old_uid = core.sys.getresuid()
  local _, old_gid = core.sys.getresgid()
  assert(core.sys.setresgid(nil, gid, nil))
  assert(core.sys.setresuid(nil, uid, nil))
  assert(core.sys.dumpable(true)) -- the switch took it away
  local results = { pcall(action) }
  assert(core.sys.setresuid(nil, old_uid, nil))
  assert(core.sys.setresgid(nil, old_gid, nil))
  assert(core.sys.capset(before.effective, before.permitted, before.inheritable))
  assert(core.sys.dumpable(true))
  assert(results[1], results[2])
  return results[2], results[3], results[4]
end
M.as = as

-- What newuidmap(1) says, as a verdict.
local function run_helper(child, kind, text)
  local argv = { assert(program.find("new" .. kind .. "map")), ("%d"):format(child:pid()) }
  for word in text:gmatch("%S+") do argv[#argv + 1] = word end
  local result = assert(program.run(argv))
  if result.code == 0 then return "accepted" end
  if result.stderr:find("Invalid argument", 1, true) then return "EINVAL", result.stderr end
  if result.stderr:find("Operation not permitted", 1, true) then return "EPERM", result.stderr end
  if result.stderr:find("Permission denied", 1, true) then return "EACCES", result.stderr end
  return "refused", result.stderr
end

local function gone(child)
  child:release()
  child:wait_for_exec(10)
  child:reap(true)
end

local function become_zombie(child)
  child:release()
  local status
  repeat
    local file = assert(io.open(("/proc/%d/stat"):format(child:pid())))
    status = file:read("*a"):match("%) (%a)")
    file:close()
  until status == "Z"
end

local ways = {}

function ways.parent(trial, situation)
  local kind = situation.kind
  local child = assert(waiting(trial.steps))
  local path = path_of(child, kind)
  if trial.before then trial.before(child) end
  if situation.setgroups == "deny" and not trial.inherits then
    assert(core.sys.write_file(("/proc/%d/setgroups"):format(child:pid()), "deny"))
  end
  if situation.target == "gone" then gone(child) end
  if situation.target == "zombie" then become_zombie(child) end
  local verdict, said = (trial.write or function() return write(path, trial.text) end)(child, path)
  local map = situation.target == nil and idmap.of(child:pid(), kind)
  finish(child)
  return verdict, map, said
end

function ways.helper(trial, situation)
  local child = assert(waiting(trial.steps))
  if trial.before then trial.before(child) end
  if situation.target == "gone" then gone(child) end
  if situation.target == "zombie" then become_zombie(child) end
  local verdict, said = run_helper(child, situation.kind, trial.text)
  local map = situation.target == nil and idmap.of(child:pid(), situation.kind)
  -- That of shadow 4.17 is content with no range at all, and writes nothing: there is no map.
  if verdict == "accepted" and map and #map:extents() == 0 then verdict = "EINVAL" end
  finish(child)
  return verdict, map, said
end

function ways.self(trial, situation)
  local path = "/proc/self" .. map_file(situation.kind)
  local recorder = core.recorder()
  if situation.setgroups == "deny" and not trial.inherits then
    recorder:record("write_file", "/proc/self/setgroups", "deny")
  end
  if trial.steps then trial.steps(recorder) end
  recorder:record("write_file", path, trial.text)
  local number = recorder:size()
  recorder:record "await"
  local child, _, errno = core.launch(recorder, { "user" })
  if not child then return name(errno) end
  child:ready()
  local map = idmap.of(child:pid(), situation.kind)
  if map and #map:extents() > 0 then
    finish(child)
    return "accepted", map
  end
  local ok, step, why = child:wait_for_exec(10)
  child:close()
  assert(ok == false, tostring(step))
  assert(step == number, ("step %d, not the write: %s"):format(step, name(why)))
  return name(why), nil
end

--- What the kernel did: the verdict, the map that is there then, and what a helper said.
function M.kernel(trial)
  local situation = { kind = "uid", writer = "parent" }
  for key, value in pairs(trial.situation or {}) do situation[key] = value end
  return ways[situation.writer](trial, situation)
end

--- What the check says, of the same.
function M.prediction(trial, facts)
  return check.check(trial.text, facts or host.facts(), trial.situation)
end

M.flush, M.write, M.waiting, M.finish, M.path_of = flush, write, waiting, finish, path_of

return M
