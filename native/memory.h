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

/* As mon_target_read_string(), without the look at the id. */
ssize_t mon_memory_string(pid_t tid, uint64_t address, char *buffer, size_t size);

/* reason, if the thread behind id still waits; -ENOENT if it does not. */
ssize_t mon_gone_or(int listener, uint64_t id, ssize_t reason);

#endif
