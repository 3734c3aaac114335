--- `cella caps`: capabilities on the command line: of processes, of masks and texts, in sentences, and after exec.

local core = require "cella.core"
local caps = require "cella.caps"
local common = require "cella.cli.common"
local idmap = require "cella.idmap"
local names = require "cella.caps.names"
local over = require "cella.caps.over"
local grammar = require "cella.cli.caps.options"
local printable = require "cella.printable"
local read = require "cella.caps.read"
local status = require "cella.host.status"

local M = { summary = grammar.summary, configure = grammar.configure }

local YES, NO = common.YES, common.NO
local stop, process_id, id = common.stop, common.process_id, common.id
local SETS = require("cella.caps.state").SETS

-- What the library raises about a value that a person typed is for that person.
local function typed(call, ...)
  local ok, result, err = common.try(call, ...)
  if not ok then stop(tostring(result)) end
  if result == nil then stop(tostring(err)) end
  return result
end

-- JSON

local function list(items)
  local copy = {}
  for i, item in ipairs(items) do copy[i] = item end
  return setmetatable(copy, { __jsontype = "array" })
end

local write_json = common.print_json

local function json_state(state)
  local value = { pid = state.pid, name = state.name, origin = state.origin, no_new_privs = state.no_new_privs,
    secure = state.secure, notes = list(state.notes) }
  for _, field in ipairs(SETS) do
    if state[field] then value[field] = list(state[field]) end
  end
  if state.securebits then value.securebits = list(state.securebits) end
  if state.effective and state.permitted and state.inheritable then value.text = state:text() end
  if state.inheritable and state.ambient and state.bounding then value.iab = state:iab() end
  for _, kind in ipairs { "uid", "gid" } do
    if state[kind] then
      value[kind] = { real = state[kind].real, effective = state[kind].effective, saved = state[kind].saved }
    end
  end
  return value
end

-- Text

