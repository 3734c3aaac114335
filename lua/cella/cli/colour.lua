--- Whether to write in colours: at a terminal that shows them, unless somebody wants none (https://no-color.org).

local core = require "cella.core"

local M = {}

--- Gives a command the option.
function M.option(command)
  command:option("--colour --color", "In colours: at a terminal, always or never."):argname "WHEN"
    :choices { "auto", "always", "never" }:default "auto":show_default(false)
end

---@param wish "auto"|"always"|"never"
---@param streams { out: file* }
---@return boolean
function M.wanted(wish, streams)
  if wish ~= "auto" then return wish == "always" end
  local refused, term = os.getenv "NO_COLOR", os.getenv "TERM"
  local is_ours = streams.out == io.stdout or streams.out.file == io.stdout -- behind cella.cli.output
  return is_ours and core.isatty(1) and (refused or "") == "" and (term or "dumb") ~= "dumb"
end

return M
