/* Opens and looks at argv[1] once in a millisecond, for argv[2] milliseconds; prints the longest
 * that one took, in ms. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1000 + (double)time.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	double longest = 0, begin = now(), before, took;
	struct stat status;
	int fd;

	while (argc == 3 && (before = now()) < begin + atof(argv[2])) {
		fd = open(argv[1], O_RDONLY);
		if (fd < 0 || stat(argv[1], &status) < 0 || close(fd) < 0)
			return 1;
		took = now() - before;
		longest = took > longest ? took : longest;
		usleep(1000);
	}
	printf("%.1f\n", longest);
	return 0;
}
