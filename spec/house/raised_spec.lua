-- What the programmer did is raised by cella.blame alone: nothing else counts levels of the stack.

-- The calls of `error` in a source that do not say level 0.
local function counted(source)
  local found = {}
  -- Not in strings and comments, whose parentheses need not match.
  source = source:gsub("%[%[.-%]%]", "[[]]"):gsub('\\["\'\\]', ""):gsub('"[^"\n]*"', '""'):gsub("'[^'\n]*'", "''")
    :gsub("%-%-[^\n]*", "")
  for before, rest in source:gmatch "([%w_.:]?)error%f[^%w_]()" do
    local arguments = source:match("^%s*(%b())", rest)
    if before == "" and not (arguments and arguments:find ",%s*0%)$") then
      found[#found + 1] = "error" .. source:sub(rest, rest + 40):match "^[^\n]*"
    end
  end
  return found
end

local function read(path)
  local file = assert(io.open(path))
  local source = file:read "*a"
  file:close()
  return source
end

describe("an error of the programmer's", function()
  it("is not raised with a level that somebody has counted", function()
    local count = 0
    for path in io.popen("find lua -name '*.lua' ! -path 'lua/cella/blame.lua' ! -path '*/meta/*'"):lines() do
      count = count + 1
      assert.same({}, counted(read(path)), path)
    end
    assert.is_true(count > 100)
  end)

  it("would be found if it were", function()
    assert.same({}, counted 'error(("x"):format(y), 0) strerror(2) core.error(2) -- error(x, 2)\nas_error(x)')
    for _, source in ipairs { "error(x, 2)", "error(x)", 'error "x"', "if a then error((b), level + 1) end",
      "error(f(x, 0))", 'error("a)", 2)', "pcall(error, x)", "local raise = error" } do
      assert.equal(1, #counted(source), source)
    end
    assert.is_true(#counted(read "lua/cella/blame.lua") > 0)
  end)
end)
