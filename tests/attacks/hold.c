/*
 * An open with O_PATH is let through after a look at its path, which another thread flips: so the
 * program can hold what is forbidden.  Everything that can be done with that is tried.
 */
#include "attack.h"
#include <sys/mman.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

static char path[4096];
static const char *what = "key"; /* what of b is held */

static void try_file(int fd)
{
	char text[256], own[64], buffer[256];
	struct statfs system;
	struct stat status;
	int opened;

	snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
	opened = open(own, O_RDONLY);
	if (opened >= 0)
		won("opened again"), close(opened);
	snprintf(own, sizeof(own), "/dev/fd/%d", fd);
	opened = open(own, O_RDONLY);
	if (opened >= 0)
		won("opened again by /dev/fd"), close(opened);
	if (stat(own, &status) == 0)
		won("stat of /dev/fd");
	if (access(own, R_OK) == 0)
		won("access of /dev/fd");
	if (syscall(SYS_fstat, fd, &status) == 0)
		won("fstat");
	if (syscall(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH) == 0)
		won("newfstatat");
	if (syscall(SYS_newfstatat, fd, NULL, &status, AT_EMPTY_PATH) == 0)
		won("newfstatat without a path");
	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0x7ff, text) == 0)
		won("statx");
	if (syscall(SYS_fstatfs, fd, &system) == 0)
		won("fstatfs");
	if (syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH) == 0)
		won("faccessat2");
	if (syscall(SYS_readlinkat, fd, "", text, sizeof(text)) > 0)
		won("readlinkat");
	if (fgetxattr(fd, "user.a", text, sizeof(text)) >= 0 || errno == ENODATA)
		won("fgetxattr");
	if (flistxattr(fd, text, sizeof(text)) >= 0)
		won("flistxattr");
	if (read(fd, text, 1) > 0 || pread(fd, text, 1, 0) > 0)
		won("read");
	if (mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED)
		won("mmap");
	if (syscall(SYS_getdents64, fd, buffer, sizeof(buffer)) > 0)
		won("getdents64");
	if (linkat(fd, "", AT_FDCWD, in_tree("a/linked"), AT_EMPTY_PATH) == 0)
		won("linkat");
	if (fchmod(fd, 0777) == 0 || syscall(SYS_fchmodat2, fd, "", 0777, AT_EMPTY_PATH) == 0)
		won("fchmod");
	if (fchown(fd, getuid(), getgid()) == 0)
		won("fchown");
	if (fchownat(fd, "", getuid(), getgid(), AT_EMPTY_PATH) == 0)
		won("fchownat");
	if (utimensat(fd, "", NULL, AT_EMPTY_PATH) == 0)
		won("utimensat");
	if (syscall(SYS_name_to_handle_at, fd, "", text, own, AT_EMPTY_PATH) == 0)
		won("name_to_handle_at");
}

static void try_directory(int fd)
{
	struct stat status;
	int opened = openat(fd, "key", O_RDONLY);

	if (opened >= 0)
		won("opened below"), close(opened);
	if (fstatat(fd, "key", &status, 0) == 0)
		won("stat below");
	opened = openat(fd, ".", O_RDONLY | O_DIRECTORY);
	if (opened >= 0)
		won("listed"), close(opened);
	if (fchdir(fd) == 0) {
		opened = open("key", O_RDONLY);
		if (opened >= 0)
			won("opened from there"), close(opened);
		if (access("key", F_OK) == 0)
			won("access from there");
		if (chdir(in_tree("a")) < 0)
			exit(4);
	}
}

int main(int argc, char **argv)
{
	struct stat status;
	char *slash;

	begin(argc, argv);
	if (is_mode("link"))
		what = "link";
	if (is_mode("directory"))
		what = "";
	snprintf(path, sizeof(path), "%s/a/%s", directory, what);
	slash = path + strlen(directory) + 1;
	start(flip_byte, slash);
	for (tries = 0; tries < wanted; tries++) {
		char name[4096], own[64];
		int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_PATH | O_NOFOLLOW);

		if (fd < 0)
			continue;
		snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
		memset(name, 0, sizeof(name));
		if (readlink(own, name, sizeof(name) - 1) > 0 &&
		    name[strlen(directory) + 1] == 'b') {
			try_file(fd);
			try_directory(fd);
		}
		close(fd);
	}
	(void)status;
	return finish();
}
