/* Ends a child that the caller no longer wants, or lets it live without the caller. The former: kills it, and waits for
 * its end for a moment only. The wait is short
 * because the child may not end: a program can stop those that enter its container (SIGSTOP), and a process that
 * hangs in the kernel does not even die of SIGKILL. A child that still runs then is kept on a list, with the memory
 * that it shares with the caller, and is reaped later: whenever the caller starts another child, or lets another go.
 * So is one that is to live. */
#include "parent/process.h"
#include "lib/descriptor.h"
#include "lib/self.h"
#include "sys/raw.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Who is killed ends in less, on a machine that has something else to do as well. In milliseconds. */
enum { MOMENT = 250, LOOK_EVERY = 5, MOST_MESSAGES = 64 };

struct owed {
	struct process process;
	struct owed *next;
};

static pthread_mutex_t owed_lock = PTHREAD_MUTEX_INITIALIZER;
static struct owed *owed_list;
static unsigned owed_epoch; /* of the process whose children they are */

static void kill_now(const struct process *process)
{
	const struct launch *launch = process->launch;
	if (!process->reaped && process->pidfd >= 0)
		RAW(SYS_pidfd_send_signal, process->pidfd, SIGKILL, 0, 0);
	/* It has not yet said who it is, and may never. Whoever traces it could write another number there: it is
	 * killed as the monitor's child that it is, or not at all. */
	int successor = process->monitored && process->channel >= 0 && launch ? launch->successor : 0;
	int pidfd = successor > 0 ? open_child(successor, process->monitor_pid, false) : -1;
	if (pidfd >= 0)
		RAW(SYS_pidfd_send_signal, pidfd, SIGKILL, 0, 0);
	close_once(&pidfd);
	/* Where nobody has gone on yet, there is the monitor alone, or a child of it that waits for our word. */
	if (process->monitored && process->pidfd < 0)
		RAW(SYS_pidfd_send_signal, process->monitor_pidfd, SIGKILL, 0, 0);
	/* This process may have become somebody who must not kill it: who waits for a word hears that there is none. */
	if (process->channel >= 0)
		shutdown(process->channel, SHUT_WR);
}

/* Without waiting. True once nothing is left. */
static bool has_ended(struct process *process)
{
	if (process->detached)
		return reap(process, WNOHANG) != 0;
	const struct timespec now = { 0 };
	/* It may have handed over to another meanwhile: only the end of the channel says that nobody is left. */
	for (int i = 0; i < MOST_MESSAGES && process->channel >= 0; i++)
		if (launch_wait_for_exec(process, &now) == -ETIMEDOUT)
			break;
	kill_now(process);
	return process->channel < 0 && reap(process, WNOHANG) != 0;
}

static int64_t milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool ends_in_a_moment(struct process *process)
{
	int64_t until = milliseconds() + MOMENT;
	while (!has_ended(process)) {
		if (milliseconds() >= until)
			return false;
		struct pollfd there = { .fd = process->channel >= 0 ? process->channel : process->pidfd,
					.events = POLLIN };
		const struct timespec pause = { .tv_nsec = LOOK_EVERY * 1000000 };
		RAW(SYS_ppoll, &there, 1, &pause, 0, 0);
	}
	return true;
}

static void release(struct process *process)
{
	launch_end(process);
	close_once(&process->pidfd);
	close_once(&process->sent);
	close_once(&process->listener);
	close_once(&process->monitor_pidfd);
	if (process->report)
		munmap(process->report, process->report_size);
	process->report = NULL;
}

/* In a forked child the list is of the caller's children: of strangers. */
static void forget_those_of_others(void)
{
	if (owed_epoch != fork_generation())
		owed_list = NULL;
	owed_epoch = fork_generation();
}

void reap_owed(void)
{
	pthread_mutex_lock(&owed_lock);
	forget_those_of_others();
	for (struct owed **at = &owed_list; *at;) {
		struct owed *one = *at;
		if (has_ended(&one->process)) {
			*at = one->next;
			release(&one->process);
			free(one);
		} else {
			at = &one->next;
		}
	}
	pthread_mutex_unlock(&owed_lock);
}

/* Leaves it to be reaped later. Without memory for that it is lost, and what it shares with us stays where it is. */
static void owe(struct process *process)
{
	struct owed *one = malloc(sizeof *one);
	if (one) {
		one->process = *process;
		one->process.stamps = NULL; /* nobody will ask */
		pthread_mutex_lock(&owed_lock);
		forget_those_of_others();
		one->next = owed_list;
		owed_list = one;
		pthread_mutex_unlock(&owed_lock);
	}
	if (process->launch)
		process->stamps = NULL;
	process->launch = NULL;
	process->report = NULL;
	process->boot = NULL;
	process->pidfd = process->channel = process->sent = process->listener =
		process->monitor_pidfd = -1;
	process->reaped = true;
}

void process_let_go(struct process *process)
{
	if (!process->reaped) {
		process->unwanted = true;
		kill_now(process);
		if (!ends_in_a_moment(process))
			owe(process);
	}
	release(process);
}

bool process_detach(struct process *process)
{
	if (process->reaped || process->channel >= 0)
		return false;
	process->detached = true;
	owe(process);
	return true;
}
