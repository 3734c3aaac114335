--- What the key `cgroup` may say, and which files of cgroup v2 it becomes (Documentation/admin-guide/cgroup-v2.rst).

local cpulist = require "cella.cpulist"
local lists = require "cella.list"
local sizes = require "cella.size"
local validate = require "cella.validate"

local rule = validate.rule
local M = {}

local MOST = sizes.MOST

-- Each key has a rule, and a function from what the rule lets through to the text that the kernel takes.

-- Bytes from `least` on, "64M", or "unlimited".
local function bytes(least)
  local whole = rule.integer(least, MOST)
  return function(value, path)
    if value == "unlimited" then return value end
    if type(value) ~= "string" then return whole(value, path) end
    local number = sizes.bytes(value)
    if not number then
      validate.fail(path, 'bytes, a string such as "64M", or "unlimited" expected, got %s', validate.show(value))
    elseif number < least or number > MOST then
      validate.fail(path, "%s is not from %.0f to %.0f bytes", validate.show(value), least, MOST)
    end
    return value
  end
end

local function number_text(value)
  if value == "unlimited" then return "max" end
  return ("%.0f"):format(type(value) == "string" and sizes.bytes(value) or value)
end

local PERIOD = 0.1 -- seconds, as the kernel has it where nothing is said

local function seconds(low, high)
  return function(value, path)
    if type(value) ~= "number" or value ~= value or value < low or value > high then
      validate.fail(path, "seconds from %g to %g expected, got %s", low, high, validate.show(value))
    end
    return value
  end
end

local bandwidth = rule.record({ quota = seconds(0.001, 1e6), period = seconds(0.001, 1) }, { "quota", "period" })

-- CPUs, or { quota =, period = } in seconds.
local function cpu(value, path)
  if value == "unlimited" then return value end
  if type(value) == "table" then return bandwidth(value, path) end
  if type(value) ~= "number" or value ~= value or value < 0.01 or value > 1e6 then
    validate.fail(path, 'CPUs from 0.01 to 1000000, { quota =, period = } or "unlimited" expected, got %s',
      validate.show(value))
  end
  return value
end

-- In microseconds.
local function cpu_text(value)
  if value == "unlimited" then return ("max %.0f"):format(PERIOD * 1e6) end
  local given = type(value) == "table" and value or { quota = value * PERIOD, period = PERIOD }
  return ("%.0f %.0f"):format(given.quota * 1e6, given.period * 1e6)
end

local PREFIXES = { cgroup = true, cpu = true, cpuset = true, dmem = true, hugetlb = true, io = true, memory = true,
  misc = true, pids = true, rdma = true }

local function name(value, path)
  rule.line(value, path)
  if #value > 200 or not value:find "^[A-Za-z0-9_+.-]+$" or value == "." or value == ".." then
    validate.fail(path, "a name of up to 200 letters, digits and _ + . - expected, got %s", validate.show(value))
  end
  if PREFIXES[value:match "^([a-z]+)%."] then
    validate.fail(path, "%s looks like one of the kernel's own files", validate.show(value))
  end
  return value
end

local amount = rule.any('an integer from 1 to 2^53 - 1 or "unlimited"', rule.one_of { "unlimited" },
  rule.integer(1, MOST))

local RATES = { "rbps", "wbps", "riops", "wiops" }

local device = rule.record({ device = rule.line, rbps = amount, wbps = amount, riops = amount, wiops = amount },
  { "device" })

local function throttle(value, path)
  local copy = device(value, path)
  if not copy.device:find "^/" and not copy.device:find "^%d+:%d+$" then
    validate.fail(validate.join(path, "device"), 'a path or "MAJOR:MINOR" expected, got %s',
      validate.show(copy.device))
  end
  local any = false
  for _, key in ipairs(RATES) do any = any or copy[key] ~= nil end
  if not any then validate.fail(path, "one of %s is missing", table.concat(RATES, ", ")) end
  return copy
end

local function parent(value, path)
  rule.path(value, path)
  if ("/" .. value .. "/"):find("/../", 1, true) then validate.fail(path, "'..' in %s", validate.show(value)) end
  return value
end

--- The key `parent`, which is also an argument of others.
M.parent_rule = parent

