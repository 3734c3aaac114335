/* What an init says when its program has ended: runner/init.c writes it, parent/exit_status.c reads it. Both have a
 * struct rusage, and it is the same. */
#ifndef CELLA_REPORT_H
#define CELLA_REPORT_H

struct report {
	char kind; /* 'e', or 's' for a signal, or 'x' for a death before the program was executed */
	unsigned char value;
	struct rusage usage; /* of all that the init has waited for */
};

#endif
