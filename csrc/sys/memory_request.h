/* What is said between who wants to know what lies in a process's memory and the process that reads it for him
 * (csrc/runner/reader.c), over a socket that keeps messages apart. */
#ifndef CELLA_MEMORY_REQUEST_H
#define CELLA_MEMORY_REQUEST_H

#include <stddef.h>
#include <stdint.h>

enum { MOST_MEMORY = 4096 };

/* Comes with a descriptor of /proc/PID/mem. */
struct memory_request {
	uint64_t address;
	uint32_t size, is_text;
};

/* As many bytes as there are; of a text those before its NUL, if `ended`. `error` is an errno. */
struct memory_answer {
	int32_t error;
	uint32_t size, ended;
	char bytes[MOST_MEMORY];
};

#endif
