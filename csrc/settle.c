/* The parent's end of the channel to a child that performs a plan: what it says, until it has exec'd or ended. */
#include "channel.h"
#include "process.h"
#include "procfs.h"
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The parent of a process, as this one's /proc has it; 0 where that does not say. */
static int parent_of(int pid)
{
	char path[64], text[512];
	int parent = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = procfs_open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	ssize_t count = read(fd, text, sizeof text - 1);
	close(fd);
	text[count < 0 ? 0 : count] = '\0';
	const char *end = strrchr(text, ')'); /* of the name, which may have any characters in it */
	if (!end || sscanf(end + 1, " %*c %d", &parent) != 1)
		return 0;
	return parent;
}

/* Somebody inside who has got hold of the channel is not believed. The kernel vouches for the sender (unix(7)); who goes
 * on is a child of the monitor, and the process behind an init one of that. */
static bool is_expected(const struct process *process, char kind, int sender)
{
	if (kind == I_GO_ON[0] || kind == HERE_I_AM[0]) {
		int parent = parent_of(sender), wanted = kind == I_GO_ON[0] ? process->monitor_pid : process->pid;
		return parent == 0 || parent == wanted;
	}
	return sender == process->pid || sender == process->program;
}

/* The child of a monitor, or where a process has handed over to another, that one: it is the child from now on, and goes
 * on when it is told to. */
static void adopt(struct process *process, int pid)
{
	close_once(&process->pidfd); /* first, so that there is room for the other */
	process->pid = pid;
	/* The monitor, whose child it is, has not reaped it. */
	int pidfd = open_pidfd(pid);
	if (pidfd < 0)
		process->launch->error = -pidfd;
	else
		process->pidfd = pidfd;
	if (pidfd < 0 || process->unwanted)
		RAW(SYS_kill, pid, SIGKILL);
	else
		channel_answer(process->channel);
}

/* What the kernel has put in for a message with descriptors: one is kept, and only the first that there is. */
static void keep_descriptor(struct process *process, const struct cmsghdr *header)
{
	const unsigned char *data = CMSG_DATA(header);
	size_t size = header->cmsg_len - (size_t)(data - (const unsigned char *)header);
	for (size_t i = 0; i + sizeof(int) <= size; i += sizeof(int)) {
		int fd;
		memcpy(&fd, data + i, sizeof fd);
		if (process->sent < 0)
			process->sent = move_up(fd, LOWEST_FD);
		else
			close(fd);
	}
}

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
	if (count == 0)
		return 0;
	int sender = 0;
	bool brought = process->sent >= 0;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		struct ucred credentials;
		if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
			keep_descriptor(process, header);
		} else if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
			sender = credentials.pid;
		}
	}
	if (!sender || !is_expected(process, kind, sender))
		return -EPROTO;
	if (kind == TAKE_THIS[0]) {
		/* There was no room for it, or it is the second: it stays unanswered, and the program does not run. */
		if (brought || process->sent < 0)
			return brought ? -EEXIST : -EMFILE;
		channel_answer(process->channel);
		return kind;
	}
	if (kind == HERE_I_AM[0])
		process->program = sender;
	if (kind == I_GO_ON[0])
		adopt(process, sender);
	return kind;
}

/* Waits for the next message that is a matter of the caller's. Returns AWAITING, 0, or a negative errno. */
static int listen_to(struct process *process, const struct timespec *patience)
{
	struct pollfd channel = { .fd = process->channel, .events = POLLIN };
	for (;;) {
		int ready = ppoll(&channel, 1, patience, NULL);
		if (ready <= 0)
			return ready == 0 ? -ETIMEDOUT : -errno;
		int said = receive(process);
		if (said <= 0 || said == AWAITING[0])
			return said;
	}
}

int launch_ready(struct process *process, const struct timespec *patience)
{
	int said = listen_to(process, patience);
	return said < 0 ? said : said == AWAITING[0];
}

int launch_settle(struct process *process, const struct timespec *patience)
{
	if (process->channel < 0)
		return 0;
	int result = listen_to(process, patience);
	if (result < 0)
		return result;
	if (result == AWAITING[0])
		return -EPROTO; /* it awaits somebody who will not come */
	close_once(&process->channel);
	/* One that was killed before it could say who it is is another than the last that we know. */
	if (process->monitored)
		monitor_settle(process, process->unwanted ? 0 : process->pid);
	return 0;
}
