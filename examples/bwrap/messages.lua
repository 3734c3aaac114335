-- What is said: to people, in bwrap's words with cella's reason below, and to programs, as JSON.
local core = require "cella.core"
local sys = require("cella.core").sys

local M = { level_prefix = false }

--- The level is syslog's, 3 for errors and 4 for warnings, where a journal is to sort the lines (sd-daemon(3)).
function M.say(text, level)
  if M.level_prefix then text = text:gsub("[^\n]+", ("<%d>%%0"):format(level or 3)) end
  io.stderr:write(text, "\n")
end

--- A problem with the command line.
---@param problem { message: string?, usage: string? }
function M.refuse(problem)
  if problem.message then M.say("bwrap: " .. problem.message) end
  if problem.usage then io.stderr:write(problem.usage) end
end

-- The number of a step among the child's.
local function child_step(plan, number)
  local count = 0
  for _, step in ipairs(plan:steps()) do
    if step.number > number then break end
    if step.side == "child" then count = count + 1 end
  end
  return count
end

-- In bwrap's words, what a failing step was there for; and whether that says why, too.
local function subject(plan, err, request)
  if err.op == "execve" then return "execvp " .. request.command[1] end
  if err.op == "tell_and_wait" then return nil end
  local copied = err.side == "parent" and tonumber((err.text or ""):match "dup%((%d+)%)")
  if copied then
    if copied == request.userns then return "Joining specified user namespace failed" end
    if copied == request.pidns then return "Setting pidns failed" end
    if copied == request.userns2 then return "Setting userns2 failed" end
    if copied == request.block_fd then return "--block-fd " .. copied end
    for _, part in ipairs(request.parts) do
      if copied == part.fd then return part.option .. " " .. copied end
    end
  end
  local index = err.step and err.side == "child" and child_step(plan, err.step)
  for _, purpose in ipairs(plan.purposes) do
    if index and index <= purpose.size then
      if type(purpose.words) == "function" then return purpose.words(err, request) end
      return purpose.words
    end
  end
  return err.op == "clone3" and "Creating new namespace failed" or err.op .. " failed"
end

--- What went wrong while the sandbox was put together.
---@param failure string|{ plan: cella.plan, err: cella.error }
---@param request table
function M.failed(failure, request)
  if type(failure) == "string" then return M.say("bwrap: " .. failure) end
  local err = failure.err
  local words, complete = subject(failure.plan, err, request)
  -- Where what was looked for was not so, the kernel has no word for it.
  if err.code ~= "ENOTRECOVERABLE" and not complete then words = (words and words .. ": " or "") .. err.message end
  M.say("bwrap: " .. words)
  if err.text and not (err.op == "execve" and err.code == "ENOENT") then
    M.say(("  in step %s, %s"):format(tostring(err.step), err.text) .. (err.why and "\n  " .. err.why or ""))
  end
end

local KINDS = { "cgroup", "ipc", "mnt", "net", "pid", "uts" }
local NAME = { mnt = "mount" }

--- The pid of the child and the namespaces that it has to itself.
---@param pid integer
---@param new string[]      names of cella's
---@param format { open: string, item: string, close: string }
function M.info(pid, new, format)
  local is_new = {}
  for _, name in ipairs(new) do is_new[name] = true end
  local text = { format.open:format(pid) }
  for _, kind in ipairs(KINDS) do
    local name = NAME[kind] or kind
    local inode = is_new[name] and sys.namespace(name, pid)
    if inode then text[#text + 1] = format.item:format(kind, inode) end
  end
  return table.concat(text) .. format.close
end

M.INFO = { open = '{\n    "child-pid": %d', item = ',\n    "%s-namespace": %d', close = "\n}\n" }
M.STATUS = { open = '{ "child-pid": %d', item = ', "%s-namespace": %d', close = " }\n" }

--- Writes to a descriptor of the caller's.
function M.write(fd, text)
  return core.sys.write(fd, text)
end

return M
