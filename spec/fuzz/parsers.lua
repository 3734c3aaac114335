-- The texts that cella reads: ID maps, capabilities, mountinfo, subid files, cgroup files.

local fuzz = require "spec.fuzz.fuzz"
local caps = require "cella.caps"
local check = require "cella.idmap.check.parse"
local cgroup = require "cella.cgroup.description"
local cgroup_usage = require "cella.cgroup.usage"
local core = require "cella.core"
local cpulist = require "cella.cpulist"
local idmap = require "cella.idmap"
local mountinfo = require "cella.mountinfo"
local subid = require "cella.subid.files"
local validate = require "cella.validate"

local function same(a, b)
  if a ~= b then error(("attempt to read again: %s and %s"):format(tostring(a), tostring(b)), 0) end
end

local function refused(value, problem)
  if value == nil then error(problem, 0) end
  return value
end

local parsers = {
  idmap = { function(text)
    local map = refused(idmap.parse(text))
    same(idmap.new(tostring(map)), map)
    same(map:invert():invert(), map)
  end, check.kernel, check.helper },
  caps = { function(text)
    local set = caps.set(text)
    same(caps.set(tostring(set)), set)
    for _, name in ipairs(set:names()) do assert(set:has(name)) end
  end, caps.parse, function(text) refused(core.caps.read(text), "refused") end,
    function(text) core.caps.iab_from_text(text) core.caps.from_text(text) end },
  mountinfo = { mountinfo.parse },
  subid = { function(text)
    subid.ranges(text, "user", 1000)
    subid.users(text)
  end },
  cgroup = { cpulist.parse, function(text)
    local function read() return text end
    cgroup_usage.read(read)
    cgroup_usage.cpu_seconds(read)
    cgroup_usage.oom_kills(read)
    cgroup_usage.event(read, "populated")
  end, function(text)
    local key = fuzz.pick { "memory", "cpu", "pids", "name", "cpuset", "weight" }
    validate.check(cgroup.rule, { [key] = text }, "cgroup")
  end },
}

local names, texts, words = {}, {}, {}
for name in pairs(parsers) do
  names[#names + 1] = name
  texts[name] = fuzz.corpus(name)
  for _, text in ipairs(texts[name]) do
    for word in text:gmatch "%S+" do words[#words + 1] = word end
  end
end
table.sort(names)
for _, word in ipairs { "\0", "\n", " ", ":", ",", "-", "^", "!", "\\040", "\\999", "4294967295", "all",
  "cap_", "0x" } do
  words[#words + 1] = word
end

fuzz.run("parsers", function()
  local name = fuzz.pick(names)
  return { name, fuzz.random(#parsers[name]), fuzz.mutate(texts[name], words) }
end, function(input)
  parsers[input[1]][input[2]](input[3])
end, function(input) return ("%s %d: %q"):format(input[1], input[2], input[3]) end)
