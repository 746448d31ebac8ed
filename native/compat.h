/*
 * Kernel constants that this machine's headers may be too old to have.
 *
 * What it is not: a place for numbers of our own (shim.h).
 * Values: include/uapi/linux/ of Linux 6.18; `.ci/tables --check` compares those that the
 * headers do have.
 */
#ifndef MONITOR_COMPAT_H
#define MONITOR_COMPAT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <linux/ioctl.h>
#include <linux/seccomp.h>
#include <linux/types.h>
#include <sys/syscall.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef CLONE_CLEAR_SIGHAND /* Linux 5.5 */
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef CLOSE_RANGE_CLOEXEC /* Linux 5.11 */
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#ifndef PIDFD_THREAD /* Linux 6.9; its value is O_EXCL */
#define PIDFD_THREAD 0200
#endif
#ifndef PIDFD_SIGNAL_THREAD_GROUP /* Linux 6.9 */
#define PIDFD_SIGNAL_THREAD_GROUP (1UL << 1)
#endif
#ifndef __NR_faccessat2 /* Linux 5.8 */
#define __NR_faccessat2 439
#endif
#ifndef __NR_fchmodat2 /* Linux 6.6 */
#define __NR_fchmodat2 452
#endif
#ifndef __NR_landlock_create_ruleset /* Linux 5.13 */
#define __NR_landlock_create_ruleset 444
#define __NR_landlock_restrict_self  446
#endif

/* PROCMAP_QUERY, Linux 6.11: fs/proc/task_mmu.c; struct procmap_query of linux/fs.h. */
struct mon_procmap_query {
	__u64 size;
	__u64 query_flags;
	__u64 query_addr;
	__u64 vma_start;
	__u64 vma_end;
	__u64 vma_flags;
	__u64 vma_page_size;
	__u64 vma_offset;
	__u64 inode;
	__u32 dev_major;
	__u32 dev_minor;
	__u32 vma_name_size;
	__u32 build_id_size;
	__u64 vma_name_addr;
	__u64 build_id_addr;
};
#define MON_PROCMAP_QUERY    _IOWR('f', 17, struct mon_procmap_query)
#define MON_PROCMAP_WRITABLE 0x02

/* The size that the first version of the structure had, and that of Landlock ABI 6. */
struct mon_landlock_ruleset_attr {
	unsigned long long handled_access_fs;
	unsigned long long handled_access_net;
	unsigned long long scoped;
};

#endif
