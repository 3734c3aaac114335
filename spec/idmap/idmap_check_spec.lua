-- cella.idmap.check: what the kernel will say to a map. Each row of the rules is predicted and then tried, on this
-- kernel and as this user, whoever that is; a prediction that agrees by chance is no risk, as the rows are run by root,
-- by root without some of its capabilities, by a user, and inside a namespace.

local core = require "cella.core"
local check = require "cella.idmap.check"
local host = require "cella.host"
local idmap = require "cella.idmap"
local portable = require "spec.support.portable"
local program = require "cella.subid.program"
local outside = require "spec.support.trial"
local trial = require "spec.support.map_trial"

local before = outside.snapshot()
local facts = host.facts()
local uid, gid = facts.uid, facts.gid
local privileged = facts.capabilities.setuid and facts.capabilities.setgid and facts.capabilities.setfcap
  and facts.capabilities.sys_admin
local LUA = portable.path()

local function readable(text)
  text = #text > 60 and text:sub(1, 40) .. ("... (%d bytes)"):format(#text) or text
  return (text:gsub("[%c\128-\255]", function(c) return ("\\%d"):format(c:byte()) end))
end

local function lines(count, first, step)
  local list = {}
  for i = 0, count - 1 do list[i + 1] = ("%d %d 1"):format(first + i * step, first + i * step) end
  return table.concat(list, "\n")
end

-- Predicts, tries and compares. `expected` is the rule's verdict, for those who know it: the kernel has the last word.
local function compare(row, expected, current)
  local report = trial.prediction(row, current)
  local verdict, map, said = trial.kernel(row)
  assert.equal(verdict, report.verdict, ("the kernel: %s %s\n%s"):format(verdict, said or "", tostring(report)))
  if expected then assert.equal(expected, verdict) end
  if verdict == "accepted" then
    if map then assert.equal(map, report.map) end
  else
    assert.is_nil(report.map and not (row.situation or {}).writes and report.map or nil)
    assert.is_string(report.remedy)
  end
  assert.is_string(report.rule)
  return report
end

