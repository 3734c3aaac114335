--- `cella completion`: what a shell reads to complete cella's words.

local M = { summary = "Print what a shell reads to complete these commands." }

local SHELLS = { "bash", "zsh", "fish" }

--- Describes the command to the parser.
---@param command table  of argparse
function M.configure(command)
  command:description "Prints a script for a shell, which completes commands and options."
  command:argument("shell", "Which."):choices(SHELLS)
  command:epilog [[
  cella completion bash > ~/.local/share/bash-completion/completions/cella
  cella completion zsh > ~/.zfunc/_cella      # a directory of $fpath
  cella completion fish > ~/.config/fish/completions/cella.fish]]
end

--- Runs the command.
---@param arguments table
---@param streams table
---@return integer status
function M.run(arguments, streams)
  local parser = require("cella.cli.grammar").parser()
  if not parser.get_bash_complete then
    streams.err:write("cella completion: needs the Lua module argparse in version 0.7 or newer\n")
    return 125
  end
  streams.out:write((parser[("get_%s_complete"):format(arguments.shell)](parser)))
  return 0
end

return M
