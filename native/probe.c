/*
 * Features of the kernel are tried, each in a process of its own.
 *
 * What it is: the batch, and the process that runs it.  What it is not: the probes themselves
 * (probe_notify.c, probe_process.c, probe_kernel.c) or what their results mean, which is Python's.
 *
 * Three generations, so that nothing of it is seen by the program that asks, whatever a probe does:
 *
 *  1. The manager, cloned from the caller with no exit signal: the host gets no SIGCHLD and its
 *     wait(2) does not see it.  It is a subreaper, starts the probes, reaps whatever they leave,
 *     and kills what has not ended when the time is up.
 *  2. One process for each probe, all at the same time: a probe that hangs costs the others
 *     nothing.
 *  3. The children of a probe.
 *
 * Each generation is killed with the one before it (PR_SET_PDEATHSIG).  Results are stored in
 * shared memory and no fd is needed, so a full table or a limit on processes is reported too.
 */
#include "probe.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S  1000000000LL
#define NS_PER_MS 1000000LL

/* What the manager has for reaping what it killed, and then the caller for the manager's end. */
#define GRACE_NS (200 * NS_PER_MS)

#define LOOK_NS 50000L

static const struct {
	const char *name;
	probe_body *body;
} PROBES[] = {
	{"processes", probe_processes},
	{"open files", probe_open_files},
	{"/proc", probe_proc},
	{"/proc/PID/children", probe_proc_children},
	{"no_new_privs", probe_no_new_privs},
	{"close_range", probe_close_range},
	{"clone3", probe_clone3},
	{"pidfd_open", probe_pidfd_open},
	{"pidfd_getfd", probe_pidfd_getfd},
	{"PIDFD_THREAD", probe_pidfd_thread},
	{"listener", probe_listener},
	{"receive", probe_receive},
	{"id valid", probe_id_valid},
	{"respond", probe_respond},
	{"continue", probe_continue},
	{"add fd", probe_add_fd},
	{"add fd and respond", probe_add_fd_send},
	{"wait killable", probe_wait_killable},
	{"sync wake-up", probe_sync_wake_up},
	{"all threads", probe_all_threads},
	{"second listener", probe_nested_listener},
	{"/proc/PID/mem", probe_proc_mem},
	{"process_vm_readv", probe_process_vm_readv},
	{"dumpable", probe_dumpable},
	{"own seccomp", probe_own_seccomp},
	{"Landlock", probe_landlock},
	{"Landlock signals", probe_landlock_signals},
	{"user namespaces", probe_user_namespaces},
	{"ptrace seize", probe_ptrace_seize},
	{"suspend seccomp", probe_suspend_seccomp},
	{"filter dump", probe_filter_dump},
	{"openat2", probe_openat2},
	{"RESOLVE_CACHED", probe_resolve_cached},
	{"fchmodat2", probe_fchmodat2},
	{"statx mount id", probe_statx_mount_id},
	{"io_uring", probe_io_uring},
	{"i386 entry", probe_i386},
	{"x32 entry", probe_x32},
	{"cgroup", probe_cgroup},
	{"capabilities", probe_capabilities},
};

struct batch {
	struct probe_slot *slots;
	probe_body *const *bodies;
	size_t count;
	size_t running;
	const char *cgroup;
	int64_t deadline;
};

static int64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * NS_PER_S + time.tv_nsec;
}

static void pause_for(long ns)
{
	struct timespec time = {.tv_nsec = ns};

	(void)nanosleep(&time, NULL);
}

/* Die with the parent.  It may be gone already; its number is 0 if it is in another namespace. */
static void tie_to(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent && getppid() != 0)
		_exit(1);
}

/* ---- what the probes use ---- */

