/* Asks about a page that only userfaultfd(2) could fill or release, and nobody ever does. */
#include "k_ask.h"
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	int protect = argc > 1 && !strcmp(argv[1], "protected");
	int fd = (int)syscall(SYS_userfaultfd, 0);
	struct uffdio_api api = {.api = UFFD_API, .features = protect ? UFFD_FEATURE_PAGEFAULT_FLAG_WP : 0};
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register wanted = {
		.range = {(unsigned long)page, 4096},
		.mode = protect ? UFFDIO_REGISTER_MODE_WP : UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_writeprotect lock = {.range = wanted.range, .mode = UFFDIO_WRITEPROTECT_MODE_WP};

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &wanted) < 0)
		return 77;
	if (protect) {
		page[0] = 'p';
		if (ioctl(fd, UFFDIO_WRITEPROTECT, &lock) < 0)
			return 77;
	}
	printf("%ld", ask(page, 0));
	return 0;
}
