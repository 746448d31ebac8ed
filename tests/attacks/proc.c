/*
 * Ways through /proc to what is no business of the program: the supervisor, whose pid is the fourth
 * argument, its threads and the guard, process 1, and the forbidden directory by the program's own
 * links.  Mode "race": by a working directory there, which a flip of chdir(2) gives.
 */
#include "attack.h"

static const char *const LEAVES[] = {
	"mem",        "maps",         "environ",   "cmdline",       "status",
	"stat",       "comm",         "fd",        "fd/0",          "fd/1",
	"fd/2",       "fd/3",         "fd/4",      "fd/5",          "fd/6",
	"fd/7",       "fd/8",         "fd/9",      "fd/10",         "fd/11",
	"fdinfo/3",   "fdinfo",       "root/etc",  "cwd/.",         "exe",
	"ns/mnt",     "task",         "syscall",   "stack",         "auxv",
	"mountinfo",  "limits",       "io",        "sched",         "wchan",
	"smaps",      "pagemap",      "map_files", "oom_score_adj", "timerslack_ns",
	"clear_refs", "attr/current",
};

static void look(int place, const char *path)
{
	struct stat status;
	char text[4096];
	int fd = openat(place, path, O_RDONLY | O_NONBLOCK);

	if (fd >= 0)
		won(path), close(fd);
	fd = openat(place, path, O_RDWR | O_NONBLOCK);
	if (fd >= 0)
		won(path), close(fd);
	fd = openat(place, path, O_WRONLY | O_NONBLOCK);
	if (fd >= 0)
		won(path), close(fd);
	if (fstatat(place, path, &status, 0) == 0 && path[0])
		won(path);
	if (fstatat(place, path, &status, AT_SYMLINK_NOFOLLOW) == 0 && path[0])
		won(path);
	if (readlinkat(place, path, text, sizeof(text)) > 0)
		won(path);
	if (faccessat(place, path, F_OK, 0) == 0)
		won(path);
}

static void look_at_process(const char *form, long number)
{
	char path[4096], below[4200];

	snprintf(path, sizeof(path), form, number);
	for (size_t i = 0; i < sizeof(LEAVES) / sizeof(*LEAVES); i++) {
		tries++;
		snprintf(below, sizeof(below), "%s/%s", path, LEAVES[i]);
		look(AT_FDCWD, below);
	}
}

static void look_everywhere(long number)
{
	static const char *const FORMS[] = {
		"/proc/%ld",
		"/proc/self/../%ld",
		"/proc/self/task/../../%ld",
		"/proc/self/root/proc/%ld",
		"/proc/./%ld",
		"/proc/thread-self/../../../%ld",
		"/dev/fd/../../%ld",
		"/proc/%ld/task/..",
		"//proc//%ld",
	};

	for (size_t i = 0; i < sizeof(FORMS) / sizeof(*FORMS); i++)
		look_at_process(FORMS[i], number);
}

/* Its own links, by which b is reached. */
static void look_at_own(void)
{
	static const char *const FORMS[] = {
		"/proc/self/root%s/b/key",
		"/proc/self/cwd/../b/key%.0s",
		"/proc/thread-self/root%s/b/key",
		"/proc/thread-self/cwd/../b/key%.0s",
		"/proc/self/task/../root%s/b/key",
		"/proc/self/fd/9/../b/key%.0s",
		"/dev/fd/9/../b/key%.0s",
		"/proc/self/fd/8%.0s",
		"/dev/fd/8%.0s",
	};
	char path[8192];
	int fd;

	fd = open(in_tree("a"), O_RDONLY | O_DIRECTORY);
	dup2(fd, 9);
	close(fd);
	for (size_t i = 0; i < sizeof(FORMS) / sizeof(*FORMS); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(path, sizeof(path), FORMS[i], directory);
#pragma GCC diagnostic pop
		tries++;
		look(AT_FDCWD, path);
	}
}

static char place[64];

static void *flip_place(void *other)
{
	unsigned int state = 11;
	char first[sizeof(place)];

	memcpy(first, place, sizeof(place));
	for (long i = 0; !over; i++) {
		memcpy(place, i % 2 ? first : other, sizeof(place));
		dawdle(&state);
	}
	return NULL;
}

/* Where it is gives it nothing, even in there. */
static void race(long number, const char *below)
{
	static char there[64];

	snprintf(place, sizeof(place), "/");
	snprintf(there, sizeof(there), "/proc/%ld/%s", number, below);
	start(flip_place, there);
	usleep(10000); /* it runs */
	for (; tries < wanted; tries++) {
		char now[4096];

		for (int i = 0; i < 50; i++) {
			memset(now, 0, sizeof(now));
			if (chdir(place) == 0 && syscall(SYS_getcwd, now, sizeof(now)) > 1 &&
			    now[1])
				break;
			usleep(100); /* the other thread comes to run, where nobody else makes it
					wait */
		}
		if (!now[1])
			continue;
		for (size_t i = 0; i < sizeof(LEAVES) / sizeof(*LEAVES); i++)
			look(AT_FDCWD, LEAVES[i]);
		for (int i = 0; i < 30; i++) {
			char name[16];

			snprintf(name, sizeof(name), "%d", i);
			look(AT_FDCWD, name);
			snprintf(name, sizeof(name), "fd/%d", i);
			look(AT_FDCWD, name);
		}
		if (chdir("/") < 0)
			exit(4);
	}
	over = true;
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	if (is_mode("own")) {
		look_at_own();
		return finish();
	}
	if (is_mode("race") || is_mode("race-fd")) {
		if (argc > 4)
			race(atol(argv[4]), is_mode("race") ? "" : "fd");
		return finish();
	}
	for (int i = 4; i < argc; i++)
		look_everywhere(atol(argv[i]));
	look_everywhere(getppid()); /* the guard, which has the supervisor's memory */
	return finish();
}
