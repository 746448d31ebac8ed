/*
 * The guard: a small process between the supervisor and the tree it launched.
 *
 * What it is: the parent of the first process and, as a subreaper (PR_SET_CHILD_SUBREAPER,
 * prctl(2)), of every process of the tree that loses its own.  So the tree is always the guard's
 * descendants: nothing escapes it by a double fork, none of its zombies reaches the host program,
 * and a child made with CLONE_PARENT is the guard's, not the host's.  It reaps, tells how the
 * first process ended, and kills the tree when it is told to or when the supervisor is gone,
 * even by SIGKILL.
 * What it is not: filtered, or a judge of anything.
 *
 * Rejected: PR_SET_PDEATHSIG alone (dies with the forking thread, and is not inherited by
 * grandchildren); making the supervisor a subreaper (that is the host program's to decide); a pid
 * namespace or a cgroup (not everybody may have one).
 *
 * It shares the supervisor's memory (CLONE_VM): so it costs no copy of it, and no page that the
 * supervisor writes later is copied because of it.  It has its own fds and its own signal
 * handlers.  For that it runs raw system calls only (raw.h), on a stack of its own, and touches
 * nothing of the supervisor's memory once the launch is over.
 */
#include "launch.h"
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

/* How often a kill is repeated until the last process has ended: each one's death may hand the
 * guard new children. */
#define KILL_PAUSE_NS 1000000L

#define KERNEL_SIGSET_SIZE 8 /* the kernel's sigset_t, not libc's */

struct guard {
	int control;
	int supervisor;
	int signals;  /* signalfd(2) for SIGCHLD */
	int children; /* /proc/thread-self/children */
	pid_t first;
	bool tied;    /* kill the tree when the supervisor is gone */
	bool reaping; /* the launch is over */
	bool killing;
};

static GUARD_CODE int fail(struct boot *boot, int stage, long error)
{
	boot->stage = stage;
	boot->error = (int)-error;
	BOOT_STORE(boot->state, BOOT_FAILED);
	return 1;
}

/* The kernel's struct sigaction; libc's has another layout. */
struct kernel_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

static GUARD_CODE long prepare(struct guard *guard)
{
	struct kernel_sigaction standard = {.handler = SIG_DFL};
	uint64_t child_signal = 1ULL << (SIGCHLD - 1);
	uint64_t all_signals = ~0ULL; /* the two that libc keeps for itself included */
	long fd;

	RAW(__NR_rt_sigprocmask, SIG_SETMASK, &all_signals, 0, KERNEL_SIGSET_SIZE, 0, 0);
	RAW(__NR_prctl, PR_SET_NAME, "monitor-guard", 0, 0, 0, 0);
	fd = RAW(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, 0);
	if (fd < 0)
		return fd;
	/* A host that ignores SIGCHLD would have the kernel throw exit statuses away. */
	fd = RAW(__NR_rt_sigaction, SIGCHLD, &standard, 0, KERNEL_SIGSET_SIZE, 0, 0);
	if (fd < 0)
		return fd;
	fd = RAW(__NR_signalfd4, -1, &child_signal, KERNEL_SIGSET_SIZE, SFD_CLOEXEC | SFD_NONBLOCK,
		 0, 0);
	if (fd < 0)
		return fd;
	guard->signals = (int)fd;
	fd = RAW(__NR_openat, AT_FDCWD, "/proc/thread-self/children", O_RDONLY | O_CLOEXEC, 0, 0,
		 0);
	guard->children = (int)fd;
	return fd < 0 ? fd : 0; /* no /proc, no CONFIG_PROC_CHILDREN: the tree could not be ended */
}

/* Create the child; a plain copy, so that it cannot disturb the memory that the guard shares. */
static GUARD_CODE long clone_child(uint64_t namespaces)
{
	struct clone_args args = {
		.flags = CLONE_CLEAR_SIGHAND | namespaces,
		.exit_signal = SIGCHLD,
	};
	long pid = RAW(__NR_clone3, &args, sizeof(args), 0, 0, 0, 0);

	/*
	 * Container profiles answer ENOSYS to clone3(2), older ones EPERM; the child clears its
	 * handlers itself.  Where namespaces are what is forbidden, clone(2) says so too.
	 */
	if (pid == -ENOSYS || pid == -EPERM)
		pid = RAW(__NR_clone, namespaces | SIGCHLD, 0, 0, 0, 0, 0);
	return pid;
}

/* Close every fd but the guard's own: among them all that the host program has open. */
static GUARD_CODE void close_others(const struct guard *guard)
{
	int kept[4] = {guard->control, guard->supervisor, guard->signals, guard->children};
	long from = 0;

	for (size_t round = 0; round < 4; round++) {
		int next = -1;

		for (size_t i = 0; i < 4; i++)
			if (kept[i] >= from && (next < 0 || kept[i] < next))
				next = kept[i];
		if (next < 0)
			break;
		if (next > from)
			RAW(__NR_close_range, from, next - 1, 0, 0, 0, 0);
		from = (long)next + 1;
	}
	RAW(__NR_close_range, from, ~0U, 0, 0, 0, 0);
}

