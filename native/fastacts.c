/*
 * The plainest calls on one object: what was looked up is looked at or changed, and the next call
 * received, by one function.
 *
 * What it is: what paths.c and changes.c do, with fewer trips through Python.  What it is not: a
 * look-up or a decision (both came before), or another meaning: whatever may end otherwise than
 * in the plainest way is left as it was found, with nothing answered, for the long way.
 */
#include "fastacts.h"

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MODE_MASK     0xffff     /* umode_t: the kernel looks at no more of a mode */
#define STATX_INVALID 0x80000000 /* STATX__RESERVED */
#define ACCESS_MASK   7

#define ACT_REGISTERS   3 /* as many as a call has behind its path, at the most */
#define NOTIF_REGISTERS 6

void mon_fast_close(struct mon_lookup *lookup)
{
	if (lookup->fd >= 0)
		close(lookup->fd);
	lookup->fd = -1;
}

int mon_fast_finish(const struct mon_lookup *lookup, long result, uint32_t flags,
		    void *notification, size_t size, int *sent)
{
	if (result == MON_LEFT) {
		*sent = 0;
		return -EINPROGRESS;
	}
	*sent = mon_listener_respond(lookup->listener, lookup->id, result < 0 ? 0 : result,
				     result < 0 ? (int32_t)result : 0, flags);
	return mon_fast_receive(lookup, notification, size);
}

int mon_fast_receive(const struct mon_lookup *lookup, void *notification, size_t size)
{
	return mon_listener_await(lookup->listener, lookup->patience, notification, size);
}

int mon_fast_waits(const struct mon_lookup *lookup)
{
	return mon_listener_id_valid(lookup->listener, lookup->id) == 0;
}

int mon_fast_has_room(const struct mon_lookup *lookup)
{
	struct rlimit limit;
	struct stat status;
	char path[MON_DIGITS + 4];

	if (lookup->tid <= 0 || prlimit(lookup->tid, RLIMIT_NOFILE, NULL, &limit) < 0)
		return 0;
	memcpy(mon_decimal(path, (uint32_t)lookup->tid), "/fd", 4);
	/* The size is the count of all of them: proc_pid_fd(5), Linux 6.2; before, 0. */
	if (fstatat(lookup->proc, path, &status, 0) < 0 || status.st_size <= 0)
		return 0;
	return (rlim_t)status.st_size < limit.rlim_cur;
}

/* Write a result to the thread; or leave it. */
static long told(const struct mon_lookup *lookup, uint64_t address, const void *data, size_t size,
		 long result)
{
	ssize_t written =
		mon_target_write(lookup->listener, lookup->id, lookup->tid, address, data, size);

	return written == (ssize_t)size ? result : MON_LEFT;
}

/* Whether the arguments are such that the kernel begins to look. */
static int is_meant(int act, const uint64_t *args)
{
	switch (act) {
	case MON_ACT_ACCESS:
	case MON_ACT_ACCESS_FLAGS:
		return ((uint32_t)args[0] & ~(uint32_t)ACCESS_MASK) == 0;
	case MON_ACT_READLINK:
		return (int)args[1] > 0;
	case MON_ACT_STATX:
		return ((uint32_t)args[1] & STATX_INVALID) == 0;
	default:
		return 1;
	}
}

static long act_readlink(const struct mon_lookup *lookup, const uint64_t *args)
{
	char text[MON_PATH_SIZE];
	ssize_t length;

	if (lookup->path_length == 0)
		return MON_LEFT; /* an fd of a link is another matter */
	if (!S_ISLNK(lookup->mode))
		return -EINVAL;
	length = readlinkat(lookup->fd, "", text, sizeof(text));
	if (length < 0)
		return -errno;
	if (length > (int)args[1])
		length = (int)args[1];
	return told(lookup, args[0], text, (size_t)length, length);
}

static long act_statx(const struct mon_lookup *lookup, const uint64_t *args)
{
	unsigned int flags = (unsigned int)args[0] & (AT_STATX_SYNC_TYPE | AT_NO_AUTOMOUNT);
	struct statx status;

	if (mon_path_statx(lookup->fd, flags, (unsigned int)args[1], &status) < 0)
		return MON_LEFT;
	return told(lookup, args[2], &status, sizeof(status), 0);
}

static long act_chdir(const struct mon_lookup *lookup)
{
	if (!S_ISDIR(lookup->mode) || mon_path_access(lookup->fd, X_OK, AT_EACCESS) < 0)
		return MON_LEFT;
	return 0;
}

/* Read the times of a utimensat(2), which is before anything is looked for: 1, 0 for now; or leave.
 */
