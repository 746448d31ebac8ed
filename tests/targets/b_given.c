/*
 * Closes what it was given, argv[2] times, and at once does what only works if nobody else has it open.
 *
 * argv[1]: "make" a program, or write over one ("over"), and execute it, which fails with ETXTBSY while
 * anybody has it open to write; or give a "lock" up, and take it through another descriptor.  Prints how
 * often somebody had it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* What it says is missing is not looked for before the file itself is opened. */
static const char PROGRAM[] = "#!/nonexistent\n";

static int is_busy(int flags)
{
	char *const none[] = {NULL};
	int fd = open("program", O_WRONLY | O_CREAT | flags, 0755);

	if (fd < 0 || write(fd, PROGRAM, sizeof(PROGRAM) - 1) < 0 || close(fd) < 0)
		exit(3);
	execve("./program", none, none);
	if (errno != ETXTBSY && errno != ENOENT)
		exit(4);
	return errno == ETXTBSY;
}

static int is_locked(int other)
{
	int fd = open("lock", O_RDWR), locked;

	if (fd < 0 || flock(fd, LOCK_EX) < 0 || close(fd) < 0)
		exit(3);
	locked = flock(other, LOCK_EX | LOCK_NB) < 0;
	flock(other, LOCK_UN);
	return locked;
}

int main(int argc, char **argv)
{
	int other = open("lock", O_RDWR | O_CREAT, 0644), times, had = 0;

	if (argc != 3)
		return 2;
	times = atoi(argv[2]);
	for (int i = 0; i < times; i++) {
		if (strcmp(argv[1], "lock") == 0)
			had += is_locked(other);
		else
			had += is_busy(strcmp(argv[1], "make") == 0 ? O_EXCL : O_TRUNC);
		if (strcmp(argv[1], "make") == 0)
			unlink("program");
	}
	printf("%d of %d\n", had, times);
	return 0;
}
