/*
 * The C reference of a broker: the system calls that opening or looking for a
 * target takes, and a toy policy of 50 prefixes.  A target opens and closes
 * /etc/passwd N times, or looks at it; prints us per round.  usage: broker
 * open|stat N
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int own_fds, mounts;
static char prefixes[50][32];

static double now(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void once(int looks) {
  struct stat status;

  if (looks)
    syscall(__NR_newfstatat, AT_FDCWD, "/etc/passwd", &status, 0);
  else
    close((int)syscall(__NR_openat, AT_FDCWD, "/etc/passwd", O_RDONLY));
}

static int target(volatile int *listener, volatile int *taken, int looks,
                  long rounds) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, looks ? __NR_newfstatat : __NR_openat,
               0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {4, filter};
  double start;

  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  /* NEW_LISTENER | WAIT_KILLABLE_RECV */
  *listener =
      (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 8 | 32, &program);
  while (!*taken)
    ;
  for (long i = 0; i < rounds / 10; i++)
    once(looks); /* warm up */
  start = now();
  for (long i = 0; i < rounds; i++)
    once(looks);
  printf("%.4f\n", (now() - start) / (double)rounds * 1e6);
  return 0;
}

static int open_of(int tid, const char *leaf, int flags) {
  char path[64];

  snprintf(path, sizeof(path), "/proc/%d/%s", tid, leaf);
  return open(path, flags | O_CLOEXEC);
}

/* Read the path, and see that it is still the thread's. */
static int read_path(int fd, const struct seccomp_notif *n, char *path) {
  int memory = open_of((int)n->pid, "mem", O_RDONLY);
  ssize_t count = pread(memory, path, 4096 - n->data.args[1] % 4096,
                        (off_t)n->data.args[1]);

  close(memory);
  return count > 0 && ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id) == 0 ? 0
                                                                           : -1;
}

/* Look it up once; the name decides. */
static int look_up(const char *path) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                         .resolve = RESOLVE_NO_MAGICLINKS};
  struct pollfd changed = {.fd = mounts, .events = POLLPRI};
  int object = (int)syscall(__NR_openat2, AT_FDCWD, path, &how, sizeof(how));
  char name[4096], number[16];
  struct statx status;

  statx(object, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
        STATX_TYPE | STATX_MODE | STATX_INO, &status);
  snprintf(number, sizeof(number), "%d", object);
  if (readlinkat(own_fds, number, name, sizeof(name)) < 0 ||
      poll(&changed, 1, 0) < 0)
    return -1;
  for (int i = 0; i < 50; i++)
    if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
      return object;
  return -1;
}

static void answer_open(int fd, const struct seccomp_notif *n, int object) {
  struct seccomp_notif_addfd add = {.id = n->id,
                                    .flags = SECCOMP_ADDFD_FLAG_SEND};
  unsigned long all = ~0UL, before;
  char number[16];
  int opened;

  snprintf(number, sizeof(number), "%d", object);
  opened =
      openat(own_fds, number, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  fcntl(opened, F_SETFL, O_RDONLY);
  add.srcfd = (unsigned)opened;
  syscall(__NR_rt_sigprocmask, SIG_SETMASK, &all, &before, 8);
  ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
  syscall(__NR_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
  close(opened);
}

static void answer_stat(int fd, const struct seccomp_notif *n, int object) {
  struct seccomp_notif_resp r = {.id = n->id};
  int maps = open_of((int)n->pid, "maps", O_RDONLY), memory;
  struct stat status;
  char text[4096];

  syscall(__NR_newfstatat, object, "", &status, AT_EMPTY_PATH);
  while (read(maps, text, sizeof(text)) == (ssize_t)sizeof(text))
    ;
  close(maps);
  memory = open_of((int)n->pid, "mem", O_WRONLY);
  if (ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id) < 0 ||
      pwrite(memory, &status, sizeof(status), (off_t)n->data.args[2]) < 0)
    r.error = -14;
  close(memory);
  ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static void serve(int fd, int looks) {
  for (;;) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct seccomp_notif n = {0};
    char path[4096];
    int object;

    if (poll(&p, 1, -1) < 0 || !(p.revents & POLLIN))
      return;
    if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0 ||
        read_path(fd, &n, path) < 0)
      continue;
    object = look_up(path);
    if (looks)
      answer_stat(fd, &n, object);
    else
      answer_open(fd, &n, object);
    close(object);
  }
}

int main(int argc, char **argv) {
  volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int looks = argc > 2 && !strcmp(argv[1], "stat");
  pid_t pid = argc < 3 ? -1 : fork();
  int fd;

  if (pid < 0)
    return 1;
  if (pid == 0)
    return target(&shared[0], &shared[1], looks, atol(argv[2]));
  own_fds = open("/proc/self/fd", O_PATH | O_CLOEXEC);
  mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  for (int i = 0; i < 50; i++)
    snprintf(prefixes[i], sizeof(prefixes[i]), i < 49 ? "/srv/%d" : "/etc", i);
  while (!shared[0])
    ;
  fd = (int)syscall(__NR_pidfd_getfd, syscall(__NR_pidfd_open, pid, 0),
                    shared[0], 0);
  ioctl(fd, SECCOMP_IOW(4, __u64), 1UL); /* SYNC_WAKE_UP */
  shared[1] = 1;
  serve(fd, looks);
  return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}
