/*
 * A program starts under a filter, and its listener is fetched.
 *
 * What it is: the parent's side; guard.c is the process in between, child.c the one that becomes
 * the program.  What it is not: the loop that answers, which need not run yet.
 *
 * The protocol, and what it avoids:
 *
 *  1. The guard is cloned, and clones the child; neither is made by fork(3), whose handlers and
 *     locks belong to a program with threads.  All three share one page, the boot page.
 *  2. The child arranges everything, installs the filter as its last unhindered call, stores the
 *     listener's number in the page and spins.  It makes no call: the filter may trap any, and
 *     nobody answers yet.  Sending the listener over a socket is the well-known deadlock.
 *  3. The parent takes the listener out of the child with pidfd_getfd(2).  Where that is forbidden
 *     (YAMA, a container's profile) it has the child send it, by the one call that the filter's
 *     prologue lets pass.
 *  4. The child executes the program, by the other call that passes.  The handover socket is
 *     close-on-exec in the child and open nowhere else: its end says that the program runs.  A
 *     failure is stored in the page.
 *
 * So by the time this returns the program runs and nothing was trapped: no answer was needed, and
 * a failure at any step is told with its name and errno.
 */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUARD_STACK_SIZE (64 * 1024)

/* How long the parent sleeps between two looks at the page: at first short, then longer. */
#define LOOK_FIRST_NS 20000L
#define LOOK_LAST_NS  1000000L

struct launch {
	const struct mon_launch_request *request;
	struct mon_launch_result *result;
	struct boot *boot;
	int handover; /* the parent's end */
};

static void close_if_open(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int failed_at(struct mon_launch_result *result, int stage, int error)
{
	result->stage = stage;
	return error;
}

static int failed_in_child(struct launch *launch)
{
	launch->result->detail = launch->boot->detail;
	return failed_at(launch->result, launch->boot->stage, -launch->boot->error);
}

/*
 * Sleep for a moment, or until something happens to the processes.  Returns 0, or why there is
 * nothing to wait for any more: -ECANCELED, -ESRCH.
 */
static int look_again(const struct launch *launch, long *pause_ns)
{
	struct pollfd fds[3] = {
		{.fd = launch->request->cancel_fd, .events = POLLIN},
		{.fd = launch->result->guard_pidfd, .events = POLLIN},
		{.fd = launch->result->pidfd, .events = POLLIN},
	};
	struct timespec pause = {.tv_nsec = *pause_ns};

	if (*pause_ns < LOOK_LAST_NS)
		*pause_ns *= 2;
	if (ppoll(fds, 3, &pause, NULL) <= 0)
		return 0;
	if (fds[0].revents)
		return -ECANCELED;
	return fds[1].revents || fds[2].revents ? -ESRCH : 0;
}

/* Wait until the child has reached a state.  Returns 0 or -errno, with the stage told. */
static int await_state(struct launch *launch, int state, int stage)
{
	long pause_ns = LOOK_FIRST_NS;
	int error = 0;

	for (;;) {
		int now = BOOT_LOAD(launch->boot->state);

		if (now == BOOT_FAILED)
			return failed_in_child(launch);
		if (now == state)
			return 0;
		if (error < 0)
			return failed_at(launch->result, stage, error);
		error = look_again(launch, &pause_ns);
	}
}

static int await_pid(struct launch *launch)
{
	long pause_ns = LOOK_FIRST_NS;
	int error = 0;

	while (!BOOT_LOAD(launch->boot->pid)) {
		if (BOOT_LOAD(launch->boot->state) == BOOT_FAILED && !launch->boot->pid)
			return failed_in_child(launch);
		if (error < 0)
			return failed_at(launch->result, MON_STAGE_CLONE, error);
		error = look_again(launch, &pause_ns);
	}
	launch->result->pid = launch->boot->pid;
	/* The guard does not reap before it is told to, so the number is still the child's. */
	launch->result->pidfd = (int)syscall(__NR_pidfd_open, launch->result->pid, 0);
	if (launch->result->pidfd < 0)
		return failed_at(launch->result, MON_STAGE_CLONE, -errno);
	return 0;
}

static int write_proc(pid_t pid, const char *leaf, const char *text)
{
	size_t length = strlen(text);
	char path[64];
	ssize_t count;
	int fd, error;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, leaf);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	count = write(fd, text, length);
	error = errno;
	close(fd);
	if (count < 0)
		return -error;
	return (size_t)count == length ? 0 : -EIO;
}

