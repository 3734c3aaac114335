--- ID maps as values: which user, group or project IDs inside a user namespace stand for which
--- outside of it (user_namespaces(7)).
---
---     local idmap = require "cella.idmap"
---     local map   = idmap.new "0 100000 65536"
---     map:outside(33)                --> 100033
---     map:set(33, 1000):outside(33)  --> 1000
---     print(map:compose(idmap.of("self", "uid")))
---
--- A map never changes; its methods return new ones. It is canonical, so that maps with the same
--- pairs of IDs are `==` and print the same text, whatever they were made from. `#map` is the number of
--- its extents, except on Lua 5.1 and LuaJIT, which do not ask tables: there, use `#map:extents()`.

local algebra = require "cella.idmap.algebra"
local blame = require "cella.blame"
local read = require "cella.idmap.read"

---@class cella.idmap.values
local M = {}

--- What an unmapped ID looks like to a process: the default of /proc/sys/kernel/overflowuid and
--- overflowgid. It is an ordinary ID as well, so a map may contain it.
M.overflow = 65534

local LAST = read.last_id

-- UID_GID_MAP_MAX_EXTENTS since Linux 4.15, and what the kernel takes in one write where pages are
-- smallest.
local MAX_EXTENTS, MAX_BYTES = 340, 4095

---@class cella.idmap.Extent
---@field inside integer   first ID inside the namespace, 0 to 4294967294
---@field outside integer  first ID outside of it, 0 to 4294967294
---@field count integer    how many IDs, from 1; neither side may reach 4294967295

---@class cella.IdMap
---@operator len: integer
local methods = {}

local map = { __name = "cella.idmap", __index = methods }

-- Keys that no user can spell keep assignment from replacing what is there.
local EXTENTS, INVERSE, KNOWN = {}, {}, {}

local function value(extents)
  return setmetatable({ [EXTENTS] = extents }, map)
end

local function is_map(v)
  return type(v) == "table" and getmetatable(v) == map
end

-- What `compute` says of two maps. They never change, and containers are planned again and again with the same: it is
-- remembered for as long as both live.
local function known(self, other, method, compute)
  local all = self[KNOWN]
  if not all then
    all = setmetatable({}, { __mode = "k" })
    rawset(self, KNOWN, all)
  end
  local of_both = all[other]
  if not of_both then
    of_both = {}
    all[other] = of_both
  end
  local found = of_both[method]
  if found == nil then
    found = compute(self[EXTENTS], other[EXTENTS])
    of_both[method] = found
  end
  return found
end

-- These raise in the name of the method that calls them, at the line that called the method. An
-- argument too many is refused as well: `a:union(b, c)` must not quietly mean `a:union(b)`. It is the
-- last check, so that `a:union(b:union(c))` speaks of the nil that the inner call returned.
local TOO_MANY = "one argument too many"

local function bad_argument(method, position, problem)
  blame(("bad argument #%d to '%s' (%s)"):format(position, method, problem))
end

local function own(self, method, ...)
  if not is_map(self) then
    bad_argument(method, 0, "self must be an ID map, not " .. read.show(self))
  elseif select("#", ...) > 0 then
    bad_argument(method, 1, TOO_MANY)
  end
  return self[EXTENTS]
end

local function operand(other, method, ...)
  if not is_map(other) then
    bad_argument(method, 1, "must be an ID map, not " .. read.show(other))
  elseif select("#", ...) > 0 then
    bad_argument(method, 2, TOO_MANY)
  end
  return other[EXTENTS]
end

local function integer(v, name, method, position, low, high, ...)
  if not read.is_integer(v, low, high) then
    bad_argument(method, position, read.not_integer(name, v, low, high))
  elseif select("#", ...) > 0 then
    bad_argument(method, position + 1, TOO_MANY)
  end
  return v + 0 -- makes 0 of the -0 that a Lua without integers has
end

