/* Four children ask, each after the one before it has begun to wait; exit status 0 if each got its number back. */
#include "k_ask.h"
#include <sys/wait.h>

static char state_of(pid_t pid)
{
	char path[64], text[512] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	return strrchr(text, ')')[2];
}

int main(void)
{
	int status, wrong = 0;

	for (long i = 1; i <= 4; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(ask(NULL, i) != i);
		while (state_of(child) != 'S')
			;
	}
	ask(NULL, 5);
	while (wait(&status) > 0)
		wrong |= status;
	return wrong != 0;
}
