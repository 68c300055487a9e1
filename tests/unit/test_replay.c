/* Events as text: written, read, replayed, and files that are not what they should be. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "reader/source/event_text.h"
#include "tests/lib/kit.h"
#include "tests/unit/event_file.h"

#define HEADER "rsprof-events 1\nevents cpu-clock page-faults\nfrequency 99\n"

static struct source_config config_of(const char *path, const char *first, const char *second)
{
	struct source_config config = {.frequency = 99, .replay_path = path};

	if (first)
		config.events[config.event_count++] = kind_of(first);
	if (second)
		config.events[config.event_count++] = kind_of(second);
	return config;
}

struct seen {
	struct event events[16];
	uint64_t pcs[16][4];
	char texts[16][64];
	uint64_t count, samples, last_ns, bad;
};

static void see(void *context, const struct event *event)
{
	struct seen *seen = context;
	size_t at = seen->count++ % 16;

	seen->events[at] = *event;
	seen->last_ns = event->time_ns;
	switch (event->type) {
	case EVENT_SAMPLE:
		seen->samples++;
		for (uint32_t i = 0; i < event->sample.pc_count && i < 4; i++)
			seen->pcs[at][i] = event->sample.pcs[i];
		break;
	case EVENT_MMAP:
		snprintf(seen->texts[at], sizeof(seen->texts[at]), "%s", event->mmap.path);
		break;
	case EVENT_COMM:
		snprintf(seen->texts[at], sizeof(seen->texts[at]), "%s", event->comm.comm);
		break;
	case EVENT_LOST:
		seen->bad += event->lost.cause == LOSS_BAD_RECORD;
		break;
	default:
		break;
	}
}

static struct source *open_replay(const struct source_config *config)
{
	struct source *source = NULL;
	struct err err = {0};

	if (source_replay.open(config, &source, &err))
		FAIL("%s", err.sentence);
	CHECK_EQ_I64(source->ops->start(source, &err), 0);
	return source;
}

/* All of it. Returns the number of drains. */
static int replay(const struct source_config *config, struct seen *seen)
{
	struct source *source = open_replay(config);
	int drains = 0;

	while (!source->ops->is_over(source)) {
		source->ops->wait(source, -1, 20000);
		source->ops->drain(source, see, seen);
		drains++;
	}
	source->ops->close(source);
	return drains;
}

