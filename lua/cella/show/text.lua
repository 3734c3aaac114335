--- A page about a process as text.

local kinds = require "cella.kinds"
local list = require "cella.list"
local paints = require "cella.paint"
local printable = require "cella.printable"
local words = require "cella.tree.words"

local M = {}

local SETS = { "effective", "permitted", "inheritable", "bounding", "ambient" }

local function field(name, value) return ("  %-13s %s"):format(name, value) end

local function id(value) return value and ("%.0f"):format(value) or "65534 (none)" end

-- Real, effective, saved and of the file system: one, where all are the same.
local function four(ids)
  for i = 2, #ids do
    if ids[i] ~= ids[1] then
      return ("%s, effective %s, saved %s, of the file system %s"):format(id(ids[1]), id(ids[2]), id(ids[3]),
        id(ids[4]))
    end
  end
  return id(ids[1])
end

local function some(ids, most)
  local parts = {}
  for i, one in ipairs(ids) do
    if i > most then
      parts[#parts + 1] = ("and %d more"):format(#ids - most)
      break
    end
    parts[#parts + 1] = id(one)
  end
  return #parts > 0 and table.concat(parts, ",") or "none"
end

local function add_ids(page, lines)
  for _, ids in ipairs(page.ids) do
    local who = ids.here and "here" or ("in user %.0f"):format(ids.user)
    if ids.unknown then
      lines[#lines + 1] = ("  %s: not to be seen, as no process is in it"):format(who)
    else
      lines[#lines + 1] = ("  %s: uid %s; gid %s; groups %s"):format(who, four(ids.uid), four(ids.gid),
        some(ids.groups, 12))
    end
  end
  local own = page.ids[#page.ids]
  local node = page.tree.node[own.user]
  for _, line in ipairs(words.maps(node, own.here)) do lines[#lines + 1] = field("map", line) end
  lines[#lines + 1] = field("setgroups", page.setgroups)
end

local WHY = { own = "its own", net = "which governs its network", host = "the host's", made = "made by its user" }

local function place(page, over)
  local parts = {}
  for _, why in ipairs(over.why) do parts[#parts + 1] = WHY[why] end
  local node = over.user and page.tree.node[over.user]
  local maker = node and over.user ~= kinds.FIRST_USER and over.why[1] ~= "made" and words.maker(node)
  local user = over.user and ("%.0f"):format(over.user) or "that is not to be seen from here"
  return ("over user %s (%s%s): "):format(user, table.concat(parts, ", "), maker and "; " .. maker or "")
end

-- A list with commas in lines for a terminal.
local function add_filled(lines, text)
  local line = "    "
  for word in text:gmatch "[^,]+,?" do
    if #line + #word > 96 then
      lines[#lines + 1] = line
      line = "    "
    end
    line = line .. word
  end
  lines[#lines + 1] = line
end

local MOST_MADE = 3

local function add_over(page, lines)
  local made = 0
  for _, over in ipairs(page.over) do
    local is_made = over.why[1] == "made"
    if is_made then made = made + 1 end
    if over.holds:empty() then
      lines[#lines + 1] = "  " .. place(page, over) .. (list.contains(over.why, "net")
        and "nothing: it may use the network, and not change it" or "nothing")
    elseif not is_made or made <= MOST_MADE then
      lines[#lines + 1] = "  " .. place(page, over) .. tostring(over.holds)
      if over.idle and not over.idle:empty() and not is_made then
        lines[#lines + 1] = ("    but %s asked for over the host's alone, and so nothing here:"):format(
          #over.idle == 1 and "one is" or #over.idle .. " are")
        add_filled(lines, table.concat(over.idle, ","))
      end
    end
  end
  if made > MOST_MADE then
    lines[#lines + 1] = ("  and over %s more that its user made: all"):format(words.count(made - MOST_MADE,
      "user namespace"))
  end
end

local SECCOMP = { [0] = "none", [1] = "strict: read, write, exit and sigreturn alone" }

local function add_namespaces(page, lines, paint)
  for _, one in ipairs(page.namespaces) do
    local node = page.tree.node[one.inode]
    local beside = one.inode == one.yours and "yours too" or one.yours and ("yours is %.0f"):format(one.yours) or "?"
    local governed
    if one.kind == "user" then
      governed = words.maker(node) or ""
    elseif one.owner then
      governed = ("governed by user %.0f"):format(one.owner)
    else
      governed = "governed from above what is to be seen"
    end
    lines[#lines + 1] = ("  %s %-11.0f %-20s %s%s"):format(paint.kind(("%-6s"):format(one.kind)), one.inode, beside,
      governed, one.held and "" or ", over which it has nothing")
  end
end

local function path(value) return value and printable.line(value) or "not to be seen" end

local function command(page)
  local parts = {}
  for i, word in ipairs(page.command) do
    if i > 32 then
      parts[#parts + 1] = "..."
      break
    end
    local shown = printable.line(#word > 200 and word:sub(1, 200) .. "..." or word)
    parts[#parts + 1] = (word == "" or word:find "[%s'\"$]") and "'" .. shown .. "'" or shown
  end
  return #parts > 0 and table.concat(parts, " ") or "none (a thread of the kernel's, or it has overwritten it)"
end

local function limit(value) return type(value) == "number" and ("%.0f"):format(value) or value end

local function add_limits(page, lines)
  local row = {}
  for _, resource in ipairs(list.sorted_keys(page.limits)) do
    local one = page.limits[resource]
    local said = one.soft == one.hard and limit(one.soft) or ("%s of %s"):format(limit(one.soft), limit(one.hard))
    row[#row + 1] = ("%s %s"):format(resource, said)
    if #row == 4 then
      lines[#lines + 1] = "  " .. table.concat(row, ", ")
      row = {}
    end
  end
  if #row > 0 then lines[#lines + 1] = "  " .. table.concat(row, ", ") end
end

local function add_cgroups(page, lines)
  for _, one in ipairs(page.cgroups) do
    lines[#lines + 1] = field(one.controllers ~= "" and printable.line(one.controllers) or "version 2",
      printable.line(one.path))
  end
end

---@param page cella.show
---@param options { colour: boolean? }
---@return string
function M.render(page, options)
  local paint, lines = paints.of(options.colour), {}
  local function heading(name) lines[#lines + 1] = paint.user(name) end
  heading(words.process(page))
  lines[#lines + 1] = field("command", command(page))
  lines[#lines + 1] = field("parent", page.parent.name and words.process(page.parent)
    or page.parent.pid > 0 and ("%d"):format(page.parent.pid) or "none that is to be seen from here")
  lines[#lines + 1] = field("state", ("%s, %s"):format(page.state, words.count(page.threads, "thread")))
  heading "Who it is"
  add_ids(page, lines)
  heading "What it may do"
  for _, name in ipairs(SETS) do lines[#lines + 1] = field(name, tostring(page.capabilities[name])) end
  add_over(page, lines)
  local bits = page.capabilities.securebits
  lines[#lines + 1] = field("securebits", not bits and "the kernel tells nobody those of another process"
    or #bits == 0 and "none" or table.concat(bits, ","))
  lines[#lines + 1] = field("no_new_privs", page.no_new_privs and "yes: it gains nothing by exec" or "no")
  lines[#lines + 1] = field("seccomp", SECCOMP[page.seccomp.mode] or words.count(page.seccomp.filters, "filter"))
  heading "Namespaces"
  add_namespaces(page, lines, paint)
  heading "Files"
  lines[#lines + 1] = field("root", path(page.root))
  lines[#lines + 1] = field("directory", path(page.cwd))
  lines[#lines + 1] = field("executable", path(page.executable))
  lines[#lines + 1] = field("mounts", page.mounts and ("%d%s"):format(page.mounts.count,
    page.mounts.root and ", of type " .. printable.line(page.mounts.root) .. " on /" or "") or "not to be seen")
  lines[#lines + 1] = field("umask", ("%04o"):format(page.umask))
  heading "Cgroups"
  add_cgroups(page, lines)
  heading "Limits"
  add_limits(page, lines)
  return table.concat(lines, "\n")
end

return M
