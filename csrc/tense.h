#ifndef CELLA_TENSE_H
#define CELLA_TENSE_H

#include "args.h"

#define PLAN_TYPE "cella.recorder"

/* A recorded plan: its steps one after another, and where each begins. */
struct plan {
	struct buffer buffer;
	size_t *starts;
	size_t steps, room;
	int slots;
	bool ended; /* the last step executes */
	bool has_init;
	bool calls; /* the last step is a call */
};

static inline struct step *plan_step(const struct plan *plan, size_t number)
{
	return (struct step *)(void *)(plan->buffer.data + plan->starts[number]);
}

struct plan *to_plan(lua_State *L, int index);

/* Of this process. Counted in /proc/self/task; 1 where there is no /proc to ask. */
int thread_count(void);

/* nil, "what: strerror", errno: the convention of Lua's own io library. */
int push_error(lua_State *L, const char *what, int error);

/* Each adds its functions to the module table on top of the stack. */
void open_tense(lua_State *L);
void open_process(lua_State *L);
void open_look(lua_State *L);
void open_io(lua_State *L);
void open_stream(lua_State *L); /* after open_io, as the next */
void open_poll(lua_State *L);
void open_usage(lua_State *L);
void open_subid(lua_State *L);
void open_runner_file(lua_State *L);
void open_caps(lua_State *L);
void open_copy(lua_State *L);
void open_plain(lua_State *L);
void open_terminal(lua_State *L);
void open_cgroup(lua_State *L);
void open_ids(lua_State *L);

#endif
