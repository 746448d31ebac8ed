/* Makes one call whose path has odd bytes; the directory is not there, so that nothing is made. */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[256];

	(void)argc;
	snprintf(path, sizeof(path), "%s/\1\377", argv[1]);
	return syscall(SYS_mkdir, path, 0700) == 0;
}
