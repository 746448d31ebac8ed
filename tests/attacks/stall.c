/*
 * Eight threads are in opens that do not end: of a FIFO without a writer, of a file on which an
 * accomplice has a lease.  Other calls are answered meanwhile; one that takes a second is a success
 * of the attack.  The accomplice lets them go after two.
 */
#include "attack.h"
#include <time.h>

static void *wait_there(void *path)
{
	for (;;) {
		int fd = open(path, O_RDWR | (is_mode("fifo") ? 0 : O_APPEND));

		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

static void *wait_for_writer(void *path)
{
	int fd = open(path, O_RDONLY);

	if (fd >= 0)
		close(fd);
	return NULL;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void accomplice(void)
{
	int fd;

	if (is_mode("lease")) {
		signal(SIGIO, SIG_IGN);
		fd = open(in_tree("a/leased"), O_RDONLY);
		(void)fcntl(fd, F_SETLEASE, F_RDLCK);
		sleep(3);
		(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	} else {
		sleep(3);
		for (;;) {
			fd = open(in_tree("a/fifo"), O_RDWR | O_NONBLOCK);
			usleep(20000);
			close(fd);
		}
	}
	pause();
}

int main(int argc, char **argv)
{
	const char *file;
	char *stalled;

	begin(argc, argv);
	if (argc > 4)
		accomplice();
	usleep(300000); /* the accomplice is there */
	stalled = strdup(in_tree(is_mode("fifo") ? "a/fifo" : "a/leased"));
	file = strdup(in_tree("a/file"));
	for (int i = 0; i < 8; i++)
		start(is_mode("fifo") ? wait_for_writer : wait_there, stalled);
	usleep(100000);
	for (tries = 0; tries < wanted; tries++) {
		double before = now();
		int fd = open(file, O_RDONLY);

		if (now() - before > 1)
			won("stalled");
		if (fd >= 0)
			close(fd);
	}
	return finish();
}
