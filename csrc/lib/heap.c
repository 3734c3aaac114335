/* The heap of a program that is there for one container. */
#include "lib/lib.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __GLIBC__
/* Of the machines that raw.h knows, where a page has 4096 bytes. */
#define PAGE 4096
#define HUGE_PAGE (2UL << 20)

/* More than the free pieces that a heap has when a program has just begun. */
static const size_t ROOM = 160 << 10;

/* Of glibc (mallopt(3)). */
static const int USUAL = 128 << 10;

/* Has what is asked for next from malloc(3) lie in one huge page: what is before it is taken and never touched. True if
 * it does. False where the libc has no such heap, or its heap is not what brk(2) gives. */
static bool move_to_huge_page(void)
{
	if (sysconf(_SC_PAGESIZE) != PAGE)
		return false;
	/* What is large is to come from the heap, too, which does not give the page back for a moment, and now grows by
	 * more than is asked for. */
	mallopt(M_MMAP_THRESHOLD, 2 * HUGE_PAGE);
	mallopt(M_TRIM_THRESHOLD, 8 * HUGE_PAGE);
	mallopt(M_TOP_PAD, 2 * HUGE_PAGE);
	char *here = malloc(ROOM);
	mallopt(M_TOP_PAD, USUAL);
	uintptr_t from = (uintptr_t)here, end = (uintptr_t)sbrk(0);
	uintptr_t page = (from + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	if (here && from < end && page + HUGE_PAGE <= end && page - from >= PAGE && realloc(here, page - from - PAGE) &&
	    madvise((char *)page, HUGE_PAGE, MADV_HUGEPAGE) == 0)
		return true;
	mallopt(M_MMAP_THRESHOLD, USUAL);
	mallopt(M_TRIM_THRESHOLD, USUAL);
	return false;
}
#else
static bool move_to_huge_page(void)
{
	return false;
}
#endif

/* use_huge_page() -> boolean: whether what the process takes from malloc(3) from now on is in a huge page, where the
 * kernel has one (madvise(2), MADV_HUGEPAGE): a page fault instead of hundreds, each of which costs microseconds in
 * a virtual machine. For programs alone: it changes how the memory of the whole process is had. */
static int use_huge_page(lua_State *L)
{
	static bool done, good;
	if (!done)
		good = move_to_huge_page();
	done = true;
	lua_pushboolean(L, good);
	return 1;
}

void open_heap(lua_State *L)
{
	lua_pushcfunction(L, use_huge_page);
	lua_setfield(L, -2, "use_huge_page");
}
