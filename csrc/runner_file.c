/* See runner_file.h. */
#include "runner_file.h"
#include "io.h"
#include "memory_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* The linked program, as the build leaves it. */
__asm__(".section .rodata\n"
	"cella_runner_begin:\n"
	".incbin \"" RUNNER_PROGRAM "\"\n"
	"cella_runner_end:\n"
	".balign 8\n"
	"cella_runner_size:\n"
	".quad cella_runner_end - cella_runner_begin\n"
	".previous\n");
extern const char cella_runner_begin[] __attribute__((visibility("hidden")));
extern const uint64_t cella_runner_size __attribute__((visibility("hidden")));

/* The file, so that another one of the same number, where somebody has closed ours, is not executed in its place. */
struct identity {
	dev_t device;
	ino_t inode;
};

static const char fd_key, identity_key;

/* Returns 1, or 0 where it is not, or a negative errno. */
static int is_ours(lua_State *L, int fd)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return errno == EBADF ? 0 : -errno;
	lua_pushlightuserdata(L, (void *)(uintptr_t)&identity_key);
	lua_rawget(L, LUA_REGISTRYINDEX);
	const struct identity *identity = lua_touserdata(L, -1);
	int same = identity && status.st_dev == identity->device && status.st_ino == identity->inode;
	lua_pop(L, 1);
	return same;
}

static int make(lua_State *L)
{
	struct stat status;
	struct identity *identity = lua_newuserdata(L, sizeof *identity);
	int *fd = new_fd(L);
	*fd = memory_file("cella-runner", true, cella_runner_begin, (size_t)cella_runner_size);
	int result = *fd;
	if (result >= 0 && fstat(result, &status) < 0)
		result = -errno;
	if (result < 0) {
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		lua_pop(L, 2);
		return result;
	}
	*identity = (struct identity){ status.st_dev, status.st_ino };
	keep_private(result);
	lua_pushlightuserdata(L, (void *)(uintptr_t)&fd_key);
	lua_insert(L, -2);
	lua_rawset(L, LUA_REGISTRYINDEX);
	lua_pushlightuserdata(L, (void *)(uintptr_t)&identity_key);
	lua_insert(L, -2);
	lua_rawset(L, LUA_REGISTRYINDEX);
	return result;
}

int runner_file(lua_State *L)
{
	lua_pushlightuserdata(L, (void *)(uintptr_t)&fd_key);
	lua_rawget(L, LUA_REGISTRYINDEX);
	int *own = lua_isnil(L, -1) ? NULL : check_own_fd(L, -1);
	int fd = own ? *own : -1;
	lua_pop(L, 1);
	int ours = fd >= 0 ? is_ours(L, fd) : 0;
	if (ours != 0)
		return ours < 0 ? ours : fd;
	if (fd >= 0) {
		is_closed(fd);
		*own = -1; /* not to be closed: it is somebody else's, or nobody's */
	}
	return make(L);
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
