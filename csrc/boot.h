/* The child between clone and the exec of the runner: the only code of ours that runs in the caller's memory in another
 * process. */
#ifndef CELLA_BOOT_H
#define CELLA_BOOT_H

#include "launch.h"

/* How far it has come. What fails is named by it. */
enum boot_stage { BOOT_CLONE, BOOT_KEEP_FDS, BOOT_CREDENTIALS, BOOT_EXEC, BOOT_OVER };

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
