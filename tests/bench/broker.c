/*
 * The C reference of a broker: the system calls that doing a call for a target
 * takes, and a toy policy of 50 prefixes.  A target opens and closes
 * /etc/passwd N times, or looks at it; prints us per round.  Or a program makes
 * calls that change something, and tells itself what they take: what it makes
 * is made under its umask, which is read every time, by the broker's only
 * thread.  usage: broker open|stat N, or broker run PROGRAM [ARGUMENT...]
 */
#define _GNU_SOURCE
#include <errno.h>
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
#include <sys/resource.h>
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

/* Of each call that a program makes, where its path stands; -1: none. */
static const struct {
  int number, path;
} brokered[] = {
    {__NR_openat, 1},     {__NR_fchmodat, 1},  {__NR_utimensat, 1},
    {__NR_renameat2, 1},  {__NR_mkdirat, 1},   {__NR_unlinkat, 1},
    {__NR_linkat, 1},     {__NR_faccessat, 1}, {__NR_readlinkat, 1},
};

#define BROKERED (sizeof(brokered) / sizeof(brokered[0]))

/* Notify those calls, and run a program. */
static int run(volatile int *listener, volatile int *taken, char **argv) {
  struct sock_filter filter[BROKERED + 3] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
  };
  struct sock_fprog program = {BROKERED + 3, filter};

  for (size_t i = 0; i < BROKERED; i++)
    filter[i + 1] = (struct sock_filter)BPF_JUMP(
        BPF_JMP | BPF_JEQ | BPF_K, (unsigned)brokered[i].number,
        (unsigned char)(BROKERED - i), 0);
  filter[BROKERED + 1] =
      (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  filter[BROKERED + 2] =
      (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  *listener =
      (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 8 | 32, &program);
  while (!*taken)
    ;
  execv(argv[0], argv);
  return 127;
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
static int read_path(int fd, const struct seccomp_notif *n, int index,
                     char *path) {
  int memory = open_of((int)n->pid, "mem", O_RDONLY);
  ssize_t count = pread(memory, path, 4096 - n->data.args[index] % 4096,
                        (off_t)n->data.args[index]);

  close(memory);
  return count > 0 && ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id) == 0 ? 0
                                                                           : -1;
}

/* Whether the name of what was looked up is among the prefixes. */
static int decide(int object) {
  struct pollfd changed = {.fd = mounts, .events = POLLPRI};
  char name[4096], number[16];
  struct statx status;
  ssize_t length;

  statx(object, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
        STATX_TYPE | STATX_MODE | STATX_INO, &status);
  snprintf(number, sizeof(number), "%d", object);
  length = readlinkat(own_fds, number, name, sizeof(name) - 1);
  if (length < 0 || poll(&changed, 1, 0) < 0)
    return -1;
  name[length] = 0;
  for (int i = 0; i < 50; i++)
    if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
      return 0;
  return -1;
}

static int open_how(int directory, const char *path, unsigned long flags) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC | flags,
                         .resolve = RESOLVE_NO_MAGICLINKS};

  return (int)syscall(__NR_openat2, directory, path, &how, sizeof(how));
}

/* Look it up once; the name decides. */
static int look_up(const char *path) {
  int object = open_how(AT_FDCWD, path, 0);

  return decide(object) == 0 ? object : -1;
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
        read_path(fd, &n, 1, path) < 0)
      continue;
    object = look_up(path);
    if (looks)
      answer_stat(fd, &n, object);
    else
      answer_open(fd, &n, object);
    close(object);
  }
}

/* A path of a program that changes something: a directory, and a name in it. */
struct place {
  int above, object;
  const char *name;
  char path[4096];
};

