/* A program with a Lua state for each request: opens and closes many of them, one after the other, half of them in
 * threads of their own, and prints how many descriptors it had after the first few and at the end.
 * Arguments: the Lua source that each runs, and how many. */
#include <dirent.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static int descriptors(void)
{
	int count = 0;
	DIR *directory = opendir("/proc/self/fd");
	while (directory && readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void *serve(void *source)
{
	lua_State *L = luaL_newstate();
	luaL_openlibs(L);
	if (luaL_dostring(L, source)) {
		fprintf(stderr, "%s\n", lua_tostring(L, -1));
		exit(1);
	}
	lua_close(L);
	return NULL;
}

int main(int argc, char **argv)
{
	int before = 0, count = argc > 2 ? atoi(argv[2]) : 0;
	for (int i = 0; i < count; i++) {
		pthread_t thread;
		if (i == 10)
			before = descriptors();
		if (i % 2 == 0)
			serve(argv[1]);
		else if (pthread_create(&thread, NULL, serve, argv[1]) || pthread_join(thread, NULL))
			return 1;
	}
	printf("%d %d\n", before, descriptors());
	return 0;
}
