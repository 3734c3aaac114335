-- The layers of the C module: a file includes those of its own folder and of those below, and no two include each
-- other.

-- The folders of csrc/, from the lowest up. The first four are the runner, which has neither libc nor Lua.
local FOLDERS = { "sys", "ops", "executor", "runner", "value", "lib", "plan", "parent", "bytecode", "core" }

-- "ops/mount" -> list of those that it includes. A source and the header of its name are one.
local function includes()
  local graph = {}
  for path in io.popen("find csrc -name '*.[ch]'"):lines() do
    local name = path:match "^csrc/(.*)%.[ch]$"
    graph[name] = graph[name] or {}
    for line in io.lines(path) do
      local other = line:match '^%s*#%s*include%s+"(.*)"'
      if other then
        other = other:match "^(.*)%.h$" or other
        if other ~= name then table.insert(graph[name], other) end
      end
    end
  end
  return graph
end

-- Whether no way through the graph comes back to where it began; raises the way that does.
local function has_no_cycle(graph)
  local state = {} -- name -> "open" while what it needs is looked at, then "done"
  local function visit(name, way)
    if state[name] == "done" then return end
    assert.is_nil(state[name], "a cycle: " .. way .. " " .. name)
    state[name] = "open"
    for _, other in ipairs(graph[name]) do visit(other, way .. " " .. name) end
    state[name] = "done"
  end
  for name in pairs(graph) do visit(name, "") end
end

describe("the C sources", function()
  local graph, number_of = includes(), {}
  for number, folder in ipairs(FOLDERS) do number_of[folder] = number end
  local function layer(name) return number_of[name:match "^[^/]+"] end

  it("are all in a folder of a layer", function()
    local count = 0
    for name in pairs(graph) do
      count = count + 1
      assert.is_number(layer(name), name)
    end
    assert.is_true(count > 50)
  end)

  it("include none of a layer above", function()
    for name, others in pairs(graph) do
      for _, other in ipairs(others) do
        assert.is_table(graph[other], ("%s includes %s, which is not there"):format(name, other))
        assert.is_true(layer(other) <= layer(name), ("%s includes %s, which is above it"):format(name, other))
      end
    end
  end)

  it("include none that includes them", function() has_no_cycle(graph) end)

  it("of the runner include no header of Lua", function()
    for name in pairs(graph) do
      for _, suffix in ipairs { ".c", ".h" } do
        local file = layer(name) <= number_of.runner and io.open("csrc/" .. name .. suffix)
        if file then
          assert.is_nil(file:read "*a":match '#include <lua[^>]*>', name)
          file:close()
        end
      end
    end
  end)
end)
