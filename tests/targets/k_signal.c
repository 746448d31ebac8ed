/*
 * Asks argv[2] times while signals come.  argv[1]: "plain" or "restart" (SA_RESTART), and with
 * "timer" after it one comes every millisecond.  Prints a letter when a signal was handled, the
 * answers' sum at the end.
 */
#include "k_ask.h"
#include <signal.h>
#include <sys/time.h>

static volatile int silent;

static void handle(int number)
{
	(void)number;
	if (!silent)
		write(1, "h", 1);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = handle};
	struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	long sum = 0;

	if (!strncmp(argv[1], "restart", 7))
		action.sa_flags = SA_RESTART;
	silent = strstr(argv[1], "timer") != NULL;
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	if (silent)
		setitimer(ITIMER_REAL, &often, NULL);
	for (int i = argc > 2 ? atoi(argv[2]) : 1; i > 0; i--)
		sum += ask(NULL, i);
	setitimer(ITIMER_REAL, &never, NULL);
	printf("%ld", sum);
	return 0;
}
