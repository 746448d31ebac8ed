/*
 * A library: a thread that forks its process again and again, as other people's code may at any
 * moment.  The copies count the sockets that they have, and do nothing from then on.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 4096 };

static volatile int stop;
static pthread_t thread;
static int count, copies[MOST], *sockets; /* which the copies share */

static void copy(int number)
{
	struct stat status;
	int found = 0;

	for (int fd = 0; fd < 256; fd++)
		found += fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
	sockets[number] = found;
	for (;;)
		pause();
}

static void *run(void *nothing)
{
	while (!stop && count < MOST) {
		pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); /* no atfork handlers */

		if (pid == 0)
			copy(count);
		copies[count++] = pid;
	}
	return nothing;
}

void forker_start(void)
{
	stop = count = 0;
	sockets = mmap(0, sizeof(copies), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_create(&thread, 0, run, 0);
}

/* The number of copies made; their process ids go to found, the most sockets of one to most. */
int forker_stop(int *found, int *most)
{
	stop = 1;
	pthread_join(thread, 0);
	*most = 0;
	for (int i = 0; i < count; i++) {
		found[i] = copies[i];
		if (sockets[i] > *most)
			*most = sockets[i];
	}
	munmap(sockets, sizeof(copies));
	return count;
}
