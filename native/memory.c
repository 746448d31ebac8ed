/*
 * The memory of a waiting thread, and a signal to its process.
 *
 * What it is: reads and writes through /proc/TID/mem, each tied to the notification by one look
 * at its id.  What it is not: decoding.
 *
 * Why through that file, and not process_vm_readv(2) and process_vm_writev(2), which are a
 * microsecond faster: a page that the target has given to userfaultfd(2), missing or locked
 * against writing, stops those until the target dies, while /proc/TID/mem answers EIO at once.
 * And why the file is opened each time: an open file is bound to an address space, not to a
 * thread.  A vfork(2) child has its parent's until it executes a program and then another one,
 * while the parent's lives on: a kept file would go on reading the parent, and nothing would say
 * so.  Opened while the thread waits, and the id looked at afterwards, it is the address space of
 * the call, whoever gets the thread's number later.
 *
 * /proc/TID/mem ignores protection (FOLL_FORCE).  For reads that stays: through PROT_NONE, where
 * the kernel would say EFAULT to the target, it sees a call succeed that would have failed, and
 * gains nothing it had not.  Writes look at the mappings first.
 *
 * What only people will read may be read by the faster call (mon_target_peek): a page that a
 * privileged target keeps from being read holds up nothing but its own trace.
 */
#include "memory.h"

#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE_BYTES  4096u /* the smallest page Linux has: a chunk never crosses one */
#define STRING_STEP 256u  /* most strings are shorter, and copying a page is not free */

/* Not by snprintf(3): this is done for each call that is answered. */
static void proc_path(char *path, size_t size, pid_t tid, const char *leaf)
{
	size_t length = strlen(leaf);
	char *end;

	memcpy(path, "/proc/", sizeof("/proc/"));
	end = mon_decimal(path + strlen("/proc/"), (uint32_t)tid);
	*end++ = '/';
	if (length >= size - (size_t)(end - path))
		length = size - (size_t)(end - path) - 1; /* no leaf here is so long */
	memcpy(end, leaf, length);
	end[length] = 0;
}

/* Why a file of a thread could not be opened; ESRCH: it has ended, and is not yet gone. */
static int opening_failed(void)
{
	return errno == ENOENT || errno == ESRCH ? -ENOENT : -errno;
}

static int open_proc(pid_t tid, const char *leaf, int flags)
{
	char path[64];
	int fd;

	if (tid <= 0) /* 0: a thread outside our pid namespace, pid_namespaces(7) */
		return -EACCES;
	proc_path(path, sizeof(path), tid, leaf);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? opening_failed() : fd;
}

/* What a failed access means: the thread is gone, or the reason that is given. */
ssize_t mon_gone_or(int listener, uint64_t id, ssize_t reason)
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
	int memory = open_proc(tid, "mem", O_RDONLY);
	ssize_t count;

	if (memory < 0)
		return mon_gone_or(listener, id, memory);
	count = read_some(memory, address, buffer, size);
	close(memory);
	return mon_gone_or(listener, id, count);
}

/* As mon_target_read_string(), from an open file and without the look at the id. */
static ssize_t read_string(int memory, uint64_t address, char *buffer, size_t size)
{
	size_t done = 0, step = STRING_STEP;

	while (done < size) {
		size_t chunk = PAGE_BYTES - (size_t)((address + done) % PAGE_BYTES);
		ssize_t count;
		const char *end;

		if (chunk > size - done)
			chunk = size - done;
		if (chunk > step)
			chunk = step;
		count = read_some(memory, address + done, buffer + done, chunk);
		if (count < 0)
			return count;
		end = memchr(buffer + done, 0, (size_t)count);
		if (end)
			return end - buffer;
		done += (size_t)count;
		if ((size_t)count < chunk)
			return -EFAULT;
		step = PAGE_BYTES;
	}
	return -ENAMETOOLONG;
}

static ssize_t read_string_of(int memory, uint64_t address, char *buffer, size_t size)
{
	ssize_t length;

	if (memory < 0)
		return memory;
	length = read_string(memory, address, buffer, size);
	close(memory);
	return length;
}

