/* What cella.caps takes from libcap: names, both of its text forms, and the mode. core.caps is
 * for lua/cella/caps alone; the interface is there. */
#include "lib/libcap.h"
#include "lib/lib.h"
#include "sys/capability.h"
#include "sys/credentials.h"
#include "sys/raw.h"
#include "value/capmask.h"
#include "value/capset.h"
#include "value/check.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* A C string without NUL inside, which libcap would stop at. */
static const char *check_text(lua_State *L, int index)
{
	size_t length;
	const char *text = luaL_checklstring(L, index, &length);
	luaL_argcheck(L, strlen(text) == length, index, "the text has a NUL byte in it");
	return text;
}

/* name(number) -> "net_raw" | nil where libcap has no name for it. cap_to_name(3). */
static int caps_name(lua_State *L)
{
	char name[CAPABILITY_NAME_SIZE];
	if (capability_name((int)check_range(L, 1, 0, 63), name))
		lua_pushstring(L, name);
	else
		lua_pushnil(L);
	return 1;
}

/* number(value) -> the number of a capability, given by its name or number | nil, problem, whether it is an unknown
 * name */
static int caps_number(lua_State *L)
{
	struct capset one;
	luaL_checkany(L, 1);
	capset_read_one(L, 1, &one);
	if (one.problem == CAPSET_GOOD) {
		lua_pushinteger(L, __builtin_ctzll(one.mask));
		return 1;
	}
	lua_pushnil(L);
	capset_problem_text(L, &one);
	lua_replace(L, 3);
	lua_settop(L, 3);
	lua_pushboolean(L, one.problem == CAPSET_NAME);
	return 3;
}

static bool fill(cap_t state, cap_flag_t flag, uint64_t mask)
{
	for (cap_value_t cap = 0; cap < 64; cap++)
		if (mask >> cap & 1 && cap_set_flag(state, flag, 1, &cap, CAP_SET) < 0)
			return false;
	return true;
}

uint64_t take_flag(cap_t state, cap_flag_t flag)
{
	uint64_t mask = 0;
	for (cap_value_t cap = 0; cap < 64; cap++) {
		cap_flag_value_t value = CAP_CLEAR;
		if (cap_get_flag(state, cap, flag, &value) == 0 && value == CAP_SET)
			mask |= (uint64_t)1 << cap;
	}
	return mask;
}

/* The vectors of libcap that a state does not have. What is blocked is not in the bounding set. */
static uint64_t take_vector(cap_iab_t iab, cap_iab_vector_t vector)
{
	uint64_t mask = 0;
	for (cap_value_t cap = 0; cap < 64; cap++)
		if (cap_iab_get_vector(iab, vector, cap) == CAP_SET)
			mask |= (uint64_t)1 << cap;
	return mask;
}

