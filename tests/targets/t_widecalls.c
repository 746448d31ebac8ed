/*
 * As many different calls as one program can make, with every kind of argument: NULL, bad pointers,
 * flags that do not exist, registers with noise in the upper half, all structs, all families of
 * addresses.  What it asks for is harmless or fails.  Static and not relocatable, and everything
 * that is pointed to is static too, so that its addresses are the same in every run.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/futex.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* Every register is set: those that the call does not have are 0. */
#define CALL(name, ...) syscall(SYS_##name, ##__VA_ARGS__, 0L, 0L, 0L, 0L, 0L, 0L)

#define NOBODY 0x7fffffff         /* no process, no user, no descriptor */
#define NOISE  0xdeadbeef00000000 /* in the half of a register that the kernel does not look at */
#define BAD    ((void *)8)
#define WILD   ((void *)0xffff800000000000)

static char buffer[8192] __attribute__((aligned(4096))); /* for the kernel to fill, never shown */
/* Of each the second page is taken away; the text in the first one ends at its end, or never. */
static char edge[8192] __attribute__((aligned(4096)));
static char endless[8192] __attribute__((aligned(4096)));
static char long_text[5000];
static int numbers[16] = {1, -2, 3};
static uint64_t words[16] = {1, 2, 3, 0xffffffffffffffff};
static const char odd_text[] = "a\t\"quoted\" \\ \001\033[31m\303\274 \377 text?\?/";

static struct timespec when[2] = {{1, 999999999}, {-1, 1000000000}};
static struct timespec special[2] = {{1, UTIME_NOW}, {2, UTIME_OMIT}};
static struct timeval moments[2] = {{3, 4}, {-5, 1000000}};
static struct itimerspec timer_value = {{1, 2}, {0, 0}};
static struct itimerval interval = {{0, 0}, {0, 1}};
static uint64_t sets[8] = {0,          1,       0xffffffffffffffff, 0xfffffffe7ffbfeff,
			   1ULL << 33, 0x10000, 0x7fffffff00000000};

static void paths(void)
{
	CALL(open, "relative", O_RDONLY);
	CALL(open, "/none/absolute", O_WRONLY | O_CREAT | O_EXCL | O_TRUNC, 0644);
	CALL(open, "", O_RDWR | O_SYNC | O_DSYNC | O_NOATIME);
	CALL(open, "none", O_ACCMODE);
	CALL(open, "none", 0xffffffff, 07777);
	CALL(open, NULL, O_RDONLY);
	CALL(open, BAD, O_RDONLY);
	CALL(open, WILD, O_RDONLY);
	CALL(open, edge + 4096 - 5, O_RDONLY);
	CALL(open, endless + 4096 - 3, O_RDONLY);
	CALL(open, odd_text, O_RDONLY);
	CALL(open, long_text, O_RDONLY);
	CALL(openat, AT_FDCWD, "file", O_RDWR | O_CREAT, 04755); /* fd 3 */
	CALL(openat, NOISE | 3, "x", NOISE | O_PATH);
	CALL(openat, -1, "x", O_TMPFILE | O_RDWR, 0600);
	CALL(openat, 0x7fffff9c, "x", O_DIRECT | O_LARGEFILE | O_NOCTTY | O_ASYNC);
	CALL(openat2, AT_FDCWD, "none", (uint64_t[]){O_RDWR | O_CREAT, 0600, 0x3f}, 24);
	CALL(openat2, AT_FDCWD, "none", (uint64_t[]){1ULL << 40, 1ULL << 40, 1ULL << 40, 5}, 32);
	CALL(openat2, AT_FDCWD, "none", words, 8);
	CALL(openat2, AT_FDCWD, "none", NULL, 24);
	CALL(creat, "none/x", 0);
	CALL(stat, "file", buffer);
	CALL(stat, "none", NULL);
	CALL(lstat, BAD, buffer);
	CALL(newfstatat, AT_FDCWD, "", buffer, AT_EMPTY_PATH | AT_NO_AUTOMOUNT);
	CALL(newfstatat, 3, NULL, buffer, 0x12345);
	CALL(statx, 3, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_ALL, buffer);
	CALL(statx, 3, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0x80000000U | STATX_SIZE, NULL);
	CALL(statx, 3, "", AT_STATX_SYNC_TYPE, 0, buffer);
	CALL(access, "file", F_OK);
	CALL(access, "file", 0x12);
	CALL(faccessat, AT_FDCWD, "file", W_OK | R_OK);
	CALL(faccessat2, AT_FDCWD, "file", X_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW);
	CALL(faccessat2, AT_FDCWD, "file", X_OK, 0x8000);
	CALL(chmod, "file", 0);
	CALL(chmod, "file", 0170644);
	CALL(fchmodat, AT_FDCWD, "file", NOISE | 0600);
	CALL(chown, "none", NOISE | 1, -1);
	CALL(lchown, "none", 0xfffffffe, 65534);
	CALL(fchownat, 3, "", 1, 2, AT_EMPTY_PATH);
	CALL(mkdir, "directory", 01777);
	CALL(mkdirat, AT_FDCWD, "directory", 0);
	CALL(rmdir, "none");
	CALL(unlink, "none");
	CALL(unlinkat, AT_FDCWD, "directory", AT_REMOVEDIR);
	CALL(unlinkat, AT_FDCWD, "none", 1);
	CALL(mknod, "none/x", S_IFBLK | 0600, 0x801);
	CALL(mknod, "none/x", S_IFCHR | 0600, 0x12345678);
	CALL(mknod, "none/x", S_IFSOCK | S_ISUID | 0600, 5);
	CALL(mknod, "none/x", 0600, 5);
	CALL(mknodat, 3, "x", S_IFIFO, 0);
	CALL(link, "none", "x");
	CALL(linkat, 3, "", AT_FDCWD, "none/x", AT_EMPTY_PATH | AT_SYMLINK_FOLLOW);
	CALL(linkat, 3, "", AT_FDCWD, "none/x", 0xffff);
	CALL(symlink, "anything \n", "none/x");
	CALL(symlinkat, BAD, -1, "x");
	CALL(readlink, "none", buffer, 0);
	CALL(readlinkat, 3, "", buffer, -1);
	CALL(rename, "none", "none/x");
	CALL(renameat, AT_FDCWD, "none", 3, "x");
	CALL(renameat2, AT_FDCWD, "none", AT_FDCWD, "x", 0);
	CALL(renameat2, AT_FDCWD, "none", AT_FDCWD, "x", 7);
	CALL(renameat2, AT_FDCWD, "none", AT_FDCWD, "x", 0xf0);
	CALL(truncate, "none", -1L);
	CALL(utime, "none", NULL);
	CALL(utime, "none", words);
	CALL(utimes, "none", moments);
	CALL(utimes, "none", BAD);
	CALL(futimesat, 3, "x", moments);
	CALL(utimensat, AT_FDCWD, "none", when, 0);
	CALL(utimensat, AT_FDCWD, "none", special, AT_SYMLINK_NOFOLLOW);
	CALL(utimensat, 3, NULL, NULL, AT_EMPTY_PATH);
	CALL(chdir, "none");
	CALL(chroot, "none");
	CALL(statfs, "/", buffer);
	CALL(pivot_root, "none", ".");
	CALL(acct, "none/x");
	CALL(swapon, "none", 0x1ffff);
	CALL(swapoff, "none");
	CALL(uselib, "none");
	CALL(getcwd, buffer, 1);
	CALL(name_to_handle_at, AT_FDCWD, "file", numbers, buffer,
	     AT_EMPTY_PATH | AT_SYMLINK_FOLLOW);
	CALL(open_by_handle_at, -1, (int[]){4, 1, 0x01020304}, O_RDONLY);
	CALL(setxattr, "file", "user.a", odd_text, sizeof(odd_text), 0);
	CALL(setxattr, "file", "user.a", NULL, 0, 3);
	CALL(lsetxattr, "none", BAD, words, 10, 0x12);
	CALL(fsetxattr, 3, "user.b", long_text, 5000, 2);
	CALL(getxattr, "file", "user.a", NULL, 0);
	CALL(lgetxattr, "none", "user.a", buffer, 10);
	CALL(fgetxattr, 3, "user.a", buffer, 100);
	CALL(listxattr, "file", buffer, 100);
	CALL(llistxattr, "none", NULL, 0);
	CALL(flistxattr, 3, buffer, 1);
	CALL(removexattr, "none", "user.a");
	CALL(lremovexattr, "none", "user.a");
	CALL(fremovexattr, 3, "user.a");
	CALL(fanotify_init, 0x12, O_RDONLY | O_CLOEXEC);
	CALL(fanotify_init, 0xfffff, 0);
	CALL(fanotify_mark, -1, 0x1 | 0x10, 0x40000008, AT_FDCWD, "none");
	CALL(inotify_init);
	CALL(inotify_init1, 0xffffffff);
	CALL(inotify_add_watch, -1, "file", 0xfff);
	CALL(inotify_add_watch, -1, "file", 0xf1000000 | 3);
	CALL(inotify_rm_watch, -1, -5);
	CALL(quotactl, 0x80000700, "none", 0, buffer);
	CALL(quotactl, 0x800002 << 8 | 1, NULL, NOBODY, NULL);
}

