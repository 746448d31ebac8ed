/*
 * What is made under another umask than ours: asked for here, done by a thread that has one.
 *
 * What it is not: for Python, which owns the thread (monitor/_native/runner.py).
 */
#ifndef MONITOR_RUNNER_H
#define MONITOR_RUNNER_H

#include "shim.h"

#define MON_ERRAND_OPEN  1
#define MON_ERRAND_MKDIR 2

/* One thing to make: name in the directory, under the umask. */
struct mon_errand {
	int what; /* MON_ERRAND_* */
	int directory;
	const char *name;
	int flags; /* of openat(2) */
	unsigned int mode;
	unsigned int umask;
};

/*
 * Have the thread of runner do it, and wait for that: 0 or a new fd, or -errno.
 *
 * -ENOTRECOVERABLE: there is no such thread, and nothing was done.  One asks at a time.
 */
int mon_runner_do(struct mon_runner *runner, const struct mon_errand *errand);

#endif
