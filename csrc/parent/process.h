/* A child, and all that the caller's process holds for it from clone(2) until it is reaped. The functions here are in
 * several files, each of which is about one part of that. */
#ifndef CELLA_PROCESS_H
#define CELLA_PROCESS_H

#include "executor/launch.h"
#include "value/compat.h"

#include <linux/sched.h>
#include <sys/resource.h>
#include <time.h>

#define PROCESS_TYPE "cella.child"

struct boot_memory;

/* A child and everything that the parent holds for it. Descriptors are -1 and pids 0 where there is none,
 * so that letting go twice is harmless. */
struct process {
	int pid;
	int program; /* pid of the process behind an init step, as the caller's pid namespace has it; or 0 */
	int pidfd;
	int channel;
	int sent; /* a descriptor that the child has sent, until somebody takes it */
	int listener; /* of its seccomp filter, likewise */
	struct launch *launch; /* until the program runs */
	size_t launch_size;
	const uint64_t *stamps; /* in the launch, while that is there; later a copy; NULL where there are none */
	uint32_t stamp_count;
	struct boot_memory *boot;
	bool monitored; /* the child is a monitor's, which reports in the launch that it was started with */
	struct launch *report; /* that one, once it is not `launch` any more */
	size_t report_size;
	int monitor_pid, monitor_pidfd;
	unsigned generation; /* of the process that made it: lib/self.h */
	bool unwanted; /* who goes on is to be killed */
	bool detached; /* it is to live without us: never killed, only reaped */
	bool handed_over; /* it was parked, and has got the rest of its plan */
	bool reaped;
	bool unexecuted; /* the program died before it was executed */
	char mark[MARK_SIZE]; /* of the launch */
	bool executes;
	bool has_usage; /* unless somebody else has reaped it */
	int code, status; /* si_code and si_status of waitid(2) */
	struct rusage usage;
};

/* exit_status.c: as wait(2) has a status. */
void set_status(struct process *process, int status);

/* With the options of waitid(2). Returns 1 once the status is known, 0 if the child runs still, or a negative errno. */
int reap(struct process *process, int options);

/* Takes over what an init has told of its program; false where it was killed and has told nothing. */
bool read_report(struct process *process, int fd);

/* monitored.c: the caller's side of a monitor (monitor.c). */

/* The child has exec'd or ended: who of those that have gone on, one after the other, is the last. */
void monitor_executed(struct process *process, int last);

/* Waits, for some seconds at most, until it holds nothing of the child's open, the channel above all. */
void monitor_await_apart(const struct process *process, int seconds);

/* Nobody needs a launch any more but the monitor, who reports in the first that there was. */
void release_launch(struct process *process, struct launch *launch, size_t size);

/* Once the child has ended: its status. Returns 0 or a negative errno; with WNOHANG -EAGAIN where the monitor has not
 * yet ended. */
int monitor_finish(struct process *process, int options);

/* let_go.c: kills whatever there is of a child and waits for its end for a moment; what lives on is reaped later. May
 * be called any number of times. */
void process_let_go(struct process *process);

/* let_go.c: forgets a child that runs its program, and is to live without the caller; it is reaped later, if there is a
 * caller then. False where it does not run, or not yet. */
bool process_detach(struct process *process);

/* Reaps what has ended meanwhile of those that were let go. */
void reap_owed(void);

/* wait_for_exec.c: waits until the child has come to an `await`, or has exec'd or ended, at most `timeout` (NULL: for
 * ever). Returns 1, or 0 if it has ended (what stopped it is for launch_wait_for_exec to say), or -ETIMEDOUT, or
 * another negative errno. */
int launch_ready(struct process *process, const struct timespec *timeout);

/* Holds a process that is a child of another: a pidfd, or a negative errno, ESRCH where it is not. `may_be_unknown`:
 * also where /proc does not say whose child it is. */
int open_child(int pid, int parent, bool may_be_unknown);

/* Waits until the child has exec'd or ended. Returns 0, or a negative errno. */
int launch_wait_for_exec(struct process *process, const struct timespec *timeout);

/* launch.c: frees what only a child before its exec needs. */
void launch_end(struct process *process);

/* hand_over.c: process:hand_over(recorder, slots) */
int process_hand_over(lua_State *L);

/* As Lua has it; in a copy of the process that made it a child is a stranger, and what is asked of it is asked of
 * nobody. */
struct process *check_process(lua_State *L);

/* The copy of the stamps that launch_end leaves. */
void release_stamps(struct process *process);

int launch_plan(lua_State *L);
int launch_copied(lua_State *L);

/* Adds its functions to the module table on top of the stack. */
void open_process(lua_State *L);

#endif