ssize_t mon_memory_string(int proc, pid_t tid, uint64_t address, char *buffer, size_t size)
{
	char path[MON_DIGITS + sizeof("/mem")];
	int memory;

	if (tid <= 0) /* 0: a thread outside our pid namespace, pid_namespaces(7) */
		return -EACCES;
	memcpy(mon_decimal(path, (uint32_t)tid), "/mem", sizeof("/mem"));
	memory = openat(proc, path, O_RDONLY | O_CLOEXEC);
	return read_string_of(memory < 0 ? opening_failed() : memory, address, buffer, size);
}

ssize_t mon_target_read_string(int listener, uint64_t id, pid_t tid, uint64_t address, char *buffer,
			       size_t size)
{
	return mon_gone_or(listener, id,
			   read_string_of(open_proc(tid, "mem", O_RDONLY), address, buffer, size));
}

ssize_t mon_target_peek(pid_t tid, uint64_t address, void *buffer, size_t size)
{
	size_t head = PAGE_BYTES - (size_t)(address % PAGE_BYTES);
	struct iovec local = {.iov_base = buffer, .iov_len = size};
	struct iovec remote[2] = {
		/* One that crosses a page is all or nothing, process_vm_readv(2). */
		{.iov_base = (void *)(uintptr_t)address, .iov_len = head < size ? head : size},
		{.iov_base = (void *)(uintptr_t)(address + head),
		 .iov_len = head < size ? size - head : 0},
	};
	ssize_t count;

	if (tid <= 0) /* 0: a thread outside our pid namespace, pid_namespaces(7) */
		return -EACCES;
	count = process_vm_readv(tid, &local, 1, remote, 2, 0);
	if (count < 0)
		return errno == ESRCH ? -ENOENT : -errno;
	return count == 0 && size > 0 ? -EFAULT : count;
}

ssize_t mon_target_peek_string(pid_t tid, uint64_t address, char *buffer, size_t size)
{
	size_t done = 0, step = STRING_STEP;

	while (done < size) {
		size_t chunk = PAGE_BYTES - (size_t)((address + done) % PAGE_BYTES);
		ssize_t count;
		const char *end;

		if (chunk > size - done)
			chunk = size - done;
		if (chunk > step)
			chunk = step;
		count = mon_target_peek(tid, address + done, buffer + done, chunk);
		if (count < 0)
			return count;
		end = memchr(buffer + done, 0, (size_t)count);
		if (end)
			return end - buffer;
		done += (size_t)count;
		if ((size_t)count < chunk)
			return -EFAULT;
		step = PAGE_BYTES;
	}
	return -ENAMETOOLONG;
}

/* What was understood so far of /proc/TID/maps, of which a read may end anywhere in a line. */
struct maps {
	enum { MAPS_START, MAPS_END, MAPS_READABLE, MAPS_WRITABLE, MAPS_REST } field;
	uint64_t start;
	uint64_t end;
	uint64_t reached; /* writable up to here */
	int done;         /* the mapping at reached cannot be written to, or there is none */
};

static void map_known(struct maps *maps, int writable)
{
	if (maps->end <= maps->reached)
		return;
	if (maps->start > maps->reached || !writable)
		maps->done = 1;
	else
		maps->reached = maps->end;
}

