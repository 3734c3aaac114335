-- cella.subid: whose subordinate IDs are which. The files are injected; the two specs that ask the system's own
-- sources compare them with each other, and need no user with ranges.

local core = require "cella.core"
local errors = require "cella.error"
local portable = require "spec.support.portable"
local subid = require "cella.subid"
local files = require "cella.subid.files"
local program = require "cella.subid.program"

local PASSWD = table.concat({
  "root:x:0:0:root:/root:/bin/sh",
  "alice:x:1000:1000::/home/alice:/bin/sh",
  "bob:x:1001:2000::/home/bob:/bin/sh",
  "carol:x:2000:1001::/home/carol:/bin/sh",
  "",
}, "\n")

local SUBUID = table.concat({
  "alice:100000:65536",
  "bob:300000:10",
  "alice:200000:1000",
  "1000:400000:5",
  "containers:2147483647:2147483647",
  "",
}, "\n")

local SUBGID = table.concat({
  "alice:500000:65536",
  "1001:600000:7", -- bob's, by his uid; carol's *group* is 1001
  "2000:700000:8", -- carol's; bob's group is 2000
  "",
}, "\n")

local directory, paths

local function write(name, text)
  local path = directory .. "/" .. name
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

local function show(ranges)
  local words = {}
  for i, range in ipairs(ranges) do words[i] = ("%d+%d"):format(range.first, range.count) end
  return table.concat(words, " ")
end

local function ranges(owner, kind, changes)
  local options = { passwd = paths.passwd, subuid = paths.subuid, subgid = paths.subgid }
  for key, value in pairs(changes or {}) do options[key] = value end
  local list, answer = subid.ranges(owner, kind, options)
  return list and show(list), answer
end