/* As cap_iab_get_proc(3), in half the calls: what is ambient is permitted and inheritable. */
static void read_own_vectors(struct process_sets *sets, uint64_t known)
{
	uint64_t candidates = sets->permitted & sets->inheritable;
	sets->bounding = sets->ambient = 0;
	for (unsigned cap = 0; cap < 64 && known >> cap; cap++) {
		uint64_t bit = (uint64_t)1 << cap;
		if (prctl(PR_CAPBSET_READ, cap) == 1)
			sets->bounding |= bit;
		if (candidates & bit && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			sets->ambient |= bit;
	}
}

const char *read_process_sets(pid_t pid, struct process_sets *sets)
{
	uint64_t known = all_capabilities();
	cap_t state = pid ? cap_get_pid(pid) : cap_get_proc();
	if (!state)
		return "cap_get_pid";
	sets->effective = take_flag(state, CAP_EFFECTIVE) & known;
	sets->permitted = take_flag(state, CAP_PERMITTED) & known;
	sets->inheritable = take_flag(state, CAP_INHERITABLE) & known;
	cap_free(state);
	if (!pid) {
		read_own_vectors(sets, known);
		return NULL;
	}
	cap_iab_t iab = cap_iab_get_pid(pid);
	if (!iab)
		return "cap_iab_get_pid";
	sets->bounding = ~take_vector(iab, CAP_IAB_BOUND) & known;
	sets->ambient = take_vector(iab, CAP_IAB_AMB) & known;
	cap_free(iab);
	return NULL;
}

/* sets() -> { effective, permitted, inheritable, bounding, ambient } | nil, message, errno
 * Masks, of this process. */
static int caps_sets(lua_State *L)
{
	struct process_sets sets;
	const char *failed = read_process_sets(0, &sets);
	if (failed)
		return push_error(L, failed, errno);
	lua_createtable(L, 0, 5);
	push_mask(L, sets.effective);
	lua_setfield(L, -2, "effective");
	push_mask(L, sets.permitted);
	lua_setfield(L, -2, "permitted");
	push_mask(L, sets.inheritable);
	lua_setfield(L, -2, "inheritable");
	push_mask(L, sets.bounding);
	lua_setfield(L, -2, "bounding");
	push_mask(L, sets.ambient);
	lua_setfield(L, -2, "ambient");
	return 1;
}

/* effective() -> mask | nil, message, errno. Of this process: capget(2), and no other question. */
static int caps_effective(lua_State *L)
{
	struct credentials sets;
	int result = get_sets(&sets);
	if (result < 0)
		return push_error(L, "capget", -result);
	push_mask(L, sets.effective & all_capabilities());
	return 1;
}

cap_t new_state(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	cap_t state = cap_init();
	if (state && fill(state, CAP_EFFECTIVE, effective) && fill(state, CAP_PERMITTED, permitted) &&
	    fill(state, CAP_INHERITABLE, inheritable))
		return state;
	int error = errno;
	cap_free(state);
	errno = error;
	return NULL;
}

/* Pushes a text that libcap allocated, after freeing it. */
static int push_libcap_text(lua_State *L, const char *what, char *text)
{
	char copy[2048];
	int error = errno;
	if (!text)
		return push_error(L, what, error);
	int length = snprintf(copy, sizeof copy, "%s", text);
	cap_free(text);
	if (length >= (int)sizeof copy)
		return push_error(L, what, EOVERFLOW);
	lua_pushstring(L, copy);
	return 1;
}

/* to_text(effective, permitted, inheritable) -> text | nil, message, errno. cap_to_text(3). */
static int caps_to_text(lua_State *L)
{
	cap_t state = new_state(check_mask(L, 1), check_mask(L, 2), check_mask(L, 3));
	if (!state)
		return push_error(L, "cap_init", errno);
	char *text = cap_to_text(state, NULL);
	int error = errno;
	cap_free(state);
	errno = error;
	return push_libcap_text(L, "cap_to_text", text);
}

/* from_text(text) -> effective, permitted, inheritable | nil, message, errno. cap_from_text(3). */
static int caps_from_text(lua_State *L)
{
	cap_t state = cap_from_text(check_text(L, 1));
	if (!state)
		return push_error(L, "cap_from_text", errno);
	uint64_t effective = take_flag(state, CAP_EFFECTIVE), permitted = take_flag(state, CAP_PERMITTED),
		 inheritable = take_flag(state, CAP_INHERITABLE);
	cap_free(state);
	push_mask(L, effective);
	push_mask(L, permitted);
	push_mask(L, inheritable);
	return 3;
}

static const cap_iab_vector_t vectors[] = { CAP_IAB_INH, CAP_IAB_AMB, CAP_IAB_BOUND };

/* iab_to_text(inheritable, ambient, blocked) -> text | nil, message, errno. cap_iab_to_text(3); `blocked`
 * is what is *not* in the bounding set. */
static int caps_iab_to_text(lua_State *L)
{
	const uint64_t masks[] = { check_mask(L, 1), check_mask(L, 2), check_mask(L, 3) };
	cap_iab_t iab = cap_iab_init();
	if (!iab)
		return push_error(L, "cap_iab_init", errno);
	for (int i = 0; i < 3; i++)
		for (cap_value_t cap = 0; cap < 64; cap++)
			if (masks[i] >> cap & 1)
				cap_iab_set_vector(iab, vectors[i], cap, CAP_SET);
	char *text = cap_iab_to_text(iab);
	int error = errno;
	cap_free(iab);
	errno = error;
	return push_libcap_text(L, "cap_iab_to_text", text);
}

/* iab_from_text(text) -> inheritable, ambient, blocked | nil, message, errno. cap_iab_from_text(3). */
static int caps_iab_from_text(lua_State *L)
{
	uint64_t masks[3] = { 0 };
	cap_iab_t iab = cap_iab_from_text(check_text(L, 1));
	if (!iab)
		return push_error(L, "cap_iab_from_text", errno);
	for (int i = 0; i < 3; i++)
		masks[i] = take_vector(iab, vectors[i]);
	cap_free(iab);
	for (int i = 0; i < 3; i++)
		push_mask(L, masks[i]);
	return 3;
}

/* mode() -> "HYBRID" and so on, for this process. cap_get_mode(3). */
static int caps_mode(lua_State *L)
{
	lua_pushstring(L, cap_mode_name(cap_get_mode()));
	return 1;
}

/* How many processes /proc shows; the first `room` of them go to `pids`. */
static int list_pids(int *pids, int room)
{
	DIR *directory = opendir("/proc");
	int count = 0;
	if (!directory)
		return -1;
	for (struct dirent *entry; (entry = readdir(directory));) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		if (pid <= 0 || *end)
			continue;
		if (count < room)
			pids[count] = (int)pid;
		count++;
	}
	closedir(directory);
	return count;
}

/* pids() -> list of the processes that /proc shows | nil, message, errno */
static int caps_pids(lua_State *L)
{
	int room = list_pids(NULL, 0) + 64; /* some may start in between */
	int *pids = lua_newuserdata(L, (size_t)room * sizeof *pids);
	int count = list_pids(pids, room);
	if (count < 0)
		return push_error(L, "/proc", errno);
	lua_newtable(L);
	for (int i = 0; i < count && i < room; i++) {
		lua_pushinteger(L, pids[i]);
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

/* read(value) -> mask | nil, problem, item, name
 * A list or a text, as capset.h has them; `item` is the number of the one in a list that is wrong, `name` is given
 * where it is an unknown one. */
static int caps_read(lua_State *L)
{
	struct capset set;
	luaL_checkany(L, 1);
	capset_read(L, 1, &set);
	if (set.problem == CAPSET_GOOD) {
		push_mask(L, set.mask);
		return 1;
	}
	capset_problem_text(L, &set);
	lua_replace(L, 1);
	lua_settop(L, 1);
	lua_pushnil(L);
	lua_insert(L, 1);
	if (set.item)
		lua_pushinteger(L, set.item);
	else
		lua_pushnil(L);
	if (set.problem != CAPSET_NAME)
		return 3;
	lua_pushstring(L, set.subject);
	return 4;
}

void open_caps(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "read", caps_read },
		{ "name", caps_name },
		{ "number", caps_number },
		{ "sets", caps_sets },
		{ "effective", caps_effective },
		{ "to_text", caps_to_text },
		{ "from_text", caps_from_text },
		{ "iab_to_text", caps_iab_to_text },
		{ "iab_from_text", caps_iab_from_text },
		{ "mode", caps_mode },
		{ "pids", caps_pids },
		{ 0 },
	};
	luaL_newlib(L, functions);
	open_capmask(L);
	open_caps_file(L);
	lua_setfield(L, -2, "caps");
}
