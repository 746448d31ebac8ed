/*
 * A thread with descriptors ("files") or a working directory ("place") of its own: the same number,
 * or no name at all, means another directory to its leader, and what is opened is the thread's.
 * a has no key, a/sub has one, and the thread is in a.
 */
#include "attack.h"
#include <sched.h>

static void *attempt(void *unused)
{
	int other = open(in_tree("a"), O_RDONLY | O_DIRECTORY);

	if (unshare(is_mode("files") ? CLONE_FILES : CLONE_FS) < 0)
		exit(4);
	if (is_mode("files"))
		dup2(other, 9);
	else if (chdir(in_tree("a")) < 0)
		exit(4);
	for (tries = 0; tries < wanted; tries++) {
		int fd = openat(is_mode("files") ? 9 : AT_FDCWD, "key", O_RDONLY);

		if (fd >= 0) {
			won("opened its leader's");
			close(fd);
		}
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	begin(argc, argv);
	dup2(open(in_tree("a/sub"), O_RDONLY | O_DIRECTORY), 9);
	if (chdir(in_tree("a/sub")) < 0)
		return 4;
	pthread_create(&thread, NULL, attempt, NULL);
	pthread_join(thread, NULL);
	return finish();
}
