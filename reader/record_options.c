#include "reader/record_options.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reader/source/event_text.h"
#include "reader/symbol/symbol.h"
#include "reader/util/clock.h"
#include "reader/util/mem.h"
#include "reader/util/str.h"

const struct record_options record_defaults = {
	.interval_ns = NS_PER_S,
	.cpu_freq = 99,
	.frames = 127,
	.buffer_bytes = 16 * 1024 * 1024,
	.stack_bytes = 16 * 1024,
	.unwind_bytes = 32 * 1024 * 1024,
	.overhead_max_pct = 5,
	.heap_sample_bytes = 512 * 1024,
	.heap_blocks = 1024 * 1024,
	.heap_stacks = 64 * 1024,
	.heap_wait_ns = NS_PER_MS,
	.source = "auto",
	.heap = "auto",
};

/* The kernel's records are shorter than 64 KiB and hold the registers too. */
#define STACK_COPY_MAX 63488

/* The kernel's verifier allows offsets into a map's value below 512 MiB (BPF_MAX_VAR_OFF). */
#define UNWIND_MEMORY_MIN (1024 * 1024)
#define UNWIND_MEMORY_MAX (512 * 1024 * 1024)

/* A sampled block of one byte stands for so many: bpf/shared.h has room for that (HEAP_ONE). */
#define HEAP_SAMPLE_MIN 1024
#define HEAP_SAMPLE_MAX (4 * 1024 * 1024)
/* A block takes the kernel some 100 bytes, a stack some 200. */
#define HEAP_BLOCKS_MIN 1024
#define HEAP_BLOCKS_MAX (64 * 1024 * 1024)
#define HEAP_STACKS_MIN 64
#define HEAP_STACKS_MAX (1024 * 1024)

#define AT(member) offsetof(struct record_options, member)

