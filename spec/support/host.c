/* What a Lua program that uses cella may have in its process, for specs to load: each function is a
 * lua_CFunction without arguments or results, so that package.loadlib suffices and no Lua header is needed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FUNCTION __attribute__((visibility("default"))) int

static void *sleeper(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

/* A second thread, which does nothing. */
FUNCTION start_thread(void *L)
{
	(void)L;
	pthread_t thread;
	return pthread_create(&thread, NULL, sleeper, NULL) ? -1 : 0;
}

/* SIGTERM for who is known to libc by the right number, of which the clock of a thread is made (clock_getres(2)). */
FUNCTION end_if_known(void *L)
{
	(void)L;
	clockid_t clock;
	if (pthread_getcpuclockid(pthread_self(), &clock) == 0 && ~(clock >> 3) == gettid())
		raise(SIGTERM);
	return 0;
}

static void handler(void)
{
	if (write(2, "handler\n", 8) != 8)
		abort();
}

/* Something that a library wants done at the end of the process. */
FUNCTION at_exit(void *L)
{
	(void)L;
	return atexit(handler) ? -1 : 0;
}

/* SIGCHLD is not ignored, and still no child leaves a status. */
FUNCTION set_nocldwait(void *L)
{
	(void)L;
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = SIG_DFL;
	action.sa_flags = SA_NOCLDWAIT;
	sigaction(SIGCHLD, &action, NULL);
	return 0;
}

/* Another library's event loop: takes the status of whichever child has ended. */
FUNCTION reap_anything(void *L)
{
	(void)L;
	while (waitpid(-1, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static pid_t computing;

static void *fork_computing(void *unused)
{
	computing = fork();
	if (computing == 0) {
		alarm(60); /* whatever becomes of the spec */
		for (;;)
			;
	}
	return sleeper(unused);
}

/* A second thread, which has a child that computes. */
FUNCTION fork_in_thread(void *L)
{
	(void)L;
	pthread_t thread;
	return pthread_create(&thread, NULL, fork_computing, NULL) ? -1 : 0;
}

FUNCTION end_fork(void *L)
{
	(void)L;
	kill(computing, SIGKILL);
	waitpid(computing, NULL, 0);
	return 0;
}

/* From here on the kernel reaps whichever child ends. */
FUNCTION ignore_children(void *L)
{
	(void)L;
	signal(SIGCHLD, SIG_IGN);
	return 0;
}

FUNCTION default_children(void *L)
{
	(void)L;
	signal(SIGCHLD, SIG_DFL);
	return 0;
}

/* SIGPIPE is blocked in this thread, and one is there. */
FUNCTION raise_blocked_pipe(void *L)
{
	(void)L;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return pthread_kill(pthread_self(), SIGPIPE) ? -1 : 0;
}

static volatile sig_atomic_t caught;

static void count(int number)
{
	(void)number;
	caught++;
}

static void reap_all(int number)
{
	(void)number;
	int error = errno;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = error;
}

/* A handler that reaps whatever ends, when it ends. */
FUNCTION reap_in_handler(void *L)
{
	(void)L;
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = reap_all;
	sigaction(SIGCHLD, &action, NULL);
	return 0;
}

/* Handlers for three signals, without SA_RESTART. */
FUNCTION install_handlers(void *L)
{
	(void)L;
	static const int numbers[] = { SIGUSR1, SIGCHLD, SIGALRM };
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = count;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaction(numbers[i], &action, NULL);
	return 0;
}

/* A signal every millisecond, for whatever sleeps. */
FUNCTION start_timer(void *L)
{
	(void)L;
	struct itimerspec each = { { 0, 1000000 }, { 0, 1000000 } };
	struct sigevent event;
	timer_t timer;
	memset(&event, 0, sizeof event);
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = SIGALRM;
	return timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &each, NULL) ? -1 : 0;
}

/* Each write to the standard output arrives by itself (pipe(7), O_DIRECT). */
FUNCTION packet_output(void *L)
{
	(void)L;
	return fcntl(1, F_SETFL, O_DIRECT | O_WRONLY) < 0 ? -1 : 0;
}

/* Another library's fork(2): the copy goes on with everything that its parent has; the parent waits for it. */
FUNCTION fork_now(void *L)
{
	(void)L;
	pid_t pid = fork();
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return 0;
}

/* The same, where the copy does nothing any more but stay, and holds on to what it has, but for the streams that a
 * spec waits for. */
FUNCTION leave_copy(void *L)
{
	(void)L;
	if (fork() == 0) {
		for (int fd = 0; fd < 3; fd++)
			close(fd);
		sleeper(NULL);
	}
	return 0;
}
