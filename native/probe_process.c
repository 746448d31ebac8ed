/*
 * Probes of what a process may do to another one, and to itself.
 *
 * What it is not: a question to a file of /proc/sys that says what would be allowed; each of these
 * does it, to a child of its own.
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* What "seccomp-monitor run" has open at its height, next to the standard three. */
#define FDS_ENOUGH 18

int64_t probe_processes(struct probe_slot *slot)
{
	pid_t pid = probe_fork(slot, 0);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? pid : probe_reap(pid);
}

/* The soft limit, if so many fds as a launch needs can be had. */
int64_t probe_open_files(struct probe_slot *slot)
{
	struct rlimit limit;
	int ends[2];

	(void)slot;
	if (pipe(ends) < 0)
		return -errno;
	for (int count = 2; count < FDS_ENOUGH; count++)
		if (dup(ends[0]) < 0)
			return -errno;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	return limit.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
}

int64_t probe_capabilities(struct probe_slot *slot)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	(void)slot;
	if (syscall(__NR_capget, &header, data) < 0)
		return -errno;
	return (int64_t)((uint64_t)data[1].effective << 32 | data[0].effective);
}

/* ---- pidfds ---- */

static int open_pidfd(pid_t pid, unsigned flags)
{
	int fd = (int)syscall(__NR_pidfd_open, pid, flags);

	return fd < 0 ? -errno : fd;
}

/* Steps: pidfd_open(2), pidfd_send_signal(2), poll(2), waitid(2). */
int64_t probe_pidfd_open(struct probe_slot *slot)
{
	pid_t pid = probe_fork_sleeper(slot);
	struct pollfd pfd = {.events = POLLIN};
	siginfo_t info;

	if (pid < 0)
		return pid;
	pfd.fd = open_pidfd(pid, 0);
	if (pfd.fd < 0)
		return pfd.fd;
	slot->step++;
	if (syscall(__NR_pidfd_send_signal, pfd.fd, SIGKILL, NULL, 0) < 0)
		return -errno;
	slot->step++;
	if (poll(&pfd, 1, -1) < 0)
		return -errno;
	slot->step++;
	return waitid(P_PIDFD, (id_t)pfd.fd, &info, WEXITED) < 0 ? -errno : 0;
}

/* Steps: pidfd_open(2), pidfd_getfd(2).  What is taken is the write end of a pipe, and works. */
int64_t probe_pidfd_getfd(struct probe_slot *slot)
{
	int ends[2], pidfd, fd;
	pid_t pid;
	char byte;

	if (pipe(ends) < 0)
		return -errno;
	pid = probe_fork_sleeper(slot);
	if (pid < 0)
		return pid;
	close(ends[1]);
	pidfd = open_pidfd(pid, 0);
	if (pidfd < 0)
		return pidfd;
	slot->step++;
	fd = (int)syscall(__NR_pidfd_getfd, pidfd, ends[1], 0);
	if (fd < 0)
		return -errno;
	return write(fd, "", 1) == 1 && read(ends[0], &byte, 1) == 1 ? 0 : -EPROTO;
}

/* A thread that sleeps until its process ends.  It has no libc's thread data: it touches none. */
static int sleep_in_thread(void *argument)
{
	(void)argument;
	for (;;)
		(void)pause();
	return 0;
}

/* Steps: clone(2), pidfd_open(2). */
int64_t probe_pidfd_thread(struct probe_slot *slot)
{
	static char stack[16384] __attribute__((aligned(16)));
	int pid = clone(sleep_in_thread, stack + sizeof(stack),
			CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, NULL);
	int pidfd;

	if (pid < 0)
		return -errno;
	slot->step++;
	pidfd = open_pidfd(pid, PIDFD_THREAD);
	return pidfd < 0 ? pidfd : 0;
}

/* ---- memory ---- */

int64_t probe_process_vm_readv(struct probe_slot *slot)
{
	pid_t pid = probe_fork_sleeper(slot);
	uint64_t found = 0;
	struct iovec here = {&found, sizeof(found)};
	struct iovec there = {(void *)(uintptr_t)&probe_secret, sizeof(probe_secret)};

	if (pid < 0)
		return pid;
	if (process_vm_readv(pid, &here, 1, &there, 1, 0) < 0)
		return -errno;
	return found == PROBE_SECRET ? 0 : -EPROTO;
}

