/* The number of a thread, as libc keeps it: fork(3) sets it anew in the child, and so has a copy that is made by
 * clone(2) to do, or what is done by that number were done to a thread of the caller's: its clock is read, its priority
 * changed (pthread_setschedparam(3)), and with musl it gets the signal of raise(3). */
#ifndef CELLA_THREAD_ID_H
#define CELLA_THREAD_ID_H

/* Where that of this thread is; NULL where it is not found. Its process may have no other threads. */
int *thread_id_place(void);

#endif
