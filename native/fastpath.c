/*
 * The plainest calls with a path: looked up by one function, answered by another, which receives
 * what comes next.
 *
 * What it is: mon_path_lookup() and what follows it, with fewer trips through Python.  What it is
 * not: another way to look up, or a decision.  Whatever is not plain is left as it was found, with
 * nothing open and nothing answered, for the long way (monitor/broker/resolve.py) to begin anew.
 */
#include "fastacts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_COMPONENTS 16 /* that are looked for, of a path that leads nowhere */

static void close_if_open(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Whether the name is an absolute one, and no other name could be meant (fs/d_path.c). */
static int is_plain(const struct mon_lookup *lookup)
{
	static const char deleted[] = " (deleted)";
	size_t length = lookup->name_length, size = sizeof(deleted) - 1;

	if (length == 0 || lookup->name[0] != '/')
		return 0;
	return length < size || memcmp(lookup->name + length - size, deleted, size) != 0;
}

static uint8_t kind_of(const struct mon_lookup *lookup)
{
	if (lookup->missing)
		return MON_FAST_MISSING;
	if (S_ISREG(lookup->mode))
		return MON_FAST_REGULAR;
	return S_ISDIR(lookup->mode) ? MON_FAST_DIRECTORY : MON_FAST_OTHER;
}

/* Put together what a decision about the object depends on.  Returns the length of its name. */
static int tell(const struct mon_lookup *lookup, struct mon_fast_object *object)
{
	size_t length = lookup->name_length;

	object->mount = lookup->mount;
	object->kind = kind_of(lookup);
	memcpy(object->name, lookup->name, length);
	if (lookup->missing) {
		if (length > 1) /* not of the root, which ends with a slash itself */
			object->name[length++] = '/';
		memcpy(object->name + length, lookup->path + lookup->last, lookup->last_length);
		length += lookup->last_length;
	}
	return (int)length;
}

/* Whether a component is "." or "..": in a directory that is there, neither is missing. */
static int is_dots(const char *component, size_t length)
{
	return component[0] == '.' && (length == 1 || (length == 2 && component[1] == '.'));
}

/*
 * Have lookup be about the component number last of its path, where nothing has that name in the
 * directory above, which is looked for in the kernel's cache, and without any link.
 *
 * Returns 0, with the directory in lookup->fd; -ENOENT: there is no such directory; or -EXDEV.
 */
static int find_missing(struct mon_lookup *lookup, size_t last, size_t length)
{
	char path[MON_PATH_SIZE];
	int start = lookup->path[0] == '/' ? AT_FDCWD : lookup->start, there;

	memcpy(path, lookup->path, last);
	memcpy(path + last, ".", 2); /* it is to be searched */
	lookup->fd = mon_path_open(start, path, O_PATH | O_DIRECTORY, 0,
				   RESOLVE_NO_SYMLINKS | RESOLVE_CACHED);
	if (lookup->fd < 0) {
		int result = lookup->fd;

		lookup->fd = -1;
		return result == -ENOENT ? -ENOENT : -EXDEV;
	}
	memcpy(path, lookup->path + last, length);
	path[length] = 0;
	there = mon_path_open(lookup->fd, path, O_PATH | O_NOFOLLOW, 0, RESOLVE_CACHED);
	if (there >= 0)
		close(there);
	lookup->missing = 1;
	lookup->last = last;
	lookup->last_length = length;
	return there == -ENOENT ? mon_path_describe(lookup) : -EXDEV;
}

/*
 * Find the first component that is not there of a path that leads nowhere.
 *
 * That is what the long way decides about (monitor/broker/walk.py).  Where a component is a link,
 * or the kernel has to look further than its cache, that way is taken.
 */
static int find_first_missing(struct mon_lookup *lookup)
{
	size_t end = lookup->path_length;
	int result = -ENOENT;

	if (end == 0 || (lookup->path[0] != '/' && lookup->start < 0))
		return -EXDEV;
	if (!(lookup->flags & MON_LOOKUP_LATE) &&
	    mon_listener_id_valid(lookup->listener, lookup->id) < 0)
		return -EXDEV;
	for (int tries = 0; result == -ENOENT && tries < MOST_COMPONENTS; tries++) {
		size_t last;

		while (end > 0 && lookup->path[end - 1] == '/')
			end--;
		last = end;
		while (last > 0 && lookup->path[last - 1] != '/')
			last--;
		if (last == end)
			return -EXDEV;
		if (!is_dots(lookup->path + last, end - last))
			result = find_missing(lookup, last, end - last);
		end = last;
	}
	return result;
}

int mon_fast_look(struct mon_lookup *lookup, const void *notification, int path_register,
		  int directory_register, uint32_t flags, struct mon_fast_object *object)
{
	const struct seccomp_notif *notif = notification;
	int result;

	lookup->id = notif->id;
	lookup->tid = (pid_t)notif->pid;
	lookup->address = path_register < 0 ? 0 : notif->data.args[path_register];
	lookup->directory =
		directory_register < 0 ? AT_FDCWD : (int)notif->data.args[directory_register];
	lookup->flags = flags;
	lookup->resolve = 0;
	result = mon_path_lookup(lookup);
	if (result == -ENOENT && !(flags & (MON_LOOKUP_PARENT | MON_LOOKUP_CREATE)) &&
	    !lookup->mounts_changed)
		result = find_first_missing(lookup);
	close_if_open(&lookup->start);
	if (lookup->mounts_changed)
		result = -ESTALE;
	else if (result == 0 && !is_plain(lookup))
		result = -EXDEV;
	if (result == 0)
		return tell(lookup, object);
	close_if_open(&lookup->fd);
	return result;
}

int mon_fast_open(struct mon_lookup *lookup, int flags, void *notification, size_t size,
		  int *number)
{
	struct mon_opening opening = {
		.listener = lookup->listener,
		.own_fds = lookup->own_fds,
		.id = lookup->id,
		.fd = lookup->fd,
		.flags = flags,
		.impatient = S_ISREG(lookup->mode),
	};

	*number = mon_path_answer_open(&opening);
	close_if_open(&lookup->fd);
	return *number < 0 ? -EINPROGRESS : mon_fast_receive(lookup, notification, size);
}

int mon_fast_status(struct mon_lookup *lookup, uint64_t address, void *notification, size_t size,
		    int *sent)
{
	struct stat status; /* which is the kernel's own on 64-bit machines */
	ssize_t written = mon_path_status(lookup->fd, &status);

	close_if_open(&lookup->fd);
	if (written == 0)
		written = mon_target_write(lookup->listener, lookup->id, lookup->tid, address,
					   &status, sizeof(status));
	if (written != (ssize_t)sizeof(status)) {
		*sent = written < 0 ? (int)written : -EFAULT;
		return -EINPROGRESS;
	}
	return mon_fast_finish(lookup, 0, 0, notification, size, sent);
}
