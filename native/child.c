/*
 * The child: everything between clone3(2) and the program.
 *
 * What it is: one step after another, each named before it is tried, in the order that
 * credentials, namespaces and the filter force on it.  What it is not: a place for decisions;
 * they were taken when the request was made.
 *
 * It runs in a copy of a program with many threads: only system calls and plain memory, no locks.
 * libc's set*id functions are avoided, because they would look for those threads.
 *
 * The filter comes last, and it may trap every call.  So after it the child makes none but its
 * own execve(2), and, where the parent may not fetch the listener, one sendmsg(2): both carry 192
 * random bits in argument registers that the calls do not use, and the filter's prologue lets
 * exactly those pass.  Registers cannot be changed by another thread, and the program that is
 * executed never sees them.
 */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct child {
	const struct mon_launch_request *request;
	struct boot *boot;
	int handover;
	int filtered;
};

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/* Say where it failed, and wait to be killed: a filtered child cannot even exit by itself. */
static void __attribute__((noreturn)) fail(const struct child *child, int stage, int detail)
{
	child->boot->stage = stage;
	child->boot->detail = detail;
	child->boot->error = errno;
	BOOT_STORE(child->boot->state, BOOT_FAILED);
	if (!child->filtered)
		_exit(127);
	for (;;)
		relax();
}

static void check(const struct child *child, int stage, int detail, long result)
{
	if (result < 0)
		fail(child, stage, detail);
}

static void await_order(const struct child *child, int order)
{
	while (BOOT_LOAD(child->boot->order) != order)
		relax();
}

/*
 * No handler of the host's is left (CLONE_CLEAR_SIGHAND, or here where clone3(2) was refused),
 * and what the interpreter ignores for itself, SIGPIPE and SIGXFSZ, is as a program expects it.
 * What the user ignores, such as SIGHUP under nohup(1), stays ignored.
 */
static void reset_signals(void)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};

	for (int number = 1; number < NSIG; number++) {
		struct sigaction now;

		if (sigaction(number, NULL, &now) < 0)
			continue;
		if (now.sa_handler != SIG_IGN || number == SIGPIPE || number == SIGXFSZ)
			(void)sigaction(number, &standard, NULL);
	}
}

/*
 * The map files of a process that is not dumpable belong to root, proc(5): so for this moment it
 * is.  Not longer: our memory is a copy of the supervisor's, and other processes of the same user
 * could look into it and take the listener.  Where the parent may not take it for the same
 * reason, it is sent.
 */
static void await_maps(const struct child *child)
{
	int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;

	check(child, MON_STAGE_NAMESPACE_MAPS, 0, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	BOOT_STORE(child->boot->state, BOOT_WANTS_MAPS);
	await_order(child, BOOT_MAPS_WRITTEN);
	check(child, MON_STAGE_NAMESPACE_MAPS, 0, prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0));
}

