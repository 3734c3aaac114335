/* The parent's end of the channel to a child that performs a plan: what it says, until it has exec'd or ended. */
#include "channel.h"
#include "exec_first.h"
#include "process.h"
#include "raw.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child of a keeper, or where a process has handed over to another, that one: it is the child from now on, and goes
 * on when it is told to. */
static void adopt(struct process *process, int pid)
{
	close_once(&process->pidfd); /* first, so that there is room for the other */
	process->pid = pid;
	/* The keeper, whose child it is, has not reaped it. */
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
	struct exec_failure data = { 0 }; /* the longest that is said */
	union {
		char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control;
	struct iovec vector = { &data, sizeof data };
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
	if (data.kind == TAKE_THIS[0]) {
		/* There was no room for it, or it is the second: it stays unanswered, and the program does not run. */
		if (brought || process->sent < 0)
			return brought ? -EEXIST : -EMFILE;
		channel_answer(process->channel);
		return data.kind;
	}
	if (!sender)
		return -EPROTO;
	if (data.kind == EXEC_FAILED[0] && count == sizeof data)
		process->launch->error = data.error;
	if (data.kind == HERE_I_AM[0])
		process->program = sender;
	if (data.kind == I_GO_ON[0])
		adopt(process, sender);
	return data.kind;
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

/* The channel is closed by exec and by death. A child that was made without an exit signal has SIGCHLD from exec on, and
 * so is one of those that __WCLONE stands for until then (wait(2)). */
static bool died_in_exec(const struct process *process)
{
	siginfo_t info = { 0 };
	if (!process->launch->executes || process->launch->error || process->keeper || process->pidfd < 0)
		return false;
	return RAW(SYS_waitid, P_PIDFD, process->pidfd, &info, WEXITED | WNOHANG | WNOWAIT | __WCLONE, 0) == 0;
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
	if (process->keeper)
		keeper_settle(process->keeper, process->unwanted ? 0 : process->pid);
	if (process->launch)
		process->launch->died = died_in_exec(process);
	return 0;
}