/* Steps: open(2), reading, writing. */
int64_t probe_proc_mem(struct probe_slot *slot)
{
	pid_t pid = probe_fork_sleeper(slot);
	off_t at = (off_t)(uintptr_t)&probe_secret;
	uint64_t found = 0;
	char path[64];
	int fd;

	if (pid < 0)
		return pid;
	probe_proc_path(path, sizeof(path), pid, "mem");
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	slot->step++;
	if (pread(fd, &found, sizeof(found), at) < 0)
		return -errno;
	if (found != PROBE_SECRET)
		return -EPROTO;
	slot->step++;
	found++;
	if (pwrite(fd, &found, sizeof(found), at) < 0)
		return -errno;
	return pread(fd, &found, sizeof(found), at) > 0 && found == PROBE_SECRET + 1 ? 0 : -EPROTO;
}

/* ---- what a process does to itself ---- */

/* Steps: off, on. */
int64_t probe_dumpable(struct probe_slot *slot)
{
	if (mon_set_dumpable(0) < 0)
		return -errno;
	if (mon_get_dumpable() != 0)
		return -EPROTO;
	slot->step++;
	if (mon_set_dumpable(1) < 0)
		return -errno;
	return mon_get_dumpable() == 1 ? 0 : -EPROTO;
}

/* 1: it was set before, and so it is for all that we start. */
int64_t probe_no_new_privs(struct probe_slot *slot)
{
	int before = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);

	(void)slot;
	if (before < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? before : -EPROTO;
}

/* The mode: 0, or 2 under a filter. */
int64_t probe_own_seccomp(struct probe_slot *slot)
{
	int mode = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);

	(void)slot;
	return mode < 0 ? -errno : mode;
}

/* ---- user namespaces ---- */

static int write_file(pid_t pid, const char *leaf, const char *text, size_t length)
{
	char path[64];
	ssize_t count;
	int fd, error;

	probe_proc_path(path, sizeof(path), pid, leaf);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	count = write(fd, text, length);
	error = errno;
	close(fd);
	return count < 0 ? -error : 0;
}

/* "0 ID 1": what is root inside is us outside. */
static size_t map_text(char *text, uint32_t id)
{
	char digits[16];
	size_t count = 0, at = 2;

	text[0] = '0';
	text[1] = ' ';
	do
		digits[count++] = (char)('0' + id % 10);
	while ((id /= 10) > 0);
	while (count > 0)
		text[at++] = digits[--count];
	text[at++] = ' ';
	text[at++] = '1';
	text[at++] = '\n';
	return at;
}

static int write_maps(pid_t pid)
{
	char text[32];
	int error = write_file(pid, "setgroups", "deny", 4);

	if (error == 0)
		error = write_file(pid, "uid_map", text, map_text(text, geteuid()));
	if (error == 0)
		error = write_file(pid, "gid_map", text, map_text(text, getegid()));
	return error;
}

/* The child, once it has its maps: is its root allowed what root is?  AppArmor may say no. */
static void __attribute__((noreturn)) use_namespace(struct probe_slot *slot)
{
	PROBE_STORE(slot->ready, 1);
	while (!PROBE_LOAD(slot->order))
		(void)sched_yield();
	slot->word = syscall(__NR_unshare, CLONE_NEWNS) < 0 ? -errno : 0;
	_exit(0);
}

/* Steps: clone(2), the maps, unshare(2) inside. */
int64_t probe_user_namespaces(struct probe_slot *slot)
{
	pid_t pid;
	int error;

	/* The map files of a process that is not dumpable belong to root, proc(5). */
	(void)mon_set_dumpable(1);
	pid = probe_fork(slot, CLONE_NEWUSER);
	if (pid == 0)
		use_namespace(slot);
	if (pid < 0)
		return pid;
	slot->step++;
	probe_await_ready(slot);
	error = write_maps(pid);
	if (error < 0)
		return error;
	slot->step++;
	PROBE_STORE(slot->order, 1);
	error = probe_reap(pid);
	return error < 0 ? error : slot->word;
}
