/* Writes the numbers of all its open fds, from the lowest to the highest. */
#include <fcntl.h>
#include <stdio.h>

int main(void)
{
	for (int fd = 0; fd < 1 << 16; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d ", fd);
	return 0;
}
