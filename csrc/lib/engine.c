/* What a runtime of container engines needs beside plans: a signal by pidfd, a descriptor sent to who listens at a
 * socket, and the names in a directory. */
#include "lib/fd.h"
#include "lib/lib.h"
#include "sys/raw.h"
#include "value/check.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DIRECTORY_TYPE "cella.directory"

/* Sends a name, and a descriptor with it. Returns 0 or a negative errno. */
static int send_with(int connection, const char *name, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control;
	memset(&control, 0, sizeof control);
	control.header.cmsg_len = CMSG_LEN(sizeof fd);
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	struct iovec vector = { (char *)(uintptr_t)name, strlen(name) };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof control.space };
	return sendmsg(connection, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* send_descriptor(path, number, name) -> true | nil, message, errno
 * To who listens at a stream socket: unix(7), SCM_RIGHTS. It waits for nobody. */
static int io_send_descriptor(lua_State *L)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length;
	const char *path = luaL_checklstring(L, 1, &length);
	luaL_argcheck(L, strlen(path) == length, 1, "the path has a NUL byte in it");
	int fd = check_fd(L, 2);
	const char *name = luaL_checkstring(L, 3);
	if (length >= sizeof address.sun_path)
		return push_error(L, path, ENAMETOOLONG);
	memcpy(address.sun_path, path, length + 1);
	int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int result = connection < 0 ? -errno : 0;
	if (result == 0 && connect(connection, (const struct sockaddr *)&address, sizeof address) < 0)
		result = -errno;
	if (result == 0)
		result = send_with(connection, name, fd);
	if (connection >= 0)
		close(connection);
	if (result < 0)
		return push_error(L, path, -result);
	lua_pushboolean(L, 1);
	return 1;
}

/* fd:signal(signal) -> true | nil, message, errno
 * Of a pidfd: to the process that it stands for, and never to another (pidfd_send_signal(2)). 0 only looks. */
static int fd_signal(lua_State *L)
{
	int fd = *check_own_fd(L, 1);
	int signal = lua_isnumber(L, 2) && lua_tointeger(L, 2) == 0 ? 0 : check_signal(L, 2, 0);
	long result = RAW(SYS_pidfd_send_signal, fd, signal, 0, 0);
	if (result < 0)
		return push_error(L, "pidfd_send_signal", (int)-result);
	lua_pushboolean(L, 1);
	return 1;
}

/* list_directory(path) -> list of names | nil, message, errno
 * Without "." and "..", in no order. */
static int io_list_directory(lua_State *L)
{
	size_t length;
	const char *path = luaL_checklstring(L, 1, &length);
	luaL_argcheck(L, strlen(path) == length, 1, "the path has a NUL byte in it");
	/* The names are in the collector's hands before the next that can raise. */
	lua_newtable(L);
	DIR **box = lua_newuserdata(L, sizeof *box);
	*box = NULL;
	luaL_getmetatable(L, DIRECTORY_TYPE);
	lua_setmetatable(L, -2);
	*box = opendir(path);
	if (!*box)
		return push_error(L, path, errno);
	int count = 0;
	errno = 0;
	for (const struct dirent *entry; (entry = readdir(*box)); errno = 0) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		lua_pushstring(L, entry->d_name);
		lua_rawseti(L, -3, ++count);
	}
	int error = errno;
	closedir(*box);
	*box = NULL;
	if (error)
		return push_error(L, path, error);
	lua_pop(L, 1);
	return 1;
}

static int directory_gc(lua_State *L)
{
	DIR **box = luaL_checkudata(L, 1, DIRECTORY_TYPE);
	if (*box)
		closedir(*box);
	*box = NULL;
	return 0;
}

void open_engine(lua_State *L)
{
	static const luaL_Reg functions[] = { { "send_descriptor", io_send_descriptor },
		{ "list_directory", io_list_directory }, { 0 } };
	static const luaL_Reg metamethods[] = { { "__gc", directory_gc }, { 0 } };
	static const luaL_Reg no_methods[] = { { 0 } };
	static const luaL_Reg methods[] = { { "signal", fd_signal }, { 0 } };
	new_type(L, DIRECTORY_TYPE, no_methods, metamethods);
	luaL_setfuncs(L, functions, 0);
	add_fd_methods(L, methods);
}
