--- The modules that a function needs in the container, where their files may not be: what is missing inside is said to
--- lie outside. (Of cella's all are loaded before the fork, see cella.everything.)

local core = require "cella.core"

local M = {}

local require, getinfo = require, debug.getinfo
local missing

--- In the copy: remembers from now on which module was not found, by a searcher that comes after all others.
function M.watch()
  local searchers = package.searchers or package.loaders -- luacheck: ignore 143
  if type(searchers) == "table" then searchers[#searchers + 1] = function(name) missing = name end end
end

--- In a handler of xpcall: the module whose absence is the error, or nil where another function than `require` has
--- raised it. `level` is that of the function that has, for who calls this.
---@param level integer
---@return string?
function M.missing(level)
  local info = getinfo(level + 1, "f")
  return info and info.func == require and missing or nil
end

-- The file that the caller would load: as package.searchpath, which 5.1 does not have, but nothing is opened.
local function find(name, templates)
  for template in templates:gmatch "[^;]+" do
    local path = template:gsub("%?", (name:gsub("%.", "/"):gsub("%%", "%%%%")))
    if core.inode(path) then return path end
  end
end

--- What to do about a module that was not found inside, if it lies outside. The name comes from the container and may
--- be anything; the paths that are looked at are the caller's.
---@param name any
---@return string?
function M.advice(name)
  if type(name) ~= "string" or #name > 200 or not name:find "^[A-Za-z0-9_.-]+$" or name:find("..", 1, true) then
    return nil
  end
  local path = find(name, package.path) or find(name, package.cpath)
  if not path then return nil end
  return ("the module lies at %s outside, and the container's root does not have it there: bind its directory with "
    .. "readonly = true, take root = \"/\", or load it before"):format(path)
end

return M
