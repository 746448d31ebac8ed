/* Asks, and then makes the directory argv[1].  SIGTERM is handled: it says so and exits with 3. */
#include "k_ask.h"
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

static char **words;

static void handle(int number)
{
	(void)number;
	write(1, "terminated", 10);
	_exit(3);
}

static void *work(void *unused)
{
	ask(NULL, 0);
	raw(SYS_mkdir, (long)words[1], 0700, 0, 0);
	exit(0);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	words = argv;
	signal(SIGTERM, handle);
	if (argc > 2) { /* from a thread that is not the leader */
		pthread_create(&thread, NULL, work, NULL);
		pthread_join(thread, NULL);
	}
	work(NULL);
}
