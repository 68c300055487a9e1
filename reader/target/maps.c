#include "reader/target/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "reader/target/proc.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"

enum {
	/* vm.max_map_count is 65,530 by default and a line with a usual path has 120 bytes: 8 MB.
	 * What is beyond 256 MiB is a process that wants to fill our memory. */
	MAPS_TEXT_MAX = 256 * 1024 * 1024,
};

static const char DELETED[] = " (deleted)";

struct cursor {
	const char *at, *end;
};

static int digit_of(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	if (character >= 'a' && character <= 'f')
		return character - 'a' + 10;
	return 16;
}

/* A number and the one character that must follow it. */
static bool take_number(struct cursor *line, unsigned base, char after, uint64_t *ret_number)
{
	const char *start = line->at;
	uint64_t number = 0;

	while (line->at < line->end) {
		unsigned digit = (unsigned)digit_of(*line->at);

		if (digit >= base)
			break;
		if (number > (UINT64_MAX - digit) / base)
			return false;
		number = number * base + digit;
		line->at++;
	}
	if (line->at == start || line->at == line->end || *line->at != after)
		return false;
	line->at++;
	*ret_number = number;
	return true;
}

/* The kernel writes a newline in a path as \012 and escapes nothing else, not even a backslash: a
 * file whose name holds these four characters looks the same. Who opens it tries both. */
static char *decode_path(const char *text, size_t length)
{
	char *path = mem_alloc(length + 1), *to = path;

	for (size_t i = 0; i < length;) {
		if (length - i >= 4 && memcmp(text + i, "\\012", 4) == 0) {
			*to++ = '\n';
			i += 4;
		} else {
			*to++ = text[i++];
		}
	}
	*to = '\0';
	return path;
}

static bool parse_line(struct cursor line, struct target_mapping *ret_mapping)
{
	struct target_mapping mapping = {0};
	uint64_t major, minor;
	size_t length, deleted_length = sizeof(DELETED) - 1;

	if (!take_number(&line, 16, '-', &mapping.start) ||
	    !take_number(&line, 16, ' ', &mapping.end) || mapping.end <= mapping.start)
		return false;
	if (line.end - line.at < 5 || line.at[4] != ' ')
		return false;
	mapping.is_executable = line.at[2] == 'x';
	line.at += 5;
	if (!take_number(&line, 16, ' ', &mapping.file_offset) ||
	    !take_number(&line, 16, ':', &major) || !take_number(&line, 16, ' ', &minor) ||
	    major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	mapping.device_major = (uint32_t)major;
	mapping.device_minor = (uint32_t)minor;
	/* Lines without a path end with a space after the inode too. */
	if (!take_number(&line, 10, ' ', &mapping.inode))
		return false;
	while (line.at < line.end && *line.at == ' ')
		line.at++;
	length = (size_t)(line.end - line.at);
	if (length > deleted_length && line.at[0] == '/' &&
	    memcmp(line.end - deleted_length, DELETED, deleted_length) == 0) {
		mapping.is_deleted = true;
		length -= deleted_length;
	}
	mapping.path = decode_path(line.at, length);
	*ret_mapping = mapping;
	return true;
}

size_t maps_parse(const char *text, size_t length, target_mappings *mappings)
{
	const char *end = text + length;
	size_t passed_over = 0;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		struct cursor line = {text, newline};
		struct target_mapping mapping;

		/* A last line without its end was cut: its path may be too. */
		if (!newline)
			return passed_over + 1;
		if (parse_line(line, &mapping))
			*vec_add(mappings) = mapping;
		else
			passed_over++;
		text = newline + 1;
	}
	return passed_over;
}

static int read_maps(int folder_fd, const char *name, target_mappings *mappings)
{
	OWN(str_done) struct str text = {0};
	int ret = proc_read(folder_fd, name, MAPS_TEXT_MAX, &text);

	if (ret == -ENOENT)
		return -ESRCH;
	if (ret < 0)
		return ret;
	maps_parse(str_text(&text), text.length, mappings);
	return 0;
}

int target_list_mappings(const struct target *target, target_mappings *mappings)
{
	OWN(own_close) int fd = process_open(target, ".", O_PATH | O_DIRECTORY);

	if (fd < 0)
		return fd == -ENOENT ? -ESRCH : fd;
	return read_maps(fd, "maps", mappings);
}

int maps_read_self(target_mappings *mappings)
{
	return read_maps(AT_FDCWD, "/proc/self/maps", mappings);
}

void target_mappings_done(target_mappings *mappings)
{
	for (size_t i = 0; i < mappings->count; i++)
		free(mappings->items[i].path);
	vec_done(mappings);
}

bool mapping_same_file(const struct target_mapping *a, const struct target_mapping *b)
{
	return a->inode == b->inode && a->device_major == b->device_major &&
	       a->device_minor == b->device_minor;
}
