/* The heap as text: written, read, replayed, and lines that are not what they should be. */
#include <stdlib.h>

#include "reader/source/event_text.h"
#include "tests/lib/kit.h"
#include "tests/unit/event_file.h"

#define HEADER "rsprof-events 1\nevents cpu-clock\nfrequency 99\n"
#define HEAP HEADER "heap exact\n"

static const uint64_t pcs[] = {0x401000, 0x7fff00002000};

static void write_events(const char *path, enum heap_mode mode, const struct event *events,
			 size_t count)
{
	const struct event_text_header header = {
		.events = {kind_of("cpu-clock")}, .event_count = 1, .frequency = 99, .heap = mode};
	FILE *file = fopen(path, "w");

	CHECK_EQ_I64(event_text_write_header(file, &header), 0);
	for (size_t i = 0; i < count; i++)
		CHECK_EQ_I64(event_text_write(file, &events[i]), 0);
	CHECK(fclose(file) == 0);
}

static struct event_text_reader *open_text(const char *path)
{
	struct event_text_reader *reader = NULL;
	struct err err = {0};

	if (event_text_open(path, &reader, &err))
		FAIL("%s", err.sentence);
	return reader;
}

static struct event stack_event(enum stack_status status, uint32_t count)
{
	struct event event = {.time_ns = 123, .type = EVENT_HEAP_STACK, .pid = 10, .tid = 11};

	event.heap_stack.site = 0xfedcba9876543210;
	event.heap_stack.pcs = pcs;
	event.heap_stack.pc_count = count;
	event.heap_stack.status = status;
	return event;
}

static struct event counts_event(uint64_t first)
{
	struct event event = {.time_ns = 124, .type = EVENT_HEAP_COUNTS, .pid = 10};
	uint64_t *numbers = (uint64_t *)&event.heap_counts.counts;

	event.heap_counts.site = 0x10;
	for (size_t i = 0; i < sizeof(struct heap_counts) / sizeof(*numbers); i++)
		numbers[i] = first + i;
	return event;
}

static struct event state_event(bool is_counted, int64_t brk_bytes)
{
	struct event event = {.time_ns = 125, .type = EVENT_HEAP_STATE, .pid = 10};

	event.heap_state = (struct heap_state){
		.is_counted = is_counted,
		.unknown_frees = 1,
		.mmap_count = 2,
		.mmap_bytes = 3,
		.munmap_count = 4,
		.munmap_bytes = 5,
		.brk_count = 6,
		.brk_bytes = brk_bytes,
		.hits = 7,
		.cost_ns = INT64_MAX,
	};
	return event;
}

static void check_same(const struct event *got, const struct event *want)
{
	CHECK_EQ_U64(got->type, want->type);
	CHECK_EQ_U64(got->time_ns, want->time_ns);
	CHECK_EQ_U64(got->pid, want->pid);
	CHECK_EQ_U64(got->tid, want->tid);
	if (got->type == EVENT_HEAP_STACK) {
		CHECK_EQ_U64(got->heap_stack.site, want->heap_stack.site);
		CHECK_EQ_U64(got->heap_stack.status, want->heap_stack.status);
		CHECK(!got->heap_stack.registers);
		CHECK_EQ_U64(got->heap_stack.pc_count, want->heap_stack.pc_count);
		CHECK(!memcmp(got->heap_stack.pcs, want->heap_stack.pcs,
			      want->heap_stack.pc_count * sizeof(*pcs)));
	} else if (got->type == EVENT_HEAP_COUNTS) {
		CHECK_EQ_U64(got->heap_counts.site, want->heap_counts.site);
		CHECK(!memcmp(&got->heap_counts.counts, &want->heap_counts.counts,
			      sizeof(struct heap_counts)));
	} else {
		CHECK(!memcmp(&got->heap_state, &want->heap_state, sizeof(struct heap_state)));
	}
}

TEST(every_event_of_the_heap_round_trips)
{
	const char *path = write_file("");
	struct event events[STACK_STATUSES + 6], got;
	struct event_text_reader *reader;
	size_t count = 0;

	for (int status = 0; status < STACK_STATUSES; status++)
		events[count++] = stack_event((enum stack_status)status, (uint32_t)status % 3);
	events[count++] = counts_event(0);
	events[count++] = counts_event(1000000);
	events[count++] = counts_event(INT64_MAX - 9);
	events[count++] = state_event(true, -4096);
	events[count++] = state_event(true, INT64_MAX);
	events[count++] = state_event(false, -INT64_MAX);
	write_events(path, HEAP_MODE_EXACT, events, count);
	reader = open_text(path);
	CHECK_EQ_U64(event_text_header(reader)->heap, HEAP_MODE_EXACT);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < count; i++) {
			CHECK_EQ_I64(event_text_next(reader, &got, NULL), 1);
			check_same(&got, &events[i]);
		}
		CHECK_EQ_I64(event_text_next(reader, &got, NULL), 0);
		event_text_rewind(reader);
	}
	event_text_close(reader);
}