local CONTROLLERS = { "cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc", "dmem" }
local IS_CONTROLLER = {}
for _, controller in ipairs(CONTROLLERS) do IS_CONTROLLER[controller] = true end

-- A file of a controller: "memory.high".
local function file_name(value, path)
  local controller = type(value) == "string" and value:match "^([a-z]+)%.[A-Za-z0-9_.]+$"
  if controller == "cgroup" then
    validate.fail(path, "what is of the cgroup itself is cella's business")
  elseif not controller or not IS_CONTROLLER[controller] then
    validate.fail(path, 'a file of a controller (%s), such as "memory.high", expected', table.concat(CONTROLLERS, ", "))
  end
  return value
end

-- A number, or a text of one line or several, each of which is written by itself.
local function file_text(value, path)
  if type(value) == "number" then return ("%.0f"):format(rule.integer(0, MOST)(value, path)) end
  rule.string(value, path)
  if not value:find "%S" or #value > 4096 then
    validate.fail(path, "a number, or a text that is not empty, of up to 4096 bytes, expected")
  end
  return value
end

local record = rule.record {
  unified = rule.map(file_name, file_text),
  memory = bytes(4096),
  memory_high = bytes(4096),
  swap = bytes(0),
  pids = rule.any('an integer from 1 to 4194304 or "unlimited"', rule.one_of { "unlimited" },
    rule.integer(1, 4194304)),
  cpu = cpu,
  cpu_weight = rule.integer(1, 10000),
  cpuset = cpulist.text_rule,
  cpuset_mems = cpulist.text_rule,
  io = rule.list(throttle),
  parent = parent,
  name = name,
}

local check_unified

--- The rule of the key.
function M.rule(value, path)
  local copy = record(value, path)
  if copy.unified then check_unified(copy, path) end
  if copy.io and #copy.io == 0 then validate.fail(validate.join(path, "io"), "the list is empty") end
  return copy
end

-- Key, controller, file, and how the value becomes its text.
local FILES = {
  { "cpuset_mems", "cpuset", "cpuset.mems", tostring },
  { "cpuset", "cpuset", "cpuset.cpus", tostring },
  { "memory_high", "memory", "memory.high", number_text },
  { "memory", "memory", "memory.max", number_text },
  { "swap", "memory", "memory.swap.max", number_text },
  { "pids", "pids", "pids.max", number_text },
  { "cpu", "cpu", "cpu.max", cpu_text },
  { "cpu_weight", "cpu", "cpu.weight", number_text },
}

local FILE_OF_IO = "io.max"

-- A file is said once.
function check_unified(options, path)
  local function twice(key, file)
    if options[key] and options.unified[file] then
      validate.fail(validate.join(path, "unified"), "%s is what the key `%s` says too: leave one of the two away", file,
        key)
    end
  end
  for _, entry in ipairs(FILES) do twice(entry[1], entry[3]) end
  twice("io", FILE_OF_IO)
end

