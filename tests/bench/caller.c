/* Calls getppid(2) N times and prints us per call.  usage: caller N */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	long calls = argc > 1 ? atol(argv[1]) : 1;
	double start;

	for (long i = 0; i < calls / 10; i++) /* warm up */
		syscall(__NR_getppid);
	start = now();
	for (long i = 0; i < calls; i++)
		syscall(__NR_getppid);
	printf("%.4f\n", (now() - start) / (double)calls * 1e6);
	return 0;
}
