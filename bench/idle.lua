--- Many containers that do nothing: to start them, what one holds, and to kill and reap them.

local core = require "cella.core"
local figures = require "bench.figures"
local meter = require "bench.meter"

local M = {}

local PROGRAM = "bare"
local SAMPLE = 20 -- of so many processes the memory is read one by one

-- Bytes that the kernel could still give away.
local function available()
  for line in io.lines "/proc/meminfo" do
    local kib = line:match "^MemAvailable: +(%d+)"
    if kib then return tonumber(kib) * 1024 end
  end
end

local function read(path)
  local file = io.open(path)
  local text = file and file:read "a"
  if file then file:close() end
  return text
end

local function descendants(pid, list)
  for child in (read(("/proc/%s/task/%s/children"):format(pid, pid)) or ""):gmatch "%d+" do
    if #list < SAMPLE then
      list[#list + 1] = child
      descendants(child, list)
    end
  end
  return list
end

-- Bytes of the processes that are there beside the program, for each program; nil where they may not be looked at.
local function beside_program(pid)
  local sum, programs = 0, 0
  for _, child in ipairs(descendants(pid, {})) do
    if (read(("/proc/%s/comm"):format(child)) or ""):find("^" .. PROGRAM) then
      programs = programs + 1
    else
      local own = 0
      local text = read(("/proc/%s/smaps_rollup"):format(child))
      if not text then return nil end
      for kib in text:gmatch "Private_%a+: +(%d+) kB" do own = own + tonumber(kib) * 1024 end
      sum = sum + own
    end
  end
  return programs > 0 and sum / programs or nil
end

--- Starts so many, looks, and ends them. What is found is added to `entry.idle`, lists of values for one container
--- each.
function M.measure(group, row, entry, count)
  local found = entry.idle or { start = {}, memory = {}, beside = {}, kill = {} }
  entry.idle = found
  local worker
  local ok, problem = pcall(function()
    worker = meter.open(group, row)
    local before, begun = available(), core.now()
    local answer = worker:ask("idle " .. count)
    worker:wait_for_programs(count)
    local start = (core.now() - begun) / count
    table.insert(found.start, start)
    table.insert(found.memory, (before - available()) / count)
    table.insert(found.beside, beside_program(worker.process.pid))
    table.insert(found.kill, worker:ask("kill").wall / count)
    table.insert(entry.samples, start)
    table.insert(entry.cpus, answer.cpu / count)
  end)
  if worker then worker:close() end
  if not ok then entry.failed = tostring(problem) end
end

--- The medians of what was found.
function M.medians(entry)
  local result = {}
  for key, list in pairs(entry.idle) do result[key] = figures.median(list) end
  return result
end

return M
