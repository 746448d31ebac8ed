/* Tries mkdir(argv[1]) by i386's door and by x32's number, then numbers that no call has; prints the results. */
#include "k_ask.h"
#include <sys/mman.h>

int main(int argc, char **argv)
{
	/* i386 pointers are 32 bits wide: the path has to lie low. */
	char *low = mmap((void *)0x100000, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	int result;

	if (argc < 2 || low == MAP_FAILED)
		return 2;
	strcpy(low, argv[1]);
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "0"(39 /* mkdir */), "b"(0x100000), "c"(0700)
			 : "memory", "r8", "r9", "r10", "r11");
	printf("%d ", result);
	printf("%ld ", raw(SYS_mkdir | 0x40000000, (long)argv[1], 0700, 0, 0));
	printf("%ld %ld", raw(-1, 0, 0, 0, 0), raw(9999, 0, 0, 0, 0));
	return 0;
}