static int write_maps(struct launch *launch)
{
	const struct mon_launch_request *request = launch->request;
	pid_t pid = launch->result->pid;
	int error;

	if (!(request->namespaces & CLONE_NEWUSER))
		return 0;
	error = await_state(launch, BOOT_WANTS_MAPS, MON_STAGE_NAMESPACE_MAPS);
	if (error < 0)
		return error;
	if (request->deny_setgroups) /* an ordinary user must, user_namespaces(7) */
		error = write_proc(pid, "setgroups", "deny");
	if (error == 0)
		error = write_proc(pid, "uid_map", request->uid_map);
	if (error == 0)
		error = write_proc(pid, "gid_map", request->gid_map);
	if (error < 0)
		return failed_at(launch->result, MON_STAGE_NAMESPACE_MAPS, error);
	BOOT_STORE(launch->boot->order, BOOT_MAPS_WRITTEN);
	return 0;
}

/* Take the fd that the child sent.  Returns it or -errno. */
static int receive_fd(int handover)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec data = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *header;
	int fd;

	if (recvmsg(handover, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
		return -errno;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return message.msg_flags & MSG_CTRUNC ? -EMFILE : -EBADMSG;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static int fetch_by_cookie(struct launch *launch)
{
	int error;

	BOOT_STORE(launch->boot->order, BOOT_SEND);
	error = await_state(launch, BOOT_SENT, MON_STAGE_LISTENER);
	if (error < 0)
		return error;
	launch->result->by_cookie = 1;
	return receive_fd(launch->handover);
}

static int fetch_listener(struct launch *launch)
{
	struct mon_launch_result *result = launch->result;
	int error = await_state(launch, BOOT_FILTERED, MON_STAGE_FILTER);
	long fd = -EPERM;

	if (error < 0)
		return error;
	result->wait_killable = launch->boot->wait_killable;
	if (!launch->request->use_cookie) {
		fd = syscall(__NR_pidfd_getfd, result->pidfd, launch->boot->listener, 0);
		if (fd < 0)
			fd = -errno;
	}
	/* EPERM: ptrace rights are missing, or a container's profile says so; ENOSYS: likewise. */
	if (fd == -EPERM || fd == -EACCES || fd == -ENOSYS)
		fd = fetch_by_cookie(launch);
	if (fd < 0)
		return failed_at(result, MON_STAGE_LISTENER, (int)fd);
	result->listener = (int)fd;
	error = mon_listener_check(result->listener);
	return error < 0 ? failed_at(result, MON_STAGE_LISTENER, error) : 0;
}

/* Does the child still have its first name?  execve(2) gives it another, proc_pid_comm(5). */
static int has_its_name(const struct launch *launch)
{
	char path[64], name[sizeof(BOOT_NAME)] = "";
	ssize_t count;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)launch->result->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 1;
	count = read(fd, name, sizeof(name));
	close(fd);
	return count <= 0 || memcmp(name, BOOT_NAME "\n", sizeof(name)) == 0;
}

/*
 * Has execve(2) closed the child's end of the handover socket?
 *
 * The end of our stream says so, unless another thread of the host forked while both ends were
 * open here and keeps a copy: then, after a while, the child's name is looked at.  Its fds are
 * not, because that takes rights which we may lack (pidfd_getfd(2)).
 */
static int has_executed(const struct launch *launch, long pause_ns)
{
	struct pollfd fd = {.fd = launch->handover, .events = POLLIN};

	if (poll(&fd, 1, 0) > 0)
		return 1;
	return pause_ns >= LOOK_LAST_NS && !has_its_name(launch);
}

static int await_exec(struct launch *launch)
{
	long pause_ns = LOOK_FIRST_NS;
	int error = 0;

	BOOT_STORE(launch->boot->order, BOOT_EXECUTE);
	for (;;) {
		int ended = has_executed(launch, pause_ns);

		/* In this order: a failure is stored before anything of the child can end. */
		if (BOOT_LOAD(launch->boot->state) == BOOT_FAILED)
			return failed_in_child(launch);
		/* A child that has ended without a word had executed the program. */
		if ((ended || error == -ESRCH) && BOOT_LOAD(launch->boot->state) == BOOT_EXECUTING)
			return 0;
		if (error < 0)
			return failed_at(launch->result, MON_STAGE_EXEC, error);
		error = look_again(launch, &pause_ns);
	}
}

static int send_order(int control, char order)
{
	return send(control, &order, 1, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Whatever was made is unmade: afterwards there is no process, no fd and no mapping of ours. */
static void undo(struct mon_launch_result *result)
{
	if (result->pidfd >= 0)
		(void)syscall(__NR_pidfd_send_signal, result->pidfd, SIGKILL, NULL, 0);
	if (result->control >= 0)
		(void)send_order(result->control, MON_GUARD_KILL);
	if (result->guard_pidfd >= 0)
		(void)mon_guard_release(result->guard_pidfd, result->guard_stack);
	else if (result->guard_stack)
		munmap(result->guard_stack, GUARD_STACK_SIZE);
	result->guard_stack = NULL;
	result->guard_pidfd = -1;
	close_if_open(&result->control);
	close_if_open(&result->listener);
	close_if_open(&result->pidfd);
}

/* Clone the guard, with all signals blocked in it. */
static int clone_guard(struct guard_start *start, struct mon_launch_result *result)
{
	sigset_t all;
	char *stack;
	int error;

	stack = mmap(NULL, GUARD_STACK_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return failed_at(result, MON_STAGE_GUARD, -errno);
	result->guard_stack = stack;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &start->mask);
	result->guard_pid =
		clone(guard_main, stack + GUARD_STACK_SIZE, CLONE_VM | CLONE_PIDFD | CLONE_UNTRACED,
		      start, &result->guard_pidfd);
	error = errno;
	sigprocmask(SIG_SETMASK, &start->mask, NULL);
	if (result->guard_pid >= 0)
		return 0;
	result->guard_pidfd = -1; /* a clone that failed late has stored a number, and closed it */
	return failed_at(result, MON_STAGE_GUARD, -error);
}

/* The fds and the guard. */
static int begin(struct launch *launch, struct guard_start *start)
{
	struct mon_launch_result *result = launch->result;
	int control[2] = {-1, -1}, handover[2] = {-1, -1};
	int supervisor, error = 0;

	supervisor = (int)syscall(__NR_pidfd_open, getpid(), 0);
	if (supervisor < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, handover) < 0)
		error = failed_at(result, MON_STAGE_PREPARE, -errno);
	start->supervisor = supervisor;
	start->control = control[1];
	start->handover = handover[1];
	if (error == 0)
		error = clone_guard(start, result);
	/* The guard has copies of its own; start, which it may still be reading, stays as it is. */
	close_if_open(&supervisor);
	close_if_open(&control[1]);
	close_if_open(&handover[1]);
	result->control = control[0];
	launch->handover = handover[0];
	return error;
}

static int run(struct launch *launch, struct guard_start *start)
{
	int error = begin(launch, start);

	if (error == 0)
		error = await_pid(launch);
	if (error == 0)
		error = write_maps(launch);
	if (error == 0)
		error = fetch_listener(launch);
	if (error == 0)
		error = await_exec(launch);
	if (error == 0)
		error = send_order(launch->result->control, MON_GUARD_BEGIN);
	if (error == 0)
		launch->result->detail = BOOT_LOAD(launch->boot->detail);
	close_if_open(&launch->handover);
	return error;
}

int mon_launch(const struct mon_launch_request *request, struct mon_launch_result *result)
{
	struct guard_start start = {
		.request = request, .control = -1, .supervisor = -1, .handover = -1};
	struct launch launch = {.request = request, .result = result, .handover = -1};
	int error;

	*result = (struct mon_launch_result){.pidfd = -1,
					     .listener = -1,
					     .control = -1,
					     .guard_pidfd = -1,
					     .stage = MON_STAGE_PREPARE};
	launch.boot = mmap(NULL, sizeof(struct boot), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (launch.boot == MAP_FAILED)
		return -errno;
	start.boot = launch.boot;
	error = run(&launch, &start);
	if (error < 0)
		undo(result);
	munmap(launch.boot, sizeof(struct boot));
	return error;
}

int mon_guard_release(int guard_pidfd, void *guard_stack)
{
	siginfo_t info;
	int result;

	/* __WALL: the guard's exit signal is none, so that the host's own wait(2) does not see it.
	 */
	do
		result = waitid(P_PIDFD, (id_t)guard_pidfd, &info, WEXITED | __WALL);
	while (result < 0 && errno == EINTR);
	/* ECHILD: the host waited with __WALL for just any child, and got this one too. */
	result = result < 0 && errno != ECHILD ? -errno : 0;
	close(guard_pidfd);
	munmap(guard_stack, GUARD_STACK_SIZE);
	return result;
}

int mon_set_dumpable(int dumpable)
{
	return prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0) < 0 ? -errno : 0;
}

int mon_get_dumpable(void)
{
	int result = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);

	return result < 0 ? -errno : result;
}

int mon_landlock_abi(void)
{
	/* LANDLOCK_CREATE_RULESET_VERSION */
	long result = syscall(__NR_landlock_create_ruleset, NULL, 0, 1U << 0);

	return result < 0 ? -errno : (int)result;
}
