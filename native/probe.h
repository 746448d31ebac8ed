/*
 * What probe.c and the probes share; no part of the contract with Python.
 */
#ifndef MONITOR_PROBE_H
#define MONITOR_PROBE_H

#include "shim.h"

/*
 * What one probe says, in memory that the processes of a batch share.  ready, order and word are
 * for the conversation of a probe with a child of its own.
 */
struct probe_slot {
	pid_t pid;          /* of the process that probes; 0: none does */
	const char *cgroup; /* that of mon_probe() */
	int outcome;
	int step;
	int error;
	int64_t value;
	int ready;
	int order;
	int64_t word;
};

#define PROBE_LOAD(field)         __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define PROBE_STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)

/*
 * One probe.  It runs in a process of its own, which was cloned from a program with many threads:
 * system calls and plain memory, no locks; every signal is blocked.  It may sleep for ever, and
 * leave children behind: when its time is up it is killed, and they die with it.
 *
 * Returns a result of its own, not negative, or -errno, with the step that failed in slot->step.
 * The steps are counted from 0; monitor/features/catalogue.py has a name for each.
 */
typedef int64_t probe_body(struct probe_slot *slot);

/* A child of the probe, which ends with it.  As fork(2); -EAGAIN also says so to the batch. */
pid_t probe_fork(struct probe_slot *slot, uint64_t namespaces);

/* Sleep until slot->ready is set by the child. */
void probe_await_ready(const struct probe_slot *slot);

/* A child that has stored PROBE_SECRET at probe_secret and sleeps.  Its copy is another page. */
#define PROBE_SECRET 0x5ec0ULL
extern volatile uint64_t probe_secret;
pid_t probe_fork_sleeper(struct probe_slot *slot);

/* In the child: say that it is ready, and sleep until it is killed. */
void probe_stay(struct probe_slot *slot) __attribute__((noreturn));

/* 0 if a child has come to where it called _exit(0), -EPROTO otherwise. */
int probe_reap(pid_t pid);

/* Write "/proc/PID/leaf" into path, without snprintf(3), which is not async-signal-safe. */
void probe_proc_path(char *path, size_t size, pid_t pid, const char *leaf);

/* probe_notify.c */
probe_body probe_listener, probe_nested_listener, probe_all_threads, probe_receive, probe_id_valid,
	probe_respond, probe_continue, probe_add_fd, probe_add_fd_send, probe_wait_killable,
	probe_sync_wake_up;

/* probe_process.c */
probe_body probe_processes, probe_open_files, probe_pidfd_open, probe_pidfd_getfd,
	probe_pidfd_thread, probe_process_vm_readv, probe_proc_mem, probe_dumpable,
	probe_no_new_privs, probe_own_seccomp, probe_user_namespaces, probe_capabilities;

/* probe_ptrace.c */
probe_body probe_ptrace_seize, probe_suspend_seccomp, probe_filter_dump;

/* probe_kernel.c */
probe_body probe_proc, probe_proc_children, probe_close_range, probe_clone3, probe_landlock,
	probe_landlock_signals, probe_openat2, probe_resolve_cached, probe_fchmodat2,
	probe_statx_mount_id, probe_io_uring, probe_i386, probe_x32, probe_cgroup;

#endif
