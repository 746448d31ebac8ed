/* argv[1] threads ask at once; exit status 0 if each got its own number back. */
#include "k_ask.h"
#include <pthread.h>

static void *one(void *number)
{
	return (void *)(ask(NULL, (long)number) == (long)number ? 0 : 1L);
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1;
	pthread_t *threads = calloc((size_t)count, sizeof(*threads));
	pthread_attr_t attributes;
	void *wrong;
	long failures = 0;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 * 1024);
	for (long i = 0; i < count; i++)
		if (pthread_create(&threads[i], &attributes, one, (void *)(i + 1)))
			return 2;
	for (int i = 0; i < count; i++) {
		pthread_join(threads[i], &wrong);
		failures += (long)wrong;
	}
	return failures ? 1 : 0;
}
