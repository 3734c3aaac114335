-- cella.idmap. The properties are tried on random maps; CELLA_SEED=n repeats a run.

local idmap = require "cella.idmap"
local program = require "spec.support.program"

local raises = program.raises

local LAST = 4294967294

-- The name of a case in a table of bad input.
local function case(format, ...)
  return (format:format(...):gsub("%c", function(c) return ("\\%d"):format(c:byte()) end))
end

describe("an ID map", function()
  describe("is made", function()
    it("from the kernel's text, an extent per line", function()
      assert.same({
        { inside = 0, outside = 1000, count = 1 },
        { inside = 1, outside = 100000, count = 65536 },
      }, idmap.new("0 1000 1\n1 100000 65536"):extents())
    end)

    it("from a line with the blanks with which /proc/PID/uid_map pads it", function()
      assert.equal(idmap.new "0 0 4294967295", idmap.new "         0          0 4294967295\n")
    end)

    it("from any text that the kernel takes: tabs, carriage returns, leading zeros", function()
      assert.equal(idmap.new "0 8 1\n5 9 10", idmap.new "\t0\t08 01 \r\n5 0000000000000000009 0010\r\n")
    end)

    it("from one extent", function()
      assert.equal(idmap.new "0 100000 65536", idmap.new { inside = 0, outside = 100000, count = 65536 })
    end)

    it("from a list of extents", function()
      assert.equal(idmap.new "0 1000 1\n1 100000 10", idmap.new {
        { inside = 1, outside = 100000, count = 10 },
        { inside = 0, outside = 1000, count = 1 },
      })
    end)

    it("from a map, which is that map", function()
      local map = idmap.new "0 1 2"
      assert.is_true(rawequal(map, idmap.new(map)))
    end)

    it("from no text or no extents as the empty map", function()
      assert.same({}, idmap.new(""):extents())
      assert.equal(idmap.new "", idmap.new {})
    end)

    it("with the last ID, 4294967294, and all IDs before it", function()
      assert.equal("4294967294 0 1", tostring(idmap.new "4294967294 0 1"))
      assert.equal("0 4294967294 1", tostring(idmap.new "0 4294967294 1"))
      assert.equal("0 0 4294967295", tostring(idmap.new "0 0 4294967295"))
    end)

    it("without keeping the tables that it was made from", function()
      local extent = { inside = 0, outside = 5, count = 1 }
      local map = idmap.new { extent }
      extent.outside = 6
      assert.equal("0 5 1", tostring(map))
    end)
  end)

  describe("is not made", function()
    local huge = ("9"):rep(400)
    for _, bad in ipairs {
      { "\n0 0 1", "extent 1: must be three decimal numbers" },
      { "\n", "extent 1: must be three" },
      { "0 0 1\n\n", "extent 2: must be three" },
      { "0 0 1\n\n1 1 1", "extent 2: must be three" },
      { " ", "extent 1: must be three" },
      { "0 0", "extent 1: must be three" },
      { "0 0 1 1", "extent 1: must be three" },
      { "0 0 1\n1 1 1 x", "extent 2: must be three" },
      { "0,0,1", "extent 1: must be three" },
      { "root 0 1", "extent 1: must be three" },
      { "-1 0 1", "extent 1: must be three" },
      { "0 +0 1", "extent 1: must be three" },
      { "0x0 0 1", "extent 1: must be three" },
      { "0 186a0 1", "extent 1: must be three" },
      { "0 1e0 1", "extent 1: must be three" },
      { "0 1.0 1", "extent 1: must be three" },
      { "0 1.5 1", "extent 1: must be three" },
      { "0 nan 1", "extent 1: must be three" },
      { "0 0 1\0", "NUL byte" },
      { "0 0 1\n\0001 1 1", "NUL byte" },
      { "\0", "NUL byte" },
      { "0 4294967296 1", "extent 1: outside must be an integer from 0 to 4294967294, not 4294967296" },
      { "4294967296 0 1", "extent 1: inside must be an integer from 0 to 4294967294, not 4294967296" },
      { "0 0 1\n1 4294967295 1", "extent 2: outside must be an integer from 0 to 4294967294, not 4294967295" },
      { "4294967295 0 1", "extent 1: inside must be" },
      { "0 0 4294967296", "extent 1: count must be an integer from 1 to 4294967295, not 4294967296" },
      { "0 0 4294967297", "extent 1: count must be" },
      { "0 18446744073709551616 1", "extent 1: outside must be" },
      { "0 9223372036854775808 1", "extent 1: outside must be" },
      { "0 " .. huge .. " 1", "extent 1: outside must be" },
      { "0 0 0", "extent 1: count must be an integer from 1 to 4294967295, not 0" },
      { "1 0 4294967295", "extent 1: inside 1 with count 4294967295 goes beyond 4294967294" },
      { "0 1 4294967295", "extent 1: outside 1 with count 4294967295 goes beyond 4294967294" },
      { "4294967294 0 2", "extent 1: inside 4294967294 with count 2 goes beyond" },
      { "0 0 1\n0 0 1", "extents 1 and 2 overlap inside at 0" },
      { "0 100000 10\n20 5 1\n10 100005 1", "extents 1 and 3 overlap outside at 100005" },
      { "9 50 5\n0 100 10", "extents 1 and 2 overlap inside at 9" },
    } do
      local text, message = bad[1], bad[2]
      it(case("from the text %q", text:sub(1, 40)), function()
        raises(message, idmap.new, text)
        local map, why = idmap.parse(text)
        assert.is_nil(map)
        assert.truthy(why:find(message, 1, true), why)
      end)
    end

    local numbers = {
      { -1, "-1" }, { 1.5, "1.5" }, { "8", '"8"' }, { "0x8", '"0x8"' }, { 2 ^ 32, "4294967296" },
      { 4294967296, "4294967296" }, { 2 ^ 63, "e+18" }, { -2 ^ 63, "e+18" }, { 1 / 0, "inf" }, { -1 / 0, "-inf" },
      { 0 / 0, "nan" }, { true, "a boolean" }, { {}, "a table" },
    }
    if math.type then
      table.insert(numbers, { 8.0, "8.0" })
      table.insert(numbers, { math.mininteger, "-9223372036854775808" })
      table.insert(numbers, { math.maxinteger, "9223372036854775807" })
    end
    for _, field in ipairs { "inside", "outside", "count" } do
      for _, number in ipairs(numbers) do
        it(case("from a table whose %s is %s", field, number[2]), function()
          local second = { inside = 5, outside = 5, count = 1 }
          second[field] = number[1]
          raises("extent 2: " .. field .. " must be an integer from", idmap.new,
            { { inside = 0, outside = 0, count = 1 }, second })
          raises(number[2], idmap.new, { second })
        end)
      end

      it("from a table without " .. field, function()
        local extent = { inside = 5, outside = 5, count = 1 }
        extent[field] = nil
        raises(field .. " must be an integer", idmap.new, extent)
      end)
    end

    it("from a table with count 0, ID 4294967295, or a range that reaches it", function()
      raises("count must be", idmap.new, { inside = 0, outside = 0, count = 0 })
      raises("inside must be", idmap.new, { inside = LAST + 1, outside = 0, count = 1 })
      raises("outside must be", idmap.new, { inside = 0, outside = LAST + 1, count = 1 })
      raises("outside 4294967290 with count 6 goes beyond 4294967294", idmap.new,
        { inside = 0, outside = LAST - 4, count = 6 })
    end)

    it("from extents that overlap", function()
      raises("extents 1 and 3 overlap outside at 100005", idmap.new, {
        { inside = 0, outside = 100000, count = 10 },
        { inside = 50, outside = 7, count = 1 },
        { inside = 20, outside = 100005, count = 1 },
      })
    end)

    for key, nearest in pairs {
      insde = "inside", Outside = "outside", outide = "outside", size = "inside", counts = "count",
    } do
      it(("from a table with the unknown key %q, and names the nearest"):format(key), function()
        raises(("extent 1: unknown key %q; the nearest known key is %q"):format(key, nearest), idmap.new,
          { inside = 0, outside = 0, count = 1, [key] = 1 })
      end)
    end

    it("from a table with a misspelt key, and does not call it a missing one", function()
      raises('unknown key "coutn"', idmap.new, { inside = 0, outside = 0, coutn = 1 })
    end)

    it("from three numbers without names", function()
      raises("extent 1: must be a table", idmap.new, { 0, 100000, 65536 })
      raises("unknown key 1; the keys are inside, outside and count", idmap.new, { { 0, 100000, 65536 } })
    end)

    it("from a list with a hole, behind which extents would be lost", function()
      local a, b = { inside = 0, outside = 0, count = 1 }, { inside = 1, outside = 5, count = 1 }
      raises("extent 2: is missing", idmap.new, { a, nil, b })
      raises("extent 2: is missing", idmap.new, { [0] = a, b })
    end)

    it("from a number, a boolean, a function or nothing", function()
      for _, value in ipairs { 5, true, print } do
        raises("an ID map is made from text, a table or a map", idmap.new, value)
        raises("must be a string", idmap.parse, value)
      end
      raises("not from nil", idmap.new)
    end)

    it("from three arguments", function()
      raises("one argument too many", idmap.new, "0 0 1", 100000, 65536)
    end)

    it("and the error is at the caller's line", function()
      local _, err = pcall(function() idmap.new "x" end)
      assert.truthy(err:find("idmap_spec.lua", 1, true))
    end)
  end)

  describe("as a value", function()
    it("is canonical: sorted, and neighbours joined", function()
      assert.equal("0 100000 30", tostring(idmap.new "20 100020 10\n0 100000 10\n10 100010 10"))
    end)

    it("keeps neighbours apart that continue each other on one side only", function()
      assert.equal("0 100 10\n10 300 10", tostring(idmap.new "0 100 10\n10 300 10"))
      assert.equal("0 100 10\n20 110 10", tostring(idmap.new "0 100 10\n20 110 10"))
      assert.equal("0 110 10\n10 100 10", tostring(idmap.new "0 110 10\n10 100 10"))
    end)

    it("equals another map with the same pairs", function()
      assert.is_true(idmap.new "0 5 2" == idmap.new "1 6 1\n0 5 1")
    end)

    it("differs from every other map, and from anything else", function()
      local map = idmap.new "0 5 2"
      for _, other in ipairs { "0 5 1", "0 6 2", "1 5 2", "0 5 2\n9 9 1", "" } do
        assert.is_false(map == idmap.new(other))
        assert.is_false(idmap.new(other) == map)
      end
      assert.is_false(map == {})
      assert.is_false(map == "0 5 2")
    end)

    it("prints as the kernel's text with single blanks, and no newline at the end", function()
      assert.equal("0 1000 1\n1 100000 65536", tostring(idmap.new "  1 100000 65536\n 0  1000  1\n"))
      assert.equal("", tostring(idmap.new ""))
    end)

    it("prints numbers without fraction or exponent, whatever they were computed from", function()
      assert.equal("4294967294 2147483648 1", tostring(idmap.new "4294967294 2147483648 1"))
      local zero = -1 * 0 -- negative, on a Lua without integers
      assert.equal("0 0 1", tostring(idmap.new { inside = zero, outside = zero, count = 1 }))
      assert.equal("0 0 1", tostring(idmap.new(""):set(zero, zero)))
    end)

    it("cannot be assigned to", function()
      local map = idmap.new "0 5 2"
      raises("cannot be changed", function() map.outside = print end)
      raises("cannot be changed", function() map[1] = {} end)
    end)

    it("is not changed by changes to its list of extents", function()
      local map = idmap.new "0 5 2"
      local extents = map:extents()
      extents[1].count, extents[2] = 9, {}
      assert.equal("0 5 2", tostring(map))
    end)

    it("has the name cella.idmap", function()
      assert.equal("cella.idmap", getmetatable(idmap.new "").__name)
    end)

    it("has the number of its extents as its length", function()
      if #setmetatable({}, { __len = function() return 1 end }) ~= 1 then
        pending("this Lua does not ask tables for their length")
        return
      end
      assert.equal(0, #idmap.new "")
      assert.equal(2, #idmap.new "0 5 1\n1 9 1")
    end)

    it("makes no global variable", function()
      local before = {}
      for name in pairs(_G) do before[name] = true end
      local loaded = {}
      for _, name in ipairs { "cella.idmap", "cella.idmap.read", "cella.idmap.algebra" } do
        loaded[name], package.loaded[name] = package.loaded[name], nil
      end
      require("cella.idmap").new("0 1 2"):invert()
      for name, module in pairs(loaded) do package.loaded[name] = module end
      for name in pairs(_G) do assert.is_true(before[name] == true, name) end
    end)

    it("knows what an unmapped ID looks like", function()
      assert.equal(65534, idmap.overflow)
    end)
  end)

  describe("can be written", function()
    local function spread(n, first)
      local list = {}
      for i = 1, n do
        list[i] = { inside = first + 2 * i, outside = first + 2 * i, count = 1 }
      end
      return list
    end

    it("with 340 extents", function()
      assert.is_true(idmap.new(spread(340, 0)):writable())
    end)

    it("not with 341", function()
      local ok, reason = idmap.new(spread(341, 0)):writable()
      assert.is_nil(ok)
      assert.equal("the map has 341 extents; the kernel allows 340", reason)
    end)

    it("with 341 extents that join to fewer", function()
      local list = {}
      for i = 0, 340 do list[i + 1] = { inside = i, outside = i + 9, count = 1 } end
      assert.is_true(idmap.new(list):writable())
    end)

    it("with 4095 bytes", function()
      local list = spread(171, 1000000000)
      list[1] = { inside = 10, outside = 4000000000, count = 1 }
      local map = idmap.new(list)
      assert.equal(4095, #tostring(map))
      assert.is_true(map:writable())
    end)

    it("not with 4096", function()
      local list = spread(171, 1000000000)
      list[1] = { inside = 100, outside = 4000000000, count = 1 }
      local map = idmap.new(list)
      assert.equal(4096, #tostring(map))
      local ok, reason = map:writable()
      assert.is_nil(ok)
      assert.truthy(reason:find("the map text is 4096 bytes; the kernel takes at most 4095", 1, true))
    end)

    it("in pieces where the parent's map has several extents: the kernel wants each in one of them", function()
      local parent = idmap.new "0 1000 1\n1 100000 65536"
      assert.equal("0 0 1\n1 1 9", idmap.new("0 0 10"):text(parent))
      assert.equal("5 1 9", idmap.new("5 1 9"):text(parent))
      assert.equal("0 5 2\n2 0 1\n3 1 4", idmap.new("0 5 2\n2 0 5"):text(parent))
    end)

    it("in pieces also where the parent's extents continue each other, as it was written", function()
      local text = "0 1000 1\n1 1001 9\n10 1010 5\n"
      assert.equal("0 0 1\n1 1 9\n10 10 2", idmap.new("0 0 12"):text(idmap.new(text)))
      assert.equal("0 0 1\n1 1 9\n10 10 2", idmap.new("0 0 12"):text((assert(idmap.parse(text)))))
      assert.equal("0 0 12", idmap.new("0 0 12"):text(idmap.new(idmap.new(text):extents())))
      assert.equal(idmap.new "0 1000 15", idmap.new(text))
    end)

    it("not where the parent lacks some of the outside IDs", function()
      for _, map in ipairs { "0 0 11", "0 11 1", "0 5 1\n1 20 1" } do
        local text, message = idmap.new(map):text(idmap.new "0 1000 10")
        assert.is_nil(text)
        assert.equal("the parent namespace does not have all of the outside IDs", message)
        text, message = idmap.new(map):writable(idmap.new "0 1000 10")
        assert.is_nil(text)
        assert.equal("the parent namespace does not have all of the outside IDs", message)
      end
    end)

    it("not in more than 340 pieces", function()
      local parent = idmap.new(spread(341, 0))
      local list = {}
      for i, extent in ipairs(parent:extents()) do
        list[i] = { inside = i, outside = extent.inside, count = 1 }
      end
      assert.is_nil((idmap.new(list):writable(parent)))
      table.remove(list)
      assert.is_true(idmap.new(list):writable(parent))
    end)

    it("not when it is empty", function()
      local ok, reason = idmap.new(""):writable()
      assert.is_nil(ok)
      assert.truthy(reason:find("empty", 1, true))
    end)
  end)

  describe("of a process", function()
    -- What the kernel shows to a reader in another namespace cannot be had without privileges.
    local function with_file(file, f)
      local open = io.open
      io.open = function() return file end -- luacheck: ignore 122
      local ok, err = pcall(f)
      io.open = open -- luacheck: ignore 122
      assert(ok, err)
    end

    for _, kind in ipairs { "uid", "gid", "projid" } do
      it("is what /proc shows of its " .. kind .. "s", function()
        local file = io.open("/proc/self/" .. kind .. "_map")
        if not file then
          pending("the kernel has no user namespaces")
          return
        end
        local text = file:read("*a")
        file:close()
        assert.equal(idmap.new(text), idmap.of("self", kind))
      end)
    end

    it("is found by its number", function()
      local file = io.open("/proc/self/stat")
      local pid = file and tonumber(file:read("*a"):match("^%d+"))
      if not pid then
        pending("needs /proc")
        return
      end
      file:close()
      assert.equal(idmap.of("self", "gid"), idmap.of(pid, "gid"))
    end)

    it("is nil and an error that names the file, when there is no such process", function()
      local map, err = idmap.of(2147483647, "uid")
      assert.is_nil(map)
      assert.equal("/proc/2147483647/uid_map", err.path)
      assert.equal(2, err.errno)
      assert.equal("idmap.of", err.op)
      assert.equal("idmap.of: No such file or directory (ENOENT)\n  /proc/2147483647/uid_map", tostring(err))
    end)

    it("is nil and an error, when the process ends before its map is read", function()
      local closed = false
      with_file({
        read = function() return nil, "No such process", 3 end,
        close = function() closed = true end,
      }, function()
        local map, err = idmap.of(7, "uid")
        assert.is_nil(map)
        assert.equal(3, err.errno)
        assert.equal("ESRCH", err.code)
        assert.equal("/proc/7/uid_map", err.path)
      end)
      assert.is_true(closed)
    end)

    it("is nil and the reason, when its IDs have no number in this namespace", function()
      with_file({
        read = function() return "         0 4294967295          1\n" end,
        close = function() end,
      }, function()
        local map, err = idmap.of(7, "uid")
        assert.is_nil(map)
        assert.truthy(tostring(err):find("no number in this process's user namespace", 1, true))
      end)
    end)

    it("is empty, when it is not yet written", function()
      with_file({ read = function() return "" end, close = function() end }, function()
        assert.equal(idmap.new "", idmap.of(7, "uid"))
      end)
    end)

    it("needs a process ID or \"self\"", function()
      for _, pid in ipairs { 0, -1, 1.5, 2 ^ 32, "1", "../self", "self\0", true } do
        raises("bad argument #1 to 'of' (pid must be an integer from 1 to 2147483647", idmap.of, pid, "uid")
      end
      raises("not nil", idmap.of, nil, "uid")
    end)

    it("needs uid, gid or projid", function()
      for _, kind in ipairs { "uid_map", "user", "", "uid\0", 1 } do
        raises("bad argument #2 to 'of'", idmap.of, "self", kind)
      end
      raises("not nil", idmap.of, "self")
    end)
  end)

  describe("translates", function()
    local map = idmap.new "0 1000 1\n1 100000 9\n10 500 10\n40 1001 1"

    it("an inside ID to the outside ID that it stands for", function()
      assert.equal(1000, map:outside(0))
      assert.equal(100000, map:outside(1))
      assert.equal(100008, map:outside(9))
      assert.equal(500, map:outside(10))
      assert.equal(1001, map:outside(40))
    end)

    it("an outside ID to the inside ID that stands for it", function()
      assert.equal(0, map:inside(1000))
      assert.equal(9, map:inside(100008))
      assert.equal(19, map:inside(509))
      assert.equal(40, map:inside(1001))
    end)

    it("an unmapped ID to nil", function()
      for _, id in ipairs { 20, 39, 41, LAST } do assert.is_nil(map:outside(id)) end
      for _, id in ipairs { 0, 499, 510, 999, 1002, 99999, 100009, LAST } do assert.is_nil(map:inside(id)) end
    end)

    it("the first and the last ID that there are", function()
      local all = idmap.new "0 0 4294967295"
      assert.equal(0, all:outside(0))
      assert.equal(LAST, all:outside(LAST))
      assert.equal(LAST, all:inside(LAST))
      assert.equal(0, all:outside(0, 4294967295))
      assert.equal(LAST, idmap.new("4294967294 0 1"):inside(0))
    end)

    it("a range only if all of it is mapped in one piece", function()
      assert.equal(100000, map:outside(1, 9))
      assert.equal(100003, map:outside(4, 6))
      assert.is_nil(map:outside(1, 10)) -- mapped, but to two places
      assert.is_nil(map:outside(10, 11))
      assert.is_nil(map:outside(39, 2))
      assert.is_nil(map:outside(LAST, 2))
      assert.equal(10, map:inside(500, 10))
      assert.is_nil(map:inside(1000, 2)) -- the same, seen from outside
    end)

    it("nothing with the empty map", function()
      assert.is_nil(idmap.new(""):outside(0))
      assert.is_nil(idmap.new(""):inside(0))
      assert.is_false(idmap.new(""):covers(0))
    end)

    it("and covers a range that is mapped, to however many places", function()
      assert.is_true(map:covers(0))
      assert.is_true(map:covers(0, 20))
      assert.is_true(map:covers(5, 10))
      assert.is_false(map:covers(0, 21))
      assert.is_false(map:covers(20))
      assert.is_false(map:covers(39, 2))
      assert.is_false(map:covers(LAST, 2))
    end)

    for _, method in ipairs { "outside", "inside", "covers" } do
      it("no ID and no count that there is not: " .. method, function()
        for _, id in ipairs { -1, 1.5, "8", 4294967295, 2 ^ 32, 2 ^ 63, 1 / 0, 0 / 0, true } do
          raises(("bad argument #1 to '%s' (id must be an integer"):format(method), map[method], map, id)
        end
        raises("not nil", map[method], map)
        for _, count in ipairs { 0, -1, 1.5, "8", 2 ^ 32, 2 ^ 63, 1 / 0, 0 / 0, false } do
          raises(("bad argument #2 to '%s' (count must be"):format(method), map[method], map, 0, count)
        end
        raises("bad argument #3", map[method], map, 0, 1, 1)
      end)
    end
  end)

  describe("is computed with", function()
    local function gives(expected, map)
      assert.equal(expected, tostring(map))
    end

    it("compose: a namespace and its parent give the map to the grandparent", function()
      gives("0 100000 1\n1 101001 9", idmap.new("0 0 1\n1 1001 9"):compose(idmap.new "0 100000 65536"))
    end)

    it("compose: what the parent does not map disappears", function()
      gives("5 0 5", idmap.new("0 100 20"):compose(idmap.new "105 0 5"))
      gives("", idmap.new("0 100 20"):compose(idmap.new ""))
    end)

    it("compose: pieces that come to lie together are joined", function()
      gives("0 7 20", idmap.new("0 100 10\n10 200 10"):compose(idmap.new "100 7 10\n200 17 10"))
    end)

    it("within: what a parent with that map lets a child map", function()
      gives("0 95 5\n5 0 5", idmap.new("0 95 5\n5 0 5\n10 100 10"):within(idmap.new "0 100000 100"))
      gives("10 100 5", idmap.new("0 90 20"):within(idmap.new "100 0 5"))
    end)

    it("invert: inside and outside exchange their places", function()
      gives("7 10 1\n100 0 5", idmap.new("0 100 5\n10 7 1"):invert())
    end)

    it("intersect: the pairs that both have", function()
      gives("5 105 5", idmap.new("0 100 10"):intersect(idmap.new "0 200 5\n5 105 15"))
    end)

    it("subtract: the pairs that the other does not have", function()
      gives("0 100 2\n5 105 5", idmap.new("0 100 10"):subtract(idmap.new "2 102 3"))
    end)

    it("subtract: an ID that the other maps elsewhere stays", function()
      gives("0 100 10", idmap.new("0 100 10"):subtract(idmap.new "0 200 10"))
    end)

    it("union: the pairs of both", function()
      gives("0 1000 1\n1 100000 9", idmap.new("1 100000 9"):union(idmap.new "0 1000 1"))
      gives("0 100 15", idmap.new("0 100 10"):union(idmap.new "5 105 10"))
    end)

    it("union: maps that contradict each other give nil and say where", function()
      local map, message = idmap.new("0 100 10"):union(idmap.new "5 200 1")
      assert.is_nil(map)
      assert.equal("inside ID 5 would stand for both 105 and 200", message)
      map, message = idmap.new("0 100 10"):union(idmap.new "20 108 5")
      assert.is_nil(map)
      assert.equal("outside ID 108 would stand for both 8 and 20", message)
    end)

    it("set: one ID gets another target, and its extent is split", function()
      gives("0 100000 33\n33 1000 1\n34 100034 65502", idmap.new("0 100000 65536"):set(33, 1000))
    end)

    it("set: an unmapped ID becomes mapped", function()
      gives("0 1000 1", idmap.new(""):set(0, 1000))
      gives("0 100000 11", idmap.new("0 100000 10"):set(10, 100010))
    end)

    it("set: the ID that had the target loses it", function()
      gives("0 100005 1\n1 100001 4\n6 100006 4", idmap.new("0 100000 10"):set(0, 100005))
    end)

    it("set: a pair that is there already changes nothing", function()
      gives("0 100000 10", idmap.new("0 100000 10"):set(5, 100005))
    end)

    it("shift: every outside ID moves", function()
      gives("0 165536 10\n20 65536 1", idmap.new("0 100000 10\n20 0 1"):shift(65536))
      gives("0 0 10", idmap.new("0 100000 10"):shift(-100000))
      gives("0 4294967290 5", idmap.new("0 0 5"):shift(4294967290))
    end)

    it("shift: an ID out of range raises", function()
      raises("extent 2: outside 5 and count 1 shifted by -6 leave the range 0 to 4294967294", function()
        idmap.new("0 10 1\n1 5 1"):shift(-6)
      end)
      raises("extent 1: outside 0 and count 5", function() idmap.new("0 0 5"):shift(4294967291) end)
    end)

    it("take: the lowest inside IDs, as many as asked for", function()
      gives("3 100 10\n20 7 2", idmap.new("3 100 10\n20 7 5"):take(12))
      gives("", idmap.new("3 100 10"):take(0))
      gives("3 100 10", idmap.new("3 100 10"):take(10))
    end)

    it("take: fewer than asked for are nil and how many there are", function()
      local map, message = idmap.new("0 1000 1\n5 1001 2"):take(65536)
      assert.is_nil(map)
      assert.equal("the map has only 3 of 65536 IDs", message)
    end)

    for _, method in ipairs { "compose", "within", "intersect", "subtract", "union", "text", "writable" } do
      it(method .. ": only another map", function()
        local map = idmap.new "0 100 10"
        for _, other in ipairs { "0 100 10", 5, true, { inside = 0, outside = 0, count = 1 } } do
          raises(("bad argument #1 to '%s' (must be an ID map"):format(method), map[method], map, other)
        end
        -- Not "one argument too many": a union that failed gives nil and a message.
        if method ~= "writable" then raises("must be an ID map, not nil", map[method], map, nil, "message") end
        raises("bad argument #2", map[method], map, map, map)
        raises("bad argument #2", map[method], map, map, nil)
      end)
    end

    it("set, shift and take: only integers in range", function()
      local map = idmap.new "0 100 10"
      for _, id in ipairs { -1, 1.5, "8", 4294967295, 2 ^ 32, 2 ^ 63, 1 / 0, 0 / 0, true } do
        raises("bad argument #1 to 'set' (inside must be", map.set, map, id, 0)
        raises("bad argument #2 to 'set' (outside must be", map.set, map, 0, id)
      end
      for _, n in ipairs { -2 ^ 32, 1.5, "8", 4294967295, 2 ^ 63, 1 / 0, 0 / 0, true } do
        raises("bad argument #1 to 'shift' (n must be", map.shift, map, n)
        raises("bad argument #1 to 'shift' (n must be", map.shift, idmap.new "", n)
      end
      for _, n in ipairs { -1, 1.5, "8", 2 ^ 32, 2 ^ 63, 1 / 0, 0 / 0, true } do
        raises("bad argument #1 to 'take' (n must be", map.take, map, n)
      end
      if math.type then
        raises("n must be", map.shift, map, math.maxinteger)
        raises("n must be", map.take, map, math.mininteger)
      end
      raises("bad argument #3 to 'set'", map.set, map, 0, 1, 10)
      raises("bad argument #2 to 'shift'", map.shift, map, 1, 1)
      raises("bad argument #2 to 'take'", map.take, map, 1, 1)
    end)

    for _, method in ipairs { "extents", "invert" } do
      it(method .. ": no argument", function()
        local map = idmap.new "0 100 10"
        raises(("bad argument #1 to '%s' (one argument too many)"):format(method), map[method], map, map)
      end)
    end

    it("a colon: without it, self is missing", function()
      for name, method in pairs(getmetatable(idmap.new "").__index) do
        raises(("bad argument #0 to '%s' (self must be an ID map"):format(name), method, 5)
      end
    end)
  end)
end)

describe("every ID map", function()
  local seed = tonumber(os.getenv "CELLA_SEED") or os.time() % 1000000
  io.stderr:write(("idmap_spec: CELLA_SEED=%d\n"):format(seed))

  -- Lehmer's generator: the same numbers on every Lua, whatever else draws random numbers.
  local state
  local function random(low, high)
    state = state * 16807 % 2147483647
    return low + math.floor(state / 2147483647 * (high - low + 1))
  end

  -- Each property starts from the seed, so that it does not depend on which others are run.
  local function for_all(cases, claim)
    state = seed % 2147483646 + 1
    for _ = 1, 5 do random(0, 1) end
    for i = 1, cases do
      local ok, err = pcall(claim)
      if not ok then
        error(("%s\nin case %d with CELLA_SEED=%d"):format(
          type(err) == "table" and tostring(err.message or err) or tostring(err), i, seed), 0)
      end
    end
  end

  -- A comparison by luassert costs more than what is compared here.
  local function same(expected, actual)
    if expected ~= actual then assert.equal(expected, actual) end
  end

  -- The model: a table from each inside ID to its outside ID, with all IDs below SMALL.
  local SMALL = 24

  local function random_pairs()
    local targets, model = {}, {}
    for id = 0, SMALL - 1 do targets[id] = id end
    -- Runs and single IDs: a shuffle alone would have no extents longer than one.
    if random(1, 4) == 1 then
      for id = SMALL - 1, 1, -1 do
        local j = random(0, id)
        targets[id], targets[j] = targets[j], targets[id]
      end
    else
      for _ = 1, random(0, 4) do
        local reordered, cut, length = {}, random(0, SMALL - 1), random(1, SMALL)
        for id = 0, SMALL - 1 do
          local j = id < length and (id + cut) % length or id
          reordered[id] = targets[j]
        end
        targets = reordered
      end
    end
    local keep, id = random(0, 1) == 1, 0
    while id < SMALL do
      for _ = 1, random(1, 8) do
        if keep and id < SMALL then model[id] = targets[id] end
        id = id + 1
      end
      keep = not keep
    end
    return model
  end

  -- Another model that has pairs in common with the first.
  local function relative(model)
    local other, taken, fresh = {}, {}, random_pairs()
    local from, to = random(0, SMALL), random(0, SMALL)
    for id = from, to do
      if model[id] then other[id], taken[model[id]] = model[id], true end
    end
    for id, target in pairs(fresh) do
      if not other[id] and not taken[target] then other[id], taken[target] = target, true end
    end
    return other
  end

  local function reversed(model)
    local result = {}
    for inside, outside in pairs(model) do result[outside] = inside end
    return result
  end

  local function size(model)
    local n = 0
    for _ in pairs(model) do n = n + 1 end
    return n
  end

  -- Built pair by pair in random order: that it is joined and sorted is up to the module.
  local function to_map(model)
    local list = {}
    for inside, outside in pairs(model) do
      table.insert(list, random(1, #list + 1), { inside = inside, outside = outside, count = 1 })
    end
    return idmap.new(list)
  end

  local function to_pairs(map)
    local model = {}
    for _, extent in ipairs(map:extents()) do
      for i = 0, extent.count - 1 do model[extent.inside + i] = extent.outside + i end
    end
    return model
  end

  -- Maps with extents of every size over all of the IDs.
  local function big_map()
    local n = random(0, 3) == 0 and random(0, 340) or random(0, 5)
    local list, order, inside, outside = {}, {}, 0, 0
    local gap = random(0, 2) == 0 and 1 or 5000000
    for i = 1, n do
      order[i] = i
      list[i] = { count = random(1, 10 ^ random(0, 6)) }
    end
    for i = n, 2, -1 do
      local j = random(1, i)
      order[i], order[j] = order[j], order[i]
    end
    for i = 1, n do
      local low, high = list[i], list[order[i]]
      inside, outside = inside + random(0, gap), outside + random(0, gap)
      low.inside, high.outside = inside, outside
      inside, outside = inside + low.count, outside + high.count
    end
    if n > 0 and random(0, 9) == 0 then
      list[n].count = LAST + 1 - math.max(list[n].inside, outside)
      list[n].outside = LAST + 1 - list[n].count
    end
    return idmap.new(list)
  end

  local function any_id(map)
    local extents = map:extents()
    if #extents == 0 or random(0, 3) == 0 then return random(0, 20000000) end
    local extent = extents[random(1, #extents)]
    return math.max(0, math.min(LAST, extent.inside + random(-1, extent.count)))
  end

  it("is what its pairs of IDs are", function()
    for_all(1500, function()
      local model = random_pairs()
      local map, back = to_map(model), reversed(model)
      assert.same(model, to_pairs(map))
      for id = 0, SMALL do
        same(model[id], map:outside(id))
        same(back[id], map:inside(id))
        same(model[id] ~= nil, map:covers(id))
      end
    end)
  end)

  it("is canonical: no two of its extents could be one, and they are in order", function()
    for_all(1500, function()
      local extents = to_map(random_pairs()):extents()
      for i = 2, #extents do
        local a, b = extents[i - 1], extents[i]
        assert.is_true(a.inside + a.count <= b.inside)
        assert.is_false(a.inside + a.count == b.inside and a.outside + a.count == b.outside)
      end
    end)
  end)

  it("translates ranges as it translates their IDs", function()
    for_all(3000, function()
      local model = random_pairs()
      local map, first, count = to_map(model), random(0, SMALL), random(1, 6)
      local covered, contiguous = true, true
      for i = 0, count - 1 do
        covered = covered and model[first + i] ~= nil
        contiguous = covered and contiguous and model[first + i] == model[first] + i
      end
      same(covered, map:covers(first, count))
      same(contiguous and model[first] or nil, map:outside(first, count))
      same(contiguous and first or nil, covered and map:inside(model[first], count) or nil)
    end)
  end)

  it("prints text that reads as the same map", function()
    for_all(500, function()
      local map = big_map()
      local text = tostring(map)
      same(map, assert(idmap.parse(text)))
      same(text, tostring(idmap.new(text)))
      same(map, idmap.new(map:extents()))
    end)
  end)

  it("is the inverse of its inverse", function()
    for_all(500, function()
      local map = big_map()
      local inverse = map:invert()
      same(map, inverse:invert())
      -- Made anew, as the two above know each other.
      same(map, idmap.new(inverse:extents()):invert())
      local id = any_id(map)
      local outside = map:outside(id)
      if outside then same(id, inverse:outside(outside)) end
    end)
  end)

  it("translates twice what a composed map translates once", function()
    for_all(500, function()
      local inner, outer = big_map(), big_map()
      local both = inner:compose(outer)
      for _ = 1, 20 do
        local id = any_id(inner)
        local middle = inner:outside(id)
        same(middle and outer:outside(middle), both:outside(id))
      end
    end)
  end)

  it("composes, and restricts itself to a parent, as its pairs do", function()
    for_all(1500, function()
      local inner, outer = random_pairs(), random_pairs()
      local composed, within = {}, {}
      for inside, middle in pairs(inner) do
        composed[inside] = outer[middle]
        within[inside] = outer[middle] and middle
      end
      same(to_map(composed), to_map(inner):compose(to_map(outer)))
      same(to_map(within), to_map(inner):within(to_map(outer)))
    end)
  end)

  it("composes in any grouping, and with its inverse to the identity", function()
    for_all(300, function()
      local a, b, c = big_map(), big_map(), big_map()
      same(a:compose(b):compose(c), a:compose(b:compose(c)))
      same(a:compose(b):invert(), b:invert():compose(a:invert()))
      for _, extent in ipairs(a:compose(a:invert()):extents()) do
        same(extent.inside, extent.outside)
      end
      same(a, a:compose(a:invert()):compose(a))
      same(a:within(b):compose(b), a:compose(b))
    end)
  end)

  it("intersects and subtracts as its pairs do", function()
    for_all(1500, function()
      local a = random_pairs()
      local b = relative(a)
      local common, rest = {}, {}
      for inside, outside in pairs(a) do
        if b[inside] == outside then common[inside] = outside else rest[inside] = outside end
      end
      same(to_map(common), to_map(a):intersect(to_map(b)))
      same(to_map(rest), to_map(a):subtract(to_map(b)))
    end)
  end)

  it("is whole again when what was subtracted is put back", function()
    for_all(300, function()
      local a, b = big_map(), big_map()
      for _ = 1, 3 do
        local part = a:take(random(0, 1)) -- nil if `a` is empty
        b = part and b:union(part) or b
      end
      same(a, a:subtract(b):union(a:intersect(b)))
      same(idmap.new "", a:subtract(b):intersect(b))
      same(idmap.new "", a:subtract(a))
      same(a:intersect(b), b:intersect(a))
      same(a, a:intersect(a))
      same(a, a:union(a))
      same(a:subtract(b), a:subtract(a:intersect(b)))
    end)
    for_all(1500, function()
      local model = random_pairs()
      local a, b = to_map(model), to_map(relative(model))
      same(a, a:subtract(b):union(a:intersect(b)))
      same(a:intersect(b):invert(), a:invert():intersect(b:invert()))
    end)
  end)

  it("unites as its pairs do, and with nothing that contradicts them", function()
    local conflicts = 0
    for_all(1500, function()
      local a = random_pairs()
      local b = relative(a)
      if random(0, 1) == 1 then -- make it free of conflicts, which chance hardly does
        local back = reversed(a)
        for inside, outside in pairs(b) do
          if (a[inside] or outside) ~= outside or (back[outside] or inside) ~= inside then b[inside] = nil end
        end
      end
      local both, conflict = {}, false
      for inside, outside in pairs(a) do both[inside] = outside end
      for inside, outside in pairs(b) do
        conflict = conflict or both[inside] ~= nil and both[inside] ~= outside
        both[inside] = outside
      end
      conflict = conflict or size(reversed(both)) ~= size(both)
      local map, message = to_map(a):union(to_map(b))
      if conflict then
        conflicts = conflicts + 1
        assert.is_nil(map)
        assert.truthy(message:find("would stand for both", 1, true))
      else
        same(to_map(both), map)
      end
    end)
    assert.is_true(conflicts > 0 and conflicts < 1500)
  end)

  it("maps an ID that was set to its target, and robs only the ID that had it", function()
    for_all(3000, function()
      local model = random_pairs()
      local inside, outside = random(0, SMALL), random(0, SMALL)
      local map = to_map(model)
      local set = map:set(inside, outside)
      same(outside, set:outside(inside))
      local robbed = reversed(model)[outside]
      for id = 0, SMALL do
        if id ~= inside then
          local expected = model[id]
          if id == robbed then expected = nil end
          same(expected, set:outside(id))
        end
      end
      assert.same(model, to_pairs(map)) -- itself unchanged
    end)
  end)

  it("shifts there and back", function()
    for_all(300, function()
      local map, top = big_map(), 0
      for _, extent in ipairs(map:extents()) do top = math.max(top, extent.outside + extent.count - 1) end
      local n = random(0, LAST - top)
      local shifted = map:shift(n)
      same(map, shifted:shift(-n))
      local id = any_id(map)
      same(map:outside(id) and map:outside(id) + n, shifted:outside(id))
      if top > 0 then assert.is_false(pcall(map.shift, map, LAST - top + 1)) end
    end)
  end)

  it("is written in pieces that are the map again, each in one extent of the parent's", function()
    for_all(300, function()
      local outer = big_map()
      local map = big_map():within(outer)
      local text = assert(map:text(outer))
      same(map, idmap.new(text))
      for line in text:gmatch("[^\n]+") do
        local first, count = line:match("^%d+ (%d+) (%d+)$")
        assert.truthy(outer:outside(tonumber(first), tonumber(count)))
      end
      same(idmap.new(text), idmap.new((map:text(idmap.new(tostring(outer))))))
    end)
  end)

  it("gives up its lowest IDs", function()
    for_all(1500, function()
      local model, n = random_pairs(), random(0, SMALL)
      local map = to_map(model)
      local expected, left = {}, n
      for id = 0, SMALL - 1 do
        if model[id] and left > 0 then expected[id], left = model[id], left - 1 end
      end
      local taken = map:take(n)
      if left > 0 then assert.is_nil(taken) else same(to_map(expected), taken) end
    end)
  end)

  it("composes with 340 extents against 340", function()
    local inner, outer = {}, {}
    for i = 0, 339 do
      inner[i + 1] = { inside = i * 10, outside = (339 - i) * 10, count = 10 }
      outer[i + 1] = { inside = i * 10 + 5, outside = i * 20, count = 10 }
    end
    local both = idmap.new(inner):compose(idmap.new(outer))
    same(679, #both:extents())
    same(0, both:outside(3395))
    same(339 * 20 + 4, both:outside(4 + 5))
    assert.is_nil(both:outside(3390))
  end)
end)
