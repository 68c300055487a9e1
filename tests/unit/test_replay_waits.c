/* Waits as text: written, read, and lines that are not what they should be. */
#include <stdlib.h>

#include "reader/source/event_text.h"
#include "tests/lib/kit.h"
#include "tests/unit/event_file.h"

#define HEADER "rsprof-events 1\nevents cpu-clock wait-time\nfrequency 99\n"

static const uint64_t wait_pcs[] = {0x401000, 0x402000};

static struct event wait_event(enum wait_kind kind, uint64_t value, uint64_t waits, uint64_t run_ns)
{
	return (struct event){
		.time_ns = 123,
		.type = EVENT_SAMPLE,
		.pid = 10,
		.tid = 11,
		.sample = {.pcs = wait_pcs,
			   .pc_count = 2,
			   .event_index = 1,
			   .value = value,
			   .wait_kind = kind,
			   .waits = waits,
			   .run_ns = run_ns,
			   .status = STACK_COMPLETE},
	};
}

static void write_events(const char *path, const struct event *events, size_t count)
{
	const struct event_text_header header = {
		.events = {kind_of("cpu-clock"), kind_of("wait-time")},
		.event_count = 2,
		.frequency = 99};
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

TEST(every_kind_of_wait_round_trips)
{
	const char *path = write_file("");
	struct event events[WAIT_KINDS + 2];
	struct event_text_reader *reader;
	struct event got;

	for (int kind = 0; kind < WAIT_KINDS; kind++)
		events[kind] = wait_event((enum wait_kind)kind, kind ? 1000u + (uint64_t)kind : 0,
					  (uint64_t)kind, 7);
	/* One that goes on, and the largest numbers. */
	events[WAIT_KINDS] = wait_event(WAIT_LOCK, 5, 0, 0);
	events[WAIT_KINDS + 1] = wait_event(WAIT_CHILD, INT64_MAX, INT64_MAX, INT64_MAX);
	write_events(path, events, WAIT_KINDS + 2);
	reader = open_text(path);
	for (int i = 0; i < WAIT_KINDS + 2; i++) {
		CHECK_EQ_I64(event_text_next(reader, &got, NULL), 1);
		CHECK_EQ_U64(got.type, EVENT_SAMPLE);
		CHECK_EQ_U64(got.time_ns, 123);
		CHECK_EQ_U64(got.tid, 11);
		CHECK_EQ_U64(got.sample.event_index, 1);
		CHECK_EQ_U64(got.sample.wait_kind, events[i].sample.wait_kind);
		CHECK_EQ_U64(got.sample.value, events[i].sample.value);
		CHECK_EQ_U64(got.sample.waits, events[i].sample.waits);
		CHECK_EQ_U64(got.sample.run_ns, events[i].sample.run_ns);
		CHECK_EQ_U64(got.sample.status, STACK_COMPLETE);
		CHECK_EQ_U64(got.sample.pc_count, 2);
		CHECK_EQ_U64(got.sample.pcs[1], 0x402000);
	}
	CHECK_EQ_I64(event_text_next(reader, &got, NULL), 0);
	event_text_close(reader);
}

TEST(the_text_of_waits_is_as_documented)
{
	const struct event events[] = {
		wait_event(WAIT_RUN_QUEUE, 1500, 3, 700),
		wait_event(WAIT_IO, 20, 0, 0),
		wait_event(WAIT_NONE, 0, 0, 900),
	};
	const char *path = write_file("");
	char text[512] = "";
	FILE *file;

	write_events(path, events, 3);
	file = fopen(path, "r");
	CHECK(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	CHECK_EQ_STR(text, HEADER "wait 123 10 11 1 run-queue 1500 3 700 complete 401000 402000\n"
				  "wait 123 10 11 1 io 20 0 0 complete 401000 402000\n"
				  "wait 123 10 11 1 - 0 0 900 complete 401000 402000\n");
}

TEST(samples_beside_waits_are_read_as_before)
{
	struct event_text_reader *reader =
		open_text(write_file(HEADER "sample 1 10 11 0 1 complete kernel 401000\n"
					    "sample 2 10 11 1 0 empty user\n"));
	struct event got;

	CHECK_EQ_I64(event_text_next(reader, &got, NULL), 1);
	CHECK_EQ_U64(got.sample.wait_kind, WAIT_NONE);
	CHECK_EQ_U64(got.sample.waits, 0);
	CHECK_EQ_U64(got.sample.run_ns, 0);
	CHECK_EQ_U64(got.sample.value, 1);
	CHECK(got.sample.in_kernel);
	/* A thread that neither ran nor waited. */
	CHECK_EQ_I64(event_text_next(reader, &got, NULL), 1);
	CHECK_EQ_U64(got.sample.event_index, 1);
	CHECK_EQ_U64(got.sample.value, 0);
	event_text_close(reader);
}

TEST(lines_of_waits_that_cannot_be_are_refused)
{
	static const struct {
		const char *line, *part;
	} cases[] = {
		{"wait 1 10 11 0 lock 5 1 0 complete", "an event that is waited for"},
		{"wait 1 10 11 2 lock 5 1 0 complete", "an event that the header declares"},
		{"wait 1 10 11 1 hope 5 1 0 complete", "a kind of wait"},
		{"wait 1 10 11 1 run 5 1 0 complete", "a kind of wait"},
		{"wait 1 10 11 1 run-queues 5 1 0 complete", "a kind of wait"},
		{"wait 1 10 11 1 - 5 0 0 complete", "a kind of wait"},
		{"wait 1 10 11 1 - 0 1 0 complete", "a kind of wait"},
		{"wait 1 10 11 1 lock -5 1 0 complete", "the time waited"},
		{"wait 1 10 11 1 lock 9223372036854775808 1 0 complete", "the time waited"},
		{"wait 1 10 11 1 lock 5 x 0 complete", "the number of waits"},
		{"wait 1 10 11 1 lock 5 1", "the time that the thread ran"},
		{"wait 1 10 11 1 lock 5 1 0", "how good the stack is"},
		{"wait 1 10 11 1 lock 5 1 0 complete user", "an address"},
		{"sample 1 10 11 1 5 complete user 401000", "an event that is sampled"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[1024];
		struct event_text_reader *reader;
		struct event got;
		struct err err = {0};

		snprintf(text, sizeof(text), HEADER "%s\n", cases[i].line);
		reader = open_text(write_file(text));
		if (event_text_next(reader, &got, &err) >= 0)
			FAIL("taken: %s", cases[i].line);
		if (!strstr(err.sentence, "line 4: ") || !strstr(err.sentence, cases[i].part))
			FAIL("\"%s\" has no \"%s\"", err.sentence, cases[i].part);
		event_text_close(reader);
	}
}

TEST(noise_in_waits_never_harms)
{
	static const char good[] = HEADER "wait 123 10 11 1 run-queue 1500 3 700 complete 401000\n"
					  "wait 124 10 11 1 io 20 0 0 broken 401000 402000\n"
					  "wait 125 10 11 1 - 0 0 900 empty\n";
	static const char letters[] = "0123456789 -\n\x7f\xffwaitlockqueue";
	uint64_t state = 11;
	int taken = 0, refused = 0;

	for (int round = 0; round < 3000; round++) {
		char text[sizeof(good)];
		struct event_text_reader *reader = NULL;
		struct event got;
		int ret = 1;

		memcpy(text, good, sizeof(good));
		for (int i = 0; i < 2; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			text[strlen(HEADER) + (state >> 33) % (sizeof(good) - strlen(HEADER) - 1)] =
				letters[(state >> 20) % (sizeof(letters) - 1)];
		}
		reader = open_text(write_file(text));
		while ((ret = event_text_next(reader, &got, NULL)) > 0) {
			if (got.type != EVENT_SAMPLE)
				continue;
			CHECK(got.sample.wait_kind < WAIT_KINDS);
			CHECK(got.sample.wait_kind || (!got.sample.value && !got.sample.waits));
		}
		event_text_close(reader);
		taken += ret == 0;
		refused += ret < 0;
	}
	/* Digits for digits are as good as what they replace. */
	CHECK_BETWEEN(taken, 10, 2900);
	CHECK_EQ_U64((uint64_t)(taken + refused), 3000);
}

KIT_MAIN
