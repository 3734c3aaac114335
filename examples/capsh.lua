-- libcap's capsh(1) on cella: explore and constrain capabilities, option by option, in the order in which they stand.
--
--   lua5.4 examples/capsh.lua --print
--   lua5.4 examples/capsh.lua --drop=cap_net_raw --iab='^cap_kill' --user=nobody -- -c 'grep Cap /proc/self/status'
--
-- Each option of capsh is one function below: read there how to do it with cella. Exit status as capsh's: 0, or 1
-- for whatever fails, and where it executes something, that of the program.

local caps = require "cella.caps"
local cella = require "cella"
local securebits = require "cella.caps.securebits"
local sys = require "cella.sys"
local unpack = table.unpack or unpack

local shell = "/bin/bash"
local strict, set_environment = false, true
local environment = sys.environment()
local child -- of --forkfor

-- Every failure ends like this.
local function fail(...)
  io.stderr:write(string.format(...), "\n")
  io.stdout:flush()
  if child then child:close() end
  os.exit(1, true)
end

local function check(ok, what, reason)
  if not ok then fail("%s: %s", what, tostring(reason)) end
  return ok
end

-- What libcap's cap_from_name(3) takes: the prefix is needed, and 63 is a number like any other.
local function capability(name, ...)
  local number = name:match "^%d+$" and tonumber(name)
  if number and number < 64 then return number end
  local plain = name:lower():match "^cap_(.+)$"
  local known, set = pcall(caps.set, { plain })
  if not plain or not known then fail(...) end
  return (set:each()())
end

local function number(text, option)
  local base = text:match "^0[xX]%x+$" and 16 or text:match "^0[0-7]+$" and 8 or text:match "^%d+$" and 10
  local value = base and tonumber(base == 16 and text:sub(3) or text, base)
  if not value or value > 4294967295 then fail('%s: want non-negative integer, got "%s"', option, text) end
  return value
end

local function label(n)
  return n <= caps.last and caps.set({ n })[1] or n
end

local function long_name(n)
  local name = label(n)
  return type(name) == "string" and "cap_" .. name or tostring(n)
end

