-- The output of the specs: a line of dots per file with its seconds and those of the processor, failures where they
-- happen, each skip with its reason; and the counts "passed failed skipped" in the file that CELLA_COUNTS names, for
-- tools/test to add up.

local busted = require "busted"
local monotime = require "system".monotime
local pretty = require "pl.pretty"

local function text(message)
  local meta = getmetatable(message)
  if type(message) == "table" and not (meta and meta.__tostring) then return pretty.write(message) end
  return message == nil and "" or tostring(message)
end

-- Of this process and of those that it has waited for (proc_pid_stat(5)).
local function cpu()
  local file = assert(io.open "/proc/self/stat")
  local fields = file:read "*a":gsub("^.*%)", "")
  file:close()
  local ticks, number = 0, 2
  for field in fields:gmatch "%S+" do
    number = number + 1
    if number >= 14 and number <= 17 then ticks = ticks + tonumber(field) end
  end
  return ticks / 100
end

local function line(...)
  io.write(...)
  io.write "\n"
  io.flush()
end

return function()
  local handler = require "busted.outputHandlers.base"()
  local current -- the file that runs: a specification that a tail call made does not know where that was (5.1)
  local file -- whose dots are on the present line
  local began, used -- when that file did, and the processor's time until then
  local slow = {} -- the specs that take longest

  local function place(trace)
    if trace and (trace.currentline or 0) > 0 then return ("%s:%d"):format(trace.short_src, trace.currentline) end
    return current or "?"
  end

  local function note_time(element)
    if (element.duration or 0) < 2 then return end
    element.place = place(element.trace)
    slow[#slow + 1] = element
    table.sort(slow, function(a, b) return a.duration > b.duration end)
    slow[11] = nil
  end

  local function break_line()
    if file then line() end
    file = nil
  end

  -- A file's specs follow each other, whatever else is written in between.
  local function on_file_start(element)
    current = element.name
    began, used = monotime(), cpu()
    return nil, true
  end

  local function on_file_end()
    if file then line((" %.1f s, %.1f of cpu"):format(monotime() - began, cpu() - used)) end
    file = nil
    return nil, true
  end

  local function on_end(element, _, status)
    note_time(element)
    local mark = status == "success" and "." or status == "pending" and "s"
    if not mark then return nil, true end -- a failure has been told already
    local source = current
    if source ~= file then
      break_line()
      file = source
      io.write(source, " ")
    end
    io.write(mark)
    io.flush()
    return nil, true
  end

  local function on_failure(element, parent, message, trace)
    local failure = handler.format(element, parent, message, trace)
    local at = element.trace or trace
    break_line()
    line("FAILED ", failure.name or element.descriptor)
    line("  ", place(at))
    line((text(message):gsub("[^\n]+", "  %0")))
    return nil, true
  end

  local function on_suite_end()
    break_line()
    for _, pending in ipairs(handler.pendings) do
      local reason = text(pending.message):gsub("^[^\n]-:%-?%d+: ", "")
      -- One in the place of a whole describe has its reason for its name.
      local own_name = pending.element.descriptor == "pending"
      line("skipped ", pending.name, own_name and "" or ": ", own_name and "" or reason ~= "" and reason
        or "no reason given")
    end
    for _, element in ipairs(slow) do
      line(("%6.1f s  %s: %s"):format(element.duration, element.place, element.name))
    end
    local passed, skipped = handler.successesCount, handler.pendingsCount
    local failed = handler.failuresCount + handler.errorsCount
    line(("%d good, %d bad, %d skipped, in %.1f s"):format(passed, failed, skipped, handler.getDuration()))
    local path = os.getenv "CELLA_COUNTS"
    if path then
      local out = assert(io.open(path, "w"))
      assert(out:write(passed, " ", failed, " ", skipped, "\n"))
      assert(out:close())
    end
    return nil, true
  end

  busted.subscribe({ "file", "start" }, on_file_start)
  busted.subscribe({ "test", "end" }, on_end)
  busted.subscribe({ "file", "end" }, on_file_end)
  busted.subscribe({ "failure" }, on_failure)
  busted.subscribe({ "error" }, on_failure)
  busted.subscribe({ "suite", "end" }, on_suite_end)
  return handler
end
