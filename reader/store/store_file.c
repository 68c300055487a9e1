#include "reader/store/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/util/fmt.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

/* Far beyond any byte of a database, and beyond SQLite's own lock bytes at 1 GiB. */
#define LOCK_BYTE (INT64_C(1) << 60)

static char *scrubbed(const char *text)
{
	struct str shown = {0};

	str_add_scrubbed(&shown, text);
	return shown.text ? shown.text : mem_strdup("");
}

/* folder/name with the folder resolved; NULL with errno where there is no such folder. */
static char *resolve_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct str folder = {0}, whole = {0};
	char *real;

	if (slash)
		str_add_bytes(&folder, path, (size_t)(slash - path) + 1);
	else
		str_add(&folder, ".");
	real = realpath(str_text(&folder), NULL);
	str_done(&folder);
	if (!real)
		return NULL;
	str_addf(&whole, "%s/%s", strcmp(real, "/") ? real : "", slash ? slash + 1 : path);
	free(real);
	return whole.text;
}

static int refuse_create(const char *path, int error, struct err *err)
{
	char *shown = scrubbed(path);

	switch (error) {
	case EEXIST:
	case ELOOP:
		err_set(err, ERR_DATABASE, -error, "%s exists already.", shown);
		err_remedy(err, "Choose another name with -o, or add to it with --append.");
		break;
	case ENOENT:
	case ENOTDIR:
		err_set(err, ERR_GENERAL, -error, "The folder of %s does not exist.", shown);
		err_remedy(err, "Make it with mkdir -p, or choose another with -o FILE.");
		break;
	case EACCES:
	case EPERM:
	case EROFS:
		err_set(err, ERR_GENERAL, -error,
			"%s cannot be made: its folder is not writable "
			"for you.",
			shown);
		err_remedy(err, "Choose another with -o FILE, or set RSPROF_OUTPUT_DIR.");
		break;
	case ENOSPC:
	case EDQUOT:
		err_set(err, ERR_DATABASE, -error, "%s cannot be made: the disk is full.", shown);
		err_remedy(err, "Free some space, or choose another disk with -o FILE.");
		break;
	default:
		err_set(err, ERR_GENERAL, -error, "%s cannot be made: %s.", shown, strerror(error));
		err_remedy(err, "Choose another name with -o FILE.");
	}
	free(shown);
	return -error;
}

/* One recorder a file. A lock of the open file description is not dropped by SQLite's closes, and
 * ends with the process however that ends. A file system without locks holds nobody back. */
static bool lock(int fd)
{
	struct flock range = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_BYTE, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &range) == 0 || (errno != EAGAIN && errno != EACCES);
}

enum store_holder store_file_holder(const char *path)
{
	OWN(own_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct flock range = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_BYTE, .l_len = 1};

	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &range))
		return STORE_HOLDER_UNKNOWN;
	return range.l_type == F_UNLCK ? STORE_NOT_HELD : STORE_HELD;
}

int store_file_create(struct store_file *file, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');

	*file = (struct store_file){.fd = -1};
	if (!*(slash ? slash + 1 : path))
		return err_set(err, ERR_USAGE, -EINVAL, "The name of the database is empty.");
	file->path = resolve_folder(path);
	if (!file->path)
		return refuse_create(path, errno, err);
	file->fd = open(file->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file->fd < 0) {
		int error = errno;

		store_file_close(file);
		return refuse_create(path, error, err);
	}
	lock(file->fd);
	return 0;
}

int store_file_open(struct store_file *file, const char *path, struct err *err)
{
	char *shown;
	int ret = 0;

	*file = (struct store_file){.path = realpath(path, NULL), .fd = -1};
	shown = scrubbed(path);
	if (file->path)
		file->fd = open(file->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (file->fd < 0) {
		ret = err_set(err, ERR_DATABASE, -errno, "%s cannot be opened for writing: %s.",
			      shown, strerror(errno));
		err_remedy(err, "Record to a new file with -o FILE, without --append.");
	} else if (!lock(file->fd)) {
		ret = err_set(err, ERR_DATABASE, -EBUSY, "Another rsprof is recording to %s.",
			      shown);
		err_remedy(err, "Record to a new file with -o FILE, without --append.");
	}
	free(shown);
	if (ret < 0)
		store_file_close(file);
	return ret;
}

bool store_file_is_same(const struct store_file *file)
{
	struct stat opened, named;

	return fstat(file->fd, &opened) == 0 && lstat(file->path, &named) == 0 &&
	       S_ISREG(named.st_mode) && opened.st_dev == named.st_dev &&
	       opened.st_ino == named.st_ino;
}

void store_file_hand_over(const struct store_file *file)
{
	const char *uid = getenv("SUDO_UID"), *gid = getenv("SUDO_GID");
	uint64_t owner, group;

	if (geteuid() != 0 || !uid || !gid || parse_count(uid, &owner) ||
	    parse_count(gid, &group) || owner >= UINT32_MAX || group >= UINT32_MAX)
		return;
	/* Where the file system knows no owners it stays as it is: root can still read it. */
	if (fchown(file->fd, (uid_t)owner, (gid_t)group))
		return;
}

void store_file_remove(const struct store_file *file)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	struct str name = {0};

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		str_clear(&name);
		str_addf(&name, "%s%s", file->path, suffixes[i]);
		unlink(str_text(&name));
	}
	str_done(&name);
}

void store_file_close(struct store_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	*file = (struct store_file){.fd = -1};
}
