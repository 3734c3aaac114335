# Building cella: the only truth about it. The rockspec calls `build` and `install`.

LUA        = 5.4
BUILD      = build/lua$(LUA)
CFLAGS    ?= -O2 -g
LIBFLAG    = -shared
# Who builds a distribution has a wish of his own: CFLAGS, CPPFLAGS and LDFLAGS are taken from the environment too.
HARDENING  = $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2) \
             -fstack-protector-strong
WARNINGS   = -Wall -Wextra -Wconversion -Wshadow -Wmissing-prototypes \
             -Wno-missing-field-initializers -Wno-missing-braces

# The names that a Lua has, as a program and for pkg-config: Debian's first. Where there is one Lua alone, it is `lua`.
lua_names = lua$(LUA) lua-$(LUA) lua$(subst .,,$(LUA))
lua_abi   = $(patsubst jit,5.1,$(LUA))

# LuaRocks knows where lua.h is and says so; elsewhere pkg-config does.
ifndef LUA_INCDIR
LUA_INCDIR := $(patsubst -I%,%,$(shell for name in $(lua_names) lua; do \
                pkg-config --modversion $$name 2>/dev/null | grep -q '^$(patsubst jit,2,$(LUA))\.' && \
                pkg-config --cflags-only-I $$name && break; done))
# A Lua that few machines have yet is built from Debian's source.
ifeq ($(LUA)$(LUA_INCDIR),5.5)
LUA_INCDIR := $(patsubst %/lua5.5,%/include,$(shell tools/interpreter 5.5))
endif
endif

includes = $(addprefix -I,$(LUA_INCDIR) $(CAP_INCDIR)) $(CPPFLAGS)
compile  = $(CC) -std=c11 -D_GNU_SOURCE -iquote csrc -fPIC -fvisibility=hidden $(WARNINGS) $(HARDENING) $(includes) \
           $(CFLAGS)
