/*
 * What every attack has: the tree that it is let loose in, counters, and a thread that flips.
 *
 * The tree DIR: a is the program's own, b is forbidden; b/key says SECRET, a/file says PUBLIC, and
 * a has no key.  An attack prints how often it tried, and how often it got what it may not have.
 */
#ifndef ATTACK_H
#define ATTACK_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECRET "SECRET"

/* Newer than some libc's headers. */
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static long tries, successes, wanted;
static const char *directory, *mode = "";
static volatile bool over;

/* usage: PROGRAM TRIES DIR [MODE] */
__attribute__((unused)) static void begin(int argc, char **argv)
{
	if (argc < 3)
		exit(2);
	wanted = atol(argv[1]);
	directory = argv[2];
	if (argc > 3)
		mode = argv[3];
}

__attribute__((unused)) static int finish(void)
{
	over = true;
	printf("%ld %ld\n", tries, successes);
	fflush(stdout);
	_exit(0);
}

/* Say once for each kind what succeeded, so that a failure can be understood. */
__attribute__((unused)) static void won(const char *what)
{
	if (successes++ < (getenv("ATTACK_SHOWS") ? 5000 : 20))
		fprintf(stderr, "won: %s\n", what);
}

__attribute__((unused)) static const char *in_tree(const char *name)
{
	static __thread char made[8][4096];
	static __thread unsigned int next;
	char *path = made[next++ % 8];

	snprintf(path, 4096, "%s/%s", directory, name);
	return path;
}

__attribute__((unused)) static bool says_secret(int fd)
{
	char text[sizeof(SECRET)] = "";

	return pread(fd, text, sizeof(SECRET) - 1, 0) > 0 && strcmp(text, SECRET) == 0;
}

__attribute__((unused)) static bool is_mode(const char *name)
{
	return strcmp(mode, name) == 0;
}

/* Pause for a while that is another one each time, so that no two loops keep step. */
__attribute__((unused)) static void dawdle(unsigned int *state)
{
	*state = *state * 1103515245 + 12345;
	for (volatile unsigned int i = (*state >> 16) & 0xfff; i > 0; i--)
		;
}

__attribute__((unused)) static void *flip_byte(void *byte)
{
	unsigned int state = 1;

	while (!over) {
		*(volatile char *)byte ^= 'a' ^ 'b';
		dawdle(&state);
	}
	return NULL;
}

__attribute__((unused)) static void start(void *(*function)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, function, argument) != 0)
		exit(3);
}

#endif
