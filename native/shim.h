/*
 * The contract between the package and its C code.
 *
 * What it is: every function that Python can call (shim.cdef repeats them in this order).
 * What it is not: policy, decoding or scheduling, which are Python.
 *
 * Each function
 *  - returns 0 or a non-negative result, or -errno;
 *  - has no state, allocates nothing on the heap and keeps no pointer: the caller owns every
 *    buffer, passes its size and gets it back filled.  The one thing that outlives its call is
 *    the guard of mon_launch(), with the stack it runs on; see there;
 *  - borrows the fds it is given; an fd that it returns belongs to the caller and is
 *    close-on-exec;
 *  - does not sleep unless it says so;
 *  - neither prints nor exits, except in a process that it made itself.
 */
#ifndef MONITOR_SHIM_H
#define MONITOR_SHIM_H

#include "compat.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- listener.c: the ioctls of a listener, seccomp_unotify(2) ---- */

/* Store the kernel's sizes of struct seccomp_notif, seccomp_notif_resp and seccomp_data. */
int mon_listener_sizes(uint16_t *notif, uint16_t *resp, uint16_t *data);

/* 0 if fd is a seccomp listener, -ENOTTY or another -errno if it is not. */
int mon_listener_check(int listener);

/* SECCOMP_IOCTL_NOTIF_SET_FLAGS; -EINVAL or -ENOTTY: this kernel lacks the flag (before 6.6). */
int mon_listener_set_flags(int listener, uint64_t flags);

/*
 * Receive one notification without sleeping, into size bytes at notif.
 *
 * SECCOMP_IOCTL_NOTIF_RECV ignores O_NONBLOCK and sleeps while nothing is queued, so poll(2)
 * goes first.  One caller at a time per listener: of two that saw POLLIN one would sleep.
 *
 * Returns 0; -EAGAIN: nothing queued; -ENOTCONN: no task uses the filter any more;
 * -ENOENT: that one evaporated meanwhile, look again; or another -errno.
 */
int mon_listener_receive(int listener, void *notif, size_t size);

/* How long may be waited for a notification: so long at once, and never past a moment. */
struct mon_patience {
	int milliseconds; /* 0: not at all */
	int64_t until;    /* CLOCK_MONOTONIC, milliseconds */
};

/* As mon_listener_receive(), but waits; NULL: it does not.  A signal ends the wait: -EAGAIN. */
int mon_listener_await(int listener, const struct mon_patience *patience, void *notif, size_t size);

/*
 * Send one response.  error is 0 or a negative errno, as in struct seccomp_notif_resp.
 *
 * Returns 0; -ENOENT: nobody waits for it any more; or another -errno.
 */
int mon_listener_respond(int listener, uint64_t id, int64_t value, int32_t error, uint32_t flags);

/*
 * Send one response, then receive the next notification: the two calls above with one trip
 * through Python less.  *sent is what mon_listener_respond() returned, the result that of
 * mon_listener_receive().
 */
int mon_listener_exchange(int listener, uint64_t id, int64_t value, int32_t error, uint32_t flags,
			  void *notif, size_t size, int *sent);

/* 0 while the thread behind id waits for an answer, -ENOENT when it no longer does. */
int mon_listener_id_valid(int listener, uint64_t id);

/*
 * Put a duplicate of fd into the target (SECCOMP_IOCTL_NOTIF_ADDFD).
 *
 * Sleeps until the target has run and taken it, or died.  Returns the number in the target;
 * -ENOENT: nobody waits any more; -EMFILE: the target's table is full, and the notification is
 * still to be answered.
 */
int mon_listener_add_fd(int listener, uint64_t id, uint32_t flags, int fd, int number,
			uint32_t number_flags);

/* ---- memory.c: the memory of a waiting thread ---- */

/*
 * Read up to size bytes at address, through /proc/TID/mem.
 *
 * The id is checked after the file is open and the bytes are read: what is returned came from the
 * thread that asked, not from a later one with its number.
 *
 * Returns the count, which is short where the mapping ends; -EFAULT: not even one byte;
 * -ENOENT: the thread no longer waits; -EACCES or -EPERM: it may not be looked into; -EMFILE or
 * -ENFILE: no fd left for the look.
 */
