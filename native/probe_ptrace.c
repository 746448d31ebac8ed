/*
 * Probes of ptrace(2): a tracer without PTRACE_ATTACH's SIGSTOP, and what only root may ask.
 */
#include "probe.h"

#include <errno.h>
#include <linux/filter.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the stop of a seized task after PTRACE_INTERRUPT looks like, ptrace(2). */
#define IS_EVENT_STOP(status) ((status) >> 8 == (SIGTRAP | PTRACE_EVENT_STOP << 8))

/* A call that nothing here makes but the child whose filter refuses it. */
#define REFUSED       __NR_getpgid
#define REFUSED_ERRNO 4000

#define FILTER_LENGTH 4

static int seize(pid_t pid, unsigned long options)
{
	return ptrace(PTRACE_SEIZE, pid, NULL, options) < 0 ? -errno : 0;
}

static int interrupt(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
		return -errno;
	if (waitpid(pid, &status, __WALL) < 0)
		return -errno;
	return WIFSTOPPED(status) && IS_EVENT_STOP(status) ? 0 : -EPROTO;
}

/* Steps: PTRACE_SEIZE, PTRACE_INTERRUPT and the stop. */
int64_t probe_ptrace_seize(struct probe_slot *slot)
{
	pid_t pid = probe_fork_sleeper(slot);
	int error;

	error = pid < 0 ? pid : seize(pid, 0);
	if (error < 0)
		return error;
	slot->step++;
	return interrupt(pid);
}

/* Refuse one call; the last of the filters of a process is known by its errno. */
static int refuse_call(void)
{
	struct sock_filter code[FILTER_LENGTH] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, REFUSED, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | REFUSED_ERRNO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = FILTER_LENGTH, .filter = code};

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* whoever may do what follows needs it not */
	return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}

/* A child with that filter.  Told to, it makes the call, and stores what came of it. */
static pid_t fork_filtered(struct probe_slot *slot)
{
	pid_t pid = probe_fork(slot, 0);

	if (pid == 0) {
		slot->word = refuse_call();
		PROBE_STORE(slot->ready, 1);
		while (!PROBE_LOAD(slot->order))
			(void)sched_yield();
		slot->word = syscall(REFUSED, 0) < 0 ? -errno : 0;
		PROBE_STORE(slot->order, 0);
		probe_stay(slot);
	}
	if (pid < 0)
		return pid;
	probe_await_ready(slot);
	return slot->word < 0 ? (pid_t)slot->word : pid;
}

/* Steps: a filtered child, PTRACE_O_SUSPEND_SECCOMP, the call that its filter would refuse. */
int64_t probe_suspend_seccomp(struct probe_slot *slot)
{
	pid_t pid = fork_filtered(slot);
	int error;

	if (pid < 0)
		return pid;
	slot->step++;
	error = seize(pid, PTRACE_O_SUSPEND_SECCOMP);
	if (error < 0)
		return error;
	slot->step++;
	PROBE_STORE(slot->order, 1);
	while (PROBE_LOAD(slot->order))
		(void)sched_yield();
	return slot->word == -REFUSED_ERRNO ? -EPROTO : slot->word;
}

/* Steps: a filtered child, seizing it, PTRACE_SECCOMP_GET_FILTER.  The newest filter is ours. */
int64_t probe_filter_dump(struct probe_slot *slot)
{
	struct sock_filter code[BPF_MAXINSNS];
	pid_t pid = fork_filtered(slot);
	long length = 0, last = 0;
	int error;

	if (pid < 0)
		return pid;
	slot->step++;
	error = seize(pid, 0);
	if (error == 0)
		error = interrupt(pid);
	if (error < 0)
		return error;
	slot->step++;
	for (unsigned long index = 0; length >= 0; index++) { /* the oldest is the first */
		last = length;
		length = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, index, code);
	}
	if (errno != ENOENT)
		return -errno;
	return last == FILTER_LENGTH && code[2].k == (SECCOMP_RET_ERRNO | REFUSED_ERRNO) ? 0
											 : -EPROTO;
}
