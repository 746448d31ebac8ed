/* Looks at /etc/passwd N times, stat(2), and prints us per look.  usage: looker
 * N */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void repeat(long calls) {
  struct stat status;

  for (long i = 0; i < calls; i++)
    syscall(__NR_newfstatat, AT_FDCWD, "/etc/passwd", &status, 0);
}

int main(int argc, char **argv) {
  long calls = argc > 1 ? atol(argv[1]) : 1;
  double start;

  repeat(calls / 10); /* warm up */
  start = now();
  repeat(calls);
  printf("%.4f\n", (now() - start) / (double)calls * 1e6);
  return 0;
}
