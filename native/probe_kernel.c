/*
 * Probes of single system calls, of /proc, of Landlock and of the other ways into the kernel.
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROCESS_NUMBER_MAX 24

/* The number at the start of text, or -1. */
static long number_in(const char *text, ssize_t length)
{
	long number = 0;

	if (length <= 0)
		return -1;
	for (ssize_t i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++)
		number = number * 10 + (text[i] - '0');
	return number;
}

static int open_root(void)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return root < 0 ? -errno : root;
}

/* ---- /proc ---- */

/* -ESRCH: it is there, and it is that of another pid namespace. */
int64_t probe_proc(struct probe_slot *slot)
{
	char text[PROCESS_NUMBER_MAX];
	ssize_t length = readlink("/proc/self", text, sizeof(text));

	(void)slot;
	if (length < 0)
		return -errno;
	return number_in(text, length) == getpid() ? 0 : -ESRCH;
}

int64_t probe_proc_children(struct probe_slot *slot)
{
	pid_t pid = probe_fork(slot, 0);
	char text[PROCESS_NUMBER_MAX];
	ssize_t length;
	int fd;

	if (pid == 0)
		probe_stay(slot);
	if (pid < 0)
		return pid;
	fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	length = read(fd, text, sizeof(text));
	if (length < 0)
		return -errno;
	return number_in(text, length) == pid ? 0 : -EPROTO;
}

/* ---- single calls ---- */

int64_t probe_close_range(struct probe_slot *slot)
{
	int ends[2];

	(void)slot;
	if (pipe(ends) < 0)
		return -errno;
	if (syscall(__NR_close_range, ends[0], ends[0], 0) < 0)
		return -errno;
	return fcntl(ends[0], F_GETFD) < 0 && fcntl(ends[1], F_GETFD) >= 0 ? 0 : -EPROTO;
}

int64_t probe_clone3(struct probe_slot *slot)
{
	struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	long pid = syscall(__NR_clone3, &args, sizeof(args));

	(void)slot;
	if (pid == 0)
		_exit(0);
	return pid < 0 ? -errno : probe_reap((pid_t)pid);
}

static int64_t open_with(int root, uint64_t resolve)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = resolve};
	long fd = syscall(__NR_openat2, root, ".", &how, sizeof(how));

	return fd < 0 ? -errno : 0;
}

