--- Ranges of outside IDs, and how inside IDs are laid on them. Lists of `{ first =, count = }`.

local idmap = require "cella.idmap.value"

local M = {}

-- A set of IDs, as the map of each of them to itself: that has the arithmetic.
local function set(first, count)
  return idmap.new { inside = first, outside = first, count = count }
end

--- The set of IDs of some ranges, which may overlap.
---@return cella.IdMap
function M.set(ranges)
  local all = idmap.new ""
  for _, range in ipairs(ranges) do all = all:union(set(range.first, range.count)) end
  return all
end

--- The ranges without what an earlier one has already (a file may name IDs twice), and without one ID that is
--- used otherwise. The order is kept: it is what makes the first range's first ID the first inside ID.
---@param except integer?
function M.distinct(ranges, except)
  local seen, result = except and set(except, 1) or idmap.new "", {}
  for _, range in ipairs(ranges) do
    local whole = set(range.first, range.count)
    for _, extent in ipairs(whole:subtract(seen):extents()) do
      result[#result + 1] = { first = extent.inside, count = extent.count }
    end
    seen = seen:union(whole)
  end
  return result
end

--- How many IDs there are in ranges that do not overlap.
function M.total(ranges)
  local total = 0
  for _, range in ipairs(ranges) do total = total + range.count end
  return total
end

--- Inside IDs from `inside` on, one range after the other.
---@return cella.idmap.Extent[]
function M.row(ranges, inside)
  local extents = {}
  for _, range in ipairs(ranges) do
    extents[#extents + 1] = { inside = inside, outside = range.first, count = range.count }
    inside = inside + range.count
  end
  return extents
end

--- The same IDs in fewest ranges, in ascending order.
function M.joined(ranges)
  local result = {}
  for _, extent in ipairs(M.set(ranges):extents()) do
    result[#result + 1] = { first = extent.inside, count = extent.count }
  end
  return result
end

-- Inside IDs in ascending order as runs of consecutive ones.
local function runs_of(ids)
  local runs = {}
  for _, id in ipairs(ids) do
    local last = runs[#runs]
    if last and last.inside + last.count == id then
      last.count = last.count + 1
    else
      runs[#runs + 1] = { inside = id, count = 1 }
    end
  end
  return runs
end

local STEPS = 5000

-- Packing runs into ranges so that as few as possible are cut. A run that is cut fills up what it is cut for
-- (otherwise a layout with the same number of cuts exists in which it does), so there are two choices: whole into
-- a range that has room, or cut at the end of a range that has not. The search takes the longest run first and
-- the tightest range first, which finds a layout without cuts at once where there is room; after STEPS steps it
-- makes do with the best so far.
local function pack(runs, bins)
  local best, best_cuts, steps = nil, math.huge, 0
  local placed = {}

  local function search(pending, cuts)
    steps = steps + 1
    if cuts >= best_cuts or steps > STEPS and best then return end
    if #pending == 0 then
      best, best_cuts = {}, cuts
      for i, extent in ipairs(placed) do best[i] = extent end
      return
    end
    table.sort(pending, function(a, b)
      return a.count > b.count or a.count == b.count and a.inside < b.inside
    end)
    local run, rest = pending[1], {}
    for i = 2, #pending do rest[i - 1] = pending[i] end

    local order = {}
    for i, bin in ipairs(bins) do
      if bin.count > 0 then order[#order + 1] = i end
    end
    table.sort(order, function(a, b)
      local fits_a, fits_b = bins[a].count >= run.count, bins[b].count >= run.count
      if fits_a ~= fits_b then return fits_a end
      if bins[a].count ~= bins[b].count then
        -- The tightest that holds it; if none does, the one that takes most of it.
        if fits_a then return bins[a].count < bins[b].count end
        return bins[a].count > bins[b].count
      end
      return a < b
    end)
    local tried = {}
    for _, i in ipairs(order) do
      local bin = bins[i]
      -- Ranges with the same room left are the same to the search.
      if not tried[bin.count] then
        tried[bin.count] = true
        local count = math.min(run.count, bin.count)
        local next_pending = {}
        for j, other in ipairs(rest) do next_pending[j] = other end
        if count < run.count then
          next_pending[#next_pending + 1] = { inside = run.inside + count, count = run.count - count }
        end
        placed[#placed + 1] = { inside = run.inside, outside = bin.first, count = count }
        bin.first, bin.count = bin.first + count, bin.count - count
        search(next_pending, cuts + (count < run.count and 1 or 0))
        bin.first, bin.count = bin.first - count, bin.count + count
        placed[#placed] = nil
        if best_cuts == 0 then return end
      end
    end
  end

  search(runs, 0)
  return best
end

--- Lays inside IDs on ranges, in as few extents as there can be.
---@param ids integer[]  in ascending order, none twice
---@return cella.idmap.Extent[]? extents  nil if the ranges have fewer IDs
function M.place(ids, ranges)
  local bins = M.joined(ranges)
  if M.total(bins) < #ids then return nil end
  return pack(runs_of(ids), bins)
end

return M
