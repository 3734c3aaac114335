--- What a cgroup has used, from the text of its files (Documentation/admin-guide/cgroup-v2.rst).

local M = {}

---@class cella.cgroup.usage  nil where the kernel, or the controllers that the container has, do not tell
---@field user_seconds number?     of all processes that were ever in there
---@field system_seconds number?
---@field throttled_seconds number? that processes waited because of `cpu`
---@field memory_peak integer?     bytes; Linux 5.19
---@field swap_peak integer?       bytes; Linux 6.5
---@field pids_peak integer?       Linux 6.1
---@field pids_refused integer?    forks that `pids` has prevented
---@field oom_kills integer?       processes that were killed because of `memory`
---@field read_bytes integer?      from and to block devices
---@field written_bytes integer?

-- "key value" lines.
local function flat(text)
  local values = {}
  for key, value in (text or ""):gmatch "([A-Za-z0-9_.]+) (%d+)" do values[key] = tonumber(value) end
  return values
end

local function number(text)
  return text and tonumber((text:match "^(%d+)\n?$")) or nil
end

local function seconds(microseconds)
  return microseconds and microseconds / 1e6
end

-- "8:0 rbytes=1 wbytes=2 ..." lines, added up.
local function sum(text, key)
  if not text then return nil end
  local total = 0
  for value in text:gmatch(key .. "=(%d+)") do total = total + tonumber(value) end
  return total
end

--- Reads the statistics.
---@param read fun(file: string): string?
---@return cella.cgroup.usage
function M.read(read)
  local cpu, io = flat(read "cpu.stat"), read "io.stat"
  return {
    user_seconds = seconds(cpu.user_usec),
    system_seconds = seconds(cpu.system_usec),
    throttled_seconds = seconds(cpu.throttled_usec),
    memory_peak = number(read "memory.peak"),
    swap_peak = number(read "memory.swap.peak"),
    pids_peak = number(read "pids.peak"),
    pids_refused = flat(read "pids.events").max,
    oom_kills = flat(read "memory.events").oom_kill,
    read_bytes = sum(io, "rbytes"),
    written_bytes = sum(io, "wbytes"),
  }
end

--- CPU seconds up to now, of user and system together.
---@param read fun(file: string): string?
---@return number?
function M.cpu_seconds(read)
  return seconds(flat(read "cpu.stat").usage_usec)
end

--- How many processes the kernel has killed for want of memory.
---@param read fun(file: string): string?
---@return integer
function M.oom_kills(read)
  return flat(read "memory.events").oom_kill or 0
end

--- A key of cgroup.events.
---@param read fun(file: string): string?
---@param key "populated"|"frozen"
---@return boolean
function M.event(read, key)
  return flat(read "cgroup.events")[key] == 1
end

return M
