/*
 * A system call without libc, and code without thread-local storage.
 *
 * The guard (guard.c) shares its memory, and so its thread-local storage, with the supervisor: a
 * libc wrapper that fails would write the errno of a thread that is busy with something else, or
 * has ended.
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

/*
 * No stack protector: it reads its canary through the thread pointer, which is that of the thread
 * that launched, and once that thread has ended its memory may be unmapped.
 */
#if defined(__has_attribute) && __has_attribute(no_stack_protector)
#define GUARD_CODE __attribute__((no_stack_protector))
#else /* GCC before 11 */
#define GUARD_CODE __attribute__((optimize("no-stack-protector")))
#endif

#define RAW(nr, a, b, c, d, e, f)                                                                  \
	raw_call((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#endif
