/*
 * Without a libc, static: copies one byte from stdin to stdout and ends; for the byte '!' it first asks
 * for its process id, which mode 1 of seccomp(2) does not allow.  Build with -static -nostdlib.
 */
#include <sys/syscall.h>

static long call(long number, long one, long two, long three)
{
	long result;

#if defined(__x86_64__)
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(number), "D"(one), "S"(two), "d"(three)
			 : "rcx", "r11", "memory");
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = one;
	register long x1 __asm__("x1") = two;
	register long x2 __asm__("x2") = three;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	result = x0;
#else
#error "no way to call the kernel is written down for this machine"
#endif
	return result;
}

void _start(void)
{
	char byte = 0;

	call(SYS_read, 0, (long)&byte, 1);
	if (byte == '!')
		call(SYS_getpid, 0, 0, 0);
	call(SYS_write, 1, (long)&byte, 1);
	call(SYS_exit, 7, 0, 0);
	for (;;)
		;
}
