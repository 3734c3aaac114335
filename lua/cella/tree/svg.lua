--- The hierarchy of namespaces as a picture: a box for each user namespace, in the box of the one above it. The file
--- needs no other, and follows the theme of who looks at it.

local words = require "cella.tree.words"

local M = {}

local PAD, GAP, LINE, CHIP, CHIPS, FEW_CHIPS, LEAST, WIDEST = 18, 14, 19, 24, 760, 480, 400, 1180

local ACCENTS = 5
local STYLE = [[
  text { font: 12.5px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .dim { fill: #59636e; }
  .note { fill: #59636e; font-size: 11.5px; }
  .ground { fill: #ffffff; }
  .box { stroke-width: 1.5; }
  .chip { fill: #ffffff; stroke: #818b98; }
  .used { fill: none; stroke: #818b98; stroke-dasharray: 4 3; }
  .here { fill: #1a7f37; font-weight: 600; }
  .a0 { stroke: #57606a; fill: #f6f8fa; } .a1 { stroke: #0969da; fill: #eaf4ff; }
  .a2 { stroke: #8250df; fill: #f4edff; }
  .a3 { stroke: #bc4c00; fill: #fff3e8; } .a4 { stroke: #0b7d72; fill: #e6f7f4; }
  .t1 { fill: #0550ae; } .t2 { fill: #6639ba; } .t3 { fill: #953800; } .t4 { fill: #09635a; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .dim, .note { fill: #9aa4af; }
    .ground { fill: #0d1117; }
    .chip { fill: #0d1117; stroke: #656c76; }
    .used { stroke: #656c76; }
    .here { fill: #56d364; }
    .a0 { stroke: #656c76; fill: #151b23; } .a1 { stroke: #4493f8; fill: #0f2137; }
    .a2 { stroke: #ab7df8; fill: #221a3a; }
    .a3 { stroke: #db6d28; fill: #30201a; } .a4 { stroke: #2fb5a5; fill: #0c2b2a; }
    .t1 { fill: #79b8ff; } .t2 { fill: #d2b8ff; } .t3 { fill: #ffb077; } .t4 { fill: #6fdccf; }
  }]]

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

-- Words come printable, so without control characters and as UTF-8; U+FFFE and U+FFFF are UTF-8, and not of XML.
local function escaped(text)
  return (text:gsub('[&<>"]', ESCAPES):gsub("\239\191[\190\191]", "?"))
end

-- The characters of a text, as lists of one: those beyond ASCII may be twice as wide.
local function characters(text)
  local list = {}
  for character in text:gmatch "[%z\1-\127\194-\244][\128-\191]*" do list[#list + 1] = character end
  return list
end

-- About how wide a text is. Fonts differ: rather too much.
local function width_of(text, size)
  local width = 0
  for _, character in ipairs(characters(text)) do width = width + (#character > 2 and 1.05 or 0.585) end
  return width * size
end

-- A text that is cut off where it would be wider.
local function fitted(text, size, most)
  if width_of(text, size) <= most then return text end
  local list = characters(text)
  while #list > 0 and width_of(table.concat(list) .. "…", size) > most do list[#list] = nil end
  return table.concat(list) .. "…"
end

local function text_at(x, y, class, content)
  return ('<text x="%.1f" y="%.1f"%s>%s</text>'):format(x, y, class and (' class="%s"'):format(class) or "",
    escaped(content))
end

-- Rows of chips that are not wider than `most` together.
local function rows_of(tree, inodes, most, label)
  local first = width_of(label, 12.5) + 8
  local rows, row, at = {}, {}, first
  for _, inode in ipairs(inodes) do
    local node = tree.node[inode]
    local text = ("%s %.0f"):format(node.kind, inode)
    local chip = { text = text, width = width_of(text, 12.5) + 24, node = node }
    if at + chip.width > most and #row > 0 then
      rows[#rows + 1] = row
      row, at = {}, first
    end
    chip.x = at
    row[#row + 1] = chip
    at = at + chip.width + 6
  end
  if #row > 0 then rows[#rows + 1] = row end
  return rows
end

local function width_of_rows(rows)
  local widest = 0
  for _, row in ipairs(rows) do widest = math.max(widest, row[#row].x + row[#row].width) end
  return widest
end

local function draw_rows(out, rows, label, class, x, y)
  if #rows > 0 then out[#out + 1] = text_at(x, y + 16, "dim", label) end
  for i, row in ipairs(rows) do
    local top = y + (i - 1) * (CHIP + 6)
    for _, chip in ipairs(row) do
      out[#out + 1] = ("<g><title>%s</title>"):format(escaped(table.concat(words.details(chip.node), "; ")))
      out[#out + 1] = ('<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%d" rx="12"/>'):format(class,
        x + chip.x, top, chip.width, CHIP)
      out[#out + 1] = ('<text x="%.1f" y="%.1f" text-anchor="middle">%s</text></g>'):format(
        x + chip.x + chip.width / 2, top + 16.5, escaped(chip.text))
    end
  end
end

local function height_of_rows(rows) return #rows > 0 and #rows * (CHIP + 6) + 4 or 0 end

-- Children side by side as far as there is room, then in the next row.
local function place(children, most)
  local rows, row, at, widest = {}, nil, 0, 0
  for _, child in ipairs(children) do
    if not row or at + child.width > most then
      row, at = { height = 0 }, 0
      rows[#rows + 1] = row
    end
    child.x = at
    row[#row + 1] = child
    row.height = math.max(row.height, child.height)
    at = at + child.width + GAP
    widest = math.max(widest, at - GAP)
  end
  local height = 0
  for _, one in ipairs(rows) do height = height + one.height + GAP end
  return rows, widest, height
end

local GOVERNS, USES = "governs", "is in"

-- A box with the sizes that it needs; one of several is narrow, so that there is room for two in a row.
local function measure(tree, inode, depth, is_one_of_several)
  local node = tree.node[inode]
  local here = inode == tree.viewer.namespaces.user
  local box = { node = node, depth = depth, here = here, lines = {} }
  local most = math.max(LEAST, WIDEST - depth * 2 * PAD)
  box.title = fitted(words.title(tree, node), 17, most - 2 * PAD)
  local subtitle = { ("user namespace %.0f"):format(inode) }
  subtitle[#subtitle + 1] = words.maker(node)
  if node.parent_unseen then subtitle[#subtitle + 1] = "what it is below is not to be seen" end
  box.lines[1] = { class = "dim", text = table.concat(subtitle, " · ") }
  for _, line in ipairs(words.maps(node, here)) do box.lines[#box.lines + 1] = { text = line } end
  for _, line in ipairs(words.details(node)) do box.lines[#box.lines + 1] = { class = "dim", text = line } end
  local widest = math.max(LEAST - 2 * PAD, width_of(box.title, 17) + (here and 110 or 0))
  for _, line in ipairs(box.lines) do
    line.text = fitted(line.text, 12.5, most - 2 * PAD)
    widest = math.max(widest, width_of(line.text, 12.5))
  end
  local chips = math.min(math.max(widest, is_one_of_several and FEW_CHIPS or CHIPS), most - 2 * PAD)
  box.governs, box.uses = rows_of(tree, node.governs, chips, GOVERNS), rows_of(tree, node.uses, chips, GOVERNS)
  local children = {}
  for i, child in ipairs(node.children) do
    children[i] = measure(tree, child, depth + 1, is_one_of_several or #node.children > 1)
  end
  local wide, high
  box.rows, wide, high = place(children, most - 2 * PAD)
  box.width = math.max(widest, width_of_rows(box.governs), width_of_rows(box.uses), wide) + 2 * PAD
  box.head = 36 + #box.lines * LINE + height_of_rows(box.governs) + height_of_rows(box.uses) + 8
  box.height = box.head + high + PAD - (high > 0 and GAP or 8)
  return box
end

local function draw(out, box, x, y, width)
  local accent = box.depth % ACCENTS
  out[#out + 1] = ('<rect class="box a%d" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="10"/>'):format(accent, x, y,
    width, box.height)
  out[#out + 1] = text_at(x + PAD, y + 28, "title t" .. accent, box.title)
  if box.here then
    out[#out + 1] = ('<text class="here" x="%.1f" y="%.1f" text-anchor="end">you are here</text>'):format(
      x + width - PAD, y + 28)
  end
  local at = y + 36
  for _, line in ipairs(box.lines) do
    out[#out + 1] = text_at(x + PAD, at + 14, line.class, line.text)
    at = at + LINE
  end
  at = at + 4
  draw_rows(out, box.governs, GOVERNS, "chip", x + PAD, at)
  at = at + height_of_rows(box.governs)
  draw_rows(out, box.uses, USES, "used", x + PAD, at)
  at = y + box.head
  for _, row in ipairs(box.rows) do
    for _, child in ipairs(row) do
      -- One alone is as wide as there is room.
      draw(out, child, x + PAD + child.x, at, #row == 1 and width - 2 * PAD or child.width)
    end
    at = at + row.height + GAP
  end
end

-- Lines of notes, filled.
local function filled(text, width)
  local lines, line = {}, ""
  for word in text:gmatch "%S+" do
    local longer = line == "" and word or line .. " " .. word
    if line ~= "" and width_of(longer, 11.5) > width then
      lines[#lines + 1], line = line, word
    else
      line = longer
    end
  end
  lines[#lines + 1] = line
  return lines
end

---@param tree cella.tree
---@return string
function M.render(tree)
  local boxes, width, height = {}, LEAST, GAP
  for _, inode in ipairs(tree.roots) do boxes[#boxes + 1] = measure(tree, inode, 0) end
  for _, box in ipairs(boxes) do width = math.max(width, box.width) end
  local out = {}
  for _, box in ipairs(boxes) do
    draw(out, box, GAP, height, width)
    height = height + box.height + GAP
  end
  local unowned = rows_of(tree, tree.unowned, width, "governed from above")
  draw_rows(out, unowned, "governed from above", "used", GAP, height)
  height = height + height_of_rows(unowned)
  local notes = { "A box is a user namespace, in that which it was made in. It governs the namespaces with a solid "
    .. "line: its capabilities are over those. Its processes are in those with a dashed line as well, which another "
    .. "governs." }
  for _, note in ipairs(words.notes(tree, true)) do notes[#notes + 1] = note .. "." end
  for _, note in ipairs(notes) do
    for _, line in ipairs(filled(note, width)) do
      out[#out + 1] = text_at(GAP + 2, height + 12, "note", line)
      height = height + 16
    end
    height = height + 3
  end
  width, height = math.ceil(width + 2 * GAP), math.ceil(height + GAP)
  return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">\n'
    .. "<title>The hierarchy of namespaces</title>\n<style>\n%s\n</style>\n"
    .. '<rect class="ground" width="100%%" height="100%%"/>\n%s\n</svg>\n'):format(width, height, width, height, STYLE,
    table.concat(out, "\n"))
end

return M