ssize_t mon_target_read(int listener, uint64_t id, pid_t tid, uint64_t address, void *buffer,
			size_t size);

/*
 * Read a string of at most size bytes, its NUL included, page by page.
 *
 * Returns its length without the NUL; -ENAMETOOLONG: no NUL within size; and the errors of
 * mon_target_read().
 */
ssize_t mon_target_read_string(int listener, uint64_t id, pid_t tid, uint64_t address, char *buffer,
			       size_t size);

/*
 * As the two above, of whatever thread has the number now: nothing looks at an id.  For what
 * people will read of a thread whose answer comes next: if that is delivered, it was the thread.
 * May sleep for as long as a userfaultfd(2) or a FUSE file of a privileged target wants it to.
 */
ssize_t mon_target_peek(pid_t tid, uint64_t address, void *buffer, size_t size);
ssize_t mon_target_peek_string(pid_t tid, uint64_t address, char *buffer, size_t size);

/*
 * Write size bytes at address, as the kernel would on behalf of the thread: a page that it may
 * not write is -EFAULT.  The id is checked immediately before.
 *
 * Returns the count, which is short where a page is missing; errors as above.
 */
ssize_t mon_target_write(int listener, uint64_t id, pid_t tid, uint64_t address, const void *buffer,
			 size_t size);

/*
 * Send a signal to the process of a waiting thread.  The id is checked between finding the
 * process and signalling it, so the signal cannot reach a later one with its number.
 *
 * Returns 0; -ENOENT: the thread no longer waits; -EPERM; or another -errno.
 */
int mon_target_kill(int listener, uint64_t id, pid_t tid, int signal);

/*
 * A duplicate of the waiting thread's fd, of its own table and not of its process's leader's.
 *
 * Returns it: the offset and the file status flags are common.  -EBADF: there is none; -ENOENT: the
 * thread no longer waits; -EPERM: it may not be looked into; -EINVAL: before Linux 6.9 only the fds
 * of a leader can be had.
 */
int mon_target_fd(int listener, uint64_t id, pid_t tid, int fd);

/* ---- rights.c: the rights and the root of another thread, for a while ---- */

/* What decides what a thread may do with files, and where its paths begin. */
struct mon_rights {
	uint32_t uid; /* effective, and so is gid */
	uint32_t gid;
	uint32_t file_uid; /* credentials(7): those of the file system */
	uint32_t file_gid;
	uint32_t group_count;
	int root; /* O_PATH on a directory; -1: as it is */
	uint32_t *groups;
	uint64_t capabilities; /* effective: bit N is number N */
};

/*
 * Have the calling thread, and no other, take these rights; of the capabilities those that it is
 * permitted.  Its root becomes its working directory too, and its file system information must be
 * its own (mon_unshare_fs()).  Needs CAP_SETUID, CAP_SETGID, and CAP_SYS_CHROOT for a root among
 * what is permitted, but need not have them effective: so it is the way back, too.
 *
 * Returns 0; or -errno, and the thread may have a part of them: it is to go back or to end.
 */
int mon_rights_take(const struct mon_rights *rights);

/* ---- paths.c: a path of a waiting thread is looked up, once ---- */

#define MON_PATH_SIZE 4096 /* PATH_MAX: no path of a call has more bytes, its NUL included */

#define MON_LOOKUP_NOFOLLOW  1   /* of a link that is the last component, the link itself */
#define MON_LOOKUP_EMPTY     2   /* an empty path is what directory refers to */
#define MON_LOOKUP_MAY_BLOCK 4   /* look further than the kernel's cache, and sleep for it */
#define MON_LOOKUP_CREATE    16  /* a file may be made: it cannot be called "there/" */
#define MON_LOOKUP_NULL      8   /* no path at all is an empty one (stat(2), Linux 6.11) */
#define MON_LOOKUP_IF_SAME   32  /* MAY_BLOCK, but only if the mounts are those that were read */
#define MON_LOOKUP_PARENT    128 /* the directory of the last component, whatever is there */
#define MON_LOOKUP_PEEK      64 /* read as mon_target_peek(): no page can wait for userfaultfd(2) */
#define MON_LOOKUP_STRAIGHT                                                                        \
	256                 /* -ELOOP if the path passes more than the name says: "..", a link */
