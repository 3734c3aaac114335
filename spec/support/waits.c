/* A program that lies in wait for who reads its memory: waits PATH [mute]. It is the file system that a page of it comes from
 * (FUSE), and never sends it. A child of it gives that page to the kernel as a path; then it opens PATH for writing. It
 * has read it before: beside such a file system the caller knows what the kernel remembers, and nothing else.
 *
 * With `mute` it lies in wait for who looks at its files in place of that: it never says what there is by the name
 * "never", nor how large the file system is; children of it open that, and a file for writing. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int mute;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void reply(int device, const struct fuse_in_header *in, int error, const void *data, size_t size)
{
	char buffer[512];
	struct fuse_out_header out = { .len = (uint32_t)(sizeof out + size), .error = error, .unique = in->unique };
	memcpy(buffer, &out, sizeof out);
	if (size)
		memcpy(buffer + sizeof out, data, size);
	if (write(device, buffer, out.len) < 0)
		_exit(2);
}

static struct fuse_attr attributes(uint64_t node)
{
	struct fuse_attr attr = { .ino = node, .nlink = 1, .blksize = 4096 };
	attr.mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0444;
	attr.size = node == 1 ? 0 : 4096;
	return attr;
}

/* Says what it read is about, once it waits for that. */
static void serve(int device, int asked)
{
	static char buffer[1 << 20];
	for (;;) {
		ssize_t size = read(device, buffer, sizeof buffer);
		if (size < 0)
			_exit(0);
		const struct fuse_in_header *in = (void *)buffer;
		struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096 };
		struct fuse_entry_out entry = { .nodeid = 2, .attr_valid = 1000, .entry_valid = 1000, .attr = attributes(2) };
		struct fuse_attr_out attr = { .attr_valid = 1000, .attr = attributes(in->nodeid) };
		struct fuse_open_out opened = { 0 };
		switch (in->opcode) {
		case FUSE_INIT: reply(device, in, 0, &init, sizeof init); break;
		case FUSE_STATFS:
			if (!mute)
				reply(device, in, -ENOSYS, NULL, 0);
			break;
		case FUSE_LOOKUP:
			if (mute && strcmp((const char *)(in + 1), "never") == 0) {
				if (write(asked, "r", 1) < 0)
					_exit(2);
				break;
			}
			reply(device, in, 0, &entry, sizeof entry);
			break;
		case FUSE_GETATTR: reply(device, in, 0, &attr, sizeof attr); break;
		case FUSE_OPEN: reply(device, in, 0, &opened, sizeof opened); break;
		case FUSE_READ:
			if (write(asked, "r", 1) < 0)
				_exit(2);
			break;
		case FUSE_INTERRUPT:
		case FUSE_FORGET: break;
		default: reply(device, in, -ENOSYS, NULL, 0);
		}
	}
}

int main(int count, char **argv)
{
	char options[128];
	int device = open("/dev/fuse", O_RDWR | O_CLOEXEC), asked[2];
	mute = count == 3 && strcmp(argv[2], "mute") == 0;
	if (count != 2 + mute || device < 0 || pipe(asked) < 0)
		die("/dev/fuse");
	if (open(argv[1], O_RDONLY | O_CLOEXEC) < 0)
		die(argv[1]);
	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	if (mount("waits", "/var/tmp", "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		die("mount");
	if (fork() == 0)
		serve(device, asked[1]);
	close(device); /* or the file system would outlive its server, and nobody be killed who waits for it */
	int file = open("/var/tmp/f", O_RDONLY);
	const char *page = file < 0 ? NULL : mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
	if (!page || page == MAP_FAILED)
		die("/var/tmp/f");
	if (mute && fork() == 0) {
		syscall(SYS_openat, AT_FDCWD, "/var/tmp/f", O_WRONLY);
		_exit(0);
	}
	if (mute)
		wait(NULL);
	if (fork() == 0) {
		syscall(SYS_openat, AT_FDCWD, mute ? "/var/tmp/never" : page, O_RDONLY);
		_exit(0);
	}
	char byte;
	if (read(asked[0], &byte, 1) != 1)
		die("pipe");
	syscall(SYS_openat, AT_FDCWD, argv[1], O_WRONLY);
	puts("over");
	fflush(stdout);
	kill(-1, SIGKILL);
	return 0;
}
