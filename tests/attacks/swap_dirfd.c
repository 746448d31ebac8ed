/*
 * Another thread puts one directory after the other behind the same descriptor: a, and b, which may
 * be passed but not looked into.  Mode "list": both may be listed, and the key of b is hidden.
 */
#include "attack.h"
#include <dirent.h>

static int swapped, places[2];

static void *swap(void *unused)
{
	unsigned int state = 5;

	for (long i = 0; !over; i++) {
		dup2(places[i % 2], swapped);
		dawdle(&state);
	}
	return unused;
}

static bool lists_key(void)
{
	char buffer[4096];
	long size;

	lseek(swapped, 0, SEEK_SET);
	size = syscall(SYS_getdents64, swapped, buffer, sizeof(buffer));
	for (long at = 0; at < size;) {
		struct dirent64 *entry = (struct dirent64 *)(buffer + at);

		if (strcmp(entry->d_name, "key") == 0)
			return true;
		at += entry->d_reclen;
	}
	return false;
}

static bool attempt(void)
{
	struct stat status;
	int fd;

	if (is_mode("list"))
		return lists_key();
	if (is_mode("stat"))
		return fstatat(swapped, "key", &status, 0) == 0;
	fd = openat(swapped, "key", O_RDONLY);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int main(int argc, char **argv)
{
	int flags;

	begin(argc, argv);
	flags = (is_mode("list") ? O_RDONLY : O_PATH) | O_DIRECTORY;
	places[0] = open(in_tree("a"), flags);
	places[1] = open(in_tree("b"), flags);
	swapped = dup(places[0]);
	if (places[0] < 0 || places[1] < 0)
		return 4;
	start(swap, NULL);
	for (tries = 0; tries < wanted; tries++)
		if (attempt())
			won(mode);
	return finish();
}
