/*
 * What may sleep for ever is done by a small process of our own, which can be told to stop.
 *
 * What it is: one system call on what an fd holds (an open, a truncate), made by a helper that
 * shares our memory and our table of fds, while the caller looks whether anybody still wants it.
 * What it is not: a decision, or a way out of a sleep that nothing ends (a file system that hangs).
 *
 * A thread of ours could not be woken: whatever ends its sleep, a signal or a kill, is the whole
 * process's, and the host program's.  A helper is a process: it has its own signal handlers and its
 * own pending signals, and what it opens is in our table all the same.
 *
 * It is told to stop by a signal with a handler, and not by SIGKILL, for three reasons.  Killed
 * between the return of open(2) and the store of its result it would leave an fd in our table that
 * nobody knows; and nobody could tell an open that emptied its file from one that did not.  And the
 * kernel knows which sleeps a signal ends: what would not be interrupted for the target is not
 * interrupted here.  The handler looks where the signal came: at the instruction that makes the
 * call (before it, or about to make it again, for SA_RESTART), nothing was done, and the call is
 * left alone: -ERESTARTSYS.  Behind it the result stands, and it is what it is.
 *
 * A table of its own was rejected: a copy of ours holds each FIFO, lock and lease that others wait
 * for until it is closed again, and closing it asks file systems that may hang (flush).
 *
 * Its rights, its root and its umask are those of the thread that calls.  It has another process's
 * number, our undumpable memory, and all signals blocked but the one; it dies with the thread whose
 * child it is (PR_SET_PDEATHSIG), so that nothing is left when we are killed.
 */
#include "shim.h"

#include "memory.h"
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define HELPER_STACK_SIZE (64 * 1024) /* a signal frame with AMX state has some 11 KiB */

#define LOOK_FIRST_MS 5
#define LOOK_LAST_MS  100
#define PATIENCE_MS   200 /* for what does not hear the signal, before it is killed */

#define STOP_SIGNAL                                                                                \
	SIGURG /* a legacy one, which needs no room in a queue; by default it does nothing */

#define RESTARTED (-512) /* -ERESTARTSYS: include/linux/errno.h */

#define UNKNOWN INT32_MIN

#define SA_RESTORED 0x04000000UL /* SA_RESTORER */

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* What caller and helper share; the assembly below knows the first member. */
struct shared {
	int stop;
	int result;
	int proc;
	long nr;
	long arguments[4];
	pid_t caller;
	char path[32]; /* below /proc */
};

/*
 * long helper_call(struct shared *shared, long nr, long a, long b, long c, long d)
 *
 * The system call, unless shared->stop is set: then -ERESTARTSYS.  A signal that comes between
 * helper_begin and helper_end comes before it was made; the handler then leads to helper_stopped.
 */
__asm__(".pushsection .text\n"
	".type helper_call, @function\n"
	"helper_call:\n"
	"	push %rbx\n"
	"	mov %rdi, %rbx\n"
	"	mov %rsi, %rax\n"
	"	mov %rdx, %rdi\n"
	"	mov %rcx, %rsi\n"
	"	mov %r8, %rdx\n"
	"	mov %r9, %r10\n"
	"helper_begin:\n"
	"	cmpl $0, (%rbx)\n"
	"	jne helper_stopped\n"
	"	syscall\n"
	"helper_end:\n"
	"	pop %rbx\n"
	"	ret\n"
	"helper_stopped:\n"
	"	mov $-512, %rax\n"
	"	pop %rbx\n"
	"	ret\n"
	".size helper_call, . - helper_call\n"
	".type helper_restore, @function\n"
	"helper_restore:\n"
	"	mov $15, %eax\n" /* rt_sigreturn(2) */
	"	syscall\n"
	".size helper_restore, . - helper_restore\n"
	".popsection\n");

long helper_call(struct shared *shared, long nr, long a, long b, long c, long d)
	__attribute__((visibility("hidden")));
void helper_restore(void) __attribute__((visibility("hidden")));
extern const char helper_begin[] __attribute__((visibility("hidden")));
extern const char helper_end[] __attribute__((visibility("hidden")));
extern const char helper_stopped[] __attribute__((visibility("hidden")));

/* The kernel's struct sigaction; libc's has another layout. */
struct kernel_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

/* ---- the helper: raw system calls only (raw.h) ---- */

static GUARD_CODE void stopped(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	greg_t at = registers[REG_RIP];

	(void)number;
	(void)info;
	if (at < (greg_t)helper_begin || at >= (greg_t)helper_end)
		return;
	/* It may be somebody else's signal, to the whole process group. */
	if (__atomic_load_n(&((struct shared *)registers[REG_RBX])->stop, __ATOMIC_SEQ_CST))
		registers[REG_RIP] = (greg_t)helper_stopped;
}

static GUARD_CODE int helper_main(void *argument)
{
	struct shared *shared = argument;
	struct kernel_action action = {
		.handler = stopped,
		.flags = SA_SIGINFO | SA_RESTART | SA_RESTORED,
		.restorer = helper_restore,
		.mask = ~0ULL,
	};
	uint64_t mask = ~(1ULL << (STOP_SIGNAL - 1));
	long error = RAW(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);

	/* Whoever is gone already sends no signal. */
	if (error == 0 && RAW(__NR_getppid, 0, 0, 0, 0, 0, 0) != shared->caller)
		return 1;
	if (error == 0)
		error = RAW(__NR_rt_sigaction, STOP_SIGNAL, &action, 0, sizeof(action.mask), 0, 0);
	if (error == 0)
		error = RAW(__NR_rt_sigprocmask, SIG_SETMASK, &mask, 0, sizeof(mask), 0, 0);
	RAW(__NR_prctl, PR_SET_NAME, "monitor-helper", 0, 0, 0, 0);
	if (error == 0)
		error = RAW(__NR_fchdir, shared->proc, 0, 0, 0, 0, 0); /* its own: no CLONE_FS */
	if (error == 0)
		error = helper_call(shared, shared->nr, shared->arguments[0], shared->arguments[1],
				    shared->arguments[2], shared->arguments[3]);
	shared->result = (int)error;
	return 0;
}

