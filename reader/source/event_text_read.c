/* The reader of the format that event_text.c describes. Files come from anybody: lines, stacks
 * and texts are bounded, and what is not as described is refused by its line. */
#include "reader/source/event_text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reader/source/event_text_fields.h"
#include "reader/source/event_text_words.h"
#include "reader/util/fmt.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"

enum {
	/* A path of which each byte is escaped, or a full stack, and the fields before. */
	LINE_BYTES_MAX = 4 * EVENT_PATH_MAX + 512,
};

_Static_assert(LINE_BYTES_MAX > EVENT_FRAMES_MAX * 17 + 512, "a full stack fits a line");

struct event_text_reader {
	FILE *file;
	char *path;
	struct event_text_header header;
	off_t first_event;
	uint64_t header_lines;
	uint64_t line_number;
	struct event_text_fields fields; /* of the line */
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
	reader->fields = (struct event_text_fields){reader->line, NULL};
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

/* Returns whether the event is measured in time. */
static bool parse_index(struct event_text_reader *reader, struct event *event)
{
	event->sample.event_index = fields_u32(&reader->fields, "the event's number");
	if (event->sample.event_index < reader->header.event_count)
		return reader->header.events[event->sample.event_index]->unit == EVENT_UNIT_TIME;
	fields_set_wrong(&reader->fields, "the number of an event that the header declares");
	return false;
}

static enum stack_status take_status(struct event_text_reader *reader)
{
	const char *status = fields_word(&reader->fields);
	int at = 0;

	while (at < STACK_STATUSES && strcmp(stack_status_names[at], status))
		at++;
	if (at < STACK_STATUSES)
		return (enum stack_status)at;
	fields_set_wrong(&reader->fields, "how good the stack is");
	return STACK_EMPTY;
}

/* To the end of the line, into reader->pcs; returns how many. */
static uint32_t take_pcs(struct event_text_reader *reader)
{
	uint32_t count = 0;

	while (reader->fields.rest && !reader->fields.wrong) {
		if (count == EVENT_FRAMES_MAX) {
			fields_set_wrong(&reader->fields, "no more frames than a stack can have");
			break;
		}
		reader->pcs[count++] = fields_hex(&reader->fields, "an address");
	}
	return count;
}

/* How a sample ends. */
static void parse_pcs(struct event_text_reader *reader, struct event *event)
{
	event->sample.pc_count = take_pcs(reader);
	event->sample.pcs = reader->pcs;
}

static void parse_sample(struct event_text_reader *reader, struct event *event)
{
	bool is_time = parse_index(reader, event);

	event->sample.value = fields_number(&reader->fields, UINT64_MAX, "the value");
	/* A sample of nothing is what a writer makes of a thread that neither ran nor waited. */
	if (is_time && event->sample.value)
		fields_set_wrong(&reader->fields, "the number of an event that is sampled");
	event->sample.status = take_status(reader);
	event->sample.in_kernel =
		fields_choice(&reader->fields, "kernel", "user", "\"user\" or \"kernel\"");
	parse_pcs(reader, event);
}

/* The name with "-" for each space. */
static bool is_name(const char *name, const char *word)
{
	while (*name && *word == (*name == ' ' ? '-' : *name)) {
		name++;
		word++;
	}
	return !*name && !*word;
}

static enum wait_kind take_kind(struct event_text_reader *reader)
{
	const char *word = fields_word(&reader->fields);
	int kind = WAIT_NONE + 1;

