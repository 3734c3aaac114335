/* The first process of a container's pid namespace: reaps orphans, hands signals on to the program, reports how the
 * program ended, and takes everything else with it when it goes.
 *
 * It is the runner, which forgets the plan, because it outlives the exec of the program that it watches. It is not
 * dumpable, so that nobody inside can trace it.
 *
 * Descriptor 3: where the status goes (csrc/executor/report.h); when nobody is left who could read it, the caller has
 * let go or died, however that happened, and everything here ends. Descriptor 4: the pipe on which the program waits until
 * this process is safe. No other is open, and every signal is blocked. */
#include "runner/init.h"
#include "sys/raw.h"

#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/signal.h>
#include <linux/signalfd.h>
#include <linux/time.h>
#include <linux/wait.h>
#include <stddef.h>

#include "executor/report.h"

enum { STATUS = 3, GATE = 4 };

/* The kernel would kill the others too, but wait for none, and what they used would be lost. One that this process may
 * not kill is left to the kernel, after a time in which nothing happens. */
static void end_others(void)
{
	uint64_t child_ended = (uint64_t)1 << (SIGCHLD - 1);
	struct __kernel_timespec timeout = { .tv_nsec = 500000000 };
	RAW(SYS_kill, -1, SIGKILL);
	for (;;) {
		long pid = RAW(SYS_wait4, -1, 0, WNOHANG | __WALL, 0);
		if (pid < 0)
			return; /* there is none */
		if (pid == 0 && RAW(SYS_rt_sigtimedwait, &child_ended, 0, &timeout, sizeof child_ended) < 0)
			return;
	}
}

/* Reaps whoever has ended; when that is the program, so does everything. */
static void reap(int program)
{
	int status;
	long pid;
	while ((pid = RAW(SYS_wait4, -1, &status, WNOHANG, 0)) > 0) {
		if (pid != program)
			continue;
		int signal = status & 0x7f, code = status >> 8 & 0xff;
		struct report report;
		report.kind = signal ? 's' : 'e';
		report.value = (unsigned char)(signal ? signal : code);
		end_others();
		RAW(SYS_getrusage, RUSAGE_CHILDREN, &report.usage);
		RAW(SYS_write, STATUS, &report, sizeof report);
		raw_leave(signal ? 128 + signal : code);
	}
}

/* A program that has not been executed yet has no exit signal, and is one of those that __WCLONE stands for
 * (wait(2)): it has died in the last step of its set-up. */
static void reap_unexecuted(int program)
{
	int status;
	if (RAW(SYS_wait4, program, &status, WNOHANG | __WCLONE, 0) != program)
		return;
	struct report report;
	report.kind = 'x';
	report.value = (unsigned char)(status & 0x7f);
	end_others();
	RAW(SYS_getrusage, RUSAGE_CHILDREN, &report.usage);
	RAW(SYS_write, STATUS, &report, sizeof report);
	raw_leave(EXIT_SETUP_FAILED);
}

/* What a terminal says is for the whole group, as if it were the program's own terminal. A stop is made one that
 * nobody can miss: without a terminal the kernel would not honour the other. */
static void hand_on(int program, int signal)
{
	if (signal == SIGTSTP)
		signal = SIGSTOP;
	int group = signal == SIGINT || signal == SIGQUIT || signal == SIGHUP || signal == SIGWINCH ||
		    signal == SIGSTOP || signal == SIGCONT;
	if (!group || RAW(SYS_kill, -program, signal) < 0)
		RAW(SYS_kill, program, signal);
}

_Noreturn void init_main(int program, int detached, const int *shared, void (*forget)(void))
{
	struct kernel_sigaction usual = { 0 };
	/* Ignored, it would tell of nobody's end. */
	if (RAW(SYS_rt_sigaction, SIGCHLD, &usual, 0, sizeof usual.mask) < 0 ||
	    RAW(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    RAW(SYS_prctl, PR_SET_NAME, "cella-init", 0, 0, 0) < 0 || RAW(SYS_write, GATE, "", 1) != 1)
		raw_leave(EXIT_SETUP_FAILED);
	RAW(SYS_close, GATE);
	uint64_t all = ~(uint64_t)0;
	int signals = (int)RAW(SYS_signalfd4, -1, &all, sizeof all, 0);
	if (signals < 0)
		raw_leave(EXIT_SETUP_FAILED);
	/* The kernel always tells of a pipe without a reader. */
	struct pollfd fds[] = { { .fd = signals, .events = POLLIN },
				{ .fd = detached ? -1 : STATUS },
				{ .fd = (int)RAW(SYS_pidfd_open, program, 0), .events = POLLIN } };
	/* Nothing tells of that exec but the word in memory: it is looked at soon, and then less and less often. */
	struct __kernel_timespec pause = { .tv_nsec = 1000000 };
	for (;;) {
		struct signalfd_siginfo signal;
		struct __kernel_timespec now = pause;
		RAW(SYS_ppoll, fds, 3, forget ? &now : NULL, 0, 0);
		if (fds[1].revents)
			raw_leave(128 + SIGKILL);
		if (forget && !__atomic_load_n(shared, __ATOMIC_SEQ_CST)) {
			forget();
			forget = NULL;
		} else if (forget && pause.tv_nsec < 500000000) {
			pause.tv_nsec *= 2;
		}
		if (fds[2].revents) {
			/* Where no signal tells of it; of any other end there is one. */
			fds[2].fd = -1;
			reap_unexecuted(program);
		}
		if (!(fds[0].revents & POLLIN) || RAW(SYS_read, signals, &signal, sizeof signal) != sizeof signal)
			continue;
		if (signal.ssi_signo == SIGCHLD)
			reap(program);
		else
			hand_on(program, (int)signal.ssi_signo);
	}
}
