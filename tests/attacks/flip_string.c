/*
 * Another thread flips one byte of the path between a and b, while the path is looked up: what is
 * checked is DIR/a/..., what is used may be DIR/b/...  In a there is nothing of that name, so that
 * whatever is found is forbidden.
 */
#include "attack.h"
#include <sys/inotify.h>
#include <sys/time.h>
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

/*
 * What is made may be made in a, and is taken away there again; where it is not, it was made in b.
 * What is moved there from a comes back likewise.
 */
static bool attempt_to_make(void)
{
	const char *file = in_tree("a/file"), *made;
	char name[32];
	int result;

	snprintf(name, sizeof(name), "a/made%ld", tries); /* a new one: in b it stays */
	made = in_tree(name);
	strcpy(byte + 2, name + 2);

	if (is_mode("rename"))
		return rename(file, path) == 0 && rename(made, file) < 0 && creat(file, 0644) >= 0;
	result = is_mode("mkdir")     ? mkdir(path, 0755)
		 : is_mode("mknod")   ? mknod(path, S_IFREG | 0644, 0)
		 : is_mode("symlink") ? symlink("file", path)
				      : link(file, path);
	return result == 0 && (is_mode("mkdir") ? rmdir(made) : unlink(made)) < 0;
}

static bool attempt_to_change(void)
{
	static const struct timeval times[2];
	static int watches = -1;

	if (is_mode("chmod"))
		return chmod(path, 0644) == 0;
	if (is_mode("chown"))
		return lchown(path, (uid_t)-1, (gid_t)-1) == 0;
	if (is_mode("utimes"))
		return utimes(path, times) == 0;
	if (is_mode("setxattr"))
		return setxattr(path, "user.flipped", "1", 1, 0) == 0;
	if (watches < 0)
		watches = inotify_init1(0);
	return inotify_add_watch(watches, path, IN_MODIFY) >= 0;
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
	bool makes, changes;

	begin(argc, argv);
	makes = is_mode("mkdir") || is_mode("mknod") || is_mode("symlink") || is_mode("link") ||
		is_mode("rename");
	changes = is_mode("chmod") || is_mode("chown") || is_mode("utimes") ||
		  is_mode("setxattr") || is_mode("inotify");
	if (is_mode("chdir"))
		snprintf(path, sizeof(path), "%s/a", directory);
	else
		snprintf(path, sizeof(path), "%s/a/%s", directory,
			 is_mode("readlink") ? "link"
			 : makes             ? "made"
					     : "key");
	byte = path + strlen(directory) + 1;
	start(flip_byte, byte);
	for (tries = 0; tries < wanted; tries++)
		if (is_mode("chdir") ? attempt_chdir()
		    : makes          ? attempt_to_make()
		    : changes        ? attempt_to_change()
				     : attempt())
			won(mode);
	return finish();
}
