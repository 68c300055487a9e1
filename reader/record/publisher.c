#include "reader/record/publisher.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/clock.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/vec.h"

/* Reading a target's mappings holds a lock that its own mmap needs, and takes a millisecond where
 * there are thousands. A target that maps code all the time (a compiler at run time) is looked at
 * no more often than this, and for no more than a PAUSE_SHARE'th of the time. */
#define PAUSE_MIN_NS (2 * NS_PER_MS)
#define PAUSE_MAX_NS (100 * NS_PER_MS)
#define PAUSE_SHARE 10
/* Tables are built for so long before the source is drained again; one table takes what it takes.
 */
#define BUILD_NS (10 * NS_PER_MS)
/* Before the recording begins: a browser from a cold disk; the rest is built while it runs. */
#define BUILD_AT_START_NS (2 * NS_PER_S)

enum {
	PAGE_BYTES = 4096,
	/* Code whose table takes some 5 ms, from a cold disk 10. */
	BIG_BYTES = 8 << 20,
};

/* Code without table yet. */
struct missing {
	const struct module *module;
	uint64_t bytes;
};

struct publisher {
	struct source *source;
	const struct target *target;
	struct modules *modules;
	struct module_tables *tables;
	bool is_marked;	   /* the list may be no longer true */
	uint64_t ready_ns; /* not to be published before */
	/* As last told. */
	VEC(struct source_code) told;
	uint64_t told_epoch;
	bool has_told;
	VEC(struct source_code) code; /* at work */
	VEC(struct missing) missing;  /* smallest first */
	/* The vDSO is an image in memory, costly to look at; it stays until an exec. */
	const struct module *vdso;
	uint64_t vdso_start, vdso_epoch;
};

struct publisher *publisher_new(struct source *source, const struct target *target,
				struct modules *modules, struct module_tables *tables)
{
	struct publisher *publisher = mem_zalloc(sizeof(*publisher));

	publisher->source = source;
	publisher->target = target;
	publisher->modules = modules;
	publisher->tables = tables;
	return publisher;
}

void publisher_free(struct publisher *publisher)
{
	if (!publisher)
		return;
	vec_done(&publisher->told);
	vec_done(&publisher->code);
	vec_done(&publisher->missing);
	free(publisher);
}

static const struct module *module_behind(struct publisher *publisher, uint64_t epoch,
					  const struct target_mapping *mapping)
{
	bool is_vdso = strcmp(mapping->path, "[vdso]") == 0;
	const struct module *module;

	if (is_vdso && publisher->vdso && publisher->vdso_start == mapping->start &&
	    publisher->vdso_epoch == epoch)
		return publisher->vdso;
	module = modules_intern(publisher->modules, mapping);
	if (is_vdso) {
		publisher->vdso = module;
		publisher->vdso_start = mapping->start;
		publisher->vdso_epoch = epoch;
	}
	return module;
}

/* The bytes of the file that segment and mapping share. */
static uint64_t shared_bytes(const struct segment *segment, const struct target_mapping *mapping)
{
	uint64_t from = mapping->file_offset, to = from + (mapping->end - mapping->start);
	uint64_t end = segment->file_offset + segment->file_size;

	if (from < segment->file_offset)
		from = segment->file_offset;
	if (to > end)
		to = end;
	return to > from ? to - from : 0;
}

/* Absolute address minus ELF address. Whole pages are mapped, so that a mapping may begin and end
 * with bytes of other segments: its own is the one that begins in its first page, or else shares
 * most with it. */
static uint64_t bias_of(const struct module *module, const struct target_mapping *mapping)
{
	const struct segment *best = NULL;
	uint64_t best_bytes = 0;

	if (module->kind == MODULE_ANONYMOUS || module->kind == MODULE_UNKNOWN)
		return 0;
	for (size_t i = 0; i < module->segment_count; i++) {
		const struct segment *segment = &module->segments[i];
		uint64_t bytes = shared_bytes(segment, mapping);

		if (bytes &&
		    (segment->file_offset & ~(uint64_t)(PAGE_BYTES - 1)) == mapping->file_offset)
			bytes += UINT64_MAX / 2;
		if (bytes > best_bytes) {
			best = segment;
			best_bytes = bytes;
		}
	}
	if (!best)
		return mapping->start - mapping->file_offset;
	return mapping->start - (best->vaddr - best->file_offset + mapping->file_offset);
}

static void add_missing(struct publisher *publisher, const struct module *module, uint64_t bytes)
{
	size_t at;

	for (at = 0; at < publisher->missing.count; at++) {
		if (publisher->missing.items[at].module == module)
			return;
	}
	(void)vec_add(&publisher->missing);
	while (at && publisher->missing.items[at - 1].bytes > bytes) {
		publisher->missing.items[at] = publisher->missing.items[at - 1];
		at--;
	}
	publisher->missing.items[at] = (struct missing){module, bytes};
}

