/* Gives a parked child (executor/parked.c) the rest of its plan, as a launch in a file of its own, and with it the
 * descriptors that it names. */
#include "parent/launch_file.h"
#include "value/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Puts in place of each descriptor in a slot its place among those that are sent. Returns how many these are, or a
 * negative errno. */
static int number_slots(struct launch *launch, int numbers[MOST_HANDED_OVER])
{
	int count = 1; /* behind the file */
	for (uint32_t i = 0; i < launch->slot_count; i++) {
		if (launch->slots[i] < 0)
			continue;
		if (count == MOST_HANDED_OVER)
			return -E2BIG;
		numbers[count] = launch->slots[i];
		launch->slots[i] = count++;
	}
	return count;
}

/* Returns 0 or a negative errno. */
static int send_plan(int channel, const int *numbers, int count)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * MOST_HANDED_OVER)];
		struct cmsghdr header;
	} control = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	char byte = 0;
	struct iovec vector = { &byte, sizeof byte };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = (socklen_t)CMSG_SPACE(sizeof(int) * (size_t)count) };
	control.header.cmsg_len = (socklen_t)CMSG_LEN(sizeof(int) * (size_t)count);
	memcpy(CMSG_DATA(&control.header), numbers, sizeof(int) * (size_t)count);
	ssize_t result;
	do {
		result = sendmsg(channel, &message, MSG_NOSIGNAL);
	} while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

/* With the launch that is the process's already. Returns 0 or a negative errno. */
static int hand_over(lua_State *L, struct process *process, const struct outline *outline, int file)
{
	struct launch *launch = process->launch;
	int numbers[MOST_HANDED_OVER] = { file };
	fill_slots(L, 3, launch);
	launch->kept_count = 0;
	launch->min_fd = outline->highest_target + 1;
	launch->boot = BOOT_HANDED_OVER;
	int count = number_slots(launch, numbers);
	/* Who traces a process in namespaces that it has joined could get hold of the file: cut short, it would kill the
	 * caller, which reads it (mmap(2), SIGBUS). */
	if (count > 0 && fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return -errno;
	return count < 0 ? count : send_plan(process->channel, numbers, count);
}

/* process:hand_over(recorder, slots [, stamped]) -> true | nil, message, errno
 * Gives a child that has come to the `await_plan` at the end of its plan the rest of it, which it goes on with. `slots`
 * are descriptors by slot number; `stamped` is as of launch. EPIPE: the child has ended before, and nothing has come of
 * the rest. EALREADY: it has got one. */
int process_hand_over(lua_State *L)
{
	struct process *process = check_process(L);
	struct plan *plan = to_plan(L, 2);
	luaL_checktype(L, 3, LUA_TTABLE);
	bool stamped = lua_toboolean(L, 4);
	lua_settop(L, 3);
	if (plan->calls)
		return luaL_error(L, "a call is performed in a copy of the caller, which a parked process is not");
	if (process->channel < 0 || !process->launch)
		return push_error(L, "sendmsg", process->reaped ? ECHILD : EBADF);
	if (process->handed_over)
		return push_error(L, "sendmsg", EALREADY);
	struct outline outline = outline_of(plan);
	outline.stamped = stamped;
	struct process before = *process;
	int file = make_launch(process, plan, &outline, false);
	if (file < 0)
		return push_error(L, "memfd_create", -file);
	madvise(process->launch, process->launch_size, MADV_DONTFORK);
	int result = hand_over(L, process, &outline, file);
	close(file);
	if (result < 0) {
		munmap(process->launch, process->launch_size);
		*process = before;
		return push_error(L, "sendmsg", -result);
	}
	process->handed_over = true;
	release_launch(process, before.launch, before.launch_size);
	lua_pushboolean(L, true);
	return 1;
}