#define MON_LOOKUP_LATE 512 /* whether the thread still waits is for the answer to say */

/* One look-up: what is looked for, and what was found. */
struct mon_lookup {
	int listener;
	pid_t tid;
	uint64_t id;
	int proc;         /* O_PATH on a /proc of our pid namespace */
	int own_fds;      /* O_PATH on /proc/self/fd */
	int mounts;       /* /proc/self/mountinfo, open for reading; -1: not asked about */
	int directory;    /* the target's: AT_FDCWD or an fd of its */
	uint64_t address; /* of the path */
	uint64_t resolve; /* RESOLVE_* beyond RESOLVE_NO_MAGICLINKS */
	uint32_t flags;   /* MON_LOOKUP_* */
	const struct mon_rights *theirs;     /* who looks up what was read; NULL: we do */
	const struct mon_rights *ours;       /* to come back */
	const struct mon_patience *patience; /* of who receives behind an answer; NULL: none */

	/* From here on it is filled in. */
	uint32_t mode; /* st_mode of what fd holds */
	int fd;        /* O_PATH on the object; missing: on the directory it is not in; -1 */
	int start;     /* after a failure: where the path starts; -1: at the root, or nowhere */
	int missing;   /* nothing has the name path[last .. last + last_length] in fd; with
			  MON_LOOKUP_PARENT nobody looked */
	int mounts_changed; /* the list of mounts was, since this was last asked: also after a
			       failure */
	uint64_t inode;
	uint64_t device; /* major << 32 | minor */
	uint64_t rdev;   /* of a device file, likewise */
	uint64_t mount;  /* statx(2), stx_mnt_id */
	size_t path_length;
	size_t last;
	size_t last_length;
	size_t name_length;       /* 0: it has no name that a link can say */
	char path[MON_PATH_SIZE]; /* as the target has it, with a NUL */
	char name[MON_PATH_SIZE]; /* of what fd holds, no NUL: a link of /proc/self/fd, to be
				     doubted */
};

/*
 * Read the path at address, and look it up from where it starts.
 *
 * Returns 0: fd is the caller's.  -ENOENT: the thread no longer waits, or nothing was found; then
 * path_length is not 0, or it is an empty path.  -ELOOP: a magic link (proc(5)) is on the way, or
 * too many others, or the path is not straight (MON_LOOKUP_STRAIGHT).  -EAGAIN: not in the kernel's
 * cache (without MON_LOOKUP_MAY_BLOCK, or where MON_LOOKUP_IF_SAME takes it back).  Or what
 * openat2(2) says, -EFAULT, -ENAMETOOLONG, -EBADF.  After a failure start is the caller's too.
 * -ENOTRECOVERABLE: the calling thread could not come back to our rights.
 */
int mon_path_lookup(struct mon_lookup *lookup);

/* Fill in what is told of the object that lookup->fd holds: mode, inode, device, mount and name. */
int mon_path_describe(struct mon_lookup *lookup);

