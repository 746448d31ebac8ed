/* A vfork(2) child, a posix_spawn(3) child and a fork(2) child's thread each ask. */
#include "k_ask.h"
#include <spawn.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	char *words[] = {argv[0], "3", NULL};
	int status, wrong = 0;
	pid_t child;

	if (argc > 1)
		return ask(NULL, atoi(argv[1])) != atoi(argv[1]);
	child = vfork();
	if (child == 0)
		_exit(ask(NULL, 1) != 1);
	waitpid(child, &status, 0);
	wrong |= status;
	child = fork();
	if (child == 0)
		_exit(ask(NULL, 2) != 2);
	waitpid(child, &status, 0);
	wrong |= status;
	if (posix_spawn(&child, argv[0], NULL, NULL, words, NULL))
		return 2;
	waitpid(child, &status, 0);
	return (wrong | status) != 0;
}
