/*
 * Probes of seccomp user notification: one real call of a real child goes all the way.
 *
 * What it is not: another implementation; the ioctls are those of listener.c, which the supervisor
 * uses too.
 *
 * The probe filters itself and then makes a child, which inherits the filter: so the listener is in
 * the right process from the start, and how it could be fetched is a question of its own
 * (probe_process.c, pidfd_getfd).
 */
#include "probe.h"

#include <errno.h>
#include <linux/filter.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* A call that nothing here makes but the child that is to be trapped. */
#define TRAPPED __NR_getpgid

#define ANSWER 4242

/* Large enough for what struct seccomp_notif may become; 80 bytes up to now. */
#define NOTIFICATION_WORDS 64

/* So long a signal has to take a received call away, where it can. */
#define SIGNAL_NS 2000000L

enum step {
	STEP_INSTALL,
	STEP_RECEIVE,
	STEP_USE,
	STEP_RESULT,
};

struct trapped {
	int listener;
	pid_t pid;
	union {
		uint64_t words[NOTIFICATION_WORDS];
		struct seccomp_notif notif;
	} received;
};

/* Install the filter, after no_new_privs as the launcher does.  Returns the listener or -errno. */
static int install(unsigned long flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TRAPPED, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	long listener;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	listener = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
			   SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &program);
	return listener < 0 ? -errno : (int)listener;
}

static void on_signal(int number)
{
	(void)number;
}

/* The child: make the call, and store what came of it. */
static void __attribute__((noreturn)) make_call(struct probe_slot *slot)
{
	struct sigaction action = {.sa_handler = on_signal}; /* and no SA_RESTART */
	sigset_t one;
	long result;

	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	(void)sigaction(SIGUSR1, &action, NULL);
	(void)sigprocmask(SIG_UNBLOCK, &one, NULL);
	result = syscall(TRAPPED, 0);
	slot->word = result < 0 ? -errno : result;
	if (slot->order && result >= 0) /* the result is said to be the write end of a pipe */
		(void)write((int)result, "", 1);
	probe_stay(slot);
}

/* Have a child trapped by a listener made with flags, and its call received. */
static int trap(struct probe_slot *slot, unsigned long flags, struct trapped *trapped)
{
	struct pollfd pfd = {.events = POLLIN};

	*trapped = (struct trapped){.listener = install(flags)};
	if (trapped->listener < 0)
		return trapped->listener;
	trapped->pid = probe_fork(slot, 0);
	if (trapped->pid == 0)
		make_call(slot);
	if (trapped->pid < 0)
		return trapped->pid;
	slot->step = STEP_RECEIVE;
	pfd.fd = trapped->listener;
	if (poll(&pfd, 1, -1) < 0)
		return -errno;
	return mon_listener_receive(trapped->listener, &trapped->received,
				    sizeof(trapped->received));
}

/* Whether the child's call has returned what was meant. */
static int check_result(struct probe_slot *slot, int64_t expected)
{
	slot->step = STEP_RESULT;
	probe_await_ready(slot);
	if (slot->word == expected)
		return 0;
	return slot->word < 0 ? (int)slot->word : -EPROTO;
}

static int answer(struct probe_slot *slot, const struct trapped *trapped)
{
	int error =
		mon_listener_respond(trapped->listener, trapped->received.notif.id, ANSWER, 0, 0);

	return error < 0 ? error : check_result(slot, ANSWER);
}

int64_t probe_listener(struct probe_slot *slot)
{
	int listener = install(0);

	(void)slot;
	return listener < 0 ? listener : 0;
}

int64_t probe_nested_listener(struct probe_slot *slot)
{
	int listener = install(0);

	if (listener < 0)
		return listener;
	slot->step = STEP_USE;
	listener = install(0);
	return listener < 0 ? listener : 0;
}

int64_t probe_all_threads(struct probe_slot *slot)
{
	int listener = install(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH);

	(void)slot;
	return listener < 0 ? listener : 0;
}

