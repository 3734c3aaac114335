-- The reference as HTML, from the annotations: what tools/doc/contents.lua lists, in its order.

local annotations = require "tools.doc.annotations"
local contents = require "tools.doc.contents"
local markdown = require "tools.doc.markdown"

local M = {}

local escape = markdown.escape

-- Each file is read once.
local files = {}
local function of(path)
  files[path] = files[path] or annotations.of(path)
  return files[path]
end

local function words(text)
  local set = {}
  for word in (text or ""):gmatch "%S+" do set[word] = true end
  return set
end

-- Of a class; others have a word before it, so that each is one.
local function anchor(name) return (name:gsub("[^%w_.]", "-")) end

-- name of a class or alias -> true, of those that stand on the page.
local known = {}

-- A type, in which the names of classes lead to them.
local function type_html(type)
  return '<span class="type">' .. escape(type):gsub("cella[%w_.]*", function(name)
    return known[name] and ('<a href="#%s">%s</a>'):format(anchor(name), name) or name
  end):gsub("|", "|<wbr>") .. "</span>"
end

local function text_html(text)
  return markdown.html(text)
end

local function fields_html(fields)
  if #fields == 0 then return "" end
  local html = { '<div class="wide"><table class="fields">\n' }
  for _, field in ipairs(fields) do
    local name = field.name and ("<code>%s</code>"):format(escape(field.name)) or ""
    html[#html + 1] = ("<tr><td>%s</td><td>%s</td><td>%s</td></tr>\n"):format(name,
      type_html(field.type), markdown.inline(field.text))
  end
  html[#html + 1] = "</table></div>\n"
  return table.concat(html)
end

local function class_html(class)
  local parent = class.parent and " <small>and what " .. type_html(class.parent) .. " has</small>" or ""
  return ('<section class="entry"><h3 id="%s">%s%s</h3>\n%s%s</section>\n'):format(anchor(class.name),
    escape(class.name), parent, text_html(class.text), fields_html(class.fields))
end

-- What a function that makes the values of a section is called by users.
local function title_of(section, call)
  local name = call.name:match "[%w_]+$"
  local maker = section.makers and section.makers[call.from]
  if maker and call.name:find "^M%." then return "cella." .. maker end
  return section.shown .. name
end

local function signature(section, call)
  if call.type then return escape(title_of(section, call)) end
  local list = {}
  for i, parameter in ipairs(call.parameters) do
    local param = call.params[i]
    if parameter ~= "_" then list[#list + 1] = parameter .. (param and param.type:find "%?$" and "?" or "") end
  end
  return ("%s(%s)"):format(escape(title_of(section, call)), table.concat(list, ", "))
end

local function call_html(section, call)
  local html = { ('<section class="entry"><h3 id="f-%s">%s</h3>\n'):format(anchor(title_of(section, call)),
    signature(section, call)), text_html(call.text) }
  if call.type then html[#html + 1] = "<p>" .. type_html(call.type) .. "</p>\n" end
  local given = {}
  for _, param in ipairs(call.params) do
    if param.name ~= "_" then given[#given + 1] = param end
  end
  html[#html + 1] = fields_html(given)
  if #call.returns > 0 then
    html[#html + 1] = '<p class="returns">returns</p>' .. fields_html(call.returns)
  end
  html[#html + 1] = "</section>\n"
  return table.concat(html)
end

local function calls_of(section)
  local list, internal, seen = {}, words(section.internal), {}
  for _, place in ipairs(section.from) do
    local file = of(place[1])
    for _, group in ipairs { file.calls, file.values } do
      for _, call in ipairs(group) do
        local name = call.name:match "[%w_]+$"
        local belongs = call.name:find(place[2]) and not internal[name] and not name:find "^__" and call.text ~= ""
        if belongs and not seen[call.name] then
          seen[call.name] = true
          call.from = place[1]
          list[#list + 1] = call
        end
      end
    end
  end
  return list
end

-- All that there are, in the order of their files. Of those that two files declare, the one that says more.
local function every_class()
  local list, at = {}, {}
  local paths = assert(io.popen "find lua -name '*.lua' | LC_ALL=C sort")
  for path in paths:lines() do
    for _, class in ipairs(of(path).classes) do
      local before = at[class.name]
      if not before then
        list[#list + 1] = class
        at[class.name] = #list
      elseif #class.fields > #list[before].fields or list[before].text == "" then
        list[before] = class
      end
    end
  end
  paths:close()
  return list
end

local classes

local function says_something(class) return #class.fields > 0 or class.text ~= "" end

--- Those that a section tells of: by their names, or by patterns of names.
---@param section doc.section
---@return doc.class[]
function M.classes_of(section)
  classes = classes or every_class()
  local list, there = {}, {}
  for _, wanted in ipairs(section.classes or {}) do
    for _, class in ipairs(classes) do
      local is_wanted = class.name == wanted or wanted:find "[%%^$]" and class.name:find(wanted)
      if is_wanted and not there[class.name] then
        there[class.name] = true
        list[#list + 1] = class
      end
    end
  end
  return list
end

local ALIASES = { "lua/cella/meta/sys.lua", "lua/cella/meta/keys.lua", "lua/cella/policy.lua" }

local function aliases_html()
  local html = { '<h2 id="types">Types</h2>\n' }
  for _, path in ipairs(ALIASES) do
    for _, alias in ipairs(of(path).aliases) do
      html[#html + 1] = ('<section class="entry"><h3 id="%s">%s</h3><p>%s</p>%s</section>\n'):format(anchor(alias.name),
        escape(alias.name), type_html(alias.type), text_html(alias.text))
    end
  end
  return table.concat(html)
end

local function section_html(section)
  local html = { ('<h2 id="in-%s">%s</h2>\n'):format(anchor(section.title), escape(section.title)) }
  if section.text then html[#html + 1] = text_html(section.text) end
  if section.module then html[#html + 1] = text_html(of(section.module).text) end
  local subject
  for _, class in ipairs(M.classes_of(section)) do
    if says_something(class) then html[#html + 1] = class_html(class) end
  end
  for _, call in ipairs(calls_of(section)) do
    if call.from == "lua/cella/meta/sys.lua" and call.subject ~= subject then
      subject = call.subject
      html[#html + 1] = '<p class="subject">' .. markdown.inline(subject) .. "</p>\n"
    end
    html[#html + 1] = call_html(section, call)
  end
  return table.concat(html)
end

--- The page, without its frame.
---@return string
function M.html()
  for _, section in ipairs(contents) do
    for _, class in ipairs(M.classes_of(section)) do known[class.name] = says_something(class) or nil end
  end
  for _, path in ipairs(ALIASES) do
    for _, alias in ipairs(of(path).aliases) do known[alias.name] = true end
  end
  local html = { '<h1>Reference</h1>\n<p>Of each function what it takes, what it returns and what it says where that '
    .. "fails. A type with <code>?</code> may be left out, or nil; what the world did is nil and an error, what the "
    .. 'programmer did is raised. <a href="operations.html">Operations</a> has the kernel\'s by subject.</p>\n<ul '
    .. 'class="contents">\n' }
  for _, section in ipairs(contents) do
    html[#html + 1] = ('<li><a href="#in-%s">%s</a>'):format(anchor(section.title), escape(section.title))
    local names = {}
    for _, call in ipairs(calls_of(section)) do
      local title = title_of(section, call)
      names[#names + 1] = ('<a href="#f-%s">%s</a>'):format(anchor(title), escape(title:match "[%w_]+$"))
    end
    html[#html + 1] = #names > 0 and '<br><small>' .. table.concat(names, " ") .. "</small></li>\n" or "</li>\n"
  end
  html[#html + 1] = '<li><a href="#types">Types</a></li>\n</ul>\n'
  for _, section in ipairs(contents) do html[#html + 1] = section_html(section) end
  html[#html + 1] = aliases_html()
  return table.concat(html)
end

return M
