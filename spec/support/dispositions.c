/* A program with a thread that ignores SIGUSR1 and SIGCHLD and does not, all the time, as system(3) does with others;
 * and a Lua state that starts programs meanwhile. Argument: the Lua source. */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_int over;

static void *change(void *unused)
{
	for (unsigned i = 0; !over; i++) {
		signal(SIGUSR1, i & 1 ? SIG_IGN : SIG_DFL);
		signal(SIGCHLD, i & 1 ? SIG_IGN : SIG_DFL);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	lua_State *L = luaL_newstate();
	luaL_openlibs(L);
	if (argc < 2 || pthread_create(&thread, NULL, change, NULL))
		return 1;
	int failed = luaL_dostring(L, argv[1]);
	if (failed)
		fprintf(stderr, "%s\n", lua_tostring(L, -1));
	over = 1;
	pthread_join(thread, NULL);
	return failed;
}
