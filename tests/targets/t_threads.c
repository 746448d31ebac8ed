/* argv[1] threads make argv[2] calls each, at once; the second argument of each call counts up from 0. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static long count;
static pthread_barrier_t everybody;

static void *work(void *unused)
{
	(void)unused;
	pthread_barrier_wait(&everybody);
	for (long i = 0; i < count; i++)
		syscall(SYS_getpriority, 0, i);
	return NULL;
}

int main(int argc, char **argv)
{
	long threads = argc > 2 ? atol(argv[1]) : 0;
	pthread_t thread[64];

	if (threads < 1 || threads > 64)
		return 2;
	count = atol(argv[2]);
	pthread_barrier_init(&everybody, NULL, (unsigned)threads);
	for (long i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, work, NULL);
	for (long i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
