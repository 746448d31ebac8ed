/*
 * A thread of ours takes the rights of another one, and its root directory, and gives them back.
 *
 * What it is: raw system calls, which change the calling thread alone; those of the C library
 * change every thread of the process (nptl(7)).
 * What it is not: the choice of the rights (monitor/broker/rights.py).
 *
 * Real and saved ids stay as they are, and so do the permitted capabilities: with them the thread
 * comes back, and by them nobody with the ids that were taken may signal it, trace it or limit it
 * (kill(2), ptrace(2), prlimit(2)).
 */
#include "shim.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEEP UINT32_MAX

struct capabilities {
	struct __user_cap_data_struct word[2];
};

static long get_capabilities(struct capabilities *held)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(__NR_capget, &header, held->word);
}

/* Make effective what of wanted is permitted; of all others it is what it was. */
static long set_effective(struct capabilities *held, uint64_t wanted)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	held->word[0].effective = held->word[0].permitted & (uint32_t)wanted;
	held->word[1].effective = held->word[1].permitted & (uint32_t)(wanted >> 32);
	return syscall(__NR_capset, &header, held->word);
}

/* What setfsuid(2) and setfsgid(2) return is the id that was: with one that there is not, no more.
 */
static uint32_t file_system_id(long number)
{
	return (uint32_t)syscall(number, KEEP);
}

static int has_ids(const struct mon_rights *rights)
{
	return geteuid() == rights->uid && getegid() == rights->gid &&
	       file_system_id(__NR_setfsuid) == rights->file_uid &&
	       file_system_id(__NR_setfsgid) == rights->file_gid;
}

/* The ids of the file system follow the effective ones, and so they come behind them. */
static int set_ids(const struct mon_rights *rights)
{
	if (syscall(__NR_setgroups, (size_t)rights->group_count, rights->groups) < 0 ||
	    syscall(__NR_setresgid, KEEP, rights->gid, KEEP) < 0 ||
	    syscall(__NR_setresuid, KEEP, rights->uid, KEEP) < 0)
		return -errno;
	(void)syscall(__NR_setfsgid, rights->file_gid);
	(void)syscall(__NR_setfsuid, rights->file_uid);
	return has_ids(rights) ? 0 : -EPERM;
}

int mon_rights_take(const struct mon_rights *rights)
{
	struct capabilities held;
	int result;

	if (get_capabilities(&held) < 0 || set_effective(&held, ~(uint64_t)0) < 0)
		return -errno;
	if (rights->root >= 0 && (fchdir(rights->root) < 0 || chroot(".") < 0))
		return -errno;
	result = set_ids(rights);
	if (result < 0)
		return result;
	/* Changed ids have changed what is effective (capabilities(7)); what is permitted stays. */
	if (set_effective(&held, rights->capabilities) < 0)
		return -errno;
	return 0;
}