--- As `new`, for who has more to say about what is wrong than the message: returns nil and that.
---@param source any
---@return cella.IdMap? map
---@return string? message
function M.try(source)
  if is_map(source) then return source end
  local extents, message
  if type(source) == "string" then
    extents, message = read.text(source)
  elseif type(source) == "table" then
    extents, message = read.table(source)
  else
    message = "an ID map is made from text, a table or a map, not from " .. read.show(source)
  end
  if not extents then return nil, message end
  return value(extents)
end

--- A map from the kernel's text, from one extent, from a list of extents, or from a map, which is
--- returned as it is. `""` and `{}` are the empty map. Raises where the kernel would refuse an extent,
--- and where it would misread one; the message names the extent and what is wrong with it. Whether
--- there are too many of them is up to `writable`: a map need not be written.
---@param source string|cella.idmap.Extent|cella.idmap.Extent[]|cella.IdMap
---@return cella.IdMap
function M.new(source, ...)
  local made, message = M.try(source)
  if not made then
    blame(message)
  elseif select("#", ...) > 0 then
    bad_argument("new", 2, TOO_MANY)
  end
  return made
end

--- A map from text that someone else wrote. As `new`, but bad text is no reason to raise.
---@param text string
---@return cella.IdMap? map
---@return string? message  what is wrong, and in which extent
function M.parse(text)
  if type(text) ~= "string" then
    blame("bad argument #1 to 'parse' (must be a string, not " .. read.show(text) .. ")")
  end
  local extents, message = read.text(text)
  if not extents then
    return nil, message
  end
  return value(extents)
end

-- Mostly it is that of the same process as the last time.
local last_read = {}

--- The map of a process's user namespace, as /proc/PID/uid_map shows it to this process: the outside
--- IDs are those of the parent namespace to a process inside, and those of the reader's own namespace
--- to any other. Empty while the map is not yet written.
---@param pid integer|"self"
---@param kind "uid"|"gid"|"projid"
---@return cella.IdMap? map
---@return table? err  op, path, message; errno where the system gave one; why where it is known
function M.of(pid, kind)
  if pid ~= "self" and not read.is_integer(pid, 1, 2147483647) then
    blame("bad argument #1 to 'of' (" .. read.not_integer("pid", pid, 1, 2147483647)
      .. ', unless it is "self")')
  end
  if kind ~= "uid" and kind ~= "gid" and kind ~= "projid" then
    blame("bad argument #2 to 'of' (kind must be \"uid\", \"gid\" or \"projid\", not "
      .. read.show(kind) .. ")")
  end
  local last = last_read[kind]
  local extents, text = read.process(pid, kind, last and last.text)
  if not extents then return nil, text end
  if extents == true then return last.map end
  last_read[kind] = { text = text, map = value(extents) }
  return last_read[kind].map
end

--- The extents in the order of their inside IDs, as a new list that the caller may keep and change.
---@return cella.idmap.Extent[]
function methods:extents(...)
  local copy = {}
  for i, extent in ipairs(own(self, "extents", ...)) do
    copy[i] = { inside = extent.inside, outside = extent.outside, count = extent.count }
  end
  return copy
end

local texts = setmetatable({}, { __mode = "k" })

local function text_of(extents)
  if texts[extents] then return texts[extents] end
  local lines = {}
  for i, extent in ipairs(extents) do
    -- Not %d, which on Lua 5.1 goes through a C long: 32 bits on a 32-bit machine.
    lines[i] = ("%.0f %.0f %.0f"):format(extent.inside, extent.outside, extent.count)
  end
  texts[extents] = table.concat(lines, "\n")
  return texts[extents]
end

local function cut(extents, parent) return algebra.pieces(extents, parent) or false end

local NOT_ALL = "the parent namespace does not have all of the outside IDs"

--- The text to write to uid_map where the parent namespace has the map `parent`: the kernel refuses an extent
--- that lies in two extents of the parent's map, even though they continue each other, so it is cut there.
---@param parent cella.IdMap  as `idmap.of` reads it, or as it was written
---@return string? text
---@return string? message  where the parent does not have all of the outside IDs
function methods:text(parent, ...)
  own(self, "text")
  operand(parent, "text", ...)
  local pieces = known(self, parent, "pieces", cut)
  if not pieces then return nil, NOT_ALL end
  return text_of(pieces)
