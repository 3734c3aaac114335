--- What the annotations in the sources say of a function, for `help` at the prompt: C functions have theirs in
--- cella/meta, those in Lua above them.

local printable = require "cella.printable"

local M = {}

-- package.searchpath(3) is not in Lua 5.1.
local function find(name)
  for template in package.path:gmatch "[^;]+" do
    local path = template:gsub("%?", (name:gsub("%.", "/")))
    local file = io.open(path)
    if file then return file end
  end
end

local function lines_of(file)
  local lines = {}
  for line in file:lines() do lines[#lines + 1] = line end
  file:close()
  return lines
end

-- The annotation above a line: its text, and the notes on parameters and results.
local function above(lines, number)
  local first = number
  while first > 1 and lines[first - 1]:find "^%s*%-%-%-" do first = first - 1 end
  local text = {}
  for i = first, number - 1 do
    local line = lines[i]:gsub("^%s*%-%-%-%s?", "")
    if line:find "^@param" then
      line = "  " .. line:gsub("^@param%s+", "")
    elseif line:find "^@return" then
      line = "  -> " .. line:gsub("^@return%s+", "")
    elseif line:find "^@" then
      line = nil
    end
    text[#text + 1] = line
  end
  return table.concat(text, "\n")
end

local function described(name, signature, text)
  return name .. signature .. (text ~= "" and "\n" .. text or "")
end

-- The arguments of the function on a line, as they stand there.
local function signature_of(line)
  return line:match "function%s*[A-Za-z0-9_.:]*%s*(%b())" or line:match "(%b())" or "(...)"
end

-- Of a function of C: by its name, from a file of annotations.
local function of_meta(module, pattern, name)
  local file = find("cella.meta." .. module)
  if not file then return nil end
  local lines = lines_of(file)
  for number, line in ipairs(lines) do
    if line:find(pattern, 1, true) == 1 then return described(name, signature_of(line), above(lines, number)) end
  end
end

-- Of a function in Lua: where it says itself that it is.
local function of_source(call, name)
  local info = debug.getinfo(call, "S")
  if info.what == "C" or info.source:sub(1, 1) ~= "@" then return nil end
  local file = io.open(info.source:sub(2))
  if not file then return nil end
  local lines = lines_of(file)
  local line = lines[info.linedefined]
  return line and described(name, signature_of(line), above(lines, info.linedefined))
end

local GENERAL = [[
An expression is shown, a statement is done; names that are defined on a line (`local` too) are there on the next one.
At hand: %s.

  help(sys.unshare)       what a function does, from its annotation; or help "sys.unshare"
  help "plan.exec"        a method of a plan
  sys.unshare "user"      acts on this process, now, and cannot be undone
  cella.container {}      a container; :run { "id" } starts a program in it]]

-- "plan.exec", "plan:exec": a method, which only a plan has.
local function of_method(name)
  local method = name:match "^plan[.:]([A-Za-z0-9_]+)$"
  if not method then return nil end
  local text = of_meta("plan", ("function plan:%s("):format(method), "plan:" .. method)
  if text then return text end
  local operation = of_meta("sys", ("function sys.%s("):format(method), "plan:" .. method)
  if operation then return operation .. "\n(in a plan it is recorded: the child does it)" end
  local value = require("cella").plan()[method]
  return type(value) == "function" and of_source(value, "plan:" .. method) or nil
end

-- By the way to it that its modules have, where it has one.
local function name_of(value, modules)
  for _, module in ipairs(modules) do
    for name, candidate in pairs(module[2]) do
      if candidate == value then return module[1], name end
    end
  end
end

--- What there is to say of a function, or of the name of one; without either of the prompt itself.
---@param what any
---@param names string[]  that are at hand
---@param value fun(name: string): any  of such a name
---@return string
function M.of(what, names, value)
  if what == nil then return GENERAL:format(table.concat(names, ", ")) end
  local modules = {}
  for i, name in ipairs(names) do modules[i] = { name, value(name) } end
  local module, name
  if type(what) == "string" then
    local method = of_method(what)
    if method then return method end
    local wanted = what
    module, name = wanted:match "^([A-Za-z]+)[.:]([A-Za-z0-9_]+)$"
    local found = module and value(module)
    what = found and found[name]
    if what == nil then return "nothing is known of " .. printable.line(wanted) end
  else
    module, name = name_of(what, modules)
  end
  if type(what) ~= "function" then return "help is about functions: help(sys.unshare), help \"sys.unshare\"" end
  local full = module and module .. "." .. name or "function"
  local text = module == "sys" and of_meta("sys", ("function sys.%s("):format(name), full) or of_source(what, full)
  return text or full .. ": its source is not to be had"
end

return M
