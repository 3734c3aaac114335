--- The key `cgroup` as `linux.resources` of a config.json. What has no word of its own there is said as the file of
--- cgroup v2 that it is (`unified`).

local core = require "cella.core"
local json = require "cella.oci.json"
local sizes = require "cella.size"

local M = {}

--- Bytes of a key: a number, or -1 for no limit.
---@param value integer|string
---@return number
function M.bytes(value)
  if value == "unlimited" then return -1 end
  return type(value) == "string" and sizes.bytes(value) or value --[[@as number]]
end

local function device_numbers(state, path, at)
  local major, minor = path:match "^(%d+):(%d+)$"
  if not major then
    local number, message = core.block_device(path)
    if number then major, minor = tostring(number):match "^(%d+):(%d+)$" end
    if not major then return state.refuse(at, ("%s is no block device: %s"):format(path, tostring(message))) end
  end
  return tonumber(major), tonumber(minor)
end

local RATES = { rbps = "throttleReadBpsDevice", wbps = "throttleWriteBpsDevice", riops = "throttleReadIOPSDevice",
  wiops = "throttleWriteIOPSDevice" }

local function add_rates(state, result, list)
  for i, one in ipairs(list) do
    local major, minor = device_numbers(state, one.device, ("cgroup.io[%d].device"):format(i))
    for key, field in pairs(major and RATES or {}) do
      if one[key] and one[key] ~= "unlimited" then
        result.blockIO = result.blockIO or {}
        result.blockIO[field] = result.blockIO[field] or json.array {}
        table.insert(result.blockIO[field], { major = major, minor = minor, rate = one[key] })
      end
    end
  end
end

-- As the kernel has it where nothing is said.
local PERIOD = 100000 -- microseconds

--- Quota and period in microseconds; -1 for no limit.
---@param cpu number|table|string
---@return number quota, number period
function M.bandwidth(cpu)
  if cpu == "unlimited" then return -1, PERIOD end
  if type(cpu) == "table" then return math.floor(cpu.quota * 1e6 + 0.5), math.floor(cpu.period * 1e6 + 0.5) end
  return math.floor(cpu --[[@as number]] * PERIOD + 0.5), PERIOD
end

--- `linux.resources`, and `linux.cgroupsPath`.
---@param state table
---@param cgroup table?  the key
---@return table? resources, string? path
function M.of(state, cgroup)
  if not cgroup then return nil, nil end
  local result, unified = {}, {}
  if cgroup.memory then
    result.memory = { limit = M.bytes(cgroup.memory) }
    -- A container of which the kernel has killed a part would go on as something else.
    if cgroup.memory ~= "unlimited" then unified["memory.oom.group"] = "1" end
  end
  if cgroup.swap and (cgroup.memory or "unlimited") == "unlimited" and cgroup.swap ~= "unlimited" then
    unified["memory.swap.max"] = ("%.0f"):format(M.bytes(cgroup.swap))
  elseif cgroup.swap then
    -- There it is both together.
    result.memory = result.memory or {}
    result.memory.swap = cgroup.swap == "unlimited" and -1 or M.bytes(cgroup.memory) + M.bytes(cgroup.swap)
  end
  if cgroup.memory_high then
    local high = M.bytes(cgroup.memory_high)
    unified["memory.high"] = high == -1 and "max" or ("%.0f"):format(high)
  end
  if cgroup.pids then result.pids = { limit = cgroup.pids == "unlimited" and -1 or cgroup.pids } end
  if cgroup.cpu or cgroup.cpuset or cgroup.cpuset_mems then
    result.cpu = { cpus = cgroup.cpuset, mems = cgroup.cpuset_mems }
    if cgroup.cpu then result.cpu.quota, result.cpu.period = M.bandwidth(cgroup.cpu) end
  end
  if cgroup.cpu_weight then unified["cpu.weight"] = ("%d"):format(cgroup.cpu_weight) end
  add_rates(state, result, cgroup.io or {})
  for file, text in pairs(cgroup.unified or {}) do unified[file] = text end
  if next(unified) then result.unified = unified end
  local path
  if cgroup.name then
    path = (cgroup.parent and cgroup.parent:gsub("/+$", "") .. "/" or "") .. cgroup.name
    if path:sub(1, 14) == "/sys/fs/cgroup" then path = path:sub(15) end
  elseif cgroup.parent then
    state.refuse("cgroup.parent", "a config.json names a cgroup as a whole: give it a `name` too")
  end
  return result, path
end

return M
