-- The interpreter of the caller, which a program in a container must not get hold of (CVE-2019-5736).

local core = require "cella.core"
local host = require "cella.host"
local idmap = require "cella.idmap"
local interpreter = require "cella.interpreter"
local trial = require "spec.support.trial"

local lacks = trial.lacks_user_namespaces()
local function when_able(title, body)
  it(title, function() if lacks then pending(lacks) else body() end end)
end

-- A hostile image: its script is run by whatever runs the process that executes it.
local HOSTILE = [[
  local cella = require "cella"
  local interpreter = require "cella.interpreter"
  if %s then
    -- What executes the program then is a copy of this process.
    interpreter.is_exposed = function() return false end
    assert(require("cella.sys").setresgid(33, 0, 0))
  end
  local keys = { init = %s, ids = require "cella.policy".root(), root = {
    { type = "bind", source = "/usr", destination = "/usr", readonly = true },
    { type = "symlink", target = "usr/lib", destination = "/lib" },
    { type = "symlink", target = "usr/lib64", destination = "/lib64" },
    { type = "proc", destination = "/proc" },
    { type = "file", destination = "/script", mode = 493, content = "#!/proc/self/exe\nprint 'Lua runs'\n" },
  } }
  local result, err = cella.container(keys):run { "/script", stdout = "capture", timeout = 60 }
  print(result and "ended " .. result.stdout or err)
]]

describe("the caller's interpreter", function()
  local facts = host.facts()
  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  -- Runs Lua in an interpreter whose file belongs to whoever runs the specs, and returns what it prints.
  local function as_owner(text)
    local own = directory .. "/lua"
    trial.sh(("cp /proc/%d/exe %s"):format(core.sys.getpid(), own))
    return trial.sh(("%s -e %s"):format(trial.interpreter():gsub("%S+$", own), trial.quote(text)))
  end

  it("is endangered where its owner is somebody in the container", function()
    local _, _, _, owner = core.inode "/proc/self/exe"
    local function maps(outside) return { uid = idmap.new { { inside = 0, outside = outside, count = 1 } } } end
    assert.is_true(interpreter.is_exposed(nil, facts))
    assert.is_true(interpreter.is_exposed(maps(owner), facts))
    assert.is_false(interpreter.is_exposed(maps(owner + 1), facts))
  end)

  for _, init in ipairs { "true", "false" } do
    when_able(("is not what /proc/self/exe leads to, with init = %s"):format(init), function()
      assert.not_matches("Lua runs", as_owner(HOSTILE:format("false", init)))
      -- The control, which takes another ID.
      if trial.lacks_root() then return end
      assert.matches("^ended Lua runs\n", as_owner(HOSTILE:format("true", init)))
    end)
  end

  when_able("gives way to a runner that tells what cannot be executed, and passes on what can", function()
    local said = as_owner [[
      local box = require "cella".container { ids = require "cella.policy".root(),
        mounts = { { type = "proc", destination = "/proc" } } }
      local function try(name)
        local _, err = box:run { name }
        print(err.op, err.code, err.path, err.side)
      end
      try "/nonexistent"
      try "/etc/passwd"
      try "nowhere-in-the-path"
      local script = "echo $0 $1 $HOME; ls /proc/self/fd; env | wc -l"
      local result = assert(box:run { "sh", "-c", script, "first", "second", stdout = "capture",
        environment = { HOME = "/h", PATH = "/usr/bin:/bin", TERM = false } })
      print(result.stdout)
    ]]
    assert.equal("execve\tENOENT\t/nonexistent\tchild\nexecve\tEACCES\t/etc/passwd\tchild\n"
      .. "execve\tENOENT\tnowhere-in-the-path\tchild\n", said:match "^(.-)first")
    -- The streams, and what ls has opened; HOME, PATH, and the PWD of a shell.
    assert.matches("first second /h\n0\n1\n2\n3\n3\n", said)
  end)
end)
