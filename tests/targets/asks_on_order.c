/*
 * Makes one getppid(2) for each command it reads, in a process of its own, and reports what came of it.
 *
 * A command is two words: a number, which is the call's first argument, and whether the caller's
 * fd table is to be full.  A report is eight words; struct Report in test_listener_contract.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STARTED, ENDED };

struct report {
	int64_t kind, number, pid, value, error, close_on_exec, first_byte, status;
};

static void call(struct report *report, int64_t number, int full)
{
	struct rlimit three = {3, 3};
	int flags;
	char byte;

	if (full)
		setrlimit(RLIMIT_NOFILE, &three);
	report->value = syscall(SYS_getppid, number);
	report->error = report->value == -1 ? errno : 0;
	flags = report->value > 2 && report->value < 4096 ? fcntl((int)report->value, F_GETFD) : -1;
	if (flags >= 0) { /* it was given an fd */
		report->close_on_exec = flags;
		report->first_byte = pread((int)report->value, &byte, 1, 0) == 1 ? byte : -1;
	}
	_exit(0);
}

static void keep(int64_t number, int full)
{
	struct report *report =
		mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct report started = {.kind = STARTED, .number = number};
	pid_t pid = fork();
	int status;

	if (pid == 0)
		call(report, number, full);
	started.pid = pid;
	write(1, &started, sizeof(started));
	waitpid(pid, &status, 0);
	report->kind = ENDED;
	report->number = number;
	report->status = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	write(1, report, sizeof(*report));
	_exit(0);
}

int main(void)
{
	int64_t command[2];

	while (read(0, command, sizeof(command)) == sizeof(command))
		if (fork() == 0)
			keep(command[0], (int)command[1]);
	return 0;
}
