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

/* Returns 0 or a negative errno. */
static inline int channel_say(int64_t channel, const char *what)
{
	long result;
	RAW_RETRY(result, SYS_sendto, channel, what, 1, MSG_NOSIGNAL, 0, 0);
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
