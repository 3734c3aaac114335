-- Many mounts: that they are all there, and that what they cost grows as their number does. No clock decides: steps,
-- system calls and Lua's own instructions are counted.

local able = require "spec.support.able"
local cella = require "cella"
local policy = require "cella.policy"
local rootfs = require "spec.support.rootfs"
local trial = require "spec.support.trial"

local needs = able.needs(function(reason) pending(reason) end)

describe("a thousand bind mounts", function()
  local root, directory
  setup(function() root = rootfs.new() end)
  teardown(function() root:remove() end)
  trial.around(before_each, after_each, function(own)
    directory = own
    trial.sh(("cd %s && seq 2000 | while read -r n; do echo $n > $n; done"):format(directory))
  end)

  local function description(count, kind)
    local mounts = {
      { type = "proc", destination = "/proc" }, { type = "tmpfs", destination = "/mnt" },
      { type = kind == "directories" and "directory" or "file", destination = "/mnt/same",
        content = kind ~= "directories" and "" or nil },
    }
    for i = 1, count do
      local source = kind == "directories" and directory or ("%s/%d"):format(directory, i)
      mounts[#mounts + 1] = { type = "bind", source = source, readonly = i % 2 == 0,
        destination = kind == "stacked" and "/mnt/same" or "/mnt/" .. i }
    end
    return { root = root.path, mounts = mounts, ids = policy.root() } -- the files are the caller's
  end

  -- The container's own are of one file each.
  local COUNT = "n=0; while read -r _ _ _ _ at _; do case $at in /mnt/*) n=$((n + 1)) ;; esac; done "
    .. "</proc/self/mountinfo; echo $n; "

  it("are all there, each with what it is of", needs("user_namespaces", function()
    local same = "for i in /mnt/[0-9]*; do read -r n <$i; [ /mnt/$n = $i ] || echo $i; done"
    assert.equal("1000\n", trial.inside(description(1000), COUNT .. same))
  end))

  it("of directories, too #slow", needs("user_namespaces", function()
    assert.equal("1000\n7\n", trial.inside(description(1000, "directories"), COUNT .. "cat /mnt/1000/7"))
  end))

  it("may lie over each other", needs("user_namespaces", function()
    assert.equal("1000\n1000\n", trial.inside(description(1000, "stacked"), COUNT .. "cat /mnt/same"))
  end))

  local function plan(count)
    return assert(cella.container(description(count)):plan { "/bin/true" })
  end

  it("cost the same number of steps each #slow", needs("user_namespaces", function()
    local none, half, all = #plan(0):steps(), #plan(500):steps(), #plan(1000):steps()
    assert.equal(2 * (half - none), all - none)
  end))

  -- How often somebody wakes up is a matter of time.
  local OTHERS = "brk,mmap,munmap,mremap,madvise,futex,rt_sigreturn,"
    .. "ppoll,epoll_wait,epoll_pwait,epoll_pwait2,wait4,waitid"

  it("cost the same number of system calls each #slow", needs("user_namespaces", "strace", "plain_memory", function()
    local function calls(count)
      local file = trial.write(("%s/box.lua"):format(directory), ([[
        local mounts = { { type = "tmpfs", destination = "/mnt" } }
        for i = 1, %d do
          mounts[i + 1] = { type = "bind", source = %q .. i, destination = "/mnt/" .. i, readonly = i %% 2 == 0 }
        end
        local ids = require "cella.policy".root()
        local plan = require "cella".container({ root = %q, ids = ids, mounts = mounts }):plan { "/bin/true" }
        assert(plan:run())
      ]]):format(count, directory .. "/", root.path))
      local log = directory .. "/log"
      local said = trial.sh(("strace -f -qq -o %s -e trace='!%s' %s %s")
        :format(log, OTHERS, trial.interpreter(), file))
      assert.equal("", said)
      local number = 0
      for line in io.lines(log) do
        if line:find "^%d+ +[%w_]+%(" then number = number + 1 end
      end
      os.remove(log)
      return number
    end
    local none, some, more = calls(0), calls(100), calls(200)
    assert.is_true(some - none >= 400, some - none)
    -- Who has to wait for whom is a matter of time, and costs a few: less than one for ten mounts.
    assert.is_true(math.abs(2 * (some - none) - (more - none)) < 10, ("%d %d %d"):format(none, some, more))
  end))

  it("take Lua twice as long as half as many #slow", needs("user_namespaces", function()
    local function instructions(count)
      local box, number = cella.container(description(count)), 0
      debug.sethook(function() number = number + 1 end, "", 1000)
      local ok, err = pcall(box.plan, box, { "/bin/true" })
      debug.sethook()
      assert(ok, err)
      return number
    end
    instructions(10)
    local some, more = instructions(1000), instructions(2000)
    assert.is_true(more < 2.3 * some, ("%d and %d"):format(some, more))
  end))
end)
