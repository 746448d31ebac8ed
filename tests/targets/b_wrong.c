/*
 * Makes every call that has a path with every address, descriptor and buffer
 * that is wrong, and prints what came of each: its value, or the errno.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct call {
	const char *name;
	int number;
	int directory; /* the register of the directory, or -1 */
	int path;
	int buffer; /* that of the result, or -1 */
	long others[6];
};

/* Registers that are not named are those of an innocent call. */
static const struct call CALLS[] = {
	{"open", SYS_open, -1, 0, -1, {0}},
	{"open O_CREAT", SYS_open, -1, 0, -1, {0, O_CREAT | O_EXCL | O_WRONLY, 0600}},
	{"creat", SYS_creat, -1, 0, -1, {0, 0600}},
	{"openat", SYS_openat, 0, 1, -1, {0}},
	{"openat O_PATH", SYS_openat, 0, 1, -1, {0, 0, O_PATH}},
	{"openat2", SYS_openat2, 0, 1, 2, {0, 0, 0, 24}},
	{"openat2 0", SYS_openat2, 0, 1, 2, {0, 0, 0, 0}},
	{"openat2 4097", SYS_openat2, 0, 1, 2, {0, 0, 0, 4097}},
	{"stat", SYS_stat, -1, 0, 1, {0}},
	{"lstat", SYS_lstat, -1, 0, 1, {0}},
	{"newfstatat", SYS_newfstatat, 0, 1, 2, {0}},
	{"newfstatat EMPTY", SYS_newfstatat, 0, 1, 2, {0, 0, 0, AT_EMPTY_PATH}},
	{"statx", SYS_statx, 0, 1, 4, {0, 0, 0, 0x7ff}},
	{"statx EMPTY", SYS_statx, 0, 1, 4, {0, 0, AT_EMPTY_PATH, 0x7ff}},
	{"statfs", SYS_statfs, -1, 0, 1, {0}},
	{"access", SYS_access, -1, 0, -1, {0, R_OK}},
	{"faccessat", SYS_faccessat, 0, 1, -1, {0, 0, R_OK}},
	{"faccessat2", SYS_faccessat2, 0, 1, -1, {0, 0, R_OK, AT_EMPTY_PATH}},
	{"readlink", SYS_readlink, -1, 0, 1, {0, 0, 4096}},
	{"readlinkat", SYS_readlinkat, 0, 1, 2, {0, 0, 0, 4096}},
	{"getxattr", SYS_getxattr, -1, 0, 1, {0, 0, 0, 0}},
	{"getxattr value", SYS_getxattr, -1, 0, 2, {0, (long)"user.a", 0, 4096}},
	{"lgetxattr", SYS_lgetxattr, -1, 0, 2, {0, (long)"user.a", 0, 4096}},
	{"listxattr", SYS_listxattr, -1, 0, 1, {0, 0, 4096}},
	{"llistxattr", SYS_llistxattr, -1, 0, 1, {0, 0, 4096}},
	{"chdir", SYS_chdir, -1, 0, -1, {0}},
	{"getdents64", SYS_getdents64, 0, -1, 1, {0, 0, 4096}},
	{"getdents", SYS_getdents, 0, -1, 1, {0, 0, 4096}},
};

struct word {
	const char *name;
	long value;
};

static void make(const struct call *call, const struct word *directory, const struct word *path,
		 const struct word *buffer)
{
	long arg[6], value;

	memcpy(arg, call->others, sizeof(arg));
	if (call->directory >= 0)
		arg[call->directory] = directory->value;
	if (call->path >= 0)
		arg[call->path] = path->value;
	if (call->buffer >= 0)
		arg[call->buffer] = buffer->value;
	errno = 0;
	value = syscall(call->number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
	printf("%s(%s, %s, %s) = %ld %s\n", call->name, directory->name, path->name, buffer->name,
	       value < 0 ? -errno : value, value < 0 ? strerror(errno) : "");
	if (call->buffer < 0 && value > 2)
		close((int)value);
	else if (strncmp(call->name, "openat2", 7) == 0 && value > 2)
		close((int)value);
	unlink("new");
	unlink("/file"); /* so many slashes lead to the root */
}

int main(void)
{
	char *pages =
		mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *constant = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static char long_name[8192], most[4097];
	int file = open("file", O_RDONLY), here = open(".", O_RDONLY), held = open(".", O_PATH);
	int queue = epoll_create1(0), pair[2], removed;
	const long noise = 0x7654321000000000;

	mkdir("removed", 0700);
	removed = open("removed", O_RDONLY | O_DIRECTORY);
	rmdir("removed");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || munmap(pages + 4096, 4096) < 0 ||
	    munmap(pages + 3 * 4096, 4096) < 0)
		return 99;
	memset(pages, 'a', 4096);
	memset(pages + 2 * 4096, '/', 4096);
	memcpy(pages + 4096 - 4, "file", 4);
	memset(long_name, 'a', sizeof(long_name));
	memset(most, '/', 4096);
	memcpy(most + 4096 - 5, "file", 5);

	const struct word paths[] = {
		{"NULL", 0},
		{"1", 1},
		{"the kernel's", (long)0xffff888000000000},
		{"no address", (long)0x8000000000000000},
		{"-1", -1},
		{"4096 without NUL", (long)pages},
		{"slashes without NUL", (long)(pages + 2 * 4096)},
		{"no NUL before the end", (long)(pages + 4096 - 4)},
		{"8192", (long)long_name},
		{"4095", (long)most},
		{"empty", (long)""},
		{"file", (long)"file"},
		{".", (long)"."},
		{"new", (long)"new"},
		{"file/", (long)"file/"},
		{"/", (long)"/"},
	};
	const struct word directories[] = {
		{"AT_FDCWD", AT_FDCWD},
		{"here", here},
		{"noisy here", noise | here},
		{"held", held},
		{"file", file},
		{"socket", pair[0]},
		{"epoll", queue},
		{"removed", removed},
		{"closed", 77},
		{"-1", -1},
		{"INT_MIN", (long)0x80000000},
		{"beyond", 1 << 30},
	};
	const struct word buffers[] = {
		{"good", (long)(pages + 2 * 4096)},
		{"NULL", 0},
		{"read-only", (long)constant},
		{"the kernel's", (long)0xffff888000000000},
		{"8 bytes", (long)(pages + 3 * 4096 - 8)},
	};
	const struct word none = {"-", 0};

	for (unsigned c = 0; c < sizeof(CALLS) / sizeof(*CALLS); c++)
		for (unsigned d = 0;
		     d < (CALLS[c].directory < 0 ? 1 : sizeof(directories) / sizeof(*directories));
		     d++)
			for (unsigned p = 0;
			     p < (CALLS[c].path < 0 ? 1 : sizeof(paths) / sizeof(*paths)); p++)
				for (unsigned b = 0;
				     b <
				     (CALLS[c].buffer < 0 ? 1 : sizeof(buffers) / sizeof(*buffers));
				     b++) {
					memset(pages + 2 * 4096, 0, 4096);
					if (p == 6)
						memset(pages + 2 * 4096, '/', 4096);
					make(&CALLS[c],
					     CALLS[c].directory < 0 ? &none : &directories[d],
					     CALLS[c].path < 0 ? &none : &paths[p],
					     CALLS[c].buffer < 0 ? &none : &buffers[b]);
				}
	return 0;
}
