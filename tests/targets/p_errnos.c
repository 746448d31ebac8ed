/*
 * Makes the calls that its arguments say, and prints what came of each: "0", or the errno.
 * An argument is n:NUMBER:a0:a1:a2:a3:a4:a5 (this ABI) or i:... (i386, by int $0x80).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>

static long by_door(const unsigned long *word)
{
	long result = -ENOSYS;

#ifdef __x86_64__
	/* %ebp is the sixth argument and the frame's; no call here needs it. */
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "0"(word[0]), "b"(word[1]), "c"(word[2]), "d"(word[3]), "S"(word[4]), "D"(word[5])
			 : "memory", "r8", "r9", "r10", "r11");
	result = (int)result;
#endif
	return result;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		unsigned long word[7] = {0};
		char *rest = argv[i] + 1;

		for (int n = 0; n < 7 && *rest == ':'; n++)
			word[n] = strtoul(rest + 1, &rest, 0);
		if (argv[i][0] == 'i') {
			long result = by_door(word);
			printf("%ld\n", result < 0 ? -result : 0);
		} else {
			long result = syscall((long)word[0], word[1], word[2], word[3], word[4], word[5], word[6]);
			printf("%d\n", result < 0 ? errno : 0);
		}
		fflush(stdout);
	}
	return 0;
}
