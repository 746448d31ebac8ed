/*
 * A hidden name answers like a name that is not there: a/hidden is, a/hidden2 is not, and both are
 * hidden.  Each question is asked about both; another answer tells.  So does an entry of a listing.
 * Mode "through": by paths that lead through it to what is allowed.
 */
#include "attack.h"
#include <dirent.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

/* What lies at a hidden name, or below it. */
static const char *const BELOW[] = {
	"", "/", "/.", "//", "/./", "/inner", "/inner//", "/inner/x", "/absent", "/absent/x", NULL,
};

/* What lies elsewhere, on a way that leads through it. */
static const char *const THROUGH[] = {
	"/..",         "/../file",      "/link",    "/link/", "/../.", "/sub/../../file",
	"/../sub/key", "/link/../file", "/up/file", "/up",    "/up/",  NULL,
};

static int answer(long result)
{
	if (result >= 0)
		return 0;
	return -errno;
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
	default:
		return 1;
	}
	result = answer(fd);
	if (fd >= 0)
		close(fd);
	return result;
}

static void compare(int place, const char *prefix, const char *suffix)
{
	char there[4096], absent[4096], what[9000];
	int first, second;

	snprintf(there, sizeof(there), "%shidden%s", prefix, suffix);
	snprintf(absent, sizeof(absent), "%shidden2%s", prefix, suffix);
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

int main(int argc, char **argv)
{
	char prefix[4096];
	int place;

	begin(argc, argv);
	if (chdir(in_tree("a")) < 0)
		return 4;
	place = open(".", O_RDONLY | O_DIRECTORY);
	for (const char *const *suffix = is_mode("through") ? THROUGH : BELOW; *suffix; suffix++) {
		static const char *const PREFIXES[] = {
			"",    "./", "sub/../", "/proc/self/cwd/", "/proc/thread-self/cwd/../a/",
			".//",
		};

		for (size_t j = 0; j < sizeof(PREFIXES) / sizeof(*PREFIXES); j++)
			compare(AT_FDCWD, PREFIXES[j], *suffix);
		compare(place, "", *suffix);
		snprintf(prefix, sizeof(prefix), "%s/a/", directory);
		compare(AT_FDCWD, prefix, *suffix);
		snprintf(prefix, sizeof(prefix), "/proc/self/root%s/a/", directory);
		compare(AT_FDCWD, prefix, *suffix);
		snprintf(prefix, sizeof(prefix), "/proc/self/fd/%d/", place);
		compare(AT_FDCWD, prefix, *suffix);
		snprintf(prefix, sizeof(prefix), "%s/b/public/../../a/", directory);
		compare(AT_FDCWD, prefix, *suffix);
	}
	list(".");
	list(in_tree("a"));
	list("/proc/self/cwd");
	list("/proc/self/cwd/../a");
	return finish();
}
