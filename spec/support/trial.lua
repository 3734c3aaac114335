-- Trials: a command in a container, a command on the host, the command line; and what they leave behind.

local cella = require "cella"
local core = require "cella.core"
local host = require "cella.host"
local lfs = require "lfs" -- as busted
local mountinfo = require "cella.mountinfo"
local portable = require "spec.support.portable"
local sys = require "cella.sys"

local M = {}

-- Against a hang; nothing is decided by it. CELLA_PATIENCE is a factor for machines that are slower.
local PATIENCE = tonumber(os.getenv "CELLA_PATIENCE") or 1
local SECONDS = 30 * PATIENCE

function M.quote(word)
  return "'" .. (tostring(word):gsub("'", "'\\''")) .. "'"
end

--- What a shell command writes, to either stream.
function M.sh(command)
  local pipe = assert(io.popen("{ " .. command .. "\n} 2>&1 </dev/null", "r"))
  local output = pipe:read "*a"
  pipe:close()
  return output
end

--- The program that is Lua here, for the words of a command.
M.lua = portable.program

--- The checkout.
M.top = M.sh "pwd":gsub("\n$", "")

function M.read(path)
  local file = io.open(path)
  local text = file and file:read("*a")
  if file then file:close() end
  return text
end

--- Root with all that it takes, by the kernel's word; else what specs say that need it.
function M.lacks_root()
  local facts = host.facts()
  if facts.uid ~= 0 or not facts.initial or not facts.capabilities.sys_admin then return "needs root" end
  return nil
end

--- What specs say that need a user namespace, where there is none to be had.
function M.lacks_user_namespaces()
  local result = cella.plan({ namespaces = { "user" } }):exec({ "true" }):run()
  return not result and "needs user namespaces, which this host refuses" or nil
end

--- A shell script as the command of a container.
function M.script(text)
  return { "/bin/sh", "-c", text, stdout = "capture", stderr = "capture", timeout = SECONDS }
end

local function show(result)
  return ("%s %s\n%s%s"):format(result.reason, result.code or result.signal, result.stdout, result.stderr)
end

--- What a shell script in a container writes. The script has to succeed.
---@param description table  of the container
---@param text string
---@return string
function M.inside(description, text)
  local result, err = cella.container(description):run(M.script(text))
  if not result then error("no container: " .. tostring(err), 2) end
  if result.code ~= 0 then error(show(result), 2) end
  return result.stdout
end

--- The same without the last newline: for one word.
function M.word(description, text)
  return (M.inside(description, text):gsub("\n$", ""))
end

--- Whether a shell script in a container succeeds, and what it says to that.
function M.succeeds(description, text)
  local result, err = cella.container(description):run(M.script(text))
  if not result then error("no container: " .. tostring(err), 2) end
  return result.code == 0, result.stderr
end

--- What has to fail before the program: the error. `side effects` of a program that ran all the same are an error.
function M.refused(description, command)
  local result, err = cella.container(description):run(command or M.script "true")
  if result then error("it was not refused: " .. show(result), 2) end
  return err
end

--- What is raised, as text.
function M.raised(call, ...)
  local ok, message = pcall(call, ...)
  if ok then error("nothing was raised", 2) end
  return tostring(message)
end

--- Runs a program on the host, in no container. `words` may have stdin and environment too.
---@param seconds number?  that it may take, where that is more than anybody waits for a spec
---@return table result  stdout, stderr, and status as a shell has it
function M.host(words, seconds)
  local command = { stdin = "null", stdout = "capture", stderr = "capture" }
  for key, value in pairs(words) do command[key] = value end
  local result, err = cella.plan():exec(command):run { timeout = seconds or SECONDS }
  if not result then error(tostring(err), 2) end
  if result.reason == "timeout" then error("out of time: " .. show(result), 2) end
  result.status = result.code or 128 + result.signal_number
  return result
end

