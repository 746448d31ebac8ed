/* Asks argv[1] times and prints each raw answer. */
#include "k_ask.h"

int main(int argc, char **argv)
{
	for (long i = 0; i < (argc > 1 ? atol(argv[1]) : 1); i++)
		printf("%ld\n", ask(NULL, i));
	return 0;
}