static uint64_t with_hex_digit(uint64_t number, char digit)
{
	return number << 4 | (uint64_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* Take one byte of lines such as "00400000-00452000 r-xp ..." (proc_pid_maps(5)). */
static void maps_take(struct maps *maps, char byte)
{
	switch (maps->field) {
	case MAPS_START:
		if (byte == '-')
			maps->field = MAPS_END;
		else
			maps->start = with_hex_digit(maps->start, byte);
		break;
	case MAPS_END:
		if (byte == ' ')
			maps->field = MAPS_READABLE;
		else
			maps->end = with_hex_digit(maps->end, byte);
		break;
	case MAPS_READABLE:
		maps->field = MAPS_WRITABLE;
		break;
	case MAPS_WRITABLE:
		map_known(maps, byte == 'w');
		maps->field = MAPS_REST;
		break;
	case MAPS_REST:
		if (byte == '\n') {
			maps->field = MAPS_START;
			maps->start = maps->end = 0;
		}
		break;
	}
}

/* How far the thread could write from an address on, told by the text of its maps. */
static uint64_t writable_by_text(int fd, uint64_t address, uint64_t limit)
{
	struct maps maps = {.field = MAPS_START, .reached = address};
	char text[4096];

	while (!maps.done && maps.reached < limit) {
		ssize_t count = read(fd, text, sizeof(text));

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		for (ssize_t i = 0; i < count && !maps.done && maps.reached < limit; i++)
			maps_take(&maps, text[i]);
	}
	return maps.reached;
}

/* The same, told by one question for each mapping; -errno: it is not answered (Linux 6.11). */
static int writable_by_query(int fd, uint64_t *reached, uint64_t limit)
{
	while (*reached < limit) {
		struct mon_procmap_query query = {.size = sizeof(query),
						  .query_flags = MON_PROCMAP_WRITABLE,
						  .query_addr = *reached};

		if (ioctl(fd, MON_PROCMAP_QUERY, &query) < 0) {
			if (errno == EINTR)
				continue;
			return errno == ENOENT ? 0 : -errno; /* no such mapping is there */
		}
		*reached = query.vma_end;
	}
	return 0;
}

/* How much of a range the thread itself could write to; -EFAULT: nothing. */
static ssize_t writable_size(pid_t tid, uint64_t address, size_t size)
{
	uint64_t limit = address + size < address ? UINT64_MAX : address + size;
	uint64_t reached = address;
	int fd = open_proc(tid, "maps", O_RDONLY);

	if (fd < 0)
		return fd;
	if (writable_by_query(fd, &reached, limit) < 0)
		reached = writable_by_text(fd, address, limit);
	close(fd);
	if (reached == address && size > 0)
		return -EFAULT;
	return (ssize_t)((reached < limit ? reached : limit) - address);
}

/* Write what can be written of size bytes; a count, or -EFAULT if that is none. */
static ssize_t write_some(int memory, uint64_t address, const char *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t count = pwrite(memory, buffer + done, size - done, (off_t)(address + done));

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		done += (size_t)count;
	}
	return done == 0 && size > 0 ? -EFAULT : (ssize_t)done;
}

ssize_t mon_target_write(int listener, uint64_t id, pid_t tid, uint64_t address, const void *buffer,
			 size_t size)
{
	ssize_t count = writable_size(tid, address, size);
	int memory;

	if (count < 0)
		return mon_gone_or(listener, id, count);
	memory = open_proc(tid, "mem", O_WRONLY);
	if (memory < 0)
		return mon_gone_or(listener, id, memory);
	/* The file leads to one address space for ever: now it is known to be the right one. */
	if (mon_listener_id_valid(listener, id) == 0)
		count = write_some(memory, address, buffer, (size_t)count);
	else
		count = -ENOENT;
	close(memory);
	return count < 0 ? mon_gone_or(listener, id, count) : count;
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
		return (int)mon_gone_or(listener, id, pidfd);
	result = mon_listener_id_valid(listener, id);
	if (result == 0 && syscall(__NR_pidfd_send_signal, pidfd, signal, NULL, flags) < 0)
		result = errno == ESRCH ? -ENOENT : -errno;
	close(pidfd);
	return result;
}

int mon_target_fd(int listener, uint64_t id, pid_t tid, int fd)
{
	int pidfd, result;
	long got;

	if (tid <= 0)
		return -EPERM;
	pidfd = (int)syscall(__NR_pidfd_open, tid, PIDFD_THREAD);
	if (pidfd < 0)
		return (int)mon_gone_or(listener, id, -errno);
	got = syscall(__NR_pidfd_getfd, pidfd, fd, 0);
	result = got < 0 ? -errno : (int)got;
	close(pidfd);
	/* The file is this thread's, or nobody's. */
	if (mon_listener_id_valid(listener, id) == 0)
		return result;
	if (result >= 0)
		close(result);
	return -ENOENT;
}
