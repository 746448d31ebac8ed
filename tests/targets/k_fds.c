/*
 * Asks; the answer is the number of an fd here.  Prints it, its flags, and what can be read from
 * it.  With an argument, its table is full when it asks.
 */
#include "k_ask.h"
#include <fcntl.h>

int main(int argc, char **argv)
{
	char text[32] = "";
	long fd;

	(void)argv;
	while (argc > 1 && dup(1) >= 0)
		;
	fd = ask(NULL, 0);
	if (fd >= 0 && pread((int)fd, text, sizeof(text) - 1, 0) < 0)
		strcpy(text, "unreadable");
	printf("%ld %d %s", fd, fd < 0 ? -1 : fcntl((int)fd, F_GETFD), text);
	return 0;
}
