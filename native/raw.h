/*
 * A system call without libc.
 *
 * The guard (guard.c) shares its memory, and so its thread-local storage, with the supervisor: a
 * libc wrapper that fails would write the errno of a thread that is busy with something else.
 */
#ifndef MONITOR_RAW_H
#define MONITOR_RAW_H

#if !defined(__x86_64__)
#error "the guard needs raw system calls for this architecture: add them here"
#endif

/* Returns the kernel's own result: a value, or -errno.  Source: syscall(2), calling conventions. */
static inline long raw_call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#define RAW(nr, a, b, c, d, e, f)                                                                  \
	raw_call((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#endif
