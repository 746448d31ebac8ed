/*
 * Makes, moves and takes away names in the directory argv[1] while signals come; argv[3]: "plain" or
 * "restart" (SA_RESTART).  What fails with EINTR is called again, as programs do.  Each round leaves
 * one directory, one file, one link; a file is appended to nothing and found empty once.  There are
 * argv[2] rounds, and more until as many signals came as argv[4] says, for a minute at the most.
 *
 * A signal comes after a millisecond, each further one of the same call after twice the time: so it
 * comes to its end on a machine that needs longer than that to answer, too.  No call is made twice in
 * a row with the same arguments, pointers as they are: whoever sees that knows that it was made again.
 *
 * Prints each call that failed, how often EINTR was heard, how many signals came, and the rounds.
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
#include <time.h>
#include <unistd.h>

#define FIRST 1000 /* microseconds */
#define DOUBLINGS 9

static volatile long signals;
static volatile int of_call;
static long interrupted;

static void later(void)
{
	struct itimerval next = {{0, 0}, {0, FIRST << of_call}};

	setitimer(ITIMER_REAL, &next, NULL);
}

static void handle(int number)
{
	(void)number;
	signals++;
	if (of_call < DOUBLINGS)
		of_call++;
	later();
}

/* errno is that of the call: what follows it does not fail. */
#define TRY(call)                                                                                  \
	({                                                                                         \
		long result_;                                                                      \
		while ((result_ = (call)) < 0 && errno == EINTR)                                   \
			interrupted++;                                                             \
		if (of_call) {                                                                     \
			of_call = 0;                                                               \
			later();                                                                   \
		}                                                                                  \
		if (result_ < 0)                                                                   \
			printf("%d: %s: %s\n", round, #call, strerror(errno));                     \
		result_;                                                                           \
	})

static int entries(const char *name, int round)
{
	char buffers[2][512], *buffer = buffers[0];
	int fd = (int)TRY(open(name, O_RDONLY | O_DIRECTORY)), found = 0;
	long count;

	while ((count = TRY(getdents64(fd, buffer, sizeof(buffers[0])))) > 0) {
		for (long at = 0; at < count; at += ((struct dirent64 *)(buffer + at))->d_reclen)
			found++;
		buffer = buffers[buffer == buffers[0]];
	}
	close(fd);
	return found;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = handle};
	time_t end = time(NULL) + 60;
	int round, rounds, fd;
	long least;

	if (argc < 5 || chdir(argv[1]) < 0)
		return 2;
	rounds = atoi(argv[2]);
	least = atol(argv[4]);
	action.sa_flags = strcmp(argv[3], "restart") ? 0 : SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	later();
	for (round = 0; round < rounds || (signals < least && time(NULL) < end); round++) {
		char name[32], other[32];

		snprintf(other, sizeof(other), "directory-%d", round);
		TRY(mkdir(other, 0755));
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
	signal(SIGALRM, SIG_IGN);
	printf("%ld %ld %d\n", interrupted, signals, round);
	return 0;
}
