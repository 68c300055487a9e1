/* The reader of the format that event_text.c describes. Files come from anybody: lines, stacks
 * and texts are bounded, and what is not as described is refused by its line. */
#include "reader/source/event_text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reader/source/event_text_words.h"
#include "reader/util/fmt.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"

enum {
	/* A path of which each byte is escaped, or a full stack, and the fields before. */
	LINE_BYTES_MAX = 4 * EVENT_PATH_MAX + 512,
	ESCAPE_LENGTH = 4, /* \xHH */
};

_Static_assert(LINE_BYTES_MAX > EVENT_FRAMES_MAX * 17 + 512, "a full stack fits a line");

struct event_text_reader {
	FILE *file;
	char *path;
	struct event_text_header header;
	off_t first_event;
	uint64_t header_lines;
	uint64_t line_number;
	/* The fields of the line that are not yet taken; NULL when there are none. */
	char *rest;
	/* What the first field that was not right should have been; NULL while all is right. */
	const char *wrong;
	uint64_t pcs[EVENT_FRAMES_MAX];
	char line[LINE_BYTES_MAX];
};

static int fail(const struct event_text_reader *reader, struct err *err, const char *what)
{
	return err_set(err, ERR_USAGE, -EINVAL, "%s line %" PRIu64 ": %s.", reader->path,
		       reader->line_number, what);
}

/* 1, 0 at the end of the file, or -errno. */
static int read_line(struct event_text_reader *reader, struct err *err)
{
	size_t length = 0;
	int byte;

	reader->line_number++;
	reader->wrong = NULL;
	reader->rest = reader->line;
	while ((byte = getc_unlocked(reader->file)) != EOF && byte != '\n') {
		if (!byte)
			return fail(reader, err, "a NUL byte in text");
		if (length + 1 >= sizeof(reader->line))
			return fail(reader, err, "the line is too long");
		reader->line[length++] = (char)byte;
	}
	reader->line[length] = '\0';
	if (byte == '\n')
		return 1;
	if (ferror(reader->file))
		return fail(reader, err, "the file cannot be read");
	return length ? fail(reader, err, "the line is cut off") : 0;
}

static void set_wrong(struct event_text_reader *reader, const char *wanted)
{
	if (!reader->wrong)
		reader->wrong = wanted;
}

/* The next field, or "". */
static const char *take_word(struct event_text_reader *reader)
{
	char *word = reader->rest;

	if (!word)
		return "";
	reader->rest = strchr(word, ' ');
	if (reader->rest)
		*reader->rest++ = '\0';
	return word;
}

static uint64_t take_number(struct event_text_reader *reader, uint64_t max, const char *wanted)
{
	uint64_t value;

	if (parse_count(take_word(reader), &value) || value > max) {
		set_wrong(reader, wanted);
		return 0;
	}
	return value;
}

static uint32_t take_u32(struct event_text_reader *reader, const char *wanted)
{
	return (uint32_t)take_number(reader, UINT32_MAX, wanted);
}

static uint64_t take_hex(struct event_text_reader *reader, const char *wanted)
{
	const char *word = take_word(reader);
	size_t length = strlen(word);

	if (!length || length > 16 || strspn(word, "0123456789abcdef") != length) {
		set_wrong(reader, wanted);
		return 0;
	}
	return strtoull(word, NULL, 16);
}

/* One of two words. */
static bool take_choice(struct event_text_reader *reader, const char *yes, const char *no,
			const char *wanted)
{
	const char *word = take_word(reader);

	if (strcmp(word, yes) == 0)
		return true;
	if (strcmp(word, no))
		set_wrong(reader, wanted);
	return false;
}

/* The byte of \xHH, or -1. */
static int unescape(const char *text)
{
	if (text[1] != 'x' || !isxdigit((unsigned char)text[2]) ||
	    !isxdigit((unsigned char)text[3]))
		return -1;
	return (int)strtoul((char[]){text[2], text[3], '\0'}, NULL, 16);
}

/* The rest of the line, unescaped in place; max includes the terminating NUL. */
static const char *take_text(struct event_text_reader *reader, size_t max, const char *wanted)
{
	char *text = reader->rest, *to = text;
	const char *from = text;

	reader->rest = NULL;
	if (!text || !*text) {
		set_wrong(reader, wanted);
		return "";
	}
	if (strcmp(text, "-") == 0)
		return "";
	while (*from) {
		int byte = *from;

		if (*from == '\\') {
			byte = unescape(from);
			if (byte <= 0) {
				set_wrong(reader, wanted);
				return "";
			}
			from += ESCAPE_LENGTH;
		} else {
			from++;
		}
		*to++ = (char)byte;
	}
	*to = '\0';
	if ((size_t)(to - text) >= max)
		set_wrong(reader, wanted);
	return text;
}

