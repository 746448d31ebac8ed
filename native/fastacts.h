/*
 * What fastacts.c and fastnames.c share: how an answer is given, and how a call is left to others.
 *
 * What it is not: for Python.
 */
#ifndef MONITOR_FASTACTS_H
#define MONITOR_FASTACTS_H

#include "shim.h"

#include <limits.h>
#include <linux/seccomp.h>

/* In the place of a result: nothing was done, and the long way is to do it. */
#define MON_LEFT LONG_MIN

/* Close what lookup holds, and another fd of ours unless it is -1. */
void mon_fast_close(struct mon_lookup *lookup);

/*
 * Answer with result, a value or -errno, or have the kernel run the call; and receive what comes
 * next.  Returns as mon_listener_exchange() does; -EINPROGRESS: it was left.
 */
int mon_fast_finish(const struct mon_lookup *lookup, long result, uint32_t flags,
		    void *notification, size_t size, int *sent);

/* Receive what comes next, with the patience of lookup. */
int mon_fast_receive(const struct mon_lookup *lookup, void *notification, size_t size);

/* Whether the thread surely has room for another fd; the id is to be looked at afterwards. */
int mon_fast_has_room(const struct mon_lookup *lookup);

/*
 * Open what was looked up, answer with an fd of the target's, and receive the next notification.
 * lookup->fd is closed.
 *
 * *number is the fd in the target, and the result that of mon_listener_receive(); or *number is
 * -errno, and nothing was answered or received.  Sleeps as mon_path_answer_open() does.
 */
int mon_fast_open(struct mon_lookup *lookup, int flags, void *notification, size_t size,
		  int *number);

/*
 * Write a struct stat of what was looked up to address, answer with 0, and receive the next.
 * lookup->fd is closed.
 *
 * *sent and the result are those of mon_listener_exchange(); or the result is -EINPROGRESS, and
 * nothing was answered or received.
 */
int mon_fast_status(struct mon_lookup *lookup, uint64_t address, void *notification, size_t size,
		    int *sent);

/* Whether the thread still waits. */
int mon_fast_waits(const struct mon_lookup *lookup);

#endif