#define SHARED_OPTIONS                                                                             \
	{'o',                                                                                      \
	 "output",                                                                                 \
	 "FILE",                                                                                   \
	 OPT_TEXT,                                                                                 \
	 AT(output),                                                                               \
	 0,                                                                                        \
	 0,                                                                                        \
	 NULL,                                                                                     \
	 NULL,                                                                                     \
	 "rsprof.NAME.TIME.db in $RSPROF_OUTPUT_DIR or here",                                      \
	 "database to write",                                                                      \
	 OPT_COMPLETE_FILE},                                                                       \
		{'i',                                                                              \
		 "interval",                                                                       \
		 "DUR",                                                                            \
		 OPT_DURATION,                                                                     \
		 AT(interval_ns),                                                                  \
		 10 * NS_PER_MS,                                                                   \
		 3600 * NS_PER_S,                                                                  \
		 NULL,                                                                             \
		 "RSPROF_INTERVAL",                                                                \
		 "1s",                                                                             \
		 "checkpoint interval",                                                            \
		 OPT_COMPLETE_NONE},                                                               \
		{'d',                                                                              \
		 "duration",                                                                       \
		 "DUR",                                                                            \
		 OPT_DURATION,                                                                     \
		 AT(duration_ns),                                                                  \
		 NS_PER_MS,                                                                        \
		 366 * 86400 * NS_PER_S,                                                           \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 "until Ctrl-C or the target ends",                                                \
		 "stop after this time",                                                           \
		 OPT_COMPLETE_NONE},                                                               \
		{0,                                                                                \
		 "cpu-freq",                                                                       \
		 "HZ",                                                                             \
		 OPT_COUNT,                                                                        \
		 AT(cpu_freq),                                                                     \
		 1,                                                                                \
		 10000,                                                                            \
		 NULL,                                                                             \
		 "RSPROF_CPU_FREQ",                                                                \
		 "99",                                                                             \
		 "samples a second of CPU time, 1 to 10000",                                       \
		 OPT_COMPLETE_NONE},                                                               \
		{'e',                                                                              \
		 "event",                                                                          \
		 "EVENT[,EVENT]",                                                                  \
		 OPT_LIST,                                                                         \
		 AT(events),                                                                       \
		 0,                                                                                \
		 0,                                                                                \
		 "cpu-clock|task-clock|cpu-cycles|instructions|cache-misses|context-switches|"     \
		 "page-faults|wait-time",                                                          \
		 NULL,                                                                             \
		 "cpu-clock, and wait-time where the source is bpf",                               \
		 "what is sampled; may be given several times",                                    \
		 OPT_COMPLETE_NONE},                                                               \
		{0,                                                                                \
		 "source",                                                                         \
		 "SOURCE",                                                                         \
		 OPT_CHOICE,                                                                       \
		 AT(source),                                                                       \
		 0,                                                                                \
		 0,                                                                                \
		 "auto|agent|bpf|perf|ptrace",                                                     \
		 NULL,                                                                             \
		 "auto",                                                                           \
		 "where events come from",                                                         \
		 OPT_COMPLETE_NONE},                                                               \
		{0,                                                                                \
		 "frames",                                                                         \
		 "N",                                                                              \
		 OPT_COUNT,                                                                        \
		 AT(frames),                                                                       \
		 1,                                                                                \
		 EVENT_FRAMES_MAX,                                                                 \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 "127",                                                                            \
		 "stack depth that is kept, up to 511",                                            \
		 OPT_COMPLETE_NONE},                                                               \
		{0,                                                                                \
		 "buffer",                                                                         \
		 "SIZE",                                                                           \
		 OPT_SIZE,                                                                         \
		 AT(buffer_bytes),                                                                 \
		 4096,                                                                             \
		 UINT64_C(1) << 32,                                                                \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 "16MiB",                                                                          \
		 "ring memory, all CPUs together",                                                 \
		 OPT_COMPLETE_NONE},                                                               \
		{0,                                                                                \
		 "stack-copy",                                                                     \
		 "SIZE",                                                                           \
		 OPT_SIZE,                                                                         \
		 AT(stack_bytes),                                                                  \
		 0,                                                                                \
		 STACK_COPY_MAX,                                                                   \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 "16KiB",                                                                          \
		 "stack copied with a sample and unwound by tables; 0: frame pointers only",       \
		 OPT_COMPLETE_NONE},                                                               \
		{0,                                                                                \
		 "unwind-memory",                                                                  \
		 "SIZE",                                                                           \
		 OPT_SIZE,                                                                         \
		 AT(unwind_bytes),                                                                 \
		 UNWIND_MEMORY_MIN,                                                                \
		 UNWIND_MEMORY_MAX,                                                                \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 "32MiB",                                                                          \
		 "memory for unwind tables in the kernel (bpf)",                                   \
		 OPT_COMPLETE_NONE},                                                               \
		{0,                                                                                \
		 "heap",                                                                           \
		 "MODE",                                                                           \
		 OPT_CHOICE,                                                                       \
		 AT(heap),                                                                         \
		 0,                                                                                \
		 0,                                                                                \
		 "auto|exact|sampled|trace|off",                                                   \
		 NULL,                                                                             \
		 "auto",                                                                           \
		 "heap by line: every block, a sample by bytes, each call with its time, or none", \
		 OPT_COMPLETE_NONE},                                                               \
		{0,                                                                                \
		 "heap-sample",                                                                    \
		 "SIZE",                                                                           \
		 OPT_SIZE,                                                                         \
		 AT(heap_sample_bytes),                                                            \
		 HEAP_SAMPLE_MIN,                                                                  \
		 HEAP_SAMPLE_MAX,                                                                  \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 "512KiB",                                                                         \
		 "bytes between two samples of the heap, 1KiB to 4MiB",                            \
		 OPT_COMPLETE_NONE},                                                               \
		{0,                                                                                \
		 "heap-blocks",                                                                    \
		 "N",                                                                              \
		 OPT_COUNT,                                                                        \
		 AT(heap_blocks),                                                                  \
		 HEAP_BLOCKS_MIN,                                                                  \
		 HEAP_BLOCKS_MAX,                                                                  \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 "1048576",                                                                        \
		 "live blocks that are tracked at a time (bpf)",                                   \
		 OPT_COMPLETE_NONE},                                                               \
		{0,                                                                                \
		 "heap-stacks",                                                                    \
		 "N",                                                                              \
		 OPT_COUNT,                                                                        \
		 AT(heap_stacks),                                                                  \
		 HEAP_STACKS_MIN,                                                                  \
		 HEAP_STACKS_MAX,                                                                  \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 "65536",                                                                          \
		 "distinct stacks that allocate (bpf)",                                            \
		 OPT_COMPLETE_NONE},                                                               \
		{0,                                                                                \
		 "heap-wait",                                                                      \
		 "DUR",                                                                            \
		 OPT_DURATION,                                                                     \
		 AT(heap_wait_ns),                                                                 \
		 0,                                                                                \
		 NS_PER_S,                                                                         \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 "1ms",                                                                            \
		 "trace: how long a call waits for rsprof to catch up; 0: it never does",          \
		 OPT_COMPLETE_NONE},                                                               \
		{0,                                                                                \
		 "max-overhead",                                                                   \
		 "PCT",                                                                            \
		 OPT_COUNT,                                                                        \
		 AT(overhead_max_pct),                                                             \
		 1,                                                                                \
		 100,                                                                              \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 "5",                                                                              \
		 "heap and waits by BPF: above this cost they step down, and say so",              \
		 OPT_COMPLETE_NONE},                                                               \
		{0,                                                                                \
		 "require-debug-info",                                                             \
		 NULL,                                                                             \
		 OPT_FLAG,                                                                         \
		 AT(require_debug_info),                                                           \
		 0,                                                                                \
		 0,                                                                                \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 "refuse a target without DWARF (exit 5)",                                         \
		 OPT_COMPLETE_NONE},                                                               \
		{'q',                                                                              \
		 "quiet",                                                                          \
		 NULL,                                                                             \
		 OPT_FLAG,                                                                         \
		 AT(quiet),                                                                        \
		 0,                                                                                \
		 0,                                                                                \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 "no terminal screens: progress on stderr, a summary at the end",                  \
		 OPT_COMPLETE_NONE},                                                               \
		{'a',                                                                              \
		 "append",                                                                         \
		 NULL,                                                                             \
		 OPT_FLAG,                                                                         \
		 AT(append),                                                                       \
		 0,                                                                                \
		 0,                                                                                \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 NULL,                                                                             \
		 "go on in the newest profile of the same process name",                           \
		 OPT_COMPLETE_NONE},                                                               \
	{                                                                                          \
		0, "save-events", "FILE", OPT_TEXT, AT(save_events), 0, 0, NULL, NULL, NULL,       \
			"also write every event as text, for a bug report", OPT_COMPLETE_FILE      \
	}

