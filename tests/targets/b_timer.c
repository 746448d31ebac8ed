/*
 * Makes, moves and takes away names while a signal comes each millisecond, argv[2] times each.
 *
 * argv[1] is "plain" or "restart" (SA_RESTART).  Each call has to do what it does once: a call that fails with
 * EINTR is made again, and then finds that nothing was done.  Prints what came of each kind of call, and how
 * often one was interrupted.
 */
#define _GNU_SOURCE
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

static void count(int number)
{
	signals += number > 0;
}

enum { MKDIR, OPEN, LINK, SYMLINK, RENAME, CHMOD, STAT, SETXATTR, UNLINK, UNLINK_LINK, RMDIR, KINDS };

static const char *const NAMES[KINDS] = {
	"mkdir", "open", "link", "symlink", "rename", "chmod", "stat", "setxattr", "unlink", "unlink a link", "rmdir",
};

static int make(int kind, int number)
{
	char directory[20], file[20], hard[20], soft[20], moved[20];
	struct stat status;

	snprintf(directory, sizeof(directory), "d%d", number);
	snprintf(file, sizeof(file), "f%d", number);
	snprintf(hard, sizeof(hard), "h%d", number);
	snprintf(soft, sizeof(soft), "s%d", number);
	snprintf(moved, sizeof(moved), "m%d", number);
	switch (kind) {
	case MKDIR: return mkdir(directory, 0700);
	case OPEN: return open(file, O_CREAT | O_EXCL | O_WRONLY, 0600);
	case LINK: return link(file, hard);
	case SYMLINK: return symlink(file, soft);
	case RENAME: return rename(file, moved);
	case CHMOD: return chmod(moved, 0640);
	case STAT: return stat(moved, &status) < 0 ? -1 : status.st_nlink != 2 || status.st_mode != (S_IFREG | 0640);
	case SETXATTR: return setxattr(moved, "user.once", "1", 1, XATTR_CREATE);
	case UNLINK: return number % 2 ? unlink(moved) : 0;
	case UNLINK_LINK: return number % 2 ? unlink(soft) : 0;
	default: return number % 2 ? rmdir(directory) : 0;
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = count};
	struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	long done[KINDS] = {0}, times;

	if (argc != 3)
		return 2;
	times = atol(argv[2]);
	action.sa_flags = strcmp(argv[1], "restart") == 0 ? SA_RESTART : 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int number = 0; number < times; number++)
		for (int kind = 0; kind < KINDS; kind++) {
			int result;

			while ((result = make(kind, number)) < 0 && errno == EINTR)
				interrupted++;
			if (result < 0)
				printf("%s %d: %s\n", NAMES[kind], number, strerrorname_np(errno));
			else
				done[kind] += kind == STAT ? result == 0 : 1;
			if (kind == OPEN && result > 3)
				printf("fd %d\n", result); /* of one that was given and lost */
			if (kind == OPEN && result >= 0)
				close(result);
		}
	setitimer(ITIMER_REAL, &never, NULL);
	for (int kind = 0; kind < KINDS; kind++)
		printf("%s: %ld\n", NAMES[kind], done[kind]);
	fprintf(stderr, "%ld %ld\n", signals, interrupted);
	return 0;
}
