/* One thread maps and unmaps a page for ever; the other asks about a string in it, argv[1] times. */
#include "k_ask.h"
#include <pthread.h>
#include <sys/mman.h>

static char *page;

static void *flip(void *unused)
{
	for (;;) {
		munmap(page, 4096);
		mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		memcpy(page + 4, "there", 6);
		memcpy(page, "it i", 4);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_create(&thread, NULL, flip, NULL);
	for (int i = argc > 1 ? atoi(argv[1]) : 1; i > 0; i--)
		ask(page, 0);
	return 0;
}
