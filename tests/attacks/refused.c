/*
 * Whatever is refused, each once: names and metadata of what is forbidden, other ways to files,
 * other ABIs, and whatever reaches another process.  The numbers behind the mode are the
 * supervisor's process and threads; signals are SIGCONT, which does no harm where it arrives.
 */
#include "attack.h"
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <utime.h>

#ifndef SYS_setxattrat
#define SYS_setxattrat    463
#define SYS_removexattrat 466
#define SYS_file_setattr  469
#endif

static void attempt(const char *what, long result)
{
	tries++;
	if (result >= 0)
		won(what);
}

/* Names of b, which are forbidden: made, taken away, moved, and linked to. */
static void names(void)
{
	const char *file = in_tree("a/file"), *key = in_tree("b/key");
	int forbidden = open(in_tree("b"), O_PATH | O_DIRECTORY);

	attempt("mkdir", mkdir(in_tree("b/made"), 0755));
	attempt("mkdirat", mkdirat(AT_FDCWD, in_tree("a/../b/made2"), 0755));
	attempt("mkdirat of a descriptor", mkdirat(forbidden, "made3", 0755));
	attempt("mknod", mknod(in_tree("b/node"), S_IFREG | 0644, 0));
	attempt("mknodat", mknodat(AT_FDCWD, in_tree("b/node2"), S_IFREG | 0644, 0));
	attempt("mkfifo", mkfifo(in_tree("b/pipe"), 0644));
	attempt("symlink", symlink("key", in_tree("b/lead")));
	attempt("symlinkat", symlinkat("key", forbidden, "lead2"));
	attempt("link to it", link(key, in_tree("a/hard")));
	attempt("link there", link(file, in_tree("b/hard")));
	attempt("linkat to it", linkat(forbidden, "key", AT_FDCWD, in_tree("a/hard2"), 0));
	attempt("linkat there", linkat(AT_FDCWD, file, forbidden, "hard2", 0));
	attempt("rename from it", rename(key, in_tree("a/got")));
	attempt("rename to it", rename(file, key));
	attempt("renameat from it", renameat(forbidden, "key", AT_FDCWD, in_tree("a/got")));
	attempt("rename of it", rename(in_tree("b"), in_tree("a/moved")));
	attempt("rename onto it", rename(in_tree("a/sub"), in_tree("b/d")));
	attempt("exchange",
		syscall(SYS_renameat2, AT_FDCWD, in_tree("a"), AT_FDCWD, in_tree("b"), 2));
	attempt("exchange of files", syscall(SYS_renameat2, AT_FDCWD, file, AT_FDCWD, key, 2));
	attempt("truncate", truncate(key, 1));
	attempt("unlink", unlink(key));
	attempt("unlinkat", unlinkat(forbidden, "key", 0));
	attempt("rmdir", rmdir(in_tree("b/d")));
	attempt("unlinkat of a directory", unlinkat(AT_FDCWD, in_tree("b/d"), AT_REMOVEDIR));
}

