/* What the kernel says of the calling thread in proc_pid_status(5): in one text what else takes a call for each
 * capability or signal. Safe between clone and exec. */
#ifndef CELLA_STATUS_H
#define CELLA_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STATUS_ROOM = 4096 };

/* Reads it as a string, for proofs: nobody can have put another file in its place, not even who may mount something in
 * this mount namespace. Returns its length, or a negative errno where /proc is not there, or is not the kernel's. */
long status_read(char *text, size_t room);

/* The hexadecimal number behind a label: "SigIgn". Returns whether it is there. */
bool status_mask(const char *text, const char *label, uint64_t *mask);

#endif
