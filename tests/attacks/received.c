/*
 * An accomplice sends directories of other views by a socket, which is standard input: b, as a tree
 * that is mounted nowhere ("detached"), and b under another name in a mount namespace of its own
 * ("namespace").  The names that they say are allowed.
 */
#include "attack.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>

static void transfer(int *fd, bool sending)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec part = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	if (sending) {
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), fd, sizeof(int));
		if (sendmsg(0, &message, 0) < 0)
			exit(4);
	} else if (recvmsg(0, &message, 0) > 0 && (header = CMSG_FIRSTHDR(&message))) {
		memcpy(fd, CMSG_DATA(header), sizeof(int));
	}
}

static void accomplice(void)
{
	int fd;

	if (is_mode("detached")) {
		fd = (int)syscall(SYS_open_tree, AT_FDCWD, in_tree("b"), 1 /* OPEN_TREE_CLONE */);
	} else {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount(in_tree("b"), "/mnt", NULL, MS_BIND, NULL) < 0)
			exit(4);
		fd = open("/mnt", O_PATH | O_DIRECTORY);
	}
	transfer(&fd, true);
	pause();
}

int main(int argc, char **argv)
{
	int place = -1;

	begin(argc, argv);
	if (argc > 4)
		accomplice();
	transfer(&place, false);
	if (place < 0)
		return 5;
	for (tries = 0; tries < wanted; tries++) {
		struct stat status;
		char own[64];
		int fd = openat(place, "key", O_RDONLY);

		if (fd >= 0)
			won("opened"), close(fd);
		if (fstatat(place, "key", &status, 0) == 0)
			won("stat");
		if (fstatat(place, "", &status, AT_EMPTY_PATH) == 0)
			won("stat of itself");
		snprintf(own, sizeof(own), "/proc/self/fd/%d/key", place);
		fd = open(own, O_RDONLY);
		if (fd >= 0)
			won("opened by /proc"), close(fd);
		if (fchdir(place) == 0) {
			fd = open("key", O_RDONLY);
			if (fd >= 0)
				won("opened from there"), close(fd);
			if (chdir(in_tree("a")) < 0)
				exit(4);
		}
		fd = openat(place, "new", O_RDWR | O_CREAT, 0600);
		if (fd >= 0)
			won("made"), close(fd);
	}
	return finish();
}
