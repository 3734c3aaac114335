-- Manifests of Kubernetes, and the YAML that they are written in.

local cella = require "cella"
local json = require "cella.oci.json"
local kube = require "cella.oci.kube"
local trial = require "spec.support.trial"
local yaml = require "cella.oci.yaml"

if not json.available() then
  describe("manifests", function() it("need JSON", function() pending(select(2, json.available())) end) end)
  return
end

local function manifest(keys, options, command)
  options = options or {}
  options.image = options.image or "image"
  return assert(kube.manifest(cella.container(keys), options, command))
end

-- Whether a text has lines one behind the other, whatever stands before them in each.
local function has(text, lines)
  local pattern = {}
  for line in lines:gmatch "[^\n]+" do pattern[#pattern + 1] = line:gsub("^ +", "") end
  local from = {}
  for line in text:gmatch "[^\n]+" do from[#from + 1] = (line:gsub("^ +", "")) end
  return ("\n" .. table.concat(from, "\n") .. "\n"):find("\n" .. table.concat(pattern, "\n") .. "\n", 1, true) ~= nil
end

describe("YAML", function()
  it("has every text in quotes, and nothing in it means anything", function()
    local odd = "a: b # c\n- 'd' \"e\" \\ \t \1 \127 \194\133 \226\128\168 \239\187\191 {{x}} & * ! | > % @ `"
    assert.equal('"yes": true\n', yaml.encode { yes = true })
    assert.equal('a: "yes"\n', yaml.encode { a = "yes" })
    assert.equal([[a: "a: b # c\n- 'd' \"e\" \\ \t \u0001 \u007f \u0085 \u2028 \ufeff {{x}} & * ! | > % @ `"]] .. "\n",
      yaml.encode { a = odd })
    assert.equal('"a b\\n": 1\n', yaml.encode { ["a b\n"] = 1 })
  end)

  it("has lists and tables in each other", function()
    assert.equal([[
name: "x"
a:
  - 1
  - b: 2
    c:
      - "d"
  - - 3
e: {}
f: []
g: 18446744073709551615
]], yaml.encode({ a = { 1, { b = 2, c = { "d" } }, { 3 } }, e = {}, f = json.array {}, name = "x",
      g = json.integer "18446744073709551615" }, { "name" }))
  end)

  it("raises at what JSON has not", function()
    assert.truthy(trial.raised(yaml.encode, { a = "\255" }):find("UTF-8", 1, true))
    assert.truthy(trial.raised(yaml.encode, { a = print }):find("function", 1, true))
  end)

  it("is what another reader reads #slow", function()
    if trial.sh "python3 -c 'import yaml' && echo there" ~= "there\n" then return pending "there is no python3-yaml" end
    local value = { a = "x: 'y' \"z\"\n\1\127\194\133\226\128\168 #", yes = { 1, { b = "no", ["1"] = "~" }, {} } }
    local directory = trial.directory()
    trial.write(directory .. "/y", yaml.encode(value))
    local read = trial.sh(("python3 -c 'import yaml, json, sys; print(json.dumps(yaml.safe_load(open(sys.argv[1])), "
      .. "sort_keys=True, ensure_ascii=False))' %s/y"):format(directory))
    trial.remove_directory(directory)
    assert.same(json.decode(json.encode(value)), assert(json.decode(read)))
  end)
end)

describe("a manifest", function()
  it("says a container of a pod", function()
    local text = manifest({ hostname = "moon", user = { uid = 7, gid = 8, groups = { 9 } }, root = { readonly = true },
      cgroup = { memory = "64M", cpu = 1.5, swap = 0 }, environment = { A = "$x $(y) $$", HOME = "/" }, cwd = "/tmp",
      mounts = { { type = "tmpfs", destination = "/tmp", size = "1M" },
        { type = "bind", source = "/usr", destination = "/u", readonly = true } } }, nil,
      { "echo", "yes", "a\nb", timeout = 1.5, terminal = true })
    for _, lines in ipairs { 'hostname: "moon"', "hostUsers: false",
      'supplementalGroups:\n- 9\nsupplementalGroupsPolicy: "Strict"',
      'command:\n- "echo"\n- "yes"\n- "a\\nb"', 'workingDir: "/tmp"', '- name: "A"\nvalue: "$x $$(y) $$$"',
      '- name: "HOME"\nvalue: "/"', "allowPrivilegeEscalation: false", 'drop:\n- "ALL"', "readOnlyRootFilesystem: true",
      "runAsGroup: 8\nrunAsNonRoot: true\nrunAsUser: 7", 'cpu: "1500m"\nmemory: "67108864"', 'type: "RuntimeDefault"',
      'medium: "Memory"\nsizeLimit: "1048576"', 'hostPath:\ntype: "Directory"\npath: "/usr"',
      'mountPath: "/u"\nreadOnly: true\nrecursiveReadOnly: "Enabled"',
      "activeDeadlineSeconds: 2", "tty: true", 'restartPolicy: "Never"',
      "automountServiceAccountToken: false", "enableServiceLinks: false", 'image: "image"' } do
      assert.is_true(has(text, lines), lines .. "\nin\n" .. text)
    end
  end)

  it("tells of which clusters hold that all below a volume is read-only", function()
    local note = "# cella: recursiveReadOnly: of Kubernetes 1.33 and later"
    local mounts = { { type = "bind", source = "/usr", destination = "/u", readonly = true } }
    assert.truthy(manifest({ mounts = mounts }):find(note, 1, true))
    mounts[1].readonly = nil
    local text = manifest { mounts = mounts }
    assert.is_nil(text:find("recursiveReadOnly", 1, true), text)
  end)

  it("says a Job with numbers", function()
    local text = manifest({}, { job = true, completions = 100, parallelism = 10, name = "judge",
      runtime_class = "cella" }, { "true" })
    for _, lines in ipairs { 'apiVersion: "batch/v1"\nkind: "Job"', "backoffLimit: 0", 'completionMode: "Indexed"\n'
      .. "completions: 100\nparallelism: 10", 'name: "judge"', 'runtimeClassName: "cella"' } do
      assert.is_true(has(text, lines), lines .. "\nin\n" .. text)
    end
    assert.is_false(has(manifest({}, { job = true }), 'completionMode: "Indexed"'))
    assert.truthy(trial.raised(manifest, {}, { parallelism = 2 }):find("job = true", 1, true))
  end)

  it("lets nothing in or out where the container has no network", function()
    local denied = 'kind: "NetworkPolicy"'
    local text = manifest {}
    assert.is_true(has(text, denied))
    assert.is_true(has(text, 'policyTypes:\n- "Ingress"\n- "Egress"'))
    assert.is_true(has(text, 'matchLabels:\n"app.kubernetes.io/name": "cella"'))
    assert.is_false(has(manifest { network = "user" }, denied))
    text = manifest { network = "host", namespaces = { uts = "host" } }
    assert.is_false(has(text, denied))
    assert.is_true(has(text, "hostNetwork: true"))
  end)

  it("has the places of its own that the host's root needs", function()
    local text = manifest {} -- the root "system", read-only
    assert.is_true(has(text, "readOnlyRootFilesystem: true"))
    for _, path in ipairs { "/tmp", "/var/tmp", "/run" } do
      assert.is_true(has(text, ('mountPath: "%s"'):format(path)), text)
    end
  end)

  it("names where the nodes have the policy of system calls", function()
    local text = manifest({ seccomp = "strict" }, { seccomp_profile = "cella/strict.json" })
    assert.is_true(has(text, 'type: "Localhost"\nlocalhostProfile: "cella/strict.json"'), text)
    assert.is_true(has(manifest { seccomp = false }, 'type: "Unconfined"'))
    -- What podman reads, which knows no such field.
    local annotation = 'annotations:\n"container.seccomp.security.alpha.kubernetes.io/program": '
    assert.is_true(has(text, annotation .. '"localhost/cella/strict.json"'), text)
    text = manifest({ seccomp = false }, { job = true })
    assert.is_true(has(text, 'template:\nmetadata:\nlabels:\n"app.kubernetes.io/name": "cella"\n' .. annotation
      .. '"unconfined"'), text)
    assert.is_nil(manifest({}):find("annotations", 1, true))
    local shown = trial.cella { "seccomp", "show", "--oci", "strict" }
    assert.equal(0, shown.status, shown.stderr)
    assert.equal("SCMP_ACT_ERRNO", assert(json.decode(shown.stdout)).defaultAction)
  end)

  it("tells which refusals beside the policy there are none of", function()
    local both = "# cella: keyrings, user_namespaces: %s is not known to refuse the system calls that make them\n"
    local profile = { seccomp_profile = "p.json" }
    local function tells(text, who) return text:find(both:format(who), 1, true) ~= nil end
    assert.is_true(tells(manifest {}, "that default"))
    assert.is_true(tells(manifest { seccomp = false }, "no policy"))
    assert.truthy(manifest({ seccomp = "nesting" }, profile):find("# cella: keyrings: this policy", 1, true))
    -- "default" makes no user namespaces.
    assert.truthy(manifest({ seccomp = "default", user_namespaces = false }, profile)
      :find("# cella: keyrings: this policy is not known", 1, true))
    -- But for a policy that has them.
    local whole = { default = "allow", errno = { EPERM = { "add_key", "request_key", "keyctl",
      unshare = { { 0, "&", "user" } }, clone = { { 0, "&", "user" } } }, ENOSYS = { "clone3" } } }
    local text = manifest({ seccomp = whole, keyrings = "none", user_namespaces = false }, profile)
    assert.is_nil(text:find("not known", 1, true), text)
    text = manifest({ seccomp = "strict", keyrings = "none", user_namespaces = false }, profile)
    assert.is_nil(text:find("not known", 1, true), text)
    -- A condition more, another bit, or one that is allowed before: not.
    for _, clone in ipairs { { { 0, "&", "user" }, { 1, "==", 0 } }, { { 0, "&", "net" } } } do
      local partly = { default = "allow", errno = { EPERM = { "add_key", "request_key", "keyctl",
        unshare = { { 0, "&", "user" } }, clone = clone }, ENOSYS = { "clone3" } } }
      text = trial.raised(manifest, { seccomp = partly, user_namespaces = false }, profile)
      assert.truthy(text:find("\n  user_namespaces: ", 1, true), text)
    end
    text = trial.raised(manifest, { user_namespaces = false, seccomp = { default = "allow", calls = { clone = {
      { { 1, "==", 0 }, "allow" }, { { 0, "&", "user" }, "EPERM" }, "allow" }, unshare = { "EPERM" },
      clone3 = { "EPERM" } } } }, profile)
    assert.truthy(text:find("\n  user_namespaces: ", 1, true), text)
    whole.errno.EPERM[3] = nil
    local message = trial.raised(manifest, { seccomp = whole, keyrings = "none" }, profile)
    assert.truthy(message:find("\n  keyrings: ", 1, true), message)
    -- Who may make user namespaces is refused nothing.
    assert.truthy(manifest({ user_namespaces = true }):find("# cella: keyrings: that default", 1, true))
  end)

  local REFUSED = {
    keyrings = { keyrings = "none" },
    user_namespaces = { user_namespaces = false, seccomp = false },
    ids = { ids = { uid = "0 1000 1", gid = "0 1000 1" } },
    ["hooks.created"] = { hooks = { created = print } },
    ["rlimits.nofile"] = { rlimits = { nofile = 64 } },
    umask = { umask = "077" },
    oom_score_adj = { oom_score_adj = 5 },
    masked_paths = { masked_paths = "default" },
    hostname = { hostname = "Moon_1" },
    ["user.uid"] = { user = { uid = 65536, gid = 0 } },
    capabilities = { user = { uid = 7, gid = 7 }, capabilities = { "chown" } },
    seccomp = { seccomp = "strict" },
    environment = { environment = "inherit" },
    ["environment.A"] = { environment = { A = "\255" } },
    ["environment.A B"] = { environment = { ["A B"] = "x" } },
    ["environment.PATH"] = { environment = { PATH = false } },
    ["namespaces.cgroup"] = { namespaces = { cgroup = "host" } },
    ["namespaces.mount"] = { namespaces = { mount = "host" } },
    ["namespaces.net.path"] = { namespaces = { net = "/proc/1/ns/net" } },
    ["network.allow"] = { network = { type = "none", allow = { "192.0.2.7" } } },
    ["cgroup.pids"] = { cgroup = { pids = 5 } },
    ["sysctl[\"net.ipv4.conf.a/b.tag\"]"] = { sysctl = { ["net.ipv4.conf.a/b.tag"] = 0 } },
    ["mounts[1].size"] = { mounts = { { type = "tmpfs", destination = "/x", size = "10%" } } },
    ["mounts[1].noexec"] = { mounts = { { type = "tmpfs", destination = "/x", noexec = true } } },
    ["mounts[1].destination"] = { mounts = { { type = "proc", destination = "/x" } } },
    ["mounts[1]"] = { mounts = { { type = "symlink", destination = "/x", target = "y" } } },
    ["mounts[1].optional"] = { mounts = { { type = "bind", source = "/x", destination = "/x", optional = true } } },
    ["mounts[1].recursive"] = { mounts = { { type = "bind", source = "/usr", destination = "/x",
      recursive = false } } },
    ["mounts[1].readonly"] = { mounts = { { type = "mqueue", destination = "/dev/mqueue", readonly = true } } },
    ["root[1].readonly"] = { root = { { type = "proc", destination = "/proc", readonly = true } } },
    ["command.argv0"] = { command = { "true", argv0 = "x" } },
    command = { command = print },
  }
  for key, keys in pairs(REFUSED) do
    it("refuses by name " .. key, function()
      local message = trial.raised(kube.manifest, cella.container(keys), { image = "image" })
      assert.truthy(message:find("a manifest cannot say all of this container:\n", 1, true), message)
      assert.truthy(message:find("\n  " .. key .. ": ", 1, true), message)
    end)
  end

  it("refuses bad names", function()
    for name, options in pairs { image = { image = "a b" }, name = { image = "a", name = "A" },
      completions = { image = "a", job = true, completions = 0 } } do
      local message = trial.raised(kube.manifest, cella.container {}, options)
      assert.truthy(message:find("options." .. name, 1, true) or message:find(name .. ": ", 1, true), message)
    end
    assert.truthy(trial.raised(kube.manifest, cella.container {}, {}):find("image: missing", 1, true))
  end)

  it("is printed by cella kube, with options wherever they stand", function()
    local directory = trial.directory()
    trial.write(directory .. "/box.lua", 'return { hostname = ..., command = { "cat" } }')
    local before = trial.cella { "kube", "--image", "a/b:1", "--job", directory .. "/box.lua", "mars" }
    local behind = trial.cella { "kube", directory .. "/box.lua", "--image=a/b:1", "mars", "--job" }
    local replaced = trial.cella { "kube", directory .. "/box.lua", "mars", "--image", "x", "--", "echo", "--image" }
    trial.remove_directory(directory)
    assert.equal(0, before.status, before.stderr)
    assert.equal(before.stdout, behind.stdout)
    assert.is_true(has(before.stdout, 'hostname: "mars"') and has(before.stdout, 'image: "a/b:1"'))
    assert.is_true(has(replaced.stdout, 'command:\n- "echo"\n- "--image"'), replaced.stdout)
    -- A policy of the line is no less asked for than one of the file.
    local policy = trial.cella { "kube", "-e", "", "--image", "x", "--seccomp", "strict", "--", "true" }
    assert.equal(125, policy.status)
    assert.truthy(policy.stderr:find("\n  seccomp: the nodes have to have it", 1, true), policy.stderr)
    local none = trial.cella { "kube", "-e", "hostname = 'x'" }
    assert.equal("cella: the image is missing: --image NAME\n", none.stderr)
    assert.equal(125, none.status)
    local wrong = trial.cella { "kube", "-e", "umask = '077'", "--image", "x", "--job", "--completions", "0" }
    assert.equal(125, wrong.status)
    assert.truthy(wrong.stderr:find("--completions", 1, true), wrong.stderr)
  end)
end)
