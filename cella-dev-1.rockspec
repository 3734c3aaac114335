rockspec_format = "3.0"
package = "cella"
version = "dev-1"

source = {
  -- `luarocks make` builds the checkout that this file is in and does not look here; `luarocks pack` does, and says why
  -- it cannot. `make dist` puts a release's own address here.
  url = "git+file://no public repository yet (make dist packs a checkout)",
}

description = {
  summary = "Linux containers as Lua programs",
  detailed = [[
A small C module wraps clone3, unshare and setns, the writing of ID maps, the switching of IDs, and capability
sets; everything else (which IDs a container gets, what its file system looks like, which privileges it keeps)
is a Lua program that can be read, printed and tested before anything happens.]],
  license = "MIT",
  labels = { "linux", "containers", "sandbox", "namespaces" },
}

supported_platforms = { "linux" }

dependencies = {
  "lua >= 5.1, < 5.6",
  "argparse",
}

external_dependencies = {
  CAP = { header = "sys/capability.h", library = "cap" },
}

build = {
  type = "make",
  build_target = "installable",
  -- Not where `make build` puts its objects: they may be for another Lua.
  variables = {
    BUILD = "build/rock",
  },
  build_variables = {
    INTERPRETER = "$(LUA)",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CAP_INCDIR = "$(CAP_INCDIR)",
    CAP_LIBDIR = "$(CAP_LIBDIR)",
  },
  install_variables = {
    INTERPRETER = "$(LUA)",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CAP_INCDIR = "$(CAP_INCDIR)",
    CAP_LIBDIR = "$(CAP_LIBDIR)",
    INST_BINDIR = "$(BINDIR)",
    INST_LUADIR = "$(LUADIR)",
    INST_LIBDIR = "$(LIBDIR)",
    INST_DATADIR = "$(PREFIX)/share",
    INST_DOCDIR = "$(PREFIX)", -- doc and examples, where `luarocks doc` looks
  },
}

test = {
  type = "command",
  command = "make check",
}