TEST(every_event_round_trips)
{
	static const uint64_t pcs[] = {0x401000, UINT64_MAX, 0};
	const struct event events[] = {
		{.time_ns = 1,
		 .type = EVENT_SAMPLE,
		 .pid = 10,
		 .tid = 11,
		 .sample = {.pcs = pcs,
			    .pc_count = 3,
			    .event_index = 1,
			    .value = UINT64_MAX,
			    .status = STACK_TRUNCATED,
			    .in_kernel = true}},
		{.time_ns = 2,
		 .type = EVENT_SAMPLE,
		 .pid = 10,
		 .tid = 11,
		 .sample = {.pcs = pcs, .value = 1, .status = STACK_EMPTY}},
		{.time_ns = 3,
		 .type = EVENT_MMAP,
		 .pid = 10,
		 .tid = 11,
		 .mmap = {0x400000, 0x1000, 0x2000, 99, 8, 1, true, "/a b/\n\\c\x7f/\xc3\xa9"}},
		{.time_ns = 4,
		 .type = EVENT_MMAP,
		 .pid = 10,
		 .tid = 11,
		 .mmap = {0x400000, 0x1000, 0, 0, 0, 0, false, ""}},
		{.time_ns = 5, .type = EVENT_COMM, .pid = 10, .tid = 11, .comm = {"-", true}},
		{.time_ns = 6, .type = EVENT_COMM, .pid = 10, .tid = 11, .comm = {"", false}},
		{.time_ns = 7, .type = EVENT_FORK, .pid = 12, .tid = 12, .fork = {10, 11}},
		{.time_ns = 8, .type = EVENT_EXIT, .pid = 10, .tid = 11},
		{.time_ns = INT64_MAX,
		 .type = EVENT_LOST,
		 .pid = 10,
		 .tid = 10,
		 .lost = {77, LOSS_THROTTLED}},
	};
	enum { COUNT = sizeof(events) / sizeof(*events) };
	const struct event_text_header header = {
		.events = {kind_of("cpu-clock"), kind_of("cpu-cycles")},
		.event_count = 2,
		.frequency = 99};
	const char *path = write_file("");
	struct source_config config = config_of(path, "cpu-clock", "cpu-cycles");
	struct seen seen = {0};
	FILE *file = fopen(path, "w");

	CHECK_EQ_I64(event_text_write_header(file, &header), 0);
	for (int i = 0; i < COUNT; i++)
		CHECK_EQ_I64(event_text_write(file, &events[i]), 0);
	CHECK(fclose(file) == 0);
	/* More than fits one drain is another test. */
	CHECK_EQ_I64(replay(&config, &seen), 1);
	CHECK_EQ_U64(seen.count, COUNT);
	for (int i = 0; i < COUNT; i++) {
		CHECK_EQ_U64(seen.events[i].time_ns, events[i].time_ns);
		CHECK_EQ_U64(seen.events[i].type, events[i].type);
		CHECK_EQ_U64(seen.events[i].pid, events[i].pid);
		CHECK_EQ_U64(seen.events[i].tid, events[i].tid);
	}
	CHECK_EQ_U64(seen.events[0].sample.pc_count, 3);
	CHECK(memcmp(seen.pcs[0], pcs, sizeof(pcs)) == 0);
	CHECK_EQ_U64(seen.events[0].sample.event_index, 1);
	CHECK_EQ_U64(seen.events[0].sample.value, UINT64_MAX);
	CHECK_EQ_U64(seen.events[0].sample.status, STACK_TRUNCATED);
	CHECK(seen.events[0].sample.in_kernel && !seen.events[1].sample.in_kernel);
	CHECK_EQ_U64(seen.events[1].sample.pc_count, 0);
	CHECK_EQ_U64(seen.events[2].mmap.start, 0x400000);
	CHECK_EQ_U64(seen.events[2].mmap.length, 0x1000);
	CHECK_EQ_U64(seen.events[2].mmap.file_offset, 0x2000);
	CHECK_EQ_U64(seen.events[2].mmap.inode, 99);
	CHECK_EQ_U64(seen.events[2].mmap.device_major, 8);
	CHECK_EQ_U64(seen.events[2].mmap.device_minor, 1);
	CHECK(seen.events[2].mmap.is_executable && !seen.events[3].mmap.is_executable);
	CHECK_EQ_STR(seen.texts[2], events[2].mmap.path);
	CHECK_EQ_STR(seen.texts[3], "");
	CHECK_EQ_STR(seen.texts[4], "-");
	CHECK(seen.events[4].comm.is_exec && !seen.events[5].comm.is_exec);
	CHECK_EQ_STR(seen.texts[5], "");
	CHECK_EQ_U64(seen.events[6].fork.parent_pid, 10);
	CHECK_EQ_U64(seen.events[6].fork.parent_tid, 11);
	CHECK_EQ_U64(seen.events[8].lost.count, 77);
	CHECK_EQ_U64(seen.events[8].lost.cause, LOSS_THROTTLED);
}

TEST(the_text_is_as_documented)
{
	static const uint64_t pcs[] = {0x401000, 0x402000};
	const struct event sample = {.time_ns = 123,
				     .type = EVENT_SAMPLE,
				     .pid = 10,
				     .tid = 11,
				     .sample = {.pcs = pcs,
						.pc_count = 2,
						.event_index = 1,
						.value = 1,
						.status = STACK_FRAME_POINTERS}};
	const struct event map = {.time_ns = 124,
				  .type = EVENT_MMAP,
				  .pid = 10,
				  .tid = 11,
				  .mmap = {0x400000, 0x1000, 0, 99, 8, 1, true, "/bin/a\tb"}};
	const struct event_text_header header = {
		.events = {kind_of("cpu-clock"), kind_of("page-faults")},
		.event_count = 2,
		.frequency = 99};
	char text[512] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");

	event_text_write_header(file, &header);
	event_text_write(file, &sample);
	event_text_write(file, &map);
	fclose(file);
	CHECK_EQ_STR(text, HEADER "sample 123 10 11 1 1 frame_pointers user 401000 402000\n"
				  "mmap 124 10 11 400000 1000 0 8:1 99 x /bin/a\\x09b\n");
}

TEST(a_full_disk_is_an_error)
{
	const struct event event = {.time_ns = 8, .type = EVENT_EXIT, .pid = 10, .tid = 11};
	FILE *file = fopen("/dev/full", "w");
	int failed = 0;

	if (!file)
		SKIP("no /dev/full");
	for (int i = 0; i < 100000 && !failed; i++)
		failed = event_text_write(file, &event);
	CHECK_EQ_I64(failed, -EIO);
	fclose(file);
}