static int find(int fd, const struct seccomp_notif *n, int index, int follow,
                struct place *place) {
  int start, missing;
  struct stat status;
  char *slash;

  place->above = place->object = -1;
  if (read_path(fd, n, index, place->path) < 0)
    return -1;
  start = place->path[0] == '/' ? AT_FDCWD
                                : open_of((int)n->pid, "cwd", O_PATH);
  slash = strrchr(place->path, '/');
  place->name = slash ? slash + 1 : place->path;
  place->object =
      follow < 0 ? -1 : open_how(start, place->path, follow ? 0 : O_NOFOLLOW);
  missing = place->object < 0;
  if (missing) {
    char above[4100] = ".";

    if (slash)
      snprintf(above, sizeof(above), "%.*s/.", (int)(slash - place->path),
               place->path);
    place->above = open_how(start, above, O_DIRECTORY);
    fstatat(place->above, place->name, &status, AT_SYMLINK_NOFOLLOW);
  }
  if (start >= 0)
    close(start);
  return decide(missing ? place->above : place->object);
}

static void leave(struct place *place) {
  if (place->above >= 0)
    close(place->above);
  if (place->object >= 0)
    close(place->object);
}

/* Take the umask of who asks: there is no other thread here. */
static void take_umask(int tid) {
  int status = open_of(tid, "status", O_RDONLY);
  char text[256] = "";
  ssize_t count = read(status, text, sizeof(text) - 1);
  char *line = count > 0 ? strstr(text, "\nUmask:") : NULL;

  close(status);
  umask(line ? (mode_t)strtol(line + 8, NULL, 8) : 0);
}

/* Open it, or make it, and give the program an fd of it; 0: that is answered. */
static long give(int fd, const struct seccomp_notif *n, struct place *place) {
  int flags = (int)n->data.args[2], opened;
  struct seccomp_notif_addfd add = {.id = n->id,
                                    .flags = SECCOMP_ADDFD_FLAG_SEND};
  unsigned long all = ~0UL, before;
  char number[32];
  struct rlimit limit;
  struct stat fds;

  if (place->object < 0 || flags & O_TRUNC) {
    snprintf(number, sizeof(number), "/proc/%d/fd", (int)n->pid);
    prlimit((int)n->pid, RLIMIT_NOFILE, NULL, &limit);
    stat(number, &fds);
  }
  if (place->object < 0 && !(flags & O_CREAT))
    return -ENOENT;
  if (place->object < 0) {
    take_umask((int)n->pid);
    opened = openat(place->above, place->name,
                    flags | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    (mode_t)n->data.args[3]);
  } else {
    snprintf(number, sizeof(number), "%d", place->object);
    opened = openat(own_fds, number,
                    (flags & ~O_CREAT) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    fcntl(opened, F_SETFL, flags);
  }
  add.srcfd = (unsigned)opened;
  syscall(__NR_rt_sigprocmask, SIG_SETMASK, &all, &before, 8);
  ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
  syscall(__NR_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
  close(opened);
  return 0;
}

static long tell_link(int fd, const struct seccomp_notif *n,
                      struct place *place) {
  char text[4096];
  ssize_t length = readlinkat(place->object, "", text, sizeof(text));
  int maps, memory;

  if (length < 0)
    return place->object < 0 ? -ENOENT : -EINVAL; /* ENOENT: it is no link */
  maps = open_of((int)n->pid, "maps", O_RDONLY);
  while (read(maps, text + 2048, 2048) == 2048)
    ;
  close(maps);
  memory = open_of((int)n->pid, "mem", O_WRONLY);
  if (ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id) < 0 ||
      pwrite(memory, text, (size_t)length, (off_t)n->data.args[2]) < 0)
    length = -EFAULT;
  close(memory);
  return length;
}

static long move(int fd, const struct seccomp_notif *n, struct place *old,
                 int links) {
  struct place to;
  long result = -EACCES;
  char number[16];
  struct stat status;

  if (find(fd, n, 3, -1, &to) == 0) {
    snprintf(number, sizeof(number), "%d", old->object);
    if (!links)
      fstatat(old->above, old->name, &status, AT_SYMLINK_NOFOLLOW);
    result = links ? linkat(own_fds, number, to.above, to.name,
                            AT_SYMLINK_FOLLOW)
                   : renameat(old->above, old->name, to.above, to.name);
    if (!links)
      fstatat(to.above, to.name, &status, AT_SYMLINK_NOFOLLOW);
    result = result < 0 ? -errno : 0;
  }
  leave(&to);
  return result;
}

static long do_call(int fd, const struct seccomp_notif *n, struct place *place,
                    int *answered) {
  const __u64 *args = n->data.args;
  long result;

  if (n->data.nr != __NR_openat && n->data.nr != __NR_readlinkat &&
      n->data.nr != __NR_faccessat &&
      ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id) < 0)
    return -EPERM;
  switch (n->data.nr) {
  case __NR_openat:
    result = give(fd, n, place);
    *answered = result == 0;
    return result;
  case __NR_readlinkat:
    return tell_link(fd, n, place);
  case __NR_renameat2:
    return move(fd, n, place, 0);
  case __NR_linkat:
    return move(fd, n, place, 1);
  case __NR_mkdirat:
    take_umask((int)n->pid);
    result = mkdirat(place->above, place->name, (mode_t)args[2]);
    break;
  case __NR_unlinkat:
    result = unlinkat(place->above, place->name, (int)args[2]);
    break;
  case __NR_faccessat:
    result = place->object < 0 ? -1
                               : syscall(__NR_faccessat2, place->object, "",
                                         (int)args[2], AT_EMPTY_PATH);
    if (place->object < 0)
      errno = ENOENT;
    break;
  case __NR_fchmodat:
    result = syscall(452 /* fchmodat2 */, place->object, "", (mode_t)args[2],
                     AT_EMPTY_PATH);
    break;
  default:
    result = utimensat(place->object, "", NULL, AT_EMPTY_PATH);
  }
  return result < 0 ? -errno : result;
}

