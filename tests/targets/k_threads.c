/* A thread that is not the leader asks; with an argument, after the leader has exited. */
#include "k_ask.h"
#include <pthread.h>

static pthread_t leader;
static int leader_exits;

static void *other(void *unused)
{
	char text[32] = "of the other thread";

	(void)unused;
	if (leader_exits)
		pthread_join(leader, NULL);
	exit(ask(text, syscall(SYS_gettid)) == 5 ? 0 : 1);
}

int main(int argc, char **argv)
{
	pthread_t thread;

	(void)argv;
	leader = pthread_self();
	leader_exits = argc > 1;
	pthread_create(&thread, NULL, other, NULL);
	if (leader_exits)
		pthread_exit(NULL);
	pthread_join(thread, NULL);
}
