/* A program that crashes leaves a core where it is, without a call: not here. */
#include "attack.h"
#include <sys/resource.h>

int main(int argc, char **argv)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	begin(argc, argv);
	for (tries = 0; tries < wanted; tries++) {
		int status = 0;
		pid_t child = fork();

		if (child == 0) {
			(void)setrlimit(RLIMIT_CORE, &limit);
			(void)prlimit(0, RLIMIT_CORE, &limit, NULL);
			(void)prctl(PR_SET_DUMPABLE, 1);
			abort();
		}
		waitpid(child, &status, 0);
		if (WCOREDUMP(status))
			won("a core");
	}
	return finish();
}