local function io_text(throttled, number)
  local words = { number }
  for _, key in ipairs(RATES) do
    local value = throttled[key]
    if value then words[#words + 1] = key .. "=" .. number_text(value) end
  end
  return table.concat(words, " ")
end

---@class cella.cgroup.setting
---@field key string         of the option: "cgroup.memory"
---@field controller string?
---@field file string
---@field text string        what is written
---@field device string?     path of a device, of which the text still needs the number (%s)

--- What is to be written, in this order.
---@param options table  as the rule returns it
---@return cella.cgroup.setting[]
function M.settings(options)
  local list = {}
  for _, entry in ipairs(FILES) do
    local key, controller, file, text = entry[1], entry[2], entry[3], entry[4]
    if options[key] then
      list[#list + 1] = { key = "cgroup." .. key, controller = controller, file = file, text = text(options[key]) }
    end
  end
  local unified = options.unified or {}
  if options.memory and options.memory ~= "unlimited" and not unified["memory.oom.group"] then
    -- A container of which the kernel has killed a part would go on as something else.
    list[#list + 1] = { key = "cgroup.memory", controller = "memory", file = "memory.oom.group", text = "1" }
  end
  for i, throttled in ipairs(options.io or {}) do
    local number = not throttled.device:find "^/" and throttled.device
    list[#list + 1] = { key = ("cgroup.io[%d]"):format(i), controller = "io", file = "io.max",
      text = io_text(throttled, number or "%s"), device = not number and throttled.device or nil }
  end
  for _, file in ipairs(lists.sorted_keys(unified)) do
    for line in unified[file]:gmatch "[^\n]+" do
      list[#list + 1] = { key = ("cgroup.unified[%q]"):format(file), controller = file:match "^[a-z]+", file = file,
        text = line, unified = true }
    end
  end
  return list
end

--- The controllers that the settings need, each once, in the kernel's order of listing.
---@param settings cella.cgroup.setting[]
---@return string[]
function M.controllers(settings)
  local wanted, list = {}, {}
  for _, setting in ipairs(settings) do wanted[setting.controller] = true end
  for _, controller in ipairs(CONTROLLERS) do
    if wanted[controller] then list[#list + 1] = controller end
  end
  return list
end

local function same_set(one, other)
  for key in pairs(one) do
    if not other[key] then return false end
  end
  for key in pairs(other) do
    if not one[key] then return false end
  end
  return true
end

local MOST_PAGE = 65536

-- The kernel holds whole pages.
local function same_bytes(wanted, found)
  if wanted == "max" or found == "max" then return wanted == found end
  local difference = tonumber(wanted) - (tonumber(found) or -1)
  return difference >= 0 and difference < MOST_PAGE and (tonumber(found) > 0 or tonumber(wanted) == 0)
end

local function same_rates(wanted, found)
  local number = wanted:match "^%S+"
  for line in (found .. "\n"):gmatch "(.-)\n" do
    if line:match "^%S+" == number then
      for key, value in wanted:gmatch "([a-z]+)=(%S+)" do
        if (" " .. line .. " "):find((" %s=%s "):format(key, value), 1, true) == nil then return false end
      end
      return true
    end
  end
  -- Without any limit a device is not listed.
  return not wanted:find "=%d"
end

-- What somebody has written in words of his own, and the kernel in its: bytes as whole pages, or huge ones; a line
-- among others; a word before what the kernel adds.
local function same_words(file, wanted, found)
  if wanted == found then return true end
  local bytes_wanted = sizes.bytes(wanted)
  if bytes_wanted and found:find "^%d+$" and (file:find "^memory%." or file:find "^hugetlb%.") then
    local size, unit = file:match "^hugetlb%.(%d+)([KMG]B)%."
    local page = size and sizes.bytes(size .. unit:sub(1, 1)) or MOST_PAGE
    local less = bytes_wanted - tonumber(found)
    return less >= 0 and less < page and (tonumber(found) > 0 or bytes_wanted == 0)
  end
  for line in (found .. "\n"):gmatch "(.-)\n" do
    if line == wanted or line == "default " .. wanted then return true end
  end
  return false
end

--- Whether the kernel holds what was written. `found` is the file's text now.
---@param setting cella.cgroup.setting
---@param found string
---@return boolean
function M.holds(setting, found)
  local file = setting.file
  found = found:gsub("\n$", "")
  if file == FILE_OF_IO then return same_rates(setting.text, found) end
  if file == "cpuset.cpus" or file == "cpuset.mems" then
    return same_set(cpulist.parse(setting.text), cpulist.parse(found) or {})
  elseif file:find "^memory%." and file ~= "memory.oom.group" and not setting.unified then
    return same_bytes(setting.text, found)
  end
  if not setting.unified then return setting.text == found end
  -- Without a period it is the one that there was.
  return same_words(file, setting.text, file == "cpu.max" and not setting.text:find " " and found:match "^%S+" or found)
end

--- Of a list of CPUs or nodes that is in force: those that were asked for and are not in it; nil where all are.
---@param setting cella.cgroup.setting
---@param effective string
---@return string?
function M.missing_numbers(setting, effective)
  local list, there = {}, cpulist.parse((effective:gsub("%s+$", ""))) or {}
  for number in pairs(cpulist.parse(setting.text)) do
    if not there[number] then list[#list + 1] = number end
  end
  table.sort(list)
  return #list > 0 and table.concat(list, ",") or nil
end

return M
