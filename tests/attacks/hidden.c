/*
 * A hidden name answers like a name that is not there: a/hidden is, a/hidden2 is not, and both are
 * hidden.  Each question is asked about both; another answer tells.  So does an entry of a listing.
 * Mode "through": by paths that lead through it to what is allowed; a/out and a/out2 are links that
 * do.
 */
#include "attack.h"
#include <dirent.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

/* What lies at a hidden name, or below it. */
static const char *const BELOW[] = {
	"", "/", "/.", "//", "/./", "/inner", "/inner//", "/inner/x", "/absent", "/absent/x", NULL,
};

/* What lies elsewhere, on a way that leads through it. */
static const char *const THROUGH[] = {
	"/..",         "/../file",      "/link",    "/link/", "/../.", "/sub/../../file",
	"/../sub/key", "/link/../file", "/up/file", "/up",    "/up/",  "/inner/..",
	"/../new",     "/absent/..",    "/far/key", NULL,
};

/* The same of a link that leads through it: never the link itself, which is not hidden. */
static const char *const BEHIND[] = {"/key", "/.", "/..", "/../file", "/new", "/key/x", NULL};

static int answer(long result)
{
	if (result >= 0)
		return 0;
	return -errno;
}

static int watch(const char *path)
{
	int group = inotify_init1(IN_CLOEXEC), result;

	result = answer(inotify_add_watch(group, path, IN_ATTRIB));
	close(group);
	return result > 0 ? 0 : result;
}

/* Have what was moved be where it was, so that the next question is not about another tree. */
static int moved(long result, int from, const char *path, int to, const char *back)
{
	result = answer(result);
	if (result == 0)
		(void)!renameat(from, path, to, back);
	return (int)result;
}

/* Names made, moved and taken away, and what has them changed. */
static int change(int question, int place, const char *path)
{
	static const struct timespec times[2] = {{1, 0}, {1, 0}};
	int result;

	switch (question) {
	case 0:
		return answer(mkdirat(place, path, 0700));
	case 1:
		return answer(mknodat(place, path, S_IFREG | 0600, 0));
	case 2:
		return answer(symlinkat("x", place, path));
	case 3:
		return answer(linkat(AT_FDCWD, in_tree("a/file"), place, path, 0));
	case 4:
		return answer(
			linkat(place, path, AT_FDCWD, in_tree("a/linked"), AT_SYMLINK_FOLLOW));
	case 5:
		return moved(renameat(AT_FDCWD, in_tree("a/leased"), place, path), place, path,
			     AT_FDCWD, in_tree("a/leased"));
	case 6:
		return moved(renameat(place, path, AT_FDCWD, in_tree("a/renamed")), AT_FDCWD,
			     in_tree("a/renamed"), place, path);
	case 7:
		result = answer(
			syscall(SYS_renameat2, AT_FDCWD, in_tree("a/leased"), place, path, 2));
		if (result == 0)
			syscall(SYS_renameat2, AT_FDCWD, in_tree("a/leased"), place, path, 2);
		return result;
	case 8:
		result = answer(
			syscall(SYS_renameat2, place, path, AT_FDCWD, in_tree("a/leased"), 2));
		if (result == 0)
			syscall(SYS_renameat2, place, path, AT_FDCWD, in_tree("a/leased"), 2);
		return result;
	case 9:
		return answer(unlinkat(place, path, 0));
	case 10:
		return answer(unlinkat(place, path, AT_REMOVEDIR));
	case 11:
		return answer(fchmodat(place, path, 0755, 0));
	case 12:
		return answer(fchownat(place, path, (uid_t)-1, (gid_t)-1, 0));
	case 13:
		return answer(utimensat(place, path, times, 0));
	case 14:
		return place == AT_FDCWD ? answer(truncate(path, 6)) : 0;
	case 15:
		return place == AT_FDCWD ? answer(setxattr(path, "user.a", "1", 1, 0)) : 0;
	case 16:
		return place == AT_FDCWD ? answer(removexattr(path, "user.a")) : 0;
	case 17:
		return place == AT_FDCWD ? watch(path) : 0;
	default:
		return 1;
	}
}

