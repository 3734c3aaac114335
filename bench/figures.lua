--- What lists of measurements say.

local M = {}

--- The value below which `part` of the list lies (0.5: the median), between its neighbours.
---@param list number[]
---@param part number
---@return number?
function M.quantile(list, part)
  if #list == 0 then return nil end
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local at = 1 + (#sorted - 1) * part
  local low = math.floor(at)
  local high = math.min(low + 1, #sorted)
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low)
end

---@param list number[]
---@return number?
function M.median(list) return M.quantile(list, 0.5) end

--- The mean of the best tenth, at least of one.
---@param list number[]
---@return number?
function M.best_tenth(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local count, sum = math.max(1, #sorted // 10), 0
  if #sorted == 0 then return nil end
  for i = 1, count do sum = sum + sorted[i] end
  return sum / count
end

--- Ratios paired within a round: median, and the quartiles between which half of the rounds lie.
---@param list number[]  a value for each round
---@param base number[]  of the same rounds
---@return { ratio: number, low: number, high: number }?
function M.paired(list, base)
  local ratios = {}
  for round, value in ipairs(list) do ratios[round] = value / base[round] end
  if #ratios == 0 then return nil end
  return { ratio = M.median(ratios), low = M.quantile(ratios, 0.25), high = M.quantile(ratios, 0.75) }
end

--- The list in random order.
function M.shuffled(list)
  local result = table.move(list, 1, #list, 1, {})
  for i = #result, 2, -1 do
    local j = math.random(i)
    result[i], result[j] = result[j], result[i]
  end
  return result
end

return M
