/* The capabilities of a process across the exec of the runner: without help that exec would take them from it, or, from
 * root, give it more than it had (capabilities(7), "Transformation of capabilities during execve()"). */
#ifndef CELLA_CREDENTIALS_H
#define CELLA_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

/* Those of the child when it was cloned. */
struct credentials {
	uint64_t effective, permitted, inheritable, ambient;
	bool keep_caps;
};

/* The three sets of this process as masks (capget(2), capset(2)): of `sets` nothing else is read or written. Each
 * returns 0 or a negative errno. */
int get_sets(struct credentials *sets);
int set_sets(uint64_t effective, uint64_t permitted, uint64_t inheritable);

/* Why this process could not go through that exec and be as it was; NULL where it can. `namespaces` are those that the
 * child is born into. */
const char *credentials_refusal(uint64_t namespaces);

/* Before it: notes what there is, and makes all that is permitted inheritable and ambient. Returns 0 or a negative
 * errno. */
int credentials_keep(struct credentials *credentials, bool root_keeps_all);

/* After it: makes them what they were, and reads them back. Returns 0, a negative errno, or -ENOTRECOVERABLE. */
int credentials_restore(const struct credentials *credentials);

/* Whether exec gives a process with the user ID that this one has every capability in its bounding set. */
bool credentials_root(void);

#endif