/* Send SIGKILL to each child there is now; grandchildren become children as these die. */
static GUARD_CODE void kill_children(const struct guard *guard)
{
	char text[4096];
	long length = RAW(__NR_pread64, guard->children, text, sizeof(text), 0, 0, 0);
	long pid = 0;

	for (long i = 0; i < length; i++) {
		if (text[i] >= '0' && text[i] <= '9') {
			pid = pid * 10 + (text[i] - '0');
			continue;
		}
		if (pid > 1) /* a number that the end of the buffer cut has no blank after it */
			RAW(__NR_kill, pid, SIGKILL, 0, 0, 0, 0);
		pid = 0;
	}
}

static GUARD_CODE void report(const struct guard *guard, int status)
{
	struct mon_guard_status message = {.status = status};

	RAW(__NR_sendto, guard->control, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT, 0,
	    0);
}

/* Reap what has ended.  Returns false when there is no process left. */
static GUARD_CODE bool reap(const struct guard *guard)
{
	for (;;) {
		int status = 0;
		long pid = RAW(__NR_wait4, -1, &status, WNOHANG | __WALL, 0, 0, 0);

		if (pid == -EINTR)
			continue;
		if (pid <= 0)
			return pid == 0;
		if (pid == guard->first)
			report(guard, status);
	}
}

static GUARD_CODE void drain_signals(const struct guard *guard)
{
	struct signalfd_siginfo info;

	while (RAW(__NR_read, guard->signals, &info, sizeof(info), 0, 0, 0) > 0)
		;
}

/*
 * The supervisor is gone, or has let go of us.  A launch that it has not finished is undone even
 * when the tree is not tied to it: the child would wait for ever.
 */
static GUARD_CODE bool is_to_kill(const struct guard *guard)
{
	return guard->tied || !guard->reaping;
}

/* Take one message.  Returns false when the guard is to end at once. */
static GUARD_CODE bool obey(struct guard *guard)
{
	char order = 0;
	long count = RAW(__NR_recvfrom, guard->control, &order, 1, MSG_DONTWAIT, 0, 0);

	if (count == -EAGAIN || count == -EINTR)
		return true;
	if (count == 1 && order == MON_GUARD_BEGIN)
		guard->reaping = true;
	else if (count == 1 && order == MON_GUARD_DETACH)
		return false;
	else if (count == 1 || is_to_kill(guard))
		guard->killing = true; /* MON_GUARD_KILL, or the supervisor's end was closed */
	else
		return false;
	return true;
}

/* One wait and what follows from it.  Returns false when the guard is to end. */
static GUARD_CODE bool turn(struct guard *guard)
{
	struct pollfd fds[3] = {
		{.fd = guard->signals, .events = POLLIN},
		/* Once it kills, it takes no more orders, and a closed end would not let it wait.
		 */
		{.fd = guard->killing ? -1 : guard->control, .events = POLLIN},
		{.fd = guard->killing ? -1 : guard->supervisor, .events = POLLIN},
	};
	struct timespec pause = {.tv_nsec = KILL_PAUSE_NS};
	long ready = RAW(__NR_ppoll, fds, 3, guard->killing ? &pause : NULL, NULL, 0, 0);

	if (ready > 0 && fds[0].revents)
		drain_signals(guard);
	if (ready > 0 && fds[1].revents && !obey(guard))
		return false;
	if (ready > 0 && fds[2].revents) {
		if (!is_to_kill(guard))
			return false;
		guard->killing = true;
	}
	if (guard->killing)
		kill_children(guard);
	return guard->killing || guard->reaping ? reap(guard) : true;
}

GUARD_CODE int guard_main(void *argument)
{
	const struct guard_start *start = argument;
	struct guard guard = {
		.control = start->control,
		.supervisor = start->supervisor,
		.children = -1,
		.tied = start->request->end_with_supervisor,
	};
	long self = RAW(__NR_getpid, 0, 0, 0, 0, 0, 0);
	long pid = prepare(&guard);

	if (pid < 0)
		return fail(start->boot, MON_STAGE_GUARD, pid);
	pid = clone_child(start->request->namespaces);
	if (pid == 0)
		child_main(start, (pid_t)self);
	if (pid < 0)
		return fail(start->boot, MON_STAGE_CLONE, pid);
	guard.first = (pid_t)pid;
	close_others(&guard);
	RAW(__NR_chdir, "/", 0, 0, 0, 0, 0);    /* no file system stays busy because of us */
	BOOT_STORE(start->boot->pid, (int)pid); /* from here on nothing of start is touched */
	while (turn(&guard))
		;
	return 0;
}
