--- `cella idmap`: ID maps on the command line: showing, checking, translating and composing them, and what a policy
--- gives.

local common = require "cella.cli.common"
local host_facts = require "cella.host"
local idmap = require "cella.idmap"
local grammar = require "cella.cli.idmap.options"
local printable = require "cella.printable"

local M = { summary = grammar.summary, configure = grammar.configure }

local YES, NO = common.YES, common.NO
local stop, number = common.stop, common.id

-- The words of a map as the kernel's text. Whole lines are taken as they are; single numbers come by three, as
-- newuidmap(1) takes them.
local function text_of(words)
  local lines, pending = {}, {}
  for _, word in ipairs(words) do
    if word:find("%s") then
      if #pending > 0 then stop("%d numbers before %q: a range has three", #pending, word) end
      lines[#lines + 1] = word
    else
      pending[#pending + 1] = word
      if #pending == 3 then
        lines[#lines + 1], pending = table.concat(pending, " "), {}
      end
    end
  end
  if #pending > 0 then lines[#lines + 1] = table.concat(pending, " ") end
  return table.concat(lines, "\n")
end

local function source(words, streams)
  if #words > 0 then return text_of(words) end
  local text = streams.input:read("*a")
  if not text then stop("nothing can be read from the standard input") end
  return text
end

local function parse(text, what)
  local map, message = idmap.parse(text)
  if not map then stop("%s: %s", what, message) end
  return map
end

local function read_process(pid, kind)
  if pid ~= "self" then pid = common.process_id(pid) end
  local map, err = idmap.of(pid, kind)
  if not map then stop(tostring(err)) end
  return map
end

-- JSON

local function json_map(map)
  return map and map:extents()
end

-- The order in which keys are printed, so that the same answer is the same text.
local ORDER = {
  "name", "kind", "writer", "verdict", "rule", "remedy", "warnings", "code", "message", "via", "setgroups", "uid",
  "gid", "projid", "map", "inside", "outside", "first", "count", "text", "helper", "notes",
}

local function print_json(streams, value)
  common.print_json(streams, value, ORDER)
end

local actions = {}

-- Columns as /proc has them.
local function columns(map)
  local lines = {}
  for i, extent in ipairs(map:extents()) do
    lines[i] = ("%10.0f %10.0f %10.0f\n"):format(extent.inside, extent.outside, extent.count)
  end
  return table.concat(lines)
end

function actions.show(arguments, streams)
  local pid = arguments.pid or "self"
  local kinds = arguments.kind and { arguments.kind } or { "uid", "gid" }
  local maps = {}
  for _, kind in ipairs(kinds) do maps[kind] = read_process(pid, kind) end
  if arguments.json then
    local value = {}
    for _, kind in ipairs(kinds) do value[kind] = json_map(maps[kind]) end
    print_json(streams, value)
    return YES
  end
  for _, kind in ipairs(kinds) do
    if not arguments.kind then streams.out:write(kind, "_map\n") end
    streams.out:write(columns(maps[kind]))
    if #maps[kind]:extents() == 0 and not arguments.kind then
      streams.out:write(("   (not written: every %s looks like %d)\n"):format(kind, idmap.overflow))
    end
  end
  return YES
end

local function check_as(text, host, arguments, writer)
  local options = { kind = arguments.kind or "uid", writer = writer, setgroups = arguments.setgroups }
  -- A process that maps its own group has to have denied setgroups: it is what the library does.
  if writer == "self" and not options.setgroups then options.setgroups = "deny" end
  if arguments.others then
    options.others = {}
    for i, pid in ipairs(arguments.others) do
      options.others[i] = { name = "process " .. pid, map = read_process(pid, options.kind) }
    end
  end
  if arguments.owner then
    local owner = arguments.owner:find("^%d+$") and number(arguments.owner) or arguments.owner
    local ranges = host.owners[owner]
    if ranges.problem and #ranges.subuid == 0 then stop(ranges.problem) end
    options.ranges = options.kind == "gid" and ranges.subgid or ranges.subuid
  end
  return idmap.check(text, host, options)
end

-- Without a word about who writes: whoever can; if nobody, what each of them would be told.
local function reports_of(text, host, arguments)
  if arguments.writer then return { check_as(text, host, arguments, arguments.writer) }, { arguments.writer } end
  local reports, writers = {}, { "parent", "self", "helper" }
  if arguments.kind == "projid" then writers = { "parent", "self" } end
  for i, writer in ipairs(writers) do
    reports[i] = check_as(text, host, arguments, writer)
    if reports[i].verdict == "accepted" then return { reports[i] }, { writer } end
  end
  return reports, writers
end

function actions.check(arguments, streams, host)
  local text = source(arguments.map, streams)
  local reports, writers = reports_of(text, host, arguments)
  local accepted = reports[#reports].verdict == "accepted"
  if arguments.json then
    local values = {}
    for i, report in ipairs(reports) do
      values[i] = {
        kind = report.kind, writer = writers[i], verdict = report.verdict, rule = report.rule, remedy = report.remedy,
        warnings = report.warnings, map = json_map(report.map),
      }
    end
    print_json(streams, values)
  else
    for i, report in ipairs(reports) do
      streams.out:write(("written by %s: "):format(writers[i]), printable.text(tostring(report)), "\n")
    end
  end
  if not accepted then return NO end
  return arguments.strict and #reports[1].warnings > 0 and NO or YES
end

-- "33" or "0-99"
local function wanted_range(word)
  local first, last = word:match("^(%d+)%-(%d+)$")
  first, last = number(first or word), number(last or word)
  if last < first then stop("%q: the last ID is before the first", word) end
  return first, last
end

local function span(first, count)
  return count == 1 and ("%.0f"):format(first) or ("%.0f-%.0f"):format(first, first + count - 1)
end

-- The stretches of a range that are mapped without a jump, and those that are not mapped.
local function stretches(map, first, last)
  local result, at = {}, first
  local part = map:intersect(idmap.new { inside = first, outside = first, count = last - first + 1 }:compose(map))
  for _, extent in ipairs(part:extents()) do
    if extent.inside > at then result[#result + 1] = { from = at, count = extent.inside - at } end
    result[#result + 1] = { from = extent.inside, to = extent.outside, count = extent.count }
    at = extent.inside + extent.count
  end
  if at <= last then result[#result + 1] = { from = at, count = last - at + 1 } end
  return result
end

local function map_of(arguments, streams)
  local given = (arguments.pid and 1 or 0) + (arguments.map and 1 or 0)
  if given > 1 then stop("--pid and --map: one of them") end
  if arguments.pid then return read_process(arguments.pid, arguments.kind or "uid") end
  if arguments.map then return parse(arguments.map, "--map") end
  return parse(source({}, streams), "standard input")
end

function actions.translate(arguments, streams)
  local map = map_of(arguments, streams)
  if arguments.to_inside then map = map:invert() end
  local from, to = "inside", "outside"
  if arguments.to_inside then from, to = to, from end
  local all, values = true, {}
  for _, word in ipairs(arguments.ids) do
    for _, piece in ipairs(stretches(map, wanted_range(word))) do
      all = all and piece.to ~= nil
      values[#values + 1] = { [from] = piece.from, [to] = piece.to, count = piece.count }
      if not arguments.json then
        streams.out:write(span(piece.from, piece.count), "\t", piece.to and span(piece.to, piece.count) or "-", "\n")
      end
    end
  end
  if arguments.json then print_json(streams, values) end
  return all and YES or NO
end

function actions.compose(arguments, streams)
  local maps, piped = {}, false
  for i, word in ipairs(arguments.maps) do
    if word == "-" then
      if piped then stop("the standard input can be one of the maps only") end
      piped = true
      maps[i] = parse(source({}, streams), "standard input")
    elseif word:sub(1, 1) == "@" then
      maps[i] = read_process(word:sub(2), arguments.kind or "uid")
    else
      maps[i] = parse(word, ("map %d"):format(i))
    end
  end
  local result = maps[1]
  for i = 2, #maps do result = result:compose(maps[i]) end
  if arguments.json then
    print_json(streams, json_map(result))
  else
    local text = tostring(result)
    streams.out:write(text, text == "" and "" or "\n")
  end
  return YES
end

-- What follows the name of a policy, as its arguments.
local makers = {}

local function counted(words, low, high, usage)
  if #words < low or #words > high then stop("the policy is called as: %s", usage) end
end

for _, name in ipairs { "default", "available", "root", "me", "identity" } do
  makers[name] = function(policy, words)
    counted(words, 0, 0, name)
    return policy[name]()
  end
end

function makers.subids(policy, words)
  counted(words, 0, 1, "subids [OWNER]")
  return policy.subids(words[1] and words[1]:find("^%d+$") and number(words[1]) or words[1])
end

function makers.range(policy, words)
  counted(words, 3, 3, "range INSIDE OUTSIDE COUNT")
  return policy.range(number(words[1]), number(words[2]), number(words[3]))
end

function makers.exactly(policy, words, arguments)
  counted(words, 1, 4096, "exactly ID...")
  local ids = { own = arguments.own and number(arguments.own) }
  for i, word in ipairs(words) do ids[i] = number(word) end
  return policy.exactly(ids)
end

function makers.slice(policy, words, arguments)
  counted(words, 2, 2, "slice NAME COUNT")
  return policy.slice(words[1], number(words[2]), { registry = arguments.registry })
end

-- A mistake in the arguments of a policy is the user's here: no traceback.
local function make_policy(arguments)
  local policy = require "cella.policy"
  local ok, made = common.try(makers[arguments.policy], policy, arguments.words, arguments)
  if not ok then stop(type(made) == "table" and made.trouble or tostring(made)) end
  return arguments.keep_groups and policy.keep_groups(made) or made
end

function actions.policy(arguments, streams, host)
  local result, err = make_policy(arguments)(host)
  if not result then
    streams.err:write("cella idmap: ", printable.text(tostring(err)), "\n")
    return NO
  end
  if arguments.json then
    print_json(streams, {
      name = result.name, via = result.via, setgroups = result.setgroups, uid = json_map(result.uid),
      gid = json_map(result.gid), text = result.text, helper = result.helper,
      notes = result.notes,
    })
    return YES
  end
  local written = { parent = "by this process", self = "by the new process itself",
    helper = "by newuidmap and newgidmap" }
  streams.out:write("uid_map\n", columns(result.uid), "gid_map\n", columns(result.gid))
  streams.out:write("written ", written[result.via],
    result.setgroups and "; setgroups: " .. result.setgroups or "", "\n")
  for _, note in ipairs(result.notes or {}) do streams.out:write("note: ", printable.text(note), "\n") end
  return YES
end

function actions.slices(arguments, streams, host)
  local policy = require "cella.policy"
  local options = { registry = arguments.registry }
  if arguments.release then
    local ok, released, err = common.try(policy.release, arguments.release, options, host)
    if not ok then stop(tostring(released)) end
    if released == nil then stop(tostring(err)) end
    if not released then streams.err:write("cella idmap: there is no slice of that name\n") end
    return released and YES or NO
  end
  local slices, err = policy.slices(options, host)
  if not slices then stop(tostring(err)) end
  if arguments.json then
    print_json(streams, slices)
    return YES
  end
  for _, slice in ipairs(slices) do
    streams.out:write(("uid %s\tgid %s\t%s\n"):format(span(slice.uid.first, slice.uid.count),
      span(slice.gid.first, slice.gid.count), printable.line(slice.name)))
  end
  return YES
end

--- Runs the command.
---@param arguments table  as argparse gives them
---@param streams { out: file*, err: file*, input: file* }
---@param host? cella.Host  whose facts are used; default: this process's
---@return integer status
function M.run(arguments, streams, host)
  return common.guard("idmap", streams, actions[arguments.idmap_command], arguments, streams,
    host or host_facts.facts())
end

return M
