-- Starts what a row of bench/cases.lua starts from Lua, in this process: ONCE times, or as it is told by lines on its
-- standard input, which are those of bench/floor.c.
--
--   lua5.4 bench/worker.lua GROUP ROW ONCE|serve COMMAND [ARGUMENT ...]
package.path = (arg[0]:match "^(.*)bench/[^/]*$" or "./") .. "?.lua;" .. package.path

local cella = require "cella"
local core = require "cella.core"

local group, row
for _, each in ipairs(require "bench.cases") do
  if each.name == arg[1] then group = each end
end
for _, each in ipairs(group.rows) do
  if each.name == arg[2] then row = each end
end

-- A large heap is gone through when garbage is collected, by whatever else the program does: that is not what a start
-- costs.
collectgarbage "stop"
local ballast, descriptors = {}, {}
local part = ("x"):rep(1 << 16)
for i = 1, arg[3] == "serve" and row.heap or 0 do ballast[i] = part:rep(16) end
if row.descriptors or group.idle then
  local _, hard = core.sys.getrlimit "nofile"
  assert(core.sys.setrlimit("nofile", hard, hard))
end
for i = 1, row.descriptors or 0 do descriptors[i] = assert(core.open("/dev/null", "rdonly")) end

local start, between = row.start.prepare(table.move(arg, 4, #arg, 1, {}), group)
local used = 0 -- seconds of the processor by those that have ended

local function finish(process)
  local result = assert(process:wait())
  used = used + result.usage.user_seconds + result.usage.system_seconds
  return result.code
end

local function must_succeed(process)
  local code = finish(process)
  if code ~= 0 then error(("the command ended with %s"):format(code)) end
end

-- Returns the seconds for which the caller was kept.
local function run(count, at_once)
  local blocked, running = 0, {}
  while count > 0 or #running > 0 do
    if count > 0 and #running < at_once then
      local begun = core.now()
      local process = start()
      blocked = blocked + core.now() - begun
      running[#running + 1] = process
      count = count - 1
    elseif #running == 1 then
      must_succeed(table.remove(running))
    else
      local ended = {}
      for _, process in ipairs(assert(cella.wait(running))) do ended[process] = true end
      local left = {}
      for _, process in ipairs(running) do
        if ended[process] then must_succeed(process) else left[#left + 1] = process end
      end
      running = left
    end
  end
  return blocked
end

if arg[3] ~= "serve" then
  local code = 0
  for _ = 1, tonumber(arg[3]) do
    local process = start()
    code = process and finish(process) or 0
  end
  os.exit(code or 1)
end

local idle = {}

local function obey(line)
  local count, at_once = line:match "^start (%d+) (%d+)$"
  if count then return run(tonumber(count), tonumber(at_once)) end
  count = line:match "^idle (%d+)$"
  for i = 1, tonumber(count or 0) do idle[i] = start() end
  if count then return 0 end
  assert(line == "kill", line)
  for _, process in ipairs(idle) do process:kill "kill" end
  for _, process in ipairs(idle) do finish(process) end
  idle = {}
  return 0
end

io.stdout:setvbuf "line"
for line in io.lines() do
  local begun, clock, before = core.now(), os.clock(), used
  local blocked = obey(line)
  local passed, cpu = core.now() - begun, os.clock() - clock + used - before
  print(("%.0f %.0f %.0f"):format(passed * 1e9, cpu * 1e9, blocked * 1e9))
  -- Between what is measured: the garbage of a few starts.
  collectgarbage "step"
  if between then between() end
end
os.exit(#ballast + #descriptors >= 0)
