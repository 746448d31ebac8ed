/*
 * Makes, moves and takes away names in the directory argv[1], argv[2] rounds, while a signal comes
 * each millisecond; argv[3]: "plain" or "restart" (SA_RESTART).  What fails with EINTR is called
 * again, as programs do.  Each round leaves one directory, one file, one link; a file is appended to
 * nothing and found empty once.
 *
 * Prints each call that failed, how often EINTR was heard, and how many signals came.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

static volatile long signals;
static long interrupted;

static void handle(int number)
{
	(void)number;
	signals++;
}

#define TRY(call)                                                                                  \
	({                                                                                         \
		long result_;                                                                      \
		while ((result_ = (call)) < 0 && errno == EINTR)                                   \
			interrupted++;                                                             \
		if (result_ < 0)                                                                   \
			printf("%d: %s: %s\n", round, #call, strerror(errno));                     \
		result_;                                                                           \
	})

static int entries(const char *name, int round)
{
	char buffer[512];
	int fd = (int)TRY(open(name, O_RDONLY | O_DIRECTORY)), found = 0;
	long count;

	while ((count = TRY(getdents64(fd, buffer, sizeof(buffer)))) > 0)
		for (long at = 0; at < count; at += ((struct dirent64 *)(buffer + at))->d_reclen)
			found++;
	close(fd);
	return found;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = handle};
	struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	int rounds, fd;

	if (argc < 4 || chdir(argv[1]) < 0)
		return 2;
	rounds = atoi(argv[2]);
	action.sa_flags = strcmp(argv[3], "restart") ? 0 : SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int round = 0; round < rounds; round++) {
		char name[32], other[32];

		snprintf(name, sizeof(name), "directory-%d", round);
		TRY(mkdir(name, 0755));
		snprintf(name, sizeof(name), "gone-%d", round);
		TRY(mkdir(name, 0755));
		TRY(rmdir(name));
		fd = (int)TRY(open(name, O_WRONLY | O_CREAT | O_EXCL, 0600));
		if (fd >= 0 && write(fd, "once", 4) != 4)
			printf("%d: write\n", round);
		close(fd);
		snprintf(other, sizeof(other), "file-%d", round);
		TRY(rename(name, other));
		TRY(truncate(other, 2));
		snprintf(name, sizeof(name), "link-%d", round);
		TRY(link(other, name));
		snprintf(other, sizeof(other), "symlink-%d", round);
		TRY(symlink("text", other));
		TRY(unlink(other));
		TRY(mkfifo(other, 0600));
		TRY(unlink(other));
		if (round % 16 == 0)
			TRY(entries(".", round) == 2 + 3 * (round + 1) ? 0 : (errno = ERANGE, -1));
	}
	setitimer(ITIMER_REAL, &never, NULL);
	printf("%ld %ld\n", interrupted, signals);
	return 0;
}
