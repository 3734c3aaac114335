--- What a config.json says of a cgroup: its path, and what is written to which of its files.

local json = require "cella.oci.json"
local schema = require "cella.oci.read.schema"

local fail, within, MOST = schema.fail, schema.within, schema.MOST
local M = {}

local DEFAULT_SHARES = 1024

-- What is written to which files of a cgroup.
local function settings_of(resources)
  local files = {}
  local function add(file, text) files[#files + 1] = { file, text } end
  local function number(value, path, low)
    if json.is_integer(value) then return tostring(value) end
    if value == -1 then return "max" end
    return ("%.0f"):format(within(value, path, low, MOST))
  end
  local memory, cpu = resources.memory or {}, resources.cpu or {}
  local at = "linux.resources.memory."
  if memory.disableOOMKiller then fail(at .. "disableOOMKiller", "not supported (a setting of cgroup v1)") end
  if memory.useHierarchy == false then fail(at .. "useHierarchy", "not supported (a setting of cgroup v1)") end
  if memory.limit and memory.limit ~= 0 then add("memory.max", number(memory.limit, at .. "limit", 1)) end
  if memory.reservation and memory.reservation ~= 0 then
    add("memory.low", number(memory.reservation, at .. "reservation", 1))
  end
  if memory.swap and memory.swap ~= 0 then
    if memory.swap == -1 then
      add("memory.swap.max", "max")
    else
      if not memory.limit or memory.limit == -1 then
        fail(at .. "swap", "needs a limit: it is memory and swap together")
      end
      local whole, alone = within(memory.swap, at .. "swap", 0, MOST), within(memory.limit, at .. "limit", 0, MOST)
      if whole < alone then fail(at .. "swap", "less than the limit of memory alone") end
      add("memory.swap.max", ("%.0f"):format(whole - alone))
    end
  end
  at = "linux.resources.cpu."
  -- What all have that say nothing, engines write down.
  if cpu.shares and cpu.shares ~= 0 and cpu.shares ~= DEFAULT_SHARES then
    local shares = within(cpu.shares, at .. "shares", 2, 262144)
    add("cpu.weight", ("%d"):format(math.floor(1 + (shares - 2) * 9999 / 262142)))
  end
  if cpu.quota and cpu.quota ~= 0 or cpu.period and cpu.period ~= 0 then
    local period = cpu.period and cpu.period ~= 0 and within(cpu.period, at .. "period", 1000, 1000000) or 100000
    local is_limit = cpu.quota and (json.is_integer(cpu.quota) or cpu.quota > 0)
    local quota = is_limit and ("%.0f"):format(within(cpu.quota, at .. "quota", 1000, MOST)) or "max"
    add("cpu.max", ("%s %.0f"):format(quota, period))
  end
  if cpu.burst then add("cpu.max.burst", ("%.0f"):format(within(cpu.burst, at .. "burst", 0, MOST))) end
  if cpu.idle then add("cpu.idle", ("%d"):format(within(cpu.idle, at .. "idle", 0, 1))) end
  if cpu.cpus and cpu.cpus ~= "" then add("cpuset.cpus", cpu.cpus) end
  if cpu.mems and cpu.mems ~= "" then add("cpuset.mems", cpu.mems) end
  local pids = resources.pids and resources.pids.limit
  if pids and pids ~= 0 then add("pids.max", number(pids, "linux.resources.pids.limit", 1)) end
  local names = {}
  for name in pairs(resources.unified or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local text = resources.unified[name]
    if not name:find "^[a-z]+%.[a-z0-9_.]+$" or name:find "^cgroup%." then
      fail("linux.resources.unified", "%q is no file of a controller", name:sub(1, 80))
    elseif text:find "\n" then
      fail("linux.resources.unified", "%s has more than a line", name)
    end
    files[#files + 1] = { name, text, unified = true } -- in the kernel's words: "64M"
  end
  for _, file in ipairs(files) do
    if file[2]:find "\n" then fail("linux.resources", "%s has more than a line", file[1]) end
  end
  return files
end

--- The path of a cgroup, and what is written to its files. Raises { refused = message }.
---@param linux table  checked by schema
---@return { path: string?, files: { [1]: string, [2]: string, unified: true? }[] }
function M.of(linux)
  local path = linux.cgroupsPath
  if path == "" then path = nil end
  if path then
    if path:find ":" then fail("linux.cgroupsPath", "the form of systemd is not supported") end
    if ("/" .. path .. "/"):find "/%.%.?/" or path:find "[^A-Za-z0-9_.+@/-]" or #path > 1024
      or not path:find "[^/]" then
      fail("linux.cgroupsPath", "no path of a cgroup")
    end
  end
  local files = settings_of(linux.resources or {})
  if #files > 0 and not path then
    fail("linux.resources", "%s needs a cgroup, and cgroupsPath is missing", files[1][1])
  end
  return { path = path, files = files }
end

return M
