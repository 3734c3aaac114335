-- The default root: what the host's programs need of its files, and places of the container's own.

local cella = require "cella"
local host = require "cella.host"
local own = require "cella.root.own"
local policy = require "cella.policy"
local system = require "cella.root.system"
local trial = require "spec.support.trial"

local inside, word = trial.inside, trial.word

local lacks = trial.lacks_user_namespaces()
local function when_able(title, body)
  it(title, function() if lacks then pending(lacks) else body() end end)
end

-- The destinations of what a container has to itself, on a host of these facts.
local function places(keys, facts)
  local box = cella.container(keys).description
  local list = {}
  facts = setmetatable(facts or { system = {} }, { __index = host.facts() })
  for _, mount in ipairs(own.complete(box, facts).own) do list[#list + 1] = mount.destination end
  return table.concat(list, " ")
end

describe("a system root's pieces", function()
  it("are those that the host has: links as links, directories bound", function()
    local parts = system.parts { { path = "/usr" }, { path = "/bin", link = "usr/bin" } }
    assert.equal("bind", parts[1].type)
    assert.is_true(parts[1].readonly and parts[1].nosuid and parts[1].nodev)
    assert.same({ type = "symlink", target = "usr/bin", destination = "/bin", system = true }, parts[2])
    assert.is_nil(parts[3])
  end)

  it("are never the directories of the daemons of nix and guix", function()
    for _, piece in ipairs(host.facts().system) do
      assert.is_false(piece.path == "/nix" or piece.path == "/gnu")
    end
  end)
end)

describe("what a container has to itself", function()
  local ALL = "/proc /dev /tmp /var/tmp /run"

  it("is left out where somebody says what lies there", function()
    assert.equal(ALL, places {})
    assert.equal(ALL, places { root = "/" })
    assert.equal("/proc /dev /var/tmp /run", places { mounts = { { type = "tmpfs", destination = "/tmp/" } } })
    assert.equal("/dev /tmp /var/tmp /run", places { mounts = { { type = "proc", destination = "/proc" } } })
    assert.equal("", places { root = { { type = "bind", source = "/proc", destination = "/proc" } } })
  end)

  it("stays where what is said may come to nothing, or changes what is there", function()
    assert.equal(ALL, places { mounts = {
      { type = "bind", source = "/no/such", destination = "/proc", optional = true },
      { type = "chmod", destination = "/tmp", mode = 511 },
      { type = "directory", destination = "/run", existing = true },
    } })
  end)

  it("is a /proc with a pid namespace of its own, of every kind of root", function()
    assert.equal("/proc", places { root = "/srv" })
    assert.equal("/proc", places { root = { { type = "tmpfs", destination = "/x" } } })
    assert.equal("", places { root = "/srv", namespaces = { pid = "host" } })
    assert.equal("/dev /tmp /var/tmp /run", places { namespaces = { pid = "host" } })
    assert.equal("/dev /tmp /var/tmp /run", places { proc = false })
  end)

  it("has the file that tells of name servers, with the host's network", function()
    local facts = { resolver = "/run/systemd/resolve/stub-resolv.conf" }
    local net = { net = "host" }
    assert.equal(ALL .. " " .. facts.resolver, places({ namespaces = net }, facts))
    assert.equal(ALL .. " " .. facts.resolver, places({ namespaces = net, root = "/" }, facts))
    assert.equal(ALL, places({}, facts))
    assert.equal(ALL, places({ namespaces = net }, {}))
    -- What lies elsewhere the host's root has itself.
    assert.equal(ALL, places({ namespaces = net, root = "/" }, { resolver = "/mnt/wsl/resolv.conf" }))
    assert.equal(ALL .. " /mnt/wsl/resolv.conf", places({ namespaces = net }, { resolver = "/mnt/wsl/resolv.conf" }))
  end)
end)

describe("a container's default root #vm", function()
  when_able("has what programs need, and nothing else of the host", function()
    local expected = { dev = true, etc = true, proc = true, run = true, tmp = true, usr = true, var = true }
    for _, piece in ipairs(host.facts().system) do expected[piece.path:match "^/([^/]+)"] = true end
    for name in inside({}, "ls -A /"):gmatch "%S+" do
      assert.is_true(expected[name], name)
      expected[name] = nil
    end
    assert.is_nil(next(expected))
    assert.equal("", inside({}, "ls -A /tmp /var/tmp /run /dev/shm | grep -v : || true"):gsub("\n", ""))
    for _, piece in ipairs(host.facts().system) do
      if piece.link then assert.equal(piece.link, word({}, "readlink " .. piece.path)) end
    end
  end)

  when_able("can be written to in places of its own only", function()
    for _, place in ipairs { "/", "/usr", "/etc", "/var", "/dev/pts" } do
      assert.is_false((trial.succeeds({ ids = policy.root() }, ("touch %s/cella-new"):format(place))), place)
    end
    for _, place in ipairs { "/tmp", "/var/tmp", "/run", "/dev/shm" } do
      assert.is_true((trial.succeeds({}, ("touch %s/cella-new"):format(place))), place)
    end
    assert.equal("1777 1777 755 1777", word({}, "echo $(stat -c %a /tmp /var/tmp /run /dev/shm)"))
  end)

  when_able("has its own /proc, no /sys, and HOME in /tmp", function()
    assert.equal("/tmp", word({}, "echo $HOME"))
    assert.equal("no", word({}, "test -e /sys && echo yes || echo no"))
    -- The program, its init, and nobody else.
    assert.is_true(tonumber(word({}, "ls -d /proc/[0-9]* | wc -l")) <= 8)
  end)

  when_able("has no device that the host has, however it is mounted", function()
    local text = inside({}, "cat /proc/self/mountinfo")
    local devices = { ["/dev"] = true, ["/dev/pts"] = true }
    for _, name in ipairs { "null", "zero", "full", "random", "urandom", "tty" } do devices["/dev/" .. name] = true end
    for line in text:gmatch "[^\n]+" do
      local point, options = line:match "^%S+ %S+ %S+ %S+ (%S+) (%S+) "
      -- Masks of /proc are copies of /dev/null.
      local may = devices[point] or point:find "^/proc/"
      assert.truthy(may or (options .. ","):find(",nodev,", 1, true), point .. " " .. options)
      assert.truthy(point == "/" or (options .. ","):find(",nosuid,", 1, true), point .. " " .. options)
    end
  end)

  when_able("has no socket and no FIFO, on any mount #slow", function()
    local found = word({}, "find / -xdev \\( -type s -o -type p \\) 2>/dev/null | head -1;"
      .. "for m in $(awk '{print $5}' /proc/self/mountinfo); do case $m in /|/proc*) ;; "
      .. "*) find $m -xdev \\( -type s -o -type p \\) 2>/dev/null | head -1;; esac; done")
    assert.equal("", found)
    assert.equal("/tmp/f", word({}, "mkfifo /tmp/f; find /tmp -type p")) -- it finds one where there is one
  end)

  when_able("takes the caller's mounts wherever they go", function()
    local mounts = {
      { type = "bind", source = "/usr/share", destination = "/home/me/share", readonly = true },
      { type = "tmpfs", destination = "/tmp", size = "64k" },
      { type = "file", destination = "/run/cella/file", content = "x" },
      { type = "tmpfs", destination = "/sys" },
    }
    assert.equal("yes x tmpfs", word({ mounts = mounts },
      "test -d /home/me/share/doc && echo yes $(cat /run/cella/file) $(stat -f -c %T /sys)"))
    assert.is_false((trial.succeeds({ mounts = mounts }, "head -c 100k /dev/zero > /tmp/x")))
    assert.is_true((trial.succeeds({}, "head -c 100k /dev/zero > /tmp/x")))
  end)
end)

describe("programs of the distribution in a default container", function()
  local function works(name, script, expected, keys)
    when_able(name, function()
      if trial.sh("command -v " .. name) == "" then pending(name .. " is not installed") end
      assert.equal(expected, word(keys or {}, "cd && " .. script))
    end)
  end

  works("sh", "echo a | cat > b; cat < b", "a")
  works("python3", [[
    printf 'import multiprocessing as m\nif __name__ == "__main__":\n with m.Pool(2) as p: print(p.map(abs, [-1, -2]))
 print(m.Lock().acquire())\n' > t.py; python3 t.py]], "[1, 2]\nTrue")
  works("gcc", [[
    printf '#include <stdio.h>\nint main(void) { puts("compiled"); }\n' > t.c && gcc -o t t.c && ./t]], "compiled")
  works("git", [[
    git init -q r && cd r && echo x > x && git add x && git -c user.name=a -c user.email=b commit -q -m c
    git log --format=%s]], "c")
  works("node", "node -e 'console.log([1, 2].map(x => x * 2).join())'", "2,4")
  works("perl", [[perl -MFile::Temp=tempfile -e '($f, $n) = tempfile(); print -e $n ? "made" : "no", "\n"']], "made")
  -- One that lies in a checkout is none of the distribution's: it is handed in.
  local own_lua = trial.lua:find("/", 1, true)
    and { mounts = { { type = "bind", source = trial.lua, destination = trial.lua, readonly = true } } }
  works(trial.lua, trial.lua
    .. [[ -e 'local f = assert(io.tmpfile()) f:write "x" f:seek "set" print(f:read "*a")']], "x", own_lua)
end)

describe("the host's root #vm", function()
  when_able("has places of its own where the host's sockets and devices are", function()
    assert.equal("", inside({ root = "/" }, "ls -A /tmp /var/tmp /run /dev/shm | grep -v : || true"):gsub("\n", ""))
    assert.equal("own", word({ root = "/" }, "test $(ls -d /proc/[0-9]* | wc -l) -le 8 && echo own"))
  end)

  when_able("has no devices, wherever they lie", function()
    if trial.lacks_root() then pending(trial.lacks_root()) end
    -- In the root itself, and on a mount below it, of a mount namespace that ends with this caller.
    local text = ([[
      mount --make-rprivate / && mount -t tmpfs none /srv && mknod -m 666 /srv/zero c 1 5 &&
      head -c 1 /srv/zero >/dev/null && %s -e %s]]):format(trial.interpreter(), trial.quote [[
      for _, root in ipairs { { path = "/" }, { path = "/usr/.." }, { path = "/", nodev = false } } do
        local result = assert(require("cella").container { root = root }:run { "head", "-c", "1", "/srv/zero",
          stdout = "null", stderr = "null" })
        io.write(result.code, " ")
      end]])
    assert.equal("1 1 0 ", trial.sh("unshare -m sh -c " .. trial.quote(text)))
  end)
end)

describe("with the host's network", function()
  when_able("names can be resolved where /etc/resolv.conf leads into /run; without, nothing of it is there", function()
    if trial.lacks_root() then pending(trial.lacks_root()) end
    -- A host that is so, in a mount namespace that ends with this caller.
    local text = ([[
      mount --make-rprivate / && mount -t tmpfs none /run && mkdir -p /run/upper /run/work /run/systemd/resolve &&
      mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work overlay /etc &&
      echo "nameserver 127.0.0.53" >/run/systemd/resolve/stub && rm -f /etc/resolv.conf &&
      ln -s ../run/systemd/resolve/stub /etc/resolv.conf && %s -e %s]]):format(trial.interpreter(), trial.quote [[
      for _, keys in ipairs { { namespaces = { net = "host" } }, { namespaces = { net = "host" }, root = "/" }, {} } do
        local result = assert(require("cella").container(keys):run { "/bin/sh", "-c",
          "cat /etc/resolv.conf; { echo x >/run/systemd/resolve/stub; } 2>/dev/null && echo written; "
          .. "find /run -type f", stdout = "capture", stderr = "null" })
        io.write("[", result.stdout, "]")
      end]])
    local there = "[nameserver 127.0.0.53\n/run/systemd/resolve/stub\n]"
    assert.equal(there .. there .. "[]", trial.sh("unshare -m sh -c " .. trial.quote(text)))
  end)
end)

describe("`proc = false` #vm", function()
  when_able("is no /proc at all, of any root", function()
    local script = "ls -A /proc 2>/dev/null | wc -l; touch /proc/x 2>/dev/null && echo written || true"
    for _, root in ipairs { "system", "/" } do
      assert.equal("0", word({ proc = false, root = root }, script))
      assert.is_true(tonumber(word({ root = root }, script)) > 1)
    end
    assert.equal("0", word({ proc = false, root = "/", namespaces = { pid = "host" } }, script))
  end)

  it("is refused beside a mount there", function()
    assert.matches("proc: false, and mounts%[1%] is one", trial.raised(cella.container,
      { proc = false, mounts = { { type = "proc", destination = "/proc" } } }))
    assert.matches("proc: needs a new mount namespace", trial.raised(cella.container,
      { proc = false, namespaces = { mount = "host" } }))
    assert.matches("proc: a /proc of its own needs a pid namespace", trial.raised(cella.container,
      { proc = true, namespaces = { pid = "host" } }))
  end)
end)

describe("a program that is on the host and not in the root", function()
  local directory
  setup(function()
    directory = trial.directory()
    trial.sh(("cp /bin/true %s/program; printf '#!%s/program\\n' > %s/script; chmod 755 %s/script"):format(directory,
      directory, directory, directory))
  end)
  teardown(function() trial.remove_directory(directory) end)

  local function why(keys, program)
    local err = trial.refused(keys, { program, stdout = "capture", stderr = "capture" })
    assert.equal("ENOENT", err.code)
    return err.why
  end

  when_able("is said to be so, with what to write", function()
    local program = directory .. "/program"
    local said = why({}, program)
    assert.truthy(said:find("the host has " .. program, 1, true), said)
    assert.truthy(said:find(('source = %q'):format(program), 1, true), said)
    said = why({ environment = { PATH = directory } }, "program")
    assert.truthy(said:find("the host has " .. program, 1, true), said)
    -- And that helps.
    local bind = { type = "bind", source = program, destination = program, readonly = true }
    assert.equal(0, cella.container({ mounts = { bind } }):run({ program }).code)
    assert.is_nil(why({}, "/no/such/program"):find("the host has", 1, true))
  end)

  when_able("is named where it is an interpreter", function()
    local said = why({ mounts = { { type = "bind", source = directory .. "/script", destination = "/s/script",
      readonly = true } } }, "/s/script")
    assert.truthy(said:find("its first line names " .. directory .. "/program", 1, true), said)
    said = why({ root = { { type = "bind", source = "/bin/true", destination = "/true", readonly = true } } }, "/true")
    assert.truthy(said:find("its header names the dynamic linker /", 1, true), said)
  end)
end)