TEST(drains_are_bounded_and_end)
{
	enum { LINES = 10000 };
	const char *path = write_file(HEADER);
	struct source_config config = config_of(path, "cpu-clock", "page-faults");
	struct seen seen = {0};
	FILE *file = fopen(path, "a");

	for (int i = 1; i <= LINES; i++)
		fprintf(file, "sample %d 10 11 0 1 complete user 401000\n", i);
	CHECK(fclose(file) == 0);
	CHECK_EQ_I64(replay(&config, &seen), 3);
	CHECK_EQ_U64(seen.samples, LINES);
	CHECK_EQ_U64(seen.last_ns, LINES);
}

TEST(events_are_matched_by_name)
{
	const char *path = write_file(HEADER "sample 1 10 11 0 1 complete user 401000\n"
					     "sample 2 10 11 1 1 complete user 401000\n"
					     "sample 3 10 11 1 1 complete user 401000\n");
	struct source_config config = config_of(path, "page-faults", NULL);
	struct seen seen = {0};

	/* Not all that is in the file. */
	replay(&config, &seen);
	CHECK_EQ_U64(seen.samples, 2);
	CHECK_EQ_U64(seen.events[0].sample.event_index, 0);
	/* In another order than in the file. */
	config = config_of(path, "page-faults", "cpu-clock");
	seen = (struct seen){0};
	replay(&config, &seen);
	CHECK_EQ_U64(seen.samples, 3);
	CHECK_EQ_U64(seen.events[0].sample.event_index, 1);
	CHECK_EQ_U64(seen.events[1].sample.event_index, 0);
}

static void check_refused(const struct source_config *config, const char *part)
{
	struct source *source = NULL;
	struct err err = {0};

	if (source_replay.open(config, &source, &err) == 0)
		FAIL("taken, where \"%s\" was expected", part);
	CHECK(!source);
	CHECK_EQ_I64(err.kind, ERR_USAGE);
	if (!strstr(err.sentence, part))
		FAIL("\"%s\" has no \"%s\"", err.sentence, part);
}

TEST(an_event_that_is_not_in_the_file_is_refused)
{
	const char *path = write_file(HEADER);
	struct source_config config = config_of(path, "task-clock", NULL);

	check_refused(&config, "has no task-clock events.");
}

TEST(another_frequency_is_said)
{
	const char *path = write_file(HEADER);
	struct source_config config = config_of(path, "cpu-clock", NULL);
	struct arena arena = {0};
	struct source_facts facts;
	struct source *source = open_replay(&config);

	source->ops->describe(source, &arena, &facts);
	CHECK_EQ_STR(facts.name, "replay");
	CHECK_EQ_U64(facts.note_count, 0);
	source->ops->close(source);
	config.frequency = 999;
	source = open_replay(&config);
	source->ops->describe(source, &arena, &facts);
	CHECK_EQ_U64(facts.note_count, 1);
	CHECK_EQ_STR(facts.notes[0], "The events were recorded at 99 Hz, not at 999: --cpu-freq 99 "
				     "counts their time right.");
	source->ops->close(source);
	arena_done(&arena);
}

TEST(stop_ends_it)
{
	const char *path = write_file(HEADER "exit 1 10 11\n");
	struct source_config config = config_of(path, "cpu-clock", NULL);
	struct source *source = open_replay(&config);
	struct seen seen = {0};

	CHECK(!source->ops->is_over(source));
	source->ops->stop(source);
	CHECK(source->ops->is_over(source));
	source->ops->drain(source, see, &seen);
	CHECK_EQ_U64(seen.count, 0);
	source->ops->close(source);
}

