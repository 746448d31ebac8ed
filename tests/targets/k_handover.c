/*
 * As a container runtime does: installs a filter that notifies getppid(2), sends the listener over
 * the socket argv[1], keeps no copy, and asks argv[2] times, in argv[3] processes at once.  Prints
 * each answer.
 */
#include "k_ask.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static void send_fd(int socket, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec data = {"x", 1};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				 .msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(socket, &message, 0) < 0)
		exit(2);
}

int main(int argc, char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, code};
	int listener;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	listener = (int)syscall(SYS_seccomp, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	if (listener < 0 || argc < 3)
		return 2;
	send_fd(atoi(argv[1]), listener);
	close(listener);
	for (int i = argc > 3 ? atoi(argv[3]) : 1; i > 1 && fork() != 0; i--)
		;
	for (int i = 1; i <= atoi(argv[2]); i++) {
		long answer = ask(NULL, i);

		if (argc > 4) /* as fast as it can */
			continue;
		printf("%ld ", answer);
		fflush(stdout);
	}
	return 0;
}
