-- What is ASCII by definition is read the same in every locale.

local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

-- A script that sets the locale, has what follows use it, and prints what is the same in all. (A number in a message,
-- as "0.5 seconds", is for people, and as they write it.)
local SCRIPT = [[
  local name = ...
  assert(os.setlocale(name), "there is no " .. name)
  local caps, idmap, cella = require "cella.caps", require "cella.idmap", require "cella"
  local function try(call, ...)
    local ok, value = pcall(call, ...)
    print(ok, tostring(value))
  end
  try(caps.set, "CAP_KILL")
  try(caps.set, { "SYS_ADMIN", "NET_BIND_SERVICE" })
  try(caps.set, "CAP_KIL")
  try(function() return caps.explain("CAP_KILL").name end)
  try(function() return caps.parse "CAP_KILL,CAP_SETUID=ep".effective end)
  try(function() return caps.parse("CAP_KILLL=ep") end)
  try(function() return caps.parse("!CAP_KILL,^CAP_CHOWN").inheritable end)
  try(cella.container, { cgroup = { name = "caf\233" } })
  try(cella.container, { cgroup = { cpu = { quota = 0.05, period = 0.1 }, memory = "64M" } })
  try(cella.container, { hostname = "m", capabilities = { "KILL" }, root = { { type = "tmpfs", destination = "/",
    size = "1G" } } })
  try(idmap.new, "0 1000 1\n\233")
]]

describe("a locale", function()
  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  for _, locale in ipairs { "tr_TR.ISO-8859-9", "de_DE.ISO-8859-1", "tr_TR.UTF-8" } do
    -- It is Turkish that has another idea of the letter i.
    local slow = locale ~= "tr_TR.ISO-8859-9" and " #slow" or ""
    it(locale .. " changes nothing about what is ASCII by definition" .. slow, function()
      if (os.getenv "CELLA_BUILD" or ""):find "musl" then return pending "musl has no other rules for letters" end
      local language, charset = locale:match "^(.-)%.(.*)$"
      trial.sh(("localedef -i %s -f %s %s/%s >/dev/null 2>&1 || true"):format(language, charset, directory, locale))
      -- Without its sources the one of glibc 2.41 leaves an empty directory.
      local made = trial.sh(("test -s %s/%s/LC_CTYPE && echo made || true"):format(directory, locale))
      if made == "" then return pending "localedef and its sources (Debian: locales) are not there" end
      trial.write(directory .. "/script.lua", SCRIPT)
      local function output(name)
        return trial.sh(("LOCPATH=%s %s %s/script.lua %s 2>&1"):format(directory, trial.lua, directory, name))
      end
      local wanted = output "C"
      assert.truthy(wanted:find("^true\t"), wanted)
      -- The locale is one in which Lua's own functions differ. LuaJIT's know ASCII alone: what C writes differs there.
      local shown = portable.jit and 'os.date("!%A", 0)' or [[("I"):lower() == "i", 0.5, ("\233"):find "%a"]]
      local function shows(name)
        return trial.sh(("LOCPATH=%s %s -e %s"):format(directory, trial.lua,
          trial.quote(("assert(os.setlocale %q) print(%s)"):format(name, shown))))
      end
      assert.not_equal(shows "C", shows(locale))
      assert.equal(wanted, output(locale))
    end)
  end
end)

describe("the library's source", function()
  it("asks no locale about letters", function()
    local found, files = {}, 0
    for path in trial.sh("find lua/cella bin -type f"):gmatch "[^\n]+" do
      files = files + 1
      local number = 0
      for line in io.lines(path) do
        number = number + 1
        local code = line:gsub("%-%-.*$", "")
        -- In a format %a, %c and %u would be numbers; there are none.
        if code:find ":upper%(" or code:find ":lower%(" or code:find "string%.upper" or code:find "string%.lower"
          or code:find "%%[aAcClLpPuUwW]" then
          found[#found + 1] = ("%s:%d: %s"):format(path, number, line)
        end
      end
    end
    assert.is_true(files > 100)
    assert.same({}, found)
  end)
end)
