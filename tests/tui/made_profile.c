/* made_profile KIND FILE: a profile that is the same on every machine, for golden screens.
 *     demo     a program with three threads for two minutes: CPU, waits and a heap that grows
 *     hostile  names with escape sequences, newlines, 10,000 characters, wide and combining ones
 *     empty    a recording without a sample
 *     cpu      without heap and waits */
#include "tests/unit/store_maker.h"

enum { CHECKPOINTS = 120, FREQUENCY = 99, TEXT_MAX_BYTES = 10000 };

/* One frame each. */
enum place_of {
	AT_MAIN,
	AT_SERVE,
	AT_READ,
	AT_PARSE,
	AT_PARSE_HEADER,
	AT_TOKENIZE,
	AT_EXTEND,
	AT_INSERT,
	AT_WORKER,
	AT_NEXT,
	AT_FLUSH,
	AT_HEADER_LINES,
	AT_SPLIT,
	AT_TRIM,
	AT_ROUTE,
	AT_LOOKUP,
	AT_HASH,
	AT_RESPOND,
	AT_ESCAPE,
	AT_RECV,
	AT_WRITE,
	AT_FUTEX,
	AT_MALLOC,
	PLACES
};

static const struct source_line demo_lines[PLACES] = {
	[AT_MAIN] = {"main", "src/main.rs", "/home/me/app/src/main.rs", 12},
	[AT_SERVE] = {"app::serve", "src/main.rs", "/home/me/app/src/main.rs", 41},
	[AT_READ] = {"app::net::Connection::read", "src/net.rs", "/home/me/app/src/net.rs", 77},
	[AT_PARSE] = {"app::parser::Parser::parse", "src/parser.rs", "/home/me/app/src/parser.rs",
		      57},
	[AT_PARSE_HEADER] = {"app::parser::parse_header", "src/parser.rs",
			     "/home/me/app/src/parser.rs", 133},
	[AT_TOKENIZE] = {"app::parser::tokenize", "src/parser.rs", "/home/me/app/src/parser.rs",
			 90},
	[AT_EXTEND] = {"app::buffer::Buffer::extend", "src/buffer.rs", "/home/me/app/src/buffer.rs",
		       34},
	[AT_INSERT] = {"app::cache::Cache<K,V>::insert", "src/cache.rs",
		       "/home/me/app/src/cache.rs", 201},
	[AT_WORKER] = {"app::worker::run", "src/worker.rs", "/home/me/app/src/worker.rs", 23},
	[AT_NEXT] = {"app::worker::Pool::next", "src/worker.rs", "/home/me/app/src/worker.rs", 64},
	[AT_FLUSH] = {"app::worker::flush", "src/worker.rs", "/home/me/app/src/worker.rs", 98},
	[AT_HEADER_LINES] = {"app::parser::parse_header", "src/parser.rs",
			     "/home/me/app/src/parser.rs", 129},
	[AT_SPLIT] = {"app::parser::split_field", "src/parser.rs", "/home/me/app/src/parser.rs",
		      119},
	[AT_TRIM] = {"app::parser::trim", "src/parser.rs", "/home/me/app/src/parser.rs", 112},
	[AT_ROUTE] = {"app::router::Router::route", "src/router.rs", "/home/me/app/src/router.rs",
		      61},
	[AT_LOOKUP] = {"app::cache::Cache<K,V>::get", "src/cache.rs", "/home/me/app/src/cache.rs",
		       88},
	[AT_HASH] = {"app::cache::hash", "src/cache.rs", "/home/me/app/src/cache.rs", 47},
	[AT_RESPOND] = {"app::http::Response::write", "src/http.rs", "/home/me/app/src/http.rs",
			155},
	[AT_ESCAPE] = {"app::http::escape", "src/http.rs", "/home/me/app/src/http.rs", 188},
	[AT_RECV] = {"recv", "[libc.so.6]", NULL, 0},
	[AT_WRITE] = {"write", "[libc.so.6]", NULL, 0},
	[AT_FUTEX] = {"__futex_abstimed_wait", "[libc.so.6]", NULL, 0},
	[AT_MALLOC] = {"malloc", "[libc.so.6]", NULL, 0},
};

/* A stack: leaf first, and which of its frames is charged. */
struct way {
	size_t count;
	enum place_of places[8];
	enum place_of charged;
	stack_id id;
};

