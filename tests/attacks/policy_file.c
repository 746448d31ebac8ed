/* The file of the policy lies where the program may write: a/policy.toml; every way to change it.
 */
#include "attack.h"

int main(int argc, char **argv)
{
	static const int FLAGS[] = {
		O_WRONLY,           O_RDWR,
		O_WRONLY | O_TRUNC, O_WRONLY | O_APPEND,
		O_RDWR | O_CREAT,   O_RDONLY | O_TRUNC,
	};
	char own[64];
	int reading;

	begin(argc, argv);
	if (chdir(in_tree("a")) < 0)
		return 4;
	reading = open("policy.toml", O_RDONLY);
	snprintf(own, sizeof(own), "/proc/self/fd/%d", reading);
	for (size_t i = 0; i < sizeof(FLAGS) / sizeof(*FLAGS); i++) {
		const char *const paths[] = {
			in_tree("a/policy.toml"),     "policy.toml", "sub/../policy.toml", own,
			"/proc/self/cwd/policy.toml", "to-policy",
		};

		for (size_t j = 0; j < sizeof(paths) / sizeof(*paths); j++) {
			int fd = open(paths[j], FLAGS[i], 0600);

			tries++;
			if (fd >= 0)
				won(paths[j]), close(fd);
		}
	}
	tries++;
	if (rename("policy.toml", "old.toml") == 0 || unlink("policy.toml") == 0 ||
	    truncate("policy.toml", 0) == 0)
		won("it was moved");
	return finish();
}
