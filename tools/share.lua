-- share.lua: writes what `make install` puts beside the library (share/) from what the command line says of itself, and
-- from the manual: completion for shells, and the manual pages (tools/man.lua). `lua5.4 tools/share.lua --check` writes
-- nothing and fails where something is not as it would be.

local top = arg[0]:match "^(.*)tools/[^/]*$"
package.path = ("%slua/?.lua;%s"):format(top, package.path)
package.cpath = ("%sbuild/lua%s/?.so;%s"):format(top, jit and "jit" or _VERSION:match "%d%.%d", package.cpath)

local grammar = require "cella.cli.grammar"
local runtime = require "cella.cli.runtime"

local man = dofile(top .. "tools/man.lua")

local function read(path)
  local file = assert(io.open(top .. path))
  local text = file:read "*a"
  file:close()
  return text
end

local FILES = {
  ["man/man1/cella.1"] = function() return man.command_line(grammar.parser()) end,
  ["man/man1/cella-oci.1"] = function() return man.runtime(runtime.HELP) end,
  ["man/man7/cella.7"] = function() return man.container(read "doc/manual.md") end,
  ["bash-completion/completions/cella"] = function() return grammar.parser():get_bash_complete() end,
  ["zsh/site-functions/_cella"] = function() return grammar.parser():get_zsh_complete() end,
  ["fish/vendor_completions.d/cella.fish"] = function() return grammar.parser():get_fish_complete() end,
}

local names = {}
for name in pairs(FILES) do names[#names + 1] = name end
table.sort(names)

local status = 0
for _, name in ipairs(names) do
  local path, text = top .. "share/" .. name, FILES[name]()
  local file = io.open(path)
  local is = file and file:read "*a"
  if file then file:close() end
  if is ~= text and arg[1] == "--check" then
    print(("share/%s is not what the command line says of itself: lua5.4 tools/share.lua"):format(name))
    status = 1
  elseif is ~= text then
    os.execute(("mkdir -p '%s'"):format(path:match "^(.*)/"))
    file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end
end
os.exit(status)
