/* Asks for the priority of process N in each of as many threads as it is told
   to; how many were told N + 1000, and how many had to try again because too
   many waited (EAGAIN). */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int right, again, wrong;

static void *ask(void *given) {
  long number = (intptr_t)given;
  for (;;) {
    long told = syscall(SYS_getpriority, PRIO_PROCESS, number);
    if (told == number + 1000) {
      __atomic_add_fetch(&right, 1, __ATOMIC_SEQ_CST);
      return NULL;
    }
    if (told != -1 || errno != EAGAIN) {
      __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
      return NULL;
    }
    __atomic_add_fetch(&again, 1, __ATOMIC_SEQ_CST);
    usleep(100000);
  }
}

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 1;
  pthread_t *threads = calloc((size_t)count, sizeof *threads);
  if (threads == NULL)
    return 2;
  for (int index = 0; index < count; index++)
    if (pthread_create(&threads[index], NULL, ask,
                       (void *)(intptr_t)(index + 1)) != 0)
      return 2;
  for (int index = 0; index < count; index++)
    pthread_join(threads[index], NULL);
  printf("%d right, %d wrong, %s tried again\n", right, wrong,
         again > 0 ? "some" : "none");
  return 0;
}