local function has_warning(report, code)
  for _, warning in ipairs(report.warnings) do
    if warning.code == code then
      assert.truthy(#warning.message > 20 and #warning.remedy > 5)
      return true
    end
  end
  return false
end

describe("the check of a map", function()
  do
    local probe, why = trial.waiting()
    if not probe then
      pending("needs user namespaces, and making one fails with " .. core.errno_name(why))
      return
    end
    trial.finish(probe)
  end
  -- Most rows vary a map of one's own ID.
  if uid == 0 and not facts.capabilities.setfcap then
    pending("needs CAP_SETFCAP, as root may not map itself without")
    return
  end

  -- The text of one range that this user may write, around which the others are made.
  local own = { uid = ("0 %d 1"):format(uid), gid = ("0 %d 1"):format(gid) }

  local long = lines(180, 1000000000, 2)
  local texts = {
    -- how the text is written
    { own.uid, "accepted" }, { own.uid .. "\n", "accepted" }, { ("\t0\v%d\f1 \r\n"):format(uid), "accepted" },
    { (" 0 00%d 01"):format(uid), "accepted" }, { ("0\160%d\160\1601"):format(uid), "accepted" },
    { "", "EINVAL" }, { "\n", "EINVAL" }, { "\n" .. own.uid, "EINVAL" }, { own.uid .. "\n\n", "EINVAL" },
    { own.uid .. "\n \n", "EINVAL" }, { " ", "EINVAL" }, { "0 0", "EINVAL" }, { "0", "EINVAL" }, { "x", "EINVAL" },
    { own.uid .. " 1", "EINVAL" }, { own.uid .. " x", "EINVAL" }, { own.uid .. "x", "EINVAL" }, { "0,0,1", "EINVAL" },
    { "-1 0 1", "EINVAL" }, { "0 -1 1", "EINVAL" }, { "0 0 -1", "EINVAL" }, { "+0 0 1", "EINVAL" },
    { "0x0 0 1", "EINVAL" }, { "0 0 1.0", "EINVAL" }, { "1e0 0 1", "EINVAL" }, { "0 0 1\0", nil },
    { "\0" .. own.uid, "EINVAL" }, { own.uid .. "\0junk", "accepted" }, { own.uid .. "\n\0junk\n", "accepted" },
    -- size and number
    { lines(340, 1, 2), nil }, { lines(341, 1, 2), "EINVAL" }, { lines(340, 1, 2) .. "\n", nil },
    { lines(340, 1, 2) .. "\n\n", "EINVAL" }, { long, "EINVAL" }, { long:sub(1, 171 * 24 - 1), nil },
    { own.uid .. (" "):rep(4095 - #own.uid), "accepted" }, { own.uid .. (" "):rep(4096 - #own.uid), "EINVAL" },
    { own.uid .. "\0" .. ("x"):rep(4096), "EINVAL" },
    -- what the ranges are
    { "0 0 0", "EINVAL" }, { "0 0 10\n5 100 1", "EINVAL" }, { "0 0 10\n10 9 1", "EINVAL" },
    { "0 0 1\n0 0 1", "EINVAL" }, { "10 10 5\n5 15 5", nil }, { "5 5 5\n0 0 5", nil },
    { "4294967295 0 1", "EINVAL" }, { "0 4294967295 1", "EINVAL" }, { "0 0 4294967295", nil },
    { "1 0 4294967295", "EINVAL" }, { "0 1 4294967295", "EINVAL" }, { "4294967294 0 1", nil },
    { "4294967294 0 2", "EINVAL" }, { "0 4294967294 1", nil }, { "0 4294967294 2", "EINVAL" },
    { "4294967290 5 5", nil }, { "4294967290 5 6", "EINVAL" },
    -- what the kernel truncates
    { ("4294967296 %d 1"):format(uid), "accepted" }, { ("0 %d 1"):format(uid + 4294967296), "accepted" },
    { ("0 %d 4294967297"):format(uid), "accepted" }, { "0 4294967296 1", nil },
    { ("18446744073709551616 %d 1"):format(uid), "accepted" }, { "0 0 4294967296", "EINVAL" },
    { "0 8589934591 1", "EINVAL" }, { ("36893488147419103232 %d 1"):format(uid), "accepted" },
    -- which IDs
    { ("0 %d 2"):format(uid), nil }, { ("0 %d 1\n1 %d 1"):format(uid, uid + 1), nil },
    { ("0 %d 1"):format(uid + 1), nil }, { "0 100000 1", nil }, { "0 100000 65536", nil }, { "0 0 1", nil },
    { "0 0 10", nil }, { "5 4000000000 10", nil }, { ("77 %d 1"):format(uid), "accepted" },
  }

  describe("is what the kernel says to the text", function()
    for _, row in ipairs(texts) do
      it(readable(row[1]), function()
        local expected = row[2]
        -- root's own ID is the one that needs a capability
        if expected == "accepted" and uid == 0 and not facts.capabilities.setfcap then expected = nil end
        compare({ text = row[1] }, expected)
        compare({ text = row[1], situation = { kind = "gid", setgroups = "deny" } })
        compare({ text = row[1], situation = { kind = "gid" } })
        compare({ text = row[1], situation = { kind = "projid" } })
        compare({ text = row[1], situation = { writer = "self" } })
        compare({ text = row[1], situation = { writer = "self", kind = "gid" } })
        compare({ text = row[1], situation = { writer = "self", kind = "gid", setgroups = "deny" } })
      end)
    end
  end)

  it("is what the kernel says to random texts #slow", function()
    local seed = tonumber(os.getenv "CELLA_SEED") or os.time()
    math.randomseed(seed)
    local function pick(list) return list[math.random(#list)] end
    local numbers = { "0", "1", "2", "5", "10", "100", tostring(uid), tostring(uid), tostring(gid), tostring(uid + 1),
      "65535", "100000", "4294967294", "4294967295", "4294967296", "4294967297", "007", "-1", "0x5", "", "99999999999" }
    local blanks = { " ", " ", " ", "  ", "\t", "\r", "", "\v", "\160", "," }
    local ends = { "\n", "\n", "\n", "\n", "\n\n", "", " \n", "\r\n", "\0\n", "x\n" }
    local accepted = 0
    for case = 1, 1500 do
      local text = {}
      for _ = 1, pick { 1, 1, 1, 2, 3 } do
        text[#text + 1] = pick { "", "", " " }
        for i = 1, pick { 3, 3, 3, 3, 3, 3, 2, 4 } do
          text[#text + 1] = pick(numbers) .. (i < 3 and pick(blanks) or "")
        end
        text[#text + 1] = pick(ends)
      end
      text = table.concat(text)
      local row = { text = text, situation = {
        kind = pick { "uid", "uid", "gid", "projid" }, writer = pick { "parent", "parent", "self" },
        setgroups = pick { "allow", "deny" } } }
      if facts.setgroups == "deny" then row.situation.setgroups = "deny" end
      local report = trial.prediction(row, facts)
      local verdict, map = trial.kernel(row)
      local where = ("seed %d, case %d: %q, %s by %s, setgroups %s\n%s"):format(seed, case, text, row.situation.kind,
        row.situation.writer, row.situation.setgroups, tostring(report))
      assert.equal(verdict, report.verdict, where)
      if verdict == "accepted" then
        accepted = accepted + 1
        assert.equal(map, report.map, where)
      end
    end
    assert.is_true(accepted > 1, accepted .. " accepted")
  end)

  it("is what the kernel says to random maps that are values #slow", function()
    math.randomseed(os.time())
    for _ = 1, 100 do
      local extents, from, to = {}, 0, math.random(0, 3) == 0 and 0 or math.random(0, 200000)
      for i = 1, math.random(1, 12) do
        extents[i] = { inside = from, outside = to, count = math.random(1, 50) }
        from, to = from + extents[i].count + math.random(0, 2), to + extents[i].count + math.random(0, 2)
      end
      local map = idmap.new(extents)
      local report = idmap.check(map, facts)
      local text = map:text(facts.uid_map) or tostring(map)
      local verdict, written = trial.kernel { text = text }
      assert.equal(verdict, report.verdict, tostring(map) .. "\n" .. tostring(report))
      if verdict == "accepted" then assert.equal(map, written) end
    end
  end)

  describe("warns of what the kernel misreads:", function()
    it("numbers of more than 32 bits, which become others", function()
      local report = compare { text = ("4294967296 %d 1"):format(uid) }
      assert.is_true(has_warning(report, "truncated"))
      assert.equal(0, report.map:inside(uid))
      report = trial.prediction { text = "0 4294967296 1" }
      assert.truthy(report.warnings[1].message:find("becomes 0, which is root", 1, true), report.warnings[1].message)
    end)

    it("a NUL byte, behind which it sees nothing", function()
      assert.is_true(has_warning(compare { text = own.uid .. "\0 5 5 5" }, "nul"))
    end)

    it("and of nothing else", function()
      for _, warning in ipairs(compare({ text = own.uid }).warnings) do
        assert.equal("initial-root", warning.code)
        assert.equal(0, uid)
      end
    end)
  end)

  describe("knows how a write is made:", function()
    it("in two pieces, of which the first is final", function()
      local report = compare({ text = own.uid .. "\n", situation = { writes = 2 }, write = function(child, path)
        local file = assert(io.open(path, "w"))
        file:setvbuf "no"
        assert(file:write(own.uid .. "\n"))
        local _, _, errno = file:write("5 5 1\n")
        file:close()
        assert.equal(idmap.new(own.uid), idmap.of(child:pid(), "uid"))
        return core.errno_name(errno)
      end }, "EINVAL")
      assert.is_true(has_warning(report, "partial"))
    end)

    it("at an offset", function()
      local python = program.find "python3"
      if not python then return pending("needs python3, which has pwrite") end
      compare({ text = own.uid, situation = { offset = 5 }, write = function(_, path)
        local result = assert(program.run { python, "-c", [[
import errno, os, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
try:
    os.pwrite(fd, sys.argv[2].encode(), 5)
except OSError as error:
    print(errno.errorcode[error.errno])
]], path, own.uid })
        return result.stdout:match("%u+")
      end }, "ESPIPE")
    end)

    it("a second time", function()
      for _, text in ipairs { own.uid, "junk", "0 0 10" } do
        compare({ text = text, situation = { written = true }, before = function(child)
          assert(core.sys.write_file(trial.path_of(child, "uid"), own.uid))
        end }, "EPERM")
      end
    end)

    it("a second time, with too long a text", function()
      compare({ text = ("x"):rep(5000), situation = { written = true }, before = function(child)
        assert(core.sys.write_file(trial.path_of(child, "uid"), own.uid))
      end }, "EINVAL")
    end)

    it("again after one that failed", function()
      compare({ text = own.uid, before = function(child)
        assert.is_nil((core.sys.write_file(trial.path_of(child, "uid"), "junk")))
        assert.is_nil((core.sys.write_file(trial.path_of(child, "uid"), "0 0")))
      end }, "accepted")
    end)
  end)

  describe("knows to whom a write is made:", function()
    it("to a process that is gone", function()
      compare({ text = own.uid, situation = { target = "gone" } }, "ENOENT")
    end)

    it("to a zombie", function()
      compare({ text = own.uid, situation = { target = "zombie" } },
        facts.initial and (uid == 0 and "accepted" or "EACCES") or nil)
    end)

    it("to a process that is not dumpable", function()
      compare({ text = own.uid, situation = { dumpable = false }, steps = function(recorder)
        recorder:record("dumpable", false)
      end }, uid == 0 and "accepted" or "EACCES")
    end)

    it("to either, by root without CAP_DAC_OVERRIDE", function()
      if not facts.capabilities.dac_override then return pending("needs CAP_DAC_OVERRIDE") end
      trial.without({ "dac_override" }, function()
        compare({ text = own.uid, situation = { target = "zombie" } }, nil, host.facts())
        compare({ text = own.uid, situation = { dumpable = false }, steps = function(recorder)
          recorder:record("dumpable", false)
        end }, nil, host.facts())
      end)
    end)

    it("to oneself, not dumpable", function()
      compare({ text = own.uid, situation = { dumpable = false, writer = "self" }, steps = function(recorder)
        recorder:record("dumpable", false)
      end })
    end)

    it("to a process that has executed something already", function()
      local report = compare({ text = own.uid, situation = { executed = true }, write = function()
        local recorder = core.recorder()
        recorder:record("execve", { assert(program.find "sleep") }, { "sleep", "60" })
        local sleeper = assert(core.launch(recorder, { "user" }))
        assert.is_true(sleeper:wait_for_exec(10))
        local verdict = trial.write(trial.path_of(sleeper, "uid"), own.uid)
        local status = assert(io.open(("/proc/%d/status"):format(sleeper:pid())))
        assert.truthy(status:read("*a"):find("CapEff:\t0000000000000000", 1, true))
        status:close()
        sleeper:close()
        return verdict
      end, before = function(child) core.sys.write_file(trial.path_of(child, "uid"), own.uid) end }, "accepted")
      assert.is_true(has_warning(report, "executed"))
    end)

    it("to a process in the grandchild of one's namespace", function()
      compare({ text = own.uid, situation = { relation = "grandchild" }, steps = function(recorder)
        recorder:record("write_file", "/proc/self/setgroups", "deny")
        recorder:record("write_file", "/proc/self/uid_map", own.uid)
        recorder:record("write_file", "/proc/self/gid_map", own.gid)
        recorder:record("unshare", "user")
      end }, "EPERM")
    end)

    it("to a process in one's own namespace, or in the initial one", function()
      local relation = facts.initial and "initial" or "same"
      local report = trial.prediction { text = own.uid, situation = { relation = relation } }
      assert.equal("EPERM", report.verdict)
      assert.equal("EPERM", trial.write("/proc/self/uid_map", own.uid))
    end)

    it("to a process in a stranger's namespace", function()
      local target = assert(trial.waiting())
      local result = assert(program.run { assert(program.find "unshare"), "--user", "--map-root-user", LUA, "-e",
        ('print(select(3, require("cella.core").sys.write_file("/proc/%d/uid_map", "0 0 1")))'):format(target:pid()) })
      trial.finish(target)
      local errno = core.errno_name(tonumber(result.stdout:match("%d+")) or 0)
      assert.equal(trial.prediction({ text = "0 0 1", situation = { relation = "unrelated" } }).verdict, errno)
    end)
  end)

  describe("knows who writes:", function()
    it("the process itself, without CAP_SYS_ADMIN in its namespace", function()
      compare({ text = own.uid, situation = { writer = "self", admin = false }, steps = function(recorder)
        recorder:record("capset", { "setuid", "setgid" }, "all", "none")
      end }, "EPERM")
    end)

    it("the process itself, without CAP_SETUID there, which it does not need", function()
      compare({ text = own.uid, situation = { writer = "self" }, steps = function(recorder)
        recorder:record("capset", { "sys_admin" }, "all", "none")
      end }, (uid ~= 0 or facts.capabilities.setfcap) and "accepted" or "EPERM")
    end)

    for _, dropped in ipairs {
      { "setuid" }, { "setgid" }, { "setfcap" }, { "sys_admin" }, { "setuid", "setgid" }, { "dac_override" },
      { "setuid", "setgid", "setfcap", "sys_admin", "dac_override" },
    } do
      it("root without " .. table.concat(dropped, " "), function()
        if not privileged then return pending("needs CAP_SETUID and the others") end
        for _, text in ipairs { "0 0 1", "0 0 10", "0 1 1", "0 100000 10", "5 0 1\n0 5 1" } do
          for _, kind in ipairs { "uid", "gid" } do
            for _, setgroups in ipairs { "allow", "deny" } do
              for _, writer in ipairs { "parent", "self" } do
                trial.without(dropped, function()
                  compare({ text = text, situation = { kind = kind, setgroups = setgroups, writer = writer } }, nil,
                    host.facts())
                end)
              end
            end
          end
        end
      end)
    end

    it("the process itself, though its creator dropped CAP_SETFCAP after that", function()
      if not privileged or uid ~= 0 then return pending("needs root") end
      local child = assert(trial.waiting())
      local verdict = trial.without({ "setfcap" }, function()
        return trial.write(trial.path_of(child, "uid"), "0 0 1")
      end)
      trial.finish(child)
      assert.equal("EPERM", verdict)
      local current = host.facts { capabilities = { setuid = true, setgid = true, sys_admin = true } }
      assert.equal("EPERM", check.check("0 0 1", current, {}).verdict)
      assert.equal("accepted", check.check("0 0 1", current, { writer = "self", creator_setfcap = true }).verdict)
    end)

    describe("root as somebody else", function()
      local function as_user(action)
        return function()
          if not privileged or uid ~= 0 or not facts.initial then return pending("needs root") end
          return trial.as(4321, 1234, action)
        end
      end

      it("has the rights of that one", as_user(function()
        for _, text in ipairs { "0 4321 1", "0 4321 2", "0 1234 1", "0 0 1", "0 100000 10" } do
          for _, kind in ipairs { "uid", "gid" } do
            for _, setgroups in ipairs { "allow", "deny" } do
              for _, writer in ipairs { "parent", "self" } do
                compare({ text = text, situation = { kind = kind, setgroups = setgroups, writer = writer } }, nil,
                  host.facts())
              end
            end
          end
        end
      end))

      it("cannot write to its old self's namespaces", function()
        if not privileged or uid ~= 0 or not facts.initial then return pending("needs root") end
        local child = assert(trial.waiting())
        local verdict = trial.as(4321, 1234, function()
          return trial.write(trial.path_of(child, "uid"), "0 4321 1")
        end)
        trial.finish(child)
        assert.equal("EACCES", verdict)
        assert.equal("EACCES", check.check("0 4321 1", { uid = 4321, gid = 1234 }, { owner = 0 }).verdict)
      end)

      it("can write to a user's, with all capabilities", function()
        if not privileged or uid ~= 0 or not facts.initial then return pending("needs root") end
        local texts_of_others = { "0 4321 1", "0 0 10", "0 0 1", "0 100000 10" }
        for _, text in ipairs(texts_of_others) do
          local child = trial.as(4321, 1234, function() return assert(trial.waiting()) end)
          local verdict = trial.write(trial.path_of(child, "uid"), text)
          trial.finish(child)
          assert.equal(verdict, check.check(text, facts, { owner = 4321 }).verdict, text)
        end
        local child = trial.as(4321, 1234, function() return assert(trial.waiting()) end)
        local verdict = trial.without({ "sys_admin" }, function()
          return trial.write(trial.path_of(child, "uid"), "0 100000 10")
        end)
        trial.finish(child)
        local weaker = { uid = 0, gid = 0, capabilities = {
          setuid = true, setfcap = true, dac_override = facts.capabilities.dac_override } }
        assert.equal(verdict, check.check("0 100000 10", weaker, { owner = 4321 }).verdict)
      end)

      it("writes to a file that another one opened, with the rights of both", function()
        if not privileged or uid ~= 0 or not facts.initial or not facts.capabilities.dac_override then
          return pending("needs root with CAP_DAC_OVERRIDE")
        end
        local user = { uid = 4321, gid = 1234, capabilities = {} }
        local root = { uid = 0, gid = 0, capabilities = facts.capabilities }
        local outcomes = {}
        for _, text in ipairs { "0 4321 1", "0 100000 10", "0 0 1" } do
          for _, way in ipairs { "opened by the user, written by root", "opened by root, written by the user" } do
            local by_user = way:find("^opened by the user")
            local child = trial.as(4321, 1234, function() return assert(trial.waiting()) end)
            local file, verdict
            local function open() file = assert(io.open(trial.path_of(child, "uid"), "w")) end
            local function put() verdict = trial.flush(file, text) end
            if by_user then
              trial.as(4321, 1234, open)
              put()
            else
              open()
              trial.as(4321, 1234, put)
            end
            file:close()
            trial.finish(child)
            local writer = by_user and facts or { uid = 4321, gid = 1234 }
            local report = check.check(text, writer, { owner = 4321, opener = by_user and user or root })
            assert.equal(verdict, report.verdict, way .. ": " .. text .. "\n" .. tostring(report))
            outcomes[#outcomes + 1] = verdict
          end
        end
        assert.same({ "accepted", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM" }, outcomes)
      end)
    end)
  end)

  describe("knows what the parent namespace has:", function()
    -- The rows are tried by a process inside a namespace whose map has two extents that continue each other inside.
    local function inside(maps, body)
      local Plan = require "cella.plan"
      local plan = Plan.new { namespaces = { "user" }, ids = maps }
      if maps.uid:outside(0) then
        plan:setresgid(0, 0, 0)
        plan:setresuid(0, 0, 0)
      end
      plan:exec { LUA, "-e", body, stdout = "capture", stderr = "capture" }
      local result, err = plan:run { timeout = 30 }
      assert(result, tostring(err))
      assert.equal(0, result.code, result.stdout .. result.stderr)
      return result.stdout
    end

    local script = [[
      local outside = require "spec.support.trial"
local trial = require "spec.support.map_trial"
      local facts = require("cella.host").facts()
      local accepted, refused = 0, 0
      for _, text in ipairs { "0 0 1", "0 0 10", "0 0 1\n1 1 9", "5 1 9", "5 1 8\n0 0 1", "5 1 10", "0 10 1", "0 0 11",
        "0 4294967294 1", "0 5 1", "9 4 3" } do
        for _, writer in ipairs { "parent", "self" } do
          for _, kind in ipairs { "uid", "gid", "projid" } do
            local row = { text = text, inherits = facts.setgroups == "deny",
              situation = { writer = writer, kind = kind, setgroups = facts.setgroups } }
            local report = trial.prediction(row, facts)
            local verdict, map = trial.kernel(row)
            if verdict ~= report.verdict or map and verdict == "accepted" and map ~= report.map then
              print(("%q %s %s: the kernel says %s"):format(text, writer, kind, verdict), tostring(report))
            end
            if verdict == "accepted" then accepted = accepted + 1 else refused = refused + 1 end
          end
        end
      end
      print(accepted > 8, refused > 8)]]

    it("IDs that are in its map, each range in one of its ranges, as root there", function()
      local policy = require "cella.policy"
      local result
      if privileged then
        result = policy.range { uid = "0 1000 1\n1 100000 9", gid = "0 1000 1\n1 100000 9" }(facts)
      elseif #facts.subuid > 0 and facts.subuid[1].count > 20 and #facts.subgid > 0 then
        local first, group = facts.subuid[1].first, facts.subgid[1].first
        result = policy.range { uid = ("0 %d 1\n1 %d 9"):format(uid, first),
          gid = ("0 %d 1\n1 %d 9"):format(gid, group) }(facts)
      end
      if not result then return pending("needs two ranges: CAP_SETUID, or subordinate IDs") end
      assert.equal("true\ttrue\n", inside({ uid = result.uid, gid = result.gid, via = result.via,
        setgroups = result.setgroups, helper = result.helper }, script))
    end)

    it("one's own ID alone, where nothing else is mapped", function()
      local result = assert(require("cella.policy").root()(facts))
      local out = inside({ uid = result.uid, gid = result.gid, via = result.via, setgroups = result.setgroups },
        (script:gsub("accepted > 8", "accepted > 2")))
      assert.equal("true\ttrue\n", out)
    end)
  end)

  describe("knows newuidmap and newgidmap:", function()
    local function helper_row(kind, text, changes)
      local row = { text = text, situation = { writer = "helper", kind = kind } }
      for key, value in pairs(changes or {}) do
        if key == "situation" then
          for name, setting in pairs(value) do row.situation[name] = setting end
        else
          row[key] = value
        end
      end
      return row
    end

    local function with_helpers(body)
      return function()
        if facts.login_gid ~= gid and not facts.grants_other_groups then
          compare(helper_row("uid", own.uid), "refused")
          return compare(helper_row("gid", own.gid), "refused")
        end
        if not (facts.newuidmap and facts.newgidmap) then return pending("needs newuidmap and newgidmap") end
        if not facts.initial then return pending("needs the initial namespace") end
        return body()
      end
    end

    local function with_subids(body)
      return with_helpers(function()
        if #facts.subuid == 0 or #facts.subgid == 0 or facts.subuid[1].count < 2000 or uid == 0 then
          return pending("needs an unprivileged user with subordinate IDs")
        elseif facts.no_new_privs or not facts.bounding.setuid or facts.login_gid ~= gid then
          return pending("needs helpers that get their privileges")
        end
        return body(facts.subuid[1].first, facts.subuid[1].count)
      end)
    end

    it("the own ID, without any subordinate one", with_helpers(function()
      compare(helper_row("uid", own.uid), "accepted")
      local report = compare(helper_row("gid", own.gid), "accepted")
      assert.is_false(has_warning(report, "groups-droppable")) -- it denies setgroups itself
    end))

    it("IDs of others", with_helpers(function()
      for _, text in ipairs {
        ("0 %d 2"):format(uid), "0 4000000000 1", ("0 %d 1\n1 4000000000 1"):format(uid), "0 0 4294967295", "0 0 0",
        "0 4294967294 1",
      } do
        compare(helper_row("uid", text), "refused")
        compare(helper_row("gid", text), "refused")
      end
    end))

    it("numbers as it reads them: octal and hexadecimal too, negative and larger ones not", with_helpers(function()
      for _, text in ipairs {
        ("0 0x%x 1"):format(uid), ("0 0%o 1"):format(uid), ("0 0X%X 1"):format(uid), ("00 %d 0x1"):format(uid),
        ("0 %d 01"):format(uid), "0 4294967296 1", ("0 %d 1"):format(uid + 4294967296), ("-1 %d 1"):format(uid),
        ("4294967295 %d 1"):format(uid), ("4294967294 %d 1"):format(uid), ("0 %d 4294967295"):format(uid),
        "x 0 1", ("0 %d"):format(uid), ("0 %d 1 1"):format(uid), "", ("0 %d 1.0"):format(uid), ("08 %d 1"):format(uid),
      } do
        compare(helper_row("uid", text))
      end
    end))

    it("and warns where a number is not what it looks like", with_helpers(function()
      local report = trial.prediction(helper_row("uid", ("010 %d 1"):format(uid)))
      assert.equal("accepted", report.verdict)
      assert.is_true(has_warning(report, "base"))
      assert.equal(8, report.map:inside(uid))
    end))

    it("a process that is gone", with_helpers(function()
      compare(helper_row("uid", own.uid, { situation = { target = "gone" } }), "refused")
    end))

    it("a process that is not dumpable, which is nothing to them", with_helpers(function()
      compare(helper_row("uid", own.uid, { situation = { dumpable = false }, steps = function(recorder)
        recorder:record("dumpable", false)
      end }), (not facts.no_new_privs or uid == 0) and "accepted" or "EACCES")
    end))

    it("a zombie, which is nothing to them either", with_helpers(function()
      compare(helper_row("uid", own.uid, { situation = { target = "zombie" } }),
        (not facts.no_new_privs or uid == 0) and "accepted" or "EACCES")
    end))

    it("a namespace that has its map", with_helpers(function()
      compare(helper_row("uid", own.uid, { situation = { written = true }, before = function(child)
        assert(core.sys.write_file(trial.path_of(child, "uid"), own.uid))
      end }), "EPERM")
    end))

    it("subordinate IDs, in any ranges", with_subids(function(first, count)
      local last = first + count - 1
      for text, expected in pairs {
        [("0 %d %d"):format(first, count)] = "accepted", [("0 %d 1"):format(last)] = "accepted",
        [("0 %d 2"):format(last)] = "refused", [("0 %d 2"):format(first - 1)] = "refused",
        [("0 %d 1\n1 %d 10"):format(uid, first)] = "accepted",
        [("0 %d 10\n5 %d 1"):format(first, first + 20)] = "EINVAL",
        [("0 %d 10\n20 %d 1"):format(first, first + 5)] = "EINVAL",
      } do
        compare(helper_row("uid", text), expected)
      end
    end))

    it("subordinate IDs, up to the size of a page with its newlines, and to 340 ranges", with_subids(function(first)
      local function many(n, inside)
        local list = {}
        for i = 0, n - 1 do list[i + 1] = ("%d %d 1"):format(inside + 2 * i, first + 2 * i) end
        return table.concat(list, "\n")
      end
      for _, n in ipairs { 5, 6, 150, 200, 256, 257, 292, 293, 300, 340, 341 } do
        compare(helper_row("uid", many(n, 1)))
      end
      for _, n in ipairs { 150, 195, 196, 204, 205, 220 } do compare(helper_row("uid", many(n, 1000000))) end
      -- To the byte: the helper ends the last line too, and the kernel takes 4095.
      for size = 4093, 4098 do
        -- As many lines with six digits inside as fit; seven digits in some of them make up for the rest.
        local list, bytes = {}, 0
        local function line(i, inside) return ("%d %d 1"):format(inside + 2 * i, first + 2 * i) end
        while bytes + #line(#list, 100000) + 1 <= size do
          list[#list + 1] = line(#list, 100000)
          bytes = bytes + #list[#list] + 1
        end
        for i = 1, size - bytes do list[i] = line(i - 1, 1000000) end
        bytes = #table.concat(list, "\n") + 1
        assert.equal(size, bytes)
        compare(helper_row("uid", table.concat(list, "\n")), size <= 4095 and "accepted" or "EINVAL")
      end
    end))

    it("subordinate gids, which leave setgroups as it is", with_subids(function()
      local first = facts.subgid[1].first
      for _, text in ipairs { ("0 %d 10"):format(first), ("0 %d 1\n1 %d 10"):format(gid, first) } do
        local row = helper_row("gid", text, { steps = nil })
        compare(row, "accepted")
      end
      -- With several groups, those could be dropped then.
      local current = host.facts { groups = { gid, 5 }, capabilities = {} }
      local report = check.check(("0 %d 1\n1 %d 10"):format(gid, first), current, { writer = "helper", kind = "gid" })
      assert.is_true(has_warning(report, "groups-droppable"))
      report = check.check(own.gid, current, { writer = "helper", kind = "gid" })
      assert.is_false(has_warning(report, "groups-droppable"))
    end))

    it("no_new_privs, which leaves them nothing but the own uid", with_helpers(function()
      local setpriv = program.find "setpriv"
      if not setpriv then return pending("needs setpriv(1)") end
      local texts_tried = { { "uid", own.uid }, { "gid", own.gid }, { "uid", ("7 %d 1"):format(uid) } }
      if #facts.subuid > 0 then
        texts_tried[4] = { "uid", ("0 %d 10"):format(facts.subuid[1].first) }
        texts_tried[5] = { "uid", ("0 %d 1\n1 %d 10"):format(uid, facts.subuid[1].first) }
      end
      for _, case in ipairs(texts_tried) do
        local result = assert(program.run { setpriv, "--no-new-privs", "--", LUA, "-e", ([[
          local outside = require "spec.support.trial"
local trial = require "spec.support.map_trial"
          local function try(situation, steps)
            situation.writer, situation.kind = "helper", %q
            local row = { text = %q, situation = situation, steps = steps }
            print(trial.prediction(row).verdict, (trial.kernel(row)))
          end
          try {}
          try { target = "zombie" }
          try({ dumpable = false }, function(recorder) recorder:record("dumpable", false) end)]]):format(
          case[1], case[2]) })
        local count = 0
        for predicted, actual in result.stdout:gmatch("(%S+)\t(%S+)\n") do
          count = count + 1
          assert.equal(actual, predicted, case[1] .. " " .. case[2] .. ", " .. count)
        end
        assert.equal(3, count, result.stderr)
      end
    end))
  end)

  describe("knows the file setgroups:", function()
    local rows = {
      { "deny", "accepted" }, { "deny\n", "accepted" }, { "deny   ", "accepted" }, { "deny\t\n ", "accepted" },
      { "deny   \n", "EINVAL" }, { "allow", nil }, { "allow\n", nil }, { "allow \n", nil }, { "allow  \n", "EINVAL" },
      { "Deny", "EINVAL" }, { "DENY", "EINVAL" }, { "", "EINVAL" }, { "\n", "EINVAL" }, { " deny", "EINVAL" },
      { "denyx", "EINVAL" }, { "den", "EINVAL" }, { "no", "EINVAL" }, { "deny\0x", "accepted" }, { "\0deny", "EINVAL" },
    }

    local function attempt(text, prepare)
      local child = assert(trial.waiting())
      local path = ("/proc/%d/setgroups"):format(child:pid())
      if prepare then prepare(child, path) end
      local verdict = trial.write(path, text)
      trial.finish(child)
      return verdict
    end

    local function agree(text, options, prepare)
      local verdict = attempt(text, prepare)
      local report = check.setgroups(text, facts, options)
      assert.equal(verdict, report.verdict, report.rule)
      assert.is_string(report.rule)
      assert.equal(verdict ~= "accepted", report.remedy ~= nil)
      return verdict
    end

    for _, row in ipairs(rows) do
      it(("%q"):format(readable(row[1])), function()
        local verdict = agree(row[1])
        if row[2] then assert.equal(row[2], verdict) end
        agree(row[1], { setgroups = "deny" }, function(_, path) assert(core.sys.write_file(path, "deny")) end)
      end)
    end

    it("allow, which is final the other way round", function()
      assert.equal("EPERM", agree("allow", { setgroups = "deny" }, function(_, path)
        assert(core.sys.write_file(path, "deny"))
      end))
    end)

    it("after the gid map is written", function()
      local function with_map(child, path)
        if not facts.capabilities.setgid then assert(core.sys.write_file(path, "deny")) end
        assert(core.sys.write_file(trial.path_of(child, "gid"), own.gid))
      end
      local state = facts.capabilities.setgid and facts.setgroups or "deny"
      assert.equal("EPERM", agree("deny", { gid_written = true, setgroups = state }, with_map))
      agree("allow", { gid_written = true, setgroups = state }, with_map)
    end)

    it("where it was denied above", function()
      local result = assert(program.run { assert(program.find "unshare"), "--user", "--map-root-user", LUA, "-e", [[
        local trial, check = require "spec.support.map_trial", require "cella.idmap.check"
        local child = trial.waiting()
        for _, text in ipairs { "allow", "deny" } do
          print(trial.write(("/proc/%d/setgroups"):format(child:pid()), text),
            check.setgroups(text, require("cella.host").facts()).verdict)
        end]] })
      assert.equal("EPERM\tEPERM\naccepted\taccepted\n", result.stdout, result.stderr)
    end)

    it("without CAP_SYS_ADMIN in the namespace", function()
      local recorder = core.recorder()
      recorder:record("capset", { "setgid" }, "all", "none")
      recorder:record("write_file", "/proc/self/setgroups", "deny")
      local child = assert(core.launch(recorder, { "user" }))
      local ok, step, errno = child:wait_for_exec(10)
      child:close()
      assert.is_false(ok)
      assert.equal(2, step)
      assert.equal(core.errno_name(errno), check.setgroups("deny", facts, { admin = false }).verdict)
    end)
  end)

  describe("knows setgroups(2):", function()
    local function attempt(groups, steps)
      local recorder = core.recorder()
      steps(recorder)
      recorder:record("setgroups", groups)
      local number = recorder:size()
      local child = assert(core.launch(recorder, { "user" }))
      local ok, step, errno = child:wait_for_exec(10)
      child:close()
      if ok then return "accepted" end
      assert.equal(number, step)
      return core.errno_name(errno)
    end

    it("before the gid map is there", function()
      local verdict = attempt({}, function() end)
      assert.equal("EPERM", verdict)
      assert.equal(verdict, check.call_setgroups({}, facts, {}).verdict)
    end)

    it("where it is denied", function()
      local verdict = attempt({}, function(recorder)
        recorder:record("write_file", "/proc/self/setgroups", "deny")
        recorder:record("write_file", "/proc/self/gid_map", own.gid)
      end)
      assert.equal("EPERM", verdict)
      assert.equal(verdict, check.call_setgroups({}, facts, { setgroups = "deny", map = own.gid }).verdict)
    end)

    it("with more groups than the kernel has room for", function()
      local many = {}
      for i = 1, 65537 do many[i] = 0 end
      assert.equal("EINVAL", check.call_setgroups(many, { uid = 0, gid = 0 }, { map = "0 0 1" }).verdict)
    end)

    it("where it is allowed: with groups that are mapped, and CAP_SETGID", function()
      if not privileged or facts.setgroups == "deny" or not facts.gid_map:covers(100000, 10) then
        return pending("needs CAP_SETGID, and the gids from 100000 on")
      end
      for _, case in ipairs {
        { {} }, { { 0 } }, { { 5 } }, { { 0, 9 } }, { { 10 } }, { { 0, 4294967294 } }, { {}, false }, { { 0 }, false },
      } do
        local recorder = core.recorder()
        recorder:record "await"
        if case[2] == false then recorder:record("capset", { "setuid" }, "all", "none") end
        recorder:record("setgroups", case[1])
        local child = assert(core.launch(recorder, { "user" }))
        child:ready()
        assert(core.sys.write_file(trial.path_of(child, "gid"), "0 100000 10"))
        child:release()
        local ok, _, errno = child:wait_for_exec(10)
        child:close()
        local verdict = ok and "accepted" or core.errno_name(errno)
        assert.equal(verdict, check.call_setgroups(case[1], facts, { map = "0 100000 10", setgid = case[2] }).verdict)
      end
    end)
  end)
end)

describe("the warnings about a map", function()
  local user = {
    uid = 1000, gid = 1000, user = "alice", groups = { 1000, 27, 44 }, newuidmap = "/x", newgidmap = "/x",
    subuid = { { first = 100000, count = 65536 } }, subgid = { { first = 100000, count = 65536 } },
    users = { { name = "root", uid = 0, gid = 0 }, { name = "alice", uid = 1000, gid = 1000 },
      { name = "bob", uid = 1001, gid = 1001 }, { name = "daemon", uid = 7, gid = 7 },
      { name = "nobody", uid = 65534, gid = 65534 }, { name = "carol", uid = 59999, gid = 1001 },
      { name = "robot", uid = 60000, gid = 60000 } },
  }
  local root = {
    uid = 0, gid = 0, user = "root", groups = { 0 }, users = user.users,
    capabilities = { setuid = true, setgid = true, setfcap = true, sys_admin = true },
  }

  local function codes(map, facts_given, options)
    local report = idmap.check(map, facts_given, options)
    assert.equal("accepted", report.verdict, tostring(report))
    local list = {}
    for i, warning in ipairs(report.warnings) do
      list[i] = warning.code
      assert.is_string(warning.message)
      assert.is_string(warning.remedy)
    end
    return table.concat(list, " "), report
  end

  it("are none for one's own ID, and for root over IDs that nobody has", function()
    assert.equal("", (codes("0 1000 1", user)))
    assert.equal("", (codes("1000 1000 1", user, { writer = "self" })))
    assert.equal("", (codes("0 1000 1\n1 100000 65536", user, { writer = "helper" })))
  end)

  it("name the initial namespace's root", function()
    local found, report = codes("5 0 1", root)
    assert.equal("initial-root", found)
    assert.truthy(report.warnings[1].message:find("uid 5 inside is the initial namespace's root outside", 1, true))
    assert.equal("initial-root", (codes("0 0 1", root, { kind = "gid" })))
    local inner = { uid = 0, gid = 0, uid_map = "0 100000 65536", capabilities = root.capabilities }
    found, report = codes("0 0 1", inner)
    assert.equal("initial-root", found)
    assert.truthy(report.warnings[1].message:find("the parent namespace's root", 1, true))
  end)

  it("name another person's ID, but no system account's, and nobody's twice", function()
    local found, report = codes("0 1 999\n1500 1001 1", root)
    assert.equal("other-user creator-unmapped", found)
    assert.equal("uid 1500 inside is bob outside, and may do to bob's files what bob may", report.warnings[1].message)
    found, report = codes("0 1 70000", root)
    assert.equal("other-user creator-unmapped", found)
    assert.truthy(report.warnings[1].message:find("alice outside.*; other users who are mapped: 2$"))
    found, report = codes("0 1 70000", root, { kind = "gid" })
    assert.equal("other-user creator-unmapped", found)
    assert.truthy(report.warnings[1].message:find("alice outside.*; other users who are mapped: 1$"))
    assert.equal("creator-unmapped", (codes("0 60000 10", root)))
  end)

  it("name another container with which IDs are shared", function()
    local others = { idmap.new "0 200000 10", { name = "web", map = idmap.new "0 100005 10\n50 300000 5" } }
    local found, report = codes("0 100000 10\n99 300004 1", root, { others = others })
    assert.equal("shared creator-unmapped", found)
    local message = report.warnings[1].message
    assert.truthy(message:find("web has uids 100005 to 100009 too", 1, true), message)
    assert.equal("creator-unmapped", (codes("0 100000 5", root, { others = others })))
    assert.equal("shared shared creator-unmapped", (codes("0 100000 200000", root, { others = others })))
  end)

  it("name IDs beyond those of the owner", function()
    local mine = { { first = 100000, count = 10 } }
    assert.equal("creator-unmapped", (codes("0 100000 10", root, { ranges = mine })))
    local found, report = codes("0 100000 11", root, { ranges = mine })
    assert.equal("beyond-owner creator-unmapped", found)
    assert.truthy(report.warnings[1].message:find("uids 100010 outside", 1, true), report.warnings[1].message)
    assert.equal("", (codes("0 100000 10\n50 1000 1", user, { writer = "helper",
      ranges = { { first = 100000, count = 65536 } } })))
  end)

  it("name groups that can be dropped", function()
    local found, report = codes("0 1000 1\n1 100000 10", user, { kind = "gid", writer = "helper" })
    assert.equal("groups-droppable", found)
    assert.truthy(report.warnings[1].message:find("27, 44", 1, true))
    assert.equal("", (codes("0 1000 1\n1 100000 10", user, { kind = "gid", writer = "helper", setgroups = "deny" })))
    assert.equal("", (codes("0 1000 1", user, { kind = "gid", writer = "helper" })))
    -- newgidmap denies setgroups for one's own group, unless that is a subordinate one as well.
    local lent = {}
    for name, value in pairs(user) do lent[name] = value end
    lent.subgid = { { first = 1000, count = 1 } }
    assert.equal("groups-droppable", (codes("0 1000 1", lent, { kind = "gid", writer = "helper" })))
    assert.equal("", (codes("0 1000 1", user, { kind = "gid", setgroups = "deny" })))
    -- Who may drop groups anyway loses nothing.
    local member = {}
    for name, value in pairs(root) do member[name] = value end
    member.groups = { 0, 5 }
    assert.equal("initial-root", (codes("0 0 1", member, { kind = "gid" })))
  end)

  it("name a creator who is not mapped, and acts as before until it switches", function()
    assert.equal("creator-unmapped", (codes("0 100000 10", user, { writer = "helper" })))
    assert.equal("", (codes("0 5 5", root, { kind = "projid" })))
  end)
end)

describe("a report", function()
  local user = { uid = 1000, gid = 1000 }

  it("prints as a person would read it", function()
    assert.equal(table.concat({
      "uid_map: EPERM: mapping IDs other than your own (uid 1000, one of them) needs CAP_SETUID over the parent "
        .. "namespace",
      "  remedy: use newuidmap(1) with subordinate IDs (subuid(5)), or map your own ID alone",
    }, "\n"), tostring(idmap.check("0 1000 2", user)))
    local text = tostring(idmap.check("4294967296 1000 1", user))
    assert.truthy(text:find("\n  warning (truncated): range 1: the kernel cuts inside 4294967296", 1, true), text)
    assert.truthy(text:find("\n    remedy: ", 1, true), text)
  end)

  it("says which ranges overlap, and where", function()
    local report = idmap.check("0 0 10\n20 5 1\n9 100 5", { uid = 0, gid = 0 })
    assert.equal("EINVAL", report.verdict)
    assert.equal("ranges 1 and 2 overlap (outside) at ID 5", report.rule)
  end)

  it("knows that the helper's map has its limits too", function()
    local owner = { uid = 7, gid = 7, newuidmap = "/x", newgidmap = "/x", subuid = { { first = 1, count = 2000 } } }
    assert.equal("accepted", idmap.check(lines(340, 1, 2), owner, { writer = "helper" }).verdict)
    local report = idmap.check(lines(341, 1, 2), owner, { writer = "helper" })
    assert.equal("341 ranges; the kernel allows 340", report.rule)
    assert.equal("EINVAL", report.verdict)
    report = idmap.check("0 -5 1", owner, { writer = "helper" })
    assert.equal('range 1: -5 is negative ("subuid overflow detected")', report.rule)
    report = idmap.check("0 x 1", owner, { writer = "helper" })
    assert.equal('range 1: the helper does not take "x" for a number', report.rule)
  end)

  it("says which ID does not exist, and what does", function()
    local inner = { uid = 0, gid = 0, capabilities = { setuid = true, setfcap = true }, uid_map = "0 1000 10" }
    assert.equal("uid 10 does not exist in the parent namespace, whose map is '0 1000 10'",
      idmap.check("0 9 5", inner).rule)
  end)

  it("has setgroups denied where the namespace above denies it", function()
    local inner = { uid = 1000, gid = 1000, setgroups = "deny" }
    assert.equal("accepted", idmap.check("0 1000 1", inner, { kind = "gid", setgroups = "allow" }).verdict)
    inner.setgroups = "allow"
    assert.equal("EPERM", idmap.check("0 1000 1", inner, { kind = "gid", setgroups = "allow" }).verdict)
  end)

  it("is for a map in any form", function()
    for _, map in ipairs {
      "0 1000 1", idmap.new "0 1000 1", { inside = 0, outside = 1000, count = 1 },
      { { inside = 0, outside = 1000, count = 1 } },
    } do
      assert.equal("accepted", idmap.check(map, user).verdict)
    end
  end)

  it("is made of situations that there are", function()
    for _, bad in ipairs {
      { kind = "pid" }, { writer = "root" }, { setgroups = true }, { owner = -1 }, { target = "dead" }, { writes = 0 },
      { writers = "self" }, { kind = "projid", writer = "helper" }, { ranges = { {} } }, { relation = "sibling" },
    } do
      assert.has_error(function() idmap.check("0 0 1", user, bad) end)
    end
    assert.has_error(function() idmap.check(5, user) end)
    assert.has_error(function() idmap.check("0 0 1") end)
    assert.has_error(function() check.setgroups("deny", user, { setgroup = "deny" }) end)
    assert.has_error(function() check.call_setgroups({}, user, { map = "x" }) end)
  end)

  it("explains an error that has happened, and nothing that should not have", function()
    local map = idmap.new "0 1000 2"
    local why = check.explain(map, "uid", { uid = map, gid = map, via = "parent" }, user)
    assert.truthy(why:find("needs CAP_SETUID over the parent namespace; use newuidmap(1)", 1, true), why)
    assert.is_nil(check.explain(idmap.new "0 1000 1", "uid", { via = "self" }, user))
    assert.is_nil(check.explain(idmap.new "0 1000 1", "gid", { via = "self", setgroups = "deny" }, user))
    assert.truthy(check.explain(idmap.new "0 1000 1", "gid", { via = "self" }, user):find("setgroups", 1, true))
  end)

  it("explains a range that lies in two ranges of the parent's", function()
    local inner = {
      uid = 0, gid = 0, capabilities = { setuid = true, setfcap = true }, uid_map = "0 1000 1\n1 100000 9",
    }
    local map = idmap.new "0 0 10"
    assert.equal("accepted", idmap.check(map, inner).verdict)
    assert.is_nil(check.explain(map, "uid", { via = "parent", text = { uid = "0 0 1\n1 1 9" } }, inner))
    local why = check.explain(map, "uid", { via = "parent" }, inner)
    assert.truthy(why:find("lies in several ranges of the parent's map", 1, true), why)
  end)
end)

describe("every trial", function()
  it("left nothing behind", function()
    outside.nothing_left(before)
  end)
end)
