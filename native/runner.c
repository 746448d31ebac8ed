/*
 * A thread with a umask of its own makes files for one that has none.
 *
 * What it is: the loop of that thread, and the way to ask it.  What it is not: the thread, which
 * Python starts and ends.  Nothing of Python runs between a question and its answer: so that the
 * one costs two wake-ups, and no turn of the interpreter.
 *
 * One word says whose turn it is, and is waited for by futex(2).
 */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum turn {
	NOBODYS = 0, /* the thread has not started, or has ended */
	OURS,        /* it waits for something to do */
	ITS,         /* it does it */
	END,         /* it is to end */
};

static uint32_t turn_of(struct mon_runner *runner)
{
	return __atomic_load_n(&runner->turn, __ATOMIC_ACQUIRE);
}

static void give_turn(struct mon_runner *runner, uint32_t turn)
{
	__atomic_store_n(&runner->turn, turn, __ATOMIC_RELEASE);
	syscall(__NR_futex, &runner->turn, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Sleep while it is that turn; whose it is then. */
static uint32_t wait_while(struct mon_runner *runner, uint32_t turn)
{
	uint32_t now;

	while ((now = turn_of(runner)) == turn)
		syscall(__NR_futex, &runner->turn, FUTEX_WAIT_PRIVATE, turn, NULL, NULL, 0);
	return now;
}

static int run(const struct mon_errand *errand)
{
	long result;

	(void)umask((mode_t)errand->umask);
	if (errand->what == MON_ERRAND_MKDIR)
		result = syscall(__NR_mkdirat, errand->directory, errand->name, errand->mode);
	else
		result = syscall(__NR_openat, errand->directory, errand->name, errand->flags,
				 errand->mode);
	return result < 0 ? -errno : (int)result;
}

int mon_runner_serve(struct mon_runner *runner)
{
	uint32_t nobodys = NOBODYS;

	if (unshare(CLONE_FS) < 0)
		return -errno;
	/* It may have been told to end before it began. */
	if (__atomic_compare_exchange_n(&runner->turn, &nobodys, OURS, 0, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		while (wait_while(runner, OURS) == ITS) {
			runner->result = run(runner->errand);
			give_turn(runner, OURS);
		}
	__atomic_store_n(&runner->turn, NOBODYS, __ATOMIC_RELEASE);
	return 0;
}

void mon_runner_end(struct mon_runner *runner)
{
	give_turn(runner, END);
}

int mon_runner_do(struct mon_runner *runner, const struct mon_errand *errand)
{
	if (turn_of(runner) != OURS)
		return -ENOTRECOVERABLE;
	runner->errand = errand;
	give_turn(runner, ITS);
	(void)wait_while(runner, ITS);
	return runner->result;
}