pid_t probe_fork(struct probe_slot *slot, uint64_t namespaces)
{
	pid_t parent = getpid();
	pid_t pid = (pid_t)syscall(__NR_clone, namespaces | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		tie_to(parent);
	else if (pid < 0 && errno == EAGAIN) /* the others may have taken all that we may have */
		slot->outcome = MON_PROBE_NOT_STARTED;
	return pid < 0 ? -errno : pid;
}

void probe_await_ready(const struct probe_slot *slot)
{
	while (!PROBE_LOAD(slot->ready))
		pause_for(LOOK_NS);
}

void probe_stay(struct probe_slot *slot)
{
	PROBE_STORE(slot->ready, 1);
	for (;;)
		(void)pause();
}

volatile uint64_t probe_secret;

pid_t probe_fork_sleeper(struct probe_slot *slot)
{
	pid_t pid = probe_fork(slot, 0);

	if (pid == 0) {
		probe_secret = PROBE_SECRET;
		probe_stay(slot);
	}
	if (pid > 0)
		probe_await_ready(slot);
	return pid;
}

int probe_reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPROTO;
}

void probe_proc_path(char *path, size_t size, pid_t pid, const char *leaf)
{
	char digits[16];
	size_t count = 0, at = 0;
	const char *head = "/proc/";

	do
		digits[count++] = (char)('0' + pid % 10);
	while ((pid /= 10) > 0);
	while (*head && at + 1 < size)
		path[at++] = *head++;
	while (count > 0 && at + 1 < size)
		path[at++] = digits[--count];
	if (at + 1 < size)
		path[at++] = '/';
	while (*leaf && at + 1 < size)
		path[at++] = *leaf++;
	path[at] = '\0';
}

/* ---- the manager ---- */

static void __attribute__((noreturn)) run_probe(const struct batch *batch, size_t index)
{
	struct probe_slot *slot = &batch->slots[index];
	int64_t result = batch->bodies[index](slot);

	slot->value = result < 0 ? 0 : result;
	slot->error = result < 0 ? (int)-result : 0;
	if (slot->outcome != MON_PROBE_NOT_STARTED)
		slot->outcome = MON_PROBE_DONE;
	_exit(0);
}

static void start_probe(struct batch *batch, size_t index)
{
	struct probe_slot *slot = &batch->slots[index];
	pid_t pid;

	*slot = (struct probe_slot){.cgroup = batch->cgroup, .outcome = MON_PROBE_TIMED_OUT};
	pid = probe_fork(slot, 0); /* not at once into the slot, which the child shares */
	if (pid == 0)
		run_probe(batch, index);
	if (pid < 0) {
		slot->outcome = MON_PROBE_NOT_STARTED;
		slot->error = -pid;
		return;
	}
	slot->pid = pid;
	batch->running++;
}

static void note_end(struct batch *batch, pid_t pid, int status)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct probe_slot *slot = &batch->slots[i];

		if (slot->pid != pid)
			continue;
		slot->pid = 0;
		batch->running--;
		if (WIFSIGNALED(status)) {
			slot->outcome = MON_PROBE_KILLED;
			slot->value = WTERMSIG(status);
		}
	}
}

/* Reap until no probe runs, or until the deadline.  Returns whether there is time left. */
static int reap_probes(struct batch *batch)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while (batch->running > 0) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);
		int64_t left = batch->deadline - now();
		struct timespec rest = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};

		if (pid > 0) {
			note_end(batch, pid, status);
			continue;
		}
		if (left <= 0)
			return 0;
		(void)sigtimedwait(&child, NULL, &rest);
	}
	return 1;
}

static void kill_probes(const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		if (batch->slots[i].pid > 0)
			(void)kill(batch->slots[i].pid, SIGKILL);
}

/* Reap whatever is left, orphans of probes too; not for ever: one may sleep in the kernel. */
static void reap_all(void)
{
	int64_t deadline = now() + GRACE_NS;

	while (now() < deadline) {
		pid_t pid = waitpid(-1, NULL, WNOHANG | __WALL);

		if (pid < 0 && errno != EINTR)
			return;
		if (pid == 0)
			pause_for(LOOK_NS);
	}
}

