/* See runner_file.h. */
#include "parent/runner_file.h"
#include "lib/descriptor.h"
#include "lib/fd.h"
#include "lib/memory_file.h"
#include "value/check.h"

#include <unistd.h>

/* A linked program, as the build leaves it. */
#define EMBED(name, file)                                                   \
	__asm__(".section .rodata\n" #name "_begin:\n"                      \
		".incbin \"" file "\"\n" #name "_end:\n"                     \
		".balign 8\n" #name "_size:\n"                              \
		".quad " #name "_end - " #name "_begin\n"                    \
		".previous\n");                                             \
	extern const char name##_begin[] __attribute__((visibility("hidden"))); \
	extern const uint64_t name##_size __attribute__((visibility("hidden")))

/* The address of a program is the key of its descriptor, that of its member `identity_key` of the file's identity. */
struct program {
	const char *begin;
	const uint64_t *size;
	char identity_key;
};

EMBED(cella_runner, RUNNER_PROGRAM);
static const struct program runner = { cella_runner_begin, &cella_runner_size, 0 };

#ifdef RUNNER_SANITIZED
EMBED(cella_sanitized, RUNNER_SANITIZED);
static const struct program sanitized = { cella_sanitized_begin, &cella_sanitized_size, 0 };
#endif

/* Whether the descriptor is of the program's file: else another one of the same number, where somebody has closed ours,
 * would be executed in its place. Returns 1, or 0 where it is not, or a negative errno. */
static int is_ours(lua_State *L, const struct program *program, int fd)
{
	lua_pushlightuserdata(L, (void *)(uintptr_t)&program->identity_key);
	lua_rawget(L, LUA_REGISTRYINDEX);
	const struct file_identity *identity = lua_touserdata(L, -1);
	int result = identity ? is_of_file(fd, identity) : 0;
	lua_pop(L, 1);
	return result;
}

static int make(lua_State *L, const struct program *program)
{
	struct file_identity *identity = lua_newuserdata(L, sizeof *identity);
	int *fd = new_fd(L);
	*fd = memory_file("cella-runner", true, program->begin, (size_t)*program->size);
	int result = *fd;
	int identified = result < 0 ? result : identify(result, identity);
	if (identified < 0) {
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		lua_pop(L, 2);
		return identified;
	}
	keep_private(result);
	lua_pushlightuserdata(L, (void *)(uintptr_t)program);
	lua_insert(L, -2);
	lua_rawset(L, LUA_REGISTRYINDEX);
	lua_pushlightuserdata(L, (void *)(uintptr_t)&program->identity_key);
	lua_insert(L, -2);
	lua_rawset(L, LUA_REGISTRYINDEX);
	return result;
}

/* The number of its descriptor, or a negative errno. */
static int file_of(lua_State *L, const struct program *program)
{
	lua_pushlightuserdata(L, (void *)(uintptr_t)program);
	lua_rawget(L, LUA_REGISTRYINDEX);
	int *own = lua_isnil(L, -1) ? NULL : check_own_fd(L, -1);
	int fd = own ? *own : -1;
	lua_pop(L, 1);
	int ours = fd >= 0 ? is_ours(L, program, fd) : 0;
	if (ours != 0)
		return ours < 0 ? ours : fd;
	if (fd >= 0) {
		is_closed(fd);
		*own = -1; /* not to be closed: it is somebody else's, or nobody's */
	}
	return make(L, program);
}

int runner_file(lua_State *L)
{
	return file_of(L, &runner);
}

int plan_runner_file(lua_State *L)
{
#ifdef RUNNER_SANITIZED
	return file_of(L, &sanitized);
#else
	return runner_file(L);
#endif
}

/* runner_file() -> descriptor number | nil, message, errno */
static int push_runner_file(lua_State *L)
{
	int fd = runner_file(L);
	if (fd < 0)
		return push_error(L, "memfd_create", -fd);
	lua_pushinteger(L, fd);
	return 1;
}

void open_runner_file(lua_State *L)
{
	lua_pushcfunction(L, push_runner_file);
	lua_setfield(L, -2, "runner_file");
}
