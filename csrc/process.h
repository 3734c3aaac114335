#ifndef CELLA_PROCESS_H
#define CELLA_PROCESS_H

#include "launch.h"

#include <linux/sched.h>
#include <sys/resource.h>
#include <time.h>

#define PROCESS_TYPE "cella.child"

/* A child and everything that the parent holds for it. Descriptors are -1 and pids 0 where there is none,
 * so that letting go twice is harmless. */
struct keeper;

struct process {
	int pid;
	int program; /* pid of the process behind an init step, as the caller's pid namespace has it; or 0 */
	int pidfd;
	int channel;
	int sent; /* a descriptor that the child has sent, until somebody takes it */
	struct launch *launch;
	struct keeper *keeper;
	unsigned epoch; /* of the process that made it: copy.h */
	bool own_memory;
	bool unwanted; /* who goes on is to be killed */
	bool reaped;
	bool unexecuted; /* its init has said that the program died before it was executed */
	bool has_usage; /* unless somebody else has reaped it */
	int code, status; /* si_code and si_status of waitid(2) */
	struct rusage usage;
};

/* ended.c: as wait(2) has a status. */
void set_status(struct process *process, int status);

/* With the options of waitid(2). Returns 1 once the status is known, 0 if the child runs still, or a negative errno. */
int reap(struct process *process, int options);

/* Takes over what an init has told of its program; false where it was killed and has told nothing. */
bool read_report(struct process *process, int fd);

/* keeper.c: a process between the caller and its child that waits for the child. Used where the caller
 * ignores SIGCHLD, because the kernel then throws the status away. */

/* Makes the child by way of a keeper. Who it is comes over the channel, and that there is none as what has failed.
 * Returns something positive, 0 in a child that is a copy, or a negative errno. */
int keeper_start(struct process *process, const struct clone_args *child);

/* The child has exec'd or ended: who of those that have gone on, one after the other, is the last. */
void keeper_settle(struct keeper *keeper, int last);

/* Once the child has ended: its status. Frees the keeper. Returns 0 or a negative errno; with WNOHANG -EAGAIN where the
 * keeper has not yet ended. */
int keeper_finish(struct process *process, int options);

/* owed.c: kills whatever there is of a child and waits for its end for a moment; what lives on is reaped later. May be
 * called any number of times. */
void process_let_go(struct process *process);

/* Reaps what has ended meanwhile of those that were let go. */
void reap_owed(void);

/* settle.c: waits until the child has come to an `await`, or has exec'd or ended, at most `patience` (NULL: for
 * ever). Returns 1, or 0 if it has ended (what stopped it is for launch_settle to say), or -ETIMEDOUT, or another
 * negative errno. */
int launch_ready(struct process *process, const struct timespec *patience);

/* Waits until the child has exec'd or ended. Returns 0, or a negative errno. */
int launch_settle(struct process *process, const struct timespec *patience);

/* launch.c: frees what only a child before its exec needs. */
void launch_end(struct process *process);

int launch_plan(lua_State *L);

void close_once(int *fd);

/* Moves a descriptor to one from `lowest` on and closes the first. 0, 1 and 2 are the standard streams also
 * where the caller has closed them: nothing of ours is left there. -1 and errno if there is no room. */
enum { LOWEST_FD = 3 };
int move_up(int fd, int lowest);

/* Waits for a child of which nothing is to be known, whatever signals arrive. */
void reap_quietly(int pid);

/* Returns a pidfd, or a negative errno. */
int open_pidfd(int pid);

#endif
