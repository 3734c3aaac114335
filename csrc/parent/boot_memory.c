/* See boot_memory.h. */
#include "parent/boot_memory.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

/* One that nobody uses at the moment: its pages are there already. */
static _Atomic(struct boot_memory *) spare;

static struct boot_memory *map_boot(void)
{
	struct boot_memory *memory =
		mmap(NULL, sizeof *memory, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_NORESERVE | MAP_PRIVATE, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	mprotect(memory->guard, GUARD, PROT_NONE);
	return memory;
}

struct boot_memory *take_boot(void)
{
	struct boot_memory *memory = atomic_exchange(&spare, NULL);
	if (!memory)
		memory = map_boot();
#ifdef __SANITIZE_ADDRESS__
	/* What a child before left in the sanitizer's notes about stacks at this address means nothing now. */
	if (memory)
		__asan_unpoison_memory_region(memory, sizeof *memory);
#endif
	return memory;
}

void release_boot(struct boot_memory *memory)
{
	struct boot_memory *other = atomic_exchange(&spare, memory);
	if (other)
		munmap(other, sizeof *other);
}