/* openat2(2), close-on-exec.  Sleeps as it does, unless resolve has RESOLVE_CACHED. */
int mon_path_open(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

/* One object that was found is opened, and the target gets an fd of it. */
struct mon_opening {
	int listener;
	int own_fds; /* O_PATH on /proc/self/fd */
	uint64_t id;
	int fd;        /* O_PATH on the object, borrowed */
	int flags;     /* as the target has them; O_CREAT and O_NOFOLLOW are left out */
	int impatient; /* -EAGAIN instead of waiting for the holder of a lease, fcntl(2) */
	int waits;     /* the target goes on waiting, for an answer with the number */
};

/*
 * Open the object, and answer the call with an fd of the target's.
 *
 * Returns its number: the call is answered, unless it goes on waiting; then nothing that was opened
 * here is open any more when the target runs.  Or -errno, and it is not.  Sleeps as open(2) does of
 * such an object, and until the target has taken the fd.
 */
int mon_path_answer_open(struct mon_opening *opening);

/* ---- fastpath.c: the plainest calls with a path, in two steps each ---- */

#define MON_FAST_REGULAR   1
#define MON_FAST_DIRECTORY 2
#define MON_FAST_OTHER     3
#define MON_FAST_MISSING   4 /* there is nothing of this name */

/* All that a decision about an object depends on: equal bytes, equal decisions. */
struct mon_fast_object {
	uint64_t mount;                   /* stx_mnt_id, of a directory above it if it is missing */
	uint8_t kind;                     /* MON_FAST_* */
	char name[2 * MON_PATH_SIZE + 1]; /* no NUL */
};

/*
 * Look up the path that stands in a register of a notification (-1: there is none, as
 * MON_LOOKUP_NULL has it); directory_register: -1, or where the directory stands that it starts at.
 * Of a path that leads nowhere what is missing is the first component that is.  Of lookup the
 * caller fills in listener, proc, own_fds, mounts.
 *
 * Returns the length of its name, which is absolute, and no other can be meant: lookup->fd is the
 * caller's, and holds the object, or the directory that has none of this name.  Or -errno, with
 * nothing open: -ESTALE: the list of mounts was changed; -EXDEV: no such name.
 */
int mon_fast_look(struct mon_lookup *lookup, const void *notification, int path_register,
		  int directory_register, uint32_t flags, struct mon_fast_object *object);

/* ---- fastacts.c: the plainest calls on one object ---- */

#define MON_ACT_ACCESS       1 /* access(2), faccessat(2): mode */
#define MON_ACT_ACCESS_FLAGS 2 /* faccessat2(2): mode, flags */
#define MON_ACT_READLINK     3 /* buffer, size */
#define MON_ACT_STATX        4 /* flags, mask, buffer */
#define MON_ACT_CHDIR        5 /* the kernel runs it */
#define MON_ACT_MODE         6 /* mode */
#define MON_ACT_OWNER        7 /* uid, gid */
#define MON_ACT_TIMES        8 /* struct timespec[2]; NULL: now */
#define MON_ACT_HELD         16 /* with one of the last three: through the thread's own fd, directory */

/*
 * Do with what was looked up what the call asks for, answer, and receive the next.  lookup->fd is
 * closed.  base: the register where the arguments behind the path begin.
 *
 * *sent and the result are those of mon_listener_exchange(); or the result is -EINPROGRESS, and
 * nothing was done or received.
 */
int mon_fast_act(struct mon_lookup *lookup, int act, int base, void *notification, size_t size,
		 int *sent);

/* Answer an open of what is not there with -ENOENT, if there is room for an fd.  As above. */
int mon_fast_missing(struct mon_lookup *lookup, void *notification, size_t size, int *sent);

/* ---- fastrun.c: plain calls whose decision is known, without Python ---- */

#define MON_RUN_CALLS   16   /* plain kinds of calls, at the most */
#define MON_RUN_HOWS    64   /* flags that one has, at the most */
#define MON_KEPT_PLACES 4096 /* decisions that are kept, at the most; a power of two */
#define MON_KEPT_NAME   232  /* names of more bytes are asked about each time */

/* What was said about a name. */
#define MON_SAID_NOTHING   0 /* it is to be looked up, and perhaps to be asked about */
#define MON_SAID_ALLOWED   1
#define MON_SAID_MISSING   2 /* that it is not there may be known */
#define MON_SAID_ELSEWHERE 3 /* the long way decides */

/* Why mon_fast_run() returned. */
#define MON_RUN_NOTHING  -1 /* nothing was received: run->received says why */
#define MON_RUN_RECEIVED -2 /* what was received last was not looked at */
#define MON_RUN_LEFT     -3 /* it is not plain, and was left as it was */
#define MON_RUN_STALE    -4 /* so it was, because the list of mounts is another */
#define MON_RUN_ASKS     -5 /* it was looked up, and is to be asked about */

/* How a call with these flags is looked up. */
struct mon_fast_how {
	uint32_t flags;
	uint32_t look; /* MON_LOOKUP_* */
};

/* The plain kind of one call; registers: -1: there is none. */
struct mon_fast_call {
	uint32_t arch;
	int32_t nr;
	int8_t path;
	int8_t directory;
	int8_t flags;
	int8_t buffer;     /* of a struct stat */
	uint8_t act;       /* MON_ACT_*; 0: an open or a stat */
	uint8_t argument;  /* the register behind the path */
	uint8_t question;  /* equal for calls of which the same is said */
	uint8_t how_count; /* what is not among hows is not plain */
	struct mon_fast_how hows[MON_RUN_HOWS];
};

/* What was said about one object; said 0: nothing. */
struct mon_fast_kept {
	uint64_t mount;
	uint32_t epoch;
	uint32_t length;
	uint8_t question;
	uint8_t kind;
	uint8_t said;
	char name[MON_KEPT_NAME];
};

/* Among which calls, and what was said; all memory is the caller's, zeroed first. */
struct mon_fast_run {
	struct mon_fast_object *object;
	void *notification; /* what was received last */
	size_t size;
	struct mon_fast_kept *kept; /* MON_KEPT_PLACES of them */
	uint32_t epoch;             /* what was kept under another one is forgotten */
	uint32_t further;           /* MON_LOOKUP_* for all look-ups */
	uint32_t call_count;
	int spreads; /* whether threads that call at the same time are woken on other CPUs */
	struct mon_fast_call calls[MON_RUN_CALLS];

	/* From here on it is filled in. */
	int answered;    /* calls, by this run; of the last of them */
	int sent;        /* is what became of its answer: 0 or -errno; of an open it is 0 */
	int received;    /* what mon_listener_receive() said when nothing was received */
	uint32_t length; /* of object->name */
	uint8_t question;
	uint8_t crowded; /* they are woken on other CPUs now */
	uint8_t counted; /* calls since it was last asked whether they should be; */
	uint8_t changes; /* those of them that another thread made than the one before */
	pid_t last;      /* the thread of the last one */
};

/*
 * Answer what was received last and what comes behind it, most calls at the most, while each is
 * plain and its decision known.  said: what was said about what is looked up and open, behind
 * MON_RUN_ASKS; else MON_SAID_NOTHING.
 *
 * Returns MON_RUN_*.  After MON_RUN_ASKS lookup->fd is open: another run with what was said
 * follows, or the caller closes it.  Sleeps as mon_fast_open() does.
 */
int mon_fast_run(struct mon_fast_run *run, struct mon_lookup *lookup, int said, int most);

/* ---- runner.c: a thread with a umask of its own ---- */

struct mon_errand;

/* One such thread; zeroed to begin with.  Its memory has to stay until mon_runner_serve() is over.
 */
struct mon_runner {
	uint32_t turn;
	int result;
	const struct mon_errand *errand;
};

/* Be that thread: 0 when it was told to end, or -errno: it cannot have a umask of its own. */
int mon_runner_serve(struct mon_runner *runner);

/* Tell it to end, also where it has not begun; nobody may ask it meanwhile or later. */
void mon_runner_end(struct mon_runner *runner);

/* ---- fastnames.c: the plainest calls that make, move and take away names ---- */

/* What has the name about which a call is; mode 0: nothing. */
struct mon_fast_entry {
	uint64_t device; /* major << 32 | minor */
	uint64_t inode;
	uint32_t mode;
};

/*
 * As mon_fast_look() with MON_LOOKUP_PARENT: lookup->fd is the directory.  The last component is
 * a name, with no slashes behind it (else -EXDEV).
 */
int mon_fast_look_entry(struct mon_lookup *lookup, const void *notification, int path_register,
			int directory_register, uint32_t flags, struct mon_fast_object *object);

/* What has a name in a directory; no link in its place is followed, and no file system asked. */
void mon_path_see(int directory, const char *name, struct mon_fast_entry *entry);

/* Look what has that name; the directory is on a file system that answers. */
void mon_fast_see(const struct mon_lookup *lookup, struct mon_fast_entry *entry);

/*
 * unlinkat(2), mkdirat(2), symlinkat(2) of the last component; renameat2(2) of two of them, flags 0
 * or RENAME_NOREPLACE; linkat(2) of an object to the last component of another.  Each answers,
 * receives, and closes what was looked up, as mon_fast_act() does; -EINPROGRESS also where the
 * name is not what was seen any more.
 */
int mon_fast_remove(struct mon_lookup *lookup, int flags, void *notification, size_t size,
		    int *sent);
int mon_fast_mkdir(struct mon_lookup *lookup, struct mon_runner *runner, unsigned int mode,
		   void *notification, size_t size, int *sent);
int mon_fast_symlink(struct mon_lookup *lookup, uint64_t text, void *notification, size_t size,
		     int *sent);
int mon_fast_rename(struct mon_lookup *old, const struct mon_fast_entry *seen,
		    struct mon_lookup *to, unsigned int flags, void *notification, size_t size,
		    int *sent);
int mon_fast_link(struct mon_lookup *old, struct mon_lookup *to, void *notification, size_t size,
		  int *sent);

/*
 * As mon_fast_open(), of an open that writes to what is there, or makes what is not, with the umask
 * of the thread.  Where the table of the thread is full nothing is emptied and nothing is made.
 */
int mon_fast_open_changing(struct mon_lookup *lookup, int flags, void *notification, size_t size,
			   int *number);
int mon_fast_create(struct mon_lookup *lookup, struct mon_runner *runner, int flags,
		    unsigned int mode, void *notification, size_t size, int *number);

/*
 * What the kernel says of the object that fd holds, an O_PATH fd or not, in its own layouts: struct
 * stat (144 bytes on x86_64), struct statx (256), struct statfs (120); and whether it may be used
 * (faccessat2(2), flags 0 or AT_EACCESS).  Each returns 0 or -errno, and sleeps as a file system
 * may.
 */
int mon_path_status(int fd, void *status);
int mon_path_statx(int fd, unsigned int flags, unsigned int mask, void *status);
int mon_path_statfs(int fd, void *status);
int mon_path_access(int fd, int mode, int flags);

/*
 * Entries of a directory, getdents64(2), or getdents(2) where old is set: how many bytes of them
 * are in the buffer, or -errno.  Moves the offset that fd has in common with its duplicates.
 */
int mon_path_entries(int fd, int old, void *buffer, unsigned int size);

/*
 * Give the calling thread a root, a working directory and a umask of its own (unshare(2),
 * CLONE_FS). Only for threads that do nothing else: what it changes, the rest of the process does
 * not see.
 */
int mon_unshare_fs(void);

/* ---- helper.c: what may sleep for ever is done by a process that can be told to stop ---- */

#define MON_HELPER_OPEN     1 /* open once more what fd holds */
#define MON_HELPER_TRUNCATE 2

#define MON_HELPER_WANTED    0
#define MON_HELPER_SIGNALLED 1 /* a signal was delivered to the thread that waits */
#define MON_HELPER_UNWANTED  2 /* nobody waits for it any more */
#define MON_HELPER_NONE      3 /* there can be no helper: nothing was done */

/* One operation on what fd holds, for a thread that waits. */
struct mon_helper {
	int listener;
	pid_t tid;
	uint64_t id;
	int proc;          /* O_PATH on a /proc of our pid namespace */
	int cancel;        /* readable: nobody waits for it; -1: nobody says */
	int heeds_signals; /* stop for a signal to tid; WAIT_KILLABLE_RECV only */
	int operation;     /* MON_HELPER_* */
	int fd;            /* O_PATH on the object, borrowed */
	int flags;         /* of open(2); close-on-exec anyway */
	int64_t length;    /* of truncate(2) */

	/* From here on it is filled in. */
	int why; /* it was told to stop: MON_HELPER_* */
};

/*
 * Do it with the rights, the root and the umask of the calling thread, which sleeps until it is
 * done, or has been told to stop and has; longer where a file system heeds no signal.
 *
 * Returns what the call does: an fd, ours to close, 0, or -errno.  -512 (-ERESTARTSYS): it was told
 * to stop, and has done nothing.  -EOWNERDEAD: it was killed.  No process and no memory is left.
 * With MON_HELPER_NONE as why, -errno is ours.
 */
int mon_helper_run(struct mon_helper *helper);

/* ---- changes.c: what was looked up is changed, by fd ---- */

/*
 * Names: directory is an fd on the directory, and name one component of it with the slashes that
 * may stand behind it; a link in its place is not followed.  mkdirat(2) and mknodat(2) have the
 * umask of the calling thread.  Each returns 0 or -errno, and sleeps as a file system may.
 */
int mon_change_mkdir(int directory, const char *name, unsigned int mode);
int mon_change_mknod(int directory, const char *name, unsigned int mode, unsigned int device);
int mon_change_unlink(int directory, const char *name, int flags);
int mon_change_rename(int from, const char *old, int to, const char *name, unsigned int flags);
int mon_change_link(int own_fds, int fd, int to, const char *name); /* of what fd holds itself */
int mon_change_symlink(const char *text, int directory, const char *name);

/*
 * What an O_PATH fd holds: mode, owner, times (struct timespec[2], NULL: now), attributes.
 * own_fds: O_PATH on /proc/self/fd.  Each returns 0 or -errno.  mon_change_times(): fd is one that
 * was opened, unless is_path.
 */
int mon_change_mode(int own_fds, int fd, unsigned int mode);
int mon_change_owner(int fd, unsigned int uid, unsigned int gid);
int mon_change_times(int fd, const void *times, int is_path);
int mon_change_attribute(int fd, const char *name, const void *value, size_t size, int flags);
int mon_change_no_attribute(int fd, const char *name);
int mon_change_file_attributes(int own_fds, int fd, const void *attributes, size_t size);

/* struct file_attr of what fd holds (file_getattr(2), Linux 6.17): 0 or -errno. */
int mon_path_file_attributes(int own_fds, int fd, void *attributes, size_t size);

/*
 * Watch what fd holds, by a duplicate of the target's inotify(7) or fanotify(7) descriptor.
 * fd: -1: nothing; then -EFAULT, unless the other arguments are refused before a path is looked at.
 * Returns what the call does (a watch descriptor, or 0), or -errno.
 */
int mon_watch_inotify(int inotify, int fd, unsigned int mask);
int mon_watch_fanotify(int fanotify, unsigned int flags, uint64_t mask, int fd);

/* ---- launch.c, child.c and guard.c: a program starts under a filter ---- */

/* The step of a launch that failed; LaunchStage in monitor/errors.py has the same names. */
enum mon_stage {
	MON_STAGE_PREPARE = 1,
	MON_STAGE_GUARD,
	MON_STAGE_CLONE,
	MON_STAGE_NAMESPACE_MAPS,
	MON_STAGE_MOUNT_PROPAGATION,
	MON_STAGE_SESSION,
	MON_STAGE_DIRECTORY,
	MON_STAGE_FILE_DESCRIPTORS,
	MON_STAGE_RESOURCE_LIMITS,
	MON_STAGE_GROUPS,
	MON_STAGE_GROUP_ID,
	MON_STAGE_USER_ID,
	MON_STAGE_PARENT_DEATH,
	MON_STAGE_NO_NEW_PRIVS,
	MON_STAGE_LANDLOCK,
	MON_STAGE_FILTER,
	MON_STAGE_LISTENER,
	MON_STAGE_EXEC,
};

/* One descriptor of the program: number there, source here. */
struct mon_fd {
	int source;
	int number;
};

struct mon_limit {
	int resource;
	uint64_t soft;
	uint64_t hard;
};

/* What is to be started.  Everything behind a pointer is borrowed until mon_launch() returns. */
struct mon_launch_request {
	const char *const *paths; /* tried in order, as execvp(3) does; ends with NULL */
	char *const *argv;
	char *const *envp;
	const char *directory; /* NULL: the caller's */
	const void *program;   /* struct sock_filter[program_length] */
	uint16_t program_length;
	uint64_t cookie[3];  /* the argument registers 3 to 5 of the launch's own calls */
	uint64_t namespaces; /* CLONE_NEW* */
	const char *uid_map; /* text for /proc/PID/uid_map, with CLONE_NEWUSER */
	const char *gid_map; /* likewise */
	int deny_setgroups;  /* write "deny" to /proc/PID/setgroups first */
	struct mon_fd *fds;  /* by rising number, no number twice; all other fds are closed */
	size_t fd_count;
	const struct mon_limit *limits;
	size_t limit_count;
	const uint32_t *groups;
	int64_t group_count; /* -1: leave them */
	int64_t uid;         /* -1: leave it */
	int64_t gid;         /* -1: leave it */
	int new_session;
	int no_new_privs; /* 0: the filter needs CAP_SYS_ADMIN after the ids were taken */
	int end_with_supervisor;
	uint64_t landlock_fs; /* what the domain handles and grants nowhere; all three 0: none */
	uint64_t landlock_net;
	uint64_t landlock_scoped;
	int use_cookie; /* hand the listener over by sendmsg(2) even if pidfd_getfd(2) would do */
	int cancel_fd;  /* readable: give up (-ECANCELED); -1: never */
};

/* What came of it.  On failure every fd is -1, no process is left, and stage says where. */
struct mon_launch_result {
	pid_t pid;
	int pidfd;
	int listener;
	int wait_killable; /* the kernel took SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (5.19) */
	int by_cookie;     /* the listener came by sendmsg(2), pidfd_getfd(2) being forbidden */
	int control;       /* to the guard: see MON_GUARD_* */
	pid_t guard_pid;
	int guard_pidfd;
	void *guard_stack;
	int stage;  /* enum mon_stage */
	int detail; /* the stage's path, fd or limit, by its index; on success the path */
};

/*
 * Start a program under a filter and fetch its listener.
 *
 * Sleeps until the program runs or has failed to: call it without the interpreter's lock, on any
 * thread.  The protocol, and why it is this one, is told in launch.c.  Returns 0 or -errno.
 */
int mon_launch(const struct mon_launch_request *request, struct mon_launch_result *result);

/* Messages to the guard over the control socket, one byte each. */
#define MON_GUARD_KILL   'K' /* kill every process of the tree, end when the last is gone */
#define MON_GUARD_DETACH 'D' /* end, and leave the tree alone */
#define MON_GUARD_BEGIN  'B' /* the launch is over: begin to reap (mon_launch() sends it) */

/*
 * Messages from the guard: the wait status of the first process (struct mon_guard_status), once;
 * then the end of the stream, when the whole tree is gone and so is the guard.
 */
struct mon_guard_status {
	int status; /* as waitpid(2) gives it */
};

/*
 * Reap the guard, and unmap its stack.  Sleeps until the guard has ended; the caller has seen the
 * end of its stream.  The stack is ours to map, because it must outlive the caller's interpreter.
 */
int mon_guard_release(int guard_pidfd, void *guard_stack);

/* ---- probe.c: features of the kernel are tried ---- */

#define MON_PROBES_MAX 64 /* in one call */

/* How a probe ended; the first means that it said nothing at all. */
enum mon_probe_outcome {
	MON_PROBE_NOT_STARTED, /* no process could be made for it: error */
	MON_PROBE_DONE,        /* error, and step, where it failed; or value */
	MON_PROBE_KILLED,      /* by the signal value */
	MON_PROBE_TIMED_OUT,
};

struct mon_probe {
	const char *name; /* as in the table of probe.c; all that follows is the answer */
	int outcome;      /* enum mon_probe_outcome */
	int step;
	int error; /* a positive errno, or 0 */
	int64_t value;
};

/*
 * Try features, each in a child of its own, all at the same time.
 *
 * cgroup is NULL, or the path of a control group that may be made, and is removed again.
 * Sleeps until all have ended, or the time is up and those that have not are killed: half a second
 * more at the most.  Whatever a probe does, nothing of it stays: no process, no fd, no signal, no
 * change of the caller.  Returns 0, -EINVAL: a name that is not in the table; or another -errno,
 * when no process could be made.
 */
int mon_probe(struct mon_probe *probes, size_t count, const char *cgroup, int milliseconds);

/* ---- process-wide: what the supervisor does to itself ---- */

/* Set or read PR_SET_DUMPABLE of the calling process. */
int mon_set_dumpable(int dumpable);
int mon_get_dumpable(void);

/* The Landlock ABI version of this kernel, or -errno (-ENOSYS, -EOPNOTSUPP: there is none). */
int mon_landlock_abi(void);

#endif
