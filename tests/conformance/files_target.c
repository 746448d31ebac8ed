/*
 * Makes the system calls that a script says, and writes down what came of them.
 *
 * The script is standard input, the answers go to standard output when
 * everything was done; both are written and read by files_script.py, which also
 * knows the fixed addresses.  A script has sequences; after each of them fds,
 * umask and the limit of fds are what they were before.
 *
 *     script:   u32 sequences; each: u32 calls; each: u32 nr, u32 watch, u64
 * arguments[6], u32 inputs, u32 outputs; input: u64 address, u32 size, bytes;
 * output: u64 address, u32 size answers:  u32 pid; for each call: i64 value or
 * -errno, the bytes of its outputs and, where a call that is watched gave an
 * fd, struct seen
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INPUT       ((char *)0x20000000)
#define INPUT_SIZE  0x10000
#define OUTPUT      ((char *)0x20100000)
#define OUTPUT_SIZE 0x20000
#define READ_ONLY   ((char *)0x20200000)
#define HIDDEN      ((char *)0x20400000)

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#define FIRST_KEPT 100
#define ANSWERS    106
#define UNTOUCHED  0xA5

struct seen {
	int32_t flags;
	int32_t descriptor_flags;
	int32_t error;
	int32_t count;
	char text[24];
	char status[144];
};

static char *script, *answers;
static size_t answered, room;

static void die(const char *what)
{
	perror(what);
	_exit(99);
}

static void *take(size_t size)
{
	char *here = script;

	script += size;
	return here;
}

static uint32_t take_u32(void)
{
	uint32_t value;

	memcpy(&value, take(sizeof(value)), sizeof(value));
	return value;
}

static uint64_t take_u64(void)
{
	uint64_t value;

	memcpy(&value, take(sizeof(value)), sizeof(value));
	return value;
}

static void answer(const void *data, size_t size)
{
	if (answered + size > room) {
		room = 2 * (room + size);
		answers = realloc(answers, room);
		if (!answers)
			die("realloc");
	}
	memcpy(answers + answered, data, size);
	answered += size;
}

static void map(char *address, size_t size, int protection)
{
	if (mmap(address, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		 0) != address)
		die("mmap");
}

static void keep(int fd, int number)
{
	if (fd < 0 || dup3(fd, number, O_CLOEXEC) < 0)
		die("a descriptor");
	close(fd);
}

/* One of every kind that has no name; what one sequence did to them, the next does not see. */
static void make_kept(void)
{
	int fds[2];

	for (int fd = 0; fd < 3; fd++)
		keep(memfd_create("standard", 0), fd);
	if (pipe(fds) < 0)
		die("pipe");
	keep(fds[0], 100);
	keep(fds[1], 101);
	keep(socket(AF_UNIX, SOCK_STREAM, 0), 102);
	keep(memfd_create("a memfd", 0), 103);
	keep(eventfd(0, 0), 104);
	keep(inotify_init1(0), 107);
	keep((int)syscall(SYS_fanotify_init, FAN_REPORT_FID, 0), 108);
}

static void read_script(void)
{
	struct stat status;
	size_t done = 0;

	if (fstat(0, &status) < 0)
		die("fstat");
	script = malloc((size_t)status.st_size + 1);
	while (done < (size_t)status.st_size) {
		ssize_t count = read(0, script + done, (size_t)status.st_size - done);

		if (count <= 0)
			die("read");
		done += (size_t)count;
	}
}

/* What can be known of a new fd. */
static void look_at(int fd)
{
	struct seen seen;

	memset(&seen, 0, sizeof(seen));
	seen.flags = fcntl(fd, F_GETFL);
	seen.descriptor_flags = fcntl(fd, F_GETFD);
	seen.error = syscall(SYS_fstat, fd, seen.status) < 0 ? errno : 0;
	seen.count = (int32_t)pread(fd, seen.text, sizeof(seen.text), 0);
	if (seen.count < 0)
		seen.count = -errno;
	answer(&seen, sizeof(seen));
}