const struct opt attach_options[] = {
	{'p', "pid", "PID", OPT_COUNT, AT(pid), 1, INT32_MAX, NULL, NULL, NULL,
	 "the process to profile", OPT_COMPLETE_PID},
	{'P', "process", "NAME", OPT_TEXT, AT(process), 0, 0, NULL, NULL, NULL,
	 "the process of that name: exact, else a part of it", OPT_COMPLETE_PROCESS},
	SHARED_OPTIONS,
	{0, "inject", NULL, OPT_FLAG, AT(inject), 0, 0, NULL, NULL, NULL,
	 "put the agent into the process (one short stop), where it has none", OPT_COMPLETE_NONE},
	{0, "replay", "FILE", OPT_TEXT, AT(replay), 0, 0, NULL, NULL, NULL,
	 "take events from a file of --save-events instead of a process", OPT_COMPLETE_FILE},
	{0},
};

const struct opt run_options[] = {
	SHARED_OPTIONS,
	{0},
};

static int pick_event(const char *name, size_t length, struct source_config *config,
		      struct err *err)
{
	const struct event_kind *kind = event_kind_by_name(name, length);

	if (!kind) {
		struct str known = {0};

		for (const struct event_kind *each = event_kinds; each->name; each++)
			str_addf(&known, "%s%s", each == event_kinds ? "" : ", ", each->name);
		err_set(err, ERR_USAGE, -EINVAL, "There is no event \"%.*s\".", (int)length, name);
		err_remedy(err, "Choose from: %s.", str_text(&known));
		str_done(&known);
		return -EINVAL;
	}
	for (size_t i = 0; i < config->event_count; i++) {
		if (config->events[i] == kind)
			return 0;
	}
	if (config->event_count == SOURCE_EVENTS_MAX)
		return err_set(err, ERR_USAGE, -E2BIG,
			       "At most %d events can be recorded together.", SOURCE_EVENTS_MAX);
	config->events[config->event_count++] = kind;
	return 0;
}

/* A replay takes what its file has. */
static int pick_replayed(const char *path, struct source_config *config, struct err *err)
{
	struct event_text_reader *reader;
	int result = event_text_open(path, &reader, err);

	if (result < 0)
		return result;
	config->event_count = event_text_header(reader)->event_count;
	memcpy(config->events, event_text_header(reader)->events, sizeof(config->events));
	config->frequency = event_text_header(reader)->frequency;
	event_text_close(reader);
	return 0;
}

int record_pick_events(const struct record_options *options, struct source_config *config,
		       struct err *err)
{
	config->event_count = 0;
	if (options->replay && !options->events.count)
		return pick_replayed(options->replay, config, err);
	for (size_t i = 0; i < options->events.count; i++) {
		const char *at = options->events.values[i];

		for (;;) {
			size_t length = strcspn(at, ",");
			int result = pick_event(at, length, config, err);

			if (result < 0)
				return result;
			if (!at[length])
				break;
			at += length + 1;
		}
	}
	return 0;
}