TEST(the_text_of_the_heap_is_as_documented)
{
	const struct event events[] = {stack_event(STACK_COMPLETE, 2), counts_event(1),
				       state_event(true, -8), state_event(false, 0)};
	const char *path = write_file("");
	char text[1024] = "";
	FILE *file;

	write_events(path, HEAP_MODE_ALLOCS, events, 4);
	file = fopen(path, "r");
	CHECK(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	CHECK_EQ_STR(text,
		     HEADER "heap allocations-only\n"
			    "heap-stack 123 10 11 fedcba9876543210 complete 401000 7fff00002000\n"
			    "heap-counts 124 10 0 10 1 2 3 4 5 6 7 8 9 10\n"
			    "heap-state 125 10 0 counted 1 2 3 4 5 6 -8 7 9223372036854775807\n"
			    "heap-state 125 10 0 - 1 2 3 4 5 6 0 7 9223372036854775807\n");
}

TEST(the_header_tells_how_the_heap_is_counted)
{
	static const struct {
		const char *text;
		enum heap_mode heap;
	} cases[] = {
		{HEADER, HEAP_MODE_OFF},
		{HEADER "exit 5 10 11\n", HEAP_MODE_OFF},
		{HEADER "heap exact\nexit 5 10 11\n", HEAP_MODE_EXACT},
		{HEADER "heap sampled\nexit 5 10 11\n", HEAP_MODE_SAMPLED},
		{HEADER "heap allocations-only\n", HEAP_MODE_ALLOCS},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct event_text_reader *reader = open_text(write_file(cases[i].text));
		bool has_event = strstr(cases[i].text, "exit");
		struct event got;

		CHECK_EQ_U64(event_text_header(reader)->heap, cases[i].heap);
		CHECK_EQ_I64(event_text_next(reader, &got, NULL), has_event);
		if (has_event)
			CHECK_EQ_U64(got.time_ns, 5);
		event_text_close(reader);
	}
}

TEST(headers_of_the_heap_that_cannot_be_are_refused)
{
	static const char *const lines[] = {"heap",   "heap off",    "heap exactly",
					    "heap -", "heap exact ", "heap allocations only"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct event_text_reader *reader = NULL;
		struct err err = {0};
		char text[256];

		snprintf(text, sizeof(text), HEADER "%s\n", lines[i]);
		if (event_text_open(write_file(text), &reader, &err) >= 0)
			FAIL("taken: %s", lines[i]);
		if (!strstr(err.sentence, "line 4: how the heap is counted"))
			FAIL("\"%s\"", err.sentence);
	}
}

TEST(lines_of_the_heap_that_cannot_be_are_refused)
{
	static const struct {
		const char *line, *part;
	} cases[] = {
		{"heap-stack 1 10 11 xyz complete", "the number of a stack"},
		{"heap-stack 1 10 11 10", "how good the stack is"},
		{"heap-stack 1 10 11 10 fine", "how good the stack is"},
		{"heap-stack 1 10 11 10 complete user", "an address"},
		{"heap-counts 1 10 0", "the number of a stack"},
		{"heap-counts 1 10 0 10 1 2 3 4 5 6 7 8 9", "a count of the heap"},
		{"heap-counts 1 10 0 10 1 2 3 4 5 6 7 8 9 -1", "a count of the heap"},
		{"heap-counts 1 10 0 10 1 2 3 4 5 6 7 8 9 9223372036854775808",
		 "a count of the heap"},
		{"heap-counts 1 10 0 10 1 2 3 4 5 6 7 8 9 10 11", "the end of the line"},
		{"heap-state 1 10 0 maybe 1 2 3 4 5 6 7 8 9", "\"counted\" or \"-\""},
		{"heap-state 1 10 0 counted 1 2 3 4 5 -6 7 8 9", "a count of the heap"},
		{"heap-state 1 10 0 counted 1 2 3 4 5 6 - 8 9", "a count of the heap"},
		{"heap-state 1 10 0 counted 1 2 3 4 5 6 --7 8 9", "a count of the heap"},
		{"heap-state 1 10 0 counted 1 2 3 4 5 6 7 8", "a count of the heap"},
		{"heap exact", "the type of an event"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[1024];
		struct event_text_reader *reader;
		struct event got;
		struct err err = {0};

		snprintf(text, sizeof(text), HEAP "%s\n", cases[i].line);
		reader = open_text(write_file(text));
		if (event_text_next(reader, &got, &err) >= 0)
			FAIL("taken: %s", cases[i].line);
		if (!strstr(err.sentence, "line 5: ") || !strstr(err.sentence, cases[i].part))
			FAIL("\"%s\" has no \"%s\"", err.sentence, cases[i].part);
		event_text_close(reader);
	}
}

TEST(noise_in_the_heap_never_harms)
{
	static const char good[] =
		HEADER "heap sampled\n"
		       "heap-stack 123 10 11 fedcba9876543210 complete 401000 7fff00002000\n"
		       "heap-counts 124 10 0 10 1 2 3 4 5 6 7 8 9 10\n"
		       "heap-state 125 10 0 counted 1 2 3 4 5 6 -8 7 9\n";
	static const char letters[] = "0123456789 -\n\x7f\xffheapstackcounts";
	uint64_t state = 17;
	int taken = 0, refused = 0;

	for (int round = 0; round < 3000; round++) {
		char text[sizeof(good)];
		struct event_text_reader *reader = NULL;
		struct event got;
		int ret;

		memcpy(text, good, sizeof(good));
		for (int i = 0; i < 2; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			text[strlen(HEADER) + (state >> 33) % (sizeof(good) - strlen(HEADER) - 1)] =
				letters[(state >> 20) % (sizeof(letters) - 1)];
		}
		ret = event_text_open(write_file(text), &reader, NULL);
		if (ret < 0) {
			refused++;
			continue;
		}
		CHECK(event_text_header(reader)->heap < HEAP_MODES);
		while ((ret = event_text_next(reader, &got, NULL)) > 0) {
			if (got.type == EVENT_HEAP_STACK)
				CHECK(got.heap_stack.status < STACK_STATUSES &&
				      got.heap_stack.pc_count <= EVENT_FRAMES_MAX);
			if (got.type == EVENT_HEAP_COUNTS)
				CHECK(got.heap_counts.counts.allocs <= INT64_MAX);
		}
		event_text_close(reader);
		taken += ret == 0;
		refused += ret < 0;
	}
	CHECK_BETWEEN(taken, 10, 2900);
	CHECK_EQ_U64((uint64_t)(taken + refused), 3000);
}

/* ---- as a source */

static size_t heap_events;

static void count_heap(void *context, const struct event *event)
{
	heap_events += event->type == EVENT_HEAP_STACK || event->type == EVENT_HEAP_COUNTS ||
		       event->type == EVENT_HEAP_STATE;
}

/* Replays four events, three of them the heap's. */
static struct source_facts replay(const char *header, enum heap_mode wanted)
{
	static struct arena arena;
	struct source_config config = {.events = {kind_of("cpu-clock")},
				       .event_count = 1,
				       .frequency = 99,
				       .heap = wanted};
	struct source_facts facts;
	struct source *source;
	struct err err = {0};
	char text[1024];

	snprintf(text, sizeof(text), "%s%s", header,
		 "heap-stack 123 10 11 10 complete 401000\n"
		 "heap-counts 124 10 0 10 1 2 3 4 5 6 7 8 9 10\n"
		 "exit 125 10 11\n"
		 "heap-state 125 10 0 counted 1 2 3 4 5 6 -8 7 9\n");
	config.replay_path = write_file(text);
	heap_events = 0;
	if (source_replay.open(&config, &source, &err))
		FAIL("%s", err.sentence);
	CHECK_EQ_I64(source_replay.drain(source, count_heap, NULL), 0);
	source_replay.describe(source, &arena, &facts);
	source_replay.close(source);
	return facts;
}

TEST(a_replay_has_the_heap_of_its_file)
{
	struct source_facts facts = replay(HEADER "heap sampled\n", HEAP_MODE_EXACT);

	CHECK_EQ_U64(facts.heap, HEAP_MODE_SAMPLED);
	CHECK_EQ_U64(heap_events, 3);
	/* Not wanted. */
	facts = replay(HEADER "heap sampled\n", HEAP_MODE_OFF);
	CHECK_EQ_U64(facts.heap, HEAP_MODE_OFF);
	CHECK_EQ_U64(heap_events, 0);
	/* A file that says nothing of a heap has none. */
	facts = replay(HEADER, HEAP_MODE_EXACT);
	CHECK_EQ_U64(facts.heap, HEAP_MODE_OFF);
	CHECK_EQ_U64(heap_events, 0);
	CHECK_EQ_STR(facts.heap_reason, "the file has no heap");
}

KIT_MAIN