enum way_of {
	WAY_HEADER,
	WAY_TOKENIZE,
	WAY_EXTEND,
	WAY_RECV,
	WAY_NEXT,
	WAY_FLUSH,
	WAY_HEADER_LINES,
	WAY_SPLIT,
	WAY_TRIM,
	WAY_LOOKUP,
	WAY_HASH,
	WAY_RESPOND,
	WAY_ESCAPE,
	WAY_WAIT,
	WAY_ALLOC_EXTEND,
	WAY_ALLOC_INSERT,
	WAY_ALLOC_TOKENIZE,
	WAYS
};

static struct way ways[WAYS] = {
	[WAY_HEADER] = {5,
			{AT_PARSE_HEADER, AT_PARSE, AT_READ, AT_SERVE, AT_MAIN},
			AT_PARSE_HEADER,
			{0}},
	[WAY_TOKENIZE] = {5, {AT_TOKENIZE, AT_PARSE, AT_READ, AT_SERVE, AT_MAIN}, AT_TOKENIZE, {0}},
	[WAY_EXTEND] = {4, {AT_EXTEND, AT_READ, AT_SERVE, AT_MAIN}, AT_EXTEND, {0}},
	[WAY_RECV] = {4, {AT_RECV, AT_READ, AT_SERVE, AT_MAIN}, AT_READ, {0}},
	[WAY_NEXT] = {2, {AT_NEXT, AT_WORKER}, AT_NEXT, {0}},
	[WAY_FLUSH] = {3, {AT_WRITE, AT_FLUSH, AT_WORKER}, AT_FLUSH, {0}},
	[WAY_HEADER_LINES] = {5,
			      {AT_HEADER_LINES, AT_PARSE, AT_READ, AT_SERVE, AT_MAIN},
			      AT_HEADER_LINES,
			      {0}},
	[WAY_SPLIT] = {6,
		       {AT_SPLIT, AT_PARSE_HEADER, AT_PARSE, AT_READ, AT_SERVE, AT_MAIN},
		       AT_SPLIT,
		       {0}},
	[WAY_TRIM] = {7,
		      {AT_TRIM, AT_SPLIT, AT_PARSE_HEADER, AT_PARSE, AT_READ, AT_SERVE, AT_MAIN},
		      AT_TRIM,
		      {0}},
	[WAY_LOOKUP] = {4, {AT_LOOKUP, AT_ROUTE, AT_SERVE, AT_MAIN}, AT_LOOKUP, {0}},
	[WAY_HASH] = {5, {AT_HASH, AT_LOOKUP, AT_ROUTE, AT_SERVE, AT_MAIN}, AT_HASH, {0}},
	[WAY_RESPOND] = {3, {AT_RESPOND, AT_SERVE, AT_MAIN}, AT_RESPOND, {0}},
	[WAY_ESCAPE] = {4, {AT_ESCAPE, AT_RESPOND, AT_SERVE, AT_MAIN}, AT_ESCAPE, {0}},
	[WAY_WAIT] = {3, {AT_FUTEX, AT_NEXT, AT_WORKER}, AT_NEXT, {0}},
	[WAY_ALLOC_EXTEND] = {5,
			      {AT_MALLOC, AT_EXTEND, AT_READ, AT_SERVE, AT_MAIN},
			      AT_EXTEND,
			      {0}},
	[WAY_ALLOC_INSERT] = {5,
			      {AT_MALLOC, AT_INSERT, AT_READ, AT_SERVE, AT_MAIN},
			      AT_INSERT,
			      {0}},
	[WAY_ALLOC_TOKENIZE] = {6,
				{AT_MALLOC, AT_TOKENIZE, AT_PARSE, AT_READ, AT_SERVE, AT_MAIN},
				AT_TOKENIZE,
				{0}},
};

static const struct event_kind *events[2];

