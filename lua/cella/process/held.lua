--- What a program is confined by, told with how it ended: where a caller has said that less is enough, how much it is.

local printable = require "cella.printable"

---@class cella.confinement.held
---@field namespaces string[]  of its own
---@field seccomp string?      the policy's name, or what it is
---@field landlock { needs: integer, abi: integer, lacks: string[] }?  the ABI that has all that its policy asks for,
---  that of the host, and what is not held
---@field choice { number: integer, refused: cella.error[] }?  which of the containers of `cella.first` it is, and why
---  those before it cannot be
local Held = { __name = "cella.confinement.held", __plain = true } -- see cella.process.result

local M = {}

local function copy(list)
  local same = {}
  for i, value in ipairs(list) do same[i] = value end
  return same
end

--- Of what a plan says: namespaces, landlock (cella.landlock.held), seccomp (cella.filter), choice.
---@param said table
---@return cella.confinement.held
function M.new(said)
  local landlock = said.landlock
  return setmetatable({
    namespaces = copy(said.namespaces),
    seccomp = said.seccomp and said.seccomp.name or nil,
    landlock = landlock and { needs = landlock.needs, abi = landlock.abi, lacks = copy(landlock.lacks) } or nil,
    choice = said.choice and { number = said.choice.number, refused = copy(said.choice.refused) } or nil,
  }, Held)
end

--- A line of each.
function Held:__tostring()
  local lines = { "namespaces: " .. (#self.namespaces > 0 and table.concat(self.namespaces, " ") or "none of its own") }
  lines[2] = "seccomp: " .. (self.seccomp or "none")
  local landlock = self.landlock
  lines[3] = "landlock: " .. (landlock and "ABI " .. ("%d"):format(landlock.needs) or "none")
  if landlock and #landlock.lacks > 0 then
    lines[3] = ("%s, of which ABI %d lacks %s"):format(lines[3], landlock.abi, table.concat(landlock.lacks, ", "))
  end
  if self.choice and #self.choice.refused > 0 then
    lines[4] = ("choice: container %d; those before it cannot be started here"):format(self.choice.number)
  end
  return printable.text(table.concat(lines, "\n"))
end

return M
