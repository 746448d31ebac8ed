/* Stops its parent over and over from two processes, of which one has its own session; or kills it. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	pid_t parent = getppid();

	if (argc > 2 && !strcmp(argv[2], "once")) {
		kill(parent, SIGSTOP);
		return 5;
	}
	if (fork() == 0)
		setsid();
	if (write(1, "ready\n", 6) != 6)
		return 1;
	for (;;) {
		kill(parent, SIGSTOP);
		usleep(1000);
	}
}
