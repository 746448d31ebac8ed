/*
 * A static i386 program that makes calls on files, processes, sockets and descriptors: the old
 * ones, the 64-bit ones and the time64 ones side by side, with the structs that are i386's own.
 * Runs in an empty directory.  With an argument it is the program it executes itself: it says so.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/net.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>

#define CALL(name, ...) syscall(SYS_##name, ##__VA_ARGS__)

struct old_flock {
	int16_t type, whence;
	int32_t start, len, pid;
};

struct flock_64 {
	int16_t type, whence;
	int64_t start, len;
	int32_t pid;
} __attribute__((packed, aligned(4)));

static char buffer[4096]; /* for the kernel to fill, never shown */
static int64_t offset = 1;
static int32_t handle[2] = {4, 5};
static const int32_t old_times[2][2] = {{1, 2}, {3, 4}};
static const int64_t new_times[2][2] = {{1, 2}, {0, UTIME_OMIT}};

static void files(void)
{
	int fd = CALL(open, "file", O_RDWR | O_CREAT | O_EXCL | O_LARGEFILE, 0640);

	CALL(write, fd, "some text\n", 10);
	CALL(creat, "created", 0600);
	CALL(openat, AT_FDCWD, "file", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	CALL(openat, 99, "none", O_PATH | O_DIRECTORY);
	CALL(open, (char *)8, O_WRONLY | O_TRUNC | O_APPEND);
	CALL(stat, "file", buffer);
	CALL(lstat, "file", buffer);
	CALL(fstat, fd, buffer);
	CALL(oldstat, "file", buffer);
	CALL(stat64, "file", buffer);
	CALL(lstat64, "none", buffer);
	CALL(fstat64, fd, buffer);
	CALL(fstatat64, AT_FDCWD, "file", buffer, AT_SYMLINK_NOFOLLOW);
	CALL(statx, AT_FDCWD, "file", AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS, buffer);
	CALL(statfs, ".", buffer);
	CALL(statfs64, ".", 84, buffer);
	CALL(fstatfs64, fd, 84, buffer);
	CALL(access, "file", R_OK | X_OK);
	CALL(faccessat, AT_FDCWD, "file", F_OK);
	CALL(chmod, "file", 04755);
	CALL(fchmod, fd, 0600);
	CALL(fchmodat, AT_FDCWD, "file", 0644);
	CALL(chown, "file", -1, 0xffff);
	CALL(chown32, "file", -1, 0x12345);
	CALL(lchown32, "file", 0, 0);
	CALL(fchown32, fd, 0, -1);
	CALL(fchownat, AT_FDCWD, "file", 0, 0, AT_SYMLINK_NOFOLLOW);
	CALL(utime, "file", old_times);
	CALL(utimes, "file", old_times);
	CALL(futimesat, AT_FDCWD, "file", old_times);
	CALL(utimensat, AT_FDCWD, "file", old_times, 0);
	CALL(utimensat_time64, AT_FDCWD, "file", new_times, AT_SYMLINK_NOFOLLOW);
	CALL(utimensat_time64, fd, NULL, NULL, 0);
	CALL(mkdir, "directory", 0755);
	CALL(mkdirat, AT_FDCWD, "directory/inner", 0700);
	CALL(mknod, "fifo", S_IFIFO | 0600, 0);
	CALL(mknodat, AT_FDCWD, "device", S_IFCHR | 0600, 0x103);
	CALL(symlink, "file", "link");
	CALL(symlinkat, "no \"where\"\n", AT_FDCWD, "\t\001\377odd");
	CALL(readlink, "link", buffer, sizeof(buffer));
	CALL(readlinkat, AT_FDCWD, "link", buffer, 100);
	CALL(link, "file", "hard");
	CALL(linkat, AT_FDCWD, "link", AT_FDCWD, "harder", AT_SYMLINK_FOLLOW);
	CALL(rename, "hard", "moved");
	CALL(renameat, AT_FDCWD, "moved", AT_FDCWD, "hard");
	CALL(renameat2, AT_FDCWD, "hard", AT_FDCWD, "harder", 2 /* RENAME_EXCHANGE */);
	CALL(truncate, "file", 5);
	CALL(truncate64, "file", 5, 1);
	CALL(ftruncate64, fd, 7, 0);
	CALL(ftruncate, fd, 8);
	CALL(chdir, "directory");
	CALL(fchdir, fd);
	CALL(chdir, "..");
	CALL(getcwd, buffer, sizeof(buffer));
	CALL(chroot, "none");
	CALL(setxattr, "file", "user.name", "value\0more", 10, 1 /* XATTR_CREATE */);
	CALL(getxattr, "file", "user.name", buffer, sizeof(buffer));
	CALL(mount, "none", "none", "tmpfs", 14 /* NOSUID|NODEV|NOEXEC */, "size=1k");
	CALL(umount2, "none", 10 /* MNT_DETACH|UMOUNT_NOFOLLOW */);
	CALL(umount, "none");
	CALL(rmdir, "directory/inner");
	CALL(unlinkat, AT_FDCWD, "directory", AT_REMOVEDIR);
	CALL(unlink, "none");
	CALL(name_to_handle_at, AT_FDCWD, "file", handle, buffer, 0);
}

static void positions(void)
{
	int fd = CALL(open, "file", O_RDWR), out = CALL(open, "out", O_RDWR | O_CREAT, 0600);
	struct iovec vector[] = {{"one", 3}, {"two\n", 4}};
	struct iovec into[] = {{buffer, 10}, {buffer + 10, 10}};

	CALL(lseek, fd, -1, SEEK_END);
	CALL(_llseek, fd, 1, 2, buffer, SEEK_SET);
	CALL(read, fd, buffer, 100);
	CALL(pread64, fd, buffer, 100, 1, 0);
	CALL(pread64, fd, buffer, 100, 2, 1);
	CALL(pwrite64, fd, "abc", 3, 4, 0);
	CALL(readv, fd, into, 2);
	CALL(writev, out, vector, 2);
	CALL(preadv, fd, into, 2, 1, 0);
	CALL(pwritev, out, vector, 2, 5, 0);
	CALL(pwritev2, out, vector, 2, -1, -1, 2 /* RWF_DSYNC */);
	CALL(sendfile, out, fd, NULL, 5);
	CALL(sendfile64, out, fd, &offset, 5);
	CALL(fadvise64, fd, 1, 2, 100, 3 /* POSIX_FADV_WILLNEED */);
	CALL(fadvise64_64, fd, 1, 0, 100, 0, 4);
	CALL(readahead, fd, 0, 0, 100);
	CALL(sync_file_range, out, 0, 0, 10, 0, 7);
	CALL(fallocate, out, 1 /* KEEP_SIZE */, 0, 0, 100, 0);
	CALL(copy_file_range, fd, NULL, out, NULL, 3, 0);
	CALL(fsync, out);
	CALL(fdatasync, out);
	CALL(flock, out, 2 | 4);
	fd = CALL(open, ".", O_RDONLY | O_DIRECTORY);
	CALL(getdents, fd, buffer, sizeof(buffer));
	CALL(getdents64, fd, buffer, sizeof(buffer));
	CALL(mmap2, NULL, 4096, PROT_READ, MAP_SHARED, out, 0);
	CALL(mmap2, NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 3);
	CALL(mmap, (unsigned long[]){0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1U, 0});
}

static void descriptors(void)
{
	int pair[2], fd = CALL(open, "file", O_RDWR), epoll, events;
	struct old_flock lock = {F_WRLCK, SEEK_SET, 1, 2, 0};
	struct flock_64 lock64 = {F_RDLCK, SEEK_CUR, 3, 0x100000000, 0};
	struct epoll_event event = {EPOLLIN | EPOLLONESHOT, {.u64 = 7}};
	struct pollfd polled[] = {{fd, POLLIN, 0}, {-1, POLLOUT | POLLPRI, 0}};
	fd_set set;

	CALL(pipe, pair);
	CALL(pipe2, pair, O_CLOEXEC | O_NONBLOCK);
	CALL(dup, fd);
	CALL(dup2, fd, 40);
	CALL(dup3, fd, 41, O_CLOEXEC);
	CALL(fcntl, fd, F_GETFD);
	CALL(fcntl, fd, F_SETFL, O_APPEND | O_NONBLOCK);
	CALL(fcntl, fd, F_SETLK, &lock);
	CALL(fcntl, fd, F_GETLK, &lock);
	CALL(fcntl64, fd, F_DUPFD_CLOEXEC, 50);
	CALL(fcntl64, fd, F_SETFD, FD_CLOEXEC);
	CALL(fcntl64, fd, 13 /* F_SETLK64 */, &lock64);
	CALL(fcntl64, fd, 37 /* F_OFD_SETLK */, &lock64);
	CALL(fcntl64, fd, F_SETSIG, SIGUSR1);
	CALL(fcntl64, fd, 1234, 5);
	CALL(ioctl, fd, TCGETS, buffer);
	CALL(ioctl, pair[0], FIONREAD, buffer);
	CALL(ioctl, fd, FIONBIO, (int[]){1});
	CALL(ioctl, fd, 0x40041234, 5);
	CALL(poll, polled, 2, 0);
	CALL(ppoll, polled, 2, (int32_t[]){0, 5}, (uint32_t[]){1, 0}, 8);
	CALL(ppoll_time64, polled, 1, (int64_t[]){0, 6}, NULL, 8);
	FD_ZERO(&set);
	FD_SET(fd, &set);
	CALL(_newselect, fd + 1, &set, NULL, NULL, (int32_t[]){0, 7});
	CALL(select, (uintptr_t[]){fd + 1, (uintptr_t)&set, 0, 0, (uintptr_t)(int32_t[]){0, 8}});
	CALL(pselect6, fd + 1, NULL, &set, NULL, (int32_t[]){0, 9}, NULL);
	epoll = CALL(epoll_create1, EPOLL_CLOEXEC);
	CALL(epoll_create, 1);
	CALL(epoll_ctl, epoll, EPOLL_CTL_ADD, pair[0], &event);
	CALL(epoll_ctl, epoll, EPOLL_CTL_DEL, pair[0], NULL);
	CALL(epoll_wait, epoll, buffer, 5, 0);
	CALL(epoll_pwait, epoll, buffer, 5, 0, NULL, 8);
	events = CALL(inotify_init1, IN_CLOEXEC);
	CALL(inotify_add_watch, events, ".", IN_CREATE | IN_ONLYDIR);
	CALL(inotify_rm_watch, events, 9);
	CALL(eventfd2, 3, EFD_SEMAPHORE);
	CALL(signalfd4, -1, (uint32_t[]){1 << (SIGUSR1 - 1), 1}, 8, 0x800 /* SFD_NONBLOCK */);
	CALL(timerfd_create, 1, 0x80000);
	CALL(timerfd_settime, 44, 1, (int32_t[]){1, 2, 3, 4}, NULL);
	CALL(timerfd_settime64, 44, 0, (int64_t[]){1, 2, 3, 4}, buffer);
	CALL(memfd_create, "memory", 3);
	CALL(splice, pair[0], NULL, 44, NULL, 10, 3);
	CALL(tee, pair[0], pair[1], 10, 2);
	CALL(vmsplice, pair[1], (struct iovec[]){{"x", 1}}, 1, 0);
	CALL(close_range, 60, 70, 4);
	CALL(close, 9999);
}

static void pass_a_descriptor(int sender, int receiver)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {{CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec vector = {"with a descriptor", 17}, into = {buffer, 100};
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct msghdr received = {
		.msg_iov = &into,
		.msg_iovlen = 1,
		.msg_control = buffer + 1000,
		.msg_controllen = 100,
	};

	*(int *)CMSG_DATA(&control.header) = 1;
	CALL(sendmsg, sender, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	CALL(recvmsg, receiver, &received, MSG_CMSG_CLOEXEC);
	CALL(sendmmsg, sender, (struct mmsghdr[]){{message, 0}}, 1, 0);
}

static void sockets(void)
{
	struct sockaddr_un local = {AF_UNIX, "socket"};
	struct sockaddr_in6 inet6 = {AF_INET6, htons(9), 0, IN6ADDR_LOOPBACK_INIT, 3};
	struct sockaddr_in inet = {
		.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int pair[2], server, datagrams, one = 1;

	CALL(socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	server = CALL(socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CALL(bind, server, &local, sizeof(local));
	CALL(listen, server, 5);
	CALL(accept4, server, NULL, NULL, SOCK_CLOEXEC);
	CALL(accept4, server, buffer, &one, 0);
	CALL(connect, pair[0], &local, 9);
	datagrams = CALL(socket, AF_INET, SOCK_DGRAM, IPPROTO_UDP);
	CALL(connect, datagrams, &inet, sizeof(inet));
	CALL(connect, datagrams, &inet6, sizeof(inet6));
	CALL(sendto, pair[0], "to\0wards", 8, MSG_DONTWAIT, NULL, 0);
	CALL(sendto, pair[0], "nobody", 6, 0, &inet, sizeof(inet));
	CALL(recvfrom, pair[1], buffer, 100, MSG_PEEK, NULL, NULL);
	pass_a_descriptor(pair[0], pair[1]);
	CALL(setsockopt, server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	CALL(getsockopt, server, SOL_SOCKET, SO_TYPE, buffer, &one);
	CALL(getsockname, server, buffer, &one);
	CALL(getpeername, pair[0], buffer, &one);
	CALL(shutdown, pair[0], SHUT_RDWR);
	CALL(socketcall, SYS_SOCKET, (long[]){AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP});
	CALL(socketcall, SYS_CONNECT, (long[]){server, (long)&local, sizeof(local)});
	CALL(socketcall, SYS_SEND, (long[]){pair[1], (long)"sent", 4, MSG_NOSIGNAL});
	CALL(socketcall, SYS_RECV, (long[]){server, (long)buffer, 4, 0});
	CALL(socketcall, SYS_SOCKETPAIR, (long[]){AF_UNIX, SOCK_DGRAM, 0, (long)pair});
	CALL(socketcall, SYS_SETSOCKOPT, (long[]){server, SOL_SOCKET, SO_KEEPALIVE, (long)&one, 4});
	CALL(socketcall, SYS_SHUTDOWN, (long[]){server, SHUT_WR});
	CALL(socketcall, 99, buffer);
	CALL(socketcall, SYS_LISTEN, 8);
}

static void processes(char *self)
{
	char *const words[] = {self, "as a \"child\"", NULL}, *const environment[] = {
								      "ONE=1", "TWO=2", NULL};
	int pid = CALL(fork), status;

	if (pid == 0) {
		CALL(execve, "none", words, environment);
		CALL(execve, self, words, environment);
		CALL(exit_group, 1);
	}
	CALL(waitpid, pid, &status, 0);
	pid = vfork();
	if (pid == 0) {
		CALL(execveat, AT_FDCWD, self, words, NULL, 0);
		CALL(exit_group, 2);
	}
	CALL(wait4, pid, &status, __WALL, NULL);
	pid = CALL(clone, SIGCHLD | CLONE_FS, NULL, NULL, NULL, NULL);
	if (pid == 0)
		CALL(exit, 3);
	CALL(waitid, P_PID, pid, buffer, WEXITED | WSTOPPED, NULL);
	CALL(wait4, -1, NULL, WNOHANG, buffer);
	CALL(kill, 0x7fffffff, SIGTERM);
	CALL(unshare, 0);
	CALL(clone, CLONE_THREAD | SIGUSR2, NULL, NULL, NULL, NULL);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		CALL(write, 1, argv[1], strlen(argv[1]));
		return argc;
	}
	files();
	positions();
	descriptors();
	sockets();
	processes(argv[0]);
	return 0;
}
