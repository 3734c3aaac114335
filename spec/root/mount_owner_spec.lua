-- Whose a tmpfs, a directory and a file are that a container has to itself: the key `owner`.

local able = require "spec.support.able"
local cella = require "cella"
local trial = require "spec.support.trial"

trial.around(before_each, after_each)

local needs = able.needs(function(reason) pending(reason) end)
local inside, raised, refused = trial.inside, trial.raised, trial.refused

local function parts(owner)
  return {
    { type = "tmpfs", destination = "/srv", owner = owner },
    { type = "directory", destination = "/srv/directory", owner = owner, mode = "2750" },
    { type = "file", destination = "/srv/file", content = "x", owner = owner, mode = "4755" },
  }
end

local LOOK = "stat -c '%u:%g %a' /srv /srv/directory /srv/file"

describe("the key `owner`", function()
  it("is whose it is, with the mode that was asked for", needs("several_ids", function()
    local ids = trial.several_ids()
    local function look(owner) return inside({ ids = ids, mounts = parts(owner) }, LOOK) end
    assert.equal("0:0 1777\n0:0 2750\n0:0 4755\n", look(nil)) -- the control
    assert.equal("5:6 1777\n5:6 2750\n5:6 4755\n", look { uid = 5, gid = 6 })
    assert.equal("5:0 1777\n5:0 2750\n5:0 4755\n", look { uid = 5 })
    assert.equal("0:6 1777\n0:6 2750\n0:6 4755\n", look { gid = 6 })
  end))

  it("is whose the top of a root of parts is", needs("several_ids", function()
    local root = { { type = "bind", source = "/usr", destination = "/usr", readonly = true },
      owner = { uid = 5, gid = 6 } }
    for _, name in ipairs { "bin", "lib", "lib64" } do
      root[#root + 1] = { type = "symlink", target = "usr/" .. name, destination = "/" .. name }
    end
    assert.equal("5:6\n", inside({ ids = trial.several_ids(), root = root }, "stat -c '%u:%g' /"))
  end))

  it("lets him write there, and nobody else", needs("several_ids", function()
    local ids = trial.several_ids()
    local mounts = { { type = "tmpfs", destination = "/srv", mode = "700", owner = { uid = 5, gid = 5 } } }
    assert.is_true((trial.succeeds({ ids = ids, user = { uid = 5, gid = 5 }, mounts = mounts }, "touch /srv/x")))
    assert.is_false((trial.succeeds({ ids = ids, user = { uid = 6, gid = 6 }, mounts = mounts }, "touch /srv/x")))
  end))

  it("is of an existing file, which keeps its mode", needs("several_ids", function()
    local mounts = parts(nil)
    mounts[4] = { type = "file", destination = "/srv/file", content = "y", existing = true, owner = { uid = 7 } }
    assert.equal("7:0 755\n", inside({ ids = trial.several_ids(), mounts = mounts }, "stat -c '%u:%g %a' /srv/file"))
  end))

  it("is refused before anything happens where nobody inside has the ID", needs("user_namespaces", function()
    local _, uid = cella.sys.getresuid()
    local _, gid = cella.sys.getresgid()
    local one = { uid = { inside = 0, outside = uid, count = 1 }, gid = { inside = 0, outside = gid, count = 1 } }
    local err = refused { ids = one, mounts = parts { gid = 9 } }
    assert.same({ "mounts[1]", "EINVAL" }, { err.op, err.code })
    assert.truthy(tostring(err):find("owner.gid: 9 is not in the map", 1, true), tostring(err))
    assert.equal("0:0 1777\n0:0 2750\n0:0 4755\n", inside({ ids = one, mounts = parts { uid = 0, gid = 0 } }, LOOK))
  end))

  it("is refused where it says nothing, or nothing could come of it", function()
    for expected, mount in pairs {
      ["mounts[1].owner: uid or gid is missing"] = { type = "tmpfs", destination = "/srv", owner = {} },
      ["mounts[1].owner: { uid =, gid = } expected, got 5"] = { type = "tmpfs", destination = "/srv", owner = 5 },
      ["mounts[1].owner.uid: an integer"] = { type = "tmpfs", destination = "/srv", owner = { uid = -1 } },
      ["a directory that may be there already is left as it is"] = { type = "directory", destination = "/srv/x",
        existing = true, owner = { uid = 0 } },
      ["mounts[1].owner"] = { type = "bind", source = "/usr", destination = "/srv", owner = { uid = 0 } },
    } do
      local said = raised(cella.container, { mounts = { mount } })
      assert.truthy(said:find(expected, 1, true), said)
    end
  end)
end)
