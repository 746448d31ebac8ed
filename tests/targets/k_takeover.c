/*
 * Calls mkdir(argv[1]) until its supervisor is gone (ENOSYS), then installs a filter with a
 * listener of its own and allows itself what it is refused.  Prints what came of both.
 */
#include "k_ask.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdir, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, code};
	int early = (int)syscall(SYS_seccomp, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	int early_errno = errno, listener;

	if (early >= 0 || argc < 2)
		return 2; /* while the supervisor lives the kernel itself refuses */
	while (syscall(SYS_mkdir, argv[1], 0700) < 0 && errno != ENOSYS)
		;
	listener = (int)syscall(SYS_seccomp, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	printf("%d %d ", early_errno, listener < 0 ? errno : 0);
	fflush(stdout);
	if (listener >= 0 && fork() == 0) { /* the parent answers, the child asks */
		syscall(SYS_mkdir, argv[1], 0700);
		_exit(0);
	}
	if (listener >= 0) {
		struct seccomp_notif asked = {0};
		struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

		ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked);
		answer.id = asked.id;
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
		usleep(50000);
	}
	printf("%d", access(argv[1], F_OK));
	return 0;
}
