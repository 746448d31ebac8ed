/*
 * Another thread flips one byte of the path between a and b, while the path is looked up: what is
 * checked is DIR/a/..., what is used may be DIR/b/...  In a there is nothing of that name, so that
 * whatever is found is forbidden.
 */
#include "attack.h"
#include <sys/vfs.h>
#include <sys/xattr.h>

static char path[4096];
static char *byte;

static bool open_with(long flags)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool attempt(void)
{
	struct open_how how = {.flags = O_RDONLY};
	struct statfs system;
	struct stat status;
	char text[256];
	int fd = -1;

	if (is_mode("openat"))
		return open_with(O_RDONLY);
	if (is_mode("truncate"))
		return open_with(O_WRONLY | O_TRUNC);
	if (is_mode("open"))
		fd = (int)syscall(SYS_open, path, O_RDONLY);
	else if (is_mode("openat2"))
		fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	if (fd >= 0)
		close(fd);
	if (is_mode("stat"))
		return stat(path, &status) == 0;
	if (is_mode("statx"))
		return syscall(SYS_statx, AT_FDCWD, path, 0, 0x7ff, text) == 0;
	if (is_mode("statfs"))
		return statfs(path, &system) == 0;
	if (is_mode("access"))
		return access(path, F_OK) == 0;
	if (is_mode("faccessat2"))
		return syscall(SYS_faccessat2, AT_FDCWD, path, F_OK, 0) == 0;
	if (is_mode("readlink"))
		return readlink(path, text, sizeof(text)) > 0;
	if (is_mode("listxattr"))
		return listxattr(path, text, sizeof(text)) >= 0;
	return fd >= 0;
}

/* The call itself can be raced, and gives nothing: whatever is done there is looked up again. */
static bool attempt_chdir(void)
{
	bool found = false;
	int fd;

	if (chdir(path) < 0)
		return false;
	fd = open("key", O_RDONLY);
	if (fd >= 0) {
		found = says_secret(fd);
		close(fd);
	}
	if (access("key", F_OK) == 0)
		found = true;
	if (chdir(in_tree("a")) < 0)
		exit(4);
	return found;
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	if (is_mode("chdir"))
		snprintf(path, sizeof(path), "%s/a", directory);
	else
		snprintf(path, sizeof(path), "%s/a/%s", directory,
			 is_mode("readlink") ? "link" : "key");
	byte = path + strlen(directory) + 1;
	start(flip_byte, byte);
	for (tries = 0; tries < wanted; tries++)
		if (is_mode("chdir") ? attempt_chdir() : attempt())
			won(mode);
	return finish();
}
