/* IDs that are given to one container at a time: a lock on a file in which each byte stands for an ID. One descriptor
 * holds any number of ranges, because the locks are those of an open file description (fcntl(2), F_OFD_SETLK): they are
 * gone when the last process that has it open has ended, however that ends. */
#include "lib/descriptor.h"
#include "lib/lib.h"
#include "lib/memory_file.h"
#include "lib/self.h"
#include "lib/status.h"
#include "sys/raw.h"
#include "value/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define REGISTRY_TYPE "cella.id_registry"
#define HOLD_TYPE "cella.id_hold"

enum { NOTE = 8 };

struct range {
	int64_t first, count;
};

struct registry {
	int fd;
	/* of the process that opened it: a forked child shares its locks, and must leave them alone */
	unsigned generation;
	struct file_identity file;
	struct range *held; /* a description never conflicts with itself */
	size_t count, room;
};

struct hold {
	struct registry *registry;
	struct range range;
};

static struct registry *check_registry(lua_State *L)
{
	return luaL_checkudata(L, 1, REGISTRY_TYPE);
}

static bool is_current(const struct registry *registry)
{
	return registry->fd >= 0 && registry->generation == fork_generation();
}

static bool is_same_file(const struct registry *registry)
{
	return registry->fd >= 0 && is_of_file(registry->fd, &registry->file) == 1;
}

/* Not where its descriptor is another's by now: the locks are gone then, and no range is given any more. */
static bool is_usable(const struct registry *registry)
{
	return is_current(registry) && is_same_file(registry);
}

static int set_lock(const struct registry *registry, short type, struct range range)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = range.first, .l_len = range.count };
	int result;
	do
		result = fcntl(registry->fd, F_OFD_SETLK, &lock);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

/* id_registry(fd) -> registry | nil, message, errno
 * Of a file that is open for reading and writing, by a descriptor of its own. */
static int new_registry(lua_State *L)
{
	int number = check_fd(L, 1);
	struct registry *registry = lua_newuserdata(L, sizeof *registry);
	*registry = (struct registry){ .fd = -1, .generation = fork_generation() };
	luaL_getmetatable(L, REGISTRY_TYPE);
	lua_setmetatable(L, -2);
	int result = identify(number, &registry->file);
	if (result < 0)
		return push_error(L, "fstat", -result);
	registry->fd = fcntl(number, F_DUPFD_CLOEXEC, MIN_FD);
	if (registry->fd < 0)
		return push_error(L, "dup", errno);
	keep_private(registry->fd);
	return 1;
}

static int registry_gc(lua_State *L)
{
	struct registry *registry = check_registry(L);
	if (is_same_file(registry)) {
		is_closed(registry->fd);
		close(registry->fd);
	}
	registry->fd = -1;
	free(registry->held);
	registry->held = NULL;
	registry->count = registry->room = 0;
	return 0;
}

/* registry:is_current() -> boolean: false in a forked child, which has to open one of its own */
static int registry_is_current(lua_State *L)
{
	lua_pushboolean(L, is_current(check_registry(L)));
	return 1;
}

static bool make_room(struct registry *registry)
{
	if (registry->count < registry->room)
		return true;
	size_t room = registry->room ? 2 * registry->room : 16;
	struct range *held = realloc(registry->held, room * sizeof *held);
	if (!held)
		return false;
	registry->held = held;
	registry->room = room;
	return true;
}

