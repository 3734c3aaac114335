--- The steps of a plan as text with a heading for each stage, and what two plans do differently.

local printable = require "cella.printable"
local stages = require "cella.plan.stage"

local M = {}

local function line_of(step)
  return ("%3d %-6s  %s"):format(step.number, step.side, printable.line(step.text))
end

--- The lines of print(plan), with a heading wherever another stage begins.
---@param plan cella.plan
---@param heading (fun(text: string): string)?  how headings are written
---@return string
function M.text(plan, heading)
  local steps, lines, stage = plan:steps(), {}, nil
  local stage_of = stages.of(steps)
  for i, step in ipairs(steps) do
    if stage_of[i] ~= stage then
      stage = stage_of[i]
      lines[#lines + 1] = (stage and #lines > 0 and "\n" or "") .. (heading or tostring)(stages.TITLES[stage])
    end
    lines[#lines + 1] = line_of(step)
  end
  return table.concat(lines, "\n") .. "\n"
end

-- Two steps are the same where they do the same, with what the same steps have made before: the numbers of slots
-- depend on what else there is. `known` has a number for each thing that is done, of both plans.
local function names_of(steps, known)
  local made, names = {}, {}
  local function show(value)
    if type(value) ~= "table" then return type(value) .. ":" .. tostring(value) end
    if value.slot ~= nil then return "made by " .. tostring(made[value.slot]) end
    if getmetatable(value) then return tostring(value) end
    local keys, parts = {}, {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    for i, key in ipairs(keys) do parts[i] = ("%s=%s"):format(tostring(key), show(value[key])) end
    return "{" .. table.concat(parts, "\0") .. "}"
  end
  for i, step in ipairs(steps) do
    local text = table.concat({ step.side, step.op, show(step.args) }, "\0")
    known[text] = known[text] or { count = 0 }
    names[i] = known[text]
    if step.slot then made[step.slot] = tostring(known[text]) end
  end
  return names
end

-- The longest list of pairs of steps that are the same, in order: { { i, j }, ... }.
local function common(a, b)
  local length = {}
  for i = #a + 1, 1, -1 do
    length[i] = {}
    for j = #b + 1, 1, -1 do
      if i > #a or j > #b then
        length[i][j] = 0
      elseif a[i] == b[j] then
        length[i][j] = length[i + 1][j + 1] + 1
      else
        length[i][j] = math.max(length[i + 1][j], length[i][j + 1])
      end
    end
  end
  local pairs_, i, j = {}, 1, 1
  while i <= #a and j <= #b do
    if a[i] == b[j] then
      pairs_[#pairs_ + 1] = { i, j }
      i, j = i + 1, j + 1
    elseif length[i + 1][j] >= length[i][j + 1] then
      i = i + 1
    else
      j = j + 1
    end
  end
  return pairs_
end

--- What two plans do differently: the steps of one alone with "-", those of the other alone with "+", under headings;
--- nil where they do the same.
---@param one cella.plan
---@param other cella.plan
---@param heading (fun(text: string): string)?
---@return string?
function M.difference(one, other, heading)
  local a, b, known = one:steps(), other:steps(), {}
  local a_stages, b_stages = stages.of(a), stages.of(b)
  local same = common(names_of(a, known), names_of(b, known))
  if #same == #a and #same == #b then return nil end
  local lines, stage = {}, nil
  local function add(sign, step, of)
    if of ~= stage then
      stage = of
      lines[#lines + 1] = (#lines > 0 and "\n" or "") .. (heading or tostring)(stages.TITLES[stage])
    end
    lines[#lines + 1] = sign .. line_of(step)
  end
  local i, j = 1, 1
  same[#same + 1] = { #a + 1, #b + 1 }
  for _, pair in ipairs(same) do
    while i < pair[1] do
      add("-", a[i], a_stages[i])
      i = i + 1
    end
    while j < pair[2] do
      add("+", b[j], b_stages[j])
      j = j + 1
    end
    i, j = pair[1] + 1, pair[2] + 1
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
