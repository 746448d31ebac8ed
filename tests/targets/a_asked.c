/*
 * Changes what it is while somebody is asked about getsid(2): a_asked HOW.
 *
 * killed: a child is killed while it waits.  leader: the first thread ends, another waits.  exec: a thread waits,
 * another executes.  vfork: a child on its parent's memory waits.  After it all the call is made once more, and
 * "got N", what it returned, is printed.  What is asked on the way has another number as its argument.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char **words;

static long asked(long number)
{
	return syscall(SYS_getsid, number, 0, 0);
}

static int last(const char *what)
{
	long got = asked(0);

	printf("%s got %ld\n", what, got < 0 ? (long)-errno : 0);
	fflush(stdout);
	return 0;
}

static void *waits(void *unused)
{
	(void)unused;
	asked(getpid());
	if (!strcmp(words[1], "leader"))
		_exit(last("sibling"));
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	pid_t child;
	char byte;

	words = argv;
	if (argc > 2)
		return last("executed");
	if (!strcmp(argv[1], "killed")) {
		child = fork();
		if (child == 0)
			_exit((int)asked(getpid()));
		(void)!read(0, &byte, 1); /* it is asked about */
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		return last("parent");
	}
	if (!strcmp(argv[1], "vfork")) {
		child = vfork();
		if (child == 0) {
			asked(getpid());
			_exit(0);
		}
		waitpid(child, NULL, 0);
		return last("parent");
	}
	pthread_create(&thread, NULL, waits, NULL);
	(void)!read(0, &byte, 1);
	if (!strcmp(argv[1], "leader"))
		pthread_exit(NULL);
	execl(argv[0], argv[0], argv[1], "again", (char *)NULL);
	return 9;
}
