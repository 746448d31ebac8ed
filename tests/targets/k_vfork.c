/*
 * The same address in turn in the memory of a parent, of its vfork(2) child, of what that child
 * executes, and of the parent again.  Built with -no-pie, so that all of them have it.
 */
#include "k_ask.h"
#include <sys/wait.h>

static char text[16] = "parent";

int main(int argc, char **argv)
{
	pid_t child;

	if (argc > 1) {
		strcpy(text, argv[1]);
		return (int)ask(text, 3);
	}
	ask(text, 1);
	child = vfork();
	if (child == 0) {
		ask(text, 2);
		execl(argv[0], argv[0], "executed", NULL);
		_exit(99);
	}
	waitpid(child, NULL, 0);
	return (int)ask(text, 4);
}
