/*
 * The plainest calls with a path: looked up by one function, answered by another, which receives
 * what comes next.
 *
 * What it is: mon_path_lookup() and what follows it, with fewer trips through Python.  What it is
 * not: another way to look up, or a decision.  Whatever is not plain is left as it was found, with
 * nothing open and nothing answered, for the long way (monitor/broker/resolve.py) to begin anew.
 */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

int mon_fast_look(struct mon_lookup *lookup, const void *notification, int path_register,
		  int directory_register, uint32_t flags, struct mon_fast_object *object)
{
	const struct seccomp_notif *notif = notification;
	int result;

	lookup->id = notif->id;
	lookup->tid = (pid_t)notif->pid;
	lookup->address = notif->data.args[path_register];
	lookup->directory =
		directory_register < 0 ? AT_FDCWD : (int)notif->data.args[directory_register];
	lookup->flags = flags;
	lookup->resolve = 0;
	result = mon_path_lookup(lookup);
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
	return *number < 0 ? -EINPROGRESS
			   : mon_listener_receive(lookup->listener, notification, size);
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
	return mon_listener_exchange(lookup->listener, lookup->id, 0, 0, 0, notification, size,
				     sent);
}