static void mounts(void)
{
	CALL(mount, "none", "none", "tmpfs", MS_RDONLY | 0x10 | (1 << 14), "a=b,c");
	CALL(mount, NULL, "none", NULL, 0x1000 | 0x4000, NULL);
	CALL(mount, "none", "none", NULL, 0xc0ed0000 | 0x20, BAD);
	CALL(mount, "none", "none", "ext4", 0xffffffff00000000, odd_text);
	CALL(umount2, "none", 0);
	CALL(umount2, "none", 0xff);
	CALL(open_tree, AT_FDCWD, "none", 1 | O_CLOEXEC | AT_RECURSIVE);
	CALL(move_mount, -1, "", AT_FDCWD, "none", 4 | 0x10);
	CALL(move_mount, -1, "a", 3, "b", 0xffff);
	CALL(fsopen, "nonefs", 1);
	CALL(fsopen, BAD, 0xff);
	CALL(fsconfig, -1, 0, "flag", NULL, 0);
	CALL(fsconfig, -1, 1, "key", "value", 0);
	CALL(fsconfig, -1, 2, "key", "binary\0", 7);
	CALL(fsconfig, -1, 5, "fd", NULL, 3);
	CALL(fsconfig, -1, 3, "path", "none", AT_FDCWD);
	CALL(fsconfig, -1, 6, NULL, NULL, 0);
	CALL(fsconfig, -1, 99, "x", words, 0);
	CALL(fsmount, -1, 1, 0x20 | 1);
	CALL(fspick, AT_FDCWD, "none", 0xf);
	CALL(mount_setattr, -1, "", AT_EMPTY_PATH | AT_RECURSIVE, (uint64_t[]){1, 2, 1 << 18, 3},
	     32);
	CALL(mount_setattr, -1, "x", 0, words, 5);
	CALL(sync_file_range, 3, 1L << 40, 0, 0xff);
	CALL(syncfs, -1);
	CALL(sysfs, 3);
	CALL(sysfs, 1, "nonefs");
	CALL(sysfs, 2, 99999, buffer);
	CALL(ustat, 0, buffer);
}

