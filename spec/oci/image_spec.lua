-- Images: the root as a layer, and who its program is.

local cella = require "cella"
local image = require "cella.oci.image"
local json = require "cella.oci.json"
local lfs = require "lfs"
local portable = require "spec.support.portable"
local trial = require "spec.support.trial"

if not json.available() then
  describe("images", function() it("need JSON", function() pending(select(2, json.available())) end) end)
  return
end

describe("an image", function()
  local directory

  before_each(function() directory = trial.directory() end)
  after_each(function() trial.remove_directory(directory) end)

  -- What a blob is, of which a descriptor tells: its size and its digest are those of the file.
  local function blob(at, descriptor)
    local name = assert(descriptor.digest:match "^sha256:(%x+)$")
    local path = at .. "/blobs/sha256/" .. name
    assert.equal(lfs.attributes(path, "size"), descriptor.size)
    assert.equal(name, trial.sh("sha256sum " .. trial.quote(path)):match "^%x+")
    return path
  end

  local function read(at)
    assert.equal("1.0.0", assert(json.decode(trial.read(at .. "/oci-layout"))).imageLayoutVersion)
    local index = assert(json.decode(trial.read(at .. "/index.json")))
    local manifest = assert(json.decode(trial.read(blob(at, index.manifests[1]))))
    local config = assert(json.decode(trial.read(blob(at, manifest.config))))
    assert.equal(manifest.layers[1].digest, config.rootfs.diff_ids[1])
    return config, blob(at, manifest.layers[1])
  end

  -- "MODE OWNER PATH", without the sizes and times.
  local function listed(layer)
    local lines = {}
    for line in trial.sh(("tar --numeric-owner -tvf %s"):format(trial.quote(layer))):gmatch "[^\n]+" do
      local mode, owner, path = line:match "^(%S+) (%S+) +%d+ %S+ %S+ (.*)$"
      lines[#lines + 1] = ("%s %s %s"):format(mode, owner, path)
    end
    table.sort(lines)
    return table.concat(lines, "\n")
  end

  it("has what a link leads to, where that is what is bound", function()
    trial.write(directory .. "/file", "text")
    assert(lfs.mkdir(directory .. "/tree"))
    trial.write(directory .. "/tree/inner", "more")
    assert(lfs.link("file", directory .. "/to-file", true))
    assert(lfs.link("tree", directory .. "/to-tree", true))
    assert(lfs.link("inner", directory .. "/tree/kept", true))
    local box = cella.container { root = {
      { type = "bind", source = directory .. "/to-file", destination = "/f" },
      { type = "bind", source = directory .. "/to-tree", destination = "/t" } } }
    assert.is_table(image.write(box, directory .. "/made"))
    local _, layer = read(directory .. "/made")
    assert.equal([[
-rw-r--r-- 0/0 ./f
-rw-r--r-- 0/0 ./t/inner
drwxr-xr-x 0/0 ./
drwxr-xr-x 0/0 ./t/
lrwxrwxrwx 0/0 ./t/kept -> inner]], listed(layer))
  end)

  it("has the parts of the root, and what is bound there, each once", function()
    local from = directory .. "/from"
    assert(lfs.mkdir(from) and lfs.mkdir(from .. "/deep"))
    trial.write(from .. "/a", "text")
    trial.write(from .. "/deep/under", "covered")
    assert(lfs.link(from .. "/a", from .. "/hard"))
    assert(lfs.link("/not/here", from .. "/link", true))
    local box = cella.container { root = {
      { type = "file", destination = "/etc/hello", content = "hello", mode = "640" },
      { type = "symlink", destination = "/bin", target = "usr/bin" },
      { type = "bind", source = from, destination = "/opt/a & b,c" },
      { type = "bind", source = from .. "/a", destination = "/one" },
      { type = "bind", source = from, destination = "/opt/a & b,c/deep" },
      { type = "bind", source = "/not/there", destination = "/none", optional = true },
      { type = "bind", source = { content = "data", mode = "600" }, destination = "/data" },
      { type = "tmpfs", destination = "/tmp" }, { type = "proc", destination = "/proc" } } }
    local at = directory .. "/an image"
    assert.is_table(image.write(box, at))
    local _, layer = read(at)
    assert.equal([[
-rw------- 0/0 ./data
-rw-r----- 0/0 ./etc/hello
-rw-r--r-- 0/0 ./one
-rw-r--r-- 0/0 ./opt/a & b,c/a
-rw-r--r-- 0/0 ./opt/a & b,c/deep/a
-rw-r--r-- 0/0 ./opt/a & b,c/deep/deep/under
drwxr-xr-x 0/0 ./
drwxr-xr-x 0/0 ./etc/
drwxr-xr-x 0/0 ./opt/
drwxr-xr-x 0/0 ./opt/a & b,c/
drwxr-xr-x 0/0 ./opt/a & b,c/deep/
drwxr-xr-x 0/0 ./opt/a & b,c/deep/deep/
drwxr-xr-x 0/0 ./proc/
drwxrwxrwt 0/0 ./tmp/
hrw-r--r-- 0/0 ./opt/a & b,c/deep/hard link to ./opt/a & b,c/deep/a
hrw-r--r-- 0/0 ./opt/a & b,c/hard link to ./opt/a & b,c/a
lrwxrwxrwx 0/0 ./bin -> usr/bin
lrwxrwxrwx 0/0 ./opt/a & b,c/deep/link -> /not/here
lrwxrwxrwx 0/0 ./opt/a & b,c/link -> /not/here]], listed(layer))
    assert.equal("hello", trial.sh(("tar -xOf %s ./etc/hello"):format(trial.quote(layer))))
    -- Nothing else is left.
    assert.equal("blobs\nindex.json\noci-layout\n", trial.sh("ls " .. trial.quote(at)))
  end)

  it("has a directory as it is", function()
    local from = directory .. "/from"
    assert(lfs.mkdir(from))
    trial.write(from .. "/file", "text")
    assert(image.write(cella.container { root = from }, directory .. "/b"))
    local _, layer = read(directory .. "/b")
    assert.equal("-rw-r--r-- 0/0 ./file\ndrwxr-xr-x 0/0 ./", listed(layer))
  end)

  it("says who its program is, and tells what is said elsewhere", function()
    local box = cella.container { root = {}, user = { uid = 7, gid = 8 }, cwd = "/tmp", hostname = "moon",
      environment = { A = "b\n\"c", HOME = false }, command = { "echo", "two words" }, capabilities = { "chown" } }
    local notes = assert(image.write(box, directory .. "/b"))
    assert.same({ "not in an image, but said where it is started: capabilities, hostname" }, notes)
    local config = read(directory .. "/b")
    assert.equal("linux", config.os)
    assert.equal("7:8", config.config.User)
    assert.equal("/tmp", config.config.WorkingDir)
    assert.same({ "echo", "two words" }, { portable.unpack(config.config.Cmd) })
    assert.equal("A=b\n\"c", config.config.Env[1])
    assert.equal(2, #config.config.Env)
  end)

  local REFUSED = {
    ["root"] = { root = "system" },
    ["root "] = { root = "/" },
    ["root[1].type"] = { root = { { type = "overlay", destination = "/x", lower = "/usr", upper = "tmpfs" } } },
    ["root[1].source.fd"] = { root = { { type = "bind", source = { fd = 0 }, destination = "/x" } } },
    ["root[1].source"] = { root = { { type = "bind", source = "/not/there", destination = "/x" } } },
    ["root[1].source "] = { root = { { type = "bind", source = "/", destination = "/x" } } },
    ["root[2]"] = { root = { { type = "tmpfs", destination = "/x" },
      { type = "file", destination = "/x/f", content = "" } } },
    environment = { root = {}, environment = "inherit" },
    ["environment.A"] = { root = {}, environment = { A = "\255" } },
    ["command"] = { root = {}, command = function() end },
  }
  for key, keys in pairs(REFUSED) do
    it("refuses by name " .. key, function()
      local message = trial.raised(image.write, cella.container(keys), directory .. "/b")
      local wanted = ("an image cannot say all of this container:\n  %s: "):format((key:gsub(" ", "")))
      assert.truthy(message:find(wanted, 1, true), message)
      assert.is_nil(lfs.attributes(directory .. "/b"))
    end)
  end

  it("refuses a name that means another file's absence to whoever unpacks it", function()
    local tree = directory .. "/tree"
    assert(lfs.mkdir(tree) and lfs.mkdir(tree .. "/deep"))
    for _, name in ipairs { ".wh", "a.wh.b", "deep/.whole" } do trial.write(tree .. "/" .. name, "") end
    assert.is_table(image.write(cella.container { root = tree }, directory .. "/good"))
    local _, layer = read(directory .. "/good")
    assert.matches("./a.wh.b", listed(layer), 1, true)
    trial.write(tree .. "/deep/.wh..wh..opq", "")
    for name, root in pairs { ["/deep/.wh..wh..opq"] = tree, ["/t/deep/.wh..wh..opq"] = {
      { type = "bind", source = tree, destination = "/t" } }, ["/made/.wh.x"] = {
      { type = "file", content = "", destination = "/made/.wh.x" } } } do
      local made, err = image.write(cella.container { root = root }, directory .. "/bad")
      assert.is_nil(made, name)
      assert.matches("a layer cannot have a file of this name\n  " .. name, tostring(err), 1, true)
      assert.is_nil(lfs.attributes(directory .. "/bad"))
    end
  end)

  it("is written over nothing, and leaves nothing where it fails", function()
    assert(lfs.mkdir(directory .. "/b"))
    local made, err = image.write(cella.container { root = {} }, directory .. "/b")
    assert.is_nil(made)
    assert.equal("EEXIST", err.code)
    made, err = image.write(cella.container { root = directory .. "/none" }, directory .. "/c")
    assert.is_nil(made)
    assert.equal("tar", err.op)
    assert.is_nil(lfs.attributes(directory .. "/c"))
  end)

  it("is no part of itself", function()
    assert(lfs.mkdir(directory .. "/d"))
    assert(lfs.mkdir(directory .. "/d/deep"))
    assert(lfs.mkdir(directory .. "/e"))
    assert(lfs.link("d/deep", directory .. "/to-deep", true))
    local by_path = cella.container { root = directory .. "/d" }
    local by_parts = cella.container { root = {
      { type = "bind", source = directory .. "/d", destination = "/x" } } }
    for _, box in ipairs { by_path, by_parts } do
      for _, inside in ipairs { "/d/b", "/d/deep/b/", "/to-deep/b", "/e/../d/b" } do
        local made, err = image.write(box, directory .. inside)
        assert.is_nil(made)
        assert.equal("it lies in " .. directory .. "/d, which the image is a copy of", err.message)
      end
      assert.is_nil(lfs.attributes(directory .. "/d/b"))
      assert.is_nil(lfs.attributes(directory .. "/d/deep/b"))
      assert.is_table(image.write(box, directory .. "/e/b"))
      trial.sh("rm -r " .. trial.quote(directory .. "/e/b"))
    end
  end)

  it("is written by cella oci image, and skopeo takes it", function()
    local at = directory .. "/b"
    local result = trial.cella { "oci", "image", "-e", "root = {}, hostname = 'moon'", at, "--", "echo", "x" }
    assert.equal(0, result.status, result.stderr)
    assert.equal("cella: note: not in an image, but said where it is started: hostname\n", result.stderr)
    assert.same({ "echo", "x" }, { portable.unpack((read(at)).config.Cmd) })
    if trial.sh "command -v skopeo" == "" then return pending "there is no skopeo" end
    local inspected = trial.host { "skopeo", "inspect", "--config", "oci:" .. at }
    assert.equal(0, inspected.status, inspected.stderr)
    assert.equal("echo", assert(json.decode(inspected.stdout)).config.Cmd[1])
  end)
end)
