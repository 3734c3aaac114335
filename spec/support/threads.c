/* Several threads with a Lua state each, at the same time; meanwhile the first looks whether the process stays dumpable.
 * Arguments: the Lua source that each runs, which finds its number in the global `thread`, and how many. */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

static const char *source;
static _Atomic int running, failed;

static void *serve(void *number)
{
	lua_State *L = luaL_newstate();
	luaL_openlibs(L);
	lua_pushinteger(L, (lua_Integer)(size_t)number);
	lua_setglobal(L, "thread");
	if (luaL_dostring(L, source)) {
		fprintf(stderr, "%s\n", lua_tostring(L, -1));
		failed = 1;
	}
	lua_close(L);
	running--;
	return NULL;
}

int main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[2]) : 0, dumpable = 1;
	source = argv[1];
	for (int i = 0; i < count; i++) {
		pthread_t thread;
		running++;
		if (pthread_create(&thread, NULL, serve, (void *)(size_t)(i + 1)))
			return 1;
		pthread_detach(thread);
	}
	while (running) {
		struct timespec moment = { .tv_nsec = 20000 };
		dumpable &= prctl(PR_GET_DUMPABLE) == 1;
		nanosleep(&moment, NULL);
	}
	if (!failed)
		printf("%d threads, %s\n", count, dumpable ? "dumpable throughout" : "not always dumpable");
	return failed;
}