static void add_code(struct publisher *publisher, uint64_t epoch,
		     const struct target_mapping *mapping)
{
	const struct module *module = module_behind(publisher, epoch, mapping);
	struct source_code code = {.start = mapping->start, .end = mapping->end};

	if (module) {
		code.bias = bias_of(module, mapping);
		if (!module_tables_find(publisher->tables, module, &code.table)) {
			add_missing(publisher, module, mapping->end - mapping->start);
			return;
		}
	}
	*vec_add(&publisher->code) = code;
}

/* false: there is nothing to read, the process has ended. */
static bool read_code(struct publisher *publisher, uint64_t epoch)
{
	OWN(target_mappings_done) target_mappings mappings = {0};

	if (target_list_mappings(publisher->target, &mappings) < 0 || !mappings.count)
		return false;
	vec_clear(&publisher->code);
	vec_clear(&publisher->missing);
	for (size_t i = 0; i < mappings.count; i++) {
		if (mappings.items[i].is_executable)
			add_code(publisher, epoch, &mappings.items[i]);
	}
	return true;
}

static bool is_told(const struct publisher *publisher, uint64_t epoch)
{
	size_t count = publisher->code.count;

	return publisher->has_told && publisher->told_epoch == epoch &&
	       publisher->told.count == count &&
	       (!count || memcmp(publisher->told.items, publisher->code.items,
				 count * sizeof(*publisher->code.items)) == 0);
}

static void tell(struct publisher *publisher, uint64_t epoch)
{
	const struct unwind_rules *rules =
		unwind_cache_rules(module_tables_cache(publisher->tables));
	struct source *source = publisher->source;
	size_t count = publisher->code.count;

	if (is_told(publisher, epoch))
		return;
	source->ops->set_code(source, epoch, publisher->code.items, count, rules);
	vec_clear(&publisher->told);
	vec_reserve(&publisher->told, count);
	if (count)
		memcpy(publisher->told.items, publisher->code.items,
		       count * sizeof(*publisher->code.items));
	publisher->told.count = count;
	publisher->told_epoch = epoch;
	publisher->has_told = true;
}

/* What is mapped now. A process that has ended keeps the list it had. */
static void publish(struct publisher *publisher)
{
	struct source *source = publisher->source;
	uint64_t begin_ns = clock_now_ns(), pause_ns;
	uint64_t epoch = source->ops->code_epoch(source);

	publisher->is_marked = false;
	if (read_code(publisher, epoch)) {
		tell(publisher, epoch);
		/* An exec came in between: whose mappings these are, nobody knows. */
		publisher->is_marked = source->ops->code_epoch(source) != epoch;
	}
	pause_ns = (clock_now_ns() - begin_ns) * PAUSE_SHARE;
	if (pause_ns < PAUSE_MIN_NS)
		pause_ns = PAUSE_MIN_NS;
	if (pause_ns > PAUSE_MAX_NS)
		pause_ns = PAUSE_MAX_NS;
	publisher->ready_ns = clock_now_ns() + pause_ns;
}

/* Builds missing tables, smallest first and at least one, until the time is over. A big one waits
 * for the next call, so that the others are told first. Those that are built are missing no more.
 */
static void build(struct publisher *publisher, uint64_t limit_ns)
{
	uint64_t end_ns = clock_now_ns() + limit_ns;
	size_t built = 0, left;

	do
		module_tables_get(publisher->tables, publisher->missing.items[built++].module);
	while (built < publisher->missing.count &&
	       publisher->missing.items[built].bytes < BIG_BYTES && clock_now_ns() < end_ns);
	left = publisher->missing.count - built;
	memmove(publisher->missing.items, publisher->missing.items + built,
		left * sizeof(*publisher->missing.items));
	publisher->missing.count = left;
}

void publisher_start(struct publisher *publisher)
{
	uint64_t end_ns = clock_now_ns() + BUILD_AT_START_NS;
	struct source *source = publisher->source;

	if (read_code(publisher, source->ops->code_epoch(source))) {
		while (publisher->missing.count && clock_now_ns() < end_ns)
			build(publisher, BUILD_NS);
	}
	publish(publisher);
	/* What was mapped before events began to come was told by none. */
	publisher->is_marked = true;
}

void publisher_mark(struct publisher *publisher)
{
	publisher->is_marked = true;
}

void publisher_on_event(struct publisher *publisher, const struct event *event)
{
	if ((event->type == EVENT_MMAP && event->mmap.is_executable) ||
	    (event->type == EVENT_COMM && event->comm.is_exec))
		publisher->is_marked = true;
}

void publisher_run(struct publisher *publisher)
{
	if (publisher->is_marked && clock_now_ns() >= publisher->ready_ns)
		publish(publisher);
	if (publisher->missing.count) {
		build(publisher, BUILD_NS);
		/* The time this takes is small beside the building. */
		publish(publisher);
	}
}

int publisher_wait_ms(const struct publisher *publisher, int wait_ms)
{
	uint64_t now = clock_now_ns(), left_ms;

	if (publisher->missing.count)
		return 0;
	if (!publisher->is_marked)
		return wait_ms;
	if (now >= publisher->ready_ns)
		return 0;
	left_ms = (publisher->ready_ns - now + NS_PER_MS - 1) / NS_PER_MS;
	return left_ms < (uint64_t)wait_ms ? (int)left_ms : wait_ms;
}
