/* Asks about one piece of memory, of the kind that argv[1] names; prints the answer. */
#include "k_ask.h"
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>

static const char rodata[] = "read only";

static char *pages(size_t count)
{
	return mmap(NULL, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int main(int argc, char **argv)
{
	const char *kind = argv[1];
	long second = argc > 2 ? atol(argv[2]) : 0, answer;
	char *two = pages(2), *at = two;

	if (!strcmp(kind, "border")) {
		at = strcpy(two + 4090, "across the border");
	} else if (!strcmp(kind, "last")) { /* ends with the page, and nothing behind it */
		munmap(two + 4096, 4096);
		at = strcpy(two + 4096 - sizeof("the end"), "the end");
	} else if (!strcmp(kind, "unended")) { /* runs into the hole */
		munmap(two + 4096, 4096);
		at = memset(two + 4096 - 10, 'x', 10);
	} else if (!strcmp(kind, "long")) { /* second bytes before its NUL */
		memset(two, 'x', (size_t)second);
	} else if (!strcmp(kind, "unmapped")) {
		munmap(two, 8192);
	} else if (!strcmp(kind, "address")) {
		at = (char *)strtoul(argv[2], NULL, 16);
	} else if (!strcmp(kind, "none")) {
		strcpy(two, "behind PROT_NONE");
		mprotect(two, 4096, PROT_NONE);
	} else if (!strcmp(kind, "beyond")) { /* a mapped page behind the end of its file */
		at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memfd_create("k", 0), 0);
	} else if (!strcmp(kind, "undumpable")) {
		prctl(PR_SET_DUMPABLE, 0);
		strcpy(two, "private");
	} else if (!strcmp(kind, "iovec")) {
		struct iovec *iov = (struct iovec *)two;

		iov[0] = (struct iovec){"one", 3};
		iov[1] = (struct iovec){(void *)8, 0};
		iov[2] = (struct iovec){"two", 3};
		second = 3;
	} else if (!strcmp(kind, "strings")) {
		((const char **)two)[0] = "first";
		((const char **)two)[1] = "";
		((const char **)two)[2] = "third";
	} else if (!strcmp(kind, "rodata")) {
		at = (char *)rodata;
	} else if (!strcmp(kind, "readonly")) { /* private and readable: a forced write would copy it */
		strcpy(two, "read only");
		mprotect(two, 4096, PROT_READ);
	} else if (!strcmp(kind, "partial")) {
		munmap(two + 4096, 4096);
		at = two + 4096 - 4;
	}
	answer = ask(at, second);
	printf("%ld", answer);
	if (!strcmp(kind, "rodata") || !strcmp(kind, "readonly") || !strcmp(kind, "border"))
		printf(" %s", at);
	if (!strcmp(kind, "partial"))
		printf(" %.4s", at);
	return 0;
}
