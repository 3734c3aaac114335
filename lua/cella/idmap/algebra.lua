--- Arithmetic on lists of extents. A list is canonical: sorted by `inside`, no ID twice on either
--- side, and neighbours that continue each other on both sides are one extent. So two lists stand
--- for the same map exactly when they are equal, and a run of IDs that is mapped without a gap or a
--- jump always lies in one extent.
---
--- Every function takes canonical lists, leaves them as they are and returns a new one.

local M = {}

local floor = math.floor

--- Adds an extent behind all others; what continues the last one makes it longer, which is what
--- keeps every result canonical. The list must be the caller's own.
---@param list cella.idmap.Extent[]
function M.append(list, inside, outside, count)
  local last = list[#list]
  if last and last.inside + last.count == inside and last.outside + last.count == outside then
    last.count = last.count + count
  else
    list[#list + 1] = { inside = inside, outside = outside, count = count }
  end
end

local append = M.append

--- The extents in the order of `side`. Most lists are in order already, and a check costs far less
--- than a sort with a Lua comparison.
---@param side "inside"|"outside"
function M.sorted(list, side)
  local copy, in_order = {}, true
  for i, extent in ipairs(list) do
    copy[i] = extent
    in_order = in_order and (i == 1 or list[i - 1][side] <= extent[side])
  end
  if not in_order then
    table.sort(copy, function(a, b) return a[side] < b[side] end)
  end
  return copy
end

--- Two extents that share an ID on `side`, and the lowest such ID; nil if there are none.
---@param list cella.idmap.Extent[] in the order of `side`
function M.clash(list, side)
  for i = 2, #list do
    local before, after = list[i - 1], list[i]
    if before[side] + before.count > after[side] then
      return before, after, after[side]
    end
  end
end

--- The position of the first extent that ends behind the inside ID; one past the list if none does.
function M.find(list, id)
  local low, high = 1, #list + 1
  while low < high do
    local middle = floor((low + high) / 2)
    local extent = list[middle]
    if extent.inside + extent.count > id then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local find = M.find

-- Visits each stretch of IDs that `a` has on `side` and `b` has inside, in the order of `a`'s inside
-- IDs, so that results need no sorting. The cost is one search per extent of `a`, and the stretches.
local function overlaps(a, side, b, visit)
  for _, x in ipairs(a) do
    local from, stop = x[side], x[side] + x.count
    local i = find(b, from)
    local y = b[i]
    while y and y.inside < stop do
      if from < y.inside then from = y.inside end
      local to = y.inside + y.count
      if to > stop then to = stop end
      visit(x, y, from, to - from)
      i = i + 1
      from, y = to, b[i]
    end
  end
end

function M.equal(a, b)
  for i, x in ipairs(a) do
    local y = b[i]
    if not y or x.inside ~= y.inside or x.outside ~= y.outside or x.count ~= y.count then
      return false
    end
  end
  return #a == #b
end

function M.compose(inner, outer)
  local result = {}
  overlaps(inner, "outside", outer, function(x, y, middle, count)
    append(result, x.inside + (middle - x.outside), y.outside + (middle - y.inside), count)
  end)
  return result
end

function M.within(inner, outer)
  local result = {}
  overlaps(inner, "outside", outer, function(x, _, middle, count)
    append(result, x.inside + (middle - x.outside), middle, count)
  end)
  return result
end

--- The extents cut where those of `outer` end; nil if `outer` lacks one of the outside IDs. Not canonical, of
--- course: this is for the kernel, which takes no extent that lies in two of the parent's.
function M.pieces(inner, outer)
  local result, wanted, found = {}, 0, 0
  for _, extent in ipairs(inner) do wanted = wanted + extent.count end
  -- As the parent's map was written: the kernel does not join what continues.
  overlaps(inner, "outside", outer.written or outer, function(x, _, middle, count)
    result[#result + 1] = { inside = x.inside + (middle - x.outside), outside = middle, count = count }
    found = found + count
  end)
  return found == wanted and result or nil
end

function M.invert(list)
  local result = {}
  for _, extent in ipairs(M.sorted(list, "outside")) do
    append(result, extent.outside, extent.inside, extent.count)
  end
  return result
end

function M.intersect(a, b)
  local result = {}
  overlaps(a, "inside", b, function(x, y, inside, count)
    if x.outside - x.inside == y.outside - y.inside then
      append(result, inside, x.outside + (inside - x.inside), count)
    end
  end)
  return result
end

function M.subtract(a, b)
  -- Each extent in common lies within one extent of `a`, as `a` is canonical.
  local result, common, i = {}, M.intersect(a, b), 1
  for _, extent in ipairs(a) do
    local shift, from, stop = extent.outside - extent.inside, extent.inside, extent.inside + extent.count
    while common[i] and common[i].inside < stop do
      local hole = common[i]
      if from < hole.inside then
        append(result, from, from + shift, hole.inside - from)
      end
      from, i = hole.inside + hole.count, i + 1
    end
    if from < stop then
      append(result, from, from + shift, stop - from)
    end
  end
  return result
end

--- All extents of both; or nil, the side on which they contradict each other, and the two that do
--- with the ID they share.
function M.union(a, b)
  local both = {}
  for _, extent in ipairs(a) do both[#both + 1] = extent end
  for _, extent in ipairs(M.subtract(b, a)) do both[#both + 1] = extent end
  both = M.sorted(both, "inside")
  for _, side in ipairs { "inside", "outside" } do
    local x, y, id = M.clash(M.sorted(both, side), side)
    if x then
      return nil, side, x, y, id
    end
  end
  local result = {}
  for _, extent in ipairs(both) do
    append(result, extent.inside, extent.outside, extent.count)
  end
  return result
end

--- The extents of the `n` lowest inside IDs, and how many of the `n` were missing.
function M.take(list, n)
  local result = {}
  for _, extent in ipairs(list) do
    if n == 0 then break end
    local count = math.min(n, extent.count)
    append(result, extent.inside, extent.outside, count)
    n = n - count
  end
  return result, n
end

return M
