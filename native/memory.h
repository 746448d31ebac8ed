/*
 * What memory.c and paths.c share: a string of a thread, and what a failed look means.
 *
 * What it is not: for Python.  A string that was read is to be believed only after mon_gone_or().
 */
#ifndef MONITOR_MEMORY_H
#define MONITOR_MEMORY_H

#include "compat.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* As mon_target_read_string(), without the look at the id; proc: O_PATH on /proc. */
ssize_t mon_memory_string(int proc, pid_t tid, uint64_t address, char *buffer, size_t size);

#define MON_DIGITS 10 /* of a number of 32 bits */

/* Write number to text in decimal, without a NUL; where it ends.  A tenth of what snprintf(3)
 * takes. */
static inline char *mon_decimal(char *text, uint32_t number)
{
	char digits[MON_DIGITS];
	int count = 0;

	do
		digits[count++] = (char)('0' + number % 10);
	while (number /= 10);
	while (count > 0)
		*text++ = digits[--count];
	return text;
}

/* reason, if the thread behind id still waits; -ENOENT if it does not. */
ssize_t mon_gone_or(int listener, uint64_t id, ssize_t reason);

#endif
