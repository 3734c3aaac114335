/* statx(2): some versions of libc lack it, and in others its struct does not go together with the kernel's header. */
#ifndef CELLA_STATX_H
#define CELLA_STATX_H

#include "sys/raw.h"

struct kernel_statx_time {
	int64_t seconds;
	uint32_t nanoseconds;
	int32_t reserved;
};

struct kernel_statx {
	uint32_t mask; /* what of the rest the kernel has told */
	uint32_t block_size;
	uint64_t attributes;
	uint32_t links, uid, gid;
	uint16_t mode, padding;
	uint64_t inode, size, blocks, attributes_mask;
	struct kernel_statx_time accessed, born, changed, modified;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t mount_id;
	uint64_t rest[13];
};
_Static_assert(sizeof(struct kernel_statx) == 256, "the kernel writes 256 bytes");

enum { KNOW_INODE = 0x100, KNOW_BASIC = 0x7ff, KNOW_MOUNT = 0x1000 /* Linux 5.8 */ };

static inline long raw_statx(int directory, const char *path, int flags, unsigned wanted, struct kernel_statx *found)
{
	return RAW(SYS_statx, directory, path, flags, wanted, found);
}

#endif
