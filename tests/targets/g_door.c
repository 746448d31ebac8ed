/*
 * Tries the launcher's door: execve(2) and sendmsg(2) with guesses in the registers that those
 * calls do not use.  Both calls fail by themselves; the errno says who answered.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	static const unsigned long guesses[] = {0, ~0UL, 1, 0x100000000UL, 0xffffffffUL};

	for (unsigned i = 0; i < sizeof(guesses) / sizeof(*guesses); i++) {
		unsigned long guess = guesses[i];

		syscall(SYS_execve, "/nonexistent", 0L, 0L, guess, guess, guess);
		printf("%d ", errno);
		syscall(SYS_sendmsg, -1L, 0L, 0L, guess, guess, guess);
		printf("%d ", errno);
	}
	return 0;
}