local function long_names(set)
  local list = {}
  for n in set:each() do list[#list + 1] = long_name(n) end
  return table.concat(list, ",")
end

-- Does something with a capability in effect that may only be permitted, and puts effective back.
local function with_raised(name, perform)
  local before = caps.state()
  if before.permitted:has(name) and not before.effective:has(name) then
    check(before:with { effective = before.effective + name }:apply())
  end
  local ok, err = perform()
  local after = caps.state()
  if after.effective ~= before.effective * after.permitted then
    after:with { effective = before.effective * after.permitted }:apply()
  end
  return ok, err
end

-- Changes of state. state:apply() does what capsh does by hand: raises CAP_SETPCAP for as long as it is needed, takes
-- the steps in the right order, and reads everything back.

local function apply_text(text, option)
  local parsed, state = pcall(caps.parse, text == "" and "=" or text)
  if not parsed or not state.effective then fail("unable to interpret [%s]", option) end
  return state
end

local function set_caps(text)
  local option = "--caps=" .. text
  local wanted = apply_text(text, option)
  local now = caps.state()
  local before = now.inheritable + now.permitted
  if strict and not now.effective:has "setpcap" and not before:contains(wanted.inheritable) then
    fail("Unable to set capabilities [%s]", option)
  end
  local ok, err = wanted:apply()
  if not ok then fail("Unable to set capabilities [%s]: %s", option, err) end
end

local function set_inheritable(text)
  if text == "none" then text = "" end
  local wanted = caps.none
  if text ~= "" then wanted = apply_text(text .. "+i", "--inh=" .. text).inheritable end
  local now = caps.state()
  if strict and not now.effective:has "setpcap" and not (now.inheritable + now.permitted):contains(wanted) then
    fail "Unable to set inheritable capabilities"
  end
  check(now:with({ inheritable = wanted, ambient = now.ambient * wanted }):apply())
end

local function list_of(text, what)
  if text == "all" then return caps.all() end
  local set = caps.none
  for name in text:gmatch "[^,]+" do
    local n = capability(name, "%s [%s] is unknown to libcap", what, name)
    if n > caps.last then fail("failed to change [%s=%d]", name, n) end
    set = set + { n }
  end
  return set
end

local function drop(text)
  local dropped = list_of(text, "capability")
  local function perform() return sys.capbset_drop(dropped) end
  if strict then
    -- capsh drops one after the other, and names the first that it may not.
    for n in dropped:each() do
      if not sys.capbset_drop { n } then
        if text == "all" then fail("Unable to drop bounding capability [%s]", long_name(n)) end
        fail("failed to drop [%s=%d]", long_name(n), n)
      end
    end
    return
  end
  check(with_raised("setpcap", perform), "failed to drop", text)
end

local function change_ambient(text, call)
  local set = list_of(text, "ambient capability")
  local ok, message = with_raised("setpcap", function() return call(set) end)
  check(ok, "failed to change ambient", message)
end

-- Identities.

-- setuid(2): all three for who has CAP_SETUID, the effective one for anybody else.
local function set_uid(uid)
  local all = caps.state().effective:has "setuid"
  return sys.setresuid(all and uid or nil, uid, all and uid or nil)
end

local function set_gid(gid)
  local all = caps.state().effective:has "setgid"
  return sys.setresgid(all and gid or nil, gid, all and gid or nil)
end

-- cap_setuid(3): permitted stays, effective is empty afterwards.
local function cap_setuid(uid)
  local ok, err = caps.keep_caps(true)
  if ok then
    local before = caps.state()
    if before.permitted:has "setuid" then check(before:with { effective = before.effective + "setuid" }:apply()) end
    ok, err = sys.setresuid(uid, uid, uid)
    caps.keep_caps(false)
  end
  if ok then ok, err = caps.state():with({ effective = caps.none }):apply() end
  return ok, err
end

local function output(...)
  local result = cella.plan():exec({ stdout = "capture", stderr = "null", stdin = "null", ... }):run { timeout = 10 }
  return result and result.code == 0 and result.stdout or nil
end

local function become(name)
  local entry = output("getent", "passwd", name)
  if not entry or name:match "^%d+$" then fail("User [%s] not known", name) end
  local uid, gid, home = entry:match "^[^:]*:[^:]*:(%d+):(%d+):[^:]*:([^:]*):"
  uid, gid = math.tointeger(uid), math.tointeger(gid)
  local groups = {}
  for id in (output("id", "-G", name) or ""):gmatch "%d+" do groups[#groups + 1] = math.tointeger(id) end
  check(with_raised("setgid", function()
    local ok, message = sys.setresgid(gid, gid, gid)
    if not ok then return nil, message end
    return sys.setgroups(groups)
  end), "Unable to set group list for user", name)
  check(cap_setuid(uid), "Failed to set uid", uid)
  if not set_environment then return end
  local kept = {}
  for _, variable in ipairs(environment) do
    if not variable:match "^HOME=" and not variable:match "^USER=" then kept[#kept + 1] = variable end
  end
  kept[#kept + 1], kept[#kept + 2] = "HOME=" .. home, "USER=" .. name
  environment = kept
end

local function set_groups(text)
  local groups = {}
  for word in text:gmatch "[^,]+" do
    if word:match "^%d" then
      groups[#groups + 1] = number(word, "--groups")
    else
      local entry = output("getent", "group", word)
      if not entry then fail("Failed to identify gid for group [%s]", word) end
      groups[#groups + 1] = math.tointeger(entry:match "^[^:]*:[^:]*:(%d+)")
    end
  end
  local checked, ok, message = pcall(sys.setgroups, groups)
  if not checked or not ok then fail("Failed to setgroups: %s", message or ok) end
end

-- Showing.

local function name_of(database, id)
  local entry = output("getent", database, tostring(id))
  return entry and entry:match "^[^:]*" or "???"
end

local function show_current()
  local state = caps.state()
  print("Current: " .. state:text())
  print("Current IAB: " .. state:iab())
end

local MODES = { "NOPRIV", "PURE1E_INIT", "PURE1E", "HYBRID" }

local function show_all()
  local state = caps.state()
  local bits = state.securebits
  local function yes(name, text)
    print((" secure-%s: %s (%s)"):format(text, securebits.has(bits, name) and "yes" or "no",
      securebits.has(bits, name .. "_locked") and "locked" or "unlocked"))
  end
  print("Current: " .. state:text())
  print("Bounding set =" .. long_names(state.bounding))
  print("Ambient set =" .. long_names(state.ambient))
  print("Current IAB: " .. state:iab())
  local value, binary = securebits.number(bits), ""
  local rest = value
  repeat
    binary, rest = rest % 2 .. binary, math.floor(rest / 2)
  until rest == 0
  print(("Securebits: 0%o/0x%x/%d'b%s (no-new-privs=%d)"):format(value, value, #binary, binary,
    state.no_new_privs and 1 or 0))
  yes("noroot", "noroot")
  yes("no_setuid_fixup", "no-suid-fixup")
  yes("keep_caps", "keep-caps")
  yes("no_cap_ambient_raise", "no-ambient-raise")
  print(("uid=%d(%s) euid=%d(%s)"):format(state.uid.real, name_of("passwd", state.uid.real), state.uid.effective,
    name_of("passwd", state.uid.effective)))
  print(("gid=%d(%s)"):format(state.gid.real, name_of("group", state.gid.real)))
  local groups = {}
  for i, gid in ipairs(state.groups) do groups[i] = ("%d(%s)"):format(gid, name_of("group", gid)) end
  print("groups=" .. table.concat(groups, ","))
  local mode, index = state:mode(), 0
  for i, name in ipairs(MODES) do
    if name == mode then index = i end
  end
  print(("Guessed mode: %s (%d)"):format(mode, index))
end

local function describe(n)
  local mask = ("%x"):format(2 ^ (n % 4)) .. ("0"):rep(math.floor(n / 4))
  mask = ("0"):rep(16 - #mask) .. mask
  if n > caps.last then
    print(("<unsupported> (%d) [/proc/self/status:CapXXX: 0x%s]"):format(n, mask))
    return
  end
  local text = caps.explain(n)
  print(("%s (%d) [/proc/self/status:CapXXX: 0x%s]\n\n    %s\n    %s"):format(long_name(n), n, mask, text.allows,
    text.container))
end

-- strtoull(3): what is hexadecimal at the beginning, and 0 for nothing of the kind.
local function decode(text)
  local digits = text:gsub("^0[xX]", ""):match "^%x*":gsub("^0+", "")
  if #digits > 16 then digits = ("f"):rep(16) end
  digits = ("0"):rep(16 - #digits) .. digits:lower()
  local list = {}
  for n = 0, 63 do
    local digit = tonumber(digits:sub(16 - math.floor(n / 4), 16 - math.floor(n / 4)), 16)
    if math.floor(digit / 2 ^ (n % 4)) % 2 == 1 then list[#list + 1] = long_name(n) end
  end
  print(("0x%s=%s"):format(digits, table.concat(list, ",")))
end

-- Executing.

local function arguments_after(first, i)
  local argv = { unpack(first) }
  for j = i + 1, #arg do argv[#argv + 1] = arg[j] end
  return argv
end

local function myself()
  local interpreter = arg[-1] or "lua"
  if not interpreter:find("/", 1, true) then
    for directory in (os.getenv "PATH" or ""):gmatch "[^:]+" do
      local file = io.open(directory .. "/" .. interpreter)
      if file then
        file:close()
        return { directory .. "/" .. interpreter, arg[0] }
      end
    end
  end
  return { interpreter, arg[0] }
end

-- In place of this program.
local function execute(argv)
  io.stdout:flush()
  local _, message = sys.execve(argv[1], argv, environment)
  fail("execve '%s' failed: %s", argv[1], message)
end

-- In a child, whose status becomes ours.
local function launch(argv)
  io.stdout:flush()
  local variables = {}
  for _, variable in ipairs(environment) do
    local name, value = variable:match "^([^=]+)=(.*)$"
    if name then variables[name] = value end
  end
  local command = { environment = variables, unpack(argv) }
  local result, err = cella.plan():exec(command):run()
  if not result then fail("child failed to start: %s", err) end
  os.exit(result.code or 1, true)
end

local function has(field, text, complaint)
  local n = capability(text, "cap[%s] not recognized by library", text)
  if n > caps.last or not caps.state()[field]:has(n) then fail("cap[%s] %s", text, complaint) end
end

-- By option; those with a "=" behind take what follows it.
local options = {
  ["--quiet"] = function() end,
  ["--noenv"] = function() set_environment = false end,
  ["--strict"] = function() strict = not strict end,
  ["--print"] = show_all,
  ["--current"] = show_current,
  ["--license"] = function() print "examples/capsh.lua: see the LICENSE of cella." end,
  ["--caps="] = set_caps,
  ["--inh="] = set_inheritable,
  ["--drop="] = drop,
  ["--dropped="] = function(text)
    local n = capability(text, "cap[%s] not recognized by library", text)
    if n <= caps.last and caps.state().bounding:has(n) then fail("cap[%s] raised in bounding vector", text) end
  end,
  ["--addamb="] = function(text) change_ambient(text, sys.ambient_raise) end,
  ["--delamb="] = function(text) change_ambient(text, sys.ambient_lower) end,
  ["--noamb"] = function() check(sys.ambient_clear(), "failed to reset ambient set") end,
  ["--has-ambient"] = function() end, -- since Linux 4.3; cella needs newer
  ["--iab="] = function(text)
    local parsed, state = pcall(caps.parse, text)
    if not parsed or state.effective then fail("iab: '%s' malformed", text) end
    local ok, err = state:apply()
    if not ok then fail("unable to set IAB tuple: %s", err) end
  end,
  ["--modes"] = function() print("Supported modes: " .. table.concat(MODES, " ")) end,
  ["--mode"] = function() print("Mode: " .. caps.state():mode()) end,
  ["--mode="] = function(text)
    local known, state = pcall(function() return caps.state():with_mode(text) end)
    if not known then
      print("unsupported mode: " .. text)
      fail ""
    end
    -- With nothing inheritable PURE1E is PURE1E_INIT, which cap_set_mode(3) does not mind: a copy wants no mode.
    local ok, err = state:with({}):apply()
    if not ok then fail("failed to set mode [%s]: %s", text, err) end
  end,
  ["--inmode="] = function(text)
    local mode = caps.state():mode()
    if mode ~= text then
      print(("mismatched mode got=%s want=%s"):format(mode, text))
      fail ""
    end
  end,
  ["--keep="] = function(text)
    local value = number(text, "--keep")
    if value > 1 then fail("invalid --keep value") end
    check(caps.keep_caps(value == 1), "PR_SET_KEEPCAPS", text)
  end,
  ["--secbits="] = function(text)
    local value = number(text, "--secbits")
    local bits = securebits.from_number(value)
    local ok = bits and sys.securebits(bits)
    if not ok then fail("failed to set securebits to 0%o/0x%x", value, value) end
  end,
  ["--no-new-privs"] = function() check(sys.no_new_privs(), "unable to set no-new-privs") end,
  ["--has-no-new-privs"] = function()
    if not sys.get_no_new_privs() then fail "no-new-privs not set" end
  end,
  ["--uid="] = function(text)
    local value = number(text, "--uid")
    local checked, ok, message = pcall(set_uid, value)
    if not checked or not ok then fail("Failed to set uid=%d: %s", value, message or ok) end
  end,
  ["--cap-uid="] = function(text)
    local value = number(text, "--cap-uid")
    local checked, ok, message = pcall(cap_setuid, value)
    if not checked or not ok then fail("Failed to cap_setuid(%d): %s", value, message or ok) end
  end,
  ["--gid="] = function(text)
    local value = number(text, "--gid")
    local checked, ok, message = pcall(set_gid, value)
    if not checked or not ok then fail("Failed to set gid=%d: %s", value, message or ok) end
  end,
  ["--groups="] = set_groups,
  ["--user="] = become,
  ["--is-uid="] = function(text)
    local real = sys.getresuid()
    if real ~= number(text, "--is-uid") then fail("uid: got=%d, want=%s", real, text) end
  end,
  ["--is-gid="] = function(text)
    local real = sys.getresgid()
    if real ~= number(text, "--is-gid") then fail("gid: got=%d, want=%s", real, text) end
  end,
  ["--chroot="] = function(path)
    local ok, message = with_raised("sys_chroot", function() return sys.chroot(path) end)
    if ok then ok, message = sys.chdir "/" end
    if not ok then fail("Unable to chroot/chdir to [%s]: %s", path, message) end
  end,
  ["--forkfor="] = function(text)
    if child then fail "already forked" end
    local seconds = number(text, "--forkfor")
    if seconds == 0 then fail "require non-zero --forkfor value" end
    child = check(cella.plan():exec({ "sleep", tostring(seconds) }):spawn(), "unable to fork()")
  end,
  ["--killit="] = function(text)
    local signal = number(text, "--killit")
    if not child then fail "no forked process to kill" end
    if signal > 64 then fail "Unable to kill child process" end
    if signal > 0 then
      local ok, err = child:kill(math.tointeger(signal))
      if not ok then fail("Unable to kill child process: %s", err) end
    end
    local result = check(child:wait())
    if (result.signal_number or 0) ~= signal then fail "child terminated with odd signal" end
    child = nil
  end,
  ["--shell="] = function(path) shell = path end,
  ["--decode="] = decode,
  ["--supports="] = function(text)
    local n = capability(text, "cap[%s] not recognized by library", text)
    if n > caps.last then fail("cap[%s=%d] not supported by kernel", text, n) end
  end,
  ["--has-p="] = function(text) has("permitted", text, "not permitted") end,
  ["--has-i="] = function(text) has("inheritable", text, "not inheritable") end,
  ["--has-a="] = function(text) has("ambient", text, "not in ambient vector") end,
  ["--has-b="] = function(text) has("bounding", text, "not in bounding vector") end,
  ["--explain="] = function(text) describe(capability(text, "unrecognised value '%s'", text)) end,
  ["--suggest="] = function(phrase)
    for n = 0, caps.last do
      local text = caps.explain(n)
      local all = (long_name(n) .. " " .. text.allows .. " " .. text.container):lower()
      if all:find(phrase:lower(), 1, true) then
        describe(n)
        print()
      end
    end
  end,
}

local FINAL = {
  ["--"] = function(i) execute(arguments_after({ shell }, i)) end,
  ["=="] = function(i) execute(arguments_after(myself(), i)) end,
  ["-+"] = function(i) launch(arguments_after({ shell }, i)) end,
  ["=+"] = function(i) launch(arguments_after(myself(), i)) end,
}

local function usage(status)
  local list = {}
  for name in pairs(options) do list[#list + 1] = "  " .. name .. (name:sub(-1) == "=" and "..." or "") end
  table.sort(list)
  print(("usage: %s [args ...]\n%s\n  -- == -+ =+  execute the shell, or this again; with + in a child"):format(arg[0],
    table.concat(list, "\n")))
  os.exit(status, true)
end

for i, word in ipairs(arg) do
  if FINAL[word] then FINAL[word](i) end
  local name, value = word:match "^(%-%-[^=]+=)(.*)$"
  local option = options[name or word]
  if not option then usage((word == "--help" or word == "-h") and 0 or 1) end
  option(value)
end
if child then child:close() end
