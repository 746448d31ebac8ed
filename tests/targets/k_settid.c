/* Starts a process with the number argv[1], clone3(2), and waits for it; built with -no-pie. */
#include "k_ask.h"
#include <linux/sched.h>
#include <sys/wait.h>

static char text[16] = "the later one";

int main(int argc, char **argv)
{
	pid_t wanted = argc > 1 ? atoi(argv[1]) : 0;
	struct clone_args args = {
		.exit_signal = 17,
		.set_tid = (uint64_t)(uintptr_t)&wanted,
		.set_tid_size = 1,
	};
	long pid;
	int status = -1;

	if (argc < 2) { /* the earlier one, which asks about the same address */
		ask(text, 0);
		return 0;
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		puts(text);
		fflush(stdout);
		read(0, text, 1);
		_exit(7);
	}
	if (pid < 0)
		return 77;
	waitpid((pid_t)pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
