-- Bytecode of Lua 5.4 without the names of local variables and upvalues, which are a seventh of the time that loading
-- it takes: each is a string that is looked up. Lines stay. (What is lost: an error of the library's own says "a nil
-- value", not "a nil value (local 'x')".)
--
-- The format is ldump.c's. A function(bytecode) -> bytecode; what another release has made is returned as it is.

-- "\27Lua", the version, the format; behind them how numbers are laid out, and one of each.
local SIGNATURE = "\27Lua\84\0"
local HEADER = 31
local LONE = { [0x00] = 0, [0x01] = 0, [0x11] = 0, [0x03] = 8, [0x13] = 8 } -- kinds of constants, and their bytes
local SHORT, LONG = 0x04, 0x14 -- strings

return function(code)
  if code:sub(1, #SIGNATURE) ~= SIGNATURE then return code end
  local at, from, pieces = HEADER + 2, 1, {} -- behind the header is how many upvalues the chunk has

  -- Seven bits a byte, the highest first; the last byte has the eighth.
  local function number()
    local value = 0
    while true do
      local byte = code:byte(at)
      at = at + 1
      value = value * 128 + byte % 128
      if byte >= 128 then return value end
    end
  end

  local function skip(bytes) at = at + bytes end

  local function text()
    local size = number() -- one more than it has bytes; 0 where there is none
    if size > 0 then skip(size - 1) end
  end

  -- What was read since `start` goes; in its place is that there is nothing.
  local function leave_out(start)
    pieces[#pieces + 1] = code:sub(from, start - 1) .. "\128"
    from = at
  end

  local function names()
    local start = at
    for _ = 1, number() do -- local variables, and where they are
      text()
      number()
      number()
    end
    leave_out(start)
    start = at
    for _ = 1, number() do text() end -- upvalues
    leave_out(start)
  end

  local function body()
    text() -- the source
    number()
    number()
    skip(3)
    skip(number() * 4) -- instructions
    for _ = 1, number() do
      local kind = code:byte(at)
      at = at + 1
      if kind == SHORT or kind == LONG then text() else skip(LONE[kind]) end
    end
    skip(number() * 3) -- upvalues
    for _ = 1, number() do body() end
    skip(number()) -- lines
    for _ = 1, number() do
      number()
      number()
    end
    names()
  end
  body()

  assert(at == #code + 1, "the bytecode has more than a function")
  local result = table.concat(pieces) .. code:sub(from)
  assert(string.dump(load(result, "=", "b"), true) == string.dump(load(code, "=", "b"), true), "another function")
  return result
end
