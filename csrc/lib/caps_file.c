/* The capabilities of files, by descriptor, and what else exec asks of a file. */
#include "lib/libcap.h"
#include "value/capset.h"
#include "value/check.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

/* <linux/capability.h> has these under names that libcap's header hides or not, by version. */
#define ATTRIBUTE "security.capability"
enum { MAGIC_EFFECTIVE = 1, MAGIC_REVISION_SHIFT = 24, ATTRIBUTE_MOST = 24, PROC_FD_PATH = 40 };

/* libcap's getter takes a path or a descriptor that can be read; an O_PATH descriptor is neither. Its
 * entry in /proc/self/fd leads to that very file, whatever its name has become. */
static void proc_path(char *path, int fd)
{
	snprintf(path, PROC_FD_PATH, "/proc/self/fd/%d", fd);
}

/* file_get(fd) -> { permitted, inheritable, effective, revision, rootid } | false | nil, message, errno
 * cap_get_file(3). Effective is one bit, for all of the file; libcap shows it by copying a set, and so
 * loses it where both sets are empty: it is read from the attribute itself. */
static int caps_file_get(lua_State *L)
{
	char path[PROC_FD_PATH];
	unsigned char raw[ATTRIBUTE_MOST];
	proc_path(path, check_fd(L, 1));
	ssize_t size = getxattr(path, ATTRIBUTE, raw, sizeof raw);
	if (size < 0 && errno == ENODATA) {
		lua_pushboolean(L, false);
		return 1;
	}
	if (size < 0)
		return push_error(L, "getxattr", errno);
	cap_t state = size >= 4 ? cap_get_file(path) : NULL;
	if (!state)
		return push_error(L, "cap_get_file", size >= 4 ? errno : EINVAL);
	uint64_t permitted = take_flag(state, CAP_PERMITTED), inheritable = take_flag(state, CAP_INHERITABLE);
	uid_t owner = cap_get_nsowner(state);
	cap_free(state);
	uint32_t magic = (uint32_t)raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 |
			 (uint32_t)raw[3] << 24;
	lua_newtable(L);
	push_mask(L, permitted);
	lua_setfield(L, -2, "permitted");
	push_mask(L, inheritable);
	lua_setfield(L, -2, "inheritable");
	lua_pushboolean(L, (magic & MAGIC_EFFECTIVE) != 0);
	lua_setfield(L, -2, "effective");
	lua_pushinteger(L, (lua_Integer)(magic >> MAGIC_REVISION_SHIFT));
	lua_setfield(L, -2, "revision");
	push_int64(L, owner == (uid_t)-1 ? 0 : owner);
	lua_setfield(L, -2, "rootid");
	return 1;
}

/* file_set(fd, permitted, inheritable, effective, rootid) -> true | nil, message, errno
 * cap_set_fd(3), cap_set_nsowner(3). The descriptor has to be one of open(2) without O_PATH. */
static int caps_file_set(lua_State *L)
{
	int fd = check_fd(L, 1);
	uint64_t permitted = check_mask(L, 2), inheritable = check_mask(L, 3);
	luaL_checktype(L, 4, LUA_TBOOLEAN);
	uint64_t effective = lua_toboolean(L, 4) ? permitted | inheritable : 0;
	uid_t rootid = (uid_t)check_range(L, 5, 0, (int64_t)UINT32_MAX - 1);
	cap_t state = new_state(effective, permitted, inheritable);
	if (!state)
		return push_error(L, "cap_init", errno);
	int result = rootid ? cap_set_nsowner(state, rootid) : 0;
	if (result == 0)
		result = cap_set_fd(fd, state);
	int error = errno;
	cap_free(state);
	if (result < 0)
		return push_error(L, "cap_set_fd", error);
	lua_pushboolean(L, true);
	return 1;
}

/* file_remove(fd) -> true | false where there were none | nil, message, errno. cap_set_fd(3) with NULL. */
static int caps_file_remove(lua_State *L)
{
	int result = cap_set_fd(check_fd(L, 1), NULL);
	if (result < 0 && errno != ENODATA)
		return push_error(L, "cap_set_fd", errno);
	lua_pushboolean(L, result == 0);
	return 1;
}

/* file_facts(fd) -> { mode, uid, gid, regular, nosuid, noexec } | nil, message, errno
 * What exec asks of a file besides its capabilities. */
static int caps_file_facts(lua_State *L)
{
	int fd = check_fd(L, 1);
	struct stat status;
	struct statvfs mount;
	if (fstat(fd, &status) < 0)
		return push_error(L, "fstat", errno);
	if (fstatvfs(fd, &mount) < 0)
		return push_error(L, "fstatvfs", errno);
	lua_newtable(L);
	push_int64(L, status.st_mode & 07777);
	lua_setfield(L, -2, "mode");
	push_int64(L, status.st_uid);
	lua_setfield(L, -2, "uid");
	push_int64(L, status.st_gid);
	lua_setfield(L, -2, "gid");
	lua_pushboolean(L, S_ISREG(status.st_mode));
	lua_setfield(L, -2, "regular");
	lua_pushboolean(L, (mount.f_flag & ST_NOSUID) != 0);
	lua_setfield(L, -2, "nosuid");
	lua_pushboolean(L, (mount.f_flag & ST_NOEXEC) != 0);
	lua_setfield(L, -2, "noexec");
	return 1;
}

void open_caps_file(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "file_get", caps_file_get },
		{ "file_set", caps_file_set },
		{ "file_remove", caps_file_remove },
		{ "file_facts", caps_file_facts },
		{ 0 },
	};
	luaL_setfuncs(L, functions, 0);
}