	if (strcmp(word, "-") == 0)
		return WAIT_NONE;
	while (kind < WAIT_KINDS && !is_name(wait_kind_names[kind], word))
		kind++;
	if (kind < WAIT_KINDS)
		return (enum wait_kind)kind;
	fields_set_wrong(&reader->fields, "a kind of wait");
	return WAIT_NONE;
}

static void parse_wait(struct event_text_reader *reader, struct event *event)
{
	if (!parse_index(reader, event))
		fields_set_wrong(&reader->fields, "the number of an event that is waited for");
	event->sample.wait_kind = take_kind(reader);
	event->sample.value = fields_number(&reader->fields, INT64_MAX, "the time waited");
	event->sample.waits = fields_number(&reader->fields, INT64_MAX, "the number of waits");
	event->sample.run_ns =
		fields_number(&reader->fields, INT64_MAX, "the time that the thread ran");
	if (!event->sample.wait_kind && (event->sample.value || event->sample.waits))
		fields_set_wrong(&reader->fields, "a kind of wait");
	event->sample.status = take_status(reader);
	parse_pcs(reader, event);
}

static void parse_device(struct event_text_reader *reader, struct event *event)
{
	char *rest = reader->fields.rest, *colon = rest ? rest + strcspn(rest, ": ") : NULL;

	if (!colon || *colon != ':') {
		fields_set_wrong(&reader->fields, "a device as MAJOR:MINOR");
		return;
	}
	*colon = ' ';
	event->mmap.device_major = fields_u32(&reader->fields, "a device as MAJOR:MINOR");
	event->mmap.device_minor = fields_u32(&reader->fields, "a device as MAJOR:MINOR");
}

static void parse_mmap(struct event_text_reader *reader, struct event *event)
{
	event->mmap.start = fields_hex(&reader->fields, "an address");
	event->mmap.length = fields_hex(&reader->fields, "a length");
	event->mmap.file_offset = fields_hex(&reader->fields, "an offset in the file");
	if (!event->mmap.length || event->mmap.start + event->mmap.length < event->mmap.start)
		fields_set_wrong(&reader->fields, "a length within the address space");
	parse_device(reader, event);
	event->mmap.inode = fields_number(&reader->fields, UINT64_MAX, "an inode");
	event->mmap.is_executable = fields_choice(&reader->fields, "x", "-", "\"x\" or \"-\"");
	event->mmap.path = fields_text(&reader->fields, EVENT_PATH_MAX, "a path");
}

static void parse_lost(struct event_text_reader *reader, struct event *event)
{
	event->lost.cause = loss_by_name(fields_word(&reader->fields));
	if (event->lost.cause == LOSS_CAUSES)
		fields_set_wrong(&reader->fields, "the name of a loss");
	event->lost.count = fields_number(&reader->fields, UINT64_MAX, "a count");
}

static void parse_heap_stack(struct event_text_reader *reader, struct event *event)
{
	event->heap_stack.site = fields_hex(&reader->fields, "the number of a stack");
	event->heap_stack.status = take_status(reader);
	event->heap_stack.pc_count = take_pcs(reader);
	event->heap_stack.pcs = reader->pcs;
}

static void parse_heap_counts(struct event_text_reader *reader, struct event *event)
{
	char *counts = (char *)&event->heap_counts.counts;

	event->heap_counts.site = fields_hex(&reader->fields, "the number of a stack");
	for (int i = 0; i < EVENT_TEXT_COUNTS; i++)
		*(uint64_t *)(counts + event_text_counts[i]) =
			fields_number(&reader->fields, INT64_MAX, "a count of the heap");
}

static void parse_heap_state(struct event_text_reader *reader, struct event *event)
{
	char *state = (char *)&event->heap_state;

	event->heap_state.is_counted =
		fields_choice(&reader->fields, "counted", "-", "\"counted\" or \"-\"");
	for (int i = 0; i < EVENT_TEXT_STATES; i++) {
		char *number = state + event_text_states[i];

		if (event_text_states[i] == EVENT_TEXT_SIGNED)
			*(int64_t *)number = fields_signed(&reader->fields, "a count of the heap");
		else
			*(uint64_t *)number =
				fields_number(&reader->fields, INT64_MAX, "a count of the heap");
	}
}

static void parse_event(struct event_text_reader *reader, struct event *event)
{
	const char *type = fields_word(&reader->fields);
	bool is_wait = strcmp(type, EVENT_TEXT_WAIT) == 0;
	int at = 0;

	if (is_wait)
		at = EVENT_SAMPLE;
	else
		while (at < EVENT_TYPES && strcmp(event_text_types[at], type))
			at++;
	if (at == EVENT_TYPES) {
		fields_set_wrong(&reader->fields, "the type of an event");
		return;
	}
	*event = (struct event){.type = (enum event_type)at};
	event->time_ns = fields_number(&reader->fields, INT64_MAX, "a time");
	event->pid = fields_u32(&reader->fields, "a process");
	event->tid = fields_u32(&reader->fields, "a thread");
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
		event->comm.is_exec =
			fields_choice(&reader->fields, "exec", "name", "\"exec\" or \"name\"");
		event->comm.comm = fields_text(&reader->fields, EVENT_COMM_MAX, "a name");
		break;
	case EVENT_FORK:
		event->fork.parent_pid = fields_u32(&reader->fields, "the parent process");
		event->fork.parent_tid = fields_u32(&reader->fields, "the parent thread");
		break;
	case EVENT_LOST:
		parse_lost(reader, event);
		break;
	case EVENT_HEAP_STACK:
		parse_heap_stack(reader, event);
		break;
	case EVENT_HEAP_COUNTS:
		parse_heap_counts(reader, event);
		break;
	case EVENT_HEAP_STATE:
		parse_heap_state(reader, event);
		break;
	case EVENT_EXIT:
	case EVENT_TYPES:
		break;
	}
	if (reader->fields.rest)
		fields_set_wrong(&reader->fields, "the end of the line");
}