/* Returns whether the event is measured in time. */
static bool parse_index(struct event_text_reader *reader, struct event *event)
{
	event->sample.event_index = take_u32(reader, "the event's number");
	if (event->sample.event_index < reader->header.event_count)
		return reader->header.events[event->sample.event_index]->unit == EVENT_UNIT_TIME;
	set_wrong(reader, "the number of an event that the header declares");
	return false;
}

static void parse_status(struct event_text_reader *reader, struct event *event)
{
	const char *status = take_word(reader);
	int at = 0;

	while (at < STACK_STATUSES && strcmp(stack_status_names[at], status))
		at++;
	if (at == STACK_STATUSES)
		set_wrong(reader, "how good the stack is");
	else
		event->sample.status = (enum stack_status)at;
}

/* To the end of the line. */
static void parse_pcs(struct event_text_reader *reader, struct event *event)
{
	while (reader->rest && !reader->wrong) {
		if (event->sample.pc_count == EVENT_FRAMES_MAX) {
			set_wrong(reader, "no more frames than a stack can have");
			break;
		}
		reader->pcs[event->sample.pc_count++] = take_hex(reader, "an address");
	}
	event->sample.pcs = reader->pcs;
}

static void parse_sample(struct event_text_reader *reader, struct event *event)
{
	bool is_time = parse_index(reader, event);

	event->sample.value = take_number(reader, UINT64_MAX, "the value");
	/* A sample of nothing is what a writer makes of a thread that neither ran nor waited. */
	if (is_time && event->sample.value)
		set_wrong(reader, "the number of an event that is sampled");
	parse_status(reader, event);
	event->sample.in_kernel = take_choice(reader, "kernel", "user", "\"user\" or \"kernel\"");
	parse_pcs(reader, event);
}

/* The name with "-" for each space. */
static bool is_kind(const char *name, const char *word)
{
	while (*name && *word == (*name == ' ' ? '-' : *name)) {
		name++;
		word++;
	}
	return !*name && !*word;
}

static enum wait_kind take_kind(struct event_text_reader *reader)
{
	const char *word = take_word(reader);
	int kind = WAIT_NONE + 1;

	if (strcmp(word, "-") == 0)
		return WAIT_NONE;
	while (kind < WAIT_KINDS && !is_kind(wait_kind_names[kind], word))
		kind++;
	if (kind < WAIT_KINDS)
		return (enum wait_kind)kind;
	set_wrong(reader, "a kind of wait");
	return WAIT_NONE;
}

static void parse_wait(struct event_text_reader *reader, struct event *event)
{
	if (!parse_index(reader, event))
		set_wrong(reader, "the number of an event that is waited for");
	event->sample.wait_kind = take_kind(reader);
	event->sample.value = take_number(reader, INT64_MAX, "the time waited");
	event->sample.waits = take_number(reader, INT64_MAX, "the number of waits");
	event->sample.run_ns = take_number(reader, INT64_MAX, "the time that the thread ran");
	if (!event->sample.wait_kind && (event->sample.value || event->sample.waits))
		set_wrong(reader, "a kind of wait");
	parse_status(reader, event);
	parse_pcs(reader, event);
}

static void parse_device(struct event_text_reader *reader, struct event *event)
{
	char *rest = reader->rest, *colon = rest ? rest + strcspn(rest, ": ") : NULL;

	if (!colon || *colon != ':') {
		set_wrong(reader, "a device as MAJOR:MINOR");
		return;
	}
	*colon = ' ';
	event->mmap.device_major = take_u32(reader, "a device as MAJOR:MINOR");
	event->mmap.device_minor = take_u32(reader, "a device as MAJOR:MINOR");
}

static void parse_mmap(struct event_text_reader *reader, struct event *event)
{
	event->mmap.start = take_hex(reader, "an address");
	event->mmap.length = take_hex(reader, "a length");
	event->mmap.file_offset = take_hex(reader, "an offset in the file");
	if (!event->mmap.length || event->mmap.start + event->mmap.length < event->mmap.start)
		set_wrong(reader, "a length within the address space");
	parse_device(reader, event);
	event->mmap.inode = take_number(reader, UINT64_MAX, "an inode");
	event->mmap.is_executable = take_choice(reader, "x", "-", "\"x\" or \"-\"");
	event->mmap.path = take_text(reader, EVENT_PATH_MAX, "a path");
}

static void parse_lost(struct event_text_reader *reader, struct event *event)
{
	event->lost.cause = loss_by_name(take_word(reader));
	if (event->lost.cause == LOSS_CAUSES)
		set_wrong(reader, "the name of a loss");
	event->lost.count = take_number(reader, UINT64_MAX, "a count");
}

