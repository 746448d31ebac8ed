/* Makes the directory that it is told to, three functions deep; waits for a line before where it has a second word. */
#include <stdio.h>
#include <sys/stat.h>

__attribute__((noipa)) int load_config(const char *name)
{
	return mkdir(name, 0700) + 1;
}

static __attribute__((noipa)) int set_up(const char *name)
{
	return load_config(name) * 2;
}

int main(int argc, char **argv)
{
	if (argc > 2)
		getchar();
	return argc < 2 ? 2 : set_up(argv[1]) & 1;
}
