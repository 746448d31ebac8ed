/*
 * Makes every call on names and metadata where something is in its way, and prints what came of each.
 *
 * argv[1] says where, with "." as the directory in which it is: "names" of 255 bytes and paths of
 * 4095, and one more; "full", no room or no inodes; "flags", files that chattr(1) made immutable or
 * append-only; "mounts", from one to another; "deep", below more directories than a path can name;
 * "stale", in directories that are no longer mounted after a line of standard input.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

/* What stands in a register: DIR with PATH, and OTHER below the same; HELD is open for reading. */
enum { DIR = 0x700001, PATH, OTHER, HELD, BUFFER, HOW, VALUE, SECONDS, MICROSECONDS, NANOSECONDS };
enum { ATTRIBUTE = 0x700101, TEXT, WATCH };

static char buffer[65536], value[3000], long_text[1000];
static struct open_how how = {.flags = O_RDONLY};
static struct utimbuf seconds = {1000000000, 1000000001};
static struct timeval microseconds[2] = {{1000000002, 1}, {1000000003, 2}};
static struct timespec nanoseconds[2] = {{1000000004, 1}, {1000000005, 2}};
static int watch;

struct call {
	const char *name;
	int number;
	long arg[6];
};

#define CREATE (O_CREAT | O_WRONLY)
#define REMOVE AT_REMOVEDIR
#define REG    (S_IFREG | 0640)
#define FIFO   (S_IFIFO | 0640)

