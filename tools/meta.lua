-- Writes lua/cella/meta/sys.lua and plan.lua, for editors and readers, from the C sources: the line above each
-- function, what stands below it, and the row of the operation. From the root of the checkout:
--
--   lua5.4 tools/meta.lua          writes both
--   lua5.4 tools/meta.lua check    compares; exits with 1 where one is stale
--
-- In a comment a line that begins with "NAME: ", where that is a parameter, is about it.

local LINE = 120
local FILES = { sys = "lua/cella/meta/sys.lua", plan = "lua/cella/meta/plan.lua" }

local TYPES = {
  K_INT = "integer", K_TARGET = "integer", K_U32 = "integer", K_ID = "integer", K_MODE = "integer|string",
  K_MAJOR = "integer", K_MINOR = "integer", K_PORT = "integer", K_LIMIT = "cella.limit", K_BOOL = "boolean",
  K_TEXT = "string",
  K_PATH = "string", K_DATA = "string", K_CAPS = "cella.capabilities", K_FD = "cella.fd", K_IDS = "integer[]",
  K_FDS = "integer[]", K_NICE = "integer", K_CPUS = "integer[]",
  K_SIGNALS = '"all"|(cella.signal|integer)[]', K_STRINGS = "string|string[]", K_ENVIRONMENT = "string|string[]",
}

-- Methods of lua/cella/plan.lua, which are annotated there.
local IN_LUA = { await = true, init = true, call = true }

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

