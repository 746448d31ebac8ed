/* Two threads that call getppid(2) again as soon as they have an answer, whatever it is. */
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *ask(void *unused)
{
	for (;;)
		syscall(SYS_getppid);
	return unused;
}

int main(void)
{
	pthread_t other;

	pthread_create(&other, NULL, ask, NULL);
	ask(NULL);
	return 0;
}
