#include "reader/view/source_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "reader/util/fmt.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/utf8.h"
#include "reader/view/source_places.h"

enum {
	TRIED_SHOWN = 3, /* places that are named where nothing is found */
};

const char *const source_state_names[] = {
	[SOURCE_UNCHANGED] = "unchanged",
	[SOURCE_CHANGED] = "changed",
	[SOURCE_MISSING] = "missing",
};

/* NULL: it can be read. A folder of that name is none of the file. */
static const char *refuse_kind(const struct stat *status)
{
	if (S_ISDIR(status->st_mode))
		return "a folder";
	if (S_ISFIFO(status->st_mode))
		return "a FIFO";
	if (S_ISSOCK(status->st_mode))
		return "a socket";
	if (!S_ISREG(status->st_mode))
		return "a device";
	if (status->st_size > SOURCE_BYTES_MAX)
		return "larger than 32 MiB";
	return NULL;
}

/* Looked at before it is opened, since opening a device may do something to it, and again
 * afterwards. */
static int open_regular(const char *path, struct stat *ret_status, const char **ret_why)
{
	OWN(own_close) int fd = -1;

	if (stat(path, ret_status) < 0)
		return -errno;
	*ret_why = refuse_kind(ret_status);
	if (*ret_why)
		return -EINVAL;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, ret_status) < 0)
		return -errno;
	*ret_why = refuse_kind(ret_status);
	if (*ret_why)
		return -EINVAL;
	return own_take_fd(fd);
}

/* At most what the file said it has: files of /proc go on for ever. */
static int read_bytes(int fd, size_t size, char **ret_text, size_t *ret_length)
{
	OWN(own_free) char *text = mem_alloc(size + 1);
	size_t length = 0;

	while (length < size) {
		ssize_t got = read(fd, text + length, size - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	text[length] = '\0';
	*ret_text = own_take(text);
	*ret_length = length;
	return 0;
}

/* false: it has too many. */
static bool split(struct source_text *source)
{
	VEC(uint32_t) begins = {0};
	const char *at = source->text, *end = source->text + source->length;

	while (at < end && begins.count <= SOURCE_LINES_MAX) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));

		*vec_add(&begins) = (uint32_t)(at - source->text);
		at = line_end ? line_end + 1 : end;
	}
	source->begins = begins.items;
	source->line_count = begins.count;
	return begins.count <= SOURCE_LINES_MAX;
}

static void drop_text(struct source_text *source)
{
	free(source->text);
	free(source->begins);
	source->text = NULL;
	source->begins = NULL;
	source->length = source->line_count = 0;
}

/* 0, or -errno; *ret_why where it is there and is not read for another reason. */
static int read_place(struct source_text *source, const char *path, struct stat *ret_status,
		      const char **ret_why)
{
	OWN(own_close) int fd = -1;
	int r;

	*ret_why = NULL;
	fd = open_regular(path, ret_status, ret_why);
	if (fd < 0)
		return fd;
	r = read_bytes(fd, (size_t)ret_status->st_size, &source->text, &source->length);
	if (r < 0)
		return r;
	if (memchr(source->text, '\0', source->length))
		*ret_why = "a binary file";
	else if (!split(source))
		*ret_why = "of more than 1,000,000 lines";
	if (!*ret_why)
		return 0;
	drop_text(source);
	return -EINVAL;
}

static bool is_absent(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -ENAMETOOLONG || error == -ELOOP;
}

static void tell_tried(struct str *tried, const source_places *places)
{
	size_t shown = places->count < TRIED_SHOWN ? places->count : TRIED_SHOWN;
	char number[FMT_MAX];

	for (size_t i = 0; i < shown; i++) {
		str_add(tried, i ? ", " : "");
		str_add_scrubbed(tried, places->items[i].path);
	}
	if (places->count > shown)
		str_addf(tried, " and %s more", fmt_count(number, places->count - shown));
}

static uint64_t written_ns(const struct stat *status)
{
	if (status->st_mtim.tv_sec < 0)
		return 0;
	return (uint64_t)status->st_mtim.tv_sec * 1000000000 + (uint64_t)status->st_mtim.tv_nsec;
}

void source_text_read(const struct source_request *request, struct source_text *ret_source)
{
	struct source_text source = {.state = SOURCE_MISSING};
	source_places places = {0};

	source_places_list(request, &places);
	for (size_t i = 0; i < places.count && !source.path; i++) {
		const char *why;
		struct stat status;
		int r = read_place(&source, places.items[i].path, &status, &why);

		if (r == 0) {
			source.path = mem_strdup(places.items[i].path);
			source.is_moved = !places.items[i].is_recorded;
			source.state = written_ns(&status) > request->start_unix_ns
					       ? SOURCE_CHANGED
					       : SOURCE_UNCHANGED;
		} else if (!source.why.length && !is_absent(r)) {
			str_add(&source.why, why ? "not read: " : "not readable: ");
			str_add_scrubbed(&source.why, places.items[i].path);
			if (why)
				str_addf(&source.why, " is %s", why);
			else
				str_addf(&source.why, " (%s)", strerror(-r));
		}
	}
	if (source.path) {
		str_clear(&source.why);
	} else if (!source.why.length) {
		str_add(&source.why, "not found");
		tell_tried(&source.tried, &places);
	}
	source_places_done(&places);
	*ret_source = source;
}

void source_text_done(struct source_text *source)
{
	drop_text(source);
	free(source->path);
	str_done(&source->why);
	str_done(&source->tried);
	memset(source, 0, sizeof(*source));
	source->state = SOURCE_MISSING;
}

const char *source_text_line(const struct source_text *source, uint32_t line, size_t *ret_length)
{
	size_t begin, end;

	if (!line || line > source->line_count)
		return NULL;
	begin = source->begins[line - 1];
	end = line < source->line_count ? source->begins[line] : source->length;
	if (end > begin && source->text[end - 1] == '\n')
		end--;
	if (end > begin && source->text[end - 1] == '\r')
		end--;
	*ret_length = end - begin;
	return source->text + begin;
}

/* Columns of what is not printed as it is are those of the '?' that stands for it. */
static size_t point_columns(uint32_t point, size_t bytes)
{
	int columns = bytes && !utf8_is_harmful(point) ? wcwidth((wchar_t)point) : 1;

	return columns < 0 ? 1 : (size_t)columns;
}

bool source_text_add(const struct source_text *source, uint32_t line, size_t from, size_t width,
		     struct str *to)
{
	size_t length, column = 0, end = from + width;
	const char *text = source_text_line(source, line, &length);
	const char *stop = text ? text + length : NULL;

	while (text && text < stop) {
		uint32_t point;
		/* The text as a whole ends with a zero, and no line does with half a character. */
		size_t bytes = utf8_decode(text, &point), columns;

		columns = bytes ? point_columns(point, bytes) : 1;
		if (*text == '\t')
			columns = SOURCE_TAB - column % SOURCE_TAB;
		if (column >= end && columns)
			return true;
		if (*text == '\t') {
			for (size_t i = column; i < column + columns; i++)
				str_add_bytes(to, " ", i >= from && i < end);
		} else if (column >= from && column + columns <= end) {
			str_add_bytes(to, text, bytes ? bytes : 1);
		} else if (columns == 2 && column + columns > from) {
			/* Half of it is beyond one of the edges. */
			str_add_bytes(to, " ", 1);
		}
		column += columns;
		text += bytes ? bytes : 1;
	}
	return false;
}
