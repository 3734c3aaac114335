--- What the doctor has found, as text.

local printable = require "cella.printable"

local M = {}

local WIDTH = 100

-- Words in lines of that width, each behind `indent`.
local function wrapped(text, indent)
  local lines, line = {}, nil
  for word in text:gmatch "%S+" do
    if line and #indent + #line + 1 + #word > WIDTH then
      lines[#lines + 1] = indent .. line
      line = nil
    end
    line = line and line .. " " .. word or word
  end
  lines[#lines + 1] = line and indent .. line
  return table.concat(lines, "\n")
end

local WORDS = { [true] = "yes", [false] = "no" }
local INDENT, DEEPER = (" "):rep(6), (" "):rep(10)

-- `told`: the name under which a remedy was told already.
local function finding_lines(lines, finding, told)
  lines[#lines + 1] = ("  %-3s %-14s %s"):format(WORDS[finding.works] or "-", finding.name,
    finding.about .. (finding.says and ": " .. printable.line(finding.says)
      or finding.because and (": not tried, it takes `%s`"):format(finding.because) or ""))
  if finding.works == false and not finding.because then
    lines[#lines + 1] = wrapped(printable.line(finding.error or "it failed"), INDENT)
    lines[#lines + 1] = wrapped(printable.text(finding.why or "the cause is not known"), INDENT)
    local remedy = finding.remedy or ""
    if told[remedy] then
      lines[#lines + 1] = DEEPER .. ("# as for %s"):format(told[remedy])
      return
    end
    for line in remedy:gmatch "[^\n]+" do
      told[remedy] = finding.name
      lines[#lines + 1] = DEEPER .. printable.line(line)
    end
  end
end

local function held_lines(lines, held)
  lines[#lines + 1] = ""
  lines[#lines + 1] = "what is held (doc/security.md), by what, and by what without namespaces (`landlock`, `seccomp`)"
  for _, one in ipairs(held) do
    lines[#lines + 1] = ("  %-3s %-26s %-28s | %s"):format(WORDS[one.by and true or false], one.of, one.by or "nothing",
      one.without or "nothing")
  end
end

--- The report.
---@param result cella.doctor.Result
---@return string
function M.text(result)
  local who = result.user and ("%s (uid %.0f)"):format(printable.line(result.user), result.uid)
    or ("uid %.0f"):format(result.uid)
  local lines = { ("What this host allows %s, on Linux %s:"):format(who, printable.line(result.kernel or "unknown")) }
  local group
  local told = {}
  for _, finding in ipairs(result.features) do
    if finding.group ~= group then
      group = finding.group
      lines[#lines + 1] = ""
      lines[#lines + 1] = group
    end
    finding_lines(lines, finding, told)
  end
  if result.held then held_lines(lines, result.held) end
  lines[#lines + 1] = ""
  if #result.asked > 0 then
    lines[#lines + 1] = result.works and "All of this works." or "Not all of this works."
  else
    lines[#lines + 1] = result.works and "The default container works." or "The default container does not work here."
  end
  return table.concat(lines, "\n")
end

return M
