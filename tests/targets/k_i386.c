/*
 * A whole program of i386, without a libc: makes the directory "i386" here, and tells what came of
 * it by the way it dies.  SIGILL: ENOSYS; SIGTRAP: anything else.
 */
void _start(void)
{
	static const char name[] = "i386";
	int result;

	__asm__ volatile("int $0x80" : "=a"(result) : "0"(39 /* mkdir */), "b"(name), "c"(0700) : "memory");
	if (result == -38)
		__builtin_trap();
	__asm__ volatile("int3");
	for (;;)
		;
}
