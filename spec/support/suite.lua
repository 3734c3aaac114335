-- Suites for busted, in a directory of their own, and busted as a program that runs them.

local trial = require "spec.support.trial"

local M = {}

-- As the program that the distribution has; its name is what its messages begin with.
local PROGRAM = 'require "busted.runner" { standalone = false }\n'

--- Writes files, by name, into a directory.
function M.write(directory, files)
  trial.write(directory .. "/busted", PROGRAM)
  for name, text in pairs(files) do trial.write(directory .. "/" .. name, text) end
end

-- What is otherwise each time.
local function same(text)
  return (text:gsub("0x%x+", "ADDRESS"):gsub("%d[%d.e-]* seconds", "TIME seconds"))
end

--- Runs busted in a directory. `arguments` are words of a shell, `prefix` what the interpreter is started by, `program`
--- what it runs instead.
---@return string report, integer status  of both streams, without times and addresses
function M.run(directory, arguments, prefix, program)
  local result = trial.host { "/bin/sh", "-c", ("cd %s && exec %s %s %s -o plainTerminal %s 2>&1"):format(
    trial.quote(directory), prefix or "", trial.interpreter(), program or "busted --ignore-lua", arguments) }
  return same(result.stdout), result.status
end

--- Fails where one of the texts is not in a report.
function M.has(report, ...)
  for _, text in ipairs { ... } do
    assert(report:find(text, 1, true), ("%q is missing in:\n%s"):format(text, report))
  end
end

--- Fails where a text is in a report.
function M.has_not(report, text)
  assert(not report:find(text, 1, true), ("%q is in:\n%s"):format(text, report))
end

return M
