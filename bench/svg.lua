--- Two charts in one SVG: the ratio by system of shape S, and what a start costs from a large heap.

local M = {}

local WIDTH, LEFT, RIGHT, BAR = 720, 250, 60, 22

local function escape(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

local function group_of(results, name)
  for _, group in ipairs(results.groups) do
    if group.name == name then return group end
  end
end

local function text(x, y, anchor, content, extra)
  return ('<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>'):format(x, y, anchor, extra or "", escape(content))
end

local function heading(y, content) return text(10, y, "start", content, ' font-weight="bold"') end

-- Bars, the shortest first. Returns the parts, and where the chart ends.
local function bars(group, top)
  local list, most = {}, 0
  for _, entry in ipairs(group.rows) do
    if entry.to_base then
      list[#list + 1] = entry
      most = math.max(most, entry.to_base.ratio)
    end
  end
  table.sort(list, function(a, b) return a.to_base.ratio < b.to_base.ratio end)
  local parts = { heading(top + 16, ("%s: time to that of %s"):format(group.title, group.base)) }
  local y = top + 30
  local scale = (WIDTH - LEFT - RIGHT) / math.max(most, 1)
  for _, entry in ipairs(list) do
    local colour = entry.name:find "^floor" and "#999" or entry.own and "#2b6cb0" or "#c05621"
    local compared = entry.to_base
    parts[#parts + 1] = text(LEFT - 8, y + 14, "end", entry.name)
    parts[#parts + 1] = ('<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>'):format(LEFT, y + 2,
      compared.ratio * scale, BAR - 6, colour)
    parts[#parts + 1] = ('<path d="M%.1f %.1fH%.1f" stroke="#222"/>'):format(LEFT + compared.low * scale,
      y + BAR / 2 - 1, LEFT + compared.high * scale)
    parts[#parts + 1] = text(LEFT + math.max(compared.ratio, compared.high) * scale + 6, y + 14, "start",
      ("%.2f"):format(compared.ratio))
    y = y + BAR
  end
  parts[#parts + 1] = ('<path d="M%.1f %dV%.1f" stroke="#222" stroke-dasharray="3"/>'):format(LEFT + scale, top + 28, y)
  return parts, y + 20
end

-- A line for each series, over the logarithm of the size; the cost is that beside the base of the group.
local function lines(group, top)
  local series, most, largest = {}, 1, 1
  for _, entry in ipairs(group.rows) do
    if entry.series and entry.median then
      series[entry.series] = series[entry.series] or {}
      table.insert(series[entry.series], entry)
      largest = math.max(largest, entry.heap)
    end
  end
  local base
  for _, entry in ipairs(group.rows) do
    if entry.name == group.base then base = entry.median end
  end
  local parts = { heading(top + 16, group.title .. ": time to that of " .. group.base) }
  if not base then return parts, top + 40 end
  for _, list in pairs(series) do
    for _, entry in ipairs(list) do most = math.max(most, entry.median / base) end
  end
  local height, bottom = 200, top + 240
  local function x(size) return LEFT + (WIDTH - LEFT - RIGHT - 60) * math.log(size) / math.log(math.max(largest, 2)) end
  local function y(value) return bottom - height * value / (most * 1.1) end
  parts[#parts + 1] = ('<path d="M%d %dV%dH%d" stroke="#222" fill="none"/>'):format(LEFT, bottom - height, bottom,
    WIDTH - RIGHT)
  for mark = 0, math.floor(most) do
    parts[#parts + 1] = text(LEFT - 8, y(mark) + 4, "end", tostring(mark))
  end
  local names = {}
  for name in pairs(series) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local colour = name == "floor" and "#999" or "#2b6cb0"
    local points = {}
    for i, entry in ipairs(series[name]) do
      local at_x, at_y = x(entry.heap), y(entry.median / base)
      points[i] = ("%.1f,%.1f"):format(at_x, at_y)
      parts[#parts + 1] = ('<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>'):format(at_x, at_y, colour)
      parts[#parts + 1] = text(at_x, bottom + 16, "middle", entry.heap .. " MiB")
    end
    local last = series[name][#series[name]]
    parts[#parts + 1] = ('<polyline points="%s" stroke="%s" fill="none"/>'):format(table.concat(points, " "), colour)
    parts[#parts + 1] = text(x(last.heap) + 8, y(last.median / base) + 4, "start", name)
  end
  return parts, bottom + 40
end

--- The charts of those groups that were measured.
---@return string
function M.draw(results)
  local parts, top = {}, 10
  for _, chart in ipairs { { "shape", bars }, { "heap", lines } } do
    local group = group_of(results, chart[1])
    if group then
      local more
      more, top = chart[2](group, top)
      table.move(more, 1, #more, #parts + 1, parts)
    end
  end
  return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">\n'
    .. '<rect width="100%%" height="100%%" fill="#fff"/>\n%s\n</svg>\n'):format(WIDTH, top, table.concat(parts, "\n"))
end

return M
