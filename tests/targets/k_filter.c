/* Installs a newer filter that returns argv[2] for mkdir(2), then calls mkdir(argv[1]); prints the result. */
#include "k_ask.h"
#include <linux/filter.h>
#include <linux/seccomp.h>

int main(int argc, char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdir, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 16) : 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, code};

	if (syscall(SYS_seccomp, 1, 0, &program) < 0)
		return 2;
	printf("%ld", raw(SYS_mkdir, (long)argv[1], 0700, 0, 0));
	return 0;
}
