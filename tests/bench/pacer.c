/*
 * Calls getppid(2) RATE times a second for SECONDS, and prints how long each call took, in us, a line each.
 *
 * The times are those at which the calls are due, so that who is late is not asked less often.
 * The first WARM seconds of them are not printed: others are being started meanwhile.
 * usage: pacer RATE SECONDS WARM
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
	long rate = argc > 1 ? atol(argv[1]) : 1, count = rate * (argc > 2 ? atol(argv[2]) : 1);
	double *took = calloc((size_t)count, sizeof *took);
	/* Not all at the same moment. */
	long long due = now() + (getpid() % 97) * (1000000000LL / rate) / 97;

	for (long i = 0; i < count; i++, due += 1000000000LL / rate) {
		struct timespec then = {due / 1000000000LL, due % 1000000000LL};

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL);
		long long start = now();
		syscall(__NR_getppid);
		took[i] = (double)(now() - start) / 1e3;
	}
	for (long i = argc > 3 ? rate * atol(argv[3]) : 0; i < count; i++)
		printf("%.1f\n", took[i]);
	return 0;
}