/* In an order in which what was made is used, and taken away. */
static const struct call CALLS[] = {
	{"mkdir", SYS_mkdir, {PATH, 0750}},
	{"chdir", SYS_chdir, {PATH}},
	{"chdir ..", SYS_chdir, {(long)".."}},
	{"open O_TMPFILE", SYS_open, {PATH, O_TMPFILE | O_RDWR, 0600}},
	{"rmdir", SYS_rmdir, {PATH}},
	{"mkdirat", SYS_mkdirat, {DIR, PATH, 0750}},
	{"rename to", SYS_renameat2, {DIR, PATH, DIR, OTHER, 0}},
	{"rename back", SYS_renameat2, {DIR, OTHER, DIR, PATH, 0}},
	{"unlinkat dir", SYS_unlinkat, {DIR, PATH, REMOVE}},
	{"mknod", SYS_mknod, {PATH, REG, 0}},
	{"unlink", SYS_unlink, {PATH}},
	{"mknodat", SYS_mknodat, {DIR, PATH, FIFO, 0}},
	{"unlinkat", SYS_unlinkat, {DIR, PATH, 0}},
	{"symlink", SYS_symlink, {TEXT, PATH}},
	{"readlink", SYS_readlink, {PATH, BUFFER, 4096}},
	{"lstat", SYS_lstat, {PATH, BUFFER}},
	{"lsetxattr", SYS_lsetxattr, {PATH, ATTRIBUTE, VALUE, 4, 0}},
	{"lchown", SYS_lchown, {PATH, -1, -1}},
	{"unlink", SYS_unlink, {PATH}},
	{"symlinkat", SYS_symlinkat, {(long)"a", DIR, PATH}},
	{"readlinkat", SYS_readlinkat, {DIR, PATH, BUFFER, 4096}},
	{"unlinkat", SYS_unlinkat, {DIR, PATH, 0}},
	{"open O_EXCL", SYS_open, {PATH, CREATE | O_EXCL, 0640}},
	{"open O_EXCL", SYS_open, {PATH, CREATE | O_EXCL, 0640}},
	{"creat", SYS_creat, {PATH, 0640}},
	{"unlink", SYS_unlink, {PATH}},
	{"openat O_CREAT", SYS_openat, {DIR, PATH, CREATE, 0640}},
	{"open", SYS_open, {PATH, O_RDONLY}},
	{"open O_WRONLY", SYS_open, {PATH, O_WRONLY}},
	{"open O_APPEND", SYS_open, {PATH, O_WRONLY | O_APPEND}},
	{"open O_TRUNC", SYS_open, {PATH, O_RDWR | O_TRUNC}},
	{"openat O_NOATIME", SYS_openat, {DIR, PATH, O_RDONLY | O_NOATIME}},
	{"openat2", SYS_openat2, {DIR, PATH, HOW, sizeof(how)}},
	{"open O_PATH", SYS_openat, {DIR, PATH, O_PATH}},
	{"stat", SYS_stat, {PATH, BUFFER}},
	{"newfstatat", SYS_newfstatat, {DIR, PATH, BUFFER, 0}},
	{"statx", SYS_statx, {DIR, PATH, 0, STATX_BASIC_STATS, BUFFER}},
	{"statfs", SYS_statfs, {PATH, BUFFER}},
	{"access", SYS_access, {PATH, W_OK}},
	{"faccessat", SYS_faccessat, {DIR, PATH, R_OK}},
	{"faccessat2", SYS_faccessat2, {DIR, PATH, X_OK, 0}},
	{"chmod", SYS_chmod, {PATH, 0644}},
	{"fchmodat", SYS_fchmodat, {DIR, PATH, 0640}},
	{"fchmodat2", SYS_fchmodat2, {DIR, PATH, 0600, AT_SYMLINK_NOFOLLOW}},
	{"fchmod", SYS_fchmod, {HELD, 0644}},
	{"chown", SYS_chown, {PATH, 1, 1}},
	{"fchownat", SYS_fchownat, {DIR, PATH, 0, 0, 0}},
	{"fchown", SYS_fchown, {HELD, 0, 0}},
	{"utime", SYS_utime, {PATH, SECONDS}},
	{"utimes", SYS_utimes, {PATH, MICROSECONDS}},
	{"futimesat", SYS_futimesat, {DIR, PATH, MICROSECONDS}},
	{"utimensat", SYS_utimensat, {DIR, PATH, NANOSECONDS, 0}},
	{"utimensat now", SYS_utimensat, {DIR, PATH, 0, 0}},
	{"utimensat fd", SYS_utimensat, {HELD, 0, NANOSECONDS, 0}},
	{"truncate", SYS_truncate, {PATH, 100}},
	{"ftruncate", SYS_ftruncate, {HELD, 100}},
	{"setxattr", SYS_setxattr, {PATH, ATTRIBUTE, VALUE, 4, 0}},
	{"setxattr large", SYS_setxattr, {PATH, ATTRIBUTE, VALUE, sizeof(value), 0}},
	{"fsetxattr", SYS_fsetxattr, {HELD, ATTRIBUTE, VALUE, 4, 0}},
	{"getxattr", SYS_getxattr, {PATH, ATTRIBUTE, BUFFER, 4096}},
	{"listxattr", SYS_listxattr, {PATH, BUFFER, 4096}},
	{"removexattr", SYS_removexattr, {PATH, ATTRIBUTE}},
	{"fremovexattr", SYS_fremovexattr, {HELD, ATTRIBUTE}},
	{"inotify_add_watch", SYS_inotify_add_watch, {WATCH, PATH, IN_DELETE_SELF}},
	{"chdir", SYS_chdir, {PATH}},
	{"link", SYS_link, {PATH, OTHER}},
	{"unlink other", SYS_unlink, {OTHER}},
	{"linkat", SYS_linkat, {DIR, PATH, DIR, OTHER, 0}},
	{"linkat", SYS_linkat, {DIR, PATH, DIR, OTHER, 0}},
	{"exchange", SYS_renameat2, {DIR, PATH, DIR, OTHER, RENAME_EXCHANGE}},
	{"unlinkat other", SYS_unlinkat, {DIR, OTHER, 0}},
	{"rename", SYS_rename, {PATH, OTHER}},
	{"renameat back", SYS_renameat, {DIR, OTHER, DIR, PATH}},
	{"noreplace", SYS_renameat2, {DIR, PATH, DIR, OTHER, RENAME_NOREPLACE}},
	{"noreplace", SYS_renameat2, {DIR, PATH, DIR, OTHER, RENAME_NOREPLACE}},
	{"rename back", SYS_rename, {OTHER, PATH}},
	{"unlink", SYS_unlink, {PATH}},
	{"rmdir", SYS_rmdir, {PATH}},
	{"unlink", SYS_unlink, {PATH}},
	{"unlink other", SYS_unlink, {OTHER}},
	{"rmdir other", SYS_rmdir, {OTHER}},
};

/* The result; of a number of bytes and an fd no more than that it is one. */
static void tell(const char *where, const char *name, long result)
{
	printf("%s: %s: %s\n", where, name, result < 0 ? strerrorname_np(errno) : "done");
}

static long registers(long arg, int directory, const char *path, const char *other, int held)
{
	switch (arg) {
	case DIR: return directory;
	case PATH: return (long)path;
	case OTHER: return (long)other;
	case HELD: return held;
	case BUFFER: return (long)buffer;
	case HOW: return (long)&how;
	case VALUE: return (long)value;
	case SECONDS: return (long)&seconds;
	case MICROSECONDS: return (long)microseconds;
	case NANOSECONDS: return (long)nanoseconds;
	case ATTRIBUTE: return (long)"user.hostile";
	case TEXT: return (long)long_text;
	case WATCH: return watch;
	default: return arg;
	}
}