int record_pick_heap(const struct record_options *options, struct source_config *config,
		     struct err *err)
{
	static const struct {
		const char *name;
		enum heap_mode mode;
		bool is_asked, is_forced;
	} wishes[] = {
		{"auto", HEAP_MODE_EXACT, false, false},     {"exact", HEAP_MODE_EXACT, true, true},
		{"sampled", HEAP_MODE_SAMPLED, true, false}, {"trace", HEAP_MODE_TRACE, true, true},
		{"off", HEAP_MODE_OFF, true, false},
	};

	for (size_t i = 0; i < sizeof(wishes) / sizeof(*wishes); i++) {
		if (strcmp(options->heap, wishes[i].name))
			continue;
		config->heap = wishes[i].mode;
		config->heap_is_asked = wishes[i].is_asked;
		config->heap_is_forced = wishes[i].is_forced;
		config->heap_sample_bytes = (uint32_t)options->heap_sample_bytes;
		config->heap_blocks_max = (uint32_t)options->heap_blocks;
		config->heap_stacks_max = (uint32_t)options->heap_stacks;
		config->heap_wait_us = (uint32_t)(options->heap_wait_ns / 1000);
		return 0;
	}
	/* The table of options has no others. */
	return err_set(err, ERR_USAGE, -EINVAL, "--heap takes no \"%s\".", options->heap);
}

/* A process may be called anything; a file name is plainer. */
static void add_file_name(struct str *path, const char *name)
{
	for (; *name; name++) {
		bool is_plain = (unsigned char)*name > ' ' && *name != '/' && *name != 0x7f;

		str_add_bytes(path, is_plain ? name : "_", 1);
	}
}

/* "250106143022.db": what follows the name, so that my.app is not taken for my. */
static bool is_stamped(const char *rest)
{
	return strspn(rest, "0123456789") == 12 && strcmp(rest + 12, ".db") == 0;
}

/* The newest profile by its time stamp, which sorts as text; false where there is none. */
static bool find_newest(const char *folder, const char *prefix, struct str *ret_path)
{
	DIR *dir = opendir(folder);
	char newest[NAME_MAX + 1] = "";
	struct dirent *entry;

	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		if (str_starts(entry->d_name, prefix) &&
		    is_stamped(entry->d_name + strlen(prefix)) && strcmp(entry->d_name, newest) > 0)
			snprintf(newest, sizeof(newest), "%s", entry->d_name);
	}
	closedir(dir);
	if (newest[0])
		str_addf(ret_path, "%s/%s", folder, newest);
	return newest[0];
}

char *record_output_path(const struct record_options *options, const char *process_name,
			 bool *ret_append)
{
	const char *folder = getenv("RSPROF_OUTPUT_DIR");
	struct str prefix = {0}, path = {0};
	char stamp[32];
	time_t now = time(NULL);
	struct tm local;

	*ret_append = options->append;
	if (options->output)
		return mem_strdup(options->output);
	if (!folder || !*folder)
		folder = ".";
	str_add(&prefix, "rsprof.");
	add_file_name(&prefix, process_name);
	str_add(&prefix, ".");
	if (!options->append || !find_newest(folder, str_text(&prefix), &path)) {
		*ret_append = false;
		localtime_r(&now, &local);
		strftime(stamp, sizeof(stamp), "%y%m%d%H%M%S", &local);
		if (strcmp(folder, "."))
			str_addf(&path, "%s/", folder);
		str_addf(&path, "%s%s.db", str_text(&prefix), stamp);
	}
	str_done(&prefix);
	return path.text;
}

int record_require_debug_info(int fd, const char *path, struct err *err)
{
	struct symbolizer *symbolizer = symbolizer_new();
	struct module module = {.kind = MODULE_FILE, .path = (char *)path, .fd = fd};
	struct symbol_facts facts = {0};
	const char *slash = strrchr(path, '/');

	module.name = (char *)(slash ? slash + 1 : path);
	symbolizer_describe(symbolizer, &module, &facts);
	symbolizer_free(symbolizer);
	if (facts.source == SYMBOL_SOURCE_DWARF)
		return 0;
	err_set(err, ERR_DEBUG_INFO, -ENODATA, "%s has no debug information.", path);
	err_remedy(err, "Build it with -g (Rust: debug = true in the profile), or leave out "
			"--require-debug-info.");
	return -ENODATA;
}
