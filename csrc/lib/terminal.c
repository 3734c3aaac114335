/* The terminal of the caller: its size, its modes (termios(3)), and whether the caller is in its foreground process
 * group. Lua uses this where the program in a container gets a terminal of its own, and the caller passes on what is
 * typed. */
#include "lib/lib.h"
#include "value/check.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define MODES_TYPE "cella.modes"

/* The modes of a terminal as they were, which are put back when nobody needs others any more. */
struct modes {
	int fd;
	bool raw;
	struct termios before;
};

/* isatty(number) -> boolean */
static int terminal_isatty(lua_State *L)
{
	lua_pushboolean(L, isatty(check_fd(L, 1)));
	return 1;
}

/* window_size(number) -> rows, columns | nil, message, errno */
static int terminal_window_size(lua_State *L)
{
	struct winsize window;
	if (ioctl(check_fd(L, 1), TIOCGWINSZ, &window) < 0)
		return push_error(L, "TIOCGWINSZ", errno);
	lua_pushinteger(L, window.ws_row);
	lua_pushinteger(L, window.ws_col);
	return 2;
}

static bool in_foreground(int fd)
{
	pid_t group = tcgetpgrp(fd);
	/* One that is not our controlling terminal stops nobody, nor does one that has hung up. */
	return group < 0 || group == getpgrp();
}

/* in_foreground(number) -> boolean
 * Whether this process may read from the terminal and change it, and would not be stopped for it. */
static int terminal_in_foreground(lua_State *L)
{
	lua_pushboolean(L, in_foreground(check_fd(L, 1)));
	return 1;
}

static struct modes *check_modes(lua_State *L)
{
	return luaL_checkudata(L, 1, MODES_TYPE);
}

/* modes(number) -> modes | nil, message, errno
 * Remembers the modes that a terminal has. */
static int terminal_modes(lua_State *L)
{
	struct modes *modes;
	int fd = check_fd(L, 1);
	modes = lua_newuserdata(L, sizeof *modes);
	*modes = (struct modes){ .fd = fd };
	if (tcgetattr(fd, &modes->before) < 0)
		return push_error(L, "tcgetattr", errno);
	luaL_getmetatable(L, MODES_TYPE);
	lua_setmetatable(L, -2);
	return 1;
}

/* modes:raw() -> true | nil, message, errno
 * From here on each byte that is typed is to be read as it is: see cfmakeraw(3). */
static int modes_raw(lua_State *L)
{
	struct modes *modes = check_modes(L);
	struct termios raw = modes->before;
	cfmakeraw(&raw);
	if (tcsetattr(modes->fd, TCSANOW, &raw) < 0)
		return push_error(L, "tcsetattr", errno);
	modes->raw = true;
	lua_pushboolean(L, true);
	return 1;
}

/* modes:restore(): puts back what was, if it has been changed. */
static int modes_restore(lua_State *L)
{
	struct modes *modes = check_modes(L);
	if (!modes->raw)
		return 0;
	modes->raw = false;
	/* Whoever is in the background would be stopped by this, and leave it undone. */
	sigset_t output, before;
	sigemptyset(&output);
	sigaddset(&output, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &output, &before);
	tcsetattr(modes->fd, TCSANOW, &modes->before);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return 0;
}

void open_terminal(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "isatty", terminal_isatty },	{ "window_size", terminal_window_size },
		{ "modes", terminal_modes },	{ "in_foreground", terminal_in_foreground },
		{ 0 },
	};
	static const luaL_Reg methods[] = { { "raw", modes_raw }, { "restore", modes_restore }, { 0 } };
	static const luaL_Reg metamethods[] = { { "__gc", modes_restore }, { "__close", modes_restore }, { 0 } };
	new_type(L, MODES_TYPE, methods, metamethods);
	luaL_setfuncs(L, functions, 0);
}
