/*
 * A library for LD_PRELOAD: a kernel that lacks one feature which no filter can take away, because
 * what tells it lies behind a pointer.  ABSENT names the feature, ERRNO is what is said instead.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

static int absent(const char *feature)
{
	const char *name = getenv("ABSENT");

	if (!name || strcmp(name, feature) != 0)
		return 0;
	errno = atoi(getenv("ERRNO"));
	return 1;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list rest;
	void *argument;

	va_start(rest, request);
	argument = va_arg(rest, void *);
	va_end(rest);
	if (request == SECCOMP_IOCTL_NOTIF_SEND &&
	    ((struct seccomp_notif_resp *)argument)->flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE &&
	    absent("continue"))
		return -1;
	if (request == SECCOMP_IOCTL_NOTIF_ADDFD &&
	    ((struct seccomp_notif_addfd *)argument)->flags & SECCOMP_ADDFD_FLAG_SEND &&
	    absent("add fd and respond"))
		return -1;
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a[6];
	va_list rest;

	va_start(rest, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(rest, long);
	va_end(rest);
	if (number == SYS_openat2 && ((struct open_how *)a[2])->resolve & RESOLVE_CACHED &&
	    absent("RESOLVE_CACHED"))
		return -1;
	if (number == SYS_seccomp && a[0] == SECCOMP_SET_MODE_FILTER &&
	    a[1] & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV && absent("wait killable"))
		return -1;
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

long ptrace(enum __ptrace_request request, ...)
{
	long a[3];
	va_list rest;

	va_start(rest, request);
	for (int i = 0; i < 3; i++)
		a[i] = va_arg(rest, long);
	va_end(rest);
	if (request == PTRACE_SEIZE && a[2] & PTRACE_O_SUSPEND_SECCOMP && absent("suspend seccomp"))
		return -1;
	if (request == (enum __ptrace_request)PTRACE_SECCOMP_GET_FILTER && absent("filter dump"))
		return -1;
	return syscall(SYS_ptrace, request, a[0], a[1], a[2]);
}

int open(const char *path, int flags, ...)
{
	va_list rest;
	int mode;

	va_start(rest, flags);
	mode = va_arg(rest, int);
	va_end(rest);
	if (strcmp(path, "/proc/thread-self/children") == 0 && absent("/proc/PID/children"))
		return -1;
	if (strncmp(path, "/proc/", 6) == 0 && strcmp(strrchr(path, '/'), "/mem") == 0 &&
	    absent("/proc/PID/mem"))
		return -1;
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
