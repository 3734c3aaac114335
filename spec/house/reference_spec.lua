-- Whatever cella exports has a text that says more than its name, types for all of its parameters, and a place in a
-- document.

local annotations = require "tools.doc.annotations"
local cella = require "cella"
local contents = require "tools.doc.contents"
local reference = require "tools.doc.reference"
local trial = require "spec.support.trial"

local documents = trial.sh "cat README.md doc/*.md"

local function words(text)
  local set = {}
  for word in (text or ""):gmatch "%S+" do set[word] = true end
  return set
end

-- name -> what the annotations say of it.
local function described(section)
  local found = {}
  for _, place in ipairs(section.from) do
    local file = annotations.of(place[1])
    for _, list in ipairs { file.calls, file.values } do
      for _, call in ipairs(list) do
        if call.name:find(place[2]) then found[call.name:match "[%w_]+$"] = call end
      end
    end
  end
  for _, path in ipairs(section.more or {}) do
    for _, class in ipairs(annotations.of(path).classes) do
      for _, field in ipairs(class.name == section.classes[1] and class.fields or {}) do
        found[field.name] = found[field.name] or { text = field.text, parameters = {}, params = {} }
      end
    end
  end
  return found
end

-- Operations of the table are methods of a plan by the same name.
local operations = described { from = { { "lua/cella/meta/sys.lua", "^sys%." } } }

local function names(section)
  local list, internal = {}, words(section.internal)
  for name in pairs(section.there()) do
    if type(name) == "string" and not name:find "^_" and not internal[name] then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

local FREE = { _ = true, ["..."] = true }

local function untyped(call)
  for i, parameter in ipairs(call.parameters) do
    local param = call.params[i]
    local typed = param and param.name == parameter and param.type ~= ""
    if not typed and not FREE[parameter] then return parameter end
  end
  return nil
end

describe("the reference", function()
  for _, section in ipairs(contents) do
    if section.there then
      local found = described(section)
      local list = names(section)

      it("has texts for what is exported: " .. section.title, function()
        for _, name in ipairs(list) do
          local call = found[name] or section.title == "Plans" and operations[name]
          assert.truthy(call, section.shown .. name .. " has no annotation")
          assert.is_true(#call.text > 8, section.shown .. name .. " has no text")
          assert.is_nil(untyped(call), section.shown .. name)
        end
      end)

      it("has names that a document names: " .. section.title, function()
        for _, name in ipairs(list) do
          assert.truthy(documents:find("%f[%w_]" .. name .. "%f[^%w_]"), section.shown .. name)
        end
      end)

      it("leaves out only what there is: " .. section.title, function()
        local there = section.there()
        for name in pairs(words(section.internal)) do assert.truthy(there[name] ~= nil, name) end
      end)
    end
  end

  -- Their line in the class says all.
  local SAID_THERE = { load_everything = true, use_huge_page = true }

  it("has a section for each field of cella", function()
    local fields = described(contents[1])
    local texts = ""
    for _, section in ipairs(contents) do
      texts = texts .. section.title .. " " .. (section.text or "")
      for _, place in ipairs(section.from) do texts = texts .. " " .. place[1] end
    end
    for name in trial.read "lua/cella.lua":match "local FIELDS = (%b{})":gmatch "\n  ([%w_]+) = " do
      assert.truthy(fields[name], name .. " is not in the class")
      assert.is_not_nil(cella[name])
      if not SAID_THERE[name] then assert.truthy(texts:find("%f[%w]" .. name .. "%f[%W]"), name) end
    end
  end)

  it("finds the classes that it lists", function()
    for _, section in ipairs(contents) do
      for _, name in ipairs(section.classes or {}) do
        assert.is_true(#reference.classes_of { classes = { name } } > 0, name)
      end
    end
  end)

  it("has types that there are", function()
    local known, used = {}, {}
    for path in trial.sh "find lua -name '*.lua'":gmatch "%S+" do
      local function use(type)
        for name in (type or ""):gmatch "cella[%w_.]*" do used[name] = used[name] or path end
      end
      local function use_all(list)
        for _, one in ipairs(list) do use(one.type) end
      end
      local file = annotations.of(path)
      for _, class in ipairs(file.classes) do
        known[class.name] = true
        use(class.parent)
        use_all(class.fields)
      end
      for _, alias in ipairs(file.aliases) do known[alias.name] = true end
      use_all(file.aliases)
      use_all(file.values)
      for _, call in ipairs(file.calls) do
        use_all(call.params)
        use_all(call.returns)
      end
    end
    for name, path in pairs(used) do assert.truthy(known[name], name .. ", in " .. path) end
  end)

  it("would notice what has no text", function()
    local path = os.tmpname()
    trial.write(path, "--- Does it.\n---@param a integer\nfunction M.one(a, b) end\n\nfunction M.two() end\n")
    local calls = annotations.of(path).calls
    os.remove(path)
    assert.equal("b", untyped(calls[1]))
    assert.same({ "Does it.\n", "" }, { calls[1].text, calls[2].text })
  end)
end)
