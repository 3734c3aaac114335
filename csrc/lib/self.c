/* See self.h. */
#include "lib/self.h"

#include <dirent.h>
#include <stddef.h>
#include <sys/mman.h>

int thread_count(void)
{
	DIR *directory = opendir("/proc/self/task");
	int count = 0;
	if (!directory)
		return 1;
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

unsigned call_generation;

unsigned fork_generation(void)
{
	static unsigned generation;
	/* The page is empty in a copy, whatever its pid is. */
	static volatile char *mark;
	if (!mark) {
		void *page = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
		if (page == MAP_FAILED)
			return generation;
		if (madvise(page, 1, MADV_WIPEONFORK) < 0) {
			munmap(page, 1);
			return generation;
		}
		mark = page;
		*mark = 1;
	}
	if (!*mark) {
		generation++;
		*mark = 1;
	}
	return generation;
}
