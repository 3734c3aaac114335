/* The caller's end of the channel to a child that performs a plan (sys/channel.h). The caller listens until the child
 * has executed its program, which closes the channel, or has ended, or waits for the caller in an `await` step. */
#include "parent/process.h"
#include "parent/boot_memory.h"
#include "lib/descriptor.h"
#include "sys/channel.h"
#include "sys/procfs.h"
#include "sys/raw.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SECOND = 1000000000 }; /* in nanoseconds */
enum { GONE = -1, UNKNOWN = 0 };

/* The parent of a process, as this one's /proc has it: UNKNOWN where that does not say, GONE where there is no such
 * process. */
static int parent_of(int pid)
{
	char text[512];
	int parent = UNKNOWN;
	long count = procfs_read_of(pid, "stat", text, sizeof text);
	if (count == -ESRCH)
		return GONE;
	if (count < 0)
		return RAW(SYS_kill, pid, 0) == -ESRCH ? GONE : UNKNOWN;
	const char *end = strrchr(text, ')'); /* of the name, which may have any characters in it */
	if (!end || sscanf(end + 1, " %*c %d", &parent) != 1)
		return GONE; /* in this moment */
	return parent;
}

int open_child(int pid, int parent, bool may_be_unknown)
{
	int pidfd = open_pidfd(pid);
	if (pidfd < 0)
		return pidfd;
	/* Looked at once it is held, and not reaped by then: else the number could be another's. */
	int found = parent_of(pid);
	bool is_child = found == parent || (found == UNKNOWN && may_be_unknown);
	if (is_child && RAW(SYS_pidfd_send_signal, pidfd, 0, 0, 0) != -ESRCH)
		return pidfd;
	close(pidfd);
	return -ESRCH;
}

static bool is_kind(char kind)
{
	return kind == MESSAGE_SUCCESSOR[0] || kind == MESSAGE_PROGRAM[0] || kind == MESSAGE_DESCRIPTOR[0] ||
	       kind == MESSAGE_AWAITING[0] || kind == MESSAGE_LISTENER[0];
}

/* Somebody inside who has got hold of the channel is not believed. The kernel vouches for the sender (unix(7)); who
 * goes on is a child of the monitor, and the process behind an init one of that. */
static bool is_expected(const struct process *process, char kind, int sender)
{
	if (kind == MESSAGE_SUCCESSOR[0] || kind == MESSAGE_PROGRAM[0]) {
		int parent = parent_of(sender);
		int wanted = kind == MESSAGE_SUCCESSOR[0] ? process->monitor_pid : process->pid;
		/* A program may have ended by now, and its init has reaped it; a monitor does not before it is told
		 * to. */
		return parent == UNKNOWN || parent == wanted || (parent == GONE && kind == MESSAGE_PROGRAM[0]);
	}
	return sender == process->pid || sender == process->program;
}

/* The child of a monitor, or where a process has handed over to another, that one: it is the child from now on, and
 * goes on when it is told to. Returns 0, or a negative errno where it is no such process. */
static int adopt(struct process *process, int pid)
{
	close_once(&process->pidfd); /* first, so that there is room for the other */
	process->pid = pid;
	int pidfd = open_child(pid, process->monitor_pid, true);
	if (pidfd == -ESRCH)
		return -EPROTO;
	if (pidfd < 0)
		process->launch->error = -pidfd;
	else
		process->pidfd = pidfd;
	if (pidfd < 0)
		RAW(SYS_kill, pid, SIGKILL); /* the monitor, whose child it is, has not reaped it */
	else if (process->unwanted)
		RAW(SYS_pidfd_send_signal, pidfd, SIGKILL, 0, 0);
	else
		channel_answer(process->channel);
	return 0;
}

/* What the kernel has put in for a message with descriptors: one is kept, and only the first that there is. */
static void keep_descriptor(int *place, const struct cmsghdr *header)
{
	const unsigned char *data = CMSG_DATA(header);
	size_t size = header->cmsg_len - (size_t)(data - (const unsigned char *)header);
	for (size_t i = 0; i + sizeof(int) <= size; i += sizeof(int)) {
		int fd;
		memcpy(&fd, data + i, sizeof fd);
		if (*place < 0)
			*place = move_up(fd, MIN_FD);
		else
			close(fd);
	}
}

