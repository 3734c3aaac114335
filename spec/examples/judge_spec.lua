-- examples/judge.lua: what becomes of a stranger's program, and that the host feels nothing of it.

local trial = require "spec.support.trial"

-- In C, and how each ends. Where memory is limited for each process by itself the hog is told so by malloc.
local PROGRAMS = {
  { name = "a right program", says = "accepted", text = [[
    #include <stdio.h>
    int main(void) { long a, b; if (scanf("%ld %ld", &a, &b) != 2) return 3; printf("%ld\n", a + b); return 0; }
  ]] },
  { name = "a wrong program", says = "wrong answer", text = [[
    #include <stdio.h>
    int main(void) { puts("5"); return 0; }
  ]] },
  { name = "a fork bomb", says = "time limit", text = [[
    #include <unistd.h>
    int main(void) { for (;;) fork(); }
  ]] },
  { name = "a memory hog", says = "memory limit", text = [[
    #include <stdlib.h>
    #include <string.h>
    int main(void) { for (;;) { char *p = malloc(1 << 20); if (!p) abort(); memset(p, 1, 1 << 20); } }
  ]] },
  { name = "a sleeper", says = "time limit", text = [[
    #include <unistd.h>
    int main(void) { for (;;) pause(); }
  ]] },
  { name = "a flood of output", says = "output limit", text = [[
    #include <stdio.h>
    int main(void) { for (;;) puts("more and more and more"); }
  ]] },
  { name = "a writer of files", says = "file limit", text = [[
    #include <stdio.h>
    int main(void)
    {
      FILE *f = fopen("/tmp/x", "w");
      if (!f) return 9;
      for (;;) if (fputs("more and more", f) < 0) return 8;
    }
  ]] },
  { name = "one that ignores every signal", says = "time limit", text = [[
    #include <signal.h>
    int main(void) { for (int i = 1; i < 65; i++) signal(i, SIG_IGN); for (;;) ; }
  ]] },
  { name = "one that fails", says = "runtime error: exit status 7", text = "int main(void) { return 7; }" },
  { name = "one that crashes", says = "runtime error: signal segv", text = [[
    int main(void) { *(volatile int *)8 = 1; return 0; }
  ]] },
  -- What it can reach of the host: nothing, or it would be wrong.
  { name = "one that looks around", says = "accepted", text = [[
    #include <stdio.h>
    #include <unistd.h>
    int main(void)
    {
      puts(access("/etc", 0) && access("/usr", 0) && access("/proc", 0) && access("/home", 0) && getppid() < 3 &&
           !fopen("/x", "w") ? "3" : "seen");
      return 0;
    }
  ]] },
}

describe("examples/judge.lua", function()
  local lacks = trial.lacks_user_namespaces()
  if trial.sh "command -v gcc" == "" then lacks = "needs gcc" end
  -- Nothing of it is not in the specs of streams and limits too.
  local sanitized = (os.getenv "CELLA_BUILD" or ""):find "sanitized"
  if sanitized then lacks = "compiles too much to be run with sanitizers as well" end
  if lacks then return pending(lacks) end

  local directory
  trial.around(before_each, after_each, function(own)
    directory = own
    trial.sh(("mkdir %s/tests"):format(directory))
    trial.write(directory .. "/tests/1.in", "1 2\n")
    trial.write(directory .. "/tests/1.out", "3\n")
  end)

  -- Where it is not about the time, there is enough of it on a busy machine as well.
  local function judge(text, time, words)
    trial.write(directory .. "/program.c", text)
    return trial.sh(("%s examples/judge.lua %s/program.c %s/tests --time %g %s; echo status $?"):format(
      trial.interpreter(), directory, directory, time or 10, words or ""))
  end

  for i, program in ipairs(PROGRAMS) do
    local slow = i % 3 ~= 1 and " #slow" or ""
    it("says of " .. program.name .. ": " .. program.says .. slow, function()
      local said = judge(program.text, program.says == "time limit" and 0.5 or nil)
      local verdict, status = said:match "^1: (.-)  %([%d.]+ s, [%d.]+ MiB%)\nstatus (%d)\n$"
      assert.equal(program.says, verdict or said)
      assert.equal(program.says == "accepted" and "0" or "1", status)
      -- Nothing but what was there.
      assert.equal("program.c\ntests\n1.in\n1.out\n", trial.sh(("cd %s; ls; ls tests"):format(directory)))
    end)
  end

  it("says of what is no C where it is none", function()
    local said = judge "int main(void) { syntax }"
    assert.matches("^compile error\n", said)
    assert.matches("program.c:1", said)
    assert.matches("status 1\n$", said)
  end)

  it("lets no stranger write to the terminal by what the compiler says of him", function()
    local said = judge "#error \27]0;mine\7"
    assert.matches("#error \\x1b]0;mine\\x07", said, 1, true)
    assert.is_nil(said:find "[%z\1-\8\11-\31\127-\255]")
  end)

  it("says of what cannot be executed that it cannot, and goes on #slow", function()
    trial.write(directory .. "/tests/2.in", "")
    trial.write(directory .. "/tests/2.out", "")
    local said = judge [[
      __asm__(".section .interp,\"a\"\n.string \"/nowhere/ld.so\"\n.text\n");
      int main(void) { return 0; }
    ]]
    local verdict = "runtime error: cannot be executed: No such file or directory\n"
    assert.equal("1: " .. verdict .. "2: " .. verdict .. "status 1\n", said)
  end)

  it("runs all of a program, however large #slow", function()
    assert.matches("^1: accepted", judge [[
      #include <stdio.h>
      static volatile char large[20 << 20] = { 1 };
      int main(void) { printf("%d\n", large[0] + 2); return large[sizeof large - 1]; }
    ]])
  end)

  it("is not held up by a compiler that is #slow", function()
    local said = judge '#include "/dev/zero"\n'
    assert.matches("^compile error\n", said)
  end)

  it("takes more processes where it is told to #slow", function()
    local forks = [[
      #include <stdio.h>
      #include <sys/wait.h>
      #include <unistd.h>
      int main(void) { int p = fork(); if (!p) { puts("3"); return 0; } return p < 0 ? 9 : wait(0) < 0; }
    ]]
    assert.matches("^1: runtime error: exit status 9", judge(forks))
    assert.matches("^1: accepted", judge(forks, nil, "--processes 2"))
  end)
end)
