/*
 * What was looked up is changed: names, modes, owners, times, sizes and attributes.
 *
 * What it is: one system call each, by an fd of ours.  A name is one component, in a directory that
 * an fd holds, so that no link is followed on the way; a file is changed through its own O_PATH fd.
 * What it is not: a look-up (paths.c), or a decision.
 *
 * Calls that do not take an O_PATH fd reach its object through own_fds, the directory
 * /proc/self/fd, where it is a link that leads to the object itself, even to a symbolic link.
 */
#include "shim.h"

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif
#ifndef __NR_file_getattr
#define __NR_file_getattr 468
#define __NR_file_setattr 469
#endif

/* "/proc/self/fd/" and a number */
#define OWN_PATH_SIZE (sizeof("/proc/self/fd/") + MON_DIGITS)

static const char *own_path(char *path, int fd)
{
	(void)snprintf(path, OWN_PATH_SIZE, "/proc/self/fd/%d", fd);
	return path;
}

static int result_of(long result)
{
	return result < 0 ? -errno : (int)result;
}

int mon_change_mkdir(int directory, const char *name, unsigned int mode)
{
	return result_of(syscall(__NR_mkdirat, directory, name, mode));
}

int mon_change_mknod(int directory, const char *name, unsigned int mode, unsigned int device)
{
	return result_of(syscall(__NR_mknodat, directory, name, mode, device));
}

int mon_change_unlink(int directory, const char *name, int flags)
{
	return result_of(syscall(__NR_unlinkat, directory, name, flags));
}

int mon_change_rename(int from, const char *old, int to, const char *name, unsigned int flags)
{
	return result_of(syscall(__NR_renameat2, from, old, to, name, flags));
}

int mon_change_link(int own_fds, int fd, int to, const char *name)
{
	char number[MON_DIGITS + 1];

	*mon_decimal(number, (uint32_t)fd) = 0;
	return result_of(syscall(__NR_linkat, own_fds, number, to, name, AT_SYMLINK_FOLLOW));
}

int mon_change_symlink(const char *text, int directory, const char *name)
{
	return result_of(syscall(__NR_symlinkat, text, directory, name));
}

int mon_change_mode(int own_fds, int fd, unsigned int mode)
{
	char number[MON_DIGITS + 1];
	int result = result_of(syscall(__NR_fchmodat2, fd, "", mode, AT_EMPTY_PATH));

	if (result != -ENOSYS)
		return result;
	*mon_decimal(number, (uint32_t)fd) = 0; /* before Linux 6.6 */
	return result_of(syscall(__NR_fchmodat, own_fds, number, mode));
}

int mon_change_owner(int fd, unsigned int uid, unsigned int gid)
{
	return result_of(syscall(__NR_fchownat, fd, "", uid, gid, AT_EMPTY_PATH));
}

int mon_change_times(int fd, const void *times, int is_path)
{
	return result_of(syscall(__NR_utimensat, fd, is_path ? "" : NULL, times,
				 is_path ? AT_EMPTY_PATH : 0));
}

int mon_change_attribute(int fd, const char *name, const void *value, size_t size, int flags)
{
	char path[OWN_PATH_SIZE];

	return result_of(syscall(__NR_setxattr, own_path(path, fd), name, value, size, flags));
}

int mon_change_no_attribute(int fd, const char *name)
{
	char path[OWN_PATH_SIZE];

	return result_of(syscall(__NR_removexattr, own_path(path, fd), name));
}

int mon_change_file_attributes(int own_fds, int fd, const void *attributes, size_t size)
{
	char number[MON_DIGITS + 1];

	*mon_decimal(number, (uint32_t)fd) = 0;
	return result_of(syscall(__NR_file_setattr, own_fds, number, attributes, size, 0));
}

int mon_path_file_attributes(int own_fds, int fd, void *attributes, size_t size)
{
	char number[MON_DIGITS + 1];

	*mon_decimal(number, (uint32_t)fd) = 0;
	return result_of(syscall(__NR_file_getattr, own_fds, number, attributes, size, 0));
}

/* A path to what fd holds; -1: one that cannot be read, for what is said before any path is. */
static const char *watched(char *path, int fd)
{
	return fd < 0 ? (const char *)-1L : own_path(path, fd);
}

int mon_watch_inotify(int inotify, int fd, unsigned int mask)
{
	char path[OWN_PATH_SIZE];

	return result_of(syscall(__NR_inotify_add_watch, inotify, watched(path, fd), mask));
}

int mon_watch_fanotify(int fanotify, unsigned int flags, uint64_t mask, int fd)
{
	char path[OWN_PATH_SIZE];

	return result_of(
		syscall(__NR_fanotify_mark, fanotify, flags, mask, AT_FDCWD, watched(path, fd)));
}
