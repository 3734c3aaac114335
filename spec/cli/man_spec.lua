-- The manual pages, cella(1) and cella(7): that they are whole, readable, and where man(1) looks for them.

local description = require "cella.container.description"
local trial = require "spec.support.trial"
local unpack = table.unpack or unpack

local PAGES = { "share/man/man1/cella.1", "share/man/man7/cella.7" }

-- A page without what is for roff.
local function plain(path)
  return (assert(trial.read(path)):gsub("\\f[A-Z]", ""):gsub("\\%-", "-"):gsub("\\%(aq", "'"):gsub("\\&", ""))
end

describe("the manual pages", function()
  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  it("have every command and every option that the help has", function()
    local page, options, commands = plain(PAGES[1]), 0, 0
    local function look(words)
      local asked = { unpack(words) }
      asked[#asked + 1] = "--help"
      local help = trial.cella(asked).stdout
      local name = table.concat({ "cella", unpack(words) }, " ")
      local from = 1
      if #words > 0 then
        from = assert(page:find("\n.SS " .. name .. "\n", 1, true), name .. " has no section")
        commands = commands + 1
      end
      local till = page:find("\n.S[SH] ", from + 1) or #page
      local section = page:sub(from, #words == 0 and #page or till)
      local listed = help:match "\nOptions:\n(.-)\n\n%S" or help:match "\nOptions:\n(.*)"
      for option in ("\n" .. listed):gmatch "\n%s+(%-%-?[%w-]+)" do
        assert.truthy(section:find(option, 1, true), name .. " " .. option)
        options = options + 1
      end
      for line in (help:match "\nCommands:\n(.-)\n\n" or help:match "\nCommands:\n(.*)" or ""):gmatch "[^\n]+" do
        local inner = line:match "^   ([%w-]+)"
        if inner then
          local below = { unpack(words) }
          below[#below + 1] = inner
          look(below)
        end
      end
    end
    look {}
    assert.is_true(commands > 18 and options > 60, commands .. " " .. options)
  end)

  it("have every key of a container's table", function()
    local page, keys = plain(PAGES[2]), description.keys()
    -- Terms: what stands in the line behind .TP, by themselves or several.
    local terms = {}
    for line in page:gmatch "\n%.TP\n([^\n]*)" do
      for word in line:gmatch "[%w_]+" do terms[word] = true end
    end
    assert.is_true(#keys > 20)
    for _, key in ipairs(keys) do assert.is_true(terms[key] == true, key .. " has no entry") end
    assert.is_nil(terms.no_such_key)
    -- The keys are those that are taken.
    for _, key in ipairs(keys) do
      local message = trial.raised(require("cella").container, { [key] = function() end, zzzzzzzz = 1 })
      assert.is_nil(message:find("%f[%w_]" .. key .. ": unknown key"), message)
    end
    -- And of a command's.
    for _, key in ipairs { "stdin", "stdout", "stderr", "terminal", "fds", "environment", "cwd", "timeout", "log",
      "cpu_limit", "output_limit", "wait" } do
      assert.is_true(terms[key] == true, key)
    end
  end)

  it("are formatted without a warning", function()
    if trial.sh "command -v man groff" == "" then return pending "needs man and groff" end
    local function warnings(path)
      return trial.sh(("LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z %s >/dev/null"):format(path))
    end
    for _, path in ipairs(PAGES) do assert.equal("", warnings(path)) end
    -- A page with a request that there is not has one.
    local broken = trial.write(directory .. "/broken.1", trial.read(PAGES[1]) .. ".nosuchrequest\n")
    assert.matches("nosuchrequest", warnings(broken))
  end)

  it("say what they say: nothing of Markdown, or of roff, is left in the text", function()
    if trial.sh "command -v man groff col" == "" then return pending "needs man, groff and col" end
    for _, path in ipairs(PAGES) do
      local text = trial.sh(("LC_ALL=C.UTF-8 MANWIDTH=200 man -l %s | col -bx"):format(path))
      for line in text:gmatch "[^\n]+" do
        assert.is_nil(line:find("^%s*|[ -]"), line)
        assert.is_nil(line:find("%]%("), line)
        assert.is_nil(line:find("\\f[BIP]") or line:find("[\1\2]"), line)
        if path == PAGES[2] then assert.is_nil(line:find("`", 1, true), line) end
      end
      assert.is_true(#text > 5000)
    end
  end)

  it("are installed where man(1) looks, with completion for shells #slow", function()
    -- The module is there; a copy of the checkout may lack what it was linked from.
    trial.sh(("make -s install -o %s/cella/core.so DESTDIR=%s INST_LUADIR=/lua INST_LIBDIR=/lib PREFIX=/usr"):format(
      os.getenv "CELLA_BUILD" or "build/lua5.4", directory))
    for _, path in ipairs { "man/man1/cella.1", "man/man1/cella-oci.1", "man/man7/cella.7",
      "bash-completion/completions/cella", "zsh/site-functions/_cella", "fish/vendor_completions.d/cella.fish" } do
      assert.equal(trial.read("share/" .. path), trial.read(("%s/usr/share/%s"):format(directory, path)), path)
    end
    if trial.sh "command -v man" == "" then return end
    for section = 1, 7, 6 do
      assert.equal(("%s/usr/share/man/man%d/cella.%d\n"):format(directory, section, section),
        trial.sh(("man -M %s/usr/share/man -w %d cella"):format(directory, section)))
    end
  end)
end)
