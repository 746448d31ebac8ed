/*
 * Chains of processes each of which forks the next and ends: a number seldom lives for long
 * enough to be killed.
 */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int chains = argc > 2 ? atoi(argv[2]) : 1;

	for (int i = 0; i < chains; i++)
		if (fork() == 0)
			for (;;)
				if (fork() > 0)
					_exit(0);
	if (write(1, "ready\n", 6) != 6)
		return 1;
	for (;;)
		pause();
}