static void descriptors(void)
{
	struct flock lock = {F_WRLCK, SEEK_END, -5, 1L << 40, 7}, odd_lock = {77, 88, 0, 0, 0};
	struct pollfd polled[] = {
		{3, POLLIN | POLLOUT | POLLRDHUP, 0}, {-1, 0, 0}, {NOBODY, 0x7000, 3}};
	static struct iovec vector[400] = {
		{"one", 3},        {(char *)odd_text, sizeof(odd_text)}, {NULL, 0}, {BAD, 5},
		{long_text, 5000},
	};
	struct epoll_event event = {EPOLLIN | EPOLLET | EPOLLEXCLUSIVE, {.u64 = 0x100000007}};

	CALL(read, 99, buffer, 10);
	CALL(read, -1, BAD, -1L);
	CALL(write, 99, odd_text, sizeof(odd_text));
	CALL(write, 99, long_text, 5000);
	CALL(write, 99, long_text, 32);
	CALL(write, 99, long_text, 33);
	CALL(write, 99, "", 0);
	CALL(write, 99, BAD, 10);
	CALL(write, 99, NULL, 10);
	CALL(write, 99, edge + 4096 - 5, 5);
	CALL(write, 99, endless + 4096 - 3, 10);
	CALL(write, 99, "1\0002\0003\0a", 8);
	CALL(pread64, 99, buffer, 5, -1L);
	CALL(pwrite64, 99, "x", 1, 1L << 62);
	CALL(readv, 99, vector, 2);
	CALL(writev, 99, vector, 5);
	CALL(writev, 99, vector, 0);
	CALL(writev, 99, vector, -1);
	CALL(writev, 99, NULL, 2);
	CALL(writev, 99, edge + 4096 - 16, 2);
	CALL(preadv, 99, vector, 1, 5, 0);
	CALL(pwritev, 99, vector, 1, -5, 0);
	CALL(preadv2, 99, vector, 1, -1, 0, 0x1f);
	CALL(pwritev2, 99, vector, 1, 7, 0, 0xf0);
	CALL(process_vm_readv, NOBODY, vector, 1, vector, 2, 0);
	CALL(process_vm_writev, NOBODY, vector, 1, vector, 2, 5);
	CALL(process_madvise, -1, vector, 1, 4, 0);
	CALL(vmsplice, 99, vector, 1, 0xf);
	CALL(lseek, 99, -5, SEEK_DATA);
	CALL(lseek, NOISE | 3, 0, 77);
	CALL(close, NOISE | 99);
	CALL(close, -1);
	CALL(close_range, 50, 0xffffffff, 6);
	CALL(close_range, 50, 49, 0xf0);
	CALL(dup, -5);
	CALL(dup2, 99, 98);
	CALL(dup3, 99, 98, O_CLOEXEC | O_NONBLOCK);
	CALL(pipe, NULL);
	CALL(pipe2, BAD, O_DIRECT | O_CLOEXEC | 1);
	CALL(ftruncate, 3, 100);
	CALL(fallocate, 3, 0x7f, 0, 100);
	CALL(fallocate, 3, 0x180, -1, 1);
	CALL(fadvise64, 3, 0, 0, POSIX_FADV_RANDOM);
	CALL(fadvise64, 3, 0, 0, 77);
	CALL(readahead, 3, -1, 5);
	CALL(flock, 99, 8);
	CALL(flock, 99, 0x60 | 2);
	CALL(fchdir, 99);
	CALL(fchmod, 99, 0123);
	CALL(fchown, 99, -1, -1);
	CALL(fstat, 99, buffer);
	CALL(fstatfs, 99, buffer);
	CALL(getdents, 99, buffer, 100);
	CALL(getdents64, 99, buffer, 0xffffffff);
	CALL(sendfile, 99, 98, words, 7);
	CALL(sendfile, 99, 98, NULL, -1L);
	CALL(splice, 99, words, 98, NULL, 5, 0xff);
	CALL(tee, 99, 98, -1L, 0);
	CALL(copy_file_range, 99, words, 98, words + 1, 5, 1);
	CALL(fcntl, 3, F_DUPFD, 10);
	CALL(fcntl, 3, F_GETFD, 5);
	CALL(fcntl, 3, F_SETFD, 3);
	CALL(fcntl, 3, F_GETFL);
	CALL(fcntl, 99, F_SETFL, O_RDWR | O_APPEND | O_ASYNC | 0x80000000);
	CALL(fcntl, 99, F_SETLK, &lock);
	CALL(fcntl, 99, F_SETLKW, &odd_lock);
	CALL(fcntl, 99, F_OFD_SETLKW, &lock);
	CALL(fcntl, 99, F_SETLK, NULL);
	CALL(fcntl, 99, F_SETLK, BAD);
	CALL(fcntl, 99, F_GETLK, &lock);
	CALL(fcntl, 99, F_SETOWN, -5);
	CALL(fcntl, 99, F_GETOWN);
	CALL(fcntl, 99, F_SETOWN_EX, (int[]){1, 77});
	CALL(fcntl, 99, F_SETSIG, SIGRTMIN);
	CALL(fcntl, 99, F_SETLEASE, F_RDLCK);
	CALL(fcntl, 99, F_NOTIFY, 0x80000000 | 3);
	CALL(fcntl, 99, F_SETPIPE_SZ, 4096);
	CALL(fcntl, 99, F_ADD_SEALS, 0xf);
	CALL(fcntl, 99, F_GET_RW_HINT, buffer);
	CALL(fcntl, 99, F_SET_RW_HINT, words);
	CALL(fcntl, 99, 7777, 1L << 40);
	CALL(poll, polled, 3, 0);
	CALL(poll, NULL, 0, 0);
	CALL(poll, BAD, 1, -1);
	CALL(ppoll, polled, 2, when + 1, sets + 1, 8);
	CALL(ppoll, NULL, 0, when + 1, sets + 2, 4);
	CALL(select, 5, words, words, NULL, moments + 1);
	CALL(select, -1, NULL, NULL, NULL, moments);
	CALL(select, 0, NULL, NULL, NULL, (struct timeval[]){{0, 1}});
	CALL(pselect6, 5, words, NULL, words, when + 1, (uintptr_t[]){(uintptr_t)(sets + 1), 8});
	CALL(pselect6, 0, NULL, NULL, NULL, (struct timespec[]){{0, 1}}, NULL);
	CALL(epoll_create, 0);
	CALL(epoll_create1, 0xffffffff);
	CALL(epoll_ctl, 99, EPOLL_CTL_ADD, 98, &event);
	CALL(epoll_ctl, 99, EPOLL_CTL_MOD, 98, NULL);
	CALL(epoll_ctl, 99, 77, 98, BAD);
	CALL(epoll_wait, 99, buffer, -1, 100);
	CALL(epoll_pwait, 99, buffer, 5, -1, sets + 3, 8);
	CALL(epoll_pwait2, 99, buffer, 5, when, NULL, 8);
	CALL(eventfd, 7);
	CALL(eventfd2, 0xffffffff, 0xffffffff);
	CALL(signalfd, 99, sets + 5, 8);
	CALL(signalfd4, 99, sets + 2, 8, 0xfffff);
	CALL(timerfd_create, 77, 0);
	CALL(timerfd_create, CLOCK_BOOTTIME_ALARM, TFD_NONBLOCK | 1);
	CALL(timerfd_settime, 99, 3, &timer_value, buffer);
	CALL(timerfd_gettime, 99, buffer);
	CALL(memfd_create, odd_text, 0xffff);
	CALL(memfd_create, BAD, 4 | (21 << 26));
	CALL(memfd_secret, 5);
	CALL(userfaultfd, 0xffffffff);
	CALL(io_setup, 0, buffer);
	CALL(io_destroy, 5);
	CALL(io_submit, 5, 0, NULL);
	CALL(io_getevents, 5, 0, 1, buffer, when);
	CALL(io_pgetevents, 5, 0, 1, buffer, when, (uintptr_t[]){(uintptr_t)(sets + 1), 8});
	CALL(io_cancel, 5, NULL, NULL);
	CALL(io_uring_setup, 0, NULL);
	CALL(io_uring_enter, 99, 1, 2, 0x1f, sets + 1, 8);
	CALL(io_uring_register, 99, 2, numbers, 2);
	CALL(io_uring_register, 99, 77, NULL, 0);
	CALL(pidfd_open, NOBODY, 0x800);
	CALL(pidfd_getfd, 99, 5, 1);
	CALL(pidfd_send_signal, 99, SIGTERM, NULL, 0);
	CALL(perf_event_open, words, NOBODY, -1, -1, 0xf);
	CALL(kcmp, NOBODY, NOBODY, 0, 1, 2);
	CALL(kcmp, NOBODY, NOBODY, 77, 1, 2);
}

