/*
 * Makes one kind of call N times, by raw system calls, and prints us per round.
 * usage: changer KIND N.  It works in a fresh directory below the current one.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static long open_and_close(const char *name, int flags) {
  long fd = syscall(__NR_openat, AT_FDCWD, name, flags, 0644);

  if (fd >= 0)
    syscall(__NR_close, fd);
  return fd;
}

static void change_mode(void) {
  syscall(__NR_fchmodat, AT_FDCWD, "there", 0640);
}

static void set_times(void) {
  syscall(__NR_utimensat, AT_FDCWD, "there", NULL, 0);
}

static void move(void) {
  static int turn;

  if (turn++ % 2)
    syscall(__NR_renameat2, AT_FDCWD, "two", AT_FDCWD, "one", 0);
  else
    syscall(__NR_renameat2, AT_FDCWD, "one", AT_FDCWD, "two", 0);
}

static void make_directory(void) {
  syscall(__NR_mkdirat, AT_FDCWD, "made", 0755);
  syscall(__NR_unlinkat, AT_FDCWD, "made", AT_REMOVEDIR);
}

static void make_file(void) {
  open_and_close("made", O_CREAT | O_WRONLY | O_TRUNC);
  syscall(__NR_unlinkat, AT_FDCWD, "made", 0);
}

static void make_link(void) {
  syscall(__NR_linkat, AT_FDCWD, "there", AT_FDCWD, "made", 0);
  syscall(__NR_unlinkat, AT_FDCWD, "made", 0);
}

static void ask_there(void) {
  syscall(__NR_faccessat, AT_FDCWD, "there", R_OK);
}

static void ask_missing(void) {
  syscall(__NR_faccessat, AT_FDCWD, "missing", R_OK);
}

static void read_link(void) {
  char text[100];

  syscall(__NR_readlinkat, AT_FDCWD, "link", text, sizeof(text));
}

static void read_no_link(void) {
  char text[100];

  syscall(__NR_readlinkat, AT_FDCWD, "there", text, sizeof(text));
}

static void open_missing(void) { open_and_close("missing", O_RDONLY); }

static void open_to_write(void) { open_and_close("there", O_WRONLY); }

static void open_to_empty(void) {
  open_and_close("there", O_WRONLY | O_CREAT | O_TRUNC);
}

static const struct {
  const char *kind;
  void (*call)(void);
} kinds[] = {
    {"chmod", change_mode},
    {"utimensat", set_times},
    {"rename", move},
    {"mkdir and rmdir", make_directory},
    {"create and unlink", make_file},
    {"link and unlink", make_link},
    {"access", ask_there},
    {"access, missing", ask_missing},
    {"readlink", read_link},
    {"readlink of no link", read_no_link},
    {"open, missing", open_missing},
    {"open to write", open_to_write},
    {"open to empty", open_to_empty},
};

static int begin(void) {
  char name[] = "changer-XXXXXX";

  if (!mkdtemp(name) || chdir(name) < 0 || symlink("there", "link") < 0)
    return -1;
  return open_and_close("there", O_CREAT | O_WRONLY) < 0 ||
                 open_and_close("one", O_CREAT | O_WRONLY) < 0
             ? -1
             : 0;
}

int main(int argc, char **argv) {
  long calls = argc > 2 ? atol(argv[2]) : 1;

  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    double start;

    if (argc < 2 || strcmp(argv[1], kinds[i].kind) != 0)
      continue;
    if (begin() < 0)
      return 1;
    for (long n = 0; n < calls / 10; n++)
      kinds[i].call(); /* warm up */
    start = now();
    for (long n = 0; n < calls; n++)
      kinds[i].call();
    printf("%.4f\n", (now() - start) / (double)calls * 1e6);
    return 0;
  }
  return 2;
}
