/*
 * An accomplice outside swaps what a name leads to, while it is looked up.
 *
 * link: a/link leads to a/file or to b/key.  dir: a/d and b/d change places, and the path
 * goes back from the one that is held: ../key.  ancestor: a/sub is a directory, or a link to b.
 * create: a/new is not there, or is a link to b/key.
 */
#include "attack.h"

static void exchange(const char *one, const char *other)
{
	(void)syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 2 /* RENAME_EXCHANGE */);
}

static void accomplice(void)
{
	unsigned int state = 3;

	if (is_mode("ancestor"))
		(void)!symlink(in_tree("b"), in_tree("a/elsewhere"));
	for (long i = 0;; i++) {
		if (is_mode("link")) {
			(void)!symlink(in_tree(i % 2 ? "b/key" : "a/file"), in_tree("a/next"));
			(void)!rename(in_tree("a/next"), in_tree("a/link"));
		} else if (is_mode("dir")) {
			exchange(in_tree("a/d"), in_tree("b/d"));
		} else if (is_mode("ancestor")) {
			exchange(in_tree("a/sub"), in_tree("a/elsewhere"));
		} else {
			(void)!unlink(in_tree("a/new"));
			dawdle(&state);
			(void)!symlink(in_tree("b/key"), in_tree("a/new"));
		}
		dawdle(&state);
	}
}

int main(int argc, char **argv)
{
	const char *path;
	int flags = O_RDONLY, place = AT_FDCWD;

	begin(argc, argv);
	if (argc > 4)
		accomplice();
	path = is_mode("link") ? "a/link" : is_mode("ancestor") ? "a/sub/key" : "a/new";
	path = strdup(in_tree(path));
	if (is_mode("create"))
		flags = O_RDWR | O_CREAT;
	if (is_mode("dir")) {
		place = open(in_tree("a/d"), O_PATH | O_DIRECTORY);
		path = "../key";
	}
	for (tries = 0; tries < wanted; tries++) {
		int fd = openat(place, path, flags, 0600);

		if (fd < 0)
			continue;
		if (says_secret(fd))
			won(mode);
		close(fd);
	}
	return finish();
}