end

--- Whether the kernel would take the map's text in one write, as far as the text alone decides it; with `parent`,
--- the text that `text` makes for it. The limit of 4095 bytes is that of 4 KiB pages. newuidmap(1) ends the last
--- line as well, and so has one byte less.
---@param parent? cella.IdMap
---@return true? ok
---@return string? reason
function methods:writable(parent, ...)
  local extents = own(self, "writable")
  if parent ~= nil then
    operand(parent, "writable", ...)
    extents = known(self, parent, "pieces", cut)
    if not extents then return nil, NOT_ALL end
  elseif select("#", ...) > 0 then
    bad_argument("writable", 2, TOO_MANY)
  end
  local bytes = #text_of(extents)
  if #extents == 0 then
    return nil, "the map is empty, and the kernel takes no empty map"
  elseif #extents > MAX_EXTENTS then
    return nil, ("the map has %d extents; the kernel allows %d"):format(#extents, MAX_EXTENTS)
  elseif bytes > MAX_BYTES then
    return nil, ("the map text is %d bytes; the kernel takes at most %d (page size - 1) in one write")
      :format(bytes, MAX_BYTES)
  end
  return true
end

--- The outside ID that an inside ID stands for; nil if it stands for none. With a count, the first
--- outside ID of the whole range, provided that all of it is mapped and lies outside in the same
--- order without a gap; nil otherwise.
---@param id integer      0 to 4294967294
---@param count? integer  from 1, default 1
---@return integer? outside
function methods:outside(id, count, ...)
  local extents = own(self, "outside")
  integer(id, "id", "outside", 1, 0, LAST)
  count = integer(count == nil and 1 or count, "count", "outside", 2, 1, LAST + 1, ...)
  local extent = extents[algebra.find(extents, id)]
  if extent and extent.inside <= id and id + count <= extent.inside + extent.count then
    return extent.outside + (id - extent.inside)
  end
  return nil
end

--- The inside ID that stands for an outside ID, as `outside` with the sides exchanged.
---@param id integer      0 to 4294967294
---@param count? integer  from 1, default 1
---@return integer? inside
function methods:inside(id, count, ...)
  own(self, "inside")
  integer(id, "id", "inside", 1, 0, LAST)
  count = integer(count == nil and 1 or count, "count", "inside", 2, 1, LAST + 1, ...)
  return self:invert():outside(id, count)
end

--- Whether every one of `count` inside IDs from `id` on is mapped, to wherever.
---@param id integer      0 to 4294967294
---@param count? integer  from 1, default 1
---@return boolean
function methods:covers(id, count, ...)
  local extents = own(self, "covers")
  integer(id, "id", "covers", 1, 0, LAST)
  local stop = id + integer(count == nil and 1 or count, "count", "covers", 2, 1, LAST + 1, ...)
  local i = algebra.find(extents, id)
  while id < stop and extents[i] and extents[i].inside <= id do
    id = extents[i].inside + extents[i].count
    i = i + 1
  end
  return id >= stop
end

--- The map with inside and outside exchanged.
---@return cella.IdMap
function methods:invert(...)
  local extents = own(self, "invert", ...)
  if not self[INVERSE] then
    local inverse = value(algebra.invert(extents))
    rawset(inverse, INVERSE, self)
    rawset(self, INVERSE, inverse)
  end
  return self[INVERSE]
end

--- From this map's inside to `outer`'s outside, where the outside IDs of this map are inside IDs of
--- `outer`: a namespace and its parent give the map from the namespace to its grandparent. IDs that
--- `outer` does not map are not mapped by the result.
---@param outer cella.IdMap
---@return cella.IdMap
function methods:compose(outer, ...)
  local extents = own(self, "compose")
  return value(algebra.compose(extents, operand(outer, "compose", ...)))
end

local function left_within(extents, outer) return value(algebra.within(extents, outer)) end

--- What is left of this map in a namespace that has the map `outer`: the pairs whose outside ID is an
--- inside ID of `outer`. The kernel refuses to let a child map any other.
---@param outer cella.IdMap
---@return cella.IdMap
function methods:within(outer, ...)
  own(self, "within")
  operand(outer, "within", ...)
  return known(self, outer, "within", left_within)
end

--- The pairs of inside and outside ID that are in both maps.
---@param other cella.IdMap
---@return cella.IdMap
function methods:intersect(other, ...)
  local extents = own(self, "intersect")
  return value(algebra.intersect(extents, operand(other, "intersect", ...)))
end

local function left_of(extents, other) return value(algebra.subtract(extents, other)) end

--- The pairs that are not in the other map. An ID that both map, but to different IDs, stays; so
--- `a:subtract(b):union(a:intersect(b)) == a`.
---@param other cella.IdMap
---@return cella.IdMap
function methods:subtract(other, ...)
  own(self, "subtract")
  operand(other, "subtract", ...)
  return known(self, other, "subtract", left_of)
end

--- The pairs of both maps. They may share pairs, but not contradict each other.
---@param other cella.IdMap
---@return cella.IdMap? map
---@return string? message  the ID for which they disagree, and how
function methods:union(other, ...)
  local extents = own(self, "union")
  local list, side, x, y, id = algebra.union(extents, operand(other, "union", ...))
  if not list then
    local far = side == "inside" and "outside" or "inside"
    return nil, ("%s ID %.0f would stand for both %.0f and %.0f"):format(
      side, id, x[far] + (id - x[side]), y[far] + (id - y[side]))
  end
  return value(list)
end

--- This map with one inside ID standing for another outside ID. Two inside IDs cannot share an outside
--- one, so an inside ID that had it becomes unmapped.
---@param inside integer   0 to 4294967294
---@param outside integer  0 to 4294967294
---@return cella.IdMap
function methods:set(inside, outside, ...)
  own(self, "set")
  inside = integer(inside, "inside", "set", 1, 0, LAST)
  outside = integer(outside, "outside", "set", 2, 0, LAST, ...)
  local function pair(i, o)
    return value(i and o and { { inside = i, outside = o, count = 1 } } or {})
  end
  return (self
    :subtract(pair(inside, self:outside(inside)))
    :subtract(pair(self:inside(outside), outside))
    :union(pair(inside, outside)))
end

--- This map with `n` added to every outside ID. Raises if one would be out of range.
---@param n integer  may be negative
---@return cella.IdMap
function methods:shift(n, ...)
  local list, extents = {}, own(self, "shift")
  integer(n, "n", "shift", 1, -LAST, LAST, ...)
  for i, extent in ipairs(extents) do
    local outside = extent.outside + n
    if outside < 0 or outside + extent.count - 1 > LAST then
      blame(("extent %d: outside %.0f and count %.0f shifted by %.0f leave the range 0 to %.0f"):format(
        i, extent.outside, extent.count, n, LAST))
    end
    list[i] = { inside = extent.inside, outside = outside, count = extent.count }
  end
  return value(list)
end

--- The `n` lowest inside IDs and what they stand for. A map that has fewer is refused, as who asks for
--- 65536 IDs is not served by one.
---@param n integer  0 to 4294967295
---@return cella.IdMap? map
---@return string? message
function methods:take(n, ...)
  local extents = own(self, "take")
  integer(n, "n", "take", 1, 0, LAST + 1, ...)
  local list, missing = algebra.take(extents, n)
  if missing > 0 then
    return nil, ("the map has only %.0f of %.0f IDs"):format(n - missing, n)
  end
  return value(list)
end

function map.__eq(a, b)
  return is_map(a) and is_map(b) and algebra.equal(a[EXTENTS], b[EXTENTS])
end

function map:__len()
  return #self[EXTENTS]
end

--- The text that uid_map takes: an extent per line, no newline at the end.
function map:__tostring()
  return text_of(self[EXTENTS])
end

function map.__newindex()
  blame("an ID map cannot be changed; its methods return new ones")
end

return M
