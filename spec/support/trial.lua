-- Trials: a command in a container, a command on the host, the command line; and what they leave behind.

local able = require "spec.support.able"
local cella = require "cella"
local core = require "cella.core"
local host = require "cella.host"
local outside = require "spec.support.outside"
local sys = require "cella.sys"

local M = {}

local SECONDS = 60 -- against a hang; nothing is decided by it

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
---@return table result  stdout, stderr, and status as a shell has it
function M.host(words)
  local command = { stdin = "null", stdout = "capture", stderr = "capture" }
  for key, value in pairs(words) do command[key] = value end
  local result, err = cella.plan():exec(command):run { timeout = SECONDS }
  if not result then error(tostring(err), 2) end
  if result.reason == "timeout" then error("out of time: " .. show(result), 2) end
  result.status = result.code or 128 + result.signal_number
  return result
end

-- bin/cella looks for its module in build/lua5.4; a run of the specs with another one has that tested.
local build = os.getenv "CELLA_BUILD"
local CLI = { outside.top .. "/bin/cella" }
if build and not build:find("build/lua5.4", 1, true) then
  CLI = { "lua5.4", "-e", "os.exit(require('cella.cli').main(arg), true)", "/dev/null" }
end

--- The words of a command line of cella.
function M.cli(words)
  local command = {}
  for i, word in ipairs(CLI) do command[i] = word end
  for key, value in pairs(words) do
    if type(key) == "number" then key = key + #CLI end
    command[key] = value
  end
  return command
end

--- The same for a shell.
function M.cli_text(words)
  local quoted = {}
  for i, word in ipairs(M.cli(words)) do quoted[i] = outside.quote(word) end
  return table.concat(quoted, " ")
end

--- Runs cella; see host.
function M.cella(words)
  return M.host(M.cli(words))
end

--- Two thousand IDs from 0 on for a container: `ids`, and the outside ID of 0. Nil and a reason where there are not
--- as many.
function M.several_ids()
  local ok, reason = able "several_ids"
  if not ok then return nil, reason end
  local first = 10000
  if not able "root" then
    local facts = host.facts()
    local user, group = facts.subuid[1], facts.subgid[1]
    if not user or not group or user.first ~= group.first or user.count < 2000 or group.count < 2000 then
      return nil, "needs a range of 2000 subordinate IDs, the same for users and groups"
    end
    first = user.first
  end
  local map = ("0 %d 2000"):format(first)
  return { uid = map, gid = map }, first
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

function M.read(path)
  local file = io.open(path)
  local text = file and file:read("a")
  if file then file:close() end
  return text
end

--- The only child of a process, once there is one.
function M.child_of(pid)
  return M.wait_for(function()
    local text = M.read(("/proc/%d/task/%d/children"):format(pid, pid))
    return text and tonumber((text:match "%d+"))
  end, "a child of " .. pid)
end

--- Waits until a process has become a program with this name.
function M.becomes(pid, name)
  M.wait_for(function()
    return M.read(("/proc/%d/comm"):format(pid)) == name .. "\n"
  end, pid .. " to become " .. name)
end

--- True while a process runs: not once it has ended and is only to be waited for.
function M.runs(pid)
  local stat = M.read(("/proc/%d/stat"):format(pid))
  return stat ~= nil and not stat:find("^%d+ %(.*%) [ZX]")
end

--- A field of /proc/PID/status.
function M.status(pid, field)
  local text = assert(M.read(("/proc/%s/status"):format(pid)))
  return (text:match("\n" .. field .. ":%s*([^\n]*)"))
end

-- What a container could leave on the host: descriptors and children of this process, mounts, temporary files.
local LOOK = [[
ls -l /proc/%d/fd | grep -v "^total" | sed "s/.* \([0-9]* ->\)/\1/" | grep -v pipe: | sort
echo "children"
for pid in $(cat /proc/%d/task/*/children); do [ $pid = $$ ] || echo $pid; done
echo "mounts"
cat /proc/self/mountinfo
echo "temporary files"
ls -d /tmp/*cella* /tmp/*crabcan* /dev/shm/*cella* 2>/dev/null
]]

--- What there is now, for `nothing_left`.
function M.look()
  -- What no longer has an owner goes first.
  collectgarbage()
  collectgarbage()
  local pid = sys.getpid()
  return (outside.sh(LOOK:format(pid, pid)))
end

local function lines(text)
  local set = {}
  for line in text:gmatch "[^\n]+" do set[line] = true end
  return set
end

--- Raises unless everything is as it was.
function M.nothing_left(before)
  local now = M.look()
  if now == before then return end
  local was, list = lines(before), {}
  for line in now:gmatch "[^\n]+" do
    if not was[line] then list[#list + 1] = line end
  end
  if #list > 0 then error("left behind:\n" .. table.concat(list, "\n"), 0) end
end

return M