static void create(struct maker *maker, const char *file, bool is_whole)
{
	static const struct store_fact facts[] = {
		{"attribute_version", "1"}, {"cpu_freq_hz", "99"},
		{"cpu_source", "bpf"},	    {"cpu_source_reason", ""},
		{"heap_source", "agent"},   {"heap_mode", "exact"},
		{"wait_source", "bpf"},	    {"checkpoint_interval_ms", "1000"},
	};
	static const struct store_fact bare_facts[] = {
		{"attribute_version", "1"}, {"cpu_freq_hz", "99"},
		{"cpu_source", "perf"},	    {"cpu_source_reason", "bpf: needs CAP_BPF"},
		{"heap_source", "off"},	    {"heap_source_reason", "bpf: needs CAP_BPF"},
		{"wait_source", "off"},	    {"checkpoint_interval_ms", "1000"},
	};
	struct store_recording recording = {
		.pid = 12345,
		.process_name = "my-app",
		.exe_path = "/home/me/app/target/release/my-app",
		.command_line = "my-app --listen 8080",
		.exe_build_id = "abcdef",
		.start_unix_ns = UINT64_C(1767700000000000000),
		.start_monotonic_ns = 5,
		.checkpoint_interval_ns = 1000 * MS,
		.events = events,
		.event_count = is_whole ? 2 : 1,
		.facts = is_whole ? facts : bare_facts,
		.fact_count = is_whole ? sizeof(facts) / sizeof(*facts)
				       : sizeof(bare_facts) / sizeof(*bare_facts),
	};
	struct err err = {0};

	events[0] = event_kind_by_name("cpu-clock", 9);
	events[1] = event_kind_by_name("wait-time", 9);
	maker_init(maker);
	if (store_create(file, &recording, &maker->store, &err) < 0)
		FAIL("store_create: %s", err.sentence);
}

static uint64_t vaddr_of(enum place_of place)
{
	return 0x1000 * ((uint64_t)place + 1);
}

static bool is_in_libc(enum place_of place)
{
	return place >= AT_RECV;
}

/* lines: what the places are called. */
static void make_ways(struct maker *maker, const struct source_line lines[PLACES])
{
	module_id app = maker_module(maker, "/home/me/app/target/release/my-app", 0xab);
	module_id libc = maker_module(maker, "/usr/lib/x86_64-linux-gnu/libc.so.6", 0xcd);

	for (size_t i = 0; i < WAYS; i++) {
		struct way *way = &ways[i];
		struct place chain[8];

		for (size_t j = 0; j < way->count; j++)
			chain[j] = (struct place){is_in_libc(way->places[j]) ? libc : app,
						  vaddr_of(way->places[j])};
		if (stack_table_intern(maker->stacks, chain, way->count, STACK_COMPLETE, &way->id) <
		    0)
			FAIL("the stack table is full");
	}
	for (size_t i = 0; i < PLACES; i++)
		maker_resolve(maker, vaddr_of((enum place_of)i), lines[i], NULL);
	for (size_t i = 0; i < WAYS; i++)
		maker_charge(maker, ways[i].id, vaddr_of(ways[i].charged), 0, STACK_COMPLETE);
}

static void commit(struct maker *maker, uint64_t second)
{
	uint64_t samples = 0;
	struct delta *delta = maker_delta(maker, second * 1000);
	struct resolved_batch batch = {
		.frames = maker->frames.items,
		.frame_count = maker->frames.count,
		.charges = maker->charges.items,
		.charge_count = maker->charges.count,
	};
	struct err err = {0};

	for (size_t i = 0; i < maker->all.count; i++) {
		if (maker->all.items[i].row.event_index == 0)
			samples += maker->all.items[i].row.count;
	}
	delta->process = (struct delta_process){
		.user_ms = 1000 * samples / FREQUENCY,
		.cpu_ns = 1000 * MS * samples / FREQUENCY,
		.rss_bytes = 64000000 + 400000 * second,
		.rss_anonymous_bytes = 40000000 + 400000 * second,
	};
	if (store_commit(maker->store, &delta, 1, &batch, &err) < 0)
		FAIL("store_commit: %s", err.sentence);
	delta_release(delta);
	vec_clear(&maker->frames);
	vec_clear(&maker->charges);
}

/* From 0 to 20 and back in 40 seconds. */
static uint64_t wave(uint64_t second)
{
	uint64_t at = second % 40;

	return at <= 20 ? at : 40 - at;
}

static void sample(struct maker *maker, thread_id thread, enum way_of way, uint64_t count,
		   uint64_t kernel)
{
	if (count)
		maker_row(maker, 0, thread, ways[way].id, count, kernel, count * 10100000);
}

static void wait(struct maker *maker, thread_id thread, enum wait_kind kind, enum way_of way,
		 uint64_t waits, uint64_t ms)
{
	maker_row(maker, 1, thread, ways[way].id, waits, 0, ms * MS);
	maker->rows.items[maker->rows.count - 1].kind = kind;
	maker->rows.items[maker->rows.count - 1].run_ns = waits * MS;
}

static void alloc(struct maker *maker, enum way_of way, uint64_t blocks, uint64_t size,
		  uint64_t frees, uint64_t temporary)
{
	maker_heap(maker, ways[way].id,
		   (struct heap_counts){
			   .allocs = blocks,
			   .alloc_bytes = blocks * size,
			   .frees = frees,
			   .free_bytes = frees * size,
			   .temporary = temporary,
		   });
}