int64_t probe_receive(struct probe_slot *slot)
{
	struct trapped trapped;
	int error = trap(slot, 0, &trapped);

	if (error < 0)
		return error;
	return trapped.received.notif.data.nr == TRAPPED ? 0 : -EPROTO;
}

int64_t probe_id_valid(struct probe_slot *slot)
{
	struct trapped trapped;
	int error = trap(slot, 0, &trapped);

	if (error < 0)
		return error;
	slot->step = STEP_USE;
	error = mon_listener_id_valid(trapped.listener, trapped.received.notif.id);
	if (error < 0)
		return error;
	(void)kill(trapped.pid, SIGKILL);
	(void)probe_reap(trapped.pid);
	error = mon_listener_id_valid(trapped.listener, trapped.received.notif.id);
	return error == -ENOENT ? 0 : -EPROTO;
}

int64_t probe_respond(struct probe_slot *slot)
{
	struct trapped trapped;
	int error = trap(slot, 0, &trapped);

	if (error < 0)
		return error;
	slot->step = STEP_USE;
	return answer(slot, &trapped);
}

int64_t probe_continue(struct probe_slot *slot)
{
	struct trapped trapped;
	int error = trap(slot, 0, &trapped);

	if (error < 0)
		return error;
	slot->step = STEP_USE;
	error = mon_listener_respond(trapped.listener, trapped.received.notif.id, 0, 0,
				     SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	return error < 0 ? error : check_result(slot, getpgrp());
}

/* Have a child trapped, and put the write end of a pipe into it.  Returns its number there. */
static int add_pipe(struct probe_slot *slot, uint32_t flags, int *read_end)
{
	struct trapped trapped;
	int ends[2], number;
	int error = trap(slot, 0, &trapped);

	if (error < 0)
		return error;
	slot->step = STEP_USE;
	if (pipe(ends) < 0)
		return -errno;
	number = mon_listener_add_fd(trapped.listener, trapped.received.notif.id, flags, ends[1], 0,
				     0);
	close(ends[1]);
	*read_end = ends[0];
	return number;
}

/* The child, which still waits for its answer, holds the only write end: so it has not hung up. */
int64_t probe_add_fd(struct probe_slot *slot)
{
	struct pollfd pfd = {.events = POLLIN};
	int number = add_pipe(slot, 0, &pfd.fd);

	if (number < 0)
		return number;
	slot->step = STEP_RESULT;
	return poll(&pfd, 1, 0) == 0 ? 0 : -EPROTO;
}

/* The child's call returns the number, and the child writes there. */
int64_t probe_add_fd_send(struct probe_slot *slot)
{
	int read_end = -1, number, error;
	char byte;

	slot->order = 1;
	number = add_pipe(slot, SECCOMP_ADDFD_FLAG_SEND, &read_end);
	if (number < 0)
		return number;
	error = check_result(slot, number);
	if (error < 0)
		return error;
	return read(read_end, &byte, 1) == 1 ? 0 : -EPROTO;
}

/*
 * A signal that has a handler comes to the child between receiving and answering.  Without the
 * flag its call would be gone.  The pause on both sides: kernels from 5.19 until 2025 had a race
 * where a very fast answer was lost.
 */
int64_t probe_wait_killable(struct probe_slot *slot)
{
	struct timespec time = {.tv_nsec = SIGNAL_NS};
	struct trapped trapped;
	int error = trap(slot, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &trapped);

	if (error < 0)
		return error;
	slot->step = STEP_USE;
	(void)nanosleep(&time, NULL);
	if (kill(trapped.pid, SIGUSR1) < 0)
		return -errno;
	(void)nanosleep(&time, NULL);
	return answer(slot, &trapped);
}

int64_t probe_sync_wake_up(struct probe_slot *slot)
{
	struct trapped trapped;
	int error = trap(slot, 0, &trapped);

	if (error < 0)
		return error;
	slot->step = STEP_USE;
	error = mon_listener_set_flags(trapped.listener, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	return error < 0 ? error : answer(slot, &trapped);
}
