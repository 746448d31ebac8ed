/*
 * Signals arrive all the time: each file is made once, each descriptor given once.  Mode "restart":
 * with SA_RESTART, so that the kernel makes interrupted calls again.
 */
#include "attack.h"
#include <dirent.h>
#include <sys/time.h>

static volatile long signals;

static void count(int number)
{
	signals += number > 0;
}

static int descriptors(void)
{
	int found = 0;

	for (int fd = 0; fd < 1024; fd++)
		found += fcntl(fd, F_GETFD) >= 0;
	return found;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = count};
	struct itimerval timer = {{0, 300}, {0, 300}};
	char name[64];
	int before, fd;

	begin(argc, argv);
	action.sa_flags = is_mode("restart") ? SA_RESTART : 0;
	sigaction(SIGALRM, &action, NULL);
	before = descriptors();
	setitimer(ITIMER_REAL, &timer, NULL);
	for (tries = 0; tries < wanted; tries++) {
		struct stat status;

		snprintf(name, sizeof(name), "a/once-%ld", tries);
		fd = open(in_tree(name), O_WRONLY | O_CREAT | O_EXCL, 0600);
		if (fd >= 0)
			close(fd);
		else if (errno == EEXIST)
			won("made twice");
		else if (errno == EINTR && stat(in_tree(name), &status) == 0)
			won("made, and not given");
	}
	timer = (struct itimerval){0};
	setitimer(ITIMER_REAL, &timer, NULL);
	if (descriptors() != before)
		won("descriptors are left");
	if (tries >= 100 && signals < 3)
		return 5; /* it was no storm */
	return finish();
}
