-- Every system call of a start is made to fail once, in the caller and in the child: then there is an error and no
-- program, or a program that is confined as if nothing had happened. Never a hang, a leak, or something in between.
--
-- With CELLA_FAULTS=all each call fails in every way; else in one, by turns.

local cella = require "cella"
local trial = require "spec.support.trial"

local ERRORS = { "EPERM", "ENOMEM", "EAGAIN", "EMFILE", "ENOSPC", "ENOSYS", "EINTR" }
local AT_ONCE = 4
local PATIENCE = 60

-- These end a process, or come back from a signal: there is nothing to report to.
local NOT = { exit = true, exit_group = true, rt_sigreturn = true, restart_syscall = true,
  brk = true } -- which has no errors to return

-- What may fail once the child has been told to go on: the caller then knows nothing of it, and kills it.
local AFTERWARDS = { ppoll = true, poll = true, recvmsg = true, waitid = true, wait4 = true, read = true, close = true,
  fcntl = true, pidfd_send_signal = true, sendto = true, munmap = true, prctl = true, epoll_pwait = true,
  epoll_ctl = true }

local lacks = trial.lacks_user_namespaces()
if (os.getenv "CELLA_BUILD" or ""):find "sanitized" then lacks = "makes no call that the plain build does not make" end

local function start(directory, words)
  local line = ("exec %s spec/support/faulty_start.lua %s/log %s/out %s"):format(trial.interpreter(), directory,
    directory, words)
  return assert(cella.plan():exec({ "/bin/sh", "-c", line,
    stdout = "capture", stderr = "capture", stdin = "null",
  }):spawn { timeout = PATIENCE })
end

-- How often each call is made, by the process that makes it most.
local function calls(log)
  local counts, most = {}, {}
  for pid, name in log:gmatch "(%d+)%s+([%w_]+)%(" do
    local key = pid .. name
    counts[key] = (counts[key] or 0) + 1
    most[name] = math.max(most[name] or 0, counts[key])
  end
  return most
end

-- Whether the fault came (also) after the program had begun, and not in the caller: what is reported then is the
-- program's own affair.
local function hit_itself(log, caller)
  local named, begun
  for pid, line in (log or ""):gmatch "(%d+) +([^\n]*)" do
    named = named or line:find('execve("/bin/sh"', 1, true)
    begun = begun or named and line:find "^%S*%s?execve.* = 0$"
    if begun and tonumber(pid) ~= caller and line:find("(INJECTED)", 1, true) then return true end
  end
  return false
end

describe("a start in which a system call fails #slow", function()
  local top
  trial.around(before_each, after_each, function(own) top = own end)

  local function new_directory(name)
    local directory = top .. "/" .. name
    trial.sh(("mkdir -p -m 777 %s/out"):format(directory))
    return directory
  end

  it("ends in an error, or in the program as it should be", function()
    if lacks then pending(lacks) end
    local directory = new_directory "sound"
    local sound = assert(start(directory, ""):wait())
    assert.equal("ended: exited 0\n0\n", sound.stdout .. sound.stderr)
    local report = trial.read(directory .. "/out/report")
    assert.matches("\nend\n$", report)
    local sound_lines = {}
    for line in report:gmatch "[^\n]+" do sound_lines[line] = true end
    local most = trial.wait_for(function()
      local log = trial.read(directory .. "/log") or ""
      return log:find "exited with 0 %+%+%+\n$" and calls(log)
    end, "strace")

    local list, turn = {}, 0
    local names = {}
    for name in pairs(most) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
      -- What is made so often is made in a loop. A user's start makes few calls that root's does not. (All are made to
      -- fail with CELLA_FAULTS=all.)
      local step = most[name] > 40 and 12 or trial.lacks_root() and most[name] > 3 and 8 or most[name] > 8 and 4 or 1
      if os.getenv "CELLA_FAULTS" == "all" then step = 1 end
      for number = 1, NOT[name] and 0 or most[name], step do
        for _ = 1, os.getenv "CELLA_FAULTS" == "all" and #ERRORS or 1 do
          turn = turn + 1
          list[#list + 1] = { name = name, text = ("inject=%s:error=%s:when=%d"):format(name,
            ERRORS[turn % #ERRORS + 1], number) }
        end
      end
    end

    local wrong, answers = {}, { ended = 0, refused = 0, raised = 0, lost = 0 }
    local function judge(fault, result, said, log, caller)
      local text = ("%s: %s%s"):format(fault.text, result.stdout, result.stderr)
      local function bad(what) wrong[#wrong + 1] = what .. ": " .. text end
      if hit_itself(log, caller) then said = nil end
      local kind, left = result.stdout:match "^(%a+): [^\n]*\n(%-?%d+)\n$"
      if not kind and fault.name == "write" and result.reason == "exited" then return end -- the answer itself was hit
      if not kind then return bad(result.reason == "timeout" and "a hang" or "no answer") end
      answers[kind] = answers[kind] + 1
      if kind == "raised" then bad "raised what is to be returned" end
      -- A close that is not made leaves what it was to close.
      if left ~= "0" and fault.name ~= "close" then bad "descriptors left" end
      for line in (said or ""):gmatch "[^\n]+" do
        if not sound_lines[line] then bad("half confined, " .. line) end
      end
      if said and kind ~= "ended" and not AFTERWARDS[fault.name] then bad "ran though it was refused" end
    end

    local running = {}
    for i = 1, #list + AT_ONCE do
      local one = running[i - AT_ONCE]
      if one then
        local result = assert(one.process:wait())
        local report_made, log = trial.read(one.directory .. "/out/report"), trial.read(one.directory .. "/log")
        judge(list[i - AT_ONCE], result, report_made, log, one.process.pid)
        for _, name in ipairs { "/out/report", "/out", "/log", "" } do os.remove(one.directory .. name) end
        running[i - AT_ONCE] = nil
      end
      if list[i] then
        local place = new_directory(tostring(i))
        running[i] = { directory = place, process = start(place,
          ("-e trace=execve,%s -e %s"):format(list[i].name, list[i].text)) }
      end
    end
    if os.getenv "CELLA_FAULTS" then print(#list, require "pl.pretty".write(answers)) end
    assert.equal("", table.concat(wrong, "\n"))
    -- The faults were there: most calls of a start cannot fail without its failing.
    assert.is_true(answers.refused > #list / 3)
  end)
end)
