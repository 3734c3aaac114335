--- What is costly to make and the same for every file of specs, of which each loads its modules anew: made once, and
--- kept in the directory that tools/specs removes at its end. Without one it is made each time.

local M = {}

--- The path of a file that `make` writes, and what that has said, or nil and what it has said.
---@param name string
---@param make fun(path: string): string?  returns a complaint, or nothing
---@return string? path, string? complaint
function M.once(name, make)
  local work = os.getenv "CELLA_WORK"
  local path = work and work .. "/" .. name or os.tmpname()
  local there = work and io.open(path)
  if there then
    there:close()
    return path
  end
  local complaint = make(path)
  if not complaint then return path end
  os.remove(path)
  return nil, complaint
end

--- What M.once has given is no longer used.
function M.done(path)
  if not os.getenv "CELLA_WORK" then os.remove(path) end
end

return M