/* A path is relative to directory where the call has one, else to where we are. */
static void every(const char *where, int directory, const char *path, const char *other)
{
	int here = open(".", O_RDONLY | O_DIRECTORY), held;

	for (unsigned int i = 0; i < sizeof(CALLS) / sizeof(*CALLS); i++) {
		long arg[6], result;

		held = openat(directory, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
		for (int r = 0; r < 6; r++)
			arg[r] = registers(CALLS[i].arg[r], directory, path, other, held);
		memset(buffer, 0, 4096);
		result = syscall(CALLS[i].number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
		tell(where, CALLS[i].name, result);
		if (result > 2 && strncmp(CALLS[i].name, "open", 4) == 0)
			close((int)result);
		if (result > 2 && strncmp(CALLS[i].name, "creat", 5) == 0)
			close((int)result);
		if (strncmp(CALLS[i].name, "chdir", 5) == 0 && fchdir(here) < 0)
			tell(where, "fchdir", -1);
		close(held);
	}
	close(here);
}

static char *repeated(char letter, size_t size)
{
	char *made = calloc(size + 1, 1);

	memset(made, letter, size);
	return made;
}

static const char *label(const char *format, ...)
{
	static char made[100];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(made, sizeof(made), format, arguments);
	va_end(arguments);
	return made;
}

/* A path of size bytes to name: ././././name */
static char *path_to(const char *name, size_t size)
{
	char *made = repeated('/', size);
	size_t at = size - strlen(name);

	for (size_t i = 0; i < at; i += 2)
		made[i] = '.';
	strcpy(made + at, name);
	if (at % 2)
		made[at - 1] = '/'; /* "." and "/" come in pairs, but for the last */
	return made;
}

static void names(void)
{
	static const size_t SIZES[] = {254, 255, 256, 1000};
	static const size_t PATHS[] = {4094, 4095, 4096, 4097, 8000};

	for (unsigned int i = 0; i < sizeof(SIZES) / sizeof(*SIZES); i++) {
		const char *name = repeated('n', SIZES[i]), *slash = repeated('/', SIZES[i] + 1);

		memset((char *)slash, 'n', SIZES[i]);
		every(label("name of %zu", SIZES[i]), AT_FDCWD, name, "other");
		every(label("to a name of %zu", SIZES[i]), AT_FDCWD, "plain", name);
		every(label("name of %zu and a slash", SIZES[i]), AT_FDCWD, slash, "other");
		every(label("below a name of %zu", SIZES[i]), AT_FDCWD,
		      strcat(strcpy(repeated(0, SIZES[i] + 2), slash), "x"), "other");
	}
	for (unsigned int i = 0; i < sizeof(PATHS) / sizeof(*PATHS); i++) {
		every(label("path of %zu", PATHS[i]), AT_FDCWD, path_to("x", PATHS[i]), "other");
		every(label("to a path of %zu", PATHS[i]), AT_FDCWD, "x", path_to("y", PATHS[i]));
	}
}

/* Files until there are no more, then one byte after the other until there is no room. */
static void full(void)
{
	char name[300];
	ssize_t written;
	int fd, number = 0;

	every("before", AT_FDCWD, "new", "other");
	mkdir("directory", 0700);
	for (; number < 5000; number++) {
		snprintf(name, sizeof(name), "%0200d", number);
		fd = open(name, CREATE | O_EXCL, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	tell("last file", "open", fd);
	every("after the last file", AT_FDCWD, "new", "other");
	snprintf(name, sizeof(name), "%0200d", 0);
	fd = open(name, O_WRONLY | O_APPEND);
	for (size_t size = 65536; size > 0; size /= 2) {
		while ((written = write(fd, buffer, size)) > 0)
			if (fsync(fd) < 0)
				break;
	}
	tell("last byte", "write", written);
	close(fd);
	sync();
	every("after the last byte", AT_FDCWD, "new", "other");
	every("of a file", AT_FDCWD, name, "other");
	for (int kind = 0; kind < 5; kind++) {
		static const char *const KINDS[] = {"open", "mkdir", "symlink", "link", "rename"};
		long result = 0;

		snprintf(name, sizeof(name), "%0200d", 1);
		for (int i = 0; i < 50 && result >= 0; i++) {
			char made[300];

			snprintf(made, sizeof(made), "directory/%d%0240d", kind, i);
			if (kind == 0)
				result = open(made, CREATE | O_EXCL, 0600);
			else if (kind == 1)
				result = mkdir(made, 0700);
			else if (kind == 2)
				result = symlink(long_text, made);
			else if (kind == 3)
				result = link(name, made);
			else {
				result = rename(name, made);
				snprintf(name, sizeof(name), "%0200d", i + 2);
			}
			if (kind == 0 && result >= 0)
				close((int)result);
			tell("into a directory", KINDS[kind], result);
		}
	}
}

static void flags(void)
{
	static const char *const FILES[] = {
		"immutable", "append", "in-immutable/file", "in-append/file", "in-immutable/new",
		"in-append/new", "in-immutable", "in-append", "immutable-directory",
	};

	for (unsigned int i = 0; i < sizeof(FILES) / sizeof(*FILES); i++) {
		char name[100];

		every(FILES[i], AT_FDCWD, FILES[i], "other");
		every(label("onto %s", FILES[i]), AT_FDCWD, "plain", FILES[i]);
		snprintf(name, sizeof(name), "to-%s", strrchr(FILES[i], '/') ? "deeper" : FILES[i]);
		every(name, AT_FDCWD, name, "other");
	}
}

static void mounts(void)
{
	every("to a mount", AT_FDCWD, "plain", "mount/other");
	every("from a mount", AT_FDCWD, "mount/plain", "other");
	every("to the same one elsewhere", AT_FDCWD, "plain", "again/other");
	every("from the same one elsewhere", AT_FDCWD, "again/kept/plain", "other");
	every("to read-only", AT_FDCWD, "plain", "read-only/other");
	every("from read-only", AT_FDCWD, "read-only/kept/plain", "other");
	every("the mount itself", AT_FDCWD, "mount", "other");
	every("onto a mount", AT_FDCWD, "kept", "mount");
	every("above the mount", AT_FDCWD, "mount/..", "other");
}

static void deep(void)
{
	char *name = repeated('d', 200);
	int top = open(".", O_RDONLY | O_DIRECTORY), here;

	for (int i = 0; i < 40; i++)
		if (mkdir(name, 0700) < 0 || chdir(name) < 0) {
			tell("down", "mkdir", -1);
			break;
		}
	tell("deep", "getcwd", syscall(SYS_getcwd, buffer, sizeof(buffer)));
	every("deep", AT_FDCWD, "x", "other");
	every("deep and up", AT_FDCWD, "../x", "../other");
	here = open(".", O_RDONLY | O_DIRECTORY);
	tell("deep", "open .", here);
	tell("top", "fchdir", fchdir(top));
	every("from the top", here, "x", "other");
	tell("deep", "fchdir", fchdir(here));
	for (int i = 0; i < 40; i++)
		if (chdir("..") < 0 || rmdir(name) < 0) {
			tell("up", "rmdir", -1);
			break;
		}
	every("a removed directory", here, "x", "other");
}

static void stale(void)
{
	int kept = open("kept", O_RDONLY | O_DIRECTORY), held = open("kept", O_PATH | O_DIRECTORY);
	int file = open("kept/plain", O_RDONLY);
	char line[10], name[100];

	puts("ready");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return;
	every("here", AT_FDCWD, "new", "other");
	every("in what was here", AT_FDCWD, "kept/plain", "other");
	every("open", kept, "plain-too", "other");
	every("held", held, "plain-too", "other");
	every("above", held, "..", "other");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
	tell("file", "open again", open(name, O_RDONLY));
	tell("file", "fstat", syscall(SYS_fstat, file, buffer));
	tell("file", "statx", syscall(SYS_statx, file, "", AT_EMPTY_PATH, 0x7ff, buffer));
	tell("here", "getcwd", syscall(SYS_getcwd, buffer, sizeof(buffer)));
	tell("above", "chdir", chdir(".."));
	tell("open", "fchdir", fchdir(kept));
	tell("held", "fchdir", fchdir(held));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*function)(void);
	} PLACES[] = {{"names", names}, {"full", full}, {"flags", flags},
		      {"mounts", mounts}, {"deep", deep}, {"stale", stale}};

	if (argc != 2)
		return 2;
	umask(022);
	memset(long_text, 't', sizeof(long_text) - 1);
	watch = inotify_init1(IN_CLOEXEC);
	for (unsigned int i = 0; i < sizeof(PLACES) / sizeof(*PLACES); i++)
		if (strcmp(argv[1], PLACES[i].name) == 0) {
			PLACES[i].function();
			return 0;
		}
	return 2;
}