static int ask(int question, int place, const char *path)
{
	struct open_how how = {.flags = O_RDONLY};
	struct statfs system;
	struct stat status;
	char buffer[4096];
	int fd = -1, result;

	errno = 0;
	switch (question) {
	case 0:
		fd = openat(place, path, O_RDONLY);
		break;
	case 1:
		fd = openat(place, path, O_RDWR);
		break;
	case 2:
		fd = openat(place, path, O_RDONLY | O_DIRECTORY);
		break;
	case 3:
		fd = openat(place, path, O_PATH);
		break;
	case 4:
		fd = openat(place, path, O_RDONLY | O_NOFOLLOW);
		break;
	case 5:
		fd = (int)syscall(SYS_openat2, place, path, &how, sizeof(how));
		break;
	case 6:
		fd = openat(place, path, O_RDWR | O_CREAT, 0600);
		break;
	case 7:
		fd = openat(place, path, O_RDWR | O_CREAT | O_EXCL, 0600);
		break;
	case 8:
		fd = openat(place, path, O_RDWR | O_TMPFILE, 0600);
		break;
	case 9:
		return answer(fstatat(place, path, &status, 0));
	case 10:
		return answer(fstatat(place, path, &status, AT_SYMLINK_NOFOLLOW));
	case 11:
		return answer(syscall(SYS_statx, place, path, 0, 0x7ff, buffer));
	case 12:
		return answer(faccessat(place, path, F_OK, 0));
	case 13:
		return answer(syscall(SYS_faccessat2, place, path, R_OK, AT_SYMLINK_NOFOLLOW));
	case 14:
		return answer(readlinkat(place, path, buffer, sizeof(buffer)));
	case 15:
		return place == AT_FDCWD ? answer(statfs(path, &system)) : 0;
	case 16:
		return place == AT_FDCWD ? answer(listxattr(path, buffer, sizeof(buffer))) : 0;
	case 17:
		return place == AT_FDCWD ? answer(getxattr(path, "user.a", buffer, 10)) : 0;
	case 18:
		result = place == AT_FDCWD ? answer(chdir(path)) : 0;
		(void)!chdir(in_tree("a"));
		return result;
	case 19:
		how.resolve = 0x04; /* RESOLVE_NO_SYMLINKS */
		fd = (int)syscall(SYS_openat2, place, path, &how, sizeof(how));
		break;
	case 20:
	case 21:
	case 22:
	case 23:
		how.resolve = (uint64_t[]){0x01, 0x02, 0x08, 0x10}[question - 20]; /* confined */
		fd = (int)syscall(SYS_openat2, place, path, &how, sizeof(how));
		break;
	case 24:
	case 25:
	case 26:
		how = (struct open_how){.flags = O_RDWR | O_CREAT, .mode = 0600};
		how.resolve = (uint64_t[]){0x01, 0x08, 0x10}[question - 24];
		fd = (int)syscall(SYS_openat2, place, path, &how, sizeof(how));
		break;
	default:
		return change(question - 27, place, path);
	}
	result = answer(fd);
	if (fd >= 0)
		close(fd);
	return result;
}

static void compare(int place, const char *prefix, const char *name, const char *suffix)
{
	char there[4096], absent[4096], what[9000];
	int first, second;

	snprintf(there, sizeof(there), "%s%s%s", prefix, name, suffix);
	snprintf(absent, sizeof(absent), "%s%s2%s", prefix, name, suffix);
	for (int question = 0; (first = ask(question, place, there)) != 1; question++) {
		second = ask(question, place, absent);
		tries++;
		if (first == second)
			continue;
		snprintf(what, sizeof(what), "question %d of %s: %d, and not %d", question, there,
			 first, second);
		won(what);
	}
}

static void list(const char *path)
{
	DIR *stream = opendir(path);
	struct dirent *entry;

	tries++;
	while (stream && (entry = readdir(stream)))
		if (strcmp(entry->d_name, "hidden") == 0)
			won(path);
	if (stream)
		closedir(stream);
}

static void compare_all(int place, const char *name, const char *const *suffixes)
{
	char prefix[4096];

	for (const char *const *suffix = suffixes; *suffix; suffix++) {
		static const char *const PREFIXES[] = {
			"",    "./", "sub/../", "/proc/self/cwd/", "/proc/thread-self/cwd/../a/",
			".//",
		};

		for (size_t j = 0; j < sizeof(PREFIXES) / sizeof(*PREFIXES); j++)
			compare(AT_FDCWD, PREFIXES[j], name, *suffix);
		compare(place, "", name, *suffix);
		snprintf(prefix, sizeof(prefix), "%s/a/", directory);
		compare(AT_FDCWD, prefix, name, *suffix);
		snprintf(prefix, sizeof(prefix), "/proc/self/root%s/a/", directory);
		compare(AT_FDCWD, prefix, name, *suffix);
		snprintf(prefix, sizeof(prefix), "/proc/self/fd/%d/", place);
		compare(AT_FDCWD, prefix, name, *suffix);
		snprintf(prefix, sizeof(prefix), "%s/b/public/../../a/", directory);
		compare(AT_FDCWD, prefix, name, *suffix);
	}
}

int main(int argc, char **argv)
{
	int place;

	begin(argc, argv);
	if (chdir(in_tree("a")) < 0)
		return 4;
	place = open(".", O_RDONLY | O_DIRECTORY);
	compare_all(place, "hidden", is_mode("through") ? THROUGH : BELOW);
	if (is_mode("through"))
		compare_all(place, "out", BEHIND);
	list(".");
	list(in_tree("a"));
	list("/proc/self/cwd");
	list("/proc/self/cwd/../a");
	return finish();
}
