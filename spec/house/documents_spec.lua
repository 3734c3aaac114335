-- What the documents point at is there: files, headings, and the packages that have to be installed.

local trial = require "spec.support.trial"

local function documents()
  return trial.sh "ls *.md doc/*.md examples/*/README.md":gmatch "%S+"
end

-- Without what is in blocks and quoted.
local function prose(text)
  return (text:gsub("```.-\n```", ""):gsub("`[^`\n]*`", function(quoted) return quoted:gsub("[%[%]()]", " ") end))
end

-- As GitHub names headings.
local function anchor(heading)
  return (heading:lower():gsub("%[(.-)%]%b()", "%1"):gsub("[^%w%-_ ]", ""):gsub(" ", "-"))
end

local function anchors(text)
  local found = {}
  for heading in ("\n" .. text:gsub("```.-\n```", "")):gmatch "\n#+ ([^\n]+)" do found[anchor(heading)] = true end
  return found
end

-- A path seen from a document: without "..".
local function path_from(file, link)
  local path = (file:match "^(.*/)" or "") .. link
  local count
  repeat path, count = path:gsub("[^/]+/%.%./", "", 1) until count == 0
  return path
end

local function broken(file, text)
  local list = {}
  for link in prose(text):gmatch "%]%(([^)]+)%)" do
    if not link:find "^%a+:" then
      local path, name = link:match "^([^#]*)#?(.*)$"
      local target = path == "" and file or path_from(file, path)
      local there = trial.sh(("[ -e %s ] && echo yes"):format(trial.quote(target))) ~= ""
      local named = there and (name == "" or anchors(target == file and text or trial.read(target))[name])
      if not named then list[#list + 1] = file .. ": " .. link end
    end
  end
  return list
end

describe("the documents", function()
  for file in documents() do
    it("have no link that leads nowhere: " .. file, function()
      assert.same({}, broken(file, trial.read(file)))
    end)
  end

  it("would be told if they had", function()
    local list = broken("doc/manual.md", "[a](nowhere.md), [b](#plans), [c](caps.md#nowhere), "
      .. "[d](../README.md#try-it)\n# Plans")
    assert.same({ "doc/manual.md: nowhere.md", "doc/manual.md: caps.md#nowhere" }, list)
  end)

  it("are all to be reached from the README or the manual", function()
    local texts = trial.read "README.md" .. trial.read "doc/manual.md"
    for path in trial.sh "ls doc/*.md":gmatch "doc/(%S+)" do
      assert.truthy(texts:find("(" .. path, 1, true) or texts:find("doc/" .. path, 1, true), path)
    end
  end)

  it("list the commands that there are, and no other", function()
    local there, said = {}, {}
    local help = trial.cella({ "--help" }).stdout:match "\nCommands:\n(.-)\n\n"
    for name in ("\n" .. help):gmatch "\n   (%l+)" do there[name] = true end
    for name in trial.read "README.md":match "\n## From the command line\n\n```\n(.-)```":gmatch "cella (%l+)" do
      said[name] = true
    end
    assert.same(there, said)
  end)

  it("name the packages that make run installs", function()
    local wanted = trial.read "tools/deps":match "run='(.-)'"
    local said = trial.read "README.md":gsub("%s+", " "):match "%-%-no%-install%-recommends (.-)`"
    assert.equal(wanted:gsub("%s+", " "), said)
  end)
end)