/* Of b/key, which may be read: by its name, and by a descriptor that reads. */
static void metadata(void)
{
	static const struct timeval times[2];
	const char *key = in_tree("b/key");
	int fd = open(key, O_RDONLY), held = open(key, O_PATH), flags = 0;
	struct fsxattr attributes = {0};
	uint64_t arguments[2] = {0};

	attempt("chmod", chmod(key, 0644));
	attempt("fchmodat", fchmodat(AT_FDCWD, key, 0644, 0));
	attempt("fchmodat2", syscall(SYS_fchmodat2, AT_FDCWD, key, 0644, 0));
	attempt("chown", chown(key, getuid(), getgid()));
	attempt("lchown", lchown(key, getuid(), getgid()));
	attempt("fchownat", fchownat(AT_FDCWD, key, getuid(), getgid(), 0));
	attempt("utime", utime(key, NULL));
	attempt("utimes", utimes(key, times));
	attempt("utimensat", utimensat(AT_FDCWD, key, NULL, 0));
	attempt("setxattr", setxattr(key, "user.a", "b", 1, 0));
	attempt("lsetxattr", lsetxattr(key, "user.a", "b", 1, 0));
	attempt("setxattrat", syscall(SYS_setxattrat, AT_FDCWD, key, 0, "user.a", arguments, 16));
	attempt("removexattr", removexattr(key, "user.known"));
	attempt("lremovexattr", lremovexattr(key, "user.known"));
	attempt("removexattrat", syscall(SYS_removexattrat, AT_FDCWD, key, 0, "user.known"));
	attempt("file_setattr",
		syscall(SYS_file_setattr, AT_FDCWD, key, &attributes, sizeof(attributes), 0));
	/* By a descriptor that reads, and by one that only holds. */
	attempt("fchmod", fchmod(fd, 0644));
	attempt("fchown", fchown(fd, getuid(), getgid()));
	attempt("futimens", futimens(fd, NULL));
	attempt("futimesat", syscall(SYS_futimesat, fd, NULL, NULL));
	attempt("fchmodat2 of a descriptor", syscall(SYS_fchmodat2, fd, "", 0644, AT_EMPTY_PATH));
	attempt("fchmodat2 of a holder", syscall(SYS_fchmodat2, held, "", 0644, AT_EMPTY_PATH));
	attempt("fchownat of a holder", fchownat(held, "", getuid(), getgid(), AT_EMPTY_PATH));
	attempt("utimensat of a holder", utimensat(held, "", NULL, AT_EMPTY_PATH));
	attempt("linkat of a descriptor",
		linkat(fd, "", AT_FDCWD, in_tree("a/hard"), AT_EMPTY_PATH));
	attempt("linkat by /proc", linkat(AT_FDCWD, "/proc/self/fd/3", AT_FDCWD, in_tree("a/hard2"),
					  AT_SYMLINK_FOLLOW));
	attempt("chmod by /proc", chmod("/proc/self/fd/3", 0644));
	attempt("truncate by /proc", truncate("/proc/self/fd/3", 0));
	attempt("fsetxattr", fsetxattr(fd, "user.a", "b", 1, 0));
	attempt("fremovexattr", fremovexattr(fd, "user.known"));
	attempt("setxattrat of a descriptor",
		syscall(SYS_setxattrat, fd, "", AT_EMPTY_PATH, "user.a", arguments, 16));
	attempt("FS_IOC_SETFLAGS", ioctl(fd, FS_IOC_SETFLAGS, &flags));
	attempt("FS_IOC_FSSETXATTR", ioctl(fd, FS_IOC_FSSETXATTR, &attributes));
	attempt("file_setattr of a descriptor",
		syscall(SYS_file_setattr, fd, "", &attributes, sizeof(attributes), AT_EMPTY_PATH));
	attempt("ftruncate", ftruncate(fd, 0));
	attempt("F_SETLEASE", fcntl(fd, F_SETLEASE, F_RDLCK));
	attempt("F_NOTIFY", fcntl(open(in_tree("a"), O_RDONLY), F_NOTIFY, DN_MODIFY));
	attempt("inotify_add_watch", inotify_add_watch(inotify_init1(0), directory, IN_MODIFY));
	attempt("fanotify_init", syscall(SYS_fanotify_init, 0, 0));
	attempt("fanotify_mark of a mount",
		syscall(SYS_fanotify_mark, syscall(SYS_fanotify_init, 0x200, 0), 0x11, 2ULL,
			AT_FDCWD, in_tree("a")));
}

static long call_i386(long number, uint32_t first, uint32_t second, uint32_t third)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(first), "c"(second), "d"(third)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

