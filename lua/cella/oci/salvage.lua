--- What is known of a container whose state.json is broken: cut off, empty, or with something else in it than a state.
--- For `delete --force` alone, or its name could never be had again. Nothing is ended or removed of which it is not
--- certain that it is the container's.

local cgroups = require "cella.oci.cgroup"
local Error = require "cella.error"
local json = require "cella.oci.json"
local kept = require "cella.oci.kept"
local printable = require "cella.printable"

local M = {}

-- The whole members of an object that is cut off somewhere.
local function before_cut(text)
  local depth, last, at = 0, nil, 1
  while true do
    at = text:find('["{}%[%],]', at)
    if not at then break end
    local char = text:sub(at, at)
    if char == '"' then
      repeat
        at = text:find('["\\]', at + 1)
        local is_escape = at and text:sub(at, at) == "\\"
        if is_escape then at = at + 1 end
      until not is_escape
      if not at then break end
    elseif char == "{" or char == "[" then
      depth = depth + 1
    elseif char == "," then
      if depth == 1 then last = at end
    else
      depth = depth - 1
    end
    at = at + 1
  end
  return last and text:sub(1, last - 1) .. "}" or ""
end

--- The fields that are whole, and are what they have to be.
---@param text string
---@param fields table<string, fun(value: any): boolean>
---@param most_bytes integer
---@return table
function M.data(text, fields, most_bytes)
  local value = json.decode(text, most_bytes)
  if type(value) ~= "table" then value = json.decode(before_cut(text), most_bytes) end
  local data = {}
  for name, holds in pairs(type(value) == "table" and value[1] == nil and fields or {}) do
    if value[name] ~= nil and holds(value[name]) then data[name] = value[name] end
  end
  return data
end

-- The cgroup that its config.json asks for. nil alone for none, or where there is no such file any more.
local function wanted_cgroup(state)
  local config, err = kept.config(state)
  if not config then return nil, err end
  local path = config.linux and config.linux.cgroupsPath
  return path ~= "" and path or nil
end

--- Forgets of a broken state what is not certain to be the container's. Returns what is left alone, in sentences.
---@param state cella.oci.state
---@return string[]
function M.settle(state)
  local data, notes = state.data, {}
  local function note(text, ...) notes[#notes + 1] = printable.line(text:format(...)) end
  -- Both, or the number could be another's by now: the start is looked at when it is taken hold of.
  if not (data.pid and data.start) then
    data.pid, data.start = nil, nil
    note "which process is the container's is not known: if it is still there it goes on"
  end
  local path, err = wanted_cgroup(state)
  if data.cgroup and not (path and cgroups.is_named(data.cgroup, path)) then
    note("the cgroup %s: %s", data.cgroup, err and "its config.json, which would name it too, cannot be read"
      or "its config.json names none of that name")
    data.cgroup = nil
  elseif path and not data.cgroup then
    note("the cgroup that its config.json names, %s: it may be another's by now", path)
  end
  return notes
end

--- What a deletion of such a container is told with.
---@param state cella.oci.state
---@param notes string[]
---@param problem cella.error?  what a hook has failed with
---@return cella.error
function M.told(state, notes, problem)
  if problem then notes[#notes + 1] = tostring(problem) end
  return Error.new { op = "delete", path = state.path .. "/state.json",
    message = ("what was written there is no state of a container (%s); it is deleted as far as is known of it")
      :format(state.broken),
    why = #notes > 0 and "left alone: " .. table.concat(notes, ";\n  ") or nil }
end

return M