TEST(lines_that_cannot_be_are_refused_by_number)
{
	static const struct {
		const char *line, *part;
	} cases[] = {
		{"what 1 10 11", "the type of an event"},
		{"", "the type of an event"},
		{" exit 1 10 11", "the type of an event"},
		{"exit", "a time"},
		{"exit x 10 11", "a time"},
		{"exit -1 10 11", "a time"},
		{"exit 9223372036854775808 10 11", "a time"},
		{"exit 99999999999999999999999 10 11", "a time"},
		{"exit 1 10", "a thread"},
		{"exit 1 4294967296 11", "a process"},
		{"exit 1 10 11 12", "the end of the line"},
		{"exit 1 10 11 ", "the end of the line"},
		{"exit  1 10 11", "a time"},
		{"sample 1 10 11 2 1 complete user", "an event that the header declares"},
		{"sample 1 10 11 0 x complete user", "the value"},
		{"sample 1 10 11 0 1 perfect user", "how good the stack is"},
		{"sample 1 10 11 0 1 complete both", "\"user\" or \"kernel\""},
		{"sample 1 10 11 0 1 complete user 0x10", "an address"},
		{"sample 1 10 11 0 1 complete user 11112222333344445", "an address"},
		{"sample 1 10 11 0 1 complete user 10 ", "an address"},
		{"mmap 1 10 11 1000 0 0 8:1 5 x /a", "a length within"},
		{"mmap 1 10 11 1000 ffffffffffffffff 0 8:1 5 x /a", "a length within"},
		{"mmap 1 10 11 1000 10 0 8 1 5 x /a:b", "a device as MAJOR:MINOR"},
		{"mmap 1 10 11 1000 10 0 8:x 5 x /a", "a device as MAJOR:MINOR"},
		{"mmap 1 10 11 1000 10 0 8:1 5 y /a", "\"x\" or \"-\""},
		{"mmap 1 10 11 1000 10 0 8:1 5 x", "a path"},
		{"mmap 1 10 11 1000 10 0 8:1 5 x ", "a path"},
		{"mmap 1 10 11 1000 10 0 8:1 5 x /a\\", "a path"},
		{"mmap 1 10 11 1000 10 0 8:1 5 x /a\\x", "a path"},
		{"mmap 1 10 11 1000 10 0 8:1 5 x /a\\x4", "a path"},
		{"mmap 1 10 11 1000 10 0 8:1 5 x /a\\x00", "a path"},
		{"mmap 1 10 11 1000 10 0 8:1 5 x /a\\n", "a path"},
		{"comm 1 10 11 name sixteenbytesname", "a name"},
		{"comm 1 10 11 other a", "\"exec\" or \"name\""},
		{"fork 1 10 11 10", "the parent thread"},
		{"lost 1 10 11 nothing 5", "the name of a loss"},
		{"lost 1 10 11 throttled -5", "a count"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[1024], part[128];
		struct source_config config;

		snprintf(text, sizeof(text), HEADER "exit 1 10 11\n%s\nexit 1 10 11\n",
			 cases[i].line);
		snprintf(part, sizeof(part), "line 5: %s", cases[i].part);
		if (strstr(cases[i].part, "declares") || strstr(cases[i].part, "within"))
			snprintf(part, sizeof(part), "%s", cases[i].part);
		config = config_of(write_file(text), "cpu-clock", NULL);
		check_refused(&config, part);
	}
}

TEST(headers_that_cannot_be_are_refused)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{"", "no file of events"},
		{"rsprof-events 2\nevents cpu-clock\nfrequency 99\n", "of another version"},
		{"rsprof-events 1", "line 1: the line is cut off"},
		{"rsprof-events 1\n", "the header is cut off"},
		{"rsprof-events 1\nevents cpu-clock\n", "the header is cut off"},
		{"rsprof-events 1\nevents\nfrequency 99\n", "line 2: the list of events"},
		{"rsprof-events 1\nevents cpu-clock nonsense\nfrequency 99\n", "this rsprof knows"},
		{"rsprof-events 1\nevents cpu-clock cpu-clock cpu-clock cpu-clock cpu-clock "
		 "cpu-clock cpu-clock cpu-clock cpu-clock\nfrequency 99\n",
		 "no more events"},
		{"rsprof-events 1\nevents cpu-clock\nfrequency many\n", "line 3: the frequency"},
		{"rsprof-events 1\nevents cpu-clock\nfrequency 99 98\n", "the end of the line"},
		{HEADER "exit 1 10 11", "line 4: the line is cut off"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *path = write_file(cases[i].text);
		struct source_config config = config_of(path, "cpu-clock", NULL);

		check_refused(&config, cases[i].part);
	}
}

