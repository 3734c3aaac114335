-- The manual pages, as roff (man(7)): cella(1) and cella-oci(1) from what the command lines say of themselves, cella(7)
-- from the manual.

local M = {}

-- Text for roff: what it takes for an escape or a request is none.
local function escaped(text)
  text = text:gsub("\\", "\\e"):gsub("\226\128\153", "'"):gsub("%-", "\\-"):gsub("'", "\\(aq"):gsub("`", "\\(ga")
  return (text:gsub("~", "\\(ti"):gsub("%^", "\\(ha"))
end

local function guarded(line)
  return line:find "^[.']" and "\\&" .. line or line
end

-- A line that is shown as it stands.
local function verbatim(line) return guarded(escaped(line)) end

local function example(out, lines)
  out[#out + 1] = ".PP\n.RS 4\n.EX"
  for _, line in ipairs(lines) do out[#out + 1] = verbatim(line) end
  out[#out + 1] = ".EE\n.RE"
end

-- Text with lines that are no longer than an editor likes; roff fills them anyhow.
local function filled(text)
  local lines, line = {}, ""
  for word in text:gmatch "%S+" do
    if line ~= "" and #line + #word > 100 then
      lines[#lines + 1] = guarded(line)
      line = ""
    end
    line = line == "" and word or line .. " " .. word
  end
  lines[#lines + 1] = guarded(line)
  return table.concat(lines, "\n")
end

local function header(name, section, title, what)
  return {
    '.\\" Written by tools/share.lua: change what it is made of.',
    (".TH %s %d \"\" \"cella\" \"%s\""):format(name:upper(), section, title),
    ".SH NAME",
    ("%s \\- %s"):format(name, what),
  }
end

-- cella(1)

-- What the help of a command says in paragraphs, and in lines that begin with blanks: examples, or lists.
local function prose(out, text)
  for block in (text .. "\n\n"):gmatch "(.-)\n\n+" do
    local lines, is_example = {}, true
    for line in block:gmatch "[^\n]+" do
      lines[#lines + 1] = line
      is_example = is_example and line:find "^  " ~= nil
    end
    if #lines > 0 and is_example then
      for i, line in ipairs(lines) do lines[i] = line:sub(3) end
      example(out, lines)
    elseif #lines > 0 then
      out[#out + 1] = ".PP\n" .. filled(escaped(table.concat(lines, " ")))
    end
  end
end

local function argument_of(option)
  if option._maxargs == 0 then return "" end
  local name = option._choices and "{" .. table.concat(option._choices, ",") .. "}" or option._argname
  if type(name) == "table" then name = name[1] end
  return " " .. (name or "VALUE")
end

local function entry(out, name, argument, description)
  if argument ~= "" then argument = "\\fI" .. escaped(argument) .. "\\fP" end
  out[#out + 1] = (".TP\n\\fB%s\\fP%s\n%s"):format(escaped(name), argument, filled(escaped(description)))
end

local function options_of(out, command)
  for _, argument in ipairs(command._arguments) do
    local name = type(argument._argname) == "string" and argument._argname or argument._name
    entry(out, name, "", argument._description or "")
  end
  for _, option in ipairs(command._options) do
    if not option._hidden then
      entry(out, table.concat(option._aliases, ", "), argument_of(option), option._description or "")
    end
  end
end

local function command_section(out, command)
  local usage = command:get_usage():gsub("^Usage: ", ""):gsub("\n%s+", "\n")
  out[#out + 1] = ".SS " .. escaped(command:_get_fullname())
  local lines = {}
  for line in usage:gmatch "[^\n]+" do lines[#lines + 1] = line end
  example(out, lines)
  prose(out, command._description or "")
  options_of(out, command)
  prose(out, command._epilog or "")
  for _, inner in ipairs(command._commands) do command_section(out, inner) end
end

--- cella(1).
---@param parser table  of argparse, with all commands
---@return string
function M.command_line(parser)
  local out = header("cella", 1, "User Commands", "Linux containers as Lua programs")
  out[#out + 1] = ".SH SYNOPSIS"
  for _, command in ipairs(parser._commands) do
    out[#out + 1] = (".B cella %s\n\\&...\n.br"):format(escaped(command._name))
  end
  out[#out + 1] = ".SH DESCRIPTION"
  prose(out, "cella starts programs in Linux containers that are described in Lua, shows what a start does, and "
    .. "answers questions about namespaces, ID maps and capabilities.")
  out[#out + 1] = "What the table of a container may say is in\n.BR cella (7)."
  out[#out + 1] = ".SH OPTIONS"
  options_of(out, parser)
  out[#out + 1] = ".SH COMMANDS"
  for _, command in ipairs(parser._commands) do command_section(out, command) end
  out[#out + 1] = ".SH ENVIRONMENT"
  entry(out, "LUA_PATH, LUA_CPATH", "", "Where Lua finds cella and argparse. A checkout, or what a symbolic link to "
    .. "its bin/cella leads to, is found without them.")
  entry(out, "NO_COLOR", "", "If it is set, nothing is written in colours.")
  entry(out, "XDG_STATE_HOME", "", "Where slices of IDs are noted, and the history of cella repl is kept.")
  out[#out + 1] = ".SH FILES"
  entry(out, "/run/cella/ids", "", "Which IDs the containers of root have, by a lock.")
  entry(out, "~/.cella_history", "", "The history of cella repl.")
  out[#out + 1] = ".SH SEE ALSO"
  out[#out + 1] = ".BR cella\\-oci (1),\n.BR cella (7),\n.BR namespaces (7),\n.BR user_namespaces (7),\n"
    .. ".BR capabilities (7)"
  return table.concat(out, "\n") .. "\n"
end

--- cella-oci(1).
---@param help string  what `cella-oci --help` prints: its usage, what it is, lists, an example, and where there is more
---@return string
function M.runtime(help)
  local usage, what, rest = help:match "^Usage: ([^\n]*)\n\n([^\n]*)\n\n(.*)$"
  local out = header("cella\\-oci", 1, "User Commands", "a runtime for OCI containers")
  out[#out + 1] = ".SH SYNOPSIS"
  example(out, { usage })
  out[#out + 1] = ".SH DESCRIPTION"
  prose(out, what)
  out[#out + 1] = ".SH COMMANDS AND OPTIONS"
  prose(out, rest)
  out[#out + 1] = ".SH EXIT STATUS"
  prose(out, "0, or 1 where something was refused or has failed, which is told on the standard error; of run and exec "
    .. "that of the program, 127 if there is none, 126 if it could not be executed.")
  out[#out + 1] = ".SH FILES"
  entry(out, "/run/cella-oci, $XDG_RUNTIME_DIR/cella-oci", "", "A directory for each container of root, and of anybody "
    .. "else.")
  out[#out + 1] = ".SH SEE ALSO\n.BR cella (1),\n.BR podman (1),\n.BR crun (1)"
  return table.concat(out, "\n") .. "\n"
end

-- cella(7)

-- The words of Markdown in a line: code, emphasis and links.
local function inline(text)
  local kept = {}
  local function keep(words)
    kept[#kept + 1] = words
    return ("\1%d\2"):format(#kept)
  end
  text = text:gsub("`([^`]+)`", function(code) return keep("\\fB" .. escaped(code) .. "\\fP") end)
  text = text:gsub("%[([^%]]*)%]%(([^)]*)%)", function(words) return words end)
  text = text:gsub("%*%*(.-)%*%*", function(words) return keep("\\fB" .. escaped(words) .. "\\fP") end)
  text = text:gsub("%*([^%s*][^*]*)%*", function(words) return keep("\\fI" .. escaped(words) .. "\\fP") end)
  text = escaped(text)
  -- What is emphasised may hold code.
  for _ = 1, 2 do text = text:gsub("\1(%d+)\2", function(number) return kept[tonumber(number)] end) end
  return text
end

local function cells_of(row)
  local cells = {}
  for cell in row:gsub("^|", ""):gmatch "%s*(.-)%s*|" do cells[#cells + 1] = cell end
  return cells
end

-- A table as a list of terms: its first column, and what the others say of it.
local function terms(out, rows)
  local names = cells_of(rows[1])
  for i = 3, #rows do
    local cells = cells_of(rows[i])
    local text = inline(cells[2] or "")
    for column = 3, #cells do
      if cells[column] ~= "" then
        text = ("%s. %s: %s"):format(text, inline((names[column]:gsub("^%l", string.upper))), inline(cells[column]))
      end
    end
    out[#out + 1] = (".TP\n%s\n%s"):format(inline(cells[1]), filled(text))
  end
end

local function markdown(out, lines)
  local i = 1
  local function is_plain(line)
    return line and line:find "%S" and not line:find "^[#|]" and not line:find "^%s*%- " and not line:find "^```"
      and not line:find "^<!%-%-"
  end
  while i <= #lines do
    local line = lines[i]
    if line:find "^#" then
      local marks, title = line:match "^(#+)%s+(.*)$"
      out[#out + 1] = #marks == 2 and ".SH " .. inline(title:upper()) or ".SS " .. inline(title)
      i = i + 1
    elseif line:find "^```" then
      local block = {}
      i = i + 1
      while not lines[i]:find "^```" do
        block[#block + 1] = lines[i]
        i = i + 1
      end
      example(out, block)
      i = i + 1
    elseif line:find "^|" then
      local rows = {}
      while lines[i] and lines[i]:find "^|" do
        rows[#rows + 1] = lines[i]
        i = i + 1
      end
      terms(out, rows)
    elseif line:find "^%s*%- " then
      local text = line:gsub("^%s*%- ", "")
      i = i + 1
      while is_plain(lines[i]) do
        text = text .. " " .. lines[i]
        i = i + 1
      end
      out[#out + 1] = ".IP \\(bu 2\n" .. filled(inline(text))
    elseif is_plain(line) then
      local text = line
      i = i + 1
      while is_plain(lines[i]) do
        text = text .. " " .. lines[i]
        i = i + 1
      end
      out[#out + 1] = ".PP\n" .. filled(inline(text))
    else
      i = i + 1
    end
  end
end

--- cella(7): what the table of a container may say, and that of a command.
---@param manual string  doc/manual.md
---@return string
function M.container(manual)
  local out = header("cella", 7, "Miscellaneous Information", "what the table of a container may say")
  out[#out + 1] = ".SH DESCRIPTION\nA container is a table in Lua, which\n.B cella.container\ntakes, and which a file "
    .. "for\n.BR cella (1)\nreturns. This page is the part of the manual about it."
  local lines, wanted = {}, false
  for line in (manual .. "\n"):gmatch "([^\n]*)\n" do
    if line:find "^## " then
      wanted = line == "## Containers" or line == "## Commands and their streams"
    end
    if wanted then lines[#lines + 1] = line end
  end
  markdown(out, lines)
  out[#out + 1] = ".SH SEE ALSO\n.BR cella (1),\n.BR namespaces (7),\n.BR user_namespaces (7),\n"
    .. ".BR mount_namespaces (7),\n.BR capabilities (7),\n.BR cgroups (7)"
  return table.concat(out, "\n") .. "\n"
end

return M
