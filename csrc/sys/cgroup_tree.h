/* Ending a cgroup (cgroups(7), version 2): everything in it, then the directories. Raw system calls only, because the
 * janitor (runner/janitor.c) does it too. */
#ifndef CELLA_CGROUP_TREE_H
#define CELLA_CGROUP_TREE_H

enum { CGROUP_NAME_SIZE = 256 };

/* Sends SIGKILL to everything in the cgroup `directory` and below it. Returns 0 or a negative errno. */
int cgroup_kill(int directory);

/* Kills everything in `name` below the directory `parent`, and removes it with all that is below it, as soon as the
 * kernel lets go. Gone already is as good. Returns 0, or after `timeout` milliseconds -EBUSY, or another negative
 * errno. */
int cgroup_end(int parent, const char *name, int timeout);

#endif