TEST(files_that_are_none_are_refused)
{
	struct source_config config = config_of("/nonexistent/events", "cpu-clock", NULL);
	char fifo[4096];

	check_refused(&config, "/nonexistent/events cannot be read");
	config.replay_path = "/dev/zero";
	check_refused(&config, "is not a regular file");
	config.replay_path = kit_folder();
	check_refused(&config, "is not a regular file");
	snprintf(fifo, sizeof(fifo), "%s/fifo", config.replay_path);
	CHECK(mkfifo(fifo, 0600) == 0);
	config.replay_path = fifo;
	/* And it does not wait for a writer. */
	check_refused(&config, "is not a regular file");
}

TEST(long_lines_and_nul_bytes_are_refused)
{
	const char *path = write_file(HEADER);
	struct source_config config = config_of(path, "cpu-clock", NULL);
	FILE *file = fopen(path, "a");

	for (int i = 0; i < 100000; i++)
		fputs("exit ", file);
	CHECK(fclose(file) == 0);
	check_refused(&config, "line 4: the line is too long");
	config.replay_path = path = write_file(HEADER);
	file = fopen(path, "a");
	CHECK(fwrite("exit 1 10 11\0\n", 1, 14, file) == 14 && fclose(file) == 0);
	check_refused(&config, "line 4: a NUL byte in text");
}

TEST(the_deepest_stack_and_the_longest_path_fit)
{
	const char *path = write_file(HEADER);
	struct source_config config = config_of(path, "cpu-clock", NULL);
	struct seen seen = {0};
	FILE *file = fopen(path, "a");

	fputs("sample 1 10 11 0 1 complete user", file);
	for (int i = 0; i < EVENT_FRAMES_MAX; i++)
		fputs(" ffffffffffffffff", file);
	fputs("\nmmap 1 10 11 1000 10 0 8:1 5 x ", file);
	for (int i = 0; i < EVENT_PATH_MAX - 1; i++)
		fputs("\\x01", file);
	fputs("\n", file);
	CHECK(fclose(file) == 0);
	replay(&config, &seen);
	CHECK_EQ_U64(seen.count, 2);
	CHECK_EQ_U64(seen.events[0].sample.pc_count, EVENT_FRAMES_MAX);
	file = fopen(path, "a");
	fputs("sample 1 10 11 0 1 complete user", file);
	for (int i = 0; i <= EVENT_FRAMES_MAX; i++)
		fputs(" f", file);
	fputs("\n", file);
	CHECK(fclose(file) == 0);
	check_refused(&config, "no more frames");
}

TEST(a_file_that_changes_meanwhile_ends_with_a_loss)
{
	const char *path = write_file(HEADER "exit 1 10 11\n");
	struct source_config config = config_of(path, "cpu-clock", NULL);
	struct source *source = open_replay(&config);
	struct seen seen = {0};
	FILE *file = fopen(path, "r+");

	CHECK(fseek(file, (long)strlen(HEADER), SEEK_SET) == 0);
	CHECK(fputs("EXIT", file) >= 0 && fclose(file) == 0);
	source->ops->drain(source, see, &seen);
	CHECK_EQ_U64(seen.count, 1);
	CHECK_EQ_U64(seen.bad, 1);
	CHECK(source->ops->is_over(source));
	source->ops->close(source);
}

TEST(noise_never_harms)
{
	static const char good[] =
		HEADER "sample 1 10 11 0 1 complete user 401000 402000\n"
		       "mmap 2 10 11 400000 1000 0 8:1 99 x /bin/a\\x09b\n"
		       "comm 3 10 11 exec name\nfork 4 10 12 10 11\nlost 5 10 10 throttled 7\n";
	const char *path = write_file(good);
	struct source_config config = config_of(path, "cpu-clock", NULL);
	uint64_t state = 7;
	int taken = 0;

	for (int round = 0; round < 3000; round++) {
		char text[sizeof(good)];
		struct source *source = NULL;
		struct seen seen = {0};
		FILE *file = fopen(path, "w");

		memcpy(text, good, sizeof(good));
		for (int i = 0; i < 2; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			text[(state >> 33) % (sizeof(good) - 1)] = (char)(state >> 55);
		}
		CHECK(fwrite(text, 1, sizeof(good) - 1, file) == sizeof(good) - 1);
		CHECK(fclose(file) == 0);
		if (source_replay.open(&config, &source, NULL))
			continue;
		source->ops->drain(source, see, &seen);
		CHECK(seen.count <= 5);
		source->ops->close(source);
		taken++;
	}
	/* Digits for digits are as good as what they replace. */
	CHECK_BETWEEN(taken, 10, 2900);
}

KIT_MAIN
