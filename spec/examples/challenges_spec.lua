-- examples/challenges: each runs, here and as whoever runs the specs, and shows what it promises.

local host = require "cella.host"
local trial = require "spec.support.trial"

local facts = host.facts()

-- What an example prints. The status 77 is its word for "not here".
local function run(name)
  local result = trial.host { "/bin/sh", "-c", ("%s examples/challenges/%s.lua"):format(trial.interpreter(), name) }
  assert.equal("", result.stderr)
  if result.status ~= 77 then assert.equal(0, result.status, result.stdout) end
  return result.stdout, result.status == 77
end

local function has(text, part)
  assert.truthy(text:find(part, 1, true), text)
end

describe("the challenge", function()
  trial.around(before_each, after_each)

  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  elseif not require("cella.policy").root()(facts) then
    pending("needs leave to map oneself")
    return
  end

  it("a range: files have the owners that the map says", function()
    local text, skipped = run "1-a-range"
    if skipped then return pending(text) end
    for _, id in ipairs { 0, 1, 33, 999 } do
      has(text, ("inside:  the file %d belongs to %d\n"):format(id, id))
      local owner = tonumber(text:match(("outside: the file %d belongs to (%%d+)\n"):format(id)))
      assert.is_true(owner ~= id)
    end
  end)

  it("everything: root inside is root, to files", function()
    local text, skipped = run "2-everything"
    if skipped then
      return has(text, "Not for you")
    elseif not facts.initial then
      return pending("needs the initial namespace")
    end
    has(text, "Root inside reads root's file: a secret\n")
    assert.truthy(text:find("with IDs that nobody has outside: [^\n]*Permission denied"), text)
    has(text, "makes a file there: file\n")
    assert.truthy(text:find("a device node: [^\n]*Operation not permitted"), text)
    assert.truthy(text:find("renames the host: [^\n]*hostname: "), text)
    has(text, "warning (initial-root)")
  end)

  it("the web server: two ways to be it", function()
    local text = run "3-web-server"
    local first, second = text:match("^(.*)I am root, and(.*)$")
    assert.truthy(first:find("inside it is uid %d+\n  outside it is uid " .. facts.uid .. ", which is you\n"), text)
    local outside = second:match("outside it is uid (%d+)\n")
    if outside then
      assert.is_nil(second:find("which is you", 1, true))
      assert.is_true(tonumber(outside) ~= facts.uid)
    else
      has(second, "not here: ")
    end
  end)

  it("a bad map: what it gives away, and how it is refused", function()
    local text = run "4-a-bad-map"
    if facts.uid == 0 and facts.capabilities.setuid and facts.initial then
      has(text, "A careless map: root in the container reads: only root may read this\n")
      has(text, "A careful one:  root in the container reads: nothing\n")
      has(text, "refused (initial-root): uid 0 inside is the initial namespace's root outside")
    elseif not facts.capabilities.setuid then
      has(text, "The kernel would not take it:\nid map: these maps cannot be written here (EPERM)\n")
      has(text, "it may map one ID only, its own")
    end
  end)

  it("four deep: numbers and rights go down, and nothing goes up", function()
    local text, skipped = run "5-four-deep"
    if skipped then return pending(text) end
    local names = { "container-user", "app-user", "java-user", "db-user" }
    local numbers = {
      { 115, 15, 95, 35 }, { 65534, 95, 15, 75 }, { 65534, 65534, 75, 15 }, { 65534, 65534, 65534, 55 },
    }
    local lines = {}
    for level = 4, 1, -1 do
      lines[#lines + 1] = ("From the namespace of %s:"):format(names[level])
      for other = 1, 4 do
        lines[#lines + 1] = ("  %-15s is uid %-6d and his file is %s"):format(names[other], numbers[level][other],
          other >= level and "mine to write" or "closed to me")
      end
    end
    local tree, reports = text:match "^From outside:\n(.-\n)\n(From the namespace.*)$"
    assert.equal(table.concat(lines, "\n") .. "\n", reports)
    -- Each below the one before; the maps as they were written, where it is above them all.
    local from = 1
    for _, name in ipairs(names) do
      local pattern = "made by uid %d+[^\n]*\n[^\n]*s: 0%-%d+ are [^\n]*\n.-process[es]*: " .. name:gsub("%-", "%%-")
      local first, last = tree:find(pattern, from)
      assert.is_number(first, name .. " is not below in " .. tree)
      from = last
    end
    assert.truthy(tree:find("0-9 are 80-89 of the one above", 1, true), tree)
    assert.truthy(tree:find("0-9 are 60-69 of the one above", 1, true), tree)
  end)
end)
