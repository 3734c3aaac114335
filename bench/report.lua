--- What was measured, for people: as text with times, and as Markdown with ratios alone.

local idle = require "bench.idle"

local M = {}

local function number(format, value) return value and format:format(value) or "" end

local function micro(value) return number("%.0f", value and value * 1e6) end

local function ratio(compared) return number("%.2f", compared and compared.ratio) end

local function spread(compared)
  return compared and ("%.2f-%.2f"):format(compared.low, compared.high) or ""
end

local function call_count(entry)
  return entry.calls and ("%d+%d"):format(entry.calls.parent, entry.calls.child) or ""
end

-- Why a row has no figures, nil where it has.
local function absence(entry)
  if entry.missing then return "missing: " .. entry.missing end
  if entry.failed then return "NOT MEASURED: " .. entry.failed end
end

local function is_base(entry) return entry.base == entry.name end

-- Columns: a title, and what is in it.
local COLUMNS = {
  { "median us", function(entry) return micro(entry.median) end },
  { "best tenth", function(entry) return micro(entry.best_tenth) end },
  { "ratio", function(entry) return is_base(entry) and "1" or ratio(entry.to_base) end },
  { "half of rounds", function(entry) return is_base(entry) and "" or spread(entry.to_base) end },
  { "to floor", function(entry) return ratio(entry.to_floor) end },
  { "CPU us", function(entry) return micro(entry.cpu) end },
  { "calls", call_count },
}

local IDLE_COLUMNS = {
  { "start us", function(entry) return micro(idle.medians(entry).start) end },
  { "ratio", function(entry) return is_base(entry) and "1" or ratio(entry.to_base) end },
  { "kill us", function(entry) return micro(idle.medians(entry).kill) end },
  { "memory kB", function(entry) return number("%.0f", idle.medians(entry).memory / 1024) end },
  { "beside the program, kB", function(entry)
    local beside = idle.medians(entry).beside
    return beside and number("%.1f", beside / 1024) or "?"
  end },
}

-- Lines of cells, aligned; all but the first cell to the right.
local function align(lines)
  local widths = {}
  for _, line in ipairs(lines) do
    for i, cell in ipairs(line) do widths[i] = math.max(widths[i] or 0, utf8.len(cell)) end
  end
  local result = {}
  for _, line in ipairs(lines) do
    local cells = {}
    for i, cell in ipairs(line) do
      local space = (" "):rep(widths[i] - utf8.len(cell))
      cells[i] = i == 1 and cell .. space or space .. cell
    end
    result[#result + 1] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  return result
end

--- A group as text.
---@return string
function M.text(group)
  local columns = group.idle and IDLE_COLUMNS or COLUMNS
  local lines, notes = { { "" } }, {}
  for i, column in ipairs(columns) do lines[1][i + 1] = column[1] end
  for _, entry in ipairs(group.rows) do
    local why = absence(entry)
    if why then
      notes[#notes + 1] = ("  %s: %s"):format(entry.name, why)
    else
      local line = { "  " .. entry.name }
      for i, column in ipairs(columns) do line[i + 1] = column[2](entry) end
      lines[#lines + 1] = line
    end
  end
  local title = group.title .. (group.idle and (" (%d)"):format(group.idle) or "")
  local head = ("%s; ratio to: %s%s"):format(title, group.base, group.inverse and ", of rates" or "")
  return table.concat({ head, table.concat(align(lines), "\n"), table.unpack(notes) }, "\n") .. "\n"
end

--- All groups as one table in Markdown: ratios and counts, no times.
---@return string
function M.markdown(results)
  local lines = { "| | ratio | half of the rounds | to the floor | system calls |", "|---|---|---|---|---|" }
  for _, group in ipairs(results.groups) do
    local metric = group.metric ~= "wall" and (", " .. group.metric) or ""
    lines[#lines + 1] = ("| **%s**%s, to *%s* | | | | |"):format(group.title, metric, group.base)
    for _, entry in ipairs(group.rows) do
      if not absence(entry) and not is_base(entry) then
        lines[#lines + 1] = ("| %s |"):format(table.concat({ entry.name, ratio(entry.to_base), spread(entry.to_base),
          ratio(entry.to_floor), call_count(entry) }, " | "))
      end
    end
  end
  return ("%s\n\n%s\n"):format(M.conditions(results), table.concat(lines, "\n"))
end

--- On what, when and with what it was measured.
---@return string
function M.conditions(results)
  return ("%s, Linux %s, %d processors, %s; %s; load %s before, %s after; %d rounds"):format(results.date,
    results.kernel, results.processors, results.user, table.concat(results.versions, ", "), results.load_before,
    results.load_after, results.rounds)
end

return M