static void parse_event(struct event_text_reader *reader, struct event *event)
{
	const char *type = take_word(reader);
	bool is_wait = strcmp(type, EVENT_TEXT_WAIT) == 0;
	int at = 0;

	if (is_wait)
		at = EVENT_SAMPLE;
	else
		while (at < EVENT_TYPES && strcmp(event_text_types[at], type))
			at++;
	if (at == EVENT_TYPES) {
		set_wrong(reader, "the type of an event");
		return;
	}
	*event = (struct event){.type = (enum event_type)at};
	event->time_ns = take_number(reader, INT64_MAX, "a time");
	event->pid = take_u32(reader, "a process");
	event->tid = take_u32(reader, "a thread");
	switch (event->type) {
	case EVENT_SAMPLE:
		if (is_wait)
			parse_wait(reader, event);
		else
			parse_sample(reader, event);
		break;
	case EVENT_MMAP:
		parse_mmap(reader, event);
		break;
	case EVENT_COMM:
		event->comm.is_exec = take_choice(reader, "exec", "name", "\"exec\" or \"name\"");
		event->comm.comm = take_text(reader, EVENT_COMM_MAX, "a name");
		break;
	case EVENT_FORK:
		event->fork.parent_pid = take_u32(reader, "the parent process");
		event->fork.parent_tid = take_u32(reader, "the parent thread");
		break;
	case EVENT_LOST:
		parse_lost(reader, event);
		break;
	default:
		break;
	}
	if (reader->rest)
		set_wrong(reader, "the end of the line");
}

static int fail_wanted(struct event_text_reader *reader, struct err *err)
{
	char what[128];

	snprintf(what, sizeof(what), "%s should be there", reader->wrong);
	return fail(reader, err, what);
}

int event_text_next(struct event_text_reader *reader, struct event *ret_event, struct err *err)
{
	struct event event;
	int got = read_line(reader, err);

	if (got <= 0)
		return got;
	parse_event(reader, &event);
	if (reader->wrong)
		return fail_wanted(reader, err);
	*ret_event = event;
	return 1;
}

static void parse_kinds(struct event_text_reader *reader)
{
	struct event_text_header *header = &reader->header;

	if (strcmp(take_word(reader), "events") || !reader->rest)
		set_wrong(reader, "the list of events");
	while (reader->rest && !reader->wrong) {
		const char *name = take_word(reader);
		const struct event_kind *kind = event_kind_by_name(name, strlen(name));

		if (!kind)
			set_wrong(reader, "the name of an event that this rsprof knows");
		else if (header->event_count == SOURCE_EVENTS_MAX)
			set_wrong(reader, "no more events than can be recorded together");
		else
			header->events[header->event_count++] = kind;
	}
}

static int read_header(struct event_text_reader *reader, struct err *err)
{
	int got = read_line(reader, err);

	if (got < 0)
		return got;
	if (!got || strcmp(reader->line, EVENT_TEXT_FIRST_LINE))
		return fail(reader, err, "this is no file of events, or of another version");
	got = read_line(reader, err);
	if (got > 0)
		parse_kinds(reader);
	if (got > 0 && !reader->wrong)
		got = read_line(reader, err);
	if (got < 0)
		return got;
	if (!got)
		return fail(reader, err, "the header is cut off");
	if (!reader->wrong) {
		if (strcmp(take_word(reader), "frequency"))
			set_wrong(reader, "the frequency");
		reader->header.frequency = take_u32(reader, "the frequency");
		if (reader->rest)
			set_wrong(reader, "the end of the line");
	}
	return reader->wrong ? fail_wanted(reader, err) : 0;
}

/* A regular file, or NULL with err set. */
static FILE *open_regular(const char *path, struct err *err)
{
	/* Not waiting for the writer of a pipe. */
	OWN(own_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat stat;
	FILE *file;

	if (fd < 0 || fstat(fd, &stat)) {
		err_set(err, ERR_USAGE, 0, "%s cannot be read: %s.", path, strerror(errno));
		return NULL;
	}
	if (!S_ISREG(stat.st_mode)) {
		err_set(err, ERR_USAGE, 0, "%s is not a regular file.", path);
		return NULL;
	}
	file = fdopen(fd, "r");
	if (file)
		own_take_fd(fd);
	else
		err_set(err, ERR_GENERAL, 0, "%s cannot be read: %s.", path, strerror(errno));
	return file;
}

int event_text_open(const char *path, struct event_text_reader **ret_reader, struct err *err)
{
	FILE *file = open_regular(path, err);
	struct event_text_reader *reader;
	int failed;

	if (!file)
		return -EINVAL;
	reader = mem_zalloc(sizeof(*reader));
	reader->file = file;
	reader->path = mem_strdup(path);
	failed = read_header(reader, err);
	if (failed) {
		event_text_close(reader);
		return failed;
	}
	reader->first_event = ftello(reader->file);
	reader->header_lines = reader->line_number;
	*ret_reader = reader;
	return 0;
}

void event_text_close(struct event_text_reader *reader)
{
	if (!reader)
		return;
	fclose(reader->file);
	free(reader->path);
	free(reader);
}

const struct event_text_header *event_text_header(const struct event_text_reader *reader)
{
	return &reader->header;
}

void event_text_rewind(struct event_text_reader *reader)
{
	fseeko(reader->file, reader->first_event, SEEK_SET);
	reader->line_number = reader->header_lines;
}
