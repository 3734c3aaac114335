/* The init (csrc/init/init.c) as a file that can be executed and changed by nobody: a sealed memfd. */
#include "copy.h"
#include "io.h"
#include "process.h"
#include "tense.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* The linked program, as the build leaves it. */
__asm__(".section .rodata\n"
	"cella_init_begin:\n"
	".incbin \"" INIT_PROGRAM "\"\n"
	"cella_init_end:\n"
	".balign 8\n"
	"cella_init_size:\n"
	".quad cella_init_end - cella_init_begin\n"
	".previous\n");
extern const char cella_init_begin[] __attribute__((visibility("hidden")));
extern const uint64_t cella_init_size __attribute__((visibility("hidden")));

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U /* Linux 6.3 */
#endif

static int make_program(void)
{
	int fd = memfd_create("cella-init", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("cella-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	fd = move_up(fd, LOWEST_FD);
	if (fd < 0)
		return -errno;
	size_t size = (size_t)cella_init_size;
	ssize_t written = write(fd, cella_init_begin, size);
	int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	if (written == (ssize_t)size && fcntl(fd, F_ADD_SEALS, seals) == 0) {
		keep_private(fd);
		return fd;
	}
	int error = written < 0 || written == (ssize_t)size ? errno : EIO;
	close(fd);
	return -error;
}

/* init_program() -> descriptor number | nil, message, errno
 * Made once in a process, and kept as long as the module. */
static int init_program(lua_State *L)
{
	static int program = -1;
	static unsigned generation;
	if (program < 0 || generation != copy_generation)
		program = make_program();
	generation = copy_generation;
	if (program < 0)
		return push_error(L, "memfd_create", -program);
	lua_pushinteger(L, program);
	return 1;
}

void open_init(lua_State *L)
{
	lua_pushcfunction(L, init_program);
	lua_setfield(L, -2, "init_program");
}
