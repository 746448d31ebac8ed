/* Sixteen threads ask at once, each by a path of its own that one more thread flips. */
#include "attack.h"

#define THREADS 16

static char paths[THREADS][4096];
static long done[THREADS], found[THREADS];

static void *ask(void *number)
{
	long own = (long)number;

	while (done[own] < wanted / THREADS + 1) {
		int fd = open(paths[own], O_RDONLY);

		if (fd >= 0) {
			found[own]++;
			close(fd);
		}
		done[own]++;
	}
	return NULL;
}

static void *flip_all(void *unused)
{
	unsigned int state = 13;

	while (!over) {
		for (int i = 0; i < THREADS; i++)
			paths[i][strlen(directory) + 1] ^= 'a' ^ 'b';
		dawdle(&state);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	begin(argc, argv);
	for (int i = 0; i < THREADS; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/a/key", directory);
	start(flip_all, NULL);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, ask, (void *)i);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		tries += done[i];
		successes += found[i];
	}
	return finish();
}
