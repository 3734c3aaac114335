--- The modules that a function needs in the container, where their files may not be: of cella's all are loaded before
--- the fork; of others, what is missing inside is said to lie outside.

local core = require "cella.core"

local M = {}

-- All but the command line's.
local OWN = [[
  ascii call caps caps.apply caps.exec caps.explain caps.file caps.fileset caps.named caps.names caps.prctl
  caps.read caps.rules caps.securebits caps.set caps.state caps.text caps.walk cgroup cgroup.base
  cgroup.description cgroup.place cgroup.usage command container container.description container.identity
  container.inherited container.owner enter enter.cgroups enter.identity enter.target error explain
  explain.everywhere explain.mounts explain.program groups host host.accounts host.file idmap idmap.algebra
  idmap.check idmap.check.parse idmap.check.setgroups idmap.check.warnings idmap.read idmap.value interpreter kinds
  list mapping mountinfo namespace open plan plan.held plan.join plan.render plan.spawn policy policy.allot
  policy.hold policy.ranges policy.slices policy.via printable process process.capture process.events process.input
  process.limits process.lines process.output process.serve process.usage process.wait rlimits root root.bind
  root.cover root.description root.device root.entry root.filesystem root.idmap root.overlay root.own root.place
  root.system runner streams subid subid.files subid.program sys terminal validate words
]]

--- Loads all of cella's modules. Some need others only when they are used, and a container's root need not have them.
--- One that is not found (the caller may have changed package.path) is left to who needs it.
function M.load_own()
  pcall(require, "cella")
  for name in OWN:gmatch "%S+" do pcall(require, "cella." .. name) end
end

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
