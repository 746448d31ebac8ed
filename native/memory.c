/*
 * The memory of a waiting thread, and a signal to its process.
 *
 * What it is: reads through /proc/TID/mem, writes through process_vm_writev(2), each tied to the
 * notification by one look at its id.  What it is not: decoding.
 *
 * Why reads go through a file opened for each: process_vm_readv(2) is a microsecond faster, but a
 * page that the target serves by userfaultfd(2) stops it until the target dies, while
 * /proc/TID/mem answers EIO at once.  And why the file is not kept: an open file is bound to an
 * address space, not to a thread.  A vfork(2) child has its parent's until it executes a program
 * and then another one, while the parent's lives on: a kept file would go on reading the parent,
 * and nothing would say so.  Opened while the thread waits, and the id looked at afterwards, it is
 * the address space of the call.
 *
 * /proc/TID/mem reads through PROT_NONE (FOLL_FORCE), where the kernel would say EFAULT to the
 * target: a target sees a call succeed that would have failed, and gains nothing it had not.
 */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE_BYTES 4096u /* the smallest page Linux has: a chunk never crosses one */

static void proc_path(char *path, size_t size, pid_t tid, const char *leaf)
{
	(void)snprintf(path, size, "/proc/%d/%s", (int)tid, leaf);
}

static int open_memory(pid_t tid)
{
	char path[64];
	int fd;

	if (tid <= 0) /* 0: a thread outside our pid namespace, pid_namespaces(7) */
		return -EACCES;
	proc_path(path, sizeof(path), tid, "mem");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH ? -ENOENT : -errno;
	return fd;
}

/* What a failed access means: the thread is gone, or the reason that is given. */
static ssize_t gone_or(int listener, uint64_t id, ssize_t reason)
{
	return mon_listener_id_valid(listener, id) < 0 ? -ENOENT : reason;
}

/* Read what can be read of size bytes; a count, or -EFAULT if that is none. */
static ssize_t read_some(int memory, uint64_t address, char *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t count = pread(memory, buffer + done, size - done, (off_t)(address + done));

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		done += (size_t)count;
	}
	return done == 0 && size > 0 ? -EFAULT : (ssize_t)done;
}

ssize_t mon_target_read(int listener, uint64_t id, pid_t tid, uint64_t address, void *buffer,
			size_t size)
{
	int memory = open_memory(tid);
	ssize_t count;

	if (memory < 0)
		return gone_or(listener, id, memory);
	count = read_some(memory, address, buffer, size);
	close(memory);
	return gone_or(listener, id, count);
}

/* As mon_target_read_string(), from an open file and without the look at the id. */
static ssize_t read_string(int memory, uint64_t address, char *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t chunk = PAGE_BYTES - (size_t)((address + done) % PAGE_BYTES);
		ssize_t count;
		const char *end;

		if (chunk > size - done)
			chunk = size - done;
		count = read_some(memory, address + done, buffer + done, chunk);
		if (count < 0)
			return count;
		end = memchr(buffer + done, 0, (size_t)count);
		if (end)
			return end - buffer;
		done += (size_t)count;
		if ((size_t)count < chunk)
			return -EFAULT;
	}
	return -ENAMETOOLONG;
}

ssize_t mon_target_read_string(int listener, uint64_t id, pid_t tid, uint64_t address, char *buffer,
			       size_t size)
{
	int memory = open_memory(tid);
	ssize_t length;

	if (memory < 0)
		return gone_or(listener, id, memory);
	length = read_string(memory, address, buffer, size);
	close(memory);
	return gone_or(listener, id, length);
}

/*
 * How much of a range can be touched, found by reading a byte of each page through the file that
 * cannot be made to wait: so that process_vm_writev(2) does not meet a page that userfaultfd(2)
 * has yet to fill.  Returns a size, or -errno.
 */
static ssize_t reachable(pid_t tid, uint64_t address, size_t size)
{
	int memory = open_memory(tid);
	size_t done = 0;
	char byte;

	if (memory < 0)
		return memory;
	while (done < size && read_some(memory, address + done, &byte, 1) == 1)
		done += PAGE_BYTES - (size_t)((address + done) % PAGE_BYTES);
	close(memory);
	if (done == 0 && size > 0)
		return -EFAULT;
	return (ssize_t)(done < size ? done : size);
}

ssize_t mon_target_write(int listener, uint64_t id, pid_t tid, uint64_t address, const void *buffer,
			 size_t size)
{
	ssize_t length = reachable(tid, address, size);
	struct iovec here = {.iov_base = (void *)(uintptr_t)buffer};
	struct iovec there = {.iov_base = (void *)(uintptr_t)address};
	ssize_t count;

	if (length < 0)
		return gone_or(listener, id, length);
	if (mon_listener_id_valid(listener, id) < 0)
		return -ENOENT;
	here.iov_len = there.iov_len = (size_t)length;
	count = process_vm_writev(tid, &here, 1, &there, 1, 0);
	if (count < 0)
		return gone_or(listener, id, errno == ESRCH ? -ENOENT : -errno);
	return count;
}

/* The process id of a thread (proc_pid_status(5), Tgid), or -errno. */
static pid_t process_of(pid_t tid)
{
	char path[64], text[1024];
	const char *line;
	ssize_t count;
	int fd;

	proc_path(path, sizeof(path), tid, "status");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	count = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (count <= 0)
		return -ESRCH;
	text[count] = 0;
	line = strstr(text, "\nTgid:");
	return line ? (pid_t)strtol(line + 6, NULL, 10) : -ESRCH;
}

/* A pidfd of the thread's process; before Linux 6.9 only leaders can be opened. */
static int open_process(pid_t tid, unsigned int *signal_flags)
{
	long fd = syscall(__NR_pidfd_open, tid, PIDFD_THREAD);

	*signal_flags = PIDFD_SIGNAL_THREAD_GROUP;
	if (fd < 0 && errno == EINVAL) {
		pid_t leader = process_of(tid);

		if (leader < 0)
			return leader;
		*signal_flags = 0;
		fd = syscall(__NR_pidfd_open, leader, 0);
	}
	return fd < 0 ? -errno : (int)fd;
}

int mon_target_kill(int listener, uint64_t id, pid_t tid, int signal)
{
	unsigned int flags;
	int pidfd, result;

	if (tid <= 0)
		return -EPERM;
	pidfd = open_process(tid, &flags);
	if (pidfd < 0)
		return (int)gone_or(listener, id, pidfd);
	result = mon_listener_id_valid(listener, id);
	if (result == 0 && syscall(__NR_pidfd_send_signal, pidfd, signal, NULL, flags) < 0)
		result = errno == ESRCH ? -ENOENT : -errno;
	close(pidfd);
	return result;
}
