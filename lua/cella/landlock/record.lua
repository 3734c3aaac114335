--- Rules of Landlock as steps of a plan, behind which the process is under them.

local M = {}

-- A port that needs no privilege, and that no rule is about.
local FIRST, LAST = 65535, 1024

local function free_port(ports)
  local taken = {}
  for _, one in ipairs(ports) do taken[one.port] = true end
  for port = FIRST, LAST, -1 do
    if not taken[port] then return port end
  end
  return nil
end

local function has(list, wanted)
  for _, name in ipairs(list) do
    if name == wanted then return true end
  end
  return false
end

-- What can be tried, with no consequences where it succeeds.
local function record_trial(plan, held)
  local trials, port = {}, free_port(held.ports)
  local reads = not has(held.fs, "read_dir")
  for _, one in ipairs(held.paths) do
    reads = reads or not one.path:find "[^/.]" and has(one.access, "read_dir")
  end
  if not reads then trials[1] = "read_dir" end
  for _, name in ipairs(held.net) do
    if port and (name == "bind_tcp" or name == "connect_tcp") then trials[#trials + 1] = name end
  end
  if #trials > 0 then plan:expect_landlock(trials, (trials[1] ~= "read_dir" or #trials > 1) and port or nil) end
end

local function record_one(plan, held)
  if #held.fs + #held.net + #held.scoped == 0 then return end
  local function some(list) return #list > 0 and list or nil end
  local ruleset = plan:landlock_create_ruleset(some(held.fs), some(held.net), some(held.scoped))
  for _, one in ipairs(held.paths) do
    local same = #one.of_file == #one.access
    plan:landlock_add_path(ruleset, one.path, one.access, not same and one.of_file or nil, one.optional or nil,
      one.links_in)
  end
  for _, one in ipairs(held.ports) do plan:landlock_add_port(ruleset, one.port, one.access) end
  plan:landlock_restrict_self(ruleset)
  plan:close(ruleset)
  record_trial(plan, held)
end

--- Records that the process is under each of these.
---@param plan cella.plan
---@param list cella.landlock.held[]
function M.record(plan, list)
  for _, held in ipairs(list) do record_one(plan, held) end
end

return M
