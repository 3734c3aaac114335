-- examples/capsh.lua against libcap's capsh(1): the same words, the same exit status, and, where what they print is
-- their own, the same text.

local core = require "cella.core"
local Plan = require "cella.plan"
local portable = require "spec.support.portable"
local unpack = table.unpack or unpack

if (os.getenv "CELLA_BUILD" or ""):find "sanitized" then
  describe("examples/capsh.lua", function()
    it("says what the original says", function()
      pending "sanitizers add words of their own to what programs say"
    end)
  end)
  return
end

local STRANGER = 54321

local function program(name)
  local pipe = assert(io.popen("PATH=$PATH:/usr/sbin:/sbin command -v " .. name))
  local path = pipe:read "*l"
  pipe:close()
  return path
end

local capsh = program "capsh"
local lua = program(portable.program)

local function run(command, as)
  local plan = Plan.new()
  if as then plan:setgroups({}):setresgid(as, as, as):setresuid(as, as, as) end
  command.stdin, command.stdout, command.stderr = "null", "capture", "capture"
  command.environment = { PATH = "/usr/sbin:/usr/bin:/sbin:/bin", HOME = "/", USER = "me",
    LUA_PATH = os.getenv "LUA_PATH" or package.path, LUA_CPATH = os.getenv "LUA_CPATH" or package.cpath }
  local result, err = plan:exec(command):run { timeout = 20 }
  assert(result, tostring(err))
  return result.code or "killed by " .. result.signal, result.stdout, result.stderr
end

