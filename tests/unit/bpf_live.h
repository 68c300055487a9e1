/* What tests of the bpf source share, beside perf_live.h: tables of the target, and a tally of
 * stacks and waits. */
#ifndef RSPROF_TESTS_UNIT_BPF_LIVE_H
#define RSPROF_TESTS_UNIT_BPF_LIVE_H

#include <pthread.h>

#include "bpf/shared.h"
#include "reader/source/bpf_check.h"
#include "reader/unwind/cache.h"
#include "reader/util/hash.h"
#include "tests/unit/perf_live.h"

struct bpf_tally {
	struct live_tally live;
	uint32_t wait_index; /* of wait-time; UINT32_MAX: not recorded */
	uint64_t by_status[STACK_STATUSES];
	uint64_t copies;
	uint64_t wait_ns, waits, run_ns;
	uint64_t wait_ns_by_kind[WAIT_KINDS], waits_by_kind[WAIT_KINDS];
	uint64_t wait_ns_without_stack, wait_ns_with_copy, wait_copies_bytes;
	uint32_t tid;		    /* not 0: waits of this thread only */
	struct u64_map wait_stacks; /* hashes of walked stacks that it waited in */
};

static inline void bpf_count(void *context, const struct event *event)
{
	struct bpf_tally *tally = context;

	if (event->type != EVENT_SAMPLE || event->sample.event_index != tally->wait_index) {
		live_count(&tally->live, event);
		if (event->type == EVENT_SAMPLE && event->sample.registers)
			tally->copies++;
		else if (event->type == EVENT_SAMPLE)
			tally->by_status[event->sample.status]++;
		return;
	}
	if (tally->tid && event->tid != tally->tid)
		return;
	tally->wait_ns += event->sample.value;
	tally->waits += event->sample.waits;
	tally->run_ns += event->sample.run_ns;
	tally->wait_ns_by_kind[event->sample.wait_kind] += event->sample.value;
	tally->waits_by_kind[event->sample.wait_kind] += event->sample.waits;
	if (event->sample.registers) {
		tally->wait_ns_with_copy += event->sample.value;
		tally->wait_copies_bytes += event->sample.stack_bytes;
	} else if (!event->sample.pc_count) {
		tally->wait_ns_without_stack += event->sample.value;
	} else {
		u64_map_put(&tally->wait_stacks,
			    hash_bytes(event->sample.pcs,
				       event->sample.pc_count * sizeof(*event->sample.pcs)),
			    1);
	}
}

/* The caller's is open where the machine allows the source at all. */
static inline struct source *bpf_live_open(const struct source_config *config)
{
	struct source *source = NULL;
	struct err err = {0};

	if (bpf_check(config->target, &err))
		SKIP("%s", err.sentence);
	if (source_bpf.open(config, &source, &err))
		FAIL("%s", err.sentence);
	return source;
}

static inline struct source_config bpf_live_config(const struct live *live, const char *events)
{
	struct source_config config = live_config(live, events);

	config.overhead_max_pct = 100;
	config.stack_bytes = BPF_COPY_BYTES;
	return config;
}

/* Lives until the test ends. */
static inline void bpf_live_set_code(const struct live *live, struct source *source)
{
	static struct unwind_cache *cache;
	static struct module_storage storage;
	VEC(struct source_code) code = {0};
	target_mappings mappings = {0};
	uint64_t epoch = source->ops->code_epoch(source);

	if (!cache)
		cache = unwind_cache_new();
	CHECK_EQ_I64(target_list_mappings(live->target, &mappings), 0);
	for (size_t i = 0; i < mappings.count; i++) {
		const struct target_mapping *mapping = &mappings.items[i];
		struct source_code *piece;
		struct module_facts facts;

		if (!mapping->is_executable)
			continue;
		piece = vec_add(&code);
		*piece = (struct source_code){.start = mapping->start, .end = mapping->end};
		target_module_facts(live->target, mapping, &storage, &facts);
		for (size_t j = 0; j < facts.segment_count; j++) {
			const struct segment *segment = &facts.segments[j];
			uint64_t from = segment->file_offset & ~UINT64_C(4095);

			if (mapping->file_offset >= from &&
			    mapping->file_offset < segment->file_offset + segment->file_size)
				piece->bias =
					mapping->start - (segment->vaddr + mapping->file_offset -
							  segment->file_offset);
		}
		if (facts.fd >= 0) {
			unwind_cache_get(cache, facts.fd, &piece->table);
			close(facts.fd);
		}
	}
	source->ops->set_code(source, epoch, code.items, code.count, unwind_cache_rules(cache));
	vec_done(&code);
	target_mappings_done(&mappings);
}

static inline void bpf_live_pump(const struct live *live, struct source *source,
				 struct bpf_tally *tally, void *message, size_t size)
{
	uint64_t deadline = live_clock_ns(CLOCK_MONOTONIC) + LIVE_DEADLINE_MS * UINT64_C(1000000);
	struct pollfd readable = {.fd = live->from_fd, .events = POLLIN};

	tally->live.target_pid = (uint32_t)live->pid;
	while (poll(&readable, 1, 0) == 0) {
		if (live_clock_ns(CLOCK_MONOTONIC) > deadline)
			FAIL("the target said nothing within %d ms", LIVE_DEADLINE_MS);
		source->ops->wait(source, live->from_fd, 100);
		source->ops->drain(source, bpf_count, tally);
	}
	live_hear(live, message, size);
}

static inline void bpf_live_finish(struct source *source, struct bpf_tally *tally)
{
	source->ops->stop(source);
	source->ops->drain(source, bpf_count, tally);
	source->ops->close(source);
}

/* Of all samples. */
static inline double bpf_live_complete_pct(const struct bpf_tally *tally)
{
	return 100.0 * (double)tally->by_status[STACK_COMPLETE] / (double)tally->live.samples;
}

/* What a sleeper says of itself. */
struct slept {
	uint32_t tid;
	uint64_t wall_ns; /* from the first nap to the last */
	uint64_t cpu_ns;
};

enum { LONG_NAP_MS = 2300 };

static inline void nap_long(int in, int out)
{
	struct timespec moment = {.tv_sec = LONG_NAP_MS / 1000,
				  .tv_nsec = LONG_NAP_MS % 1000 * 1000000};
	struct slept slept = {.tid = (uint32_t)live_tid()};
	uint64_t start;

	live_say(out, "r", 1);
	start = live_clock_ns(CLOCK_MONOTONIC);
	nanosleep(&moment, NULL);
	slept.wall_ns = live_clock_ns(CLOCK_MONOTONIC) - start;
	live_say(out, &slept, sizeof(slept));
	live_wait_for_byte(in);
}

enum { MANY_THREADS = 1000 };

static inline void *sleeper_thread(void *argument)
{
	pause();
	return argument;
}

static inline void start_many_threads(int in, int out)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	for (int i = 0; i < MANY_THREADS; i++) {
		if (pthread_create(&thread, &attr, sleeper_thread, NULL))
			_exit(1);
	}
	live_say(out, "r", 1);
	live_wait_for_byte(in);
}

#endif