static int fail_wanted(struct event_text_reader *reader, struct err *err)
{
	char what[128];

	snprintf(what, sizeof(what), "%s should be there", reader->fields.wrong);
	return fail(reader, err, what);
}

int event_text_next(struct event_text_reader *reader, struct event *ret_event, struct err *err)
{
	struct event event;
	int got = read_line(reader, err);

	if (got <= 0)
		return got;
	parse_event(reader, &event);
	if (reader->fields.wrong)
		return fail_wanted(reader, err);
	*ret_event = event;
	return 1;
}

static void parse_kinds(struct event_text_reader *reader)
{
	struct event_text_header *header = &reader->header;

	if (strcmp(fields_word(&reader->fields), "events") || !reader->fields.rest)
		fields_set_wrong(&reader->fields, "the list of events");
	while (reader->fields.rest && !reader->fields.wrong) {
		const char *name = fields_word(&reader->fields);
		const struct event_kind *kind = event_kind_by_name(name, strlen(name));

		if (!kind)
			fields_set_wrong(&reader->fields,
					 "the name of an event that this rsprof knows");
		else if (header->event_count == SOURCE_EVENTS_MAX)
			fields_set_wrong(&reader->fields,
					 "no more events than can be recorded together");
		else
			header->events[header->event_count++] = kind;
	}
}

/* The line that tells how the heap is counted, where there is one. */
static int read_heap_mode(struct event_text_reader *reader, struct err *err)
{
	off_t before = ftello(reader->file);
	uint64_t line_number = reader->line_number;
	int got = read_line(reader, NULL), mode = HEAP_MODE_OFF + 1;
	const char *word;

	if (got > 0 && strcmp(fields_word(&reader->fields), EVENT_TEXT_HEAP) == 0) {
		word = fields_word(&reader->fields);
		while (mode < HEAP_MODES && !is_name(heap_mode_names[mode], word))
			mode++;
		if (mode == HEAP_MODES || reader->fields.rest) {
			fields_set_wrong(&reader->fields, "how the heap is counted");
			return fail_wanted(reader, err);
		}
		reader->header.heap = (enum heap_mode)mode;
		return 0;
	}
	/* An event, sound or not, or the end: whoever reads events tells. */
	fseeko(reader->file, before, SEEK_SET);
	reader->line_number = line_number;
	return 0;
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
	if (got > 0 && !reader->fields.wrong)
		got = read_line(reader, err);
	if (got < 0)
		return got;
	if (!got)
		return fail(reader, err, "the header is cut off");
	if (!reader->fields.wrong) {
		if (strcmp(fields_word(&reader->fields), "frequency"))
			fields_set_wrong(&reader->fields, "the frequency");
		reader->header.frequency = fields_u32(&reader->fields, "the frequency");
		if (reader->fields.rest)
			fields_set_wrong(&reader->fields, "the end of the line");
	}
	return reader->fields.wrong ? fail_wanted(reader, err) : read_heap_mode(reader, err);
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
