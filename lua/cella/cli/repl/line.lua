--- Lines from whoever sits there: with editing, history and completion where a Lua module can do that (readline or
--- linenoise), else as the terminal has them; from a pipe or a file without a prompt.

local core = require "cella.core"

local M = {}

-- Where the history is kept; nil where nobody says where such things go.
local function history_file()
  local state, home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
  if state and state:sub(1, 1) == "/" then return state .. "/cella_history" end
  return home and home:sub(1, 1) == "/" and home .. "/.cella_history" or nil
end

local function with_readline(library, complete)
  library.set_readline_name "cella"
  library.set_options { keeplines = 1000, histfile = history_file(), completion = true, auto_add = true }
  library.set_complete_function(function(text, from, to)
    if library.set_completion_append_character then library.set_completion_append_character "" end
    return complete(text:sub(from, to))
  end)
  return { read = library.readline, close = function()
    if library.save_history then library.save_history() end
  end }
end

local function with_linenoise(library, complete)
  local path = history_file()
  if path then library.historyload(path) end
  library.setcompletion(function(completions, text)
    local before, word = text:match "^(.-)([A-Za-z0-9_.:]*)$"
    for _, whole in ipairs(complete(word)) do library.addcompletion(completions, before .. whole) end
  end)
  return { read = function(prompt)
    local line = library.linenoise(prompt)
    if line and line ~= "" then library.historyadd(line) end
    return line
  end, close = function()
    if path then library.historysave(path) end
  end }
end

local LIBRARIES = { { "readline", "set_complete_function", with_readline }, { "linenoise", "setcompletion",
  with_linenoise } }

--- A source of lines: `read(prompt)` is the next one, nil at the end.
---@param streams { out: file*, input: file* }
---@param complete fun(word: string): string[]
---@return { read: (fun(prompt: string): string?), close: fun() }
function M.open(streams, complete)
  local is_terminal = streams.input == io.stdin and core.isatty(0)
  for _, library in ipairs(is_terminal and LIBRARIES or {}) do
    local found, module = pcall(require, library[1])
    if found and type(module) == "table" and module[library[2]] then return library[3](module, complete) end
  end
  return { read = function(prompt)
    if is_terminal then
      streams.out:write(prompt)
      streams.out:flush()
    end
    return streams.input:read "*l"
  end, close = function()
    if is_terminal then streams.out:write "\n" end
  end }
end

return M
