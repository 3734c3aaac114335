/* What a child has because the thread that starts it has it, and no fact of cella.host tells: to be compared with what
 * it is at another time. A Landlock domain is inherited too, but no call tells of it. */
#include "lib/lib.h"
#include "sys/procfs.h"
#include "sys/raw.h"

#include <linux/keyctl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

enum { ROOM = 4096, PROCESSORS = 1024, IOPRIO_WHO_PROCESS = 1 };

static void add_numbers(luaL_Buffer *buffer)
{
	enum { MOST = RLIM_NLIMITS };
	uint64_t limits[MOST][2] = { { 0 } };
	for (int i = 0; i < MOST; i++)
		RAW(SYS_prlimit64, 0, i, 0, limits[i]);
	luaL_addlstring(buffer, (const char *)limits, sizeof limits);

	unsigned char processors[PROCESSORS] = { 0 };
	RAW(SYS_sched_getaffinity, 0, sizeof processors, processors);
	luaL_addlstring(buffer, (const char *)processors, sizeof processors);

	struct sched_param parameter = { 0 };
	RAW(SYS_sched_getparam, 0, &parameter);
	int64_t numbers[] = { parameter.sched_priority, RAW(SYS_sched_getscheduler, 0),
			      RAW(SYS_getpriority, PRIO_PROCESS, 0), RAW(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0),
			      RAW(SYS_personality, UINT32_MAX), RAW(SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0),
			      RAW(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) };
	luaL_addlstring(buffer, (const char *)numbers, sizeof numbers);
}

/* The line of how many filters there are is the same as long as there are as many: none is ever taken away. */
static void add_filters(luaL_Buffer *buffer)
{
	static const char label[] = "\nSeccomp";
	char text[ROOM];
	if (RAW(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) == 0)
		return;
	const char *at = procfs_read("/proc/thread-self/status", text, sizeof text) > 0 ? strstr(text, label) : NULL;
	for (int line = 0; at && line < 2; line++) {
		size_t length = strcspn(at + 1, "\n") + 1;
		luaL_addlstring(buffer, at, length);
		at += length;
	}
}

/* inherited() -> string
 * Resource limits, processors, priorities, personality, securebits, session keyring, seccomp filters, cgroups, and what
 * the kernel goes by when memory is short, in bytes that mean nothing else. */
static int inherited(lua_State *L)
{
	static const char *const files[] = { "/proc/thread-self/oom_score_adj", "/proc/thread-self/cgroup" };
	luaL_Buffer buffer;
	luaL_buffinit(L, &buffer);
	add_numbers(&buffer);
	add_filters(&buffer);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char text[ROOM];
		long size = procfs_read(files[i], text, sizeof text);
		if (size > 0)
			luaL_addlstring(&buffer, text, (size_t)size);
	}
	luaL_pushresult(&buffer);
	return 1;
}

void open_inherited(lua_State *L)
{
	lua_pushcfunction(L, inherited);
	lua_setfield(L, -2, "inherited");
}
