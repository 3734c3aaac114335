-- A build that lacks something says what, before the compiler does.
local trial = require "spec.support.trial"

describe("a build", function()
  local directory
  trial.around(before_each, after_each, function(own) directory = own end)

  local function needs(words)
    return trial.sh(("LUA=5.4 tools/needs %s; echo $?"):format(words))
  end

  -- A compiler that does not find a header.
  local function without(header)
    local path = trial.write(directory .. "/cc", ([[#!/bin/sh
      input=$(cat)
      case $input in *"<HEADER>"*) exit 1 ;; esac
      echo "$input" | exec cc "$@"
    ]]):gsub("HEADER", header))
    trial.sh("chmod +x " .. path)
    return path
  end

  it("goes on where nothing is missing", function()
    assert.equal("0\n", needs "cc $(pkg-config --cflags-only-I lua5.4)")
    assert.equal("0\n", needs(without "nothing.h" .. " $(pkg-config --cflags-only-I lua5.4)"))
  end)

  it("names what is missing, and Debian's package", function()
    for header, package in pairs { ["stdio.h"] = "libc6-dev", ["linux/openat2.h"] = "linux-libc-dev",
      ["sys/capability.h"] = "libcap-dev", ["lua.h"] = "liblua5.4-dev" } do
      local said = needs(without(header) .. " $(pkg-config --cflags-only-I lua5.4)")
      assert.matches("^make: cella cannot be built here. What is missing:\n\n  <" .. header .. ">", said)
      assert.matches("\nOn Debian: apt install " .. package .. "\n1\n", said, 1, true)
    end
    assert.matches("\n  a C compiler: there is no program no%-such%-cc .*\nOn Debian: apt install gcc\n1\n$",
      needs "no-such-cc")
  end)

  it("says what the compiler says of its flags, and which Luas there are", function()
    assert.matches("^make: the compiler does not take what it is told:\n\n  cc %-%-bogus\n.*bogus.*\n1\n$",
      needs "cc --bogus")
    assert.equal("make: LUA=6 is no Lua that cella is for. They are 5.1, 5.2, 5.3, 5.4, 5.5 and jit.\n2\n",
      trial.sh "LUA=6 tools/needs cc; echo $?")
    -- It is asked before anything is compiled.
    local said = trial.sh(("env -i PATH=/usr/bin:/bin make -j2 CC=no-such-cc BUILD=%s"):format(directory))
    assert.matches("cannot be built here", said, 1, true)
    assert.is_nil(said:find("compile csrc", 1, true))
  end)
end)
