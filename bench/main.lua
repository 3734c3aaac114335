-- What a start costs, beside what the kernel itself costs and what others take for it: bench/cases.lua has the cases.
--
--   make bench [BENCH='--quick --json FILE']
package.path = (arg[0]:match "^(.*)bench/[^/]*$" or "./") .. "?.lua;" .. package.path

local argparse = require "argparse"
local cases = require "bench.cases"
local effects = require "bench.effects"
local here = require "bench.here"
local json = require "bench.json"
local measure = require "bench.measure"
local report = require "bench.report"
local svg = require "bench.svg"

local USAGE = 125 -- as of the command line of cella

local function parse(words)
  local parser = argparse("bench", "Measures what a start costs. The rows of a group take turns in random order; each "
    .. "is checked once to do what it says before it is timed.")
  parser:flag("-q --quick", "A few rounds, without the largest heap, under a minute: to see that all goes.")
  parser:option("-r --rounds", "How often each row has its turn (60; with --quick 2)."):convert(math.tointeger)
  parser:option("-g --group", "Only this group; may be repeated."):count "*"
  parser:option("--json", "Write all figures to this file."):argname "FILE"
  parser:option("--svg", "Write charts to this file: ratio by system, cost against heap size."):argname "FILE"
  parser:option("--markdown", "Write a table of ratios to this file."):argname "FILE"
  parser:flag("-l --list", "Print the groups and their rows, and measure nothing.")
  parser:epilog "Exit status: 0; 1 where a row of cella or of the floor could not be measured; 125 for a wrong option."
  local ok, options = parser:pparse(words)
  if not ok then
    io.stderr:write("bench: ", options, "\n", parser:get_usage(), "\n")
    os.exit(USAGE)
  end
  return options
end

local function chosen(names)
  if #names == 0 then return cases end
  local list = {}
  for _, group in ipairs(cases) do
    for i, name in ipairs(names) do
      if name == group.name then
        list[#list + 1] = group
        table.remove(names, i)
        break
      end
    end
  end
  if names[1] then
    io.stderr:write("bench: there is no group ", names[1], "\n")
    os.exit(USAGE)
  end
  return list
end

local function first_line(path)
  local file = assert(io.open(path))
  local line = file:read "l"
  file:close()
  return line
end

local function load_now() return first_line("/proc/loadavg"):match "^%S+" end

local function versions()
  local list = { require("cella")._VERSION }
  for _, name in ipairs { "bwrap", "crun", "runc", "nsjail", "minijail0", "unshare" } do
    local output = here.find(name) and effects.run { name, "--version" }
    if output then list[#list + 1] = output:match "[^\n]*" end
  end
  return list
end

local function processors()
  local count = 0
  for line in io.lines "/proc/stat" do
    if line:find "^cpu%d" then count = count + 1 end
  end
  return count
end

local function save(path, content)
  if not path then return end
  local file = assert(io.open(path, "w"))
  assert(file:write(content))
  assert(file:close())
end

local function main(options)
  local quick = options.quick
  local how = { rounds = options.rounds or quick and 2 or 60, each = quick and 1 or 2, calls = true,
    idle = quick and 10 or 1000, idle_rounds = quick and 1 or 3, largest_heap = quick and 256 or nil }
  local results = { date = os.date "!%Y-%m-%d", kernel = first_line "/proc/sys/kernel/osrelease",
    processors = processors(), user = here.uid == 0 and "root" or "an ordinary user", versions = versions(),
    load_before = load_now(), rounds = how.rounds, quick = quick or false, groups = {} }
  local status = 0
  for i, group in ipairs(chosen(options.group)) do
    results.groups[i] = measure.group(group, how)
    io.stdout:write(report.text(results.groups[i]), "\n")
    io.stdout:flush()
    for _, entry in ipairs(results.groups[i].rows) do
      if entry.own and entry.failed then status = 1 end
    end
  end
  results.load_after = load_now()
  print(report.conditions(results))
  save(options.json, json.encode(results) .. "\n")
  save(options.svg, svg.draw(results))
  save(options.markdown, report.markdown(results))
  return status
end

local options = parse(arg)
if options.list then
  for _, group in ipairs(cases) do
    print(("%-12s %s"):format(group.name, group.title))
    for _, row in ipairs(group.rows) do print("             " .. row.name) end
  end
  os.exit(0)
end
local ok, status = xpcall(main, debug.traceback, options)
here.remove_directories()
if not ok then
  io.stderr:write("bench: ", status, "\n")
  status = 1
end
os.exit(status, true)
