/* Reads what lies in the memory of a process, for a caller that may not wait for it: a page that is a file's of FUSE
 * comes when the file system's own program likes, and until then not even a signal ends who reads it.
 *
 * The process that the caller has started ends at once: this one is nobody's child, and holds nothing of the caller's
 * but its end of a socket, descriptor 3, by which it is asked. When the other end is closed it ends, or once it has
 * stopped waiting. */
#include "runner/reader.h"
#include "sys/memory_request.h"
#include "sys/raw.h"

#include <errno.h>
#include <linux/prctl.h>
#include <signal.h>
#include <sys/socket.h>

enum { ASKED = 3 };

/* Takes a question and the descriptor that comes with it. Returns that, or a negative errno. */
static int take(struct memory_request *request)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = { 0 };
	struct iovec data = { request, sizeof *request };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof control };
	long result;
	RAW_RETRY(result, SYS_recvmsg, ASKED, &message, MSG_CMSG_CLOEXEC);
	if (result < 0)
		return (int)result;
	if (result != sizeof *request || message.msg_controllen < CMSG_LEN(sizeof(int)) ||
	    control.header.cmsg_type != SCM_RIGHTS)
		return -ECANCELED;
	return *(int *)(void *)CMSG_DATA(&control.header);
}

static void read_memory(int fd, const struct memory_request *request, struct memory_answer *answer)
{
	answer->error = 0;
	answer->size = answer->ended = 0;
	while (answer->size < request->size && !answer->ended) {
		uint64_t from = request->address + answer->size;
		/* The page behind the end may be nobody's. */
		uint64_t most = MOST_MEMORY - from % MOST_MEMORY;
		if (most > request->size - answer->size)
			most = request->size - answer->size;
		long count;
		RAW_RETRY(count, SYS_pread64, fd, answer->bytes + answer->size, most, from);
		if (count <= 0) {
			answer->error = count < 0 && count != -EIO ? (int32_t)-count : EFAULT;
			return;
		}
		for (long i = 0; i < count && !answer->ended; i++) {
			if (request->is_text && !answer->bytes[answer->size])
				answer->ended = 1;
			else
				answer->size++;
		}
	}
}

_Noreturn void reader_main(void)
{
	static struct memory_answer answer;
	uint64_t all = ~(uint64_t)0;
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, sizeof all);
	if (RAW(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    RAW(SYS_prctl, PR_SET_NAME, "cella-reader", 0, 0, 0) < 0)
		raw_leave(1);
	RAW(SYS_close_range, 0, ASKED - 1, 0);
	RAW(SYS_close_range, ASKED + 1, UINT32_MAX, 0);
	long child = RAW(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (child != 0)
		raw_leave(child < 0 ? 3 : 0);
	for (;;) {
		struct memory_request request = { 0 };
		int fd = take(&request);
		if (fd < 0 || request.size > MOST_MEMORY)
			raw_leave(0);
		read_memory(fd, &request, &answer);
		RAW(SYS_close, fd);
		long result;
		RAW_RETRY(result, SYS_sendto, ASKED, &answer, offsetof(struct memory_answer, bytes) + answer.size,
			  MSG_NOSIGNAL, 0, 0);
		if (result < 0)
			raw_leave(0);
	}
}
