--- Overlays (Documentation/filesystems/overlayfs.rst).

local filesystem = require "cella.root.filesystem"
local place = require "cella.root.place"

local M = { make = {} }

-- Separators of overlay's own (mount(8), overlay).
local function escaped(path)
  return (path:gsub("[\\:]", "\\%0"))
end

--- Lower directories are given from the top to the bottom, as overlay(5) has them. `upper = "tmpfs"` keeps what is
--- written as long as the container.
function M.make.overlay(plan, state, mount)
  local lower = {}
  for i, path in ipairs(mount.lower) do lower[i] = escaped(path) end
  local options = { { "lowerdir", table.concat(lower, ":") } }
  -- In a user namespace overlay keeps its notes in attributes that are allowed there.
  if state.unprivileged then options[#options + 1] = { "userxattr" } end
  if mount.upper and mount.upper ~= "tmpfs" then
    options[#options + 1] = { "upperdir", escaped(mount.upper) }
    options[#options + 1] = { "workdir", escaped(mount.work) }
  end
  place.attach(plan, state, mount, filesystem.new(plan, "overlay", options, mount, function(context)
    if mount.upper ~= "tmpfs" then return end
    state.scratched = (state.scratched or 0) + 1
    local upper, work = ("upper%d"):format(state.scratched), ("work%d"):format(state.scratched)
    plan:mkdir(upper, 493, state.scratch)
    plan:mkdir(work, 493, state.scratch)
    plan:fsconfig_at(context, "upperdir", state.scratch, upper)
    plan:fsconfig_at(context, "workdir", state.scratch, work)
  end))
end

return M
