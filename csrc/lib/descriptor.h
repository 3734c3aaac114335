/* Descriptors of the caller's process as numbers: where new ones go, and which are nobody else's business. */
#ifndef CELLA_DESCRIPTOR_H
#define CELLA_DESCRIPTOR_H

#include <stdbool.h>
#include <sys/types.h>

void close_once(int *fd);

/* Moves a descriptor to one from `min_fd` on and closes the first. 0, 1 and 2 are the standard streams also
 * where the caller has closed them: nothing of ours is left there. -1 and errno if there is no room. */
enum { MIN_FD = 3 };
int move_up(int fd, int min_fd);

/* Which file a descriptor is of: the caller may close a number that is not its own, and give it to another. */
struct file_identity {
	dev_t device;
	ino_t inode;
};
/* Returns 0, or a negative errno. */
int identify(int fd, struct file_identity *identity);
/* Returns 1, or 0 where it is another's or closed, or a negative errno. */
int is_of_file(int fd, const struct file_identity *identity);

/* Returns a pidfd, or a negative errno. */
int open_pidfd(int pid);

/* Descriptors that cella keeps for itself from one container to the next: to the caller their numbers are free. */
void keep_private(int fd);
void is_closed(int fd);
bool is_private(int fd);
/* All of them, in a copy of this process, by raw calls: there they are not kept, and mean nothing. */
void close_private(void);

#endif
