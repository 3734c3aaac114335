--- What was learnt, as a Lua program for a person to read: a container, or what one is to have beside what it has.

local keys = require "cella.denied.key"
local openings = require "cella.learn.openings"
local printable = require "cella.printable"

local M = {}

local function list_text(words)
  local items = {}
  for i, word in ipairs(words) do items[i] = keys.quote(word) end
  return "{ " .. table.concat(items, ", ") .. " }"
end

local MOST_NAMES = 4

-- "cc1: openat, as: openat"
local function by_text(by)
  local names = {}
  for name in pairs(by) do names[#names + 1] = printable.line(name) end
  table.sort(names)
  local left = #names - MOST_NAMES
  for i = #names, MOST_NAMES + 1, -1 do names[i] = nil end
  return table.concat(names, ", ") .. (left > 0 and (", and %d more"):format(left) or "")
end

local function add_mounts(lines, list)
  if #list == 0 then return end
  lines[#lines + 1] = "  mounts = {"
  for _, mount in ipairs(list) do
    lines[#lines + 1] = "    -- " .. by_text(mount.by)
    lines[#lines + 1] = ("    %s,"):format(openings.text(mount))
  end
  lines[#lines + 1] = "  },"
end

local function add_denied(lines, list)
  if #list == 0 then return end
  lines[#lines + 1] = "  -- Denied, and not opened:"
  for _, event in ipairs(list) do
    lines[#lines + 1] = "  -- " .. tostring(event)
    if event.key then lines[#lines + 1] = "  --   " .. printable.line(event.key) end
  end
end

local function outcome(learnt)
  local result = learnt.result
  local how = result and tostring(result) or "could not be started: " .. printable.line(tostring(learnt.err))
  return ("%s; the last %s"):format(learnt.rounds == 1 and "one run" or ("%d runs"):format(learnt.rounds), how)
end

--- The text.
---@param learnt cella.learnt
---@param command string[]
---@param beside string?  what the container is of, where that is not the default one
---@return string
function M.of(learnt, command, beside)
  local lines = { ("-- Learnt from %s."):format(printable.line(outcome(learnt))) }
  if not learnt.is_settled then
    lines[#lines + 1] = "-- It asked for more in each of them: this is not all."
  end
  lines[#lines + 1] = "-- What it reads it was let read, whatever that is: look at each line before it is used."
  if beside then
    lines[#lines + 1] = ("-- It is beside what the container of %s has."):format(printable.line(beside))
    lines[#lines + 1] = "return {"
  else
    lines[#lines + 1] = ("local cella = require %q"):format "cella"
    lines[#lines + 1] = ""
    lines[#lines + 1] = "return cella.container {"
    lines[#lines + 1] = ("  command = %s,"):format(list_text(command))
  end
  if learnt.cwd then lines[#lines + 1] = ("  cwd = %s,"):format(keys.quote(learnt.cwd)) end
  add_mounts(lines, learnt.openings:mounts())
  add_denied(lines, learnt.openings:denied())
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n") .. "\n"
end

return M