describe("subordinate IDs", function()
  setup(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(core.sys.mkdir(directory, 448))
    paths = { passwd = write("passwd", PASSWD), subuid = write("subuid", SUBUID), subgid = write("subgid", SUBGID) }
  end)

  teardown(function()
    for _, name in ipairs { "passwd", "passwd2", "group", "subuid", "subgid", "other", "getsubids" } do
      os.remove(directory .. "/" .. name)
    end
    assert(os.remove(directory))
  end)

  describe("in files", function()
    it("are all ranges of a user, in the order of the file", function()
      assert.equal("100000+65536 200000+1000 400000+5", (ranges("alice", "uid")))
    end)

    it("are the same for the user's number", function()
      assert.equal("100000+65536 200000+1000 400000+5", (ranges(1000, "uid")))
    end)

    it("tell that they come from files", function()
      local _, answer = ranges("alice", "uid")
      assert.same({ source = "files", problems = {} }, answer)
    end)

    it("are looked up by user, not by group, for groups too", function()
      assert.equal("600000+7", (ranges("bob", "gid")))
      assert.equal("600000+7", (ranges(1001, "gid")))
      assert.equal("700000+8", (ranges("carol", "gid")))
      assert.equal("500000+65536", (ranges("alice", "gid")))
    end)

    it("of root are not those of the first name in the file", function()
      assert.equal("", (ranges(0, "uid")))
      assert.equal("", (ranges("root", "uid")))
    end)

    it("can be kept for a name without an account, and for a number without a name", function()
      assert.equal("2147483647+2147483647", (ranges("containers", "uid")))
      assert.equal("5+6", (ranges(7777, "uid", { subuid = write("other", "7777:5:6\n") })))
    end)

    it("are none where there is no file", function()
      assert.equal("", (ranges("alice", "uid", { subuid = directory .. "/none" })))
    end)

    it("are an error where the file cannot be read", function()
      local list, err = subid.ranges("alice", "uid", { subuid = directory, passwd = paths.passwd })
      assert.is_nil(list)
      assert.is_true(errors.is(err))
      assert.equal(directory, err.path)
      assert.equal("EISDIR", err.code)
    end)

    it("need no newline at the end", function()
      assert.equal("1+2", (ranges("alice", "uid", { subuid = write("other", "alice:1:2") })))
    end)

    for _, bad in ipairs {
      { "alice:100000", "not of the form" },
      { "alice:100000:65536:1", "not of the form" },
      { ":100000:65536", "not of the form" },
      { "alice 100000 65536", "not of the form" },
      { "alice:0x186a0:10", "not decimal" },
      { "alice:0303240:10", "not decimal" },
      { "alice:100000:1e3", "not decimal" },
      { "alice: 100000:10", "not decimal" },
      { "alice:100000:10 ", "not decimal" },
      { "alice:-1:10", "not decimal" },
      { "alice:+5:10", "not decimal" },
      { "alice:100000:", "not decimal" },
      { "alice:99999999999:1", "too long" },
      { "alice:100000:0", "empty" },
      { "alice:4294967295:1", "beyond 4294967294" },
      { "alice:4294967294:2", "beyond 4294967294" },
      { "alice:4294967296:1", "beyond 4294967294" },
      { "alice:0:4294967296", "beyond 4294967294" },
    } do
      it(("are not taken from the line %q, which is reported"):format(bad[1]), function()
        local list, problems = files.ranges("# a comment\n\n" .. bad[1] .. "\nalice:7:8\n", "alice", 1000)
        assert.equal("7+8", show(list))
        assert.equal(1, #problems)
        assert.truthy(problems[1]:find("line 3: ", 1, true), problems[1])
        assert.truthy(problems[1]:find(bad[1] == ":100000:65536" and "not of the form" or bad[2], 1, true), problems[1])
      end)
    end

    it("name the file in which a line was skipped", function()
      local path = write("other", "nonsense\nalice:1:2\n")
      local list, answer = ranges("alice", "uid", { subuid = path })
      assert.equal("1+2", list)
      assert.same({ path .. ": line 1: not of the form owner:first:count" }, answer.problems)
    end)

    it("do not go to a user whose name begins or ends as the line's", function()
      local text = "alice2:1:1\nalic:2:1\nALICE:3:1\nxalice:4:1\n10000:5:1\n01000:6:1\n1000x:7:1\n"
      assert.equal("", show((files.ranges(text, "alice", 1000))))
    end)
  end)

  describe("are not asked for", function()
    for _, bad in ipairs {
      { "1000", '"1000" is text' }, { "", "not a user name" }, { "a:b", "not a user name" },
      { "-g", "not a user name" }, { "../alice", "not a user name" }, { "al\0ice", "NUL byte" },
      { "al\nice", "newline" }, { -1, "an integer from 0 to 4294967294" }, { 4294967295, "an integer" },
      { 4294967296, "an integer" }, { 1.5, "an integer" }, { true, "a string expected" },
    } do
      it(("of the owner %q"):format(tostring(bad[1])), function()
        local ok, message = pcall(subid.ranges, bad[1], "uid")
        assert.is_false(ok)
        assert.truthy(message:find("owner: ", 1, true), message)
        assert.truthy(message:find(bad[2], 1, true), message)
      end)
    end

    it("with a kind or an option that there is not", function()
      assert.has_error(function() subid.ranges("alice", "user") end)
      local ok, message = pcall(subid.ranges, "alice", "uid", { subuids = "/x" })
      assert.is_false(ok)
      assert.truthy(message:find("did you mean 'subuid'?", 1, true), message)
    end)
  end)

  describe("from getsubids(1)", function()
    -- A stand-in that answers as the real one does, and shows what it was asked.
    local function stand_in(body)
      local path = write("getsubids", "#!/bin/sh\n" .. body)
      assert(portable.execute("chmod 755 " .. path))
      return path
    end

    it("are its lines", function()
      local path = stand_in 'printf "0: %s 100000 65536\\n1: %s 5 6\\n" "$1" "$1"'
      local list, answer = ranges("alice", "uid", { source = "getsubids", getsubids = path })
      assert.equal("100000+65536 5+6", list)
      assert.equal("getsubids", answer.source)
    end)

    it("are none where it says that there are none", function()
      local path = stand_in 'echo "Error fetching ranges" >&2; exit 1'
      assert.equal("", (ranges("alice", "uid", { source = "getsubids", getsubids = path })))
    end)

    it("are an error where it fails in another way", function()
      for body, said in pairs {
        ["echo broken >&2; exit 3"] = "broken (exit status 3)",
        ["echo '0: alice 1'"] = "unexpected line: 0: alice 1",
        ["kill -9 $$"] = "exit status nil",
      } do
        local list, err = ranges("alice", "uid", { source = "getsubids", getsubids = stand_in(body) })
        assert.is_nil(list)
        assert.truthy(tostring(err):find(said, 1, true), tostring(err))
      end
      local list, err = ranges("alice", "uid", { source = "getsubids", getsubids = directory .. "/none" })
      assert.is_nil(list)
      assert.truthy(tostring(err):find("No such file or directory", 1, true), tostring(err))
    end)

    it("are asked for without a shell, by name, and by the user's number for groups", function()
      local log = directory .. "/other"
      write("other", "")
      local path = stand_in(('echo "$@" >> %s; echo "0: x 1 2"'):format(log))
      local odd = "a'$(id)`;"
      assert.equal("1+2", (ranges(odd, "uid", { source = "getsubids", getsubids = path })))
      -- A name that no group of this system has.
      ranges("cella-none", "gid", { source = "getsubids", getsubids = path,
        passwd = write("passwd2", "cella-none:x:1001:1:::\n") })
      local file = assert(io.open(log))
      local asked = file:read("*a")
      file:close()
      assert.equal(odd .. "\n-g cella-none\n-g 1001\n", asked)
    end)

    it("that the number 2^32 would start, are left out and reported", function()
      local path = stand_in [[
        echo "0: alice 4294967296 65536"
        echo "1: alice 0 4294967297"
        echo "2: alice 9 1"
        echo "3: alice 4294967290 6"
        echo "4: alice 4 0"
      ]]
      local list, answer = ranges("alice", "uid", { source = "getsubids", getsubids = path })
      assert.equal("9+1", list)
      assert.equal(4, #answer.problems)
    end)

    it("are asked for by a program that gets no descriptor of ours", function()
      local other = assert(io.open "/dev/null")
      assert(core.sys.dup2(core.fileno(other), 57)) -- which exec does not close
      local path = stand_in '[ -e /proc/$$/fd/57 ] && echo "0: x 1 1" || echo "0: x 2 2"'
      local list = ranges("alice", "uid", { source = "getsubids", getsubids = path })
      assert(core.sys.close(57))
      other:close()
      assert.equal("2+2", list)
    end)

    it("leave no process and no descriptor behind", function()
      local function open_descriptors()
        local count = 0
        for number = 3, 200 do count = count + (core.is_open(number) and 1 or 0) end
        return count
      end
      local path = stand_in 'echo "0: x 1 2"'
      local before = open_descriptors()
      for _ = 1, 20 do ranges("alice", "uid", { source = "getsubids", getsubids = path }) end
      assert.equal(before, open_descriptors())
    end)
  end)

  describe("on this system", function()
    it("are the same from libsubid, from getsubids and from the files", function()
      local name = os.getenv "CELLA_TEST_USER" or core.user_name((core.sys.getresuid()))
      local seen
      for _, source in ipairs { "libsubid", "getsubids", "files" } do
        for _, kind in ipairs { "uid", "gid" } do
          local list, answer = subid.ranges(name, kind, { source = source })
          if list then
            assert.equal(source, answer.source)
            seen = seen or {}
            seen[kind] = seen[kind] or show(list)
            assert.equal(seen[kind], show(list))
          else
            assert.truthy(tostring(answer):find("not installed", 1, true), tostring(answer))
          end
        end
      end
      assert.is_table(seen)
    end)

    it("come from libsubid where it is installed", function()
      local list, message, absent = core.subid_ranges("root", "uid")
      if not list then
        assert.is_true(absent, message)
        return pending("libsubid is not installed")
      end
      local _, answer = subid.ranges("root", "uid")
      assert.equal("libsubid", answer.source)
    end)

    it("are looked up by user in libsubid and getsubids too, which themselves take the group's number", function()
      if core.sys.getresuid() ~= 0 then return pending("needs root, to put other files over those in /etc") end
      write("group", "root:x:0:\nalice:x:1000:\nbob:x:2000:\ncarol:x:1001:\n")
      local script = [[
        set -e
        for name in passwd group subuid subgid; do mount --bind "$0/$name" "/etc/$name"; done
        exec "$1" -e '
          local core, subid = require "cella.core", require "cella.subid"
          for _, source in ipairs { "files", "libsubid", "getsubids" } do
            for _, owner in ipairs { "alice", 1000, "bob", 1001, "carol", 2000, "root" } do
              for _, kind in ipairs { "uid", "gid" } do
                local words = {}
                local list, answer = subid.ranges(owner, kind, { source = source })
                if not list then words[1] = tostring(answer) list = {} end
                for _, range in ipairs(list) do
                  words[#words + 1] = ("%d+%d"):format(range.first, range.count)
                end
                print(source, owner, kind, table.concat(words, " "))
              end
            end
          end
          print("naive", "bob", "gid", (core.subid_ranges("bob", "gid") or { { first = "none" } })[1].first)'
      ]]
      local unshare = program.find "unshare"
      if not unshare then return pending("no unshare(1)") end
      local result = assert(program.run { unshare, "--mount", "/bin/sh", "-c", script, directory,
        assert(portable.path()) })
      if result.stderr:find("unshare failed", 1, true) then return pending("needs CAP_SYS_ADMIN: " .. result.stderr) end
      assert.equal("", result.stderr)
      local seen = {}
      for source, owner, kind, found in result.stdout:gmatch("(%S+)\t(%S+)\t(%S+)\t([^\n]*)\n") do
        seen[source] = (seen[source] or "") .. ("%s %s: %s\n"):format(owner, kind, found)
      end
      assert.truthy(seen.files:find("bob gid: 600000+7\n", 1, true), seen.files)
      for _, source in ipairs { "libsubid", "getsubids" } do
        if not seen[source]:find("not installed", 1, true) then assert.equal(seen.files, seen[source]) end
      end
      -- The control: asked as it wants to be asked, libsubid gives bob what is carol's. Later ones do not.
      if not seen.libsubid:find("not installed", 1, true) then
        assert.truthy(seen.naive == "bob gid: 700000\n" or seen.naive == "bob gid: 600000\n", seen.naive)
      end
    end)

    it("are asked for by a program all of whose streams are read to their ends", function()
      local result = assert(program.run { "/bin/sh", "-c", [[
        exec >&-; sleep 0.1; echo one >&2; sleep 0.1; echo two >&2; exit 3]] })
      assert.equal("one\ntwo\n", result.stderr)
      assert.equal(3, result.code)
    end)

    it("leave the standard error to the program: libsubid does not write there", function()
      local path = assert(portable.path())
      local result = assert(program.run { path, "-e", [[
        local core = require "cella.core"
        for _, name in ipairs { "nobody", "no such", "" } do core.subid_ranges(name, "gid") end]] })
      assert.equal("", result.stderr)
      assert.equal(0, result.code)
    end)
  end)

  describe("and users", function()
    it("are read from passwd(5), strictly", function()
      local users = files.users(PASSWD .. "+nis::::::\nbad:x:08:0::/:/x\nbad:x:-1:0::/:/x\nbad:x:4294967296:0::/:/x\n"
        .. "short:x:5:5\n#comment:x:1:1::/:/x\nlast:x:9:9:::")
      local names = {}
      for i, user in ipairs(users) do names[i] = user.name .. user.uid .. "/" .. user.gid end
      assert.equal("root0/0 alice1000/1000 bob1001/2000 carol2000/1001 last9/9", table.concat(names, " "))
    end)

    it("are an error where there is no file", function()
      local users, err = subid.users(directory .. "/none")
      assert.is_nil(users)
      assert.equal("ENOENT", err.code)
    end)
  end)
end)

describe("the lock under which IDs are handed out", function()
  it("is one descriptor's at a time, and ends with it", function()
    local path = os.tmpname()
    local one, two = assert(core.open(path, "rdwr")), assert(core.open(path, "rdwr"))
    assert.is_true(core.flock(one:number()))
    assert.is_false(core.flock(two:number()))
    one:close()
    assert.is_true(core.flock(two:number()))
    two:close()
    os.remove(path)
  end)

  it("of what is no descriptor is an error", function()
    local ok, message, errno = core.flock(987)
    assert.is_nil(ok)
    assert.truthy(message:find("flock", 1, true))
    assert.equal("EBADF", core.errno_name(errno))
    assert.has_error(function() core.flock(-1) end)
  end)
end)