static void serve_all(int fd) {
  for (;;) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct seccomp_notif n = {0};
    struct seccomp_notif_resp r = {0};
    struct place place;
    int answered = 0, names;
    long result;

    if (poll(&p, 1, -1) < 0 || !(p.revents & POLLIN))
      return;
    if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
      continue;
    names = n.data.nr == __NR_mkdirat || n.data.nr == __NR_unlinkat ||
            n.data.nr == __NR_renameat2;
    result = find(fd, &n, 1, names ? -1 : n.data.nr != __NR_readlinkat, &place)
                 ? -EACCES
                 : do_call(fd, &n, &place, &answered);
    leave(&place);
    r.id = n.id;
    r.error = result < 0 ? (int)result : 0;
    r.val = result < 0 ? 0 : result;
    if (!answered)
      ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
  }
}

int main(int argc, char **argv) {
  volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int looks = argc > 2 && !strcmp(argv[1], "stat");
  int runs = argc > 2 && !strcmp(argv[1], "run");
  pid_t pid = argc < 3 ? -1 : fork();
  int fd;

  if (pid < 0)
    return 1;
  if (pid == 0 && runs)
    return run(&shared[0], &shared[1], argv + 2);
  if (pid == 0)
    return target(&shared[0], &shared[1], looks, atol(argv[2]));
  own_fds = open("/proc/self/fd", O_PATH | O_CLOEXEC);
  mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  for (int i = 0; i < 50; i++)
    snprintf(prefixes[i], sizeof(prefixes[i]), i < 49 ? "/srv/%d" : runs ? "/" : "/etc", i);
  while (!shared[0])
    ;
  fd = (int)syscall(__NR_pidfd_getfd, syscall(__NR_pidfd_open, pid, 0),
                    shared[0], 0);
  ioctl(fd, SECCOMP_IOW(4, __u64), 1UL); /* SYNC_WAKE_UP */
  shared[1] = 1;
  if (runs)
    serve_all(fd);
  else
    serve(fd, looks);
  return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}
