-- What a program does not inherit over exec: attributes of the caller that would weaken it, or tell it something.

local able = require "spec.support.able"
local outside = require "spec.support.outside"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

describe("a program does not inherit", function()
  local directory, program, problem

  setup(function()
    directory = trial.directory()
    program = directory .. "/attributes"
    problem = trial.sh(("cc -O1 -Wall -Werror -static -o %s spec/support/attributes.c"):format(program))
  end)

  teardown(function() trial.remove_directory(directory) end)

  -- What a program started in each way has, where its caller was set so by `words` of attributes.c; and what the caller
  -- has itself, before and after.
  local START = [[
    local program, directory, way = ...
    local function own() return (assert(io.popen(program .. " show")):read "*a":gsub("\n$", "")) end
    local before = own()
    local description = { root = "/", namespaces = { net = "host" },
      mounts = { { type = "bind", source = directory, destination = directory, readonly = true } } }
    local function show(where, ...)
      return assert(where:run { program, "show", stdout = "capture", ... }).stdout:gsub("\n$", "")
    end
    local said
    if way == "container" then
      said = show(cella.container(description))
    elseif way == "no init" then
      description.init, description.keyrings = false, "own"
      said = show(cella.container(description))
    elseif way == "function" then
      local result = assert(cella.container(description):run(function()
        return (assert(io.popen(program .. " show")):read "*a":gsub("\n$", ""))
      end))
      said = result.values and result.values[1] or tostring(result.error)
    else
      local process = assert(cella.container(description):spawn { "/bin/sleep", "100" })
      said = show(assert(process:enter()))
      process:close()
    end
    return before, (said:gsub("\n$", "")), own()
  ]]

  local PLAIN = "personality 0, slack 50000, thp 0, merge 0, umask 22"

  for _, way in ipairs { "container", "no init", "function", "enter" } do
    it(("by %s: personality, timer slack, flags of memory, umask"):format(way), needs("user_namespaces", function()
      if problem ~= "" then return pending("needs a C compiler: " .. problem) end
      local before, inside, after = outside.lua(START, { prefix = program .. " set", arguments = { program, directory,
        way } })
      -- The control: the caller has all of it, hands it to other children, and keeps it.
      assert.truthy(before:find("personality 40000, slack 1, thp 1", 1, true), before)
      assert.truthy(before:find("umask 77", 1, true), before)
      assert.equal(before, after)
      assert.equal(PLAIN, inside)
      inside = select(2, outside.lua(START, { arguments = { program, directory, way } }))
      assert.equal(PLAIN, inside)
    end))
  end

  it("nothing less of what confines the caller", needs("user_namespaces", function()
    if problem ~= "" then return pending("needs a C compiler: " .. problem) end
    local outer, inner = outside.lua([[
      local text = "grep -E 'Cpus_allowed_list|Speculation|THP_enabled' /proc/self/status; nice; ulimit -a; "
        .. "cat /proc/self/oom_score_adj"
      local pipe = assert(io.popen(text))
      local outer = pipe:read "*a"
      pipe:close()
      return outer, assert(cella.container({ root = "/", namespaces = { net = "host" } }):run { "/bin/sh", "-c", text,
        stdout = "capture" }).stdout
    ]], { prefix = "taskset -c 0 nice -n 5 sh -c 'ulimit -n 200 -s 4096 -c 0; echo 300 >/proc/self/oom_score_adj; "
      .. "exec \"$@\"' sh" })
    assert.truthy(outer:find("Cpus_allowed_list:%s0\n"), outer)
    local nice = tonumber((trial.sh "nice")) -- of who runs this
    assert.truthy(outer:find(("\n%d\n"):format(math.min(nice + 5, 19))), outer)
    assert.truthy(outer:find("\n300\n"), outer)
    assert.equal(outer, inner)
  end))

  it("what is found set once more before exec", needs("user_namespaces", function()
    local persona, slack = outside.lua [[
      local function try(name, ...)
        local plan = cella.plan()
        local result, err = plan[name](plan, ...):exec({ "true" }):run()
        return result and result.code or err.op .. " " .. err.code
      end
      return try("expect_personality", 0x40000), try("expect_timer_slack", 7)
    ]]
    assert.equal("expect_personality ENOTRECOVERABLE", persona)
    assert.equal("expect_timer_slack ENOTRECOVERABLE", slack)
  end))
end)
