/*
 * Makes one call that sleeps, while signals come.  argv[1]: "read FILE", "write FILE" (opens), or
 * "truncate FILE"; argv[3]: "plain" or "restart" (SA_RESTART), or "none" (no handler); argv[4]: after
 * how many milliseconds SIGALRM comes first, 0: never; argv[5]: how often after that, 0: once only.
 *
 * Prints "sleeps" before, then what the call returned, or its errno, and whether a signal was
 * handled before it returned.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static volatile int handled;

static void handle(int number)
{
	(void)number;
	handled++;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = handle};
	struct itimerval timer = {{0, 0}, {0, 0}}, never = {{0, 0}, {0, 0}};
	int result, error, before;

	if (argc < 6)
		return 2;
	action.sa_flags = strcmp(argv[3], "restart") ? 0 : SA_RESTART;
	if (strcmp(argv[3], "none")) {
		sigaction(SIGALRM, &action, NULL);
		sigaction(SIGUSR1, &action, NULL);
	}
	timer.it_value.tv_usec = atoi(argv[4]) * 1000;
	timer.it_interval.tv_usec = atoi(argv[5]) * 1000;
	printf("sleeps\n");
	fflush(stdout);
	setitimer(ITIMER_REAL, &timer, NULL);
	if (!strcmp(argv[1], "read"))
		result = open(argv[2], O_RDONLY);
	else if (!strcmp(argv[1], "write"))
		result = open(argv[2], O_WRONLY);
	else
		result = truncate(argv[2], 3);
	error = errno;
	before = handled;
	setitimer(ITIMER_REAL, &never, NULL);
	if (result < 0)
		printf("%s, %s\n", strerror(error), before ? "handled" : "no signal");
	else
		printf("%s, %s\n", result ? "open" : "0", before ? "handled" : "no signal");
	return 0;
}
