/*
 * Connects to a control socket from somewhere in a supervised tree, and writes into a file what it is told there.
 *
 *     a_knocker SOCK FILE WHERE [NUMBER]
 *
 * WHERE: self; child; orphan, of another session; userns; pidns; deep, below NUMBER processes; restless, NUMBER
 * times below a parent that ends at that moment; unguarded, when the parent of the whole tree has been killed.
 * The last line is "done".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK 8192

static const char *path;
static int file, left;
static char *stacks;

static void tell(const char *text)
{
	if (write(file, text, strlen(text)) < 0)
		_exit(7);
}

static void knock(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char told[4096];
	ssize_t count;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		tell("not connected\n");
	} else {
		count = read(fd, told, sizeof(told) - 1);
		told[count < 0 ? 0 : count] = 0;
		tell(count > 0 ? told : "nothing\n");
	}
	close(fd);
}

/* Memory is shared: a copy of it for each would take minutes. */
static int go_below(void *unused)
{
	pid_t child;

	(void)unused;
	if (left-- == 0) {
		knock();
		return 0;
	}
	child = clone(go_below, stacks + (size_t)STACK * (size_t)(left + 1) - 64, CLONE_VM | SIGCHLD, NULL);
	if (child < 0)
		tell("no clone\n");
	waitpid(child, NULL, 0);
	return 0;
}

static void wait_for(pid_t child)
{
	waitpid(child, NULL, 0);
}

/* The descendant writes "done" itself: the first process does not wait for what it has left. */
static void detached(void (*what)(void))
{
	pid_t child = fork();

	if (child) {
		wait_for(child);
		return;
	}
	setsid();
	if (fork())
		_exit(0);
	what();
	tell("done\n");
	_exit(0);
}

static pid_t guard;

static void knock_unguarded(void)
{
	kill(guard, SIGKILL);
	while (kill(guard, 0) == 0) /* until somebody has reaped it */
		usleep(1000);
	knock();
}

static void knock_restlessly(void)
{
	int ends[2];
	char byte;

	for (; left > 0; left--) {
		if (pipe(ends) < 0)
			_exit(6);
		if (fork() == 0) {
			close(ends[0]);
			if (fork())
				_exit(0);
			knock();
			_exit(0);
		}
		close(ends[1]);
		(void)!read(ends[0], &byte, 1); /* the end of the last that has it */
		close(ends[0]);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

int main(int argc, char **argv)
{
	const char *where = argv[3];
	pid_t child;

	path = argv[1];
	file = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0600);
	left = argc > 4 ? atoi(argv[4]) : 0;
	guard = getppid();
	if (!strcmp(where, "orphan") || !strcmp(where, "unguarded")) {
		detached(!strcmp(where, "orphan") ? knock : knock_unguarded);
		pause();
	}
	if (!strcmp(where, "deep")) {
		stacks = mmap(NULL, (size_t)STACK * (size_t)(left + 1), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		go_below(NULL);
	} else if (!strcmp(where, "restless")) {
		knock_restlessly();
	} else if (!strcmp(where, "self")) {
		knock();
	} else {
		if ((!strcmp(where, "userns") && unshare(CLONE_NEWUSER) < 0) ||
		    (!strcmp(where, "pidns") && unshare(CLONE_NEWPID) < 0))
			tell("no namespace\n");
		child = fork();
		if (child == 0) {
			knock();
			_exit(0);
		}
		wait_for(child);
	}
	tell("done\n");
	return 0;
}
