/*
 * Below a/d nobody may write to hooks, and a itself is the program's own: so it tries to have
 * something else be called a/d/hooks, or what is called so be called otherwise.
 *
 * names: each way once.  race: a second thread exchanges a file and a directory that has hooks in
 * it, while the file is given the name of a directory that may not have any.
 */
#include "attack.h"
#include <sys/sysmacros.h>

static void attempt(const char *what, long result)
{
	tries++;
	if (result >= 0)
		won(what);
}

static long exchange(const char *one, const char *other)
{
	return syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 2 /* RENAME_EXCHANGE */);
}

static void names(void)
{
	const char *protected = in_tree("a/d"), *own = in_tree("a/sub");

	(void)!mkdir(in_tree("a/sub/hooks"), 0755);
	attempt("open", open(in_tree("a/d/hooks/x"), O_WRONLY | O_CREAT, 0755));
	attempt("rename of an ancestor", rename(protected, in_tree("a/moved")));
	attempt("exchange with an ancestor", exchange(protected, own));
	attempt("exchange the other way", exchange(own, protected));
	attempt("rename onto an ancestor", rename(own, protected));
	attempt("rename of hooks", rename(in_tree("a/d/hooks"), in_tree("a/mine")));
	attempt("rename onto hooks", rename(in_tree("a/sub/hooks"), in_tree("a/d/hooks")));
	attempt("rename into hooks", rename(in_tree("a/file"), in_tree("a/d/hooks/x")));
	attempt("link into hooks", link(in_tree("a/file"), in_tree("a/d/hooks/x")));
	attempt("link out", link(in_tree("b/key"), in_tree("a/out")));
	/* The directory may be removed; then its name is free, and still an ancestor's. */
	(void)!rmdir(in_tree("a/d/hooks"));
	(void)!rmdir(protected);
	attempt("symlink as an ancestor", symlink("sub", in_tree("a/e")));
	attempt("symlink as hooks", symlink("../sub", in_tree("a/d/hooks")));
	(void)!symlink("sub", in_tree("a/lead"));
	attempt("rename of a link onto an ancestor", rename(in_tree("a/lead"), in_tree("a/e")));
	attempt("link of a link onto an ancestor", link(in_tree("a/lead"), in_tree("a/e")));
	attempt("rename of a directory onto an ancestor", rename(own, in_tree("a/e")));
	attempt("rename of the whole", rename(in_tree("a"), in_tree("c")));
	attempt("a device of another name",
		mknod(in_tree("a/disk"), S_IFBLK | 0600, makedev(7, 0)));
}

static void *exchange_for_ever(void *unused)
{
	const char *plain = strdup(in_tree("a/plain")), *evil = strdup(in_tree("a/evil"));

	(void)unused;
	while (!over)
		(void)exchange(plain, evil);
	return NULL;
}

static void race(void)
{
	const char *plain = strdup(in_tree("a/plain")), *target = strdup(in_tree("a/e"));
	struct stat status;
	pthread_t other;

	(void)!mkdir(in_tree("a/evil"), 0755);
	(void)!mkdir(in_tree("a/evil/hooks"), 0755);
	close(open(plain, O_WRONLY | O_CREAT, 0644));
	if (pthread_create(&other, NULL, exchange_for_ever, NULL))
		exit(4);
	for (tries = 0; tries < wanted; tries++) {
		if (rename(plain, target) < 0)
			continue;
		if (lstat(target, &status) == 0 && S_ISDIR(status.st_mode))
			won("a directory");
		while (rename(target, plain) < 0 && errno != ENOENT)
			;
	}
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	if (is_mode("names"))
		names();
	else
		race();
	return finish();
}
