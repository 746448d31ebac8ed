/*
 * Looks for processes that are between their clone and their execve, and takes copies of their
 * fds: writes "ready", and "taken" when it has got one.  Not of the first three, which it may
 * take from the program too, if that runs by now.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
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

int main(void)
{
	pid_t top = getpid();
	int taken = 0;

	if (write(1, "ready\n", 6) != 6)
		return 1;
	for (;;) {
		for (pid_t pid = top + 1; pid < top + 8; pid++) {
			int pidfd = (int)syscall(434 /* pidfd_open */, pid, 0);

			if (pidfd < 0)
				continue;
			while (is_between(pid))
				for (int fd = 3; fd < 12; fd++) {
					int copy = (int)syscall(438 /* pidfd_getfd */, pidfd, fd, 0);

					if (copy >= 0 && !taken++ && write(1, "taken\n", 6) != 6)
						return 1;
					close(copy);
				}
			close(pidfd);
			top = pid;
		}
	}
}
