--- The snippets of a document: its blocks of Lua and of shell, and what they are said to print.
---
--- A block is run as it stands, each by itself. What is otherwise says a comment on the line before it, which readers
--- of the source see, not those of the page:
---
---     <!-- snippet: after -->            goes on where the snippet before it ended (one of the other
---                                        language: in the same directory)
---     <!-- snippet: keys -->             keys of a container's table: the table is checked
---     <!-- snippet: given LUA -->        LUA stands before it
---     <!-- snippet: user -->             as an ordinary user only
---     <!-- snippet: slow -->             takes half a second of processor time or more
---     <!-- snippet: needs WHAT -->       only where there is that (snippets_spec.lua); also `after needs WHAT`
---     <!-- snippet: not run: REASON -->  for what cannot be run in a spec
---
--- A block of the language `output` is what the snippet before it prints; so is what stands behind `-->` in one, up to
--- two blanks. `...` there is anything, blanks are any blanks, the numbers of a plan's steps are any, and 1000 and
--- 100000 may also be the IDs of the reader: his own, and the first of his subordinate ones.

local M = {}

---@class spec.snippet
---@field file string
---@field line integer     of its first
---@field language string  "lua" or "sh"
---@field text string      as pasted
---@field program string   what is run: with what it goes on from
---@field before spec.snippet?  what is run before it, in the same directory
---@field mark string?     "after", "keys", ...
---@field argument string? of the mark
---@field earlier spec.snippet?  where it goes on
---@field output string?   what it prints, all of it; of one that goes on, from there
---@field prints string[]  what it prints among other things, in this order

local MARKS = { after = true, keys = true, given = true, slow = true, user = true, needs = true, ["not run"] = true }

local function mark_of(file, number, line)
  local text = line:match "^%s*<!%-%- snippet: (.-) %-%->$"
  if not text then return nil end
  local mark, argument = text:match "^(not run): (.+)$"
  if not mark then mark, argument = text:match "^(%l+) ?(.*)$" end
  if mark == "after" and argument ~= "" then argument = assert(argument:match "^needs (.+)$", text) end
  if not MARKS[mark] then error(("%s:%d: what is %q?"):format(file, number, text)) end
  return mark, argument
end

local function prints(text)
  local list = {}
  for words in text:gmatch "%-%-> ([^\n]+)" do list[#list + 1] = words:gsub("%s%s.*", "") end
  return list
end

local function complete(snippet, before)
  snippet.program, snippet.prints = snippet.text, prints(snippet.text)
  if snippet.mark == "after" and snippet.language ~= before.language then
    snippet.before = before
  elseif snippet.mark == "after" then
    snippet.program = before.program .. snippet.text
    snippet.prints = prints(snippet.program)
    snippet.before, snippet.earlier = before.before, before
  elseif snippet.mark == "given" then
    snippet.program = snippet.argument .. "\n" .. snippet.text
  elseif snippet.mark == "keys" then
    snippet.program = 'require("cella").container {\n' .. snippet.text .. "}\n"
  end
  return snippet
end

--- Of a document in Markdown.
---@param file string
---@param text string?  what is in it, if that is known
---@return spec.snippet[]
function M.of(file, text)
  if not text then
    local opened = assert(io.open(file))
    text = opened:read "*a"
    opened:close()
  end
  local list, block = {}, nil
  local number, mark, argument = 0, nil, nil
  for line in (text .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    local fence, language = line:match "^(%s*)```(%S*)"
    if block and fence then
      block.text = table.concat(block.lines, "\n") .. "\n"
      if block.language == "output" then
        assert(list[#list], file .. " begins with an output").output = block.text
      elseif block.language == "lua" or block.language == "sh" then
        list[#list + 1] = complete(block, list[#list])
      end
      block, mark, argument = nil, nil, nil
    elseif fence then
      block = { file = file, line = number + 1, language = language, mark = mark, argument = argument, lines = {},
        indent = #fence }
    elseif block then
      block.lines[#block.lines + 1] = line:sub(block.indent + 1)
    else
      mark, argument = mark_of(file, number, line)
    end
  end
  assert(not block, file .. ": a block without an end")
  return list
end

local function blanks(text)
  text = text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  return (text:gsub("%d+ (child )", "%1"):gsub("%d+ (parent )", "%1"))
end

-- As a pattern of Lua.
local function pattern(expected)
  local escaped = blanks(expected):gsub("%p", "%%%0")
  return (escaped:gsub("%%%.%%%.%%%.", ".-"))
end

-- The IDs of documents as those of who runs them.
local function as_mine(expected, ids)
  return (expected:gsub("%f[%w]%d+%f[%W]", { ["1000"] = ids.own, ["100000"] = ids.subordinate }))
end

local function is(expected, said)
  return said:find("^" .. pattern(expected) .. "$") ~= nil
end

local function are_in(list, said, ids)
  local from = 1
  for _, words in ipairs(list) do
    local first, last = said:find(pattern(words), from)
    if not first then first, last = said:find(pattern(as_mine(words, ids)), from) end
    if not first then return words end
    from = last + 1
  end
  return nil
end

local function all_of(snippet)
  return (snippet.earlier and all_of(snippet.earlier) or "") .. (snippet.output or "...\n")
end

--- What is expected of a snippet and is not what it has printed; nil where all is as it says.
---@param snippet spec.snippet
---@param said string
---@param ids { own: string, subordinate: string? }
---@return string?
function M.missing(snippet, said, ids)
  said = blanks(said)
  local missing = are_in(snippet.prints, said, ids)
  if missing then return missing end
  local output = snippet.output and all_of(snippet)
  if output and not is(output, said) and not is(as_mine(output, ids), said) then return output end
  return nil
end

return M
