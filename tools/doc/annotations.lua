-- The annotations of a file of Lua (LuaCATS: ---@class, ---@field, ---@param, ...), as data: what tools/doc.lua makes
-- pages of, and specs ask.

local M = {}

---@class doc.value
---@field name string?
---@field type string
---@field text string

---@class doc.call
---@field name string      as it stands: "Process:wait", "M.new"
---@field parameters string[]
---@field text string
---@field params doc.value[]
---@field returns doc.value[]
---@field subject string?  the heading that it stands below
---@field type string?     of a value

---@class doc.class
---@field name string
---@field parent string?
---@field text string
---@field fields doc.value[]

---@class doc.file
---@field text string      the comment at its beginning
---@field classes doc.class[]
---@field aliases { name: string, type: string, text: string }[]
---@field calls doc.call[]
---@field values doc.call[]  of what is assigned to a name

-- "TYPE  text": the type ends at two blanks outside of brackets.
local function typed(rest)
  local depth = 0
  for at = 1, #rest do
    local c = rest:sub(at, at)
    if c:find "[({<]" then depth = depth + 1 elseif c:find "[)}>]" then depth = depth - 1 end
    if depth == 0 and rest:find("^%s%s", at) then
      return rest:sub(1, at - 1), rest:sub(at):match "^%s*(.-)%s*$"
    end
  end
  return rest, ""
end

-- "TYPE [NAME], TYPE ...": the values of one @return.
local function returned(rest)
  local type, text = typed(rest)
  local list, depth, from = {}, 0, 1
  local function add(last)
    local one = type:sub(from, last):match "^%s*(.-)%s*$"
    local kind, name = one:match "^(.+)%s([%a_][%w_]*)$"
    if kind and kind:find "[|(,]%s*$" then kind = nil end
    list[#list + 1] = { type = kind or one, name = kind and name, text = "" }
  end
  local is_function = type:find "^fun%b():" ~= nil
  for at = 1, #type do
    local c = type:sub(at, at)
    if c:find "[({<]" then depth = depth + 1 elseif c:find "[)}>]" then depth = depth - 1 end
    if c == "," and depth == 0 and not is_function then
      add(at - 1)
      from = at + 1
    end
  end
  add(#type)
  list[#list].text = text
  return list
end

local TAGS = {}

function TAGS.class(state, rest)
  local head, text = typed(rest)
  local name, parent = head:match "^(%S+)%s*:%s*(%S+)$"
  state.class = { name = name or head, parent = parent, text = text, fields = {} }
  if state.prose ~= "" then state.class.text = state.prose end
  state.prose = ""
  table.insert(state.file.classes, state.class)
  state.last = state.class
end

function TAGS.field(state, rest)
  local name, after = rest:match "^(%b[])%s+(.*)$"
  if not name then name, after = rest:match "^(%S+)%s+(.*)$" end
  local type, text = typed(after)
  local field = { name = name:gsub("%?$", ""), type = name:find "%?$" and type .. "?" or type, text = text }
  if state.class then table.insert(state.class.fields, field) end
  state.last = field
end

function TAGS.alias(state, rest)
  local name, after = rest:match "^(%S+)%s*(.*)$"
  local type, text = typed(after)
  local alias = { name = name, type = type, text = state.prose ~= "" and state.prose or text }
  state.prose = ""
  table.insert(state.file.aliases, alias)
  state.alias, state.last = alias, alias
end

function TAGS.param(state, rest)
  local name, after = rest:match "^(%S+)%s+(.*)$"
  local type, text = typed(after)
  local param = { name = name:gsub("%?$", ""), type = name:find "%?$" and type .. "?" or type, text = text }
  table.insert(state.params, param)
  state.last = param
end

TAGS["return"] = function(state, rest)
  local list = returned(rest)
  for _, value in ipairs(list) do table.insert(state.returns, value) end
  state.last = list[#list]
end

-- Of what is assigned below.
function TAGS.type(state, rest) state.type = rest end

local function forget(state)
  state.prose, state.params, state.returns, state.class, state.alias, state.last = "", {}, {}, nil, nil, nil
  state.type = nil
end

local function add_line(state, line)
  local tag, rest = line:match "^%-%-%-@(%a+)%s*(.*)$"
  if tag then
    if TAGS[tag] then TAGS[tag](state, rest) end
    return
  end
  local choice = line:match "^%-%-%-|%s*(.*)$"
  if choice and state.alias then
    local value, note = choice:match "^(.-)%s*#%s*(.*)$"
    state.alias.type = state.alias.type .. (state.alias.type ~= "" and "|" or "") .. (value or choice)
    if note then state.alias.text = state.alias.text .. (" `%s`: %s."):format(value:match "^%s*(.-)%s*$", note) end
    return
  end
  local text = line:gsub("^%-%-%-?%s?", "")
  if state.last and line:find "^%-%-%-  " then
    state.last.text = state.last.text .. " " .. text:match "^%s*(.-)%s*$"
  else
    state.prose = state.prose .. text .. "\n"
  end
end

-- "function M.name(a, b)", "M.name = ...", "---@field" of none.
local function add_code(state, line)
  local name, list = line:match "^function ([%w_.:]+)(%b())"
  if not name then name, list = line:match "^local function ([%w_.:]+)(%b())" end
  if not name then name, list = line:match "^([%w_]+%.[%w_.]+) = function(%b())" end
  local call = { name = name, parameters = {}, text = state.prose, params = state.params, returns = state.returns,
    subject = state.subject }
  if name and list then
    for word in list:gmatch "[%w_.]+" do table.insert(call.parameters, word) end
    table.insert(state.file.calls, call)
  else
    for value in (line:match "^([%w_, .]+) = " or ""):gmatch "[%w_]+%.[%w_]+" do
      table.insert(state.file.values, { name = value, parameters = {}, text = state.prose, params = {},
        returns = {}, type = state.type })
    end
  end
end

--- Of a file.
---@param path string
---@return doc.file
function M.of(path)
  local file = assert(io.open(path))
  local state = { file = { text = "", classes = {}, aliases = {}, calls = {}, values = {} } }
  forget(state)
  local begun = false
  for line in (file:read "*a" .. "\n"):gmatch "(.-)\n" do
    if line:find "^%-%-%-" or line:find "^%-%-" and (state.prose ~= "" or state.last) then
      add_line(state, line)
    elseif line:find "^%-%- " then
      state.subject = (state.subject and state.subject_open and state.subject .. " " or "") .. line:sub(4)
      state.subject_open = true
    elseif line == "" then
      if not begun then state.file.text = state.prose end
      begun = true
      state.subject_open = false
      forget(state)
    else
      add_code(state, line)
      state.subject_open = false
      forget(state)
    end
  end
  file:close()
  return state.file
end

return M
