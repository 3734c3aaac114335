/* What an init says when its program has ended: runner/init.c writes it, parent/exit_status.c reads it. */
#ifndef CELLA_REPORT_H
#define CELLA_REPORT_H

/* struct rusage as the kernel has it: that of musl is larger. */
struct kernel_usage {
	long of[18];
};

struct report {
	char kind; /* 'e', or 's' for a signal, or 'x' for a death before the program was executed */
	unsigned char value;
	struct kernel_usage usage; /* of all that the init has waited for */
};

#endif