/* What CMSG_NXTHDR is in musl converts signs. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
static struct cmsghdr *header_behind(struct msghdr *message, struct cmsghdr *header)
{
	return CMSG_NXTHDR(message, header);
}
#pragma GCC diagnostic pop

/* Takes a message. Returns its byte, 0 at the end of the channel, or a negative errno. */
static int receive(struct process *process)
{
	char kind = 0;
	union {
		char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control;
	struct iovec vector = { &kind, sizeof kind };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof control };
	ssize_t count = recvmsg(process->channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (count < 0)
		return errno == ECONNRESET ? 0 : -errno;
	/* At the end nobody has sent anything: an empty message comes with its sender. */
	if (count == 0)
		return message.msg_controllen ? -EPROTO : 0;
	int sender = 0;
	int *place = kind == MESSAGE_LISTENER[0] ? &process->listener : &process->sent;
	bool brought = *place >= 0;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = header_behind(&message, header)) {
		struct ucred credentials;
		if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
			keep_descriptor(place, header);
		} else if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
			sender = credentials.pid;
		}
	}
	if (!sender || !is_kind(kind) || !is_expected(process, kind, sender))
		return -EPROTO;
	if (kind == MESSAGE_DESCRIPTOR[0] || kind == MESSAGE_LISTENER[0]) {
		/* There was no room for it, or it is the second: it stays unanswered, and the program does not run. Nor
		 * does one whose filter has lost its listener: its execve(2) fails. */
		if (brought || *place < 0)
			return brought ? -EEXIST : -EMFILE;
		if (kind == MESSAGE_DESCRIPTOR[0])
			channel_answer(process->channel);
		return kind;
	}
	if (kind == MESSAGE_PROGRAM[0])
		process->program = sender;
	int result = kind == MESSAGE_SUCCESSOR[0] ? adopt(process, sender) : 0;
	return result < 0 ? result : kind;
}

/* What is left until then, or nothing. */
static struct timespec time_until(struct timespec end)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	long nanoseconds = end.tv_nsec - now.tv_nsec;
	struct timespec left = { end.tv_sec - now.tv_sec - (nanoseconds < 0),
				 nanoseconds + (nanoseconds < 0) * SECOND };
	if (left.tv_sec < 0)
		left.tv_sec = left.tv_nsec = 0;
	return left;
}

/* Waits for the next message that is a matter of the caller's. Returns MESSAGE_AWAITING, MESSAGE_LISTENER, 0, or a
 * negative errno. */
static int listen_to(struct process *process, const struct timespec *timeout)
{
	struct pollfd channel = { .fd = process->channel, .events = POLLIN };
	struct timespec end = { 0 }, left;
	if (timeout) {
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_sec += timeout->tv_sec + (end.tv_nsec + timeout->tv_nsec) / SECOND;
		end.tv_nsec = (end.tv_nsec + timeout->tv_nsec) % SECOND;
	}
	/* All of it takes no longer than that, however much is said. */
	for (int heard = 0;; heard++) {
		if (timeout)
			left = heard ? time_until(end) : *timeout;
		if (heard && timeout && !left.tv_sec && !left.tv_nsec)
			return -ETIMEDOUT;
		int ready = ppoll(&channel, 1, timeout ? &left : NULL, NULL);
		if (ready <= 0)
			return ready == 0 ? -ETIMEDOUT : -errno;
		int said = receive(process);
		if (said <= 0 || said == MESSAGE_AWAITING[0] || said == MESSAGE_LISTENER[0])
			return said;
	}
}

int launch_ready(struct process *process, const struct timespec *timeout)
{
	int said = listen_to(process, timeout);
	if (said == MESSAGE_LISTENER[0])
		return -EPROTO; /* behind the filter it awaits nobody */
	if (said != MESSAGE_AWAITING[0])
		return said;
	/* It has executed the runner, or is a copy that never had any, and may wait for long. */
	if (process->boot)
		release_boot(process->boot);
	process->boot = NULL;
	return 1;
}

int launch_wait_for_exec(struct process *process, const struct timespec *timeout)
{
	if (process->channel < 0)
		return 0;
	int result = listen_to(process, timeout);
	if (result < 0)
		return result;
	if (result == MESSAGE_LISTENER[0])
		return -EINTR; /* from here on it is to be served */
	if (result == MESSAGE_AWAITING[0])
		return -EPROTO; /* it awaits somebody who will not come */
	close_once(&process->channel);
	/* One that was killed before it could say who it is is another than the last that we know. */
	if (process->monitored)
		monitor_executed(process, process->unwanted ? 0 : process->pid);
	return 0;
}
