/*
 * A file system whose entries are called WHAT-WHERE and do what they are called: "fail" (EIO),
 * "slow" (0.3 s), "stale" (ESTALE) or "hang" (no answer, ever) in "lookup", "open", "getattr" or "readdir";
 * "good-good" does not.
 *
 * Names are kept by the kernel, so that only "lookup" is asked for them more than once; attributes
 * are not.  argv[1] is where it is mounted, in the foreground.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const WHAT[] = {"fail", "slow", "hang", "good", "stale"};
static const char *const WHERE[] = {"lookup", "open", "getattr", "readdir", "good"};
enum { FAIL, SLOW, HANG, GOOD, STALE, WHATS };
enum { LOOKUP, OPEN, GETATTR, READDIR, NOWHERE, PLACES };
#define FIRST 2 /* behind the root, WHAT * PLACES + WHERE */

static const char CONTENT[] = "content\n";

/* Whether there is nothing to be answered any more: ino is one that is unwilling here. */
static int unwilling(fuse_req_t request, fuse_ino_t ino, unsigned int where)
{
	const struct timespec pause = {0, 300000000};

	if (ino < FIRST || (ino - FIRST) % PLACES != where)
		return 0;
	switch ((ino - FIRST) / PLACES) {
	case FAIL:
		fuse_reply_err(request, EIO);
		return 1;
	case STALE:
		fuse_reply_err(request, ESTALE);
		return 1;
	case SLOW:
		nanosleep(&pause, NULL);
		return 0;
	case HANG:
		return 1;
	default:
		return 0;
	}
}

static struct stat status_of(fuse_ino_t ino)
{
	int directory = ino < FIRST || (ino - FIRST) % PLACES == READDIR;

	return (struct stat){
		.st_ino = ino,
		.st_mode = directory ? S_IFDIR | 0755 : S_IFREG | 0644,
		.st_nlink = 1,
		.st_size = directory ? 0 : sizeof(CONTENT) - 1,
	};
}

static void look_up(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.entry_timeout = 1000};

	for (unsigned int i = 0; parent == FUSE_ROOT_ID && i < WHATS * PLACES; i++) {
		size_t length = strlen(WHAT[i / PLACES]);

		if (strncmp(name, WHAT[i / PLACES], length) != 0 || name[length] != '-' ||
		    strcmp(name + length + 1, WHERE[i % PLACES]) != 0)
			continue;
		entry.ino = i + FIRST;
		entry.entry_timeout = i % PLACES == LOOKUP ? 0 : 1000;
		entry.attr = status_of(entry.ino);
		if (!unwilling(request, entry.ino, LOOKUP))
			fuse_reply_entry(request, &entry);
		return;
	}
	fuse_reply_err(request, ENOENT);
}

static void get_attributes(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct stat status = status_of(ino);

	(void)file;
	if (!unwilling(request, ino, GETATTR))
		fuse_reply_attr(request, &status, 0);
}

static void open_file(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	if (!unwilling(request, ino, OPEN))
		fuse_reply_open(request, file);
}

static void read_file(fuse_req_t request, fuse_ino_t ino, size_t size, off_t from,
		      struct fuse_file_info *file)
{
	size_t left = (size_t)from < sizeof(CONTENT) - 1 ? sizeof(CONTENT) - 1 - (size_t)from : 0;

	(void)ino;
	(void)file;
	fuse_reply_buf(request, CONTENT + (left ? from : 0), left < size ? left : size);
}

static void read_directory(fuse_req_t request, fuse_ino_t ino, size_t size, off_t from,
			   struct fuse_file_info *file)
{
	struct stat status = status_of(ino);
	char entry[64];
	size_t length;

	(void)file;
	if (unwilling(request, ino, READDIR))
		return;
	length = from ? 0 : fuse_add_direntry(request, entry, sizeof(entry), "entry", &status, 1);
	fuse_reply_buf(request, entry, length < size ? length : size);
}

static const struct fuse_lowlevel_ops OPERATIONS = {
	.lookup = look_up,
	.getattr = get_attributes,
	.open = open_file,
	.read = read_file,
	.opendir = open_file,
	.readdir = read_directory,
};

int main(int argc, char **argv)
{
	struct fuse_args arguments = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session;

	if (argc != 2)
		return 2;
	session = fuse_session_new(&arguments, &OPERATIONS, sizeof(OPERATIONS), NULL);
	if (!session || fuse_session_mount(session, argv[1]) < 0)
		return 1;
	return fuse_session_loop_mt(session, 0) ? 1 : 0;
}
