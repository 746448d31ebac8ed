/*
 * The ioctls of a seccomp listener.
 *
 * What it is: one function per ioctl, and the pair that a busy loop calls as one.
 * What it is not: a loop.  Source: seccomp_unotify(2); kernel/seccomp.c, seccomp_notify_ioctl().
 */
#include "shim.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

int mon_listener_sizes(uint16_t *notif, uint16_t *resp, uint16_t *data)
{
	struct seccomp_notif_sizes sizes;

	if (syscall(__NR_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		return -errno;
	*notif = sizes.seccomp_notif;
	*resp = sizes.seccomp_notif_resp;
	*data = sizes.seccomp_data;
	return 0;
}

int mon_listener_id_valid(int listener, uint64_t id)
{
	/* EINTR: the mutex was not taken; taken for "gone" it would deny a thread that waits. */
	while (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int mon_listener_check(int listener)
{
	/* Ids are never 0 in practice; a listener says ENOENT, anything else ENOTTY or EINVAL. */
	int result = mon_listener_id_valid(listener, 0);

	return result == -ENOENT ? 0 : result;
}

int mon_listener_set_flags(int listener, uint64_t flags)
{
	/* The flags travel by value, not behind a pointer (seccomp_notify_set_flags()). */
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags) < 0)
		return -errno;
	return 0;
}

/* How many milliseconds may be waited now. */
static int patience_left(const struct mon_patience *patience)
{
	struct timespec now;
	int64_t left;

	if (!patience || patience->milliseconds <= 0)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	left = patience->until - ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	if (left <= 0)
		return 0;
	return left < patience->milliseconds ? (int)left : patience->milliseconds;
}

int mon_listener_receive(int listener, void *notif, size_t size)
{
	return mon_listener_await(listener, NULL, notif, size);
}

int mon_listener_await(int listener, const struct mon_patience *patience, void *notif, size_t size)
{
	struct pollfd pfd = {.fd = listener, .events = POLLIN};

	if (poll(&pfd, 1, patience_left(patience)) < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (pfd.revents & POLLNVAL)
		return -EBADF;
	if (!(pfd.revents & POLLIN))
		return pfd.revents & (POLLHUP | POLLERR) ? -ENOTCONN : -EAGAIN;

	memset(notif, 0, size); /* a buffer that is not zero is EINVAL */
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, notif) < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return 0;
}

int mon_listener_respond(int listener, uint64_t id, int64_t value, int32_t error, uint32_t flags)
{
	struct seccomp_notif_resp response = {
		.id = id,
		.val = value,
		.error = error,
		.flags = flags,
	};

	/* EINTR: the mutex was not taken, nothing was sent (mutex_lock_interruptible()). */
	while (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) < 0)
		if (errno == EINPROGRESS) /* answered already, and the thread has not run since */
			return -ENOENT;
		else if (errno != EINTR)
			return -errno;
	return 0;
}

int mon_listener_exchange(int listener, uint64_t id, int64_t value, int32_t error, uint32_t flags,
			  void *notif, size_t size, int *sent)
{
	*sent = mon_listener_respond(listener, id, value, error, flags);
	return mon_listener_receive(listener, notif, size);
}

int mon_listener_add_fd(int listener, uint64_t id, uint32_t flags, int fd, int number,
			uint32_t number_flags)
{
	struct seccomp_notif_addfd request = {
		.id = id,
		.flags = flags,
		.srcfd = (uint32_t)fd,
		.newfd = (uint32_t)number,
		.newfd_flags = number_flags,
	};
	uint64_t all = ~0ULL, before; /* the kernel's sigset_t, not libc's */
	int result;

	/*
	 * The ioctl sleeps until the target has run.  With SECCOMP_ADDFD_FLAG_SEND a signal to us
	 * would end that sleep, the fd be taken back, and the target go on as if it had been
	 * answered with 0 (kernel/seccomp.c, seccomp_notify_addfd()): so none may come, not even
	 * those that libc keeps for itself.
	 */
	syscall(__NR_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));
	result = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &request);
	if (result < 0) /* ESRCH: a signal took the thread away while it was to take the fd */
		result = errno == ESRCH ? -ENOENT : -errno;
	syscall(__NR_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
	return result;
}
