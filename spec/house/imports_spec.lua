-- The layers of the library: a module knows those of its own layer and below, and no two need each other, also not
-- when they are used only.

local trial = require "spec.support.trial"

-- From the lowest up. A name that ends in a star stands for all below it that no other layer names.
local LAYERS = {
  { "values", "lazy modules everything blame ascii list words printable paint plain kinds cpulist sysctl size error "
    .. "hints validate mode oci.json explain.everywhere idmap.algebra idmap.read idmap.value caps.names caps.set "
    .. "caps.named caps.securebits caps.rules caps.text caps.state caps.exec caps.fileset caps.five" },
  { "facts of the host", "host host.* mountinfo subid subid.* open groups root.system cgroup.place cgroup.usage "
    .. "tree.*" },
  { "policy and prediction", "policy policy.* idmap idmap.check idmap.check.* caps caps.* seccomp seccomp.* filter "
    .. "landlock landlock.* sys enter.target tree same" },
  { "plans and processes", "plan plan.* explain explain.* interpreter runner streams terminal rlimits mapping command "
    .. "call call.* process process.* cgroup cgroup.* root.description" },
  { "containers", "confinement denied denied.* root root.* network network.* container container.* enter enter.* found "
    .. "namespace first pool worker worker.* learn learn.* show show.* doctor doctor.* busted busted.* oci oci.*" },
  { "top", "cella cli cli.*" },
}

local function layer_of(module)
  local name = module:gsub("^cella%.", "")
  local below
  for number, layer in ipairs(LAYERS) do
    for pattern in layer[2]:gmatch "%S+" do
      if pattern == name then return number end
      if pattern:sub(-1) == "*" and name:sub(1, #pattern - 1) == pattern:sub(1, -2) then below = below or number end
    end
  end
  return below
end

-- Module -> list of cella's that its source requires, wherever that stands.
local function imports()
  local graph = {}
  for path in io.popen("find lua -name '*.lua' ! -path '*/meta/*'"):lines() do
    local file = assert(io.open(path))
    local source = file:read("*a"):gsub("%-%-[^\n]*", "")
    file:close()
    local module = path:match "^lua/(.*)%.lua$":gsub("/", ".")
    graph[module] = {}
    for _, pattern in ipairs { 'require[ (,]*"(cella[%w_.]*)"', 'lazy "(cella[%w_.]*)"', 'load "(cella[%w_.]*)"' } do
      for other in source:gmatch(pattern) do
        if other ~= "cella.core" and other ~= "cella.bytecode" then table.insert(graph[module], other) end
      end
    end
  end
  return graph
end

describe("the modules", function()
  local graph = imports()

  it("are all loaded by load_everything, but for those of the command line", function()
    local missing = trial.sh(("%s -e %s"):format(trial.interpreter(), trial.quote [[
      require("cella").load_everything()
      for module in io.popen "find lua -name '*.lua' ! -path '*/meta/*' ! -path '*/cli*'":lines() do
        local name = module:match "^lua/(.*)%.lua$":gsub("/", ".")
        if not package.loaded[name] then print(name) end
      end
    ]]))
    assert.equal("", missing)
  end)

  -- Lua loads a module anew that is asked for while it is loaded.
  it("are loaded once, whichever is the first", function()
    for _, first in ipairs { "cella.sys", "cella.everything", "cella.busted", "cella.container" } do
      assert.equal("", trial.sh(("%s -e %s"):format(trial.interpreter(), trial.quote(([[
        local times, searchers = {}, rawget(package, "searchers") or package.loaders
        local find = searchers[2]
        searchers[2] = function(name)
          times[name] = (times[name] or 0) + 1
          return find(name)
        end
        require %q
        require("cella").load_everything()
        for name, count in pairs(times) do
          if count > 1 and package.loaded[name] then print(name, count) end
        end
      ]]):format(first)))), first)
    end
  end)

  it("are all in a layer", function()
    local count = 0
    for module in pairs(graph) do
      count = count + 1
      assert.is_number(layer_of(module), module)
    end
    assert.is_true(count > 100)
  end)

  it("need none of a layer above", function()
    for module, others in pairs(graph) do
      for _, other in ipairs(others) do
        assert.is_table(graph[other], ("%s needs %s, which is not there"):format(module, other))
        assert.is_true(layer_of(other) <= layer_of(module), ("%s (%s) needs %s (%s)"):format(module,
          LAYERS[layer_of(module)][1], other, LAYERS[layer_of(other)][1]))
      end
    end
  end)

  it("need none that needs them", function()
    local state = {} -- module -> "open" while what it needs is looked at, then "done"
    local function visit(module, way)
      if state[module] == "done" then return end
      assert.is_nil(state[module], "a cycle: " .. way .. " " .. module)
      state[module] = "open"
      for _, other in ipairs(graph[module]) do visit(other, way .. " " .. module) end
      state[module] = "done"
    end
    for module in pairs(graph) do visit(module, "") end
  end)
end)
