--- What a worker's interpreter executes: the other side of `cella.worker.channel`, as text, for the Lua that is in the
--- container, whichever it is.
--
-- It finds nothing in there but its interpreter, so that it is one chunk, given as an argument, in what Lua 5.1 to 5.5
-- and LuaJIT have in common. What it needs of Lua it keeps in locals: the sources share the libraries with it, and may
-- change them. Before it are WANTED, a list of libraries, and LIMIT, result_limit.

return [==[
local getmetatable, next, pcall, rawget, select, tonumber, tostring, type, xpcall =
  getmetatable, next, pcall, rawget, select, tonumber, tostring, type, xpcall
local raise = _G["error"]
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub,
  string.match, string.sub
local pack_number, unpack_number = string.pack, string.unpack
local concat, unpack = table.concat, table.unpack or unpack
local floor, huge, ldexp, frexp, math_type = math.floor, math.huge, math.ldexp, math.frexp, math.type
local traceback, sethook, leave = debug.traceback, debug.sethook, os.exit
local load, loadstring, setfenv, is_5_1 = load, loadstring, setfenv, _VERSION == "Lua 5.1" and not jit
local READ, WRITE, OUT = io.stdin, io.stdout, io.stderr
local read, write, flush = READ.read, WRITE.write, WRITE.flush
local version = jit and jit.version or _VERSION

-- Numbers, as csrc/lib/message.h has them.

local function u32(n)
  return char(n % 256, floor(n / 256) % 256, floor(n / 65536) % 256, floor(n / 16777216) % 256)
end

local data, at

local function take_u32()
  local a, b, c, d = byte(data, at, at + 3)
  at = at + 4
  return a + b * 256 + c * 65536 + d * 16777216
end

local take_integer, take_double, double

if pack_number then
  function take_integer()
    at = at + 8
    return (unpack_number("<i8", data, at - 8))
  end
  function take_double()
    at = at + 8
    return (unpack_number("<d", data, at - 8))
  end
  function double(n) return pack_number("<d", n) end
else
  function take_integer()
    local low, high = take_u32(), take_u32()
    if high >= 2147483648 then high = high - 4294967296 end
    return high * 4294967296 + low
  end
  function take_double()
    local low = take_u32()
    local high = take_u32()
    local negative = high >= 2147483648
    if negative then high = high - 2147483648 end
    local exponent = floor(high / 1048576)
    local fraction = high % 1048576 * 4294967296 + low
    local value
    if exponent == 2047 then
      value = fraction == 0 and huge or 0 / 0
    elseif exponent == 0 then
      value = ldexp(fraction, -1074)
    else
      value = ldexp(fraction + 4503599627370496, exponent - 1075)
    end
    return negative and -value or value
  end
  function double(n)
    if n ~= n then return "\0\0\0\0\0\0\248\127" end
    local sign = 0
    if n < 0 or n == 0 and 1 / n < 0 then n, sign = -n, 2147483648 end
    local exponent, fraction = 0, 0
    if n == huge then
      exponent = 2047
    elseif n ~= 0 then
      local _, power = frexp(n)
      exponent = power + 1022
      if exponent > 0 then
        fraction = ldexp(n, 53 - power) - 4503599627370496
      else
        exponent, fraction = 0, ldexp(n, 1074)
      end
    end
    return u32(fraction % 4294967296) .. u32(sign + exponent * 1048576 + floor(fraction / 4294967296))
  end
end

-- What is asked comes from the caller, whom we trust.

local take_value

local function take_table(tables)
  local result, count, items = {}, 0, true
  tables[#tables + 1] = result
  while true do
    local tag = sub(data, at, at)
    if tag == "e" then
      at = at + 1
      return result
    elseif tag == "h" and items then
      at, items = at + 1, false
    elseif items then
      count = count + 1
      result[count] = take_value(tables)
    else
      local key = take_value(tables)
      result[key] = take_value(tables)
    end
  end
end

function take_value(tables)
  local tag = sub(data, at, at)
  at = at + 1
  if tag == "n" then return nil end
  if tag == "t" or tag == "f" then return tag == "t" end
  if tag == "i" then return take_integer() end
  if tag == "d" then return take_double() end
  if tag == "r" then return tables[take_u32()] end
  if tag == "T" then return take_table(tables) end
  local size = take_u32()
  at = at + size
  return sub(data, at - size, at - 1)
end

-- Returns the kind, and the values with their number.
local function decode(message)
  data, at = message, 10
  local values, count, tables = {}, 0, {}
  while sub(data, at, at) ~= "z" do
    count = count + 1
    values[count] = take_value(tables)
  end
  data = nil
  return sub(message, 9, 9), values, count
end

-- What is answered. The costs are those of csrc/lib/message.h, so that who sends learns of the bound first.

local out, count_out, cost, limit, seen, tables, number_keys, trail
local PROBLEM = {}

local function put(bytes)
  count_out = count_out + 1
  out[count_out] = bytes
end

local function fail(problem, depth)
  local path = ""
  for i = 1, depth do
    local key = trail[i]
    if type(key) == "string" and find(key, "^[A-Z_a-z][A-Z_a-z0-9]*$") and #key < 80 then
      path = path .. "." .. key
    elseif type(key) == "string" then
      path = path .. "[\"" .. sub(key, 1, 80) .. "\"]"
    else
      path = path .. "[" .. tostring(key) .. "]"
    end
  end
  PROBLEM.words = path .. ": " .. problem
  raise(PROBLEM, 0)
end

local function charge(more, depth)
  cost = cost + more
  if cost > limit then fail("there is more than result_limit allows", depth) end
end

local put_value

local function put_pair(key, value, depth)
  local kind = type(key)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then fail("a " .. kind .. " as a key", depth) end
  local more = 48
  if kind == "number" then
    more = more + floor(number_keys / 32)
    number_keys = number_keys + 1
  end
  charge(more, depth)
  put_value(key, depth + 1)
  trail[depth + 1] = key
  put_value(value, depth + 1)
end

local function put_table(value, depth)
  if seen[value] then
    put("r")
    put(u32(seen[value]))
    return
  end
  if getmetatable(value) ~= nil then fail("a table with a metatable, which would be lost", depth) end
  if depth == 100 then fail("tables are nested more than 100 deep", depth) end
  charge(64, depth)
  tables = tables + 1
  seen[value] = tables
  put("T")
  local count = 0
  while true do
    local item = rawget(value, count + 1)
    if item == nil then break end
    count = count + 1
    trail[depth + 1] = count
    charge(16, depth + 1)
    put_value(item, depth + 1)
  end
  local others = false
  for key, item in next, value do
    if not (type(key) == "number" and key >= 1 and key <= count and key == floor(key)) then
      if not others then put("h") end
      others = true
      put_pair(key, item, depth)
    end
  end
  put("e")
end

function put_value(value, depth)
  local kind = type(value)
  if kind == "nil" then
    put("n")
  elseif kind == "boolean" then
    put(value and "t" or "f")
  elseif kind == "number" then
    if math_type and math_type(value) == "integer" then
      put(pack_number("<Bi8", 105, value))
    else
      put("d")
      put(double(value))
    end
  elseif kind == "string" then
    charge(32 + #value, depth)
    put("s")
    put(u32(#value))
    put(value)
  elseif kind == "table" then
    put_table(value, depth)
  else
    fail("a " .. kind .. " has no meaning outside of the process that it is in", depth)
  end
end

local function encode(kind, id, values, count, most)
  out, count_out, cost, limit, seen, tables, number_keys, trail = {}, 0, 0, most, {}, 0, 0, {}
  put("cella 1 " .. kind .. "s" .. u32(#id) .. id)
  for i = 1, count do
    PROBLEM.at = i
    charge(16, 0)
    put_value(values[i], 0)
  end
  put("z")
  return concat(out)
end

-- Errors.

local LONGEST = 65536

local function cut(text)
  return #text > LONGEST and sub(text, 1, LONGEST) .. "..." or text
end

local FAILURE = {}

local function describe(err)
  local message
  if type(err) == "string" or type(err) == "number" then
    message = tostring(err)
  else
    local meta = getmetatable(err)
    local speaks = type(meta) == "table" and rawget(meta, "__tostring") ~= nil
    local ok, text = pcall(tostring, err)
    message = speaks and ok and type(text) == "string" and text or "(error object is a " .. type(err) .. " value)"
  end
  message = cut(message)
  local trace = traceback(message, 2)
  -- Up to the frame of this chunk that called the function.
  local last, from = nil, 1
  while true do
    local place = find(trace, "\n%s*%[C%]: in [a-z ]*'?xpcall'?", from)
    if not place then break end
    last, from = place, place + 1
  end
  if last then
    trace = gsub(sub(trace, 1, last - 1), "\n[^\n]*$", "")
    trace = gsub(trace, "\n%s*%([A-Za-z0-9. ]*tail calls?[.]*%)[^\n]*$", "")
  end
  return { FAILURE, "error", message, cut(trace), err }
end

local function failure(reason, message) return { FAILURE, reason, message, message } end

-- Answers with an error; its value comes along where it is plain data.
local function encode_failure(id, err)
  if type(err) ~= "table" or err[1] ~= FAILURE then
    err = failure("error", type(err) == "string" and cut(err) or "(no message)")
  end
  local list = { err[2], err[3], err[4], err[5] }
  local ok, text = pcall(encode, "e", id, list, 4, LIMIT + 4 * LONGEST)
  return ok and text or encode("e", id, list, 3, 4 * LONGEST)
end

-- What the sources find.

local template, missing = {}, {}

local BASE = "_VERSION assert collectgarbage error gcinfo getfenv getmetatable ipairs newproxy next pairs pcall "
  .. "rawequal rawget rawlen rawset select setfenv setmetatable tonumber tostring type unpack warn xpcall "

local function load_text(source, name, env)
  if byte(source, 1) == 27 then return nil, "attempt to load bytecode, and text alone is taken" end
  if not is_5_1 then return load(source, name, "t", env) end
  local chunk, message = loadstring(source, name)
  if chunk then setfenv(chunk, env) end
  return chunk, message
end

local function print_line(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
  write(OUT, concat(parts, "\t"), "\n")
end

local PROVIDED = { load = true, loadstring = loadstring and true, print = true }

local function provide(env, name)
  if name == "print" then
    env.print = print_line
  elseif PROVIDED[name] then
    env[name] = function(source, chunk_name, _, ...)
      if type(source) == "function" then
        local parts = {}
        while true do
          local part = source()
          if part == nil or part == "" then break end
          parts[#parts + 1] = part
        end
        source = concat(parts)
      end
      if type(source) ~= "string" then raise("bad argument #1 to '" .. name .. "' (string expected)", 2) end
      local own = env
      if select("#", ...) > 0 then own = ... end
      return load_text(source, chunk_name or "=(load)", own)
    end
  end
end

local wants = {}

local function new_environment()
  local env = {}
  for key, value in next, template do env[key] = value end
  if wants.base then env._G = env end
  for name in next, PROVIDED do
    if wants.base or wants["base." .. name] then provide(env, name) end
  end
  return env
end

do
  local globals, loaded, preload = _G, package.loaded, package.preload
  local found, ffi = pcall(require, "ffi")
  local real = { ffi = found and ffi or nil }
  for _, name in next, { "bit", "bit32", "coroutine", "debug", "io", "jit", "math", "os", "package", "string", "table",
    "utf8" } do
    real[name] = globals[name]
  end
  local require, module = require, module
  string.dump = nil
  -- Descriptors 0 and 1 are those of this chunk.
  real.io.stdin, real.io.stdout = nil, OUT
  real.io.output(OUT)
  local null = real.io.open("/dev/null")
  if null then real.io.input(null) end
  for _, name in next, WANTED do
    wants[name] = true
    local library, field = match(name, "^([^.]*)%.?(.*)$")
    if library == "base" then
      for key in string.gmatch(field == "" and BASE or field, "[^ ]+") do
        local is_listed = find(" " .. BASE, " " .. key .. " ", 1, true)
        if is_listed then template[key] = globals[key] end
        if field ~= "" and (globals[key] == nil or not is_listed and not PROVIDED[key]) then
          missing[#missing + 1] = name
        end
      end
    elseif type(real[library]) ~= "table" or field ~= "" and real[library][field] == nil then
      missing[#missing + 1] = name
    elseif field == "" then
      template[library] = real[library]
    else
      template[library] = template[library] or {}
      template[library][field] = real[library][field]
    end
  end
  getmetatable("").__index = template.string or {}
  if wants.package then template.require, template.module = require, module end
  local function empty(list)
    local keys = {}
    for key in next, list do keys[#keys + 1] = key end
    for i = 1, #keys do list[keys[i]] = nil end
  end
  empty(globals)
  empty(loaded)
  empty(preload)
  if wants.package then
    -- What is required has the globals that there are in the beginning.
    for key, value in next, new_environment() do globals[key] = value end
    globals._G = globals
    for key, value in next, template do
      if type(value) == "table" then loaded[key] = value end
    end
    loaded._G = globals
  end
end

-- The three things that are asked.

local sources = {}
local ask = {}

function ask.h(id)
  local all = { version }
  for i = 1, #missing do all[i + 1] = missing[i] end
  return encode("v", id, all, #all, 65536)
end

local function packed(...) return { n = select("#", ...), ... } end

-- Calls what is a stranger's. What it has set to be called later ends with it.
local function run(f, ...)
  local arguments = packed(...)
  local ok, results = xpcall(function()
    local all = packed(f(unpack(arguments, 1, arguments.n)))
    return all -- not as a tail call: describe counts on the frame
  end, describe)
  if sethook then sethook() end
  if ok then return results end
  return nil, results
end

function ask.l(id, values)
  local name, env = values[2], new_environment()
  local chunk, message = load_text(values[3], "=" .. name, env)
  if not chunk then return encode_failure(id, failure("source", cut(message))) end
  local results, err = run(chunk)
  if not results then return encode_failure(id, err) end
  sources[name] = { env = env, module = results[1] }
  return encode("v", id, {}, 0, 65536)
end

function ask.c(id, values, count)
  local source, name = sources[values[2]], values[3]
  local results, err = run(function(...)
    local f
    if type(source.module) == "table" then f = source.module[name] end
    if f == nil then f = source.env[name] end
    -- Of a table or userdata only a metatable says whether it is like a function.
    if type(f) ~= "function" and getmetatable(f) == nil or type(f) == "string" then return FAILURE end
    return f(...)
  end, unpack(values, 4, count))
  if not results then return encode_failure(id, err) end
  if results[1] == FAILURE then return encode_failure(id, failure("missing", "no such function")) end
  local ok, text = pcall(encode, "v", id, results, results.n, LIMIT)
  if ok then return text end
  if text == PROBLEM then text = "return value " .. PROBLEM.at .. PROBLEM.words end
  return encode_failure(id, failure("error", type(text) == "string" and cut(text) or "(no message)"))
end

while true do
  local size = tonumber(read(READ, 10) or "")
  local message = size and read(READ, size)
  if not message or #message < size then leave(0) end
  local id = sub(message, 15, 22)
  local function answer()
    local kind, values, count = decode(message)
    return ask[kind](id, values, count)
  end
  local ok, text = pcall(answer)
  if not ok then text = encode_failure(id, text) end
  message = nil
  if not write(WRITE, format("%010d", #text), text) or not flush(WRITE) then leave(1) end
end
]==]