link     = $(CC) $(CFLAGS) $(LIBFLAG) -Wl,-z,relro,-z,now $(LDFLAGS)
module   = $(BUILD)/cella/core.so
folders  = sys ops executor value lib plan parent
objects  = $(patsubst csrc/%.c,$(BUILD)/obj/%.o,$(wildcard csrc/*.c $(patsubst %,csrc/%/*.c,$(folders))))

# The runner (csrc/runner): a program without libc, part of the module. It shares with it the folders that need
# none either. RUNNER=asan: plans are performed by one with libc and sanitizers (csrc/runner/sanitized.c).
RUNNER      = plain
runner      = $(BUILD)/obj/runner.elf
runner_asan = $(if $(filter asan,$(RUNNER)),$(BUILD)/obj/runner-asan.elf)
shared      = $(wildcard csrc/sys/*.c csrc/ops/*.c csrc/executor/*.c)
with_libc   = csrc/runner/sanitized.c
no_libc     = csrc/runner/start.c csrc/runner/memory.c
runcc       = $(CC) -std=c11 -D_GNU_SOURCE -iquote csrc $(CPPFLAGS) -Os -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
              -fno-pie -ffunction-sections -fdata-sections $(WARNINGS) $(filter -Werror,$(CFLAGS)) -static -nostdlib \
              -Wl,--gc-sections,--sort-section=alignment,-z,noseparate-code,-z,norelro,-z,noexecstack,--build-id=none -s
# Data near the global pointer would lie in one segment with the code, which could then be written.
runcc      += $(if $(filter riscv%,$(shell $(CC) -dumpmachine 2>/dev/null)),-msmall-data-limit=0)
sanitize    = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

# For what is started from the checkout.
env = LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;' LUA_CPATH='$(CURDIR)/$(BUILD)/?.so;;'

build: $(module)

$(module): $(objects)
	@mkdir -p $(@D)
	@echo 'link $@'
	@$(link) -o $@ $^ $(addprefix -L,$(CAP_LIBDIR)) -lcap -ldl -lpthread

$(BUILD)/obj/%.o: csrc/%.c $(BUILD)/obj/command
	@mkdir -p $(@D)
	@echo 'compile $<'
	@$(compile) $(extra) -MMD -MP -c -o $@ $<

# This runs on a stack of its own and never returns, which ASan takes for a mistake and says so.
$(BUILD)/obj/executor/boot.o: extra = -fno-sanitize=all

$(runner) $(runner_asan): $(wildcard csrc/runner/*.c) $(shared) $(wildcard csrc/*/*.h) $(BUILD)/obj/command

$(runner):
	@echo 'link $@'
	@$(runcc) -o $@ $(filter-out $(with_libc),$(filter %.c,$^))

$(BUILD)/obj/runner-asan.elf:
	@echo 'link $@'
	@$(CC) -std=c11 -D_GNU_SOURCE -iquote csrc $(sanitize) $(WARNINGS) -o $@ $(filter-out $(no_libc),$(filter %.c,$^))

$(BUILD)/obj/parent/runner_file.o: $(runner) $(runner_asan)
# What the assembler defines is not seen by who optimizes at link time.
$(BUILD)/obj/parent/runner_file.o: extra = -fno-lto -DRUNNER_PROGRAM='"$(runner)"' \
    $(if $(runner_asan),-DRUNNER_SANITIZED='"$(runner_asan)"')

# What the fuzzer of launches checks them with: the module, and what calls into it (spec/fuzz/launch.c).
$(BUILD)/fuzz/launch.so: spec/fuzz/launch.c $(objects)
	@mkdir -p $(@D)
	@echo 'link $@'
	@$(compile) $(LIBFLAG) -o $@ $^ $(addprefix -L,$(CAP_LIBDIR)) -lcap -ldl -lpthread

# Another compiler, flags, Lua or set of files than the last time: everything is made anew.
$(BUILD)/obj/command: FORCE
	@mkdir -p $(@D)
	@echo "$(compile) $(runcc) $(link) $(RUNNER) $(objects)" | cmp -s - $@ || { LUA='$(LUA)' \
	    tools/needs $(CC) $(CFLAGS) $(includes) && \
	    echo "$(compile) $(runcc) $(link) $(RUNNER) $(objects)" > $@; }

-include $(objects:.o=.d)

# ASan and UBSan for tools/specs. Fortified functions would hide their arguments from ASan.
sanitized:
	@$(MAKE) --no-print-directory build build/sanitized/fuzz/launch.so BUILD=build/sanitized HARDENING= \
	    RUNNER=asan CFLAGS='$(sanitize)'

# For the other machines that raw.h knows. For aarch64 with libcap and the headers of Lua of Debian's packages for it
# (tools/foreign). Of riscv64 only the runner is linked; the headers of libcap and Lua are this machine's, and found last,
# so that libc's are the other's.
aarch64:
	@root=$$(tools/foreign arm64) && $(MAKE) --no-print-directory build BUILD=build/aarch64 CC=aarch64-linux-gnu-gcc \
	    CFLAGS='-O2 -g -Werror' CPPFLAGS="-idirafter $$root/usr/include/aarch64-linux-gnu -idirafter $$root/usr/include" \
	    LUA_INCDIR="$$root/usr/include/lua5.4" CAP_LIBDIR="$$root/usr/lib/aarch64-linux-gnu -L$$root/lib/aarch64-linux-gnu"

riscv64:
	@$(MAKE) --no-print-directory objects BUILD=build/riscv64 CC=riscv64-linux-gnu-gcc CFLAGS='-O2 -g -Werror' \
	    CPPFLAGS='-idirafter /usr/include -idirafter /usr/include/$(shell $(CC) -print-multiarch)'

# For musl, with a Lua and a libcap built from their sources (tools/musl). The headers are those that it prints, alone.
musl:
	@root=$$(tools/musl) && $(MAKE) --no-print-directory build BUILD=build/musl CC=musl-gcc CFLAGS='-O2 -g -Werror' \
	    CPPFLAGS="-isystem $$root/include" LUA_INCDIR= CAP_LIBDIR="$$root/lib"

objects: $(objects)

# Where `make install` puts what. DESTDIR goes before all of them and is found in none. A Debian that keeps C modules by
# machine: INST_LIBDIR=$(pkg-config --variable=INSTALL_CMOD lua5.4). doc/packaging.md has more.
PREFIX       = /usr/local
INST_BINDIR  = $(PREFIX)/bin
INST_LUADIR  = $(PREFIX)/share/lua/$(lua_abi)
INST_LIBDIR  = $(PREFIX)/lib/lua/$(lua_abi)
INST_DATADIR = $(PREFIX)/share
INST_DOCDIR  = $(INST_DATADIR)/doc/cella

# The Lua that bin/cella is for, and that makes the bytecode: of that release, installed with the modules, and loaded in
# their place by it alone. Where there is no such program, none is made: everything is there as source.
INTERPRETER  = $(eval INTERPRETER := $(or $(shell for name in $(lua_names) lua; do \
                 $$name -v 2>&1 | grep -q '^$(if $(filter jit,$(LUA)),LuaJIT ,Lua $(LUA)\.)' && echo $$name && break; \
                 done),$(firstword $(lua_names))))$(INTERPRETER)
BYTECODE     = $(BUILD)/bytecode
release      = $(eval release := $(shell $(INTERPRETER) -v 2>&1 | \
                 sed -n 's/^\(Lua 5[0-9.]*\|LuaJIT [^ ]*\) .*/\1/p'))$(release)
bytecode     = $(if $(release),$(BYTECODE)/bytecode.so)

$(BYTECODE)/bytecode.so: csrc/bytecode/bytecode.c csrc/value/compat.h tools/bytecode.lua tools/bytecode/unnamed.lua \
    $(shell find lua -name '*.lua') $(BUILD)/obj/command $(BYTECODE)/release
	@echo 'link $@'
	@$(INTERPRETER) tools/bytecode.lua $(@D)
	@$(compile) $(LIBFLAG) -fno-lto -o $@ $< -DBYTECODE_FILE='"$(@D)/code"' -DBYTECODE_INDEX='"$(abspath $(@D))/index.h"' \
	    -DBYTECODE_RELEASE='"$(release)"' -DBYTECODE_STAMP='"'"$$(cat $(@D)/stamp)"'"' \
	    -Wl,-z,relro,-z,now $(LDFLAGS) -ldl

# Another release of Lua than the last time.
$(BYTECODE)/release: FORCE
	@mkdir -p $(@D)
	@echo '$(release)' | cmp -s - $@ || echo '$(release)' > $@

# What `install` puts in place. After it `install` writes nothing here.
installable: build $(bytecode)

install uninstall: export DESTDIR := $(DESTDIR)
install uninstall: export BINDIR = $(INST_BINDIR)
install uninstall: export LUADIR = $(INST_LUADIR)
install uninstall: export LIBDIR = $(INST_LIBDIR)
install uninstall: export DATADIR = $(INST_DATADIR)
install uninstall: export DOCDIR = $(INST_DOCDIR)
install uninstall: export MODULE = $(module)
install: export STAMP = $(if $(bytecode),$(BYTECODE)/stamp)
install uninstall: export CODE = $(BYTECODE)/bytecode.so

install: installable
	@tools/install '$(INTERPRETER)'

uninstall:
	@tools/install --remove

# What is published of a version: build/dist/cella-0.1.0.tar.gz, its rockspec and the source rock. DIST_URL is the folder
# where the archive will be found.
DIST_URL = file://$(CURDIR)/build/dist
dist: export VERSION := $(VERSION)
dist: export URL := $(DIST_URL)
dist:
	@tools/dist

# For a shell that is to find cella in this checkout: eval "$(make -s env)".
env:
	@echo "export $(env) PATH='$(CURDIR)/bin':\"\$$PATH\""

# The documents as pages, and a reference made of the annotations: build/doc/index.html.
doc:
	@mkdir -p build/doc
	@lua5.4 tools/doc.lua build/doc
	@echo 'build/doc/index.html'

run:
	@tools/deps run
	@$(MAKE) --no-print-directory $(if $(filter -j% -%j,$(MAKEFLAGS)),,-j$$(nproc)) build
	@$(env) bin/cella run examples/first.lua

test:
	@tools/deps test
	@tools/test

# On other kernels and another machine, in virtual machines: spec/vm.
test-kernels:
	@tools/deps kernels
	@$(MAKE) --no-print-directory build
	@tools/test-kernels

# With podman and containerd, whose runtime cella-oci is then.
test-oci:
	@tools/deps engines
	@tools/deps distributions
	@$(MAKE) --no-print-directory build
	@tools/test-oci

# With other Debians, in roots of their own: tools/distribution.
test-distributions:
	@tools/deps distributions
	@tools/test-distributions

# FUZZ_SECONDS (600) each, with sanitizers, in a Lua with assertions.
fuzz: sanitized
	@tools/fuzz

check: build
	@tools/folders $(BUILD) --exclude-tags=slow $$(find spec -name '*_spec.lua')

# BENCH='--quick --json FILE': its options; `--help` tells them. Without the packages it measures what is there. What is
# measured is cella as it is installed.
bench_tree = $(CURDIR)/build/bench/tree
bench:
	@tools/deps bench || echo 'going on with what is there'
	@$(MAKE) --no-print-directory build bench-programs
	@$(MAKE) -s install PREFIX='$(bench_tree)' INST_LUADIR='$(bench_tree)/lua' INST_LIBDIR='$(bench_tree)/lib'
	@LUA_PATH='$(bench_tree)/lua/?.lua;;' LUA_CPATH='$(bench_tree)/lib/?.so;;' lua5.4 bench/main.lua $(BENCH)

# The floor, and the programs that it starts (bench/): these have no libc.
bench-programs: build/bench/floor build/bench/bare build/bench/init

build/bench/floor: bench/floor.c csrc/sys/raw.h
	@mkdir -p $(@D)
	@echo 'link $@'
	@$(CC) -std=c11 -D_GNU_SOURCE -iquote csrc $(WARNINGS) $(CFLAGS) -o $@ $<

build/bench/%: bench/%.c csrc/sys/raw.h
	@mkdir -p $(@D)
	@echo 'link $@'
	@$(runcc) -o $@ $<

lint: luacheck cppcheck

luacheck:
	luacheck --no-color --quiet $(wildcard lua bin/cella spec examples bench tools .busted .luacheckrc) *.rockspec

# raw.h refuses a machine that it does not know, so there is a name for one. What does not fit this code:
# members that only the kernel reads, `flags & F ? a : b`, and a declaration at the top of its function.
cppcheck:
	cppcheck --quiet --error-exitcode=1 --std=c11 -D_GNU_SOURCE -D__x86_64__ --enable=style \
	    --suppress=unusedStructMember --suppress=clarifyCalculation --suppress=variableScope -Icsrc csrc

clean:
	rm -rf build

help:
	@echo 'make [build] [LUA=5.1|5.2|5.3|5.4|5.5|jit]  the module, in build/lua5.4 (or 5.1, ...)'
	@echo 'make env      what a shell needs to find cella here: eval "$$(make -s env)"'
	@echo 'make doc      the documents and the reference as pages: build/doc/index.html'
	@echo 'make run      install what is missing, build, start the example container'
	@echo 'make test     install what is missing, build and test everything'
	@echo 'make test-kernels  the specs that depend on the kernel, on Linux 5.10, 6.1, 6.12, 7.3, and 6.1 on aarch64'
	@echo 'make test-oci    podman, as root and as a user, and containerd, with cella-oci for their runtime; podman 5'
	@echo 'make test-distributions  make run and make test as on a bare Debian 13, and with the newest suite'
	@echo 'make check [LUA=5.1|...]  the specs without the slow ones, as you are, in that Lua'
	@echo 'make fuzz [FUZZ_SECONDS=600]  options, parsers, results of functions and launches of the runner, at random'
	@echo 'make aarch64  the module in build/aarch64, for that machine, with aarch64-linux-gnu-gcc'
	@echo 'make riscv64  the C code and the runner for that machine, with riscv64-linux-gnu-gcc'
	@echo 'make musl     the module in build/musl, for that libc, with musl-gcc; Lua and libcap are built for it, too'
	@echo 'make lint     luacheck and cppcheck'
	@echo "make bench [BENCH='--quick --json FILE']  what a start costs, beside the kernel's own part and beside others"
	@echo 'make install [PREFIX=/usr/local] [DESTDIR=DIR]  for all; INST_LUADIR, ...: see the Makefile'
	@echo 'make uninstall [...]  the same files away'
	@echo 'make dist VERSION=0.1.0 [DIST_URL=https://...]  an archive of the sources, its rockspec, a source rock'
	@echo 'make clean    remove what was built'

.PHONY: build sanitized aarch64 riscv64 musl objects installable install uninstall dist env doc run test test-kernels test-oci test-distributions check fuzz bench bench-programs lint luacheck cppcheck clean help FORCE
