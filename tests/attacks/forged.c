/*
 * Names that say something else: memfds called like files, a file that is really called like a
 * deleted one, files without a name.  Whatever of b is opened by way of them is forbidden.
 */
#include "attack.h"
#include <sys/mman.h>

static void reopen(int fd, int flags, bool own, const char *what)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags);
	if (again >= 0 && !own)
		won(what);
	if (again >= 0)
		close(again);
}

int main(int argc, char **argv)
{
	char forged[8192];
	int fd;

	begin(argc, argv);
	for (tries = 0; tries < wanted; tries++) {
		/* What is read must be the memfd's own bytes, whatever it is called. */
		snprintf(forged, sizeof(forged), "x/../..%s/b/key",
			 strlen(directory) < 200 ? directory : "");
		fd = memfd_create(forged, 0);
		if (fd < 0)
			continue;
		snprintf(forged, sizeof(forged), "/proc/self/fd/%d", fd);
		close(fd);
		fd = open(forged, O_RDONLY); /* the number is nobody's now */
		if (fd >= 0)
			won("a closed memfd"), close(fd);
		/* a/z (deleted) is forbidden and a/z is not; and the other way round. */
		for (int i = 0; i < 2; i++) {
			fd = open(in_tree(i ? "a/y (deleted)" : "a/z (deleted)"), O_RDONLY);
			if (fd >= 0)
				won(i ? "y (deleted)" : "z (deleted)"), close(fd);
		}
		fd = open(in_tree("b"), O_TMPFILE | O_RDWR, 0600);
		if (fd >= 0)
			won("O_TMPFILE in b"), close(fd);
		fd = open(in_tree("a"), O_TMPFILE | O_RDWR, 0600);
		if (fd >= 0) {
			reopen(fd, O_RDONLY, true, "");
			snprintf(forged, sizeof(forged), "/proc/self/fd/%d", fd);
			if (linkat(AT_FDCWD, forged, AT_FDCWD, in_tree("b/linked"),
				   AT_SYMLINK_FOLLOW) == 0)
				won("an O_TMPFILE got a name");
			close(fd);
		}
		fd = open(in_tree("a/../b/./key"), O_RDONLY);
		if (fd >= 0)
			won("dots"), close(fd);
		fd = open(in_tree("b//key"), O_RDONLY);
		if (fd >= 0)
			won("slashes"), close(fd);
	}
	return finish();
}