/*
 * The manager keeps nothing of the host's: fds from 3 on are closed, so that a probe which hangs
 * keeps no pipe open; handlers are gone; nothing dumps core.  Signals stay blocked.
 */
static void leave_the_host(void)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};
	struct rlimit nothing = {0, 0};

	(void)prctl(PR_SET_NAME, "monitor-probe", 0, 0, 0);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &standard, NULL);
	(void)syscall(__NR_prlimit64, 0, RLIMIT_CORE, &nothing, NULL);
	(void)syscall(__NR_close_range, 3, ~0U, 0);
}

/*
 * All at once; then, one at a time, those for which there was no process left while the others
 * ran.
 */
static void __attribute__((noreturn)) manage(struct batch *batch, pid_t host)
{
	int in_time;

	tie_to(host);
	leave_the_host();
	for (size_t i = 0; i < batch->count; i++)
		start_probe(batch, i);
	in_time = reap_probes(batch);
	for (size_t i = 0; in_time && i < batch->count; i++) {
		if (batch->slots[i].outcome != MON_PROBE_NOT_STARTED)
			continue;
		reap_all(); /* what the one before has left behind counts too */
		start_probe(batch, i);
		in_time = reap_probes(batch);
	}
	kill_probes(batch);
	reap_all();
	if (batch->cgroup) /* a probe that was killed in between may have left it */
		(void)rmdir(batch->cgroup);
	_exit(0);
}

/* ---- the caller ---- */

static probe_body *body_of(const char *name)
{
	for (size_t i = 0; i < sizeof(PROBES) / sizeof(PROBES[0]); i++)
		if (strcmp(PROBES[i].name, name) == 0)
			return PROBES[i].body;
	return NULL;
}

/* Clone the manager, with all signals blocked in it.  Returns its pid or -errno. */
static pid_t clone_manager(struct batch *batch)
{
	sigset_t all, mask;
	pid_t host = getpid(), pid;
	int error;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	/* No exit signal: see above.  Not fork(3): its handlers and locks belong to the host. */
	pid = (pid_t)syscall(__NR_clone, 0, NULL, NULL, NULL, NULL);
	if (pid == 0)
		manage(batch, host);
	error = errno;
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return pid < 0 ? -error : pid;
}

/*
 * Sleep until the manager has ended; kill it when it has had its time.  By its number and not by an
 * fd, of which there may be none left: the number is its own until it is reaped here.
 */
static void await_manager(pid_t manager, int64_t deadline)
{
	for (;;) {
		pid_t pid = waitpid(manager, NULL, WNOHANG | __WALL);

		/* ECHILD: the host waited with __WALL for just any child, and got this one too. */
		if (pid == manager || (pid < 0 && errno != EINTR))
			return;
		if (now() >= deadline)
			(void)kill(manager, SIGKILL);
		pause_for(LOOK_NS);
	}
}

int mon_probe(struct mon_probe *probes, size_t count, const char *cgroup, int milliseconds)
{
	probe_body *bodies[MON_PROBES_MAX];
	struct batch batch = {.bodies = bodies, .count = count, .cgroup = cgroup};
	size_t size = count * sizeof(struct probe_slot);
	pid_t manager;

	if (count == 0 || count > MON_PROBES_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		bodies[i] = body_of(probes[i].name);
		if (!bodies[i])
			return -EINVAL;
	}
	batch.slots = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (batch.slots == MAP_FAILED)
		return -errno;
	batch.deadline = now() + milliseconds * NS_PER_MS;
	manager = clone_manager(&batch);
	if (manager > 0)
		await_manager(manager, batch.deadline + 2 * GRACE_NS);
	for (size_t i = 0; i < count; i++) {
		probes[i].outcome = batch.slots[i].outcome;
		probes[i].step = batch.slots[i].step;
		probes[i].error = batch.slots[i].error;
		probes[i].value = batch.slots[i].value;
	}
	munmap(batch.slots, size);
	return manager < 0 ? (int)manager : 0;
}