-- `text`: whether what is printed is to be the same as well.
local function compare(lines, text, as)
  local differ = {}
  for _, line in ipairs(lines) do
    local words = {}
    for word in line:gmatch "%S+" do
      -- "_" is a blank in what a shell is to do.
      words[#words + 1] = (word:gsub("_(%S)", word:find "^%-%-" and "_%1" or " %1"))
    end
    local status, out = run({ capsh, unpack(words) }, as)
    local ours, our_out, problem = run({ lua, "examples/capsh.lua", unpack(words) }, as)
    if status ~= ours or text and out ~= our_out then
      differ[#differ + 1] = ("%s\n  capsh: %s %s\n  ours:  %s %s%s"):format(line, status, out, ours, our_out, problem)
    end
  end
  assert.equal("", table.concat(differ, "\n"))
end

local function reason()
  if not capsh then return "needs capsh (libcap2-bin)" end
  return nil
end

local function privileged()
  if reason() then return reason() end
  local _, euid = core.sys.getresuid()
  if euid ~= 0 then return "needs root" end
  return nil
end

-- What needs no privileges, and says or does the same for everybody.
local QUESTIONS = {
  "", "--print", "--current", "--modes", "--mode", "--inmode=HYBRID", "--print --current", "--quiet --current",
  "--decode=3", "--decode=0x1ffffffffff", "--decode=ffffffffffffffff", "--decode=zz", "--decode=",
  "--decode=00000000a80425fb", "--supports=cap_syslog", "--supports=cap_foo", "--supports=63", "--supports=40",
  "--supports=syslog", "--has-p=chown", "--has-p=63", "--has-a=cap_chown", "--has-a=cap_foo", "--has-i=cap_chown",
  "--has-b=cap_chown", "--dropped=foo", "--dropped=cap_chown", "--has-ambient", "--has-no-new-privs",
  "--no-new-privs --has-no-new-privs --print", "--is-uid=x", "--is-uid=4711", "--is-gid=4711", "--keep=1 --print",
  "--keep=0 --print", "--keep=2", "--keep=x", "--caps= --keep=1 --print", "--caps= --current", "--caps=junk",
  "--caps=cap_net_rwa=ep", "--drop=cap_foo", "--drop=net_raw", "--drop=63", "--inh=foo", "--inh=none --current",
  "--inh= --current", "--addamb=cap_foo", "--noamb --current", "--iab=junk", "--iab= --current", "--secbits=x",
  "--secbits=-1", "--secbits=0x1000", "--uid=x", "--uid=4294967295", "--gid=x", "--cap-uid=x",
  "--groups=nosuchgroup", "--user=nosuchuser", "--chroot=/nonexistent", "--killit=9", "--forkfor=x",
  "--forkfor=20 --killit=9", "--forkfor=20 --killit=15 --current", "--forkfor=1 --killit=0",
  "--forkfor=1 --killit=100", "--forkfor=1 --forkfor=1 --current", "-- -c exit_7", "-- -c kill_-9_$$",
  "-+ -c exit_7", "-+ -c kill_-9_$$", "-+ -c echo_hello", "--shell=/bin/sh -- -c echo_$0", "--shell=/bin/echo -- a b",
  "--shell=/nonexistent -- -c true", "== --current", "=+ --current", "=+ --is-uid=4711", "--no-new-privs == --print",
  "--noenv --current", "--strict --strict --caps= --current",
}

-- What root alone can do, or what only it can go on from.
local CHANGES = {
  "--inmode=NOPRIV", "--mode=NOPRIV --print", "--mode=PURE1E --print", "--mode=PURE1E_INIT --print",
  "--mode=HYBRID --print", "--mode=PURE --print", "--mode=UNCERTAIN", "--mode=NOPRIV --inmode=NOPRIV --mode",
  "--inh=cap_chown --mode=PURE1E --inmode=PURE1E --print", "--drop=cap_net_raw --print", "--drop=all --print",
  "--drop=cap_net_raw,cap_chown --current", "--drop=40 --current", "--drop=cap_setpcap --drop=cap_chown --current",
  "--caps=cap_setpcap=p --strict --drop=cap_chown --current", "--caps=cap_setpcap=p --strict --drop=all --current",
  "--caps=cap_setpcap=ep --strict --drop=cap_chown,cap_kill --current",
  "--caps==ep --current", "--caps=cap_net_raw=ep --current", "--caps=cap_net_raw=eip --current",
  "--caps=cap_net_raw=ep --caps=cap_chown=ep", "--caps=cap_setpcap=p --drop=cap_chown --current",
  "--caps=cap_chown=p --drop=cap_chown --current", "--caps=cap_setpcap,cap_chown=p --caps=cap_net_raw=i --current",
  "--strict --caps=cap_setpcap,cap_chown=p --caps=cap_net_raw=i --current",
  "--caps=cap_chown=ep --inh=cap_net_raw --current", "--caps=cap_chown=ep --inh=cap_chown --current",
  "--inh=cap_net_raw,cap_chown --current", "--inh=all --current", "--inh=cap_net_raw --addamb=cap_net_raw --current",
  "--addamb=cap_net_raw --current", "--inh=cap_net_raw --addamb=cap_net_raw --noamb --current",
  "--inh=cap_net_raw,cap_kill --addamb=cap_net_raw,cap_kill --delamb=cap_kill --current", "--addamb=all",
  "--delamb=all --current", "--iab=^cap_net_raw --current", "--iab=!cap_chown,^cap_net_raw,cap_kill --print",
  "--iab=!%cap_chown --current", "--secbits=0x2f --print", "--secbits=1 --print", "--secbits=047 --print",
  "--secbits=1 --secbits=0 --print", "--secbits=3 --secbits=0", "--caps= --secbits=1",
  "--keep=1 --uid=1000 --current", "--uid=1000 --print", "--uid=1000 --uid=0", "--uid=1000 --uid=1001",
  "--cap-uid=1000 --print", "--cap-uid=1000 --cap-uid=0 --print", "--gid=1000 --print", "--groups=1,2,3 --print",
  "--groups=daemon,5 --print", "--groups= --print", "--user=nobody --print", "--user=nobody --caps==ep --print",
  "--user=nobody -- -c echo_$HOME_$USER", "--noenv --user=nobody -- -c echo_$HOME_$USER", "--chroot=/ --print",
  "--chroot=/tmp", "--caps=cap_sys_chroot=p --chroot=/ --current", "--caps= --chroot=/", "--is-uid=0", "--is-gid=0",
  "--uid=1000 --is-uid=1000", "--has-p=cap_chown", "--has-p=40", "--inh=cap_chown --has-i=cap_chown",
  "--iab=^cap_chown --has-a=cap_chown", "--drop=cap_chown --has-b=cap_chown", "--drop=cap_chown --dropped=cap_chown",
  "== --drop=cap_chown == --current", "--uid=1000 == --current", "--iab=^cap_net_raw --uid=1000 == --current",
  "--iab=^cap_net_raw --cap-uid=1000 == --current", "--iab=^cap_net_raw --user=nobody == --print",
  "--keep=1 --uid=1000 == --current", "--secbits=4 --uid=1000 --current", "--secbits=1 == --current",
  "--mode=NOPRIV == --print", "--drop=all == --current", "--forkfor=20 --caps= --killit=9",
}

-- Both explain and complain in words of their own.
local OWN_WORDS = { "--help", "-h", "--explain=cap_chown", "--explain=CAP_SYS_TIME", "--explain=13", "--explain=63",
  "--explain=64", "--explain=cap_foo", "--explain=foo", "--suggest=clock", "--suggest=zzzzz", "--license", "--foo",
  "--print=foo", "foo", "--forkfor=0", "--mode=NOPRIV --mode=HYBRID" }

describe("examples/capsh.lua", function()
  it("answers and fails as capsh does #slow", function()
    if reason() then return pending(reason()) end
    compare(QUESTIONS, true)
  end)

  it("exits as capsh does where each has words of its own #slow", function()
    if reason() then return pending(reason()) end
    compare(OWN_WORDS, false)
  end)

  it("changes what capsh changes #slow", function()
    if privileged() then return pending(privileged()) end
    compare(CHANGES, true)
  end)

  it("does the same for a user without privileges #slow", function()
    if privileged() then return pending(privileged()) end
    local status, _, problem = run({ lua, "-e", "require 'cella'" }, STRANGER)
    if status ~= 0 then return pending("the checkout is not for everybody to read: " .. problem) end
    local list = {}
    for _, line in ipairs(QUESTIONS) do list[#list + 1] = line end
    for _, line in ipairs(CHANGES) do
      -- What capsh says of failures goes to the streams as it likes.
      if not line:find "^%-%-mode=" then list[#list + 1] = line end
    end
    compare(list, true, STRANGER)
  end)

  it("explains each capability, and finds them by a word", function()
    local _, out = run { lua, "examples/capsh.lua", "--explain=cap_net_raw" }
    assert.truthy(out:find "cap_net_raw %(13%) %[/proc/self/status:CapXXX: 0x0000000000002000%]")
    assert.truthy(out:find "raw and packet sockets")
    _, out = run { lua, "examples/capsh.lua", "--suggest=clock" }
    assert.truthy(out:find "cap_sys_time %(25%)")
    assert.is_nil(out:find "cap_chown")
  end)
end)
