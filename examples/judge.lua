-- Judges a stranger's C program, as a programming contest would: compiles it, runs it on each input, and compares what
-- it writes with what is right.
--
--   lua5.4 examples/judge.lua program.c tests/        with tests/1.in, tests/1.out, tests/2.in, ...
--
-- Neither the compiler nor the program sees anything of the host that it does not need: the compiler has /usr and the
-- source, the program its input and an empty /tmp. Nothing is written to the host at all: the source goes in as data,
-- the program comes out through a pipe.
--
-- Limits are kept by a cgroup where this process may have them; else by rlimits, which count for each process alone
-- (memory) or for each user of the container (processes).
local argparse = require "argparse"
local cella = require "cella"
local policy = require "cella.policy"

local parser = argparse("judge", "Judges a C program.")
parser:argument("source", "the program")
parser:argument("tests", "a directory: NAME.in, and NAME.out with what is right")
parser:option("--time", "seconds of processor time; three times as many may pass"):default("1"):convert(tonumber)
parser:option("--memory", "MiB"):default("64"):convert(tonumber)
parser:option("--processes", "how many there may be at once"):default("1"):convert(tonumber)
parser:option("--output", "KiB that it may write"):default("1024"):convert(tonumber)
parser:option("--cgroup", "the cgroup below which to make those of the runs"):default("")
local request = parser:parse()

local MIB, KIB = 1048576, 1024

local function read(path)
  local file = assert(io.open(path, "rb"))
  local data = assert(file:read "*a")
  file:close()
  return data
end

-- IDs of its own, where there are any: root's own are exempt from the limit of processes, and a user's are the user's.
-- Root needs nobody to grant them, and has them by default.
local ids = require("cella.host").facts().uid == 0 and policy.default()
  or policy.first { policy.subids(), policy.default() }

local function has_controllers(...)
  local list = cella.cgroup.controllers(request.cgroup ~= "" and request.cgroup or nil)
  local there = {}
  for _, name in ipairs(list or {}) do there[name] = true end
  for _, name in ipairs { ... } do
    if not there[name] then return false end
  end
  return true
end

local parent = request.cgroup ~= "" and request.cgroup or nil
local in_cgroup = has_controllers("memory", "pids")

-- Memory in MiB. The init of a container is a process of the same user, and in the same cgroup.
local function limits(memory, processes)
  local all = { rlimits = { core = 0, nofile = 64, nproc = processes + 1 } }
  if in_cgroup then
    all.cgroup = { memory = memory * MIB, swap = 0, pids = processes + 1, parent = parent }
  else
    all.rlimits.as = memory * MIB
  end
  return all
end

local compiler = limits(1024, 64)
compiler.ids = ids
compiler.root = {
  readonly = true,
  { type = "bind", source = "/usr", destination = "/usr", readonly = true },
  { type = "symlink", target = "usr/bin", destination = "/bin" },
  { type = "symlink", target = "usr/lib", destination = "/lib" },
  { type = "symlink", target = "usr/lib64", destination = "/lib64" },
  { type = "dev", destination = "/dev" },
  { type = "tmpfs", destination = "/tmp", size = "256M" },
  { type = "file", destination = "/program.c", content = read(request.source) },
}

local function compile()
  local result = assert(cella.container(compiler):run {
    "sh", "-c", "gcc -O2 -static -o /tmp/program /program.c -lm && cat /tmp/program",
    stdin = "null", stdout = "capture", stderr = "capture", timeout = 60, cpu_limit = 30, output_limit = 64 * MIB,
    capture_limit = 64 * MIB,
  })
  return result.code == 0 and result.stdout or nil, result.reason == "exited" and result.stderr or result.reason
end

local function runner(program)
  local description = limits(request.memory, request.processes)
  description.ids = ids
  description.rlimits.fsize, description.rlimits.stack = MIB, request.memory * MIB
  description.root = {
    readonly = true,
    { type = "file", destination = "/program", content = program, mode = "555" },
    { type = "tmpfs", destination = "/tmp", size = "4M" },
  }
  description.environment = { PATH = false, HOME = false, TERM = false } -- it gets none at all
  description.proc = false -- it has nothing to look for there
  return cella.container(description)
end

-- How the program ended, in the words of a contest.
local function verdict(result, wanted)
  local reason, signal = result.reason, result.signal
  if reason == "timeout" or reason == "cpu" then return "time limit" end
  if reason == "oom" then return "memory limit" end
  if reason == "output" then return "output limit" end
  if signal == "xfsz" then return "file limit" end
  -- Where each process is limited by itself, it is refused memory, and what it makes of that is its own affair.
  local refused = not in_cgroup and result.usage.max_rss > request.memory * MIB * 0.8
  if refused and result.code ~= 0 then return "memory limit" end
  if signal then return "runtime error: signal " .. signal end
  if result.code ~= 0 then return "runtime error: exit status " .. result.code end
  local function words(text) return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")) end
  return words(result.stdout) == words(wanted) and "accepted" or "wrong answer"
end

local function names()
  local list = {}
  -- `ls` because Lua has nothing of the kind; of one's own directory.
  local pipe = assert(io.popen("ls -- '" .. request.tests:gsub("'", "'\\''") .. "'"))
  for name in pipe:lines() do list[#list + 1] = name:match "^(.*)%.in$" end
  pipe:close()
  return list
end

local program, complaint = compile()
if not program then
  print "compile error"
  io.stdout:flush()
  -- The compiler quotes the stranger: in a form that no terminal obeys.
  io.stderr:write((complaint:gsub("[^\n\t\32-\126]", function(byte) return ("\\x%02x"):format(byte:byte()) end)), "\n")
  os.exit(1)
end

local box, all_right = runner(program), true
for _, name in ipairs(names()) do
  local path = request.tests .. "/" .. name
  local result, err = box:run {
    "/program", stdin = { path = path .. ".in" }, stdout = "capture", stderr = "null",
    cpu_limit = request.time, timeout = 3 * request.time, output_limit = request.output * KIB,
  }
  -- What the compiler made of a stranger's program may be nothing that can be executed.
  if not result and err.op ~= "execve" then error(tostring(err), 0) end
  local said = result and verdict(result, read(path .. ".out")) or "runtime error: cannot be executed: " .. err.message
  all_right = all_right and said == "accepted"
  local used = result and result.usage
  print(("%s: %s"):format(name, said) .. (used and ("  (%.2f s, %.1f MiB)"):format(
    used.user_seconds + used.system_seconds, (used.memory_peak or used.max_rss) / MIB) or ""))
end
os.exit(all_right and 0 or 1)
