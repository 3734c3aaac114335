-- For the scripts of spec/support/outer.lua: what a program in a container says of a network.

local cella = require "cella"

local PATIENCE = tonumber(os.getenv "CELLA_PATIENCE") or 1

local M = {}

local file = assert(io.open "spec/support/client.pl")
local CLIENT = file:read "*a"
file:close()

--- The words of a client as a command: "tcp 203.0.113.7 80, udp 203.0.113.7 80".
function M.client(text)
  local command = { "perl", "-e", CLIENT, stdout = "capture", stderr = "stdout" }
  for word in text:gsub(",", " , "):gmatch "%S+" do command[#command + 1] = word end
  return command
end

--- What it prints in a container; or why that is not started.
function M.says(keys, text)
  local command = M.client(text)
  command.timeout, command.setup_timeout = 60 * PATIENCE, 10 * PATIENCE
  local result, err = cella.container(keys):run(command)
  if not result then return "not started: " .. tostring(err) .. "\n" end
  return result.stdout
end

--- Out here.
function M.out_here(text)
  local result = assert(cella.plan():exec(M.client(text)):run())
  return result.stdout
end

return M
