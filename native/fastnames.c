/*
 * The plainest calls that make, move and take away names: looked up by one function, done by
 * another, which receives what comes next.
 *
 * What it is: what paths.c and changes.c do, with fewer trips through Python.  What it is not: a
 * decision, or another meaning.  A name is one component in a directory that was looked up;
 * whatever may end otherwise than in the plainest way is left as it was found, for the long way.
 *
 * What is made is made by another thread, under the umask of who asks (runner.c).
 */
#include "fastacts.h"

#include "memory.h"
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MODE_MASK     0xffff /* umode_t: the kernel looks at no more of a mode */
#define ALL_MODE_BITS 07777  /* S_IALLUGO */
#define STATUS_BYTES  256    /* the umask is in the second line of /proc/TID/status */

static const char *last_of(const struct mon_lookup *lookup)
{
	return lookup->path + lookup->last; /* nothing stands behind it */
}

/* Whether the last component is a name that an entry can have, with nothing behind it. */
static int ends_with_a_name(const struct mon_lookup *lookup)
{
	const char *name = last_of(lookup);

	if (lookup->last_length == 0 || lookup->last + lookup->last_length != lookup->path_length)
		return 0;
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/*
 * Without a question to the file system behind it where that may never answer: another one may be
 * mounted on the name.
 */
void mon_path_see(int directory, const char *name, struct mon_fast_entry *entry)
{
	struct statx status;

	memset(entry, 0, sizeof(*entry));
	if (statx(directory, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		  STATX_TYPE | STATX_MODE | STATX_INO, &status) < 0)
		return;
	entry->device = (uint64_t)status.stx_dev_major << 32 | status.stx_dev_minor;
	entry->inode = status.stx_ino;
	entry->mode = status.stx_mode;
}

void mon_fast_see(const struct mon_lookup *lookup, struct mon_fast_entry *entry)
{
	mon_path_see(lookup->fd, last_of(lookup), entry);
}

/* An inode may be given to another file at once: then that is, if anything, of another type. */
static int is_same(const struct mon_fast_entry *one, const struct mon_fast_entry *other)
{
	return one->device == other->device && one->inode == other->inode &&
	       (one->mode & S_IFMT) == (other->mode & S_IFMT);
}

int mon_fast_look_entry(struct mon_lookup *lookup, const void *notification, int path_register,
			int directory_register, uint32_t flags, struct mon_fast_object *object)
{
	int result = mon_fast_look(lookup, notification, path_register, directory_register,
				   flags | MON_LOOKUP_PARENT, object);

	if (result < 0)
		return result;
	if (!ends_with_a_name(lookup)) {
		mon_fast_close(lookup);
		return -EXDEV;
	}
	return result;
}

int mon_fast_remove(struct mon_lookup *lookup, int flags, void *notification, size_t size,
		    int *sent)
{
	long result = MON_LEFT;

	if (mon_fast_waits(lookup))
		result = mon_change_unlink(lookup->fd, last_of(lookup), flags);
	mon_fast_close(lookup);
	return mon_fast_finish(lookup, result, 0, notification, size, sent);
}

int mon_fast_symlink(struct mon_lookup *lookup, uint64_t text, void *notification, size_t size,
		     int *sent)
{
	char target[MON_PATH_SIZE];
	ssize_t length = mon_target_read_string(lookup->listener, lookup->id, lookup->tid, text,
						target, sizeof(target));
	long result = MON_LEFT;

	if (length > 0) /* and the thread waited behind that */
		result = mon_change_symlink(target, lookup->fd, last_of(lookup));
	mon_fast_close(lookup);
	return mon_fast_finish(lookup, result, 0, notification, size, sent);
}

/* Rename what was seen, and see that it was; else move it back. */
static long rename_seen(const struct mon_lookup *old, const struct mon_fast_entry *seen,
			const struct mon_lookup *to, unsigned int flags)
{
	struct mon_fast_entry now;
	int result;

	mon_fast_see(old, &now);
	if (seen->mode == 0 || now.mode == 0 || !is_same(&now, seen))
		return MON_LEFT;
	result = mon_change_rename(old->fd, last_of(old), to->fd, last_of(to), flags);
	if (result < 0)
		return result;
	mon_fast_see(to, &now);
	if (now.mode == 0 || is_same(&now, seen)) /* nothing: who has it moved it on */
		return result;
	(void)mon_change_rename(to->fd, last_of(to), old->fd, last_of(old), RENAME_NOREPLACE);
	return MON_LEFT;
}

int mon_fast_rename(struct mon_lookup *old, const struct mon_fast_entry *seen,
		    struct mon_lookup *to, unsigned int flags, void *notification, size_t size,
		    int *sent)
{
	long result = MON_LEFT;

	if (mon_fast_waits(old))
		result = rename_seen(old, seen, to, flags);
	mon_fast_close(to);
	mon_fast_close(old);
	return mon_fast_finish(old, result, 0, notification, size, sent);
}

int mon_fast_link(struct mon_lookup *old, struct mon_lookup *to, void *notification, size_t size,
		  int *sent)
{
	long result = MON_LEFT;

	if (mon_fast_waits(old))
		result = mon_change_link(old->own_fds, old->fd, to->fd, last_of(to));
	mon_fast_close(to);
	mon_fast_close(old);
	return mon_fast_finish(old, result, 0, notification, size, sent);
}

/* The umask of the thread (proc_pid_status(5)), or -1; the id is to be looked at afterwards. */
static int umask_of(const struct mon_lookup *lookup)
{
	char path[MON_DIGITS + 8], text[STATUS_BYTES + 1];
	const char *line;
	ssize_t count;
	int fd;

	if (lookup->tid <= 0)
		return -1;
	memcpy(mon_decimal(path, (uint32_t)lookup->tid), "/status", 8);
	fd = openat(lookup->proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	count = read(fd, text, STATUS_BYTES);
	close(fd);
	text[count < 0 ? 0 : count] = 0;
	line = strstr(text, "\nUmask:\t"); /* a newline in the name of a thread is escaped */
	return line ? (int)strtol(line + strlen("\nUmask:\t"), NULL, 8) : -1;
}

/* Have the last component made, under the umask of the thread. */
static long make(const struct mon_lookup *lookup, struct mon_runner *runner,
		 struct mon_errand *errand)
{
	int mask = umask_of(lookup);

	if (mask < 0 || !mon_fast_waits(lookup))
		return MON_LEFT;
	errand->directory = lookup->fd;
	errand->name = last_of(lookup);
	errand->umask = (unsigned int)mask;
	return mon_runner_do(runner, errand);
}

int mon_fast_mkdir(struct mon_lookup *lookup, struct mon_runner *runner, unsigned int mode,
		   void *notification, size_t size, int *sent)
{
	struct mon_errand errand = {.what = MON_ERRAND_MKDIR, .mode = mode & MODE_MASK};
	long result = make(lookup, runner, &errand);

	mon_fast_close(lookup);
	return mon_fast_finish(lookup, result == -ENOTRECOVERABLE ? MON_LEFT : result, 0,
			       notification, size, sent);
}

/* Whether the kernel opens with O_CREAT what is there, whoever may write to the directory. */
static int is_own(const struct mon_lookup *lookup)
{
	struct stat status;

	return fstatat(lookup->fd, "", &status, AT_EMPTY_PATH) == 0 && status.st_uid == geteuid();
}

static int open_and_give(const struct mon_lookup *lookup, int flags)
{
	struct mon_opening opening = {
		.listener = lookup->listener,
		.own_fds = lookup->own_fds,
		.id = lookup->id,
		.fd = lookup->fd,
		.flags = flags,
		.impatient = 1,
		.waits = 1,
	};

	return mon_path_answer_open(&opening);
}

/*
 * Answer with the fd that the thread was given, which still waits: ours was closed before it goes
 * on, so that what it writes and closes is open nowhere.
 */
static int answer_given(const struct mon_lookup *lookup, int number, void *notification,
			size_t size)
{
	int sent;

	if (number < 0)
		return -EINPROGRESS;
	return mon_fast_finish(lookup, number, 0, notification, size, &sent);
}

int mon_fast_open_changing(struct mon_lookup *lookup, int flags, void *notification, size_t size,
			   int *number)
{
	int plain = S_ISREG(lookup->mode) && !lookup->missing;

	plain = plain && (!(flags & O_CREAT) || is_own(lookup));
	plain = plain &&
		(!(flags & O_TRUNC) || (mon_fast_has_room(lookup) && mon_fast_waits(lookup)));
	*number = plain ? open_and_give(lookup, flags) : -EXDEV;
	mon_fast_close(lookup);
	return answer_given(lookup, *number, notification, size);
}

/* Remove the file that was made, if its name is still its own. */
static void unmake(const struct mon_lookup *lookup, int made)
{
	struct mon_fast_entry there;
	struct stat mine;

	mon_fast_see(lookup, &there);
	if (there.mode != 0 && fstat(made, &mine) == 0 && there.inode == mine.st_ino &&
	    there.device == ((uint64_t)major(mine.st_dev) << 32 | (uint64_t)minor(mine.st_dev)))
		(void)mon_change_unlink(lookup->fd, last_of(lookup), 0);
}

/* Make the file, and give the thread an fd of it: its number there, or -errno, and no file. */
static int make_and_give(const struct mon_lookup *lookup, struct mon_runner *runner, int flags,
			 unsigned int mode)
{
	struct mon_errand errand = {
		.what = MON_ERRAND_OPEN,
		.flags = (flags & ~O_TRUNC) | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC,
		.mode = mode & ALL_MODE_BITS,
	};
	long made = mon_fast_has_room(lookup) ? make(lookup, runner, &errand) : MON_LEFT;
	int number;

	if (made < 0)
		return -EXDEV; /* the long way says why */
	number = mon_listener_add_fd(lookup->listener, lookup->id, 0, (int)made, 0,
				     flags & O_CLOEXEC ? O_CLOEXEC : 0);
	if (number < 0)
		unmake(lookup, (int)made);
	close((int)made);
	return number;
}

int mon_fast_create(struct mon_lookup *lookup, struct mon_runner *runner, int flags,
		    unsigned int mode, void *notification, size_t size, int *number)
{
	*number = lookup->missing && ends_with_a_name(lookup)
			  ? make_and_give(lookup, runner, flags, mode)
			  : -EXDEV;
	mon_fast_close(lookup);
	return answer_given(lookup, *number, notification, size);
}
