/* Tries to change a directory, and to signal: writes the errno of each attempt, 0 where it worked. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void tell(const char *what, int result)
{
	printf("%s=%d\n", what, result < 0 ? errno : 0);
	fflush(stdout);
}

/* directory with "old" in it, pid to signal, number of an fd that is open for writing */
int main(int argc, char **argv)
{
	if (argc != 4 || chdir(argv[1]) < 0)
		return 2;
	tell("read", open("old", O_RDONLY));
	tell("write", open("old", O_WRONLY));
	tell("truncate", truncate("old", 0));
	tell("create", open("new", O_WRONLY | O_CREAT, 0600));
	tell("mkdir", mkdir("newdir", 0700));
	tell("symlink", symlink("old", "newlink"));
	tell("mkfifo", mkfifo("newfifo", 0600));
	tell("rename", rename("old", "other"));
	tell("unlink", unlink("given"));
	tell("kill", kill(atoi(argv[2]), 0));
	tell("write fd", (int)write(atoi(argv[3]), "x", 1));
	tell("truncate fd", ftruncate(atoi(argv[3]), 1));
	return 0;
}
