-- Overlays of many directories, and of directories with long and odd names: what fsconfig(2) cannot say in one string.

local cella = require "cella"
local core = require "cella.core"
local host = require "cella.host"
local kernels = require "cella.host.kernel"
local policy = require "cella.policy"
local rootfs = require "spec.support.rootfs"
local trial = require "spec.support.trial"

local refused = trial.lacks_user_namespaces()
if not refused and kernels.is_older(kernels.version(), "5.11") then
  refused = "needs overlays in user namespaces (Linux 5.11)"
end

describe("an overlay in a user namespace", function()
  it("is there, or refused with the Linux that has such #vm", function()
    if trial.lacks_user_namespaces() then return pending(trial.lacks_user_namespaces()) end
    local keys = { root = "/", mounts = { { type = "overlay", destination = "/mnt",
      lower = { "/usr/bin", "/usr/lib" } } } }
    if not refused then return assert.equal("true", trial.word(keys, "basename /mnt/true")) end
    local err = trial.refused(keys)
    assert.equal("EPERM", err.code)
    assert.matches("an overlay in a user namespace needs Linux 5.11, and this is ", tostring(err), 1, true)
  end)
end)

describe("an overlay", function()
  local root, directory
  lazy_setup(function() root = rootfs.new() end)
  lazy_teardown(function() root:remove() end)

  local facts = host.facts
  trial.around(before_each, after_each, function(own) directory = own end, function() host.facts = facts end)

  local function description(lower, more)
    local mount = { type = "overlay", destination = "/mnt", lower = lower }
    for key, value in pairs(more or {}) do mount[key] = value end
    -- What is written to is the caller's.
    return { root = root.path, ids = policy.root(), mounts = { mount } }
  end

  -- A directory with a file of its own, and one that all have.
  local function layer(name)
    local path = directory .. "/" .. name
    trial.sh(("mkdir -p %s && echo %s > %s/top && echo x > %s/%s"):format(trial.quote(path), trial.quote(name:sub(-8)),
      trial.quote(path), trial.quote(path), "of-" .. trial.quote(name:sub(-8))))
    return path
  end

  local function many(count, length)
    local list = {}
    for i = 1, count do list[i] = layer(("0"):rep(length - 8) .. ("%08d"):format(i)) end
    return list
  end

  local function all_are_there(lower, count, top)
    assert.equal(top .. "\n" .. count, trial.word(description(lower), "cat /mnt/top; set -- /mnt/of-*; echo $#"))
  end

  local ODD = { "a:b", "a,b", "a\\b", "a b", "a\\:b", "a,lowerdir=b", "a'b", 'a"b', "a%b", "ä" }

  for name, kernel in pairs { ["as this kernel takes them"] = false,
    ["as kernels before 6.8 take them"] = { major = 6, minor = 1 } } do
    describe(name, function()
      before_each(function()
        if kernel then host.facts = function() return facts { kernel = kernel } end end
      end)

      local function able(title, body)
        it(title, function()
          if refused then pending(refused) end
          body()
        end)
      end

      able("has 20 long lower directories", function()
        all_are_there(many(20, 200), 20, "00000001")
      end)

      able("has 60 short ones", function()
        all_are_there(many(60, 8), 60, "00000001")
      end)

      able("has lower directories of which each is longer than a string may be", function()
        local deep = ("d"):rep(200) .. "/" .. ("e"):rep(200)
        all_are_there({ layer(deep .. "/11111111"), layer(deep .. "/22222222") }, 2, "11111111")
      end)

      able("has lower directories with odd names", function()
        local lower = {}
        for i, odd in ipairs(ODD) do lower[i] = layer(("%s/%08d"):format(odd, i)) end
        all_are_there(lower, #ODD, "00000001")
      end)

      able("has relative ones", function()
        local lower = { layer "11111111", layer "22222222" }
        trial.sh(("mkdir %s/upper %s/work"):format(directory, directory))
        local up = ("../"):rep(20):gsub("/$", "")
        for i, path in ipairs(lower) do lower[i] = up .. path end
        local box = description(lower, { upper = up .. directory .. "/upper", work = up .. directory .. "/work" })
        assert.equal("11111111 new", trial.word(box, "echo new > /mnt/new; echo $(cat /mnt/top /mnt/new)"))
        assert.equal("new\n", trial.read(directory .. "/upper/new"))
      end)

      able("has an upper directory of a long and odd name, and many below it", function()
        local lower = many(20, 100)
        local upper = layer(("u"):rep(250) .. "/a:b,c\\d/99999999")
        local work = upper:gsub("%d+$", "work")
        trial.sh("mkdir " .. trial.quote(work))
        local box = description(lower, { upper = upper, work = work })
        local script = "echo $(cat /mnt/top) $(set -- /mnt/of-*; echo $#); echo new > /mnt/new"
        assert.equal("99999999 21", trial.word(box, script))
        assert.equal("new\n", trial.read(upper .. "/new"))
      end)

      able("may have a tmpfs on top of them", function()
        local lower = many(20, 200)
        local box = description(lower, { upper = "tmpfs" })
        assert.equal("new\nx", trial.word(box, "echo new > /mnt/top; cat /mnt/top /mnt/of-00000020"))
        assert.equal("00000001\n", trial.read(lower[1] .. "/top"))
      end)

      able("leaves the working directory of who comes after it as it was", function()
        local lower = many(20, 200)
        local up = ("../"):rep(20):gsub("/$", "")
        local box = description(lower)
        table.insert(box.mounts, { type = "bind", source = up .. lower[3], destination = "/work" })
        assert.equal("00000003", trial.word(box, "cat /work/top"))
      end)

      able("takes descriptors for directories", function()
        local lower = { layer "11111111", layer "22222222" }
        local fd = assert(core.open(lower[1], { "path", "directory" }))
        assert.equal("11111111\n2", trial.word(description { { fd = fd:number() }, lower[2] },
          "cat /mnt/top; set -- /mnt/of-*; echo $#"))
        assert.equal("11111111", trial.word(description({ fd = fd:number() }, { upper = "tmpfs" }), "cat /mnt/top"))
        fd:close()
      end)

      able("of a directory that is missing is refused", function()
        local err = trial.refused(description { layer "11111111", directory .. "/" .. ("n"):rep(250) })
        assert.equal("ENOENT", err.code)
      end)
    end)
  end

  it("on a tmpfs has no directory to work in", function()
    for _, keys in ipairs { { upper = "tmpfs", work = "/w" }, { upper = "/u" }, { work = "/w" } } do
      assert.matches("mounts%[1%]: upper and work go together",
        trial.raised(cella.container, description("/usr", keys)))
    end
  end)

  it("of more directories than a string has room for names is refused before Linux 6.8", function()
    host.facts = function() return facts { kernel = { major = 5, minor = 15 } } end
    local lower = {}
    for i = 1, 200 do lower[i] = "/" .. i end
    local box = cella.container(description(lower))
    assert.matches("mounts%[1%]%.lower: 200 directories are too many before Linux 6.8", trial.raised(function()
      return box:plan { "true" }
    end))
    host.facts = function() return facts { kernel = { major = 6, minor = 8 } } end
    assert.truthy(box:plan { "true" })
  end)
end)
