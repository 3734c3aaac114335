-- A host with three plugins that nobody here wrote: each in a worker of its own, a fresh interpreter in a container.
-- One of them is hostile, and is heard of no more than the others. What each answers to a text is printed.
--
--   lua5.4 examples/plugins.lua [TEXT]
--
-- Exit status: 0 if the two that mean well have answered, 1 if not, 2 if there was no container for them.

local cella = require "cella"

local PLUGINS = {
  { name = "counts", source = [[
    local M = {}
    function M.filter(text)
      local words = {}
      for word in text:gmatch "%S+" do words[word] = (words[word] or 0) + 1 end
      return words
    end
    return M
  ]] },
  { name = "shouts", source = [[
    local calls = 0
    function filter(text)
      calls = calls + 1
      print("asked for the " .. calls .. ". time")
      return text:upper() .. "!"
    end
  ]] },
  -- Each call tries another thing.
  { name = "hostile", source = [[
    local M, tricks = {}, {
      function() return io.open("/etc/passwd"):read "*a" end,
      function() while true do end end,
      function() return ("x"):rep(1e9) end,
      function() return (("a"):rep(40)):find(("a-"):rep(40) .. "b") end,
      function() while true do print "\27[2J" end end,
      function() error(setmetatable({}, { __tostring = function() return "\27[31mowned" end })) end,
      function() return load "\27Lua" end,
    }
    function M.filter(_, number) return tricks[number]() end
    function M.count() return #tricks end
    return M
  ]] },
}

local box = cella.container { rlimits = { core = 0 } }

-- What a stranger writes is shown in a form that no terminal obeys, and only so much of it: a table may have itself in
-- it, or the same one so often that it is never shown to its end.
local function show(value, most)
  most = most or { left = 100 }
  most.left = most.left - 1
  if most.left < 0 then return "..." end
  if type(value) == "string" then return (("%q"):format(value):gsub("[%c\128-\255]", "?")) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for key, item in pairs(value) do parts[#parts + 1] = show(key, most) .. " = " .. show(item, most) end
  table.sort(parts)
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function hire(plugin)
  local worker, err = box:worker {
    memory = "32M", timeout = 0.5, output_limit = 10000, result_limit = 10000,
    output = function(line)
      if plugin.said then return end -- a line for each call is enough
      plugin.said = true
      print(("%-8s says %s"):format(plugin.name, show(line:sub(1, 60))))
    end,
  }
  if not worker then
    io.stderr:write(tostring(err), "\n")
    os.exit(2)
  end
  local ok
  ok, err = worker:load(plugin.name, plugin.source)
  if not ok then print(("%-8s cannot be loaded: %s"):format(plugin.name, tostring(err))) end
  plugin.worker = worker
end

for _, plugin in ipairs(PLUGINS) do hire(plugin) end

local text, all_well = arg[1] or "to be or not to be", true
local rounds = PLUGINS[3].worker:call("hostile", "count") or 1

for round = 1, rounds do
  -- All at once: the slowest does not keep the others.
  local running, plugin_of = {}, {}
  for _, plugin in ipairs(PLUGINS) do
    plugin_of[plugin.worker], plugin.said = plugin, false
    if plugin.worker:start(plugin.name, "filter", text, round) then running[#running + 1] = plugin.worker end
  end
  while #running > 0 do
    for _, worker in ipairs(assert(cella.wait(running))) do
      local plugin = plugin_of[worker]
      local value, err = worker:wait()
      if plugin.name ~= "hostile" then
        all_well = all_well and value ~= nil
        if round == rounds then print(("%-8s answers %s"):format(plugin.name, show(value))) end
      else
        print(("%-8s fails (%s)"):format(plugin.name, err and err.reason or "it did not: " .. show(value)))
      end
      for i = #running, 1, -1 do
        if running[i] == worker then table.remove(running, i) end
      end
    end
  end
end

for _, plugin in ipairs(PLUGINS) do plugin.worker:close() end
os.exit(all_well and 0 or 1)
