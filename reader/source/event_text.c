/* The format, version 1. Fields are separated by one space, a line ends with a newline:
 *
 *     rsprof-events 1
 *     events NAME…                  of core/event_kind.c; a sample names them by number, from 0
 *     frequency HZ
 *     heap MODE                     only where the heap is counted: how, when it began
 *     sample TIME PID TID EVENT VALUE STATUS user|kernel PC…
 *     wait TIME PID TID EVENT KIND VALUE WAITS RUN_NS STATUS PC…
 *     mmap TIME PID TID START LENGTH OFFSET MAJOR:MINOR INODE x|- PATH
 *     comm TIME PID TID exec|name COMM
 *     fork TIME PID TID PARENT_PID PARENT_TID
 *     exit TIME PID TID
 *     lost TIME PID TID CAUSE COUNT
 *     heap-stack TIME PID TID SITE STATUS PC…
 *     heap-counts TIME PID TID SITE ALLOCS ALLOC_BYTES FREES FREE_BYTES UNTRACKED UNTRACKED_BYTES
 *                 TEMPORARY REALLOCS GROWTH_BYTES ESTIMATED
 *     heap-state TIME PID TID counted|- UNKNOWN_FREES MMAP_COUNT MMAP_BYTES MUNMAP_COUNT
 *                MUNMAP_BYTES BRK_COUNT BRK_BYTES HITS COST_NS
 *
 * TIME is in nanoseconds of CLOCK_MONOTONIC; the lines need not be in its order. PC, START,
 * LENGTH, OFFSET and SITE are hexadecimal without 0x, PCs leaf first; other numbers are decimal, of
 * which BRK_BYTES may be negative. STATUS, KIND, CAUSE and MODE are the stable names of core, where
 * KIND and MODE have "-" for each space, and KIND has it for a thread that ran, ended and did not
 * wait. The numbers of heap-counts and heap-state are those of core/heap.h; those of heap-counts
 * are of the time since the line before of the same SITE. EVENT of a wait is wait-time, VALUE the
 * nanoseconds waited, WAITS how many waits these were, 0 for one that goes on. PATH and COMM go to
 * the end of the line; in them a backslash, a control character and DEL are written \xHH. An empty
 * one is "-", and one that is "-" is \x2d. */
#include "reader/source/event_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "reader/source/event_text_words.h"

const char *const event_text_types[EVENT_TYPES] = {
	[EVENT_SAMPLE] = "sample",
	[EVENT_MMAP] = "mmap",
	[EVENT_COMM] = "comm",
	[EVENT_FORK] = "fork",
	[EVENT_EXIT] = "exit",
	[EVENT_LOST] = "lost",
	[EVENT_HEAP_STACK] = "heap-stack",
	[EVENT_HEAP_COUNTS] = "heap-counts",
	[EVENT_HEAP_STATE] = "heap-state",
};

#define COUNT(member) offsetof(struct heap_counts, member)
#define STATE(member) offsetof(struct heap_state, member)

const size_t event_text_counts[EVENT_TEXT_COUNTS] = {
	COUNT(allocs),	     COUNT(alloc_bytes),     COUNT(frees),     COUNT(free_bytes),
	COUNT(untracked),    COUNT(untracked_bytes), COUNT(temporary), COUNT(reallocs),
	COUNT(growth_bytes), COUNT(estimated),
};

const size_t event_text_states[EVENT_TEXT_STATES] = {
	STATE(unknown_frees), STATE(mmap_count),   STATE(mmap_bytes),
	STATE(munmap_count),  STATE(munmap_bytes), STATE(brk_count),
	STATE(brk_bytes),     STATE(hits),	   STATE(cost_ns),
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

/* A name with "-" for each space. */
static void write_name(FILE *file, const char *name)
{
	fputc(' ', file);
	for (; *name; name++)
		fputc(*name == ' ' ? '-' : *name, file);
}

static void write_pcs(FILE *file, const uint64_t *pcs, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		fprintf(file, " %" PRIx64, pcs[i]);
}

static void write_sample(FILE *file, const struct event *event)
{
	fprintf(file, " %" PRIu32, event->sample.event_index);
	if (is_wait(event)) {
		write_name(file, event->sample.wait_kind == WAIT_NONE
					 ? "-"
					 : wait_kind_names[event->sample.wait_kind]);
		fprintf(file, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %s", event->sample.value,
			event->sample.waits, event->sample.run_ns,
			stack_status_names[event->sample.status]);
	} else {
		fprintf(file, " %" PRIu64 " %s %s", event->sample.value,
			stack_status_names[event->sample.status],
			event->sample.in_kernel ? "kernel" : "user");
	}
	write_pcs(file, event->sample.pcs, event->sample.pc_count);
}

static void write_heap_stack(FILE *file, const struct event *event)
{
	fprintf(file, " %" PRIx64 " %s", event->heap_stack.site,
		stack_status_names[event->heap_stack.status]);
	write_pcs(file, event->heap_stack.pcs, event->heap_stack.pc_count);
}

static void write_heap_counts(FILE *file, const struct event *event)
{
	const char *counts = (const char *)&event->heap_counts.counts;

	fprintf(file, " %" PRIx64, event->heap_counts.site);
	for (int i = 0; i < EVENT_TEXT_COUNTS; i++)
		fprintf(file, " %" PRIu64, *(const uint64_t *)(counts + event_text_counts[i]));
}

static void write_heap_state(FILE *file, const struct event *event)
{
	const char *state = (const char *)&event->heap_state;

	fputs(event->heap_state.is_counted ? " counted" : " -", file);
	for (int i = 0; i < EVENT_TEXT_STATES; i++) {
		const char *number = state + event_text_states[i];

		if (event_text_states[i] == EVENT_TEXT_SIGNED)
			fprintf(file, " %" PRId64, *(const int64_t *)number);
		else
			fprintf(file, " %" PRIu64, *(const uint64_t *)number);
	}
}

int event_text_write_header(FILE *file, const struct event_text_header *header)
{
	fprintf(file, "%s\nevents", EVENT_TEXT_FIRST_LINE);
	for (size_t i = 0; i < header->event_count; i++)
		fprintf(file, " %s", header->events[i]->name);
	fprintf(file, "\nfrequency %" PRIu32 "\n", header->frequency);
	if (header->heap != HEAP_MODE_OFF) {
		fputs(EVENT_TEXT_HEAP, file);
		write_name(file, heap_mode_names[header->heap]);
		fputc('\n', file);
	}
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
	case EVENT_HEAP_STACK:
		write_heap_stack(file, event);
		break;
	case EVENT_HEAP_COUNTS:
		write_heap_counts(file, event);
		break;
	case EVENT_HEAP_STATE:
		write_heap_state(file, event);
		break;
	case EVENT_EXIT:
	case EVENT_TYPES:
		break;
	}
	fputc('\n', file);
	return ferror(file) ? -EIO : 0;
}