-- The runner's paths, for a process that may be anywhere.
local function absolute(paths)
  return ((";" .. paths):gsub(";%./", (";" .. M.top .. "/"):gsub("%%", "%%%%")):sub(2))
end

--- A Lua interpreter that finds the library, as words of a shell.
function M.interpreter()
  local path, cpath = absolute(package.path), absolute(package.cpath)
  return ("env LUA_PATH=%s LUA_CPATH=%s %s"):format(M.quote(path), M.quote(cpath), portable.program)
end

-- bin/cella is of lua5.4, and looks for its module in the folder of the Lua that performs it; a run of the specs with
-- another one has that tested.
local build = os.getenv "CELLA_BUILD"
local CLI = { M.top .. "/bin/cella" }
if build and build:find "sanitized" then
  CLI = { M.lua, "-e", "os.exit(require('cella.cli').main(arg), true)", "/dev/null" }
elseif M.lua ~= "lua5.4" then
  CLI = { M.lua, M.top .. "/bin/cella" }
end

--- The words of a command line of cella.
function M.cli(words)
  local command = {}
  for i, word in ipairs(CLI) do command[i] = word end
  for key, value in pairs(words) do
    command[type(key) == "number" and key + #CLI or key] = value
  end
  return command
end

--- The same for a shell.
function M.cli_text(words)
  local quoted = {}
  for i, word in ipairs(M.cli(words)) do quoted[i] = M.quote(word) end
  return table.concat(quoted, " ")
end

--- Runs cella; see host.
function M.cella(words)
  return M.host(M.cli(words))
end

local DIRECTORY = "^/tmp/cella%-trial%.%w+$"

--- An empty directory for a spec's files; remove it with `remove_directory`. No program is started for it: most specs
--- have one.
---@param mode integer?  0755 if none is given
function M.directory(mode)
  local random = assert(io.open "/dev/urandom")
  random:setvbuf "no"
  local path = "/tmp/cella-trial." .. random:read(8):gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  random:close()
  assert(lfs.mkdir(path))
  local fd = assert(core.open(path, { "rdonly", "directory" }))
  assert(sys.fchmod(fd:number(), mode or 493)) -- whatever the umask is
  fd:close()
  return path
end

function M.remove_directory(path)
  assert(path:find(DIRECTORY), path)
  if os.remove(path) then return end -- it was empty
  M.sh("rm -rf --one-file-system " .. path)
end

function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
  return path
end

-- A shell's words for waiting. It gives up after a while: not even a failure leaves a process behind.
local UNTIL = "n=0; until %s || [ $n = 1500 ]; do n=$((n + 1)); sleep 0.02; done"

--- Runs a shell command at a terminal of its own (script(1)). Each of `replies` is typed when its first string has
--- appeared: { "ready", "\3" }. Returns what was on the screen, and the status.
function M.terminal(command, replies)
  local directory = M.directory()
  local typing = {}
  for i, reply in ipairs(replies or {}) do
    M.write(("%s/%d"):format(directory, i), reply[2])
    -- The first line is script's own, and has the command in it.
    local appeared = ("sed 1d %s/screen 2>/dev/null | grep -q %s"):format(directory, M.quote(reply[1]))
    -- Or has it ended, and will never say it?
    typing[i] = ("%s; cat %s/%d"):format(UNTIL:format(("%s || [ -e %s/status ]"):format(appeared, directory)),
      directory, i)
  end
  -- Its input stays open until it has ended: the end of it would be typed as Ctrl-D.
  typing[#typing + 1] = UNTIL:format(("[ -e %s/status ]"):format(directory))
  local script = ("SHELL=/bin/sh script -qefc %s %s/screen; echo $? > %s/status"):format(M.quote(command), directory,
    directory)
  local line = ("{ %s; } | { %s; }"):format(table.concat(typing, "; "), script)
  local ok, result = pcall(M.host, { "/bin/sh", "-c", line })
  local status = tonumber(M.read(directory .. "/status") or "")
  M.remove_directory(directory)
  if not ok then error(result, 2) end
  return (result.stdout:gsub("\r\n", "\n")), status
end

--- Two thousand IDs from 0 on for a container: `ids`, and what 0 is outside. Nil and a reason where there are not as
--- many.
function M.several_ids()
  local first = 10000
  if M.lacks_root() then
    local facts = host.facts()
    local user, group = facts.subuid[1], facts.subgid[1]
    if not user or not group or not facts.newuidmap then
      return nil, "needs subordinate IDs (/etc/subuid, /etc/subgid) and newuidmap"
    elseif user.first ~= group.first or user.count < 2000 or group.count < 2000 then
      return nil, "needs a range of 2000 subordinate IDs, the same for users and groups"
    end
    first = user.first
  end
  local map = ("0 %d 2000"):format(first)
  return { uid = map, gid = map }, first
end

--- The same with me as root: 0 is the caller outside, 1 to 1999 are others.
function M.me_and_others()
  local _, first = M.several_ids()
  if type(first) ~= "number" then return nil, first end
  local _, uid = sys.getresuid()
  local _, gid = sys.getresgid()
  return { uid = ("0 %d 1\n1 %d 1999"):format(uid, first), gid = ("0 %d 1\n1 %d 1999"):format(gid, first) }
end

--- Waits until `condition` returns something true, and returns that.
function M.wait_for(condition, what)
  local till = core.now() + SECONDS
  while true do
    local value = condition()
    if value then return value end
    if core.now() > till then error("waited in vain for " .. what, 2) end
    core.poll({}, 0.005)
  end
end

-- The children of a process, as far as there are any yet.
local function children(pid)
  local list = {}
  for child in (M.read(("/proc/%d/task/%d/children"):format(pid, pid)) or ""):gmatch "%d+" do
    list[#list + 1] = tonumber(child)
  end
  return list
end

local function descendant(pid, name)
  for _, child in ipairs(children(pid)) do
    local comm = M.read(("/proc/%d/comm"):format(child))
    local found = comm == name .. "\n" and child or descendant(child, name)
    if found then return found end
  end
  return nil
end

--- Waits until a process, or one that descends from it, is a program of this name. (Between who starts a container and
--- its program there may be an init.)
function M.program(pid, name)
  return M.wait_for(function()
    return M.read(("/proc/%d/comm"):format(pid)) == name .. "\n" and pid or descendant(pid, name)
  end, ("%d to run %s"):format(pid, name))
end

--- Kills a process and all that descend from it.
function M.kill_tree(pid)
  for _, child in ipairs(children(pid)) do M.kill_tree(child) end
  M.sh("kill -9 " .. pid)
end

--- True while a process runs: not once it has ended and is only to be waited for. Its first thread, of which the letter
--- is, may have ended before others.
function M.runs(pid)
  local text = M.read(("/proc/%d/status"):format(pid)) or ""
  local letter, threads = text:match "\nState:%s*(%S)", tonumber(text:match "\nThreads:%s*(%d+)")
  return letter ~= nil and (letter ~= "Z" and letter ~= "X" or threads > 1)
end

--- A field of /proc/PID/status.
function M.status(pid, field)
  local text = assert(M.read(("/proc/%s/status"):format(pid)))
  return (text:match("\n" .. field .. ":%s*([^\n]*)"))
end

-- What a container could leave on the host: descriptors and children of this process, mounts, temporary files.
local function look()
  local list = {}
  for number = 0, 1023 do
    if core.is_open(number) then list[#list + 1] = "descriptor " .. number end
  end
  for pid in M.read(("/proc/self/task/%d/children"):format(sys.getpid())):gmatch "%d+" do
    list[#list + 1] = "child " .. pid
  end
  for line in io.lines "/proc/self/mountinfo" do list[#list + 1] = "mount " .. line end
  -- Not those of specs: others may run at the same time.
  for name in lfs.dir "/tmp" do
    if name:find "^crabcan" or name:find "^cella[._]" then list[#list + 1] = "file /tmp/" .. name end
  end
  for name in lfs.dir "/dev/shm" do
    if name:find("cella", 1, true) then list[#list + 1] = "file /dev/shm/" .. name end
  end
  return list
end

-- Whoever removes a directory, in whichever mount namespace, takes what is mounted on it away from all (since Linux
-- 3.18): that is not this process's doing. Its own umount(2) would have left the directory.
local function taken_away(line)
  local mount = mountinfo.parse(line:match "^mount (.*)" or "")[1]
  return mount ~= nil and lfs.symlinkattributes(mount.point, "mode") == nil
end

local function own(list)
  local lines = {}
  for _, line in ipairs(list) do
    if not line:find "^file" then lines[#lines + 1] = line end
  end
  return table.concat(lines, "\n")
end

local usual -- what this process has once all is gone that nobody has

--- What a container could leave on the host, for `nothing_left`.
function M.snapshot()
  -- The module keeps the program of its init open from the first container on.
  if not usual then cella.container({}):run { "true" } end
  local list = look()
  -- What no longer has an owner goes first: a collection takes long, and mostly there is none.
  if own(list) ~= usual then
    portable.collect()
    list = look()
    usual = own(list)
  end
  return list
end

local function difference(before, now)
  local was, is, left = {}, {}, {}
  for _, line in ipairs(before) do was[line] = true end
  for _, line in ipairs(now) do
    is[line] = true
    if not was[line] then left[#left + 1] = line end
  end
  for _, line in ipairs(before) do
    local lost = not is[line] and (line:find "^descriptor" or line:find "^mount") and not taken_away(line)
    if lost then left[#left + 1] = "lost: " .. line end
  end
  return left
end

--- Raises unless everything is as it was. (A file or a child may be away: it need not be of this process's making.)
function M.nothing_left(before)
  local left = difference(before, look())
  if #left == 0 then return end
  portable.collect()
  left = difference(before, look())
  -- Who was killed, and on a busy machine has not ended in a moment, is reaped with another start.
  local till = core.now() + 10
  while #left > 0 and core.now() < till do
    core.poll({}, 0.05)
    cella.container({}):run { "true" }
    portable.collect()
    left = difference(before, look())
  end
  if #left > 0 then error("left behind:\n" .. table.concat(left, "\n"), 0) end
end

local held = {}

--- What is closed when the spec has ended, the last first, in specs with `around`, or with leaks.check after each: a
--- process, a namespace, a file. Raises the error of a call that has made none.
---@generic T
---@param value T?
---@param err any
---@return T
function M.hold(value, err)
  if not value then error(tostring(err), 2) end
  held[#held + 1] = value
  return value
end

--- Closes what is held: with `around`, and `leaks.check`, that is done.
function M.release()
  local list = held
  held = {}
  for i = #list, 1, -1 do
    if io.type(list[i]) ~= "closed file" then list[i]:close() end
  end
end

--- Each spec has a directory of its own, which is removed, and nothing of what `look` sees may be left behind. `clean`
--- is called before that is asked, also where the spec has failed.
---@param before_each function  busted's, which exist in spec files alone
---@param after_each function
---@param prepare fun(directory: string)?
---@param clean fun()?
function M.around(before_each, after_each, prepare, clean)
  local before, directory
  before_each(function()
    before = M.snapshot()
    directory = M.directory()
    if prepare then prepare(directory) end
  end)
  after_each(function()
    -- What it asserts is said once all is away, so that one failure does not become those of all that follow.
    local cleaned, message = pcall(clean or function() end)
    M.release()
    M.remove_directory(directory)
    if not cleaned then error(message, 0) end
    M.nothing_left(before)
  end)
end

return M