static void commands(void)
{
	static struct termios terminal = {
		ICRNL | IXON, OPOST | ONLCR, CS8 | B38400 | CREAD, ISIG | ICANON | ECHO, 0, {3}};
	static struct winsize {
		unsigned short rows, columns, width, height;
	} size = {24, 80, 0, 0};
	static struct ifreq interface = {{"lo"}};

	CALL(ioctl, 99, TCGETS, &terminal);
	CALL(ioctl, 99, TCSETS, &terminal);
	CALL(ioctl, 99, TCSETSW, BAD);
	CALL(ioctl, 99, TIOCGWINSZ, &size);
	CALL(ioctl, 99, TIOCSWINSZ, &size);
	CALL(ioctl, 99, TIOCSPGRP, numbers);
	CALL(ioctl, 99, TIOCSCTTY, 1);
	CALL(ioctl, 99, TIOCNOTTY, NULL);
	CALL(ioctl, 99, TCFLSH, TCIOFLUSH);
	CALL(ioctl, 99, TCSBRK, 1);
	CALL(ioctl, 99, FIONREAD, buffer);
	CALL(ioctl, 99, FIONBIO, numbers);
	CALL(ioctl, 99, FIOASYNC, NULL);
	CALL(ioctl, 99, FIOCLEX);
	CALL(ioctl, 99, FIONCLEX, 5);
	CALL(ioctl, 99, SIOCGIFINDEX, &interface);
	CALL(ioctl, 99, SIOCGIFFLAGS, &interface);
	CALL(ioctl, 99, SIOCATMARK, buffer);
	CALL(ioctl, 99, 0x80081272 /* BLKGETSIZE64 */, buffer);
	CALL(ioctl, 99, 0x1260 /* BLKGETSIZE */, buffer);
	CALL(ioctl, 99, 0x40049409 /* FICLONE */, 5);
	CALL(ioctl, 99, 0x4020940d /* FICLONERANGE */, words);
	CALL(ioctl, 99, 0xc020660b /* FS_IOC_FIEMAP */, buffer);
	CALL(ioctl, 99, 0x80086601 /* FS_IOC_GETFLAGS */, buffer);
	CALL(ioctl, 99, 0x40086602 /* FS_IOC_SETFLAGS */, words);
	CALL(ioctl, 99, 0x5331, 1);
	CALL(ioctl, 99, 0xae00 /* KVM_GET_API_VERSION */, 0);
	CALL(ioctl, 99, 0x2401, 0);
	CALL(ioctl, 99, 0xdeadbeef, words);
	CALL(ioctl, 99, 0, NULL);
	CALL(ioctl, 99, NOISE | 0x12345678, 1L << 40);
	CALL(prctl, PR_SET_NAME, "a \"long\" name, too long");
	CALL(prctl, PR_SET_NAME, BAD);
	CALL(prctl, PR_GET_NAME, buffer);
	CALL(prctl, PR_SET_PDEATHSIG, SIGTERM);
	CALL(prctl, PR_SET_PDEATHSIG, 0);
	CALL(prctl, PR_GET_PDEATHSIG, buffer);
	CALL(prctl, PR_SET_DUMPABLE, 77);
	CALL(prctl, PR_GET_DUMPABLE);
	CALL(prctl, PR_SET_KEEPCAPS, 0);
	CALL(prctl, PR_CAPBSET_READ, 21);
	CALL(prctl, PR_CAPBSET_DROP, 99);
	CALL(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 77, 0, 0);
	CALL(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	CALL(prctl, PR_SET_SECUREBITS, 0xffff);
	CALL(prctl, PR_GET_SECUREBITS);
	CALL(prctl, PR_SET_SECCOMP, 7, NULL);
	CALL(prctl, PR_GET_SECCOMP);
	CALL(prctl, PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0);
	CALL(prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	CALL(prctl, PR_SET_TIMERSLACK, 50000);
	CALL(prctl, PR_SET_CHILD_SUBREAPER, 0);
	CALL(prctl, PR_SET_PTRACER, -1L);
	CALL(prctl, PR_SET_MM, PR_SET_MM_BRK, 1, 0, 0);
	CALL(prctl, PR_SET_THP_DISABLE, 0, 0, 0, 0);
	CALL(prctl, PR_GET_TID_ADDRESS, buffer);
	CALL(prctl, PR_SET_VMA, 0, 1, 2, "name");
	CALL(prctl, PR_GET_SPECULATION_CTRL, 0, 0, 0, 0);
	CALL(prctl, 7777, 1, 2, 3, 4);
	CALL(arch_prctl, 0x1003 /* ARCH_GET_FS */, buffer);
	CALL(arch_prctl, 0x7777, 5);
	CALL(seccomp, 0, 1, NULL);
	CALL(seccomp, 1, 0xff & ~8 /* NEW_LISTENER */, NULL);
	CALL(seccomp, 1, 8 /* NEW_LISTENER */, NULL);
	CALL(seccomp, 2, 0, numbers);
	CALL(seccomp, 7, 0, BAD);
	CALL(keyctl, 0, -3, 0);
	CALL(keyctl, 3, NOBODY, 0, 0, 0);
	CALL(keyctl, 11, NOBODY, buffer, 10);
	CALL(keyctl, 7777, 1, 2, 3, 4);
	CALL(add_key, "nonetype", "description", "payload", 7, -2);
	CALL(request_key, "nonetype", BAD, NULL, 5);
	CALL(bpf, BPF_MAP_CREATE, &(union bpf_attr){.map_type = 77, .key_size = 4, .value_size = 8},
	     16);
	CALL(bpf, BPF_OBJ_GET, NULL, 0);
	CALL(bpf, 7777, words, 5);
	CALL(ptrace, PTRACE_PEEKTEXT, NOBODY, 1, 2);
	CALL(ptrace, 0x4206 /* PTRACE_SEIZE */, NOBODY, 0, 0x1ff);
	CALL(ptrace, 7777, NOBODY, 1, 2);
	CALL(personality, 0xffffffff);
	CALL(personality, 0x40000 | 8);
	CALL(personality, 0);
	CALL(reboot, 1, 2, 3, NULL);
	CALL(syslog, 77, buffer, 5);
	CALL(syslog, 10, NULL, 0);
	CALL(init_module, BAD, 5, "parameters");
	CALL(finit_module, -1, "parameters", 7);
	CALL(delete_module, "none of this name", O_NONBLOCK | O_TRUNC);
	CALL(kexec_load, 0, 0, NULL, 0xffff0000);
	CALL(kexec_file_load, -1, -1, 0, "", 0x7);
	CALL(lookup_dcookie, 5, buffer, 5);
	CALL(landlock_create_ruleset, NULL, 0, 1);
	CALL(landlock_create_ruleset, words, 8, 0xf0);
	CALL(landlock_add_rule, -1, 1, words, 0);
	CALL(landlock_restrict_self, -1, 0);
	CALL(iopl, 77);
	CALL(ioperm, -1L, 1, 1);
	CALL(modify_ldt, 77, words, 5);
	CALL(membarrier, 0, 0, 0);
	CALL(membarrier, 0x7777, 1, 5);
	CALL(getrandom, buffer, 5, 7);
	CALL(getrandom, buffer, 5, 0xf0);
	CALL(rseq, BAD, 5, 1, 0x53053053);
	CALL(nfsservctl, 1, NULL, NULL);
	CALL(vserver, 1);
	CALL(_sysctl, NULL);
	CALL(quotactl_fd, -1, 0x80000700, 0, buffer);
}

static void bind_all(void)
{
	struct sockaddr_in inet = {AF_INET, 0x1234, {0x0100007f}, {1}};
	struct sockaddr_in6 inet6 = {AF_INET6, 0x1234, 0x78563412, IN6ADDR_ANY_INIT, 2};
	struct sockaddr_in6 linked = {AF_INET6, 0, 0, {{{0xfe, 0x80, [15] = 1}}}, 1};
	struct sockaddr_un local = {AF_UNIX, "a path"}, abstract = {AF_UNIX, "\0abstract \"name\""};
	struct sockaddr_un full;
	struct sockaddr_nl netlink = {AF_NETLINK, 0, 77, 0x80000001};
	struct sockaddr_ll packet = {AF_PACKET, 0x0008, 1, 1, 4, 6, {1, 2, 3, 4, 5, 6, 7, 8}};
	struct sockaddr_vm vsock = {.svm_family = AF_VSOCK, .svm_port = 5, .svm_cid = 2};
	struct sockaddr odd = {77, "12345"}, none = {AF_UNSPEC, ""};

	memset(&full, 'f', sizeof(full));
	full.sun_family = AF_UNIX;
	CALL(bind, 99, &inet, sizeof(inet));
	CALL(bind, 99, &inet, 8);
	CALL(bind, 99, &inet6, sizeof(inet6));
	CALL(bind, 99, &linked, sizeof(linked));
	CALL(bind, 99, &local, sizeof(local));
	CALL(bind, 99, &local, 5);
	CALL(bind, 99, &local, 2);
	CALL(bind, 99, &abstract, 18);
	CALL(bind, 99, &full, sizeof(full));
	CALL(bind, 99, &netlink, sizeof(netlink));
	CALL(bind, 99, &packet, sizeof(packet));
	CALL(bind, 99, &vsock, sizeof(vsock));
	CALL(bind, 99, &odd, sizeof(odd));
	CALL(bind, 99, &none, sizeof(none));
	CALL(bind, 99, &none, 1);
	CALL(bind, 99, NULL, 0);
	CALL(bind, 99, BAD, 16);
	CALL(bind, 99, &inet, -1);
	CALL(bind, 99, &inet, 1000);
	CALL(connect, 99, &inet, sizeof(inet));
	CALL(sendto, 99, odd_text, sizeof(odd_text), MSG_OOB | MSG_MORE | MSG_CONFIRM, &inet6,
	     sizeof(inet6));
	CALL(sendto, 99, "x", 1, 0xffffffff, &abstract, 18);
}

/* A control message of each kind one after the other, and one that is too short for its length. */
static void messages(void)
{
	static struct {
		struct cmsghdr rights;
		int fds[2];
		struct cmsghdr credentials;
		struct ucred who;
		int pad;
		struct cmsghdr address;
		struct in_pktinfo information;
		int another_pad;
		struct cmsghdr odd;
		int content[2];
		struct cmsghdr cut;
	} control = {
		{24, SOL_SOCKET, SCM_RIGHTS},
		{1, 2},
		{28, SOL_SOCKET, SCM_CREDENTIALS},
		{1, 2, 3},
		0,
		{28, IPPROTO_IP, IP_PKTINFO},
		{1, {2}, {3}},
		0,
		{24, 77, 88},
		{5, 6},
		{1000, SOL_SOCKET, SCM_RIGHTS},
	};
	static struct iovec vector[] = {{"message", 7}, {(char *)odd_text, sizeof(odd_text)}};
	static struct sockaddr_in inet = {AF_INET, 0x1234, {0x0100007f}, {1}};
	static struct msghdr whole = {&inet,    sizeof(inet),    vector, 2,
				      &control, sizeof(control), MSG_EOR};
	static struct msghdr one = {NULL, 0, vector, 1, &control, 24, 0}, empty,
			     bad = {BAD, 5, BAD, 5, BAD, 5, -1};
	static struct mmsghdr several[2];

	several[0].msg_hdr = one;
	several[1].msg_hdr = empty;
	CALL(sendmsg, 99, &whole, MSG_DONTROUTE | MSG_ZEROCOPY);
	CALL(sendmsg, 99, &one, 0);
	CALL(sendmsg, 99, &empty, MSG_FASTOPEN);
	CALL(sendmsg, 99, &bad, 0);
	CALL(sendmsg, 99, NULL, 0);
	CALL(sendmsg, 99, BAD, 0);
	CALL(recvmsg, 99, &whole, MSG_TRUNC | MSG_WAITALL);
	CALL(recvmsg, 99, NULL, 0);
	CALL(sendmmsg, 99, several, 2, MSG_NOSIGNAL);
	CALL(recvmmsg, 99, several, 2, MSG_WAITFORONE, when);
	CALL(recvfrom, 99, buffer, 10, MSG_ERRQUEUE, buffer, numbers);
}

static void options(void)
{
	static struct linger linger = {1, 5};
	static struct timeval wait = {1, 500000};
	static struct ip_mreq group = {{0x010000e0}, {0}};
	static struct ucred who;

	CALL(setsockopt, 99, SOL_SOCKET, SO_REUSEADDR, numbers, 4);
	CALL(setsockopt, 99, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	CALL(setsockopt, 99, SOL_SOCKET, SO_LINGER, &linger, 4);
	CALL(setsockopt, 99, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	CALL(setsockopt, 99, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
	CALL(setsockopt, 99, SOL_SOCKET, SO_ATTACH_FILTER, words, 16);
	CALL(setsockopt, 99, SOL_SOCKET, 7777, numbers, 8);
	CALL(setsockopt, 99, IPPROTO_TCP, TCP_NODELAY, numbers, 4);
	CALL(setsockopt, 99, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
	CALL(setsockopt, 99, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group));
	CALL(setsockopt, 99, IPPROTO_IP, IP_TTL, numbers, 1);
	CALL(setsockopt, 99, IPPROTO_IPV6, IPV6_V6ONLY, numbers, 4);
	CALL(setsockopt, 99, IPPROTO_UDP, 1, numbers, 4);
	CALL(setsockopt, 99, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, numbers, 4);
	CALL(setsockopt, 99, 7777, 8888, numbers, 4);
	CALL(setsockopt, 99, SOL_SOCKET, SO_TYPE, NULL, 0);
	CALL(setsockopt, 99, SOL_SOCKET, SO_SNDBUF, BAD, 4);
	CALL(setsockopt, 99, SOL_SOCKET, SO_SNDBUF, numbers, -1);
	CALL(getsockopt, 99, SOL_SOCKET, SO_PEERCRED, &who, numbers);
	CALL(getsockopt, 99, IPPROTO_TCP, TCP_INFO, buffer, numbers);
	CALL(getsockopt, 99, 7777, 1, NULL, NULL);
}

static void sockets(void)
{
	CALL(socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_MPTCP);
	CALL(socket, AF_INET, SOCK_RAW, 77);
	CALL(socket, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	CALL(socket, AF_UNIX, 77, 5);
	CALL(socket, AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
	CALL(socket, AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, 77);
	CALL(socket, AF_PACKET, SOCK_RAW, 0x0300);
	CALL(socket, 77, SOCK_STREAM | 0xf0000, -1);
	CALL(socket, NOISE | AF_BLUETOOTH, SOCK_SEQPACKET, 0);
	CALL(socketpair, AF_UNIX, SOCK_DGRAM, 0, NULL);
	CALL(socketpair, AF_INET, SOCK_STREAM, IPPROTO_TCP, BAD);
	CALL(listen, 99, -1);
	CALL(accept, 99, buffer, numbers);
	CALL(accept4, 99, NULL, NULL, 0xffff);
	CALL(shutdown, 99, SHUT_RD);
	CALL(shutdown, 99, 77);
	CALL(getsockname, 99, buffer, numbers);
	CALL(getpeername, 99, NULL, NULL);
	bind_all();
	messages();
	options();
}

static void memory(void)
{
	CALL(brk, 0);
	CALL(mmap, 0x10000000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CALL(mmap, NULL, 0, PROT_NONE, MAP_SHARED, 99, 4096);
	CALL(mmap, NULL, 4096, PROT_READ | PROT_GROWSDOWN,
	     MAP_SHARED_VALIDATE | MAP_SYNC | MAP_POPULATE, 99, -4096L);
	CALL(mmap, NULL, -1L, 0x1230, 0x1234560, NOISE | 99, 1L << 40);
	CALL(mmap, BAD, 1, PROT_READ, MAP_HUGETLB | (21 << 26) | MAP_STACK | MAP_LOCKED | 3, -1, 0);
	CALL(mmap, NULL, 1, PROT_READ, MAP_HUGETLB | (5 << 26) | MAP_GROWSDOWN | MAP_NORESERVE, -1,
	     5);
	CALL(mprotect, 0x10000000, 4096, PROT_READ);
	CALL(mprotect, 1, 4096, 0x7fffff00);
	CALL(pkey_mprotect, 0x10000000, 4096, PROT_NONE, -1);
	CALL(pkey_alloc, 0, 0xff);
	CALL(pkey_free, 77);
	CALL(madvise, 0x10000000, 4096, MADV_DONTNEED);
	CALL(madvise, 1, 4096, 7777);
	CALL(mlock, 1, -1L);
	CALL(mlock2, 1, -1L, 3);
	CALL(munlock, 1, -1L);
	CALL(mlockall, 0xf0);
	CALL(munlockall);
	CALL(msync, 1, 5, MS_SYNC | MS_INVALIDATE | 0x70);
	CALL(mincore, 1, 5, buffer);
	CALL(mremap, 0x10000000, 4096, 8192, 0);
	CALL(mremap, 1, 4096, 8192, 7, 0x20000000);
	CALL(mremap, 1, 4096, 8192, 0xf0, 5);
	CALL(remap_file_pages, 1, 4096, 0, 0, MAP_SHARED);
	CALL(mbind, 1, 4096, 2, words, 64, 7);
	CALL(set_mempolicy, 77, NULL, 0);
	CALL(set_mempolicy, 2 | (1 << 15), words, 9);
	CALL(get_mempolicy, numbers, words, 5, 0, 7);
	CALL(migrate_pages, NOBODY, 64, words, words);
	CALL(move_pages, NOBODY, 1, words, numbers, numbers, 6);
	CALL(munmap, 0x10000000, 4096);
	CALL(munmap, 1, 0);
	CALL(process_mrelease, -1, 5);
}

static void signals(void)
{
	static struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} actions[] = {
		{SIG_IGN, 0, NULL, 0},
		{SIG_DFL, 0x04000000, BAD, 1},
		{BAD, SA_SIGINFO | SA_RESTART | SA_ONSTACK | SA_NODEFER | 0x04000000, WILD,
		 0xfffffffe7ffbfeff},
		{BAD, SA_RESETHAND | SA_NOCLDSTOP | 0x7700, NULL, 1ULL << 63},
	};
	static stack_t stack = {buffer, SS_ONSTACK, 8192},
		       disabled = {NULL, SS_DISABLE | (int)0x80000000, 0};
	static siginfo_t information = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};

	for (unsigned i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		CALL(rt_sigaction, SIGUSR1 + i, actions + i, NULL, 7);
	CALL(rt_sigaction, SIGUSR2, NULL, buffer, 8);
	CALL(rt_sigaction, SIGUSR2, BAD, BAD, 8);
	CALL(rt_sigaction, 77, NULL, NULL, 8);
	CALL(rt_sigaction, 34, actions, NULL, 5);
	for (unsigned i = 0; i < 7; i++)
		CALL(rt_sigprocmask, 77, sets + i, NULL, 8);
	CALL(rt_sigprocmask, SIG_BLOCK, sets, buffer, 8);
	CALL(rt_sigprocmask, SIG_SETMASK, NULL, buffer, 8);
	CALL(rt_sigprocmask, SIG_UNBLOCK, BAD, NULL, 8);
	CALL(rt_sigprocmask, SIG_UNBLOCK, sets, NULL, 4);
	CALL(rt_sigpending, buffer, 8);
	CALL(rt_sigtimedwait, sets + 1, NULL, (struct timespec[]){{0, 0}}, 8);
	CALL(rt_sigtimedwait, BAD, buffer, when + 1, 8);
	CALL(rt_sigsuspend, sets, 4);
	CALL(rt_sigqueueinfo, NOBODY, SIGUSR1, &information);
	CALL(rt_sigqueueinfo, NOBODY, 77, BAD);
	CALL(rt_tgsigqueueinfo, NOBODY, NOBODY, SIGRTMAX, &information);
	CALL(sigaltstack, &stack, NULL);
	CALL(sigaltstack, &disabled, buffer);
	CALL(sigaltstack, NULL, NULL);
	CALL(sigaltstack, BAD, NULL);
	CALL(kill, NOBODY, 0);
	CALL(kill, -NOBODY, SIGKILL);
	CALL(kill, NOISE | NOBODY, 77);
	CALL(tkill, NOBODY, SIGRTMIN);
	CALL(tgkill, NOBODY, NOBODY, 33);
}

static void timers(void)
{
	static struct sigevent events[] = {
		{.sigev_value = {.sival_int = 5},
		 .sigev_signo = SIGUSR1,
		 .sigev_notify = SIGEV_NONE},
		{.sigev_value = {.sival_int = 5}, .sigev_signo = 34, .sigev_notify = 4},
		{.sigev_signo = 77, .sigev_notify = 77},
	};
	static struct timex adjustment = {.modes = ADJ_FREQUENCY | 0x8000, .freq = 5};

	CALL(nanosleep, when + 1, NULL);
	CALL(nanosleep, (struct timespec[]){{0, 1}}, buffer);
	CALL(nanosleep, BAD, NULL);
	CALL(clock_nanosleep, CLOCK_MONOTONIC, 1, when, NULL);
	CALL(clock_nanosleep, 77, 0xf0, when + 1, buffer);
	CALL(clock_nanosleep, -6, 0, NULL, NULL);
	CALL(clock_gettime, CLOCK_TAI, buffer);
	CALL(clock_gettime, (~5 << 3) | 2, buffer);
	CALL(clock_gettime, (~3 << 3) | 3, buffer);
	CALL(clock_getres, 77, NULL);
	CALL(clock_settime, 77, when + 1);
	CALL(clock_adjtime, 77, &adjustment);
	CALL(adjtimex, BAD);
	CALL(gettimeofday, buffer, NULL);
	CALL(settimeofday, BAD, NULL);
	CALL(settimeofday, moments + 1, NULL);
	CALL(time, NULL);
	CALL(times, buffer);
	CALL(alarm, 0);
	CALL(getitimer, ITIMER_PROF, buffer);
	CALL(getitimer, 77, NULL);
	CALL(setitimer, 77, &interval, NULL);
	CALL(setitimer, ITIMER_REAL, BAD, buffer);
	for (unsigned i = 0; i < 3; i++)
		CALL(timer_create, 77, events + i, buffer);
	CALL(timer_create, CLOCK_REALTIME, NULL, BAD);
	CALL(timer_settime, NOBODY, 1, &timer_value, NULL);
	CALL(timer_settime, NOBODY, 0xf0, BAD, buffer);
	CALL(timer_gettime, NOBODY, buffer);
	CALL(timer_getoverrun, NOBODY);
	CALL(timer_delete, NOBODY);
	CALL(futex, numbers, FUTEX_WAIT, 77, NULL);
	CALL(futex, numbers, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 77, when);
	CALL(futex, numbers, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 77, when, NULL,
	     FUTEX_BITSET_MATCH_ANY);
	CALL(futex, numbers, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 0x7fffffff);
	CALL(futex, numbers, FUTEX_WAKE_BITSET, 1, NULL, NULL, 5);
	CALL(futex, numbers, FUTEX_REQUEUE, 1, 2, numbers + 1);
	CALL(futex, numbers, FUTEX_CMP_REQUEUE_PRIVATE, 1, 0x7fffffff, numbers + 1, 77);
	CALL(futex, numbers, FUTEX_WAKE_OP, 1, 1, numbers + 1, 0x04000001);
	CALL(futex, numbers, FUTEX_WAKE_OP_PRIVATE, 1, 1, numbers + 1, 0xffffffff);
	CALL(futex, BAD, FUTEX_LOCK_PI, 5, when);
	CALL(futex, BAD, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL);
	CALL(futex, BAD, FUTEX_UNLOCK_PI, 0, NULL);
	CALL(futex, BAD, 7777, 1, 2, 3, 4);
	CALL(futex_waitv, words, 0, 5, when, CLOCK_MONOTONIC);
	CALL(set_robust_list, BAD, 5);
	CALL(get_robust_list, NOBODY, buffer, buffer + 8);
	CALL(restart_syscall);
}

static void processes(void)
{
	static struct rlimit limit = {1 << 20, RLIM_INFINITY}, odd_limit = {5, 4};
	static char *const arguments[] = {"word", (char *)odd_text, long_text, "", NULL},
			   *const bad[] = {"a", BAD, NULL};
	static uint64_t clone_words[11] = {
		CLONE_THREAD | CLONE_PIDFD, 1, 2, 3, SIGCHLD, 5, 6, 7, 8, 9, 10};
	static char *many[40];
	static int header[2] = {0x20080522, 0}, capabilities[6] = {1, 2, 3, 0, 0x80, 0};

	for (int i = 0; i < 39; i++)
		many[i] = "argument";
	CALL(execve, "none", arguments, arguments);
	CALL(execve, "none", many, many);
	CALL(execve, "none", NULL, NULL);
	CALL(execve, BAD, bad, bad);
	CALL(execve, "none", BAD, (char *const[]){NULL});
	CALL(execveat, 99, "", arguments, NULL, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
	CALL(clone, CLONE_THREAD, NULL, NULL, NULL, NULL);
	CALL(clone, CLONE_SIGHAND | CLONE_PARENT_SETTID | CLONE_SETTLS | SIGKILL, BAD, numbers,
	     numbers + 1, BAD);
	CALL(clone, NOISE | CLONE_THREAD | CLONE_NEWUSER | 77, NULL, NULL, NULL, NULL);
	CALL(clone3, clone_words, sizeof(clone_words));
	CALL(clone3, clone_words, 64);
	CALL(clone3, clone_words, 5);
	CALL(clone3, NULL, 88);
	CALL(unshare, CLONE_NEWUSER | 0x80000000);
	CALL(unshare, 0);
	CALL(setns, -1, CLONE_NEWNET | CLONE_NEWPID);
	CALL(wait4, NOBODY, numbers, WNOHANG | WUNTRACED | WCONTINUED | __WCLONE, buffer);
	CALL(wait4, -1, NULL, 0xf0, NULL);
	CALL(waitid, P_ALL, 0, buffer, WEXITED | WNOHANG | WNOWAIT, NULL);
	CALL(waitid, 3, 99, NULL, 0xff, NULL);
	CALL(waitid, 77, NOBODY, NULL, 0, NULL);
	CALL(getpid);
	CALL(setpgid, NOBODY, 5);
	CALL(getpgid, NOBODY);
	CALL(getsid, -5);
	CALL(getpriority, PRIO_USER, 0);
	CALL(setpriority, 77, NOBODY, -20);
	CALL(ioprio_get, 1, NOBODY);
	CALL(ioprio_set, 1, NOBODY, 0x4003);
	CALL(ioprio_set, 77, NOBODY, 0xffff);
	CALL(sched_setparam, NOBODY, numbers);
	CALL(sched_getparam, NOBODY, numbers);
	CALL(sched_setscheduler, NOBODY, 1, numbers);
	CALL(sched_setscheduler, NOBODY, 0x40000077, BAD);
	CALL(sched_getscheduler, NOBODY);
	CALL(sched_get_priority_max, 2);
	CALL(sched_get_priority_min, 77);
	CALL(sched_rr_get_interval, NOBODY, buffer);
	CALL(sched_setaffinity, NOBODY, 8, words);
	CALL(sched_setaffinity, NOBODY, 5, NULL);
	CALL(sched_getaffinity, NOBODY, 8, words);
	CALL(sched_setattr, NOBODY, (int[]){48, 6, 1, 0, -5, 7, 1, 0, 2, 0, 3, 0}, 0);
	CALL(sched_setattr, NOBODY, NULL, 5);
	CALL(sched_getattr, NOBODY, buffer, 48, 5);
	CALL(getrlimit, RLIMIT_NOFILE, buffer);
	CALL(setrlimit, 77, &limit);
	CALL(setrlimit, RLIMIT_STACK, &odd_limit);
	CALL(setrlimit, RLIMIT_CORE, BAD);
	CALL(prlimit64, NOBODY, RLIMIT_AS, &limit, buffer);
	CALL(prlimit64, NOBODY, 77, NULL, NULL);
	CALL(getrusage, RUSAGE_CHILDREN, buffer);
	CALL(getrusage, 77, NULL);
	CALL(umask, NOISE | 022);
	CALL(umask, 0777777);
	CALL(setreuid, -1, -1);
	CALL(setresgid, -1, -1, -1);
	CALL(setfsuid, -1);
	CALL(setfsgid, NOISE | 0xffffffff);
	CALL(getresuid, buffer, buffer, NULL);
	CALL(getgroups, -1, numbers);
	CALL(setgroups, -1, NULL);
	CALL(setgroups, 2, BAD);
	CALL(capget, header, buffer);
	CALL(capset, (int[]){0x20080522, NOBODY}, capabilities);
	CALL(capset, numbers, NULL);
	CALL(sethostname, odd_text, -1);
	CALL(setdomainname, BAD, 5);
	CALL(uname, buffer);
	CALL(sysinfo, buffer);
	CALL(getcpu, buffer, NULL, NULL);
	CALL(set_tid_address, BAD);
	CALL(get_thread_area, buffer);
	CALL(set_thread_area, BAD);
}

static void system_v(void)
{
	static struct sembuf operations[] = {{0, -1, IPC_NOWAIT}, {5, 2, 0x1000 | 0x70}};
	static struct {
		long type;
		char text[8];
	} message = {5, "message"};

	CALL(shmget, 0, 0, 0);
	CALL(shmget, 0x1234, 0, 01000 | 02000 | 0600 | 04000 | 010000);
	CALL(shmat, NOBODY, NULL, 010000);
	CALL(shmat, NOBODY, BAD, 0x7fff0000);
	CALL(shmdt, BAD);
	CALL(shmctl, NOBODY, 2, buffer);
	CALL(shmctl, NOBODY, 0x7777, NULL);
	CALL(semget, 0x1234, -1, 0600);
	CALL(semop, NOBODY, operations, 2);
	CALL(semop, NOBODY, BAD, 1);
	CALL(semtimedop, NOBODY, operations, 1, when);
	CALL(semctl, NOBODY, 1, 16, 5);
	CALL(semctl, NOBODY, 1, 0x7777, buffer);
	CALL(msgget, 0x1234, 0400);
	CALL(msgsnd, NOBODY, &message, 8, 04000);
	CALL(msgrcv, NOBODY, buffer, 8, -5, 010000 | 020000);
	CALL(msgctl, NOBODY, 0, NULL);
	CALL(mq_open, "none", O_RDWR | O_CREAT, 0600, words);
	CALL(mq_open, "none", O_RDONLY, 0, NULL);
	CALL(mq_unlink, "none");
	CALL(mq_timedsend, 99, "text", 4, 5, when);
	CALL(mq_timedreceive, 99, buffer, 10, numbers, when);
	CALL(mq_notify, 99, NULL);
	CALL(mq_getsetattr, 99, words, buffer);
	syscall(7777, 1, 2, 3, 4, 5, 6);
	syscall(-1, 1, 2, 3, 4, 5, 6);
}

int main(void)
{
	memset(edge, 'e', 4096);
	edge[4096 - 1] = '\0';
	memset(endless, 'n', 4096);
	memset(long_text, 'l', sizeof(long_text) - 1);
	CALL(munmap, edge + 4096, 4096);
	CALL(munmap, endless + 4096, 4096);
	paths();
	mounts();
	descriptors();
	commands();
	sockets();
	memory();
	signals();
	timers();
	processes();
	system_v();
	return 0;
}