int64_t probe_openat2(struct probe_slot *slot)
{
	int root = open_root();

	(void)slot;
	return root < 0 ? root : open_with(root, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/*
 * EAGAIN is no absence: try_to_unlazy() of fs/namei.c gives up where anybody mounted or unmounted
 * anything in the meantime.  One try in seventy fails so while another process does nothing else.
 */
#define CACHED_TRIES 1000

int64_t probe_resolve_cached(struct probe_slot *slot)
{
	int root = open_root();
	int64_t answer = -EAGAIN;

	(void)slot;
	if (root < 0)
		return root;
	for (int tries = 0; answer == -EAGAIN && tries < CACHED_TRIES; tries++)
		answer = open_with(root, RESOLVE_IN_ROOT | RESOLVE_CACHED);
	return answer;
}

int64_t probe_fchmodat2(struct probe_slot *slot)
{
	struct stat status;
	int ends[2];

	(void)slot;
	if (pipe(ends) < 0)
		return -errno;
	if (syscall(__NR_fchmodat2, ends[0], "", S_IRUSR, AT_EMPTY_PATH) < 0)
		return -errno;
	if (fstat(ends[0], &status) < 0)
		return -errno;
	return (status.st_mode & ALLPERMS) == S_IRUSR ? 0 : -EPROTO;
}

/* -EOPNOTSUPP: the call is there, and does not tell the mount. */
int64_t probe_statx_mount_id(struct probe_slot *slot)
{
	int root = open_root();
	struct statx status = {0};

	(void)slot;
	if (root < 0)
		return root;
	if (syscall(__NR_statx, root, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0)
		return -errno;
	return status.stx_mask & STATX_MNT_ID ? 0 : -EOPNOTSUPP;
}

int64_t probe_io_uring(struct probe_slot *slot)
{
	uint64_t params[15] = {0}; /* struct io_uring_params, 120 bytes */

	(void)slot;
	return syscall(__NR_io_uring_setup, 1, params) < 0 ? -errno : 0;
}

/* ---- Landlock ---- */

/* Confine this process.  Steps: landlock_create_ruleset(2), landlock_restrict_self(2). */
static int confine(struct probe_slot *slot, const struct mon_landlock_ruleset_attr *attr,
		   size_t size)
{
	long ruleset = syscall(__NR_landlock_create_ruleset, attr, size, 0);

	if (ruleset < 0)
		return -errno;
	slot->step++;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(__NR_landlock_restrict_self, ruleset, 0) < 0)
		return -errno;
	slot->step++;
	return 0;
}

/* The ABI version; what the domain refuses is refused. */
int64_t probe_landlock(struct probe_slot *slot)
{
	struct mon_landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_READ_DIR};
	int abi = mon_landlock_abi();
	int error;

	if (abi < 0)
		return abi;
	error = confine(slot, &attr, sizeof(attr.handled_access_fs));
	if (error < 0)
		return error;
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 && errno == EACCES ? abi : -EPROTO;
}

/* A domain that keeps its signals to itself: its own parent is out of reach. */
int64_t probe_landlock_signals(struct probe_slot *slot)
{
	struct mon_landlock_ruleset_attr attr = {.scoped = 1U << 1}; /* LANDLOCK_SCOPE_SIGNAL */
	int error = confine(slot, &attr, sizeof(attr));

	if (error < 0)
		return error;
	return kill(getppid(), 0) < 0 && errno == EPERM ? 0 : -EPROTO;
}

/* ---- other ways into the kernel ---- */

#if defined(__x86_64__)

#define I386_GETPID 20L
#define X32_BIT     0x40000000L

static sigjmp_buf after_fault;

static void on_fault(int number)
{
	siglongjmp(after_fault, number);
}

/* Without the gate the instruction faults; a handler, so that nothing is logged or dumped. */
int64_t probe_i386(struct probe_slot *slot)
{
	struct sigaction action = {.sa_handler = on_fault};
	sigset_t fault;
	long result = I386_GETPID;

	(void)slot;
	sigemptyset(&fault);
	sigaddset(&fault, SIGSEGV);
	(void)sigprocmask(SIG_UNBLOCK, &fault, NULL);
	(void)sigaction(SIGSEGV, &action, NULL);
	if (sigsetjmp(after_fault, 1))
		return -ENOSYS;
	__asm__ volatile("int $0x80"
			 : "+a"(result)
			 :
			 : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
	if ((int)result < 0)
		return (int)result;
	return (int)result == getpid() ? 0 : -EPROTO;
}

int64_t probe_x32(struct probe_slot *slot)
{
	long result = syscall(X32_BIT | __NR_getpid);

	(void)slot;
	if (result < 0)
		return -errno;
	return result == getpid() ? 0 : -EPROTO;
}

#else

int64_t probe_i386(struct probe_slot *slot)
{
	(void)slot;
	return -ENOSYS;
}

int64_t probe_x32(struct probe_slot *slot)
{
	(void)slot;
	return -ENOSYS;
}

#endif

/* ---- control groups ---- */

/* 1: the group can be killed as one (Linux 5.14).  -ENODEV: there is no version 2 to try. */
int64_t probe_cgroup(struct probe_slot *slot)
{
	char path[PATH_MAX];
	size_t length;

	if (!slot->cgroup)
		return -ENODEV;
	length = strlen(slot->cgroup);
	if (length + sizeof("/cgroup.kill") > sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(slot->cgroup, S_IRWXU) < 0)
		return -errno;
	memcpy(path, slot->cgroup, length);
	memcpy(path + length, "/cgroup.kill", sizeof("/cgroup.kill"));
	slot->value = access(path, W_OK) == 0;
	return rmdir(slot->cgroup) < 0 ? -errno : slot->value;
}