static void ways(void)
{
	struct {
		struct file_handle handle;
		char bytes[128];
	} handle = {.handle = {.handle_bytes = 128}};
	struct io_uring_params parameters = {0};
	uint64_t arguments[11] = {0};
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	int mount_id, fd;

	strcpy(low, in_tree("b/key"));
	attempt("i386 open", call_i386(5, (uint32_t)(uintptr_t)low, O_RDONLY, 0));
	attempt("i386 openat", call_i386(295, (uint32_t)AT_FDCWD, (uint32_t)(uintptr_t)low, 0));
	attempt("i386 getpid", call_i386(20, 0, 0, 0));
	attempt("x32 open", syscall(0x40000000 | SYS_open, low, O_RDONLY));
	attempt("x32 openat", syscall(0x40000000 | SYS_openat, AT_FDCWD, low, O_RDONLY));
	attempt("io_uring", syscall(SYS_io_uring_setup, 1, &parameters));
	attempt("userfaultfd", syscall(SYS_userfaultfd, 1));
	attempt("name_to_handle_at",
		syscall(SYS_name_to_handle_at, AT_FDCWD, in_tree("b/key"), &handle, &mount_id, 0));
	fd = open(in_tree("a"), O_RDONLY | O_DIRECTORY);
	attempt("open_by_handle_at", syscall(SYS_open_by_handle_at, fd, &handle, O_RDONLY));
	attempt("open_tree", syscall(SYS_open_tree, AT_FDCWD, in_tree("b"), 1));
	attempt("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	attempt("seccomp listener",
		syscall(SYS_seccomp, 1, 8, NULL) < 0 && errno == EFAULT ? 0 : -1);
	attempt("clone3", syscall(SYS_clone3, arguments, 0) < 0 && errno != ENOSYS ? 0 : -1);
	attempt("mq_open",
		syscall(SYS_mq_open, "attack", O_RDONLY) < 0 && errno == ENOENT ? 0 : -1);
	attempt("shmget", syscall(SYS_shmget, 0x5ec, 4096, 01600));
	attempt("add_key", syscall(SYS_add_key, "user", "a", "b", 1, -4));
	attempt("core limit", prlimit(0, RLIMIT_CORE, &(struct rlimit){0, 0}, NULL));
	/* Those that would change the program itself are made by a child. */
	for (int i = 0; i < 5; i++) {
		static const char *const WHAT[] = {"NEWUSER", "NEWNS", "clone", "chroot", "setns"};
		int status = 0;
		pid_t child = fork();

		if (child == 0) {
			long result =
				i == 0   ? unshare(CLONE_NEWUSER)
				: i == 1 ? unshare(CLONE_NEWNS)
				: i == 2 ? syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)
				: i == 3 ? chroot("/")
					 : setns(open("/proc/self/ns/mnt", O_RDONLY), 0);
			_exit(result >= 0 ? 0 : 1);
		}
		waitpid(child, &status, 0);
		attempt(WHAT[i], status == 0 ? 0 : -1);
	}
}

static void process(pid_t leader, pid_t pid)
{
	siginfo_t info = {.si_signo = SIGCONT, .si_code = SI_QUEUE};
	int pidfd = (int)syscall(SYS_pidfd_open, leader, 0);
	char bytes[16];
	struct iovec local = {bytes, sizeof(bytes)}, remote = {bytes, sizeof(bytes)};
	struct rlimit limit;
	cpu_set_t set;

	attempt("kill", kill(pid, SIGCONT));
	attempt("tgkill", syscall(SYS_tgkill, leader, pid, SIGCONT));
	attempt("tkill", syscall(SYS_tkill, pid, SIGCONT));
	info.si_pid = getpid();
	info.si_uid = getuid();
	attempt("rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, pid, SIGCONT, &info));
	attempt("rt_tgsigqueueinfo", syscall(SYS_rt_tgsigqueueinfo, leader, pid, SIGCONT, &info));
	attempt("pidfd_send_signal", syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0));
	for (int fd = 0; fd < 24; fd++)
		attempt("pidfd_getfd", syscall(SYS_pidfd_getfd, pidfd, fd, 0));
	attempt("PTRACE_SEIZE", ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	attempt("process_vm_readv",
		process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0 && errno != EPERM ? 0 : -1);
	attempt("prlimit", prlimit(pid, RLIMIT_NOFILE, NULL, &limit));
	attempt("prlimit sets", prlimit(pid, RLIMIT_NOFILE, &limit, NULL));
	attempt("kcmp", syscall(SYS_kcmp, pid, getpid(), 2, 0, 0));
	CPU_ZERO(&set);
	(void)sched_getaffinity(pid, sizeof(set), &set);
	attempt("sched_setaffinity", sched_setaffinity(pid, sizeof(set), &set));
	attempt("sched_setscheduler",
		sched_setscheduler(pid, SCHED_OTHER, &(struct sched_param){0}));
	attempt("setpriority",
		setpriority(PRIO_PROCESS, (id_t)pid, getpriority(PRIO_PROCESS, (id_t)pid)));
	attempt("move_pages", syscall(SYS_move_pages, pid, 0, NULL, NULL, NULL, 0));
	attempt("F_SETOWN", fcntl(open("/dev/null", O_RDONLY), F_SETOWN, pid));
	if (pidfd >= 0)
		close(pidfd);
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	if (is_mode("names"))
		names();
	else if (is_mode("metadata"))
		metadata();
	else if (is_mode("ways"))
		ways();
	for (int i = 4; i < argc; i++)
		process((pid_t)atoi(argv[4]), (pid_t)atoi(argv[i]));
	if (is_mode("processes"))
		process(getppid(), getppid()); /* the guard */
	return finish();
}
