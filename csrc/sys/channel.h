/* The messages between a child that performs a plan and its parent, over a socket: a byte each, by raw calls, because
 * the child has no libc. */
#ifndef CELLA_CHANNEL_H
#define CELLA_CHANNEL_H

#include "sys/raw.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

/* From a process that performs the rest of a plan in place of another: the child of a monitor, or the process behind a
 * fork step. The parent reads its pid from the sender's credentials, which the kernel translates into the parent's pid
 * namespace (unix(7), SCM_CREDENTIALS). */
#define MESSAGE_SUCCESSOR "g"

/* From the process behind an init step, which becomes the program; with its pid likewise. */
#define MESSAGE_PROGRAM "p"

/* Comes with a descriptor for the parent (send_fd). */
#define MESSAGE_DESCRIPTOR "d"

/* From a process in an await step. */
#define MESSAGE_AWAITING "a"

/* Comes with the listener of a seccomp filter (ops/listener.c), and is not answered. */
#define MESSAGE_LISTENER "l"

/* Returns 0 or a negative errno. */
static inline int channel_say(int64_t channel, const char *what)
{
	long result;
	RAW_RETRY(result, SYS_sendto, channel, what, 1, MSG_NOSIGNAL, 0, 0);
	return result < 0 ? (int)result : 0;
}

/* The same, with a copy of a descriptor: unix(7), SCM_RIGHTS. */
static inline int channel_send(int64_t channel, const char *what, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof fd)];
		struct cmsghdr header;
	} control = {
		.header = { .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS },
	};
	*(int *)(void *)CMSG_DATA(&control.header) = fd;
	char byte = *what;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof control };
	long result;
	RAW_RETRY(result, SYS_sendmsg, channel, &message, MSG_NOSIGNAL);
	return result < 0 ? (int)result : 0;
}

/* The parent's side of all that the child waits for. */
static inline int channel_answer(int64_t channel)
{
	return channel_say(channel, "");
}

/* Sleeps until the parent answers. Returns 0 or a negative errno: ECANCELED where it gives up, or has died. */
static inline int channel_await(int64_t channel)
{
	char byte;
	long result;
	RAW_RETRY(result, SYS_read, channel, &byte, 1);
	if (result == 0)
		return -ECANCELED;
	return result < 0 ? (int)result : 0;
}

#endif
