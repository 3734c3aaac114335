/* A process that has performed a plan up to its command waits for the command, and gets it as the rest of the plan: as
 * a launch of its own, with the descriptors that its slots name. Raw calls only: see raw.h. */
#include "executor/sound.h"
#include "sys/channel.h"
#include "sys/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

enum { END = 2 }; /* SEEK_END */

struct launch *launch_map(int fd, size_t *mapped)
{
	long size = RAW(SYS_lseek, fd, 0, END);
	if (size < (long)sizeof(struct launch))
		return NULL;
	long address = RAW(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (address < 0 && address > -4096)
		return NULL;
	/* A crash of ours leaves no plan, nor the environment in it, in a core(5). */
	RAW(SYS_madvise, address, size, MADV_DONTDUMP);
	*mapped = (size_t)size;
	return (struct launch *)address;
}

/* What comes with the rest of a plan: its file, and the descriptors. */
struct handed_over {
	int numbers[MOST_HANDED_OVER];
	size_t count;
};

/* Sleeps until it is there. Returns 0 or a negative errno. */
static int receive(int channel, struct handed_over *got)
{
	char byte;
	union {
		char space[CMSG_SPACE(sizeof got->numbers)];
		struct cmsghdr header;
	} control;
	struct iovec vector = { &byte, sizeof byte };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof control };
	long result;
	got->count = 0;
	RAW_RETRY(result, SYS_recvmsg, channel, &message, MSG_CMSG_CLOEXEC);
	if (result == 0)
		return -ECANCELED;
	if (result < 0)
		return (int)result;
	if (message.msg_controllen < sizeof control.header || control.header.cmsg_level != SOL_SOCKET ||
	    control.header.cmsg_type != SCM_RIGHTS)
		return message.msg_flags & MSG_CTRUNC ? -EMFILE : -EPROTO;
	const int *numbers = (const void *)CMSG_DATA(&control.header);
	got->count = (control.header.cmsg_len - CMSG_LEN(0)) / sizeof *numbers;
	for (size_t i = 0; i < got->count; i++)
		got->numbers[i] = numbers[i];
	return message.msg_flags & MSG_CTRUNC ? -EMFILE : 0;
}

/* Gives a descriptor a number from `lowest` on, which nothing of the plan's has. Returns it, or a negative errno. */
static int lift(int fd, int lowest)
{
	if (fd >= lowest)
		return fd;
	int lifted = (int)RAW(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest);
	RAW(SYS_close, fd);
	return lifted;
}

/* The parent has put into each slot the place of its descriptor among those that it has sent. */
static int take_descriptors(struct launch *rest, struct handed_over *got)
{
	for (size_t i = 1; i < got->count; i++) {
		got->numbers[i] = lift(got->numbers[i], rest->min_fd);
		if (got->numbers[i] < 0)
			return got->numbers[i];
	}
	for (uint32_t i = 0; i < rest->slot_count; i++) {
		if (rest->slots[i] < 0)
			continue;
		if (rest->slots[i] == 0 || (size_t)rest->slots[i] >= got->count)
			return -EINVAL;
		rest->slots[i] = got->numbers[rest->slots[i]];
	}
	return 0;
}

static int take_plan(struct executor *executor, struct launch *rest, size_t mapped, struct handed_over *got)
{
	struct launch *before = executor->launch;
	if (!launch_is_sound(rest, mapped))
		return -EINVAL;
	int result = take_descriptors(rest, got);
	if (result < 0)
		return result;
	result = lift(before->channel, rest->min_fd);
	if (result < 0)
		return result;
	rest->channel = result;
	executor_bind(executor, rest);
	rest->boot = BOOT_OVER;
	RAW(SYS_munmap, before, before->size);
	return 0;
}

/* Gives back the memory of the steps, of which none is needed any more, but for the page that begins with the launch:
 * a process may be parked for long. */
static void forget_steps(const struct launch *launch)
{
	enum { PAGE = 4096 };
	if (launch->size > PAGE)
		RAW(SYS_madvise, (const char *)launch + PAGE, launch->size - PAGE, MADV_REMOVE);
}

/* What was sent to this process while it had no command, by a terminal to the group of its init for one, is not meant
 * for the command that it gets. Every signal is held back until just before exec. */
static void forget_signals(void)
{
	uint64_t all = UINT64_MAX, pending = 0;
	struct timespec now = { 0 };
	RAW(SYS_rt_sigpending, &pending, sizeof pending);
	while (pending && RAW(SYS_rt_sigtimedwait, &all, 0, &now, sizeof all) > 0)
		;
}

int executor_park(struct executor *executor)
{
	struct handed_over got;
	forget_steps(executor->launch);
	size_t mapped;
	int result = channel_say(executor->launch->channel, MESSAGE_AWAITING);
	if (result == 0)
		result = receive(executor->launch->channel, &got);
	if (result < 0)
		return result;
	forget_signals();
	/* From here on the parent looks into the rest for what has failed. */
	struct launch *rest = launch_map(got.numbers[0], &mapped);
	RAW(SYS_close, got.numbers[0]);
	if (!rest)
		return -ENOMEM;
	result = take_plan(executor, rest, mapped, &got);
	if (result < 0) {
		rest->error = -result;
		raw_leave(EXIT_SETUP_FAILED);
	}
	return 0;
}
