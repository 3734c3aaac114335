--- Read-only paths: over what is there lies itself, read-only.

local place = require "cella.root.place"

local M = {}

--- Makes what is at a path read-only, with everything below it. What is not there needs no covering. The copy of a
--- mount that hears of the host's would hear of them as well: what comes later would not be read-only.
function M.record(plan, state, path)
  local target = plan:openat2(path, "path", place.IN_ROOT, state.root)
  plan:optional()
  local slot = plan:open_tree("", { "clone", "recursive" }, target)
  plan:move_mount(slot, target)
  plan:mount_setattr(slot, true, "rdonly", nil, state.hears and "private" or nil)
  plan:close(slot)
  plan:close(target)
end

return M