/* registry:lock(first, count) -> hold | false where somebody has one of them | nil, message, errno */
static int registry_lock(lua_State *L)
{
	struct registry *registry = check_registry(L);
	struct range range = { check_range(L, 2, 0, 4294967294), check_range(L, 3, 1, 4294967295) };
	if (!is_usable(registry))
		return push_error(L, "fcntl", EBADF);
	for (size_t i = 0; i < registry->count; i++) {
		const struct range *other = &registry->held[i];
		if (range.first < other->first + other->count && other->first < range.first + range.count) {
			lua_pushboolean(L, false);
			return 1;
		}
	}
	struct hold *hold = lua_newuserdata(L, sizeof *hold);
	*hold = (struct hold){ 0 };
	luaL_getmetatable(L, HOLD_TYPE);
	lua_setmetatable(L, -2);
	/* The registry is there as long as one of these is. */
	lua_createtable(L, 1, 0);
	lua_pushvalue(L, 1);
	lua_rawseti(L, -2, 1);
#if LUA_VERSION_NUM < 502
	lua_setfenv(L, -2);
#else
	lua_setuservalue(L, -2);
#endif
	if (!make_room(registry))
		return push_error(L, "realloc", ENOMEM);
	int result = set_lock(registry, F_WRLCK, range);
	if (result == -EAGAIN || result == -EACCES) {
		lua_pushboolean(L, false);
		return 1;
	}
	if (result < 0)
		return push_error(L, "fcntl", -result);
	registry->held[registry->count++] = range;
	*hold = (struct hold){ registry, range };
	return 1;
}

/* hold:release(): others may have the IDs */
static int hold_release(lua_State *L)
{
	struct hold *hold = luaL_checkudata(L, 1, HOLD_TYPE);
	struct registry *registry = hold->registry;
	hold->registry = NULL;
	if (!registry || !is_usable(registry))
		return 0;
	for (size_t i = 0; i < registry->count; i++) {
		if (registry->held[i].first == hold->range.first) {
			registry->held[i] = registry->held[--registry->count];
			set_lock(registry, F_UNLCK, hold->range);
			break;
		}
	}
	return 0;
}

/* registry:note(place [, text]) -> the note (8 bytes), nil where there is none | nil, message, errno
 * With a text (of 8 bytes, or "" for none): writes it, and returns true. */
static int registry_note(lua_State *L)
{
	struct registry *registry = check_registry(L);
	int64_t place = check_range(L, 2, 0, 4294967294) * NOTE;
	char data[NOTE] = { 0 };
	long count;
	if (!is_usable(registry))
		return push_error(L, "pread", EBADF);
	if (lua_isnoneornil(L, 3)) {
		RAW_RETRY(count, SYS_pread64, registry->fd, data, NOTE, place);
		if (count < 0)
			return push_error(L, "pread", (int)-count);
		lua_pushnil(L);
		if (count == NOTE && data[0])
			lua_pushlstring(L, data, NOTE);
		return 1;
	}
	size_t length;
	const char *text = luaL_checklstring(L, 3, &length);
	luaL_argcheck(L, length == 0 || length == NOTE, 3, "8 bytes expected");
	if (length)
		memcpy(data, text, NOTE);
	int result = write_at(registry->fd, data, NOTE, place);
	if (result < 0)
		return push_error(L, "pwrite", -result);
	lua_pushboolean(L, true);
	return 1;
}

