-- What the documents tell readers to type: every snippet is run as it stands, and prints what they say that it prints.

local cgroup = require "cella.cgroup"
local host = require "cella.host"
local portable = require "spec.support.portable"
local snippets = require "spec.support.snippets"
local trial = require "spec.support.trial"

local DOCUMENTS = "ls README.md doc/*.md examples/*/README.md"

local facts = host.facts()

-- What a snippet may need, as it says it: nil where there is that.
local NEEDS = {
  ["subordinate IDs"] = function()
    return not (facts.uid ~= 0 and facts.subuid[1] and facts.newuidmap) and "needs subordinate IDs, and a user" or nil
  end,
  ["several IDs"] = function()
    local ids, reason = trial.several_ids()
    return not ids and reason or nil
  end,
  ["Lua inside"] = function()
    return _VERSION == "Lua 5.1" and not portable.jit and "needs package.searchpath, which Lua 5.1 lacks"
      or portable.program:find("/", 1, true) and "needs a Lua that is in the default root" or nil
  end,
  nft = function()
    return trial.sh "PATH=$PATH:/usr/sbin:/sbin command -v nft" == "" and "needs nft" or nil
  end,
  limits = function()
    local there = {}
    for _, name in ipairs(cgroup.controllers() or {}) do there[name] = true end
    return not (there.memory and there.pids and there.cpu) and "needs a cgroup with memory, pids and cpu" or nil
  end,
}

local lacks
function lacks(snippet)
  if snippet.before and lacks(snippet.before) then return lacks(snippet.before) end
  if snippet.mark == "user" and facts.uid == 0 then return "as an ordinary user" end
  local what = snippet.mark == "needs" and snippet.argument or snippet.mark == "after" and snippet.argument
  if what and what ~= "" then return assert(NEEDS[what], what)() end
  return nil
end

-- Readers are told of Lua 5.4; what they do with it can be done with the Lua at work. A build for another libc, or with
-- sanitizers, is not loaded by a program of the system's.
local BUILD = os.getenv "CELLA_BUILD" or "build/lua5.4"
local function by_this_lua(program)
  if not BUILD:find "lua[^/]+$" then return program end
  return (program:gsub("build/lua5%.4", BUILD):gsub("%f[%w/]lua5%.4", portable.program))
end

-- A directory to do it in: the checkout, by its names, with room for files. Its programs are those of the Lua at work.
local PROGRAMS = "/.programs"
local function place(directory)
  trial.sh(("ln -s %s/* %s; mkdir %s%s"):format(trial.top, directory, directory, PROGRAMS))
  local path = trial.write(directory .. PROGRAMS .. "/cella", ('#!/bin/sh\nexec %s "$@"\n'):format(trial.cli_text {}))
  trial.sh("chmod 755 " .. path)
  return directory
end

-- What it prints comes as on a terminal: in the order in which it is printed, whoever does.
local LINES = [[ -e 'io.stdout:setvbuf "line"']]

local run
function run(snippet, directory)
  if snippet.before then assert.equal(0, run(snippet.before, directory).status) end
  local path = trial.write(directory .. "/snippet", by_this_lua(snippet.program))
  local interpreter = snippet.language == "lua" and trial.interpreter() .. LINES or "sh -e"
  local variables = ("HOME=%s PATH=%s%s:$PATH"):format(directory, directory, PROGRAMS)
  return trial.host { "/bin/sh", "-c", ("cd %s && env %s %s %s 2>&1"):format(directory, variables, interpreter, path) }
end

describe("the snippets of documents", function()
  it("are found, with what they print", function()
    local found = snippets.of("a document", [[
```lua
print(1) --> 1  one
```
<!-- snippet: after -->
```lua
print(2) --> 2
```
```output
1
2
```
<!-- snippet: not run: no such program -->
```sh
frobnicate
```
```
neither
```
]])
    assert.equal(3, #found)
    assert.same({ "lua", "print(1) --> 1  one\nprint(2) --> 2\n", "1\n2\n" }, { found[2].language, found[2].program,
      found[2].output })
    assert.same({ "1" }, found[1].prints)
    assert.same({ "not run", "no such program" }, { found[3].mark, found[3].argument })
  end)

  it("are wrong where something else is printed", function()
    local ids = { own = "7" }
    local function missing(text, said) return snippets.missing(snippets.of("a document", text)[1], said, ids) end
    assert.is_nil(missing("```lua\n--> uid 1000 ... end\n```", "my uid 7 and the end"))
    assert.equal("uid 1000", missing("```lua\n--> uid 1000\n```", "my uid 8"))
    assert.is_nil(missing("```sh\n```\n```output\n0 1000  1\n```", "  0   1000 1\n"))
    assert.truthy(missing("```sh\n```\n```output\n0 1000 1\n```", "0 1000 1\nand more"))
    assert.has_error(function() snippets.of("a document", "<!-- snippet: nut run: x -->\n```sh\n```") end)
  end)

  if trial.lacks_user_namespaces() then
    pending(trial.lacks_user_namespaces())
    return
  end

  local range = facts.uid ~= 0 and facts.subuid[1]
  local ids = { own = tostring(facts.uid), subordinate = range and ("%d"):format(range.first) or nil }
  local directory
  trial.around(before_each, after_each, function(path) directory = place(path) end)

  for file in trial.sh(DOCUMENTS):gmatch "%S+" do
    for _, snippet in ipairs(snippets.of(file)) do
      local title = ("%s:%d"):format(snippet.file, snippet.line)
      if snippet.mark == "not run" then
        it("can be read: " .. title, function()
          if snippet.language == "lua" then return assert(portable.load(snippet.program)) end
          assert.equal(0, trial.host({ "sh", "-nc", snippet.program }).status)
        end)
      else
        it("can be pasted: " .. title .. (snippet.mark == "slow" and " #slow" or ""), function()
          if lacks(snippet) then return pending(lacks(snippet)) end
          local result = run(snippet, directory)
          assert.equal(0, result.status, result.stdout)
          local missing = snippets.missing(snippet, result.stdout, ids)
          assert.is_nil(missing, result.stdout)
        end)
      end
    end
  end
end)
