-- Markdown, as much of it as our documents use, to HTML: headings, paragraphs, lists, tables, blocks of code, links,
-- emphasis. And manual pages, setns(2), as links.

local M = {}

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

function M.escape(text)
  return (text:gsub('[&<>"]', ESCAPES))
end

--- The name of a heading in an address, as GitHub makes it.
function M.anchor(heading)
  return (heading:lower():gsub("%[(.-)%]%b()", "%1"):gsub("[^%w%-_ ]", ""):gsub(" ", "-"))
end

local MANUAL = '<a class="man" href="https://manpages.debian.org/%s.%s">%s(%s)</a>'

local function manual_pages(html)
  return (html:gsub("%f[%w_]([%a_][%w_.%-]*)%(([1-8])%)", function(name, section)
    return MANUAL:format(name, section, name, section)
  end))
end

--- What stands within a line. `link` changes addresses.
function M.inline(text, link)
  link = link or function(address) return address end
  local kept = {}
  local function keep(html)
    kept[#kept + 1] = html
    return ("\1%d\2"):format(#kept)
  end
  text = text:gsub("`([^`]+)`", function(code) return keep("<code>" .. M.escape(code) .. "</code>") end)
  text = M.escape(text)
  text = text:gsub("!%[(.-)%]%((.-)%)", function(alternative, address)
    return keep(('<img src="%s" alt="%s">'):format(link(address), alternative))
  end)
  text = text:gsub("%[(.-)%]%((.-)%)", function(words, address)
    return keep(('<a href="%s">'):format(link(address))) .. words .. keep "</a>"
  end)
  text = manual_pages(text)
  text = text:gsub("%*%*(.-)%*%*", "<strong>%1</strong>"):gsub("%f[%w*]%*(%w[^*]*)%*", "<em>%1</em>")
  local count
  repeat text, count = text:gsub("\1(%d+)\2", function(number) return kept[tonumber(number)] end) until count == 0
  return text
end

local function cells(line)
  local list, hidden = {}, {}
  -- A bar that is quoted divides nothing.
  line = line:gsub("`[^`]+`", function(code)
    hidden[#hidden + 1] = code
    return ("\3%d\4"):format(#hidden)
  end)
  for cell in line:match "^%s*|(.*)|%s*$":gmatch "([^|]*)|?" do
    list[#list + 1] = cell:gsub("\3(%d+)\4", function(number) return hidden[tonumber(number)] end)
  end
  if #list > 1 and list[#list] == "" and not line:find "||%s*$" then list[#list] = nil end
  return list
end

local function row(line, tag, link, count)
  local html, list = {}, cells(line)
  for i = 1, count or #list do
    html[i] = ("<%s>%s</%s>"):format(tag, M.inline((list[i] or ""):match "^%s*(.-)%s*$", link), tag)
  end
  return "<tr>" .. table.concat(html) .. "</tr>\n"
end

local function write_table(lines, link)
  local count = #cells(lines[1])
  local html = { '<div class="wide"><table>\n' }
  if lines[1]:find "[^|%s]" then html[#html + 1] = "<thead>" .. row(lines[1], "th", link) .. "</thead>\n" end
  for i = 3, #lines do html[#html + 1] = row(lines[i], "td", link, count) end
  html[#html + 1] = "</table></div>\n"
  return table.concat(html)
end

local function is_item(line) return line:match "^(%s*)[%-*] +(.*)$" end

-- A list, of which the lines have the indentation of its items; what is deeper is theirs.
local function write_list(lines, link)
  local html, item = { "<ul>\n" }, nil
  local function finish()
    if item then html[#html + 1] = "<li>" .. M.html(table.concat(item, "\n"), link, true) .. "</li>\n" end
  end
  for _, line in ipairs(lines) do
    local indent, text = is_item(line)
    if indent == "" then
      finish()
      item = { text }
    else
      item[#item + 1] = line:gsub("^  ", "", 1)
    end
  end
  finish()
  html[#html + 1] = "</ul>\n"
  return table.concat(html)
end

--- A text. `tight`: its first paragraph has no tag of its own.
---@param text string
---@param link (fun(address: string): string)?
---@param tight boolean?
---@return string
function M.html(text, link, tight)
  link = link or function(address) return address end
  local html, lines, at = {}, {}, 1
  for line in (text .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = line end

  -- The lines from here on for which `belongs` is true.
  local function take(belongs)
    local list = {}
    while lines[at] and belongs(lines[at], #list + 1) do
      list[#list + 1] = lines[at]
      at = at + 1
    end
    return list
  end

  local function starts_block(line)
    return line == "" or line:find "^#+ " or line:find "^```" or line:find "^|" or line:find "^<" or is_item(line) == ""
  end

  while lines[at] do
    local line = lines[at]
    local level, heading = line:match "^(#+) (.*)$"
    if line == "" or line:find "^%s*<!%-%-.*%-%->$" then
      at = at + 1
    elseif level then
      html[#html + 1] = ('<h%d id="%s">%s</h%d>\n'):format(#level, M.anchor(heading), M.inline(heading, link), #level)
      at = at + 1
    elseif line:find "^```" then
      local language = line:match "^```(%S*)"
      at = at + 1
      local code = take(function(other) return not other:find "^```" end)
      at = at + 1
      html[#html + 1] = ('<pre class="%s"><code>%s</code></pre>\n'):format(language ~= "" and language or "text",
        M.escape(table.concat(code, "\n")))
    elseif line:find "^|" then
      html[#html + 1] = write_table(take(function(other) return other:find "^|" end), link)
    elseif is_item(line) == "" then
      html[#html + 1] = write_list(take(function(other, number)
        if number == 1 or is_item(other) == "" or other:find "^  " then return true end
        return other == "" and (lines[at + 1] or ""):find "^  " ~= nil
      end), link)
    elseif line:find "^    " then
      local code = take(function(other)
        return other:find "^    " or other == "" and (lines[at + 1] or ""):find "^    "
      end)
      for i, one in ipairs(code) do code[i] = one:sub(5) end
      html[#html + 1] = ("<pre class=\"lua\"><code>%s</code></pre>\n"):format(M.escape(table.concat(code, "\n")))
    elseif line:find "^<" then
      html[#html + 1] = table.concat(take(function(other) return other ~= "" end), "\n") .. "\n"
    else
      local paragraph = take(function(other, number) return number == 1 or not starts_block(other) end)
      local words = M.inline(table.concat(paragraph, "\n"), link)
      html[#html + 1] = tight and #html == 0 and words .. "\n" or "<p>" .. words .. "</p>\n"
    end
  end
  return table.concat(html)
end

return M
