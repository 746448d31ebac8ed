/*
 * A path of a waiting thread is looked up, once; what was found is used by fd alone.
 *
 * What it is: the copy of the path, the place where it starts, one openat2(2), the name of what
 * was found; and the two ways in which an fd of ours becomes one of the target's.
 * What it is not: a decision, or a walk component by component (monitor/broker/walk.py).
 *
 * Nothing that was opened through /proc/TID is believed before the id was looked at: the number
 * may be another thread's by then.  Nothing is looked up a second time: an O_PATH fd holds the
 * object itself, whatever becomes of its names.
 *
 * The object's name is what a link in /proc/self/fd says, which can be forged (a file of a
 * detached tree says the name that it had there).  So the id of its mount is told too, and who
 * asks compares it with the mounts that there are.
 */
#include "shim.h"

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int mon_path_open(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.mode = mode,
		.resolve = resolve,
	};
	long fd = syscall(__NR_openat2, directory, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* Whether the list of mounts was changed since this was last asked (fs/namespace.c, mounts_poll()).
 */
static int mounts_changed(int mounts)
{
	struct pollfd pfd = {.fd = mounts, .events = POLLPRI};

	return mounts >= 0 && poll(&pfd, 1, 0) > 0 && (pfd.revents & (POLLERR | POLLPRI)) != 0;
}

/*
 * Look for path below directory; what is not in the kernel's cache only if that was asked for.
 *
 * On what was mounted since we looked that may sleep for ever; in the cache it does not.
 */
static int look_for(struct mon_lookup *lookup, int directory, const char *path, uint64_t flags)
{
	uint64_t resolve = lookup->resolve | RESOLVE_NO_MAGICLINKS;
	int may_block = (lookup->flags & MON_LOOKUP_MAY_BLOCK) != 0;

	if (lookup->flags & MON_LOOKUP_STRAIGHT)
		resolve |= RESOLVE_NO_SYMLINKS;
	if (!may_block || lookup->flags & MON_LOOKUP_IF_SAME) {
		int fd =
			mon_path_open(directory, path, O_PATH | flags, 0, resolve | RESOLVE_CACHED);

		if (fd != -EAGAIN || !may_block)
			return fd;
		lookup->mounts_changed |= mounts_changed(lookup->mounts);
		if (lookup->mounts_changed)
			return fd;
	}
	return mon_path_open(directory, path, O_PATH | flags, 0, resolve);
}

int mon_path_describe(struct mon_lookup *lookup)
{
	struct statx status;
	char number[MON_DIGITS + 1];
	ssize_t length;

	if (statx(lookup->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		  STATX_TYPE | STATX_MODE | STATX_INO | STATX_MNT_ID, &status) < 0)
		return -errno;
	lookup->mode = status.stx_mode;
	lookup->inode = status.stx_ino;
	lookup->device = (uint64_t)status.stx_dev_major << 32 | status.stx_dev_minor;
	lookup->rdev = (uint64_t)status.stx_rdev_major << 32 | status.stx_rdev_minor;
	lookup->mount = status.stx_mnt_id;
	*mon_decimal(number, (uint32_t)lookup->fd) = 0;
	length = readlinkat(lookup->own_fds, number, lookup->name, sizeof(lookup->name));
	if (length < 0 && errno != ENAMETOOLONG)
		return -errno;
	/* Longer than what a link can say: it has no name that could be believed. */
	lookup->name_length =
		length < 0 || (size_t)length >= sizeof(lookup->name) ? 0 : (size_t)length;
	return 0;
}

/*
 * Open what the thread has as its working directory, or as one of its fds; -ENOENT: there is none,
 * or no thread.
 */
static int open_of_thread(const struct mon_lookup *lookup)
{
	char path[2 * MON_DIGITS + sizeof("//fd")], *end = mon_decimal(path, (uint32_t)lookup->tid);
	int fd;

	if (lookup->directory == AT_FDCWD)
		memcpy(end, "/cwd", sizeof("/cwd"));
	else {
		memcpy(end, "/fd/", sizeof("/fd/"));
		*mon_decimal(end + strlen("/fd/"), (uint32_t)lookup->directory) = 0;
	}
	fd = openat(lookup->proc, path, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Open where a path starts; -1: at the root, which is ours. */
static int open_start(const struct mon_lookup *lookup, int *start)
{
	int fd;

	*start = -1;
	if (lookup->path_length == 0 && !(lookup->flags & MON_LOOKUP_EMPTY))
		return -ENOENT; /* whatever the directory is: getname_flags() in fs/namei.c */
	if (lookup->path[0] == '/' && !(lookup->resolve & RESOLVE_IN_ROOT))
		return 0; /* RESOLVE_BENEATH is for the kernel to refuse, whatever the directory is
			   */
	if (lookup->directory < 0 && lookup->directory != AT_FDCWD)
		return -EBADF;
	fd = open_of_thread(lookup);
	if (fd < 0)
		return fd == -ENOENT && lookup->directory != AT_FDCWD ? -EBADF : fd;
	*start = fd;
	return 0;
}

/* Find the last component, and where slashes behind it begin; -ENOENT: it is no name of an entry.
 */
static int find_last(struct mon_lookup *lookup, size_t *behind)
{
	size_t end = lookup->path_length, last;

	while (end > 0 && lookup->path[end - 1] == '/')
		end--;
	last = end;
	while (last > 0 && lookup->path[last - 1] != '/')
		last--;
	lookup->last = last;
	lookup->last_length = end - last;
	*behind = end;
	if (end - last == 0 || (end - last == 1 && lookup->path[last] == '.') ||
	    (end - last == 2 && lookup->path[last] == '.' && lookup->path[last + 1] == '.'))
		return -ENOENT;
	return 0;
}

/* The directory in which the last component is looked for, if it may be searched. */
static int open_parent(struct mon_lookup *lookup, int start)
{
	char path[MON_PATH_SIZE];

	if (lookup->last == 0 && lookup->path[0] == '/')
		memcpy(path, "/", 2);
	else {
		memcpy(path, lookup->path, lookup->last);
		memcpy(path + lookup->last, ".", 2);
	}
	return look_for(lookup, start, path, O_DIRECTORY);
}

/*
 * The directory in which the last component would be, where nothing has its name.
 *
 * Returns its fd; -ENOENT: there is no such directory, or the last component is no name of an
 * entry, or one that a link has which leads nowhere; or another -errno.
 */
static int open_above(struct mon_lookup *lookup, int start)
{
	struct stat status;
	size_t end;
	int fd = find_last(lookup, &end);

	if (fd < 0)
		return fd;
	fd = open_parent(lookup, start);
	if (fd < 0)
		return fd;
	if (!(lookup->flags & MON_LOOKUP_NOFOLLOW) || end < lookup->path_length) {
		char name[MON_PATH_SIZE];

		memcpy(name, lookup->path + lookup->last, lookup->last_length);
		name[lookup->last_length] = 0;
		if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
			close(fd);
			return -ENOENT;
		}
	}
	return fd;
}

/*
 * Whether a file is to be made in the place of a directory, "there/": -EISDIR before anything is
 * looked for there, but behind what is wrong above it (fs/namei.c, lookup_fast_for_open()); or 0.
 */
static int refuse_slashes(struct mon_lookup *lookup, int start)
{
	size_t end;
	int fd;

	if (!(lookup->flags & MON_LOOKUP_CREATE) || find_last(lookup, &end) < 0 ||
	    end == lookup->path_length)
		return 0;
	fd = open_parent(lookup, start);
	if (fd < 0)
		return fd;
	close(fd);
	return -EISDIR;
}

/* Whether a component is "..": then the path passes what the name of its object does not tell. */
static int goes_back(const struct mon_lookup *lookup)
{
	const char *path = lookup->path;

	for (size_t i = 0; i + 1 < lookup->path_length; i++) {
		if (path[i] != '.' || path[i + 1] != '.' || (i > 0 && path[i - 1] != '/'))
			continue;
		if (path[i + 2] == '/' || path[i + 2] == 0)
			return 1;
	}
	return 0;
}

/* Look the path up from start, which becomes the object where the path is empty. */
static void look_up_from(struct mon_lookup *lookup)
{
	uint64_t follow = lookup->flags & MON_LOOKUP_NOFOLLOW ? O_NOFOLLOW : 0;
	int start = lookup->start < 0 ? AT_FDCWD : lookup->start;

	if (lookup->path_length == 0) {
		lookup->fd = lookup->start;
		lookup->start = -1;
	} else if (lookup->flags & MON_LOOKUP_STRAIGHT && goes_back(lookup)) {
		lookup->fd = -ELOOP;
	} else if (lookup->flags & MON_LOOKUP_PARENT) {
		size_t end;

		(void)find_last(lookup, &end); /* whether it is a name is for the call to say */
		lookup->fd = open_parent(lookup, start);
		lookup->missing = lookup->fd >= 0;
	} else {
		lookup->fd = refuse_slashes(lookup, start);
		if (lookup->fd == 0)
			lookup->fd = look_for(lookup, start, lookup->path, follow);
		if (lookup->fd == -ENOENT) {
			lookup->fd = open_above(lookup, start);
			lookup->missing = lookup->fd >= 0;
		}
	}
}

/* Look it up as who has the path, and with our own rights again tell what was found. */
static int look_up_as_they(struct mon_lookup *lookup)
{
	int result = 0, back = 0;

	if (lookup->theirs)
		result = mon_rights_take(lookup->theirs);
	if (result == 0)
		look_up_from(lookup);
	if (lookup->theirs)
		back = mon_rights_take(lookup->ours);
	if (back < 0) {
		if (lookup->fd >= 0)
			close(lookup->fd);
		lookup->fd = -1;
		return -ENOTRECOVERABLE;
	}
	if (result < 0)
		return result;
	if (lookup->fd < 0) {
		result = lookup->fd;
		lookup->fd = -1;
		return result;
	}
	result = mon_path_describe(lookup);
	if (result < 0) {
		close(lookup->fd);
		lookup->fd = -1;
	}
	return result;
}

static ssize_t read_path(struct mon_lookup *lookup)
{
	size_t size = sizeof(lookup->path);

	if (lookup->flags & MON_LOOKUP_PEEK)
		return mon_target_peek_string(lookup->tid, lookup->address, lookup->path, size);
	return mon_memory_string(lookup->proc, lookup->tid, lookup->address, lookup->path, size);
}

int mon_path_lookup(struct mon_lookup *lookup)
{
	ssize_t length = 0;
	int result;

	lookup->fd = lookup->start = -1;
	lookup->missing = lookup->mounts_changed = 0;
	lookup->path_length = lookup->name_length = lookup->last = lookup->last_length = 0;
	lookup->path[0] = 0;
	if (lookup->address || !(lookup->flags & MON_LOOKUP_NULL))
		length = read_path(lookup);
	if (length < 0)
		return (int)mon_gone_or(lookup->listener, lookup->id, length);
	lookup->path_length = (size_t)length;
	result = open_start(lookup, &lookup->start);
	/* The bytes and the start are this thread's, or nobody's, and then nobody hears an answer.
	 */
	if (!(lookup->flags & MON_LOOKUP_LATE))
		result = (int)mon_gone_or(lookup->listener, lookup->id, result);
	if (result < 0)
		return result;
	result = look_up_as_they(lookup);
	lookup->mounts_changed |= mounts_changed(lookup->mounts);
	return result;
}

/*
 * Open what fd holds once more, as open(2) with flags would.
 *
 * A full table is ours here, not the target's: to it, the system has none left.
 */
static int reopen(int own_fds, int fd, int flags)
{
	char number[MON_DIGITS + 1];
	int opened;

	*mon_decimal(number, (uint32_t)fd) = 0;
	opened = openat(own_fds, number, flags | O_CLOEXEC | O_NOCTTY);
	if (opened >= 0)
		return opened;
	return errno == EMFILE ? -ENFILE : -errno;
}

int mon_path_answer_open(struct mon_opening *opening)
{
	int flags = opening->flags & ~(O_CREAT | O_NOFOLLOW | O_CLOEXEC);
	uint32_t number_flags = opening->flags & O_CLOEXEC ? O_CLOEXEC : 0;
	int opened, number;

	/* A lease would have us wait for whoever holds it (fcntl(2), F_SETLEASE). */
	opened = reopen(opening->own_fds, opening->fd,
			flags | (opening->impatient ? O_NONBLOCK : 0));
	if (opened < 0)
		return opened;
	if (opening->impatient && !(flags & O_NONBLOCK) && fcntl(opened, F_SETFL, flags) < 0)
		number = -errno;
	else
		number = mon_listener_add_fd(opening->listener, opening->id,
					     opening->waits ? 0 : SECCOMP_ADDFD_FLAG_SEND, opened,
					     0, number_flags);
	close(opened);
	return number;
}

int mon_path_status(int fd, void *status)
{
	/* The kernel's struct, not libc's. */
	return syscall(__NR_newfstatat, fd, "", status, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int mon_path_statx(int fd, unsigned int flags, unsigned int mask, void *status)
{
	return syscall(__NR_statx, fd, "", flags | AT_EMPTY_PATH, mask, status) < 0 ? -errno : 0;
}

int mon_path_statfs(int fd, void *status)
{
	return syscall(__NR_fstatfs, fd, status) < 0 ? -errno : 0;
}

int mon_path_access(int fd, int mode, int flags)
{
	return syscall(__NR_faccessat2, fd, "", mode, flags | AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int mon_path_entries(int fd, int old, void *buffer, unsigned int size)
{
	long count = syscall(old ? __NR_getdents : __NR_getdents64, fd, buffer, size);

	return count < 0 ? -errno : (int)count;
}

int mon_unshare_fs(void)
{
	return unshare(CLONE_FS) < 0 ? -errno : 0;
}
