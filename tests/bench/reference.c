/*
 * The C reference: what one notified call costs at the least.  A target calls getppid(2) N times;
 * a supervisor in C polls, receives and lets it run, with SYNC_WAKE_UP.  Prints us per call.
 * usage: reference N
 */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int target(volatile int *listener, volatile int *taken, long calls)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, filter};
	double start;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* NEW_LISTENER | WAIT_KILLABLE_RECV */
	*listener = (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 8 | 32, &program);
	while (!*taken);
	for (long i = 0; i < calls / 10; i++) syscall(__NR_getppid); /* warm up */
	start = now();
	for (long i = 0; i < calls; i++) syscall(__NR_getppid);
	printf("%.4f\n", (now() - start) / (double)calls * 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = argc < 2 ? -1 : fork();
	int fd;

	if (pid < 0)
		return 1;
	if (pid == 0)
		return target(&shared[0], &shared[1], atol(argv[1]));
	while (!shared[0]);
	fd = (int)syscall(__NR_pidfd_getfd, syscall(__NR_pidfd_open, pid, 0), shared[0], 0);
	ioctl(fd, SECCOMP_IOW(4, __u64), 1UL); /* SYNC_WAKE_UP */
	shared[1] = 1;
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		struct seccomp_notif n = {0};
		struct seccomp_notif_resp r = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

		if (poll(&p, 1, -1) < 0 || !(p.revents & POLLIN))
			break;
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n) == 0) {
			r.id = n.id;
			ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
		}
	}
	return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}
