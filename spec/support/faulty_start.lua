-- Starts one container while strace injects a fault into it and its caller: for faults_spec. Attached once everything
-- is loaded, so that the counting of calls begins with the start.
--
-- arg: where strace writes, the directory that the program reports to, strace's further words.

local cella = require "cella"
local core = require "cella.core"
local policy = require "cella.policy"

local log, directory = arg[1], arg[2]

-- One program: each is traced from its first call to its last.
local REPORT = [[
exec sed -nE '$a end
  /^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:|Max open files)/p; /^[^ :]+$/p
  / \/out /d; s/^[0-9]+ [0-9]+ [0-9]+:[0-9]+ //p
  ' /proc/self/status /proc/self/limits /proc/sys/kernel/hostname /proc/self/mountinfo >/out/report
]]

local box = cella.container {
  hostname = "faulty",
  ids = policy.root(), -- the same each time: what is mounted shows who owns it
  rlimits = { nofile = 99 },
  root = {
    { type = "bind", source = "/usr", destination = "/usr", readonly = true },
    { type = "symlink", target = "usr/bin", destination = "/bin" },
    { type = "symlink", target = "usr/lib", destination = "/lib" },
    { type = "symlink", target = "usr/lib64", destination = "/lib64" },
    { type = "proc", destination = "/proc" },
    { type = "dev", destination = "/dev" },
    { type = "tmpfs", destination = "/tmp" },
    { type = "bind", source = directory, destination = "/out" },
  },
}
local command = { "/bin/sh", "-c", REPORT, stdout = "null", stderr = "null", timeout = 30 }
assert(box:plan(command)) -- what is loaded and asked once is

local function open_descriptors()
  local count = 0
  for number = 0, 99 do count = count + (core.is_open(number) and 1 or 0) end
  return count
end

local function traced()
  local file = io.open "/proc/self/status"
  local text = file and file:read "*a" or ""
  if file then file:close() end
  return not text:find "TracerPid:%s0\n"
end

core.runner_file()
local before = open_descriptors()
os.execute(("strace -f -o %s %s -p %d >/dev/null 2>&1 </dev/null &"):format(log, table.concat(arg, " ", 3),
  core.sys.getpid()))
repeat until traced()
local ok, process, err = pcall(box.spawn, box, command)
local said
if not ok then
  said = "raised: " .. tostring(process)
elseif not process then
  said = "refused: " .. tostring(err)
else
  local result
  result, err = process:wait()
  said = result and ("ended: %s %s"):format(result.reason, result.code or result.signal) or "lost: " .. tostring(err)
  process:close()
end
print((said:gsub("\n", " ")))
-- What had not ended in a moment, on a machine that has much else to do, is reaped when another child is started.
for _ = 1, 20 do
  if open_descriptors() <= before then break end
  core.poll({}, 0.1)
  pcall(function() cella.plan():exec({ "true", stdin = "null" }):run() end)
end
-- The fault may be in the counting.
print(math.min(open_descriptors(), open_descriptors()) - before)
