/* Asks argv[1] times (0: for ever) in each of argv[2] processes; exit status 0 if every answer was the question. */
#include "k_ask.h"
#include <sys/wait.h>

static char text[16] = "a string";

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 1;
	int processes = argc > 2 ? atoi(argv[2]) : 1, status, wrong = 0;

	for (int i = 1; i < processes && fork() != 0; i++)
		;
	for (long i = 1; count == 0 || i <= count; i++)
		wrong |= ask(text, i) != i;
	while (wait(&status) > 0)
		wrong |= status;
	return wrong != 0;
}
