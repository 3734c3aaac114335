/* What is said between a child that performs a plan and its parent: a byte each time, in raw calls, because the child
 * has no libc. */
#ifndef CELLA_CHANNEL_H
#define CELLA_CHANNEL_H

#include "sys/raw.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

/* What the child of a monitor and a process behind a fork step say, and one behind an init step. The parent reads its
 * pid from the sender's credentials, which the kernel translates (unix(7), SCM_CREDENTIALS). */
#define I_GO_ON "g"
#define HERE_I_AM "p"

/* What comes with a descriptor for the parent (send_fd). */
#define TAKE_THIS "d"

/* And what one in an await step says. */
#define AWAITING "a"

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