/* ---- the caller ---- */

/*
 * Whether a signal was delivered to the thread that waits: then, and only then, the kernel has it
 * sleep on in state D (kernel/seccomp.c, seccomp_do_user_notification()).
 */
static bool has_signal(int state)
{
	char text[128];
	ssize_t length = state < 0 ? -1 : pread(state, text, sizeof(text), 0);

	/* The name in parentheses may contain any character, what is behind it no parenthesis. */
	while (length-- > 0)
		if (text[length] == ')')
			return length + 2 < (ssize_t)sizeof(text) && text[length + 2] == 'D';
	return false;
}

static void send(int pidfd, int number)
{
	(void)syscall(__NR_pidfd_send_signal, pidfd, number, NULL, 0);
}

static void stop(struct mon_helper *helper, struct shared *shared, int pidfd, int why)
{
	if (helper->why == MON_HELPER_WANTED) {
		__atomic_store_n(&shared->stop, 1, __ATOMIC_SEQ_CST);
		send(pidfd, STOP_SIGNAL);
	}
	helper->why = why;
}

/* Wait for the end of the helper, and look at intervals whether it is wanted. */
static void attend(struct mon_helper *helper, struct shared *shared, int pidfd, int state)
{
	struct pollfd fds[2] = {
		{.fd = pidfd, .events = POLLIN},
		{.fd = helper->cancel, .events = POLLIN},
	};
	int pause = LOOK_FIRST_MS;

	for (;;) {
		int ready = poll(fds, 2, pause);

		if (ready > 0 && fds[0].revents)
			return;
		if (helper->why == MON_HELPER_UNWANTED) {
			/* What it opened could be lost; nothing else could. */
			if (ready == 0 && helper->operation != MON_HELPER_OPEN)
				send(pidfd, SIGKILL);
			pause = -1;
			continue;
		}
		if ((ready > 0 && fds[1].revents) ||
		    mon_listener_id_valid(helper->listener, helper->id) == -ENOENT) {
			stop(helper, shared, pidfd, MON_HELPER_UNWANTED);
			fds[1].fd = -1;
			pause = PATIENCE_MS;
			continue;
		}
		if (has_signal(state))
			stop(helper, shared, pidfd, MON_HELPER_SIGNALLED);
		if (ready == 0)
			pause = 2 * pause < LOOK_LAST_MS ? 2 * pause : LOOK_LAST_MS;
	}
}

/* Clone the helper, with all signals blocked in it.  Returns its pidfd or -errno. */
static int start(struct shared *shared, char *stack)
{
	uint64_t all = ~0ULL, before; /* the kernel's sigset_t: those of libc's own too */
	int pidfd = -1, result;

	syscall(__NR_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));
	result = clone(helper_main, stack + HELPER_STACK_SIZE,
		       CLONE_VM | CLONE_FILES | CLONE_PIDFD | CLONE_UNTRACED, shared, &pidfd);
	if (result < 0)
		result = -errno;
	syscall(__NR_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
	return result < 0 ? result : pidfd;
}

static void prepare(const struct mon_helper *helper, struct shared *shared)
{
	/* Ours: it has our fds, and may look at nobody else's (fs/proc/fd.c,
	 * proc_fd_access_allowed()). */
	(void)snprintf(shared->path, sizeof(shared->path), "self/fd/%d", helper->fd);
	if (helper->operation == MON_HELPER_OPEN) {
		shared->nr = __NR_openat;
		shared->arguments[0] = AT_FDCWD;
		shared->arguments[1] = (long)shared->path;
		shared->arguments[2] = helper->flags | O_CLOEXEC;
	} else {
		shared->nr = __NR_truncate;
		shared->arguments[0] = (long)shared->path;
		shared->arguments[1] = (long)helper->length;
	}
}

int mon_helper_run(struct mon_helper *helper)
{
	struct shared shared = {.result = UNKNOWN, .proc = helper->proc, .caller = getpid()};
	char name[32], *stack;
	int state = -1, pidfd;

	helper->why = MON_HELPER_WANTED;
	prepare(helper, &shared);
	stack = mmap(NULL, HELPER_STACK_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED) {
		helper->why = MON_HELPER_NONE;
		return -errno;
	}
	if (helper->heeds_signals) {
		(void)snprintf(name, sizeof(name), "%d/stat", (int)helper->tid);
		state = openat(helper->proc, name, O_RDONLY | O_CLOEXEC);
	}
	pidfd = start(&shared, stack);
	if (pidfd >= 0) {
		attend(helper, &shared, pidfd, state);
		/* Reaped by nobody else: it sends no signal at its end, and wait(2) does not see
		 * it. */
		while (syscall(__NR_waitid, P_PIDFD, pidfd, NULL, WEXITED | __WALL, NULL) < 0 &&
		       errno == EINTR)
			;
		close(pidfd);
	}
	if (state >= 0)
		close(state);
	munmap(stack, HELPER_STACK_SIZE);
	if (pidfd < 0) {
		helper->why = MON_HELPER_NONE;
		return pidfd;
	}
	return shared.result == UNKNOWN ? -EOWNERDEAD : shared.result;
}