/* Whether an fd, AT_FDCWD too, is of something in /proc that does not belong to a process. */
static int is_of_all(int fd)
{
	char link[32] = "/proc/self/cwd", text[64];
	ssize_t length;

	if (fd != AT_FDCWD)
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, text, sizeof(text) - 1);
	if (length < 5 || memcmp(text, "/proc", 5) != 0)
		return 0;
	text[length] = 0;
	return length < 7 || text[6] < '0' || text[6] > '9';
}

static int leads_to_all(int directory, const char *path, int flags)
{
	int fd = openat(directory, path, O_PATH | O_CLOEXEC | flags), found;

	if (fd < 0) /* without a path it is the directory; without room nobody knows */
		return errno == EMFILE || (errno == ENOENT && is_of_all(directory));
	found = is_of_all(fd);
	close(fd);
	return found;
}

/* Whether it would change modes, owners or times for the whole machine (proc_setattr()). */
static int is_not_for_us(uint32_t nr, const uint64_t *a)
{
	int directory = AT_FDCWD;
	const char *path = (const char *)(uintptr_t)a[0];

	switch (nr) {
	case SYS_fchmod:
	case SYS_fchown:
		return is_of_all((int)a[0]);
	case SYS_utimensat:
	case SYS_futimesat:
		if (!a[1])
			return is_of_all((int)a[0]);
		/* fall through */
	case SYS_fchmodat:
	case SYS_fchmodat2:
	case SYS_fchownat:
		directory = (int)a[0];
		path = (const char *)(uintptr_t)a[1];
		break;
	case SYS_chmod:
	case SYS_chown:
	case SYS_lchown:
	case SYS_utime:
	case SYS_utimes:
		break;
	default:
		return 0;
	}
	return leads_to_all(directory, path, 0) || leads_to_all(directory, path, O_NOFOLLOW);
}

static void make_call(void)
{
	uint32_t nr = take_u32(), watch = take_u32(), inputs, outputs;
	uint64_t a[6];
	char *regions;
	int64_t value;

	for (int i = 0; i < 6; i++)
		a[i] = take_u64();
	inputs = take_u32();
	outputs = take_u32();
	while (inputs--) {
		char *address = (char *)(uintptr_t)take_u64();
		uint32_t size = take_u32();

		memcpy(address, take(size), size);
	}
	regions = script;
	for (uint32_t i = 0; i < outputs; i++) {
		char *address = (char *)(uintptr_t)take_u64();

		memset(address, UNTOUCHED, take_u32());
	}
	value = -1;
	errno = EPERM;
	if (!is_not_for_us(nr, a))
		value = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (value < 0)
		value = -errno;
	answer(&value, sizeof(value));
	script = regions;
	while (outputs--) {
		char *address = (char *)(uintptr_t)take_u64();

		answer(address, take_u32());
	}
	if (watch && value >= 0)
		look_at((int)value);
}

int main(void)
{
	uint32_t pid = (uint32_t)getpid(), sequences;
	struct rlimit limit;
	size_t done = 0;

	map(INPUT, INPUT_SIZE, PROT_READ | PROT_WRITE);
	map(OUTPUT, OUTPUT_SIZE, PROT_READ | PROT_WRITE);
	map(READ_ONLY, 4096, PROT_READ);
	map(HIDDEN, 4096, PROT_NONE);
	read_script();
	if (dup3(1, ANSWERS, O_CLOEXEC) < 0)
		die("dup3");
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max = 1024; /* as the scripts have it */
	umask(022);
	answer(&pid, sizeof(pid));
	for (sequences = take_u32(); sequences; sequences--) {
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			die("setrlimit");
		make_kept();
		for (uint32_t calls = take_u32(); calls; calls--)
			make_call();
		umask(022);
		prctl(PR_SET_NAME, "files_target"); /* which can be written to in /proc */
		close_range(3, FIRST_KEPT - 1, 0);
		close_range(ANSWERS - 1, ANSWERS - 1, 0); /* the scripts put it there */
		close_range(ANSWERS + 1, ~0U, 0);
	}
	while (done < answered) {
		ssize_t count = pwrite(ANSWERS, answers + done, answered - done, (off_t)done);

		if (count <= 0)
			die("write");
		done += (size_t)count;
	}
	return 0;
}