static void add_ids(lua_State *L, const char *text)
{
	unsigned ids[4];
	if (sscanf(text, "%u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]) != 4)
		return;
	for (size_t i = 0; i < 4; i++) {
		push_int64(L, ids[i]);
		lua_pushboolean(L, true);
		lua_rawset(L, -3);
	}
}

/* What /proc/PID/status says of IDs; a process that has gone has none. */
static int add_process(lua_State *L, int directory, const char *pid)
{
	char path[64], text[4096];
	snprintf(path, sizeof path, "%.20s/status", pid);
	int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	ssize_t count = read(fd, text, sizeof text - 1);
	int result = count < 0 && errno != ESRCH ? -errno : 0;
	close(fd);
	if (count < 0)
		return result;
	text[count] = '\0';
	for (const char *line = text; line; line = strchr(line + 1, '\n')) {
		const char *word = *line == '\n' ? line + 1 : line;
		if (strncmp(word, "Uid:", 4) == 0 || strncmp(word, "Gid:", 4) == 0)
			add_ids(L, word + 4);
	}
	return 0;
}

struct directory {
	DIR *stream;
};

static int directory_gc(lua_State *L)
{
	struct directory *directory = lua_touserdata(L, 1);
	if (directory->stream)
		closedir(directory->stream);
	directory->stream = NULL;
	return 0;
}

/* ids_of_processes() -> set of all their user and group IDs | nil, message, errno
 * As /proc has them. EACCES where that does not show the processes of others. */
static int ids_of_processes(lua_State *L)
{
	lua_newtable(L);
	struct directory *directory = lua_newuserdata(L, sizeof *directory);
	directory->stream = NULL;
	luaL_getmetatable(L, "cella.id_directory");
	lua_setmetatable(L, -2);
	directory->stream = opendir("/proc");
	if (!directory->stream)
		return push_error(L, "/proc", errno);
	lua_pushvalue(L, -2);
	int result = 0;
	bool init = false;
	for (const struct dirent *entry; result == 0 && (entry = readdir(directory->stream));) {
		if (*entry->d_name < '1' || *entry->d_name > '9')
			continue;
		init |= strcmp(entry->d_name, "1") == 0;
		result = add_process(L, dirfd(directory->stream), entry->d_name);
	}
	closedir(directory->stream);
	directory->stream = NULL;
	if (result == 0 && !init)
		result = -EACCES;
	return result < 0 ? push_error(L, "/proc", -result) : 1;
}

static const char *type_name(mode_t mode)
{
	return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "link" : S_ISFIFO(mode) ? "fifo" :
	       S_ISSOCK(mode) ? "socket" : S_ISCHR(mode) ? "char" : "block";
}

static void set_number(lua_State *L, const char *name, int64_t value)
{
	push_int64(L, value);
	lua_setfield(L, -2, name);
}

/* file_status(fd | path) -> { type, mode, uid, gid, links, size, device, inode, changed, number } | nil, message, errno
 * stat(2); `changed` is the time of the last change, in nanoseconds, as text; `number` that of a device, "MAJOR:MINOR",
 * and nil of others. */
static int file_status(lua_State *L)
{
	struct stat status;
	const char *path = "fstat";
	int result;
	if (lua_type(L, 1) == LUA_TNUMBER) {
		result = query_status(check_fd(L, 1), NULL, &status);
	} else {
		size_t length;
		path = luaL_checklstring(L, 1, &length);
		luaL_argcheck(L, strlen(path) == length, 1, "the path has a NUL byte in it");
		result = query_status(AT_FDCWD, path, &status);
	}
	if (result < 0)
		return push_error(L, path, errno);
	char changed[48], number[48];
	snprintf(changed, sizeof changed, "%lld.%09ld", (long long)status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
	lua_createtable(L, 0, 10);
	if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
		snprintf(number, sizeof number, "%u:%u", major(status.st_rdev), minor(status.st_rdev));
		lua_pushstring(L, number);
		lua_setfield(L, -2, "number");
	}
	lua_pushstring(L, type_name(status.st_mode));
	lua_setfield(L, -2, "type");
	lua_pushstring(L, changed);
	lua_setfield(L, -2, "changed");
	set_number(L, "mode", status.st_mode & 07777);
	set_number(L, "uid", status.st_uid);
	set_number(L, "gid", status.st_gid);
	set_number(L, "links", (int64_t)status.st_nlink);
	set_number(L, "size", status.st_size);
	set_number(L, "device", (int64_t)status.st_dev);
	set_number(L, "inode", (int64_t)status.st_ino);
	return 1;
}

void open_ids(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "id_registry", new_registry },
		{ "ids_of_processes", ids_of_processes },
		{ "file_status", file_status },
		{ 0 },
	};
	static const luaL_Reg registry_methods[] = {
		{ "is_current", registry_is_current }, { "lock", registry_lock }, { "note", registry_note }, { 0 },
	};
	static const luaL_Reg registry_metamethods[] = { { "__gc", registry_gc }, { 0 } };
	static const luaL_Reg hold_methods[] = { { "release", hold_release }, { 0 } };
	static const luaL_Reg hold_metamethods[] = { { "__gc", hold_release }, { "__close", hold_release }, { 0 } };
	static const luaL_Reg none[] = { { 0 } };
	static const luaL_Reg directory_metamethods[] = { { "__gc", directory_gc }, { 0 } };
	new_type(L, REGISTRY_TYPE, registry_methods, registry_metamethods);
	new_type(L, HOLD_TYPE, hold_methods, hold_metamethods);
	new_type(L, "cella.id_directory", none, directory_metamethods);
	luaL_setfuncs(L, functions, 0);
}
