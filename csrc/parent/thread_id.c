/* See thread_id.h. The kernel knows of an address (PR_GET_TID_ADDRESS), but it is that of the number in glibc before 2.43
 * alone: later ones and musl have something else cleared there, in which the same number may stand by chance. So libc is
 * asked: the clock of a thread has its number (pthread_getcpuclockid(3)), and follows if that is changed. */
#include "parent/thread_id.h"
#include "sys/raw.h"

#include <linux/prctl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* Before glibc 2.34 it is in libpthread, which not every program has; there the address that the kernel knows is it. */
#pragma weak pthread_getcpuclockid

/* How far to look: no further than what libc has there goes, in every version. */
#ifdef __GLIBC__
enum { ROOM = 1024 };
#else
enum { ROOM = 128 };
#endif

static int *place_by_kernel(int number)
{
	int *place = NULL;
	if (RAW(SYS_prctl, PR_GET_TID_ADDRESS, &place, 0, 0, 0) < 0 || !place || *place != number)
		return NULL;
	return place;
}

static bool is_place(volatile int *place, int number)
{
	clockid_t before, after;
	if (*place != number || pthread_getcpuclockid(pthread_self(), &before) != 0)
		return false;
	*place = number + 1;
	bool follows = pthread_getcpuclockid(pthread_self(), &after) == 0 && after != before;
	*place = number;
	return follows;
}

int *thread_id_place(void)
{
	static size_t known;
	char *self = (char *)(uintptr_t)pthread_self();
	int number = (int)RAW(SYS_gettid);
	int *found = NULL;
	if (!pthread_getcpuclockid)
		return place_by_kernel(number);
	/* No handler sees the number change. */
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	for (size_t offset = known; !found && offset < ROOM; offset += sizeof(int)) {
		int *place = (int *)(void *)(self + offset);
		if (is_place(place, number)) {
			known = offset;
			found = place;
		}
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return found;
}
