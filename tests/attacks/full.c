/*
 * Without room for another descriptor an open fails before it empties or makes a file.  Mode
 * "race": another thread makes room and takes it away; "race-truncate": and a file is emptied, too.
 */
#include "attack.h"
#include <sys/resource.h>

static int spare;

static void *come_and_go(void *unused)
{
	unsigned int state = 9;

	while (!over) {
		int fd = dup(spare);

		dawdle(&state);
		if (fd >= 0)
			close(fd);
		dawdle(&state);
	}
	return unused;
}

int main(int argc, char **argv)
{
	struct rlimit limit = {40, 40};
	char name[64];
	const char *victim;
	int kept, fd = 0, held = 0;

	begin(argc, argv);
	victim = strdup(in_tree("a/victim"));
	kept = open(victim, O_RDWR | O_CREAT, 0600);
	setrlimit(RLIMIT_NOFILE, &limit);
	spare = kept;
	while (fd >= 0) {
		fd = dup(kept);
		if (fd >= 0)
			held = fd;
	}
	if (!is_mode("always")) {
		close(held);
		start(come_and_go, NULL);
	}
	for (tries = 0; tries < wanted; tries++) {
		struct stat status;

		if (pwrite(kept, "full", 4, 0) != 4)
			return 4;
		fd = is_mode("race") ? -1 : open(victim, O_WRONLY | O_TRUNC);
		if (is_mode("race"))
			errno = 0;
		if (fd >= 0)
			close(fd);
		else if (errno == EMFILE && pread(kept, name, 4, 0) == 0)
			won("emptied");
		snprintf(name, sizeof(name), "a/new-%ld", tries);
		fd = open(in_tree(name), O_WRONLY | O_CREAT, 0600);
		if (fd >= 0)
			close(fd);
		else if (errno == EMFILE && stat(in_tree(name), &status) == 0)
			won("made");
	}
	return finish();
}
