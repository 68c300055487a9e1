/* The format, version 1. Fields are separated by one space, a line ends with a newline:
 *
 *     rsprof-events 1
 *     events NAME…                  of core/event_kind.c; a sample names them by number, from 0
 *     frequency HZ
 *     sample TIME PID TID EVENT VALUE STATUS user|kernel PC…
 *     wait TIME PID TID EVENT KIND VALUE WAITS RUN_NS STATUS PC…
 *     mmap TIME PID TID START LENGTH OFFSET MAJOR:MINOR INODE x|- PATH
 *     comm TIME PID TID exec|name COMM
 *     fork TIME PID TID PARENT_PID PARENT_TID
 *     exit TIME PID TID
 *     lost TIME PID TID CAUSE COUNT
 *
 * TIME is in nanoseconds of CLOCK_MONOTONIC; the lines need not be in its order. PC, START,
 * LENGTH and OFFSET are hexadecimal without 0x, PCs leaf first; other numbers are decimal.
 * STATUS, KIND and CAUSE are the stable names of core, where KIND has "-" for each space, and for a
 * thread that ran, ended and did not wait. EVENT of a wait is wait-time, VALUE the nanoseconds
 * waited, WAITS how many waits these were, 0 for one that goes on. PATH and COMM go to the end of
 * the line; in them a backslash, a control character and DEL are written \xHH. An empty one is "-",
 * and one that is "-" is \x2d. */
#include "reader/source/event_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "reader/source/event_text_words.h"

const char *const event_text_types[EVENT_TYPES] = {
	[EVENT_SAMPLE] = "sample", [EVENT_MMAP] = "mmap", [EVENT_COMM] = "comm",
	[EVENT_FORK] = "fork",	   [EVENT_EXIT] = "exit", [EVENT_LOST] = "lost",
};

static void write_text(FILE *file, const char *text)
{
	if (!*text) {
		fputs(" -", file);
		return;
	}
	fputc(' ', file);
	if (strcmp(text, "-") == 0) {
		fputs("\\x2d", file);
		return;
	}
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < 0x20 || byte == 0x7f || byte == '\\')
			fprintf(file, "\\x%02x", byte);
		else
			fputc(byte, file);
	}
}

static bool is_wait(const struct event *event)
{
	return event->sample.wait_kind || event->sample.waits || event->sample.run_ns;
}

static void write_kind(FILE *file, enum wait_kind kind)
{
	fputs(kind == WAIT_NONE ? " -" : " ", file);
	for (const char *name = wait_kind_names[kind]; *name; name++)
		fputc(*name == ' ' ? '-' : *name, file);
}

static void write_sample(FILE *file, const struct event *event)
{
	fprintf(file, " %" PRIu32, event->sample.event_index);
	if (is_wait(event)) {
		write_kind(file, event->sample.wait_kind);
		fprintf(file, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %s", event->sample.value,
			event->sample.waits, event->sample.run_ns,
			stack_status_names[event->sample.status]);
	} else {
		fprintf(file, " %" PRIu64 " %s %s", event->sample.value,
			stack_status_names[event->sample.status],
			event->sample.in_kernel ? "kernel" : "user");
	}
	for (uint32_t i = 0; i < event->sample.pc_count; i++)
		fprintf(file, " %" PRIx64, event->sample.pcs[i]);
}

int event_text_write_header(FILE *file, const struct event_text_header *header)
{
	fprintf(file, "%s\nevents", EVENT_TEXT_FIRST_LINE);
	for (size_t i = 0; i < header->event_count; i++)
		fprintf(file, " %s", header->events[i]->name);
	fprintf(file, "\nfrequency %" PRIu32 "\n", header->frequency);
	return ferror(file) ? -EIO : 0;
}

int event_text_write(FILE *file, const struct event *event)
{
	const char *type = event_text_types[event->type];

	if (event->type == EVENT_SAMPLE && is_wait(event))
		type = EVENT_TEXT_WAIT;
	fprintf(file, "%s %" PRIu64 " %" PRIu32 " %" PRIu32, type, event->time_ns, event->pid,
		event->tid);
	switch (event->type) {
	case EVENT_SAMPLE:
		write_sample(file, event);
		break;
	case EVENT_MMAP:
		fprintf(file, " %" PRIx64 " %" PRIx64 " %" PRIx64, event->mmap.start,
			event->mmap.length, event->mmap.file_offset);
		fprintf(file, " %" PRIu32 ":%" PRIu32 " %" PRIu64 " %s", event->mmap.device_major,
			event->mmap.device_minor, event->mmap.inode,
			event->mmap.is_executable ? "x" : "-");
		write_text(file, event->mmap.path);
		break;
	case EVENT_COMM:
		fputs(event->comm.is_exec ? " exec" : " name", file);
		write_text(file, event->comm.comm);
		break;
	case EVENT_FORK:
		fprintf(file, " %" PRIu32 " %" PRIu32, event->fork.parent_pid,
			event->fork.parent_tid);
		break;
	case EVENT_LOST:
		fprintf(file, " %s %" PRIu64, loss_texts[event->lost.cause].name,
			event->lost.count);
		break;
	default:
		break;
	}
	fputc('\n', file);
	return ferror(file) ? -EIO : 0;
}
