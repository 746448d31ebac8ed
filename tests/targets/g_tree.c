/*
 * Grows a tree of processes that does not want to end, says "ready", and waits.
 *
 * Kinds, any number of them: daemon (double fork, own session), stopped, deaf (all signals
 * blocked and ignored), reaper (a subreaper with orphans), pidns (init of a pid namespace, with
 * children), sibling (CLONE_PARENT), untied (takes off what ties it to its parent's death).
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void stay(void)
{
	for (;;)
		pause();
}

static void orphan(void)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0)
			stay();
		_exit(0);
	}
}

static void grow(const char *kind)
{
	if (!strcmp(kind, "untied"))
		prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	if (!strcmp(kind, "daemon"))
		orphan();
	if (!strcmp(kind, "stopped") && fork() == 0)
		for (;;)
			raise(SIGSTOP);
	if (!strcmp(kind, "deaf") && fork() == 0) {
		sigset_t all;

		for (int number = 1; number < NSIG; number++)
			signal(number, SIG_IGN);
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		stay();
	}
	if (!strcmp(kind, "reaper") && fork() == 0) {
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
		for (int i = 0; i < 5; i++)
			orphan();
		stay();
	}
	if (!strcmp(kind, "pidns") && fork() == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
			_exit(1);
		if (fork() == 0)
			for (int i = 0; i < 3; i++)
				orphan();
		stay();
	}
	if (!strcmp(kind, "sibling") && syscall(SYS_clone, CLONE_PARENT, 0, 0, 0, 0) == 0)
		stay();
}

int main(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) /* argv[1] is a mark, by which a test finds the tree */
		grow(argv[i]);
	usleep(20000); /* the orphans have lost their parents by now, or will soon */
	if (write(1, "ready\n", 6) != 6)
		return 1;
	stay();
}
