/*
 * Ask for a directory by a name that another thread swaps all the time: q_swap NAME OTHER.  Both have one length.
 * Prints the errno of mkdir, or 0.
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char shared[4096];
static const char *names[2];
static volatile int done;

static void *swap(void *unused)
{
	(void)unused;
	for (unsigned int turn = 0; !done; turn++)
		memcpy(shared, names[turn & 1], strlen(names[0]));
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int error;

	if (argc != 3 || strlen(argv[1]) != strlen(argv[2]))
		return 2;
	names[0] = argv[1];
	names[1] = argv[2];
	strcpy(shared, names[0]);
	pthread_create(&thread, NULL, swap, NULL);
	error = mkdir(shared, 0755) ? errno : 0;
	done = 1;
	pthread_join(thread, NULL);
	printf("%d\n", error);
	return 0;
}
