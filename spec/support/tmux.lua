--- A real terminal with a shell in it, that a spec types at and looks at: tmux(1), with a server of its own.

local trial = require "spec.support.trial"

local M = {}
local Terminal = {}
Terminal.__index = Terminal

--- What specs say that need it, where it is not installed.
function M.lacks_tmux()
  return trial.sh "tmux -V" :find "^tmux" == nil and "needs tmux" or nil
end

--- `directory`: for the server's socket. `keys`: rows, columns.
function M.open(directory, keys)
  keys = keys or {}
  local self = setmetatable({ socket = directory .. "/tmux" }, Terminal)
  -- Its size is that of its window, and nobody's client.
  self:tmux("-f", "/dev/null", "new-session", "-d", "-x", tostring(keys.columns or 80), "-y", tostring(keys.rows or 24),
    "env PS1='outer> ' /bin/sh")
  self:tmux("set-option", "-g", "history-limit", "20000")
  self.shell = tonumber(self:tmux("display-message", "-p", "#{pane_pid}"))
  self.device = self:tmux("display-message", "-p", "#{pane_tty}"):match "%S+"
  self.server = tonumber(self:tmux("display-message", "-p", "#{pid}"))
  self:see "outer> $"
  return self
end

function Terminal:tmux(...)
  local words = { "tmux", "-S", self.socket, ... }
  local result = trial.host(words)
  if result.status ~= 0 then error(table.concat(words, " ") .. ": " .. result.stderr, 2) end
  return result.stdout
end

--- Types a text; `key` names keys as tmux(1) does.
function Terminal:type(text) self:tmux("send-keys", "-l", "--", text) end
function Terminal:key(name) self:tmux("send-keys", name) end

--- Types a line.
function Terminal:line(text)
  self:type(text)
  self:key "Enter"
end

--- What is on the screen and was, without what is blank at its end.
function Terminal:screen()
  return (self:tmux("capture-pane", "-p", "-J", "-S", "-"):gsub("[ \n]+\n", "\n"):gsub("%s+$", ""))
end

--- Waits until the screen matches a pattern; returns the screen.
function Terminal:see(pattern)
  local screen
  local ok = pcall(trial.wait_for, function()
    screen = self:screen()
    return screen:gsub("> $", ">"):find((pattern:gsub("> %$$", ">$")))
  end, pattern)
  if not ok then error(("%s does not come on\n%s"):format(pattern, tostring(screen)), 2) end
  return screen
end

--- The modes that the terminal has now, as stty(1) writes them for itself.
function Terminal:modes()
  return trial.sh("stty -g < " .. self.device)
end

function Terminal:resize(columns, rows)
  self:tmux("resize-window", "-x", tostring(columns), "-y", tostring(rows))
end

--- Ends it, and whatever is in it; the programs get SIGHUP.
function Terminal:close()
  trial.host { "tmux", "-S", self.socket, "kill-server" }
  trial.wait_for(function() return not trial.runs(self.server) end, "tmux to end")
end

return M