-- "text", as lines that begin with `prefix`.
local function wrapped(text, prefix)
  local lines, line = {}, prefix
  for word in text:gmatch "%S+" do
    if line ~= prefix and #line + 1 + #word > LINE then
      lines[#lines + 1] = line
      line = prefix
    end
    line = line .. " " .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n") .. "\n"
end

-- "names_open" -> { alias = "cella.open_flag", list = { "rdonly", ... } }, in the order of csrc/sys/names.c.
local function read_names()
  local sets, order = {}, {}
  local pattern = '\nconst struct names (names_[%w_]+) = {%s*"([^"]*)",(.-)\n};'
  for set, what, list in read("csrc/sys/names.c"):gmatch(pattern) do
    local names = {}
    for name in list:gmatch '{ "([^"]+)"' do names[#names + 1] = '"' .. name .. '"' end
    sets[set] = { alias = "cella." .. what:gsub(" ", "_"), list = names }
    order[#order + 1] = set
  end
  return sets, order
end

-- The comments that stand above functions: name -> { signature =, text =, notes = { parameter = text } }.
local function read_comments(source)
  local comments = {}
  for above in source:gmatch "/%* (.-) %*/\nstatic int " do
    -- Of several comments the last: the text of none has the end of one in it.
    local comment = above:match ".*/%* (.*)$" or above
    local name, signature, text = comment:match "^([%w_]+)(%([^\n]*)\n?(.*)$"
    if name then
      local parameters, notes, prose = {}, {}, {}
      for parameter in signature:match "^%b()":gmatch "[%w_]+" do parameters[parameter] = true end
      local now
      for begun in text:gmatch "[^\n]+" do
        local line = begun:gsub("^ %* ?", "")
        local parameter, note = line:match "^([%w_]+): (.*)$"
        if parameter and parameters[parameter] then
          now, notes[parameter] = parameter, note
        elseif now then
          notes[now] = notes[now] .. " " .. line
        else
          prose[#prose + 1] = line
        end
      end
      comments[name] = { signature = signature, text = table.concat(prose, " "), notes = notes }
    end
  end
  return comments
end

-- The rows of a file of operations, in their order: { name =, flags =, result =, parameters = { { name =, kind =,
-- optional =, names = } ... } }.
local function read_rows(source)
  local rows = {}
  local list = source:match "\nstatic const struct op rows%[%] = (%b{})"
  for row in list:sub(2):gmatch "%b{}" do
    local name, flags, result, parameters = row:match '^{ "([%w_]+)", [%w_]+,%s*([%w_%s|]+),%s*([%w_]+),%s*(%b{}) }$'
    if name then
      local found = {}
      for parameter in parameters:sub(2):gmatch "%b{}" do
        local fields = {}
        for field in parameter:gmatch '[%w_"&]+' do fields[#fields + 1] = field end
        local kind = fields[2]
        if kind and kind ~= "K_CHANNEL" then
          found[#found + 1] = { name = fields[1]:gsub('"', ""), kind = kind, optional = fields[3] == "true",
            names = fields[4] and fields[4]:sub(2) }
        end
      end
      rows[#rows + 1] = { name = name, flags = flags, result = result, parameters = found }
    else
      assert(row == "{ 0 }", "what is this row? " .. row)
    end
  end
  return rows
end

local function optional(type)
  return (type:find("|", 1, true) and "(" .. type .. ")" or type) .. "?"
end

local function type_of(parameter, sets)
  local type = TYPES[parameter.kind]
  if not type then
    type = sets[parameter.names].alias
    if parameter.kind == "K_FLAGS" then type = type .. "|" .. type .. "[]" end
  end
  return parameter.optional and optional(type) or type
end

-- A function with its annotations. `returns` is what comes after @return, or nil.
local function declare(class, name, comment, parameters, returns)
  local lines, names = { wrapped(comment.text, "---") }, {}
  for i, parameter in ipairs(parameters) do
    local note = comment.notes[parameter.name]
    lines[#lines + 1] = ("---@param %s %s%s\n"):format(parameter.name, parameter.type, note and "  " .. note or "")
    names[i] = parameter.name
  end
  if returns then lines[#lines + 1] = "---@return " .. returns .. "\n" end
  lines[#lines + 1] = ("function %s%s(%s) end\n"):format(class, name, table.concat(names, ", "))
  return table.concat(lines)
end

local function operation(class, row, comments, sets, returns)
  local comment = assert(comments[row.name], row.name .. " has no line above it")
  for _, parameter in ipairs(row.parameters) do parameter.type = type_of(parameter, sets) end
  if row.result == "RESULT_FD" then returns = "cella.fd" end
  if row.result == "RESULT_INT" then returns = "integer" end
  return declare(class, row.name, comment, row.parameters, returns)
end

-- A query says its types itself: "(resource: cella.resource [, pid: integer]) -> soft: integer | nil, message, errno".
local function query(name, comment)
  local list, result = comment.signature:match "^(%b()) %-> (.*)$"
  result = result:gsub(" | nil, message, errno$", "")
  local parameters, returns = {}, {}
  local needed = list:match "^%(([^%[]*)"
  for parameter, type in list:gmatch "([%w_]+): ([^%s,%[%])]+)" do
    local must = needed:find(parameter .. ":", 1, true)
    parameters[#parameters + 1] = { name = parameter, type = must and type or optional(type) }
  end
  for value in result:gmatch "[^,]+" do
    local value_name, type = value:match "^%s*([%w_]+): (.*)$"
    returns[#returns + 1] = value_name and type .. " " .. value_name or value
  end
  return declare("sys.", name, comment, parameters, table.concat(returns, ", "))
end

local function generate()
  local sets, order = read_names()
  local sys = { [[
---@meta cella.sys
-- luacheck: ignore 212 (declarations: the functions are C, in csrc/ops and csrc/lib/query.c)
-- Written by tools/meta.lua, from the comments and rows there: change those.
error "for editors and readers, not for running"

---@class cella.sys
local sys = {}

---@alias cella.fd integer|cella.slot  a descriptor, from 0; in a plan also what an earlier step yields
---@alias cella.capabilities "all"|"none"|(string|integer)[]  names with or without "cap_", numbers; "-name" takes away
---@alias cella.limit integer|"unlimited"
---@alias cella.namespace_link cella.namespace|"pid_for_children"|"time_for_children"

---@class cella.capability_sets
---@field effective string[]
---@field permitted string[]
---@field inheritable string[]
---@field bounding string[]
---@field ambient string[]

]] }
  for _, set in ipairs(order) do
    local alias = ("---@alias %s"):format(sets[set].alias)
    local text = alias .. " " .. table.concat(sets[set].list, "|")
    -- An alias may go on, with a choice to a line.
    if #text > LINE then text = alias .. "\n---|" .. table.concat(sets[set].list, "\n---|") end
    sys[#sys + 1] = text .. "\n\n"
  end
  local plan = { [[
---@meta cella.plan
-- luacheck: ignore 212 (declarations: the functions are C, in csrc/ops)
-- Written by tools/meta.lua, from the comments and rows there: change those.
error "for editors and readers, not for running"

--- Every operation of cella.sys (meta/sys.lua) is a method of a plan too, with the same arguments: it records a
--- step, and returns the slot of one that yields a descriptor, else the plan. These are in a plan only (as are await,
--- init and call: see plan.lua).
---@class cella.plan
local plan = {}

---@class cella.slot  what a step yields: a descriptor that there will be

]] }
  local tables = read "csrc/ops/ops.c":match "tables%[%] = (%b{})"
  for subject in tables:gmatch "ops_([%w_]+)" do
    local source = read("csrc/ops/" .. subject .. ".c")
    local comments = read_comments(source)
    local title = source:match "^/%* (.-)%*/":gsub("\n %* ?", " ")
    sys[#sys + 1] = wrapped(title:match "^(.-%.)%s" or title, "--") .. "\n"
    for _, row in ipairs(read_rows(source)) do
      if not row.flags:find "OP_LATER" then
        sys[#sys + 1] = operation("sys.", row, comments, sets) .. "\n"
      elseif not IN_LUA[row.name] then
        plan[#plan + 1] = operation("plan:", row, comments, sets, "cella.plan") .. "\n"
      end
    end
  end
  local source = read "csrc/lib/query.c"
  local comments = read_comments(source)
  sys[#sys + 1] = "-- Queries, performed at once only.\n\n"
  for name in source:match "\nvoid open_query.*":gmatch '{ "([%w_]+)", ' do
    sys[#sys + 1] = query(name, assert(comments[name], name .. " has no line above it")) .. "\n"
  end
  sys[#sys + 1], plan[#plan + 1] = "return sys\n", "return plan\n"
  return { sys = table.concat(sys), plan = table.concat(plan) }
end

local stale = false
for name, text in pairs(generate()) do
  if arg[1] ~= "check" then
    local file = assert(io.open(FILES[name], "w"))
    file:write(text)
    file:close()
  elseif read(FILES[name]) ~= text then
    io.stderr:write(FILES[name], " is stale: lua5.4 tools/meta.lua\n")
    stale = true
  end
end
os.exit(stale and 1 or 0)
