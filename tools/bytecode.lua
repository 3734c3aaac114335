-- Compiles cella's modules for the Lua that performs this, for `make install`: bytecode takes a third of the time that
-- compiling takes.
--
--   lua5.4 tools/bytecode.lua DIRECTORY
--
-- Writes there `code`, all modules one after the other, `index.h`, where each is in it, and `stamp`, of which sources
-- they are. A function keeps its lines: what is raised in it is told as ever, but for the names of variables.

local directory = assert(arg[1], "usage: tools/bytecode.lua DIRECTORY")
local unnamed = dofile((arg[0]:gsub("%.lua$", "/unnamed.lua")))

local function write(name, text)
  local file = assert(io.open(directory .. "/" .. name, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- All but the front, which decides whether to use them, and what is for editors.
local modules = {}
for path in io.popen("find lua/cella -name '*.lua' ! -path 'lua/cella/meta/*'"):lines() do
  modules[#modules + 1] = path:match "^lua/(.*)%.lua$":gsub("/", ".")
end
table.sort(modules) -- by bytes, as it is searched

-- Enough to tell one set of sources from another.
local stamp = 0
local function add(text)
  for i = 1, #text do stamp = (stamp * 31 + text:byte(i)) % 4294967296 end
end

local code, offset, rows = {}, 0, {}
for _, name in ipairs(modules) do
  local path = "lua/" .. name:gsub("%.", "/") .. ".lua"
  local text = read(path)
  add(name)
  add(text)
  local compiled = unnamed(string.dump(assert((rawget(_G, "loadstring") or load)(text, "=" .. name))))
  code[#code + 1] = compiled
  rows[#rows + 1] = ('\t{ "%s", %d, %d },\n'):format(name, offset, #compiled)
  offset = offset + #compiled
end
add(read "lua/cella.lua")

write("code", table.concat(code))
write("index.h", table.concat(rows))
write("stamp", ("%08x"):format(stamp))
