/*
 * A library: a thread that forks its process again and again, as other people's code may at any
 * moment.  The copies do nothing, but have whatever fds were open.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 4096 };

static volatile int stop;
static pthread_t thread;
static int count, copies[MOST];

static void *run(void *nothing)
{
	while (!stop && count < MOST) {
		pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); /* no atfork handlers */

		if (pid == 0)
			for (;;)
				pause();
		copies[count++] = pid;
	}
	return nothing;
}

void forker_start(void)
{
	stop = count = 0;
	pthread_create(&thread, 0, run, 0);
}

/* The number of copies made; their process ids go to found. */
int forker_stop(int *found)
{
	stop = 1;
	pthread_join(thread, 0);
	for (int i = 0; i < count; i++)
		found[i] = copies[i];
	return count;
}