static long times_of(const struct mon_lookup *lookup, uint64_t address, struct timespec *times)
{
	ssize_t size = 2 * (ssize_t)sizeof(*times);

	if (!address)
		return mon_fast_waits(lookup) ? 0 : MON_LEFT;
	if (mon_target_read(lookup->listener, lookup->id, lookup->tid, address, times,
			    (size_t)size) != size)
		return MON_LEFT;
	/* Then nothing is looked for. */
	return times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT ? MON_LEFT : 1;
}

/* A duplicate of the thread's fd, if it is of what was looked up: by that it was decided; or leave.
 */
static long held_fd(const struct mon_lookup *lookup)
{
	struct mon_lookup now = {.own_fds = lookup->own_fds};

	now.fd = mon_target_fd(lookup->listener, lookup->id, lookup->tid, lookup->directory);
	if (now.fd < 0)
		return MON_LEFT;
	if (mon_path_describe(&now) == 0 && now.device == lookup->device &&
	    now.inode == lookup->inode && now.mount == lookup->mount)
		return now.fd;
	close(now.fd);
	return MON_LEFT;
}

static long change_held(const struct mon_lookup *lookup, int act, const uint64_t *args)
{
	struct timespec times[2];
	long given = act == MON_ACT_TIMES ? times_of(lookup, args[0], times) : 0;
	long fd = given == MON_LEFT || lookup->path_length > 0 ? MON_LEFT : held_fd(lookup);
	long result;

	if (fd == MON_LEFT)
		return MON_LEFT;
	if (act == MON_ACT_MODE)
		result = fchmod((int)fd, (mode_t)(args[0] & MODE_MASK)) < 0 ? -errno : 0;
	else if (act == MON_ACT_OWNER)
		result = fchown((int)fd, (uid_t)args[0], (gid_t)args[1]) < 0 ? -errno : 0;
	else
		result = mon_change_times((int)fd, given ? times : NULL, 0);
	close((int)fd);
	return result;
}

static long change(const struct mon_lookup *lookup, int act, const uint64_t *args)
{
	struct timespec times[2];
	long given = act == MON_ACT_TIMES ? times_of(lookup, args[0], times) : 0;

	/* What the thread holds is changed through its own fd. */
	if (given == MON_LEFT || lookup->path_length == 0)
		return MON_LEFT;
	if (lookup->missing)
		return -ENOENT;
	if (act == MON_ACT_TIMES)
		return mon_change_times(lookup->fd, given ? times : NULL, 1);
	if (!mon_fast_waits(lookup))
		return MON_LEFT;
	if (act == MON_ACT_MODE)
		return mon_change_mode(lookup->own_fds, lookup->fd,
				       (unsigned int)args[0] & MODE_MASK);
	return mon_change_owner(lookup->fd, (unsigned int)args[0], (unsigned int)args[1]);
}

static long act_on(const struct mon_lookup *lookup, int act, const uint64_t *args)
{
	if (!is_meant(act, args))
		return MON_LEFT;
	if (act == MON_ACT_MODE || act == MON_ACT_OWNER || act == MON_ACT_TIMES)
		return change(lookup, act, args);
	if (act & MON_ACT_HELD)
		return change_held(lookup, act & ~MON_ACT_HELD, args);
	if (lookup->missing)
		return -ENOENT;
	switch (act) {
	case MON_ACT_ACCESS:
		return mon_path_access(lookup->fd, (int)args[0], 0);
	case MON_ACT_ACCESS_FLAGS:
		return mon_path_access(lookup->fd, (int)args[0], (int)args[1] & AT_EACCESS);
	case MON_ACT_READLINK:
		return act_readlink(lookup, args);
	case MON_ACT_STATX:
		return act_statx(lookup, args);
	case MON_ACT_CHDIR:
		return act_chdir(lookup);
	default:
		return MON_LEFT;
	}
}

int mon_fast_act(struct mon_lookup *lookup, int act, int base, void *notification, size_t size,
		 int *sent)
{
	const struct seccomp_notif *notif = notification;
	uint64_t args[ACT_REGISTERS] = {0};
	long result;
	uint32_t flags;

	for (int i = 0; i < ACT_REGISTERS && base + i < NOTIF_REGISTERS; i++)
		args[i] = notif->data.args[base + i];
	result = act_on(lookup, act, args);
	flags = act == MON_ACT_CHDIR && result == 0 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;

	mon_fast_close(lookup);
	return mon_fast_finish(lookup, result, flags, notification, size, sent);
}

int mon_fast_missing(struct mon_lookup *lookup, void *notification, size_t size, int *sent)
{
	/* A number is taken before anything is looked for (fs/open.c, do_sys_openat2()). */
	int room = mon_fast_has_room(lookup) && mon_fast_waits(lookup);

	mon_fast_close(lookup);
	return mon_fast_finish(lookup, room ? -ENOENT : MON_LEFT, 0, notification, size, sent);
}
