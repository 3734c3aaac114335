-- doc/security.md names the specifications that prove it.

local function read(path)
  local file = io.open(path)
  local text = file and file:read "*a"
  if file then file:close() end
  return text
end

-- References as `file`: *words in the name*, *others*, with the text of the document on one line.
local function references(text)
  local list = {}
  text = text:gsub("%s+", " ")
  for name, words in text:gmatch "`([%w_]+)`: (%*[^`]*)" do
    -- As long as one quotation follows the other.
    local from = 1
    while true do
      local first, last, quoted = words:find("^%*([^*]+)%*,? ?", from)
      if not first then break end
      list[#list + 1] = { file = "spec/escape/" .. name .. "_spec.lua", words = quoted }
      from = last + 1
    end
  end
  return list
end

describe("doc/security.md", function()
  local list = references(assert(read "doc/security.md"))

  it("names a specification for what it promises", function()
    assert.is_true(#list > 30, #list)
    local rows = 0
    local promised = assert(read "doc/security.md"):match "\n## What is promised\n(.-)\n### "
    for row in promised:gmatch "\n|[^\n]*" do
      if not row:find "^\n|%-" and not row:find("proved by", 1, true) then
        rows = rows + 1
        assert.is_true(#references(row) > 0, row)
      end
    end
    assert.is_true(rows > 10)
  end)

  it("names specifications that exist", function()
    local missing = {}
    for _, reference in ipairs(list) do
      local text, found = read(reference.file), false
      for line in (text or ""):gmatch "[^\n]+" do
        found = found or (line:find "it%(\"" and line:gsub('\\"', '"'):find(reference.words, 1, true)) ~= nil
      end
      -- The names of containers come from spec/support/escape.lua.
      found = found or text and read "spec/support/escape.lua":find('"' .. reference.words .. '"', 1, true) ~= nil
      if not found then missing[#missing + 1] = reference.file .. ": " .. reference.words end
    end
    assert.same({}, missing)
  end)

  it("would notice one that does not", function()
    assert.same({ { file = "spec/escape/devices_spec.lua", words = "one" }, { file = "spec/escape/devices_spec.lua",
      words = "two words" } }, references "x `devices`: *one*, *two\nwords* | y")
  end)

  it("has the keys that exist", function()
    local manual = assert(read "doc/manual.md")
    for key in assert(read "doc/security.md"):gmatch "`([%l_]+) = " do
      assert.truthy(manual:find("`" .. key, 1, true) or manual:find(key .. " =", 1, true), key)
    end
  end)
end)
