/*
 * Reads from a descriptor into a page that never comes (userfaultfd(2)), and so stays in that read.
 * usage: e_stuck FD.  Prints "stuck" before it reads, or "no" where it may not do this.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fault = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register registered = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	registered.range.start = (unsigned long)page;
	registered.range.len = 4096;
	if (argc < 2 || fault < 0 || ioctl(fault, UFFDIO_API, &api) < 0 ||
	    ioctl(fault, UFFDIO_REGISTER, &registered) < 0) {
		puts("no");
		return 1;
	}
	puts("stuck");
	fflush(stdout);
	return read(atoi(argv[1]), page, 4096) < 0;
}