static void make_second(struct maker *maker, uint64_t second, const thread_id threads[3],
			bool is_whole)
{
	uint64_t header = 6 + wave(second), tokenize = 11 - wave(second) / 4;
	uint64_t extend = 6 + second / 20, recv = 6, flush = 8 + second * 7 % 13;

	sample(maker, threads[0], WAY_HEADER, header, 0);
	sample(maker, threads[0], WAY_TOKENIZE, tokenize, 0);
	sample(maker, threads[0], WAY_EXTEND, extend, 0);
	sample(maker, threads[0], WAY_RECV, recv, recv);
	sample(maker, threads[0], WAY_HEADER_LINES, 4 + wave(second) / 5, 0);
	sample(maker, threads[0], WAY_SPLIT, 4, 0);
	sample(maker, threads[0], WAY_TRIM, 2, 0);
	sample(maker, threads[0], WAY_LOOKUP, 4 + second / 40, 0);
	sample(maker, threads[0], WAY_HASH, 3, 0);
	sample(maker, threads[0], WAY_RESPOND, 5, 0);
	sample(maker, threads[0], WAY_ESCAPE, 1 + second % 3, 0);
	sample(maker, threads[1], WAY_NEXT, 6, 0);
	sample(maker, threads[2], WAY_FLUSH, flush, flush / 2);
	if (!is_whole)
		return;
	wait(maker, threads[1], WAIT_LOCK, WAY_WAIT, 40, 700);
	wait(maker, threads[0], WAIT_POLL, WAY_RECV, 90, 250);
	wait(maker, threads[2], WAIT_IO, WAY_FLUSH, 12, 80 + wave(second));
	alloc(maker, WAY_ALLOC_EXTEND, 50, 8192, second % 3 ? 50 : 0, 12);
	alloc(maker, WAY_ALLOC_INSERT, 25, 4096, 0, 0);
	alloc(maker, WAY_ALLOC_TOKENIZE, 400, 48, 400, 390);
}

static void make(struct maker *maker, const char *file, const struct source_line lines[PLACES],
		 uint64_t seconds, bool is_whole)
{
	thread_id threads[3];

	create(maker, file, is_whole);
	threads[0] = maker_thread(maker, 12345, "my-app");
	threads[1] = maker_thread(maker, 12346, "worker");
	threads[2] = maker_thread(maker, 12347, "flusher");
	make_ways(maker, lines);
	for (uint64_t second = 1; second <= seconds; second++) {
		make_second(maker, second, threads, is_whole);
		commit(maker, second);
	}
}

/* What a terminal would obey, if it were written to one. */
static void make_hostile(struct maker *maker, const char *file)
{
	static char endless[TEXT_MAX_BYTES + 1];
	struct source_line lines[PLACES];

	memset(endless, 'x', TEXT_MAX_BYTES);
	memcpy(lines, demo_lines, sizeof(lines));
	lines[AT_PARSE_HEADER].function = "clear\033[2J\033[Hscreen\033]0;title\007";
	lines[AT_PARSE_HEADER].file = "src/\033[31mred.rs";
	lines[AT_TOKENIZE].function = "two\nlines\r\tand a tab";
	lines[AT_TOKENIZE].file = "a\nb.rs";
	lines[AT_EXTEND].function = endless;
	lines[AT_EXTEND].file = endless;
	lines[AT_READ].function = "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e::\xe8\xa8\x88\xe7\xae\x97";
	lines[AT_NEXT].function = "e\xcc\x81\xcc\x81\xcc\x81 combining";
	lines[AT_FLUSH].function = "\xe2\x80\xaeoverride\xc2\x9b"
				   "2J";
	lines[AT_FLUSH].file = "bad \xff\xfe utf-8";
	make(maker, file, lines, 20, true);
}

int main(int argc, char **argv)
{
	struct maker maker;
	uint64_t seconds = CHECKPOINTS;

	if (argc != 3) {
		fprintf(stderr, "usage: made_profile demo|hostile|empty|cpu FILE\n");
		return 2;
	}
	if (!strcmp(argv[1], "hostile")) {
		make_hostile(&maker, argv[2]);
		seconds = 20;
	} else if (!strcmp(argv[1], "empty")) {
		create(&maker, argv[2], false);
		commit(&maker, 1);
		seconds = 1;
	} else {
		make(&maker, argv[2], demo_lines, seconds, !strcmp(argv[1], "demo"));
	}
	maker_finish(&maker, seconds * 1000);
	maker_done(&maker);
	return 0;
}