local function write_state(streams, state)
  local lines = {}
  if state.effective and state.permitted and state.inheritable then
    lines[#lines + 1] = "text         " .. state:text()
  end
  if state.inheritable and state.ambient and state.bounding then
    lines[#lines + 1] = "iab          " .. state:iab()
  end
  streams.out:write(tostring(state), "\n", table.concat(lines, "\n"), #lines > 0 and "\n" or "")
end

local actions = {}

function actions.show(arguments, streams)
  local state
  if arguments.pid then
    local err
    state, err = caps.state(process_id(arguments.pid))
    if not state then stop(tostring(err)) end
  else
    state = typed(caps.state)
  end
  -- The state is of one moment, and so is this; a process that has meanwhile ended is in no namespace.
  local place = over.of(arguments.pid and state.pid)
  if arguments.json then
    local value = json_state(state)
    value.over = { user = place.user, first = place.first, owner_uid = place.owner_uid }
    write_json(streams, value)
  else
    if state.name then streams.out:write(("%d %s\n"):format(state.pid, printable.line(state.name))) end
    write_state(streams, state)
    streams.out:write("over         ", over.words(place), "\n")
  end
  return YES
end

-- A mask may come from another kernel: what this one does not have is shown as its number.
local function decode_mask(text)
  local digits = text:match("^0[xX](%x+)$") or text:match("^%x+$")
  if not digits then return nil end
  local significant = digits:gsub("^0+", "")
  if #significant > 16 then stop("the mask %s has more than 64 bits", text) end
  local mask, found = core.caps.mask(("0"):rep(16 - #significant) .. significant), {}
  local numbers = mask:numbers()
  for i, number in ipairs(numbers) do found[i] = names.label[number] or number end
  return { input = text, mask = mask:digits(), capabilities = list(found),
    unknown = #numbers > 0 and numbers[#numbers] > names.last }
end

-- A name of hexadecimal digits alone does not exist; "bpf" has a p.
local function decode(text)
  local mask = decode_mask(text)
  if mask then return mask end
  if text:find("[=+]") or text:find("[!^%%]") then
    local state = typed(caps.parse, text)
    local value = { input = text }
    for _, field in ipairs(SETS) do
      if state[field] then value[field] = list(state[field]) end
    end
    return value
  end
  local set = typed(caps.set, text)
  return { input = text, mask = set:mask(), capabilities = list(set), unknown = false }
end

local function joined(items)
  return #items == 0 and "none" or table.concat(items, ",")
end

function actions.decode(arguments, streams)
  local decoded = {}
  for i, text in ipairs(arguments.values) do decoded[i] = decode(text) end
  if arguments.json then
    write_json(streams, list(decoded))
    return YES
  end
  for _, value in ipairs(decoded) do
    if value.mask then
      streams.out:write(("0x%s=%s\n"):format(value.mask, joined(value.capabilities)))
      if value.unknown then
        streams.err:write(("cella caps: this kernel ends at %d, %s; higher ones are shown as numbers\n"):format(
          names.last, tostring(names.label[names.last])))
      end
    else
      for _, field in ipairs(SETS) do
        if value[field] then streams.out:write(("%-12s %s\n"):format(field, joined(value[field]))) end
      end
    end
  end
  return YES
end

-- Sentences, indented, in lines for a terminal.
local function filled(text)
  local lines, line = {}, ""
  for word in text:gmatch("%S+") do
    if #line + #word > 76 then
      lines[#lines + 1], line = "  " .. line, ""
    end
    line = line == "" and word or line .. " " .. word
  end
  lines[#lines + 1] = "  " .. line
  return table.concat(lines, "\n")
end

function actions.explain(arguments, streams)
  local explained = {}
  if #arguments.names == 0 then
    for number = 0, names.last do explained[#explained + 1] = caps.explain(number) end
  end
  for _, name in ipairs(arguments.names) do explained[#explained + 1] = typed(caps.explain, name) end
  if arguments.json then
    write_json(streams, list(explained))
    return YES
  end
  for i, one in ipairs(explained) do
    local kept = {}
    if one.docker then kept[#kept + 1] = "Docker" end
    if one.podman then kept[#kept + 1] = "Podman" end
    streams.out:write(i > 1 and "\n" or "", ("%s (%d)\n"):format(tostring(one.name), one.number),
      filled(one.allows), "\n", filled(one.container), "\n",
      ("  crabcan's tutorial: %s. Kept by default: %s.\n"):format(one.tutorial,
        #kept > 0 and table.concat(kept, ", ") or "by neither Docker nor Podman"))
  end
  return YES
end

local function map_of(text)
  local map, message = idmap.parse((text:gsub("%s*,%s*", "\n")))
  if not map then stop("%q: %s", text, message) end
  return map
end

local function words(text)
  local found = {}
  for word in text:gmatch("[^%s,]+") do found[#found + 1] = word end
  return found
end

-- The state to begin with: that of a process, changed by options.
local function start_state(arguments)
  local state
  if arguments.pid then
    state = typed(caps.state, process_id(arguments.pid))
  else
    state = typed(caps.state)
  end
  local changes = {}
  if arguments.text then
    local said = typed(caps.parse, arguments.text)
    for _, field in ipairs(SETS) do changes[field] = said[field] end
  end
  for _, field in ipairs(SETS) do
    if arguments[field] then changes[field] = typed(caps.set, arguments[field]) end
  end
  if arguments.securebits then changes.securebits = words(arguments.securebits) end
  if not state.securebits then changes.securebits = changes.securebits or {} end -- another's: none, as nearly always
  if arguments.no_new_privs then changes.no_new_privs = true end
  if next(changes) == nil then return state end
  return typed(state.with, state, changes)
end

local function permission_bits(text)
  local mode = text:find("^[0-7]+$") and tonumber(text, 8)
  if not mode or mode > 4095 then stop("%q is not a mode: octal digits up to 7777", text) end
  return mode
end

local function file_facts(arguments)
  local file = arguments.file and typed(caps.program, arguments.file) or {}
  if arguments.mode then file.mode = permission_bits(arguments.mode) end
  if arguments.owner then
    local uid, gid = arguments.owner:match("^(%d+):(%d+)$")
    if not uid then stop("%q is not UID:GID", arguments.owner) end
    file.uid, file.gid = id(uid), id(gid)
  elseif file.mode and not file.uid then
    file.uid, file.gid = 0, 0
  end
  if arguments.nosuid then file.nosuid = true end
  if arguments.file_caps then file.capabilities = arguments.file_caps end
  return file
end

actions["after-exec"] = function(arguments, streams)
  local state = start_state(arguments)
  local function take(following, err)
    if following then return following end
    streams.err:write("cella caps: ", printable.text(tostring(err)), "\n")
    return nil
  end
  local notes = {}
  local function note(following)
    for _, sentence in ipairs(following and following.notes or {}) do notes[#notes + 1] = sentence end
    return following
  end
  if arguments.unshare_user then
    local maps
    if arguments.uid_map then
      maps = { uid = map_of(arguments.uid_map), gid = map_of(arguments.gid_map or arguments.uid_map) }
    end
    local following, err = state:after_unshare_user { ids = maps }
    state = note(take(following, err))
  elseif arguments.uid_map or arguments.gid_map then
    stop("--uid-map and --gid-map are of a new user namespace: give --unshare-user")
  end
  if state and arguments.setresuid then
    local uid = id(arguments.setresuid)
    local following, err = state:after_setresuid(uid, uid, uid)
    state = note(take(following, err))
  end
  if not state then return NO end
  local kernel = arguments.kernel or read.kernel()
  local options = { file = file_facts(arguments), kernel = kernel, traced = arguments.traced }
  if arguments.uid then options.uid = id(arguments.uid) end
  if arguments.gid then options.gid = id(arguments.gid) end
  local outcome = typed(function() return { state:after_exec(options) } end)
  local after = note(take(outcome[1], outcome[2]))
  if not after then return NO end
  if arguments.json then
    local value = json_state(after)
    value.notes = list(notes)
    write_json(streams, value)
    return YES
  end
  write_state(streams, after)
  for _, sentence in ipairs(notes) do streams.out:write("- ", printable.text(sentence), "\n") end
  return YES
end

local function parent_of(pid)
  local file = io.open(("/proc/%d/status"):format(pid), "r")
  local text = file and file:read("*a")
  if file then file:close() end
  return text and tonumber(status.field(text, "PPid"))
end

-- Those that hold something, each below the nearest of its ancestors that does. Who ends meanwhile is not there.
function actions.tree(arguments, streams)
  local pids = typed(core.caps.pids)
  table.sort(pids)
  local states, parents, children, roots = {}, {}, {}, {}
  for _, pid in ipairs(pids) do
    local state = caps.state(pid)
    if state then
      parents[pid] = parent_of(pid)
      if not (state.permitted + state.inheritable):empty() or not state.ambient:empty() then states[pid] = state end
    end
  end
  for _, pid in ipairs(pids) do
    if states[pid] then
      local above = parents[pid]
      while above and above ~= 0 and not states[above] do above = parents[above] end
      local below = above and states[above] and above or 0
      children[below] = children[below] or {}
      table.insert(below == 0 and roots or children[below], pid)
    end
  end
  if arguments.json then
    local found = {}
    for _, pid in ipairs(pids) do
      if states[pid] then
        local value = json_state(states[pid])
        value.parent = parents[pid]
        found[#found + 1] = value
      end
    end
    write_json(streams, list(found))
    return YES
  end
  local function show(pid, indent)
    local state = states[pid]
    streams.out:write(("%s%d %s: %s"):format(indent, pid, printable.line(state.name or "?"), state:text()))
    local iab = state:iab()
    streams.out:write(iab ~= "" and (" [%s]"):format(iab) or "", "\n")
    for _, child in ipairs(children[pid] or {}) do show(child, indent .. "  ") end
  end
  for _, pid in ipairs(roots) do show(pid, "") end
  return YES
end

--- Runs the command.
---@param arguments table  as argparse gives them
---@param streams { out: file*, err: file*, input: file* }
---@return integer status
function M.run(arguments, streams)
  return common.guard("caps", streams, actions[arguments.caps_command], arguments, streams)
end

return M
