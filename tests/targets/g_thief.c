/*
 * Looks for processes that are between their clone and their execve, and takes copies of their
 * fds: writes "ready", and "taken" when one of them is the listener of a filter.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_between(pid_t pid)
{
	char path[32], name[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	if (read(fd, name, sizeof(name) - 1) < 0)
		name[0] = 0;
	close(fd);
	return !strncmp(name, "monitor-launch", 14);
}

static int is_listener(int fd)
{
	char path[32], name[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, name, sizeof(name) - 1) > 0 && strstr(name, "seccomp notify");
}

/* The parent of a process, or 0 when it is gone: behind the last ")" come a state and the parent. */
static pid_t parent(pid_t pid)
{
	char path[32], text[512] = "";
	const char *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file)
		return 0;
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	end = strrchr(text, ')');
	return end ? atoi(end + 4) : 0;
}

/* Another supervisor of this user, one that is not strict, may be launching at the same time. */
static int is_ours(pid_t pid)
{
	pid_t supervisor = parent(parent(pid));

	return !supervisor || supervisor == parent(getppid());
}

/* The process id that was given last, proc_loadavg(5). */
static pid_t newest(int loadavg)
{
	char text[64] = "";

	if (pread(loadavg, text, sizeof(text) - 1, 0) <= 0)
		_exit(1);
	return atoi(strrchr(text, ' '));
}

int main(void)
{
	int loadavg = open("/proc/loadavg", O_RDONLY), taken = 0;

	if (write(1, "ready\n", 6) != 6)
		return 1;
	for (;;) {
		pid_t last = newest(loadavg);

		for (pid_t pid = last; pid > last - 3; pid--) {
			int pidfd = is_between(pid) ? (int)syscall(434 /* pidfd_open */, pid, 0) : -1;

			while (pidfd >= 0 && is_between(pid))
				for (int fd = 3; fd < 12; fd++) {
					int copy = (int)syscall(438 /* pidfd_getfd */, pidfd, fd, 0);

					if (is_listener(copy) && is_ours(pid) && !taken++ &&
					    write(1, "taken\n", 6) != 6)
						return 1;
					close(copy);
				}
			close(pidfd);
		}
	}
}
