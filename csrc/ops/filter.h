/* A filter of system calls as an argument: seccomp(2). */
#ifndef CELLA_FILTER_H
#define CELLA_FILTER_H

#include "ops/ops.h"

#include <errno.h>
#include <linux/filter.h>

/* The compiled program that an argument of the kind K_DATA is. Returns 0, or -EINVAL where it cannot be one. */
static inline int filter_program(const struct arg *arg, struct sock_fprog *program)
{
	size_t size = (size_t)arg->n;
	if (size == 0 || size % sizeof(struct sock_filter) != 0 || size / sizeof(struct sock_filter) > BPF_MAXINSNS)
		return -EINVAL;
	program->len = (unsigned short)(size / sizeof(struct sock_filter));
	program->filter = (struct sock_filter *)(uintptr_t)arg->p;
	return 0;
}

#endif
