/*
 * Plays a container runtime: o_runtime SOCKET MESSAGE NUMBERS PROGRAM [ARGUMENT...]
 *
 * Has a filter that notifies the calls of these NUMBERS (1,2,3; of the machine's own ABI), connects to SOCKET, hands
 * its listener over with MESSAGE, in which @PID@ stands for its own pid, and executes PROGRAM.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int
filtered(char *numbers)
{
	struct sock_filter program[64] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	unsigned short count = 1;
	for (char *word = strtok(numbers, ","); word && count < 60; word = strtok(NULL, ",")) {
		program[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)atoi(word), 0, 1);
		program[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	}
	program[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog whole = {.len = count, .filter = program};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		err(2, "prctl");
	int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &whole);
	if (listener < 0)
		err(2, "seccomp");
	return listener;
}

static void
hand_over(int stream, int listener, const char *template)
{
	static char message[1 << 20];
	size_t length = 0;
	for (const char *at = template; *at && length < sizeof message - 32;) {
		if (strncmp(at, "@PID@", 5) == 0) {
			length += (size_t)sprintf(message + length, "%d", (int)getpid());
			at += 5;
		} else {
			message[length++] = *at++;
		}
	}
	union {
		char bytes[CMSG_SPACE(sizeof listener)];
		struct cmsghdr aligned;
	} control = {0};
	struct iovec data = {message, length};
	struct msghdr header = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof listener);
	memcpy(CMSG_DATA(rights), &listener, sizeof listener);
	if (sendmsg(stream, &header, 0) != (ssize_t)length)
		err(2, "sendmsg");
}

int
main(int argc, char **argv)
{
	if (argc < 5)
		errx(2, "SOCKET MESSAGE NUMBERS PROGRAM [ARGUMENT...]");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
	int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (stream < 0 || connect(stream, (struct sockaddr *)&address, sizeof address))
		err(2, "%s", argv[1]);
	int listener = filtered(argv[3]);
	hand_over(stream, listener, argv[2]);
	close(listener);
	close(stream);
	execv(argv[4], argv + 4);
	err(2, "%s", argv[4]);
}
