/* The child between clone and the exec of the runner: the only code of ours that runs in the caller's memory in another
 * process. */
#ifndef CELLA_BOOT_H
#define CELLA_BOOT_H

#include "executor/launch.h"

struct boot {
	struct launch *launch;
	int runner, plan;  /* descriptors: of the runner's file, and of that with the launch */
	int other_end;     /* the caller's, of the channel; a copy that lived on would hide the caller's end */
	bool root_keeps_all;
	const char *const *environment;
};

/* Executes the runner with the plan; never returns. */
void boot_body(void *boot);

/* Becomes the monitor of a process that was cloned already. Returns a negative errno. */
int boot_monitor(int runner, int plan, int child);

#endif