static void enter_namespaces(const struct child *child)
{
	if (child->request->namespaces & CLONE_NEWUSER)
		await_maps(child);
	if (child->request->namespaces & CLONE_NEWNS) /* as unshare(1) does */
		check(child, MON_STAGE_MOUNT_PROPAGATION, 0,
		      mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

/* Close every fd from one number up to, and without, another. */
static void close_between(const struct child *child, int from, int before)
{
	if (from < before)
		check(child, MON_STAGE_FILE_DESCRIPTORS, -1,
		      syscall(__NR_close_range, from, before - 1, 0));
}

/*
 * Give the program exactly the descriptors that were asked for.  First every source is copied
 * above every number, so that no dup2(2) closes what is still needed; the copies' numbers go into
 * the request, of which this is the child's own copy.
 *
 * All others are closed now and not by execve(2): the listener needs a number below the program's
 * RLIMIT_NOFILE, which may be less than the host has open.
 */
static void arrange_fds(struct child *child)
{
	struct mon_fd *fds = child->request->fds;
	size_t count = child->request->fd_count;
	int above = count ? fds[count - 1].number + 1 : 0;
	int next = 0;

	child->handover = fcntl(child->handover, F_DUPFD_CLOEXEC, above);
	check(child, MON_STAGE_FILE_DESCRIPTORS, -1, child->handover);
	for (size_t i = 0; i < count; i++) {
		fds[i].source = fcntl(fds[i].source, F_DUPFD_CLOEXEC, above);
		check(child, MON_STAGE_FILE_DESCRIPTORS, (int)i, fds[i].source);
	}
	for (size_t i = 0; i < count; i++) {
		check(child, MON_STAGE_FILE_DESCRIPTORS, (int)i,
		      dup2(fds[i].source, fds[i].number));
		close_between(child, next, fds[i].number);
		next = fds[i].number + 1;
	}
	close_between(child, next, child->handover);
	close_between(child, child->handover + 1, INT_MAX);
}

static void set_limits(const struct child *child)
{
	for (size_t i = 0; i < child->request->limit_count; i++) {
		const struct mon_limit *limit = &child->request->limits[i];
		uint64_t value[2] = {limit->soft, limit->hard}; /* struct rlimit64 */

		check(child, MON_STAGE_RESOURCE_LIMITS, (int)i,
		      syscall(__NR_prlimit64, 0, limit->resource, value, NULL));
	}
}

static void set_credentials(const struct child *child)
{
	const struct mon_launch_request *request = child->request;

	if (request->group_count >= 0)
		check(child, MON_STAGE_GROUPS, 0,
		      syscall(__NR_setgroups, request->group_count, request->groups));
	if (request->gid >= 0)
		check(child, MON_STAGE_GROUP_ID, 0,
		      syscall(__NR_setresgid, request->gid, request->gid, request->gid));
	if (request->uid >= 0)
		check(child, MON_STAGE_USER_ID, 0,
		      syscall(__NR_setresuid, request->uid, request->uid, request->uid));
}

/*
 * The guard kills the tree; this is for the guard itself being killed.  A first time at once, so
 * that nothing is left of a launch; then again, or not, for the program: a change of credentials
 * has cleared it, prctl(2).
 */
static void tie_life(const struct child *child, pid_t guard, int tied)
{
	pid_t parent;

	check(child, MON_STAGE_PARENT_DEATH, 0,
	      prctl(PR_SET_PDEATHSIG, tied ? SIGKILL : 0, 0, 0, 0));
	if (!tied)
		return;
	parent = getppid(); /* 0 when the guard is outside our pid namespace */
	if (parent != guard && parent != 0) {
		errno = ESRCH;
		fail(child, MON_STAGE_PARENT_DEATH, 0);
	}
}

/* The second wall: a Landlock domain that grants nothing of what it handles, landlock(7). */
static void enter_landlock(const struct child *child)
{
	struct mon_landlock_ruleset_attr attr = {
		.handled_access_fs = child->request->landlock_fs,
		.handled_access_net = child->request->landlock_net,
		.scoped = child->request->landlock_scoped,
	};
	long ruleset;

	if (!attr.handled_access_fs && !attr.handled_access_net && !attr.scoped)
		return;
	ruleset = syscall(__NR_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0 && errno == E2BIG && !attr.scoped && !attr.handled_access_net)
		ruleset = syscall(__NR_landlock_create_ruleset, &attr, sizeof(uint64_t), 0);
	check(child, MON_STAGE_LANDLOCK, 0, ruleset);
	check(child, MON_STAGE_LANDLOCK, 1, syscall(__NR_landlock_restrict_self, ruleset, 0));
	close((int)ruleset);
}

static void install_filter(struct child *child)
{
	struct sock_fprog program = {
		.len = child->request->program_length,
		.filter = (struct sock_filter *)(uintptr_t)child->request->program,
	};
	unsigned long flags =
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	long listener = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);

	child->boot->wait_killable = listener >= 0;
	if (listener < 0) { /* before Linux 5.19, EINVAL; a profile may say what it likes */
		flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
		listener = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	}
	check(child, MON_STAGE_FILTER, 0, listener);
	child->filtered = 1;
	child->boot->listener = (int)listener;
	BOOT_STORE(child->boot->state, BOOT_FILTERED);
}

/* Send the listener over the handover socket, with the cookie that the prologue lets pass. */
static void send_listener(const struct child *child)
{
	const uint64_t *cookie = child->request->cookie;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	char byte = 0;
	struct iovec data = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &child->boot->listener, sizeof(int));
	check(child, MON_STAGE_LISTENER, 1,
	      syscall(__NR_sendmsg, child->handover, &message, 0, cookie[0], cookie[1], cookie[2]));
	BOOT_STORE(child->boot->state, BOOT_SENT);
}

static void hand_over(const struct child *child)
{
	int order;

	do {
		relax();
		order = BOOT_LOAD(child->boot->order);
	} while (order != BOOT_SEND && order != BOOT_EXECUTE);
	if (order == BOOT_SEND) {
		send_listener(child);
		await_order(child, BOOT_EXECUTE);
	}
	BOOT_STORE(child->boot->state, BOOT_EXECUTING);
}

/* Try each path as execvp(3) does: go on where a program is not there, remember EACCES. */
static void __attribute__((noreturn)) execute(const struct child *child)
{
	const struct mon_launch_request *request = child->request;
	const uint64_t *cookie = request->cookie;
	int refused = -1, i = 0;

	for (; request->paths[i]; i++) {
		BOOT_STORE(child->boot->detail, i);
		syscall(__NR_execve, request->paths[i], request->argv, request->envp, cookie[0],
			cookie[1], cookie[2]);
		if (errno == EACCES && refused < 0)
			refused = i;
		else if (errno != EACCES && errno != ENOENT && errno != ENOTDIR &&
			 errno != ESTALE && errno != ENODEV && errno != ETIMEDOUT)
			fail(child, MON_STAGE_EXEC, i);
	}
	if (refused >= 0) {
		errno = EACCES;
		fail(child, MON_STAGE_EXEC, refused);
	}
	fail(child, MON_STAGE_EXEC, i - 1);
}

void child_main(const struct guard_start *start, pid_t guard)
{
	struct child child = {
		.request = start->request,
		.boot = start->boot,
		.handover = start->handover,
	};

	tie_life(&child, guard, 1);
	(void)prctl(PR_SET_NAME, BOOT_NAME, 0, 0, 0);
	reset_signals();
	enter_namespaces(&child);
	if (child.request->new_session)
		check(&child, MON_STAGE_SESSION, 0, setsid());
	if (child.request->directory)
		check(&child, MON_STAGE_DIRECTORY, 0, chdir(child.request->directory));
	arrange_fds(&child);
	set_limits(&child);
	set_credentials(&child);
	tie_life(&child, guard, child.request->end_with_supervisor);
	if (child.request->no_new_privs)
		check(&child, MON_STAGE_NO_NEW_PRIVS, 0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	enter_landlock(&child);
	check(&child, MON_STAGE_FILTER, 0, sigprocmask(SIG_SETMASK, &start->mask, NULL));
	install_filter(&child);
	hand_over(&child);
	execute(&child);
}
