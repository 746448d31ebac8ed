/*
 * Changes its umask and its directory between two calls, and from another thread during them.
 *
 * What is made has to have the one or the other umask, and to lie in the one or the other directory:
 * "a" or "b", which are made first.  Prints where, and with which mode.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int over;
static int a, b;

static void tell(const char *name)
{
	struct stat status;

	if (fstatat(a, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		printf("a/%s %o\n", name, status.st_mode);
	if (fstatat(b, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		printf("b/%s %o\n", name, status.st_mode);
}

static void make(const char *what)
{
	char name[40];
	int fd;

	snprintf(name, sizeof(name), "%s-directory", what);
	if (mkdir(name, 0777) < 0)
		printf("mkdir %s\n", strerrorname_np(errno));
	tell(name);
	snprintf(name, sizeof(name), "%s-fifo", what);
	if (mknod(name, S_IFIFO | 0666, 0) < 0)
		printf("mknod %s\n", strerrorname_np(errno));
	tell(name);
	snprintf(name, sizeof(name), "%s-file", what);
	fd = open(name, O_CREAT | O_WRONLY, 0666);
	if (fd < 0)
		printf("open %s\n", strerrorname_np(errno));
	close(fd);
	tell(name);
}

static int set(void *to_b)
{
	umask(to_b ? 0077 : 0002);
	return fchdir(to_b ? b : a);
}

static void *set_once(void *to_b)
{
	return (void *)(long)set(to_b);
}

static void in_thread(void *to_b)
{
	pthread_t thread;

	pthread_create(&thread, NULL, set_once, to_b);
	pthread_join(thread, NULL);
}

/* A thread that no longer shares them. */
static void *set_own(void *to_b)
{
	if (unshare(CLONE_FS) < 0)
		printf("unshare %s\n", strerrorname_np(errno));
	set(to_b);
	make("own");
	return NULL;
}

/* A process that shares them, and one that does not. */
static void in_process(int shares, void *to_b)
{
	static char stack[65536];
	int child = clone(set, stack + sizeof(stack), shares | SIGCHLD, to_b);

	waitpid(child, NULL, 0);
}

static void *flip(void *unused)
{
	for (long turn = 0; !over; turn++) {
		umask(turn % 2 ? 0077 : 0002);
		if (chdir(turn % 2 ? "../b" : "../a") < 0)
			printf("chdir %s\n", strerrorname_np(errno));
	}
	return unused;
}

/* Each is made once, in one of the two. */
static void race(int times)
{
	long in_a = 0, in_b = 0, both = 0, other_mode = 0;
	pthread_t thread;

	pthread_create(&thread, NULL, flip, NULL);
	for (int number = 0; number < times; number++) {
		char name[40];
		int fd;

		snprintf(name, sizeof(name), "%d", number);
		if (number % 2 == 0 && mkdir(name, 0777) < 0)
			printf("mkdir %s\n", strerrorname_np(errno));
		if (number % 2 == 0)
			continue;
		fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0777);
		if (fd < 0)
			printf("open %s\n", strerrorname_np(errno));
		close(fd);
	}
	over = 1;
	pthread_join(thread, NULL);
	for (int number = 0; number < times; number++) {
		struct stat one, other;
		char name[40];
		int found, found_other;

		snprintf(name, sizeof(name), "%d", number);
		found = fstatat(a, name, &one, 0) == 0;
		found_other = fstatat(b, name, &other, 0) == 0;
		in_a += found;
		in_b += found_other;
		both += found && found_other;
		if (!found)
			one = other;
		other_mode += (one.st_mode & 0777) != 0775 && (one.st_mode & 0777) != 0700;
	}
	printf("made %ld, in both %ld, with another mode %ld\n", in_a + in_b, both, other_mode);
	fprintf(stderr, "%ld %ld\n", in_a, in_b);
}

int main(int argc, char **argv)
{
	void *to_a = NULL, *to_b = (void *)&over;
	pthread_t thread;

	if (argc != 2 || mkdir("a", 0777) < 0 || mkdir("b", 0777) < 0)
		return 2;
	a = open("a", O_RDONLY | O_DIRECTORY);
	b = open("b", O_RDONLY | O_DIRECTORY);
	set(to_b);
	make("itself");
	in_thread(to_a);
	make("thread");
	in_process(CLONE_FS, to_b);
	make("process");
	in_process(0, to_a);
	make("apart");
	race(atoi(argv[1]));
	set(to_a);
	pthread_create(&thread, NULL, set_own, to_b);
	pthread_join(thread, NULL);
	make("left");
	return 0;
}
