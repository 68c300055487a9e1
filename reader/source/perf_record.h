/* perf's records, as the kernel lays them into a ring, become events. Decoding trusts nothing:
 * every length is checked against the record's size, and a record that cannot be is counted, not
 * guessed at. */
#ifndef RSPROF_SOURCE_PERF_RECORD_H
#define RSPROF_SOURCE_PERF_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/source/source.h"
#include "reader/util/hash.h"
#include "reader/util/vec.h"

/* What PERF_SAMPLE_IDENTIFIER names: the event that was opened on this thread. Threads that inherit
 * the event report the same identifier. */
struct perf_stream {
	uint32_t tid;
	uint32_t event_index;
};

struct perf_decoder {
	uint32_t target_pid;
	/* Events are inherited by threads only, so that all samples are the target's. */
	bool threads_only;
	uint32_t frames_kept; /* of a chain, the innermost */
	uint32_t frames_cut;  /* a chain of this many user frames was cut short */
	bool has_stacks;      /* samples hold registers and a copy of the stack, not a call chain */
	bool value_is_period[SOURCE_EVENTS_MAX];

	struct u64_map ids; /* identifier → index of streams */
	VEC(struct perf_stream) streams;
	/* Threads that have events of their own and may have inherited others: found only after
	 * some events were open. 1: an inherited event's records are doubles; 0: the thread has
	 * ended. */
	struct u64_map late_threads;

	/* For the balance at the end, of all processes: what the kernel wrote and what it told
	 * to be lost. */
	uint64_t sampled[SOURCE_EVENTS_MAX];
	uint64_t told_lost;

	uint64_t last_ns; /* of the last good record */
	source_sink sink;
	void *context;
};

void perf_decoder_add_stream(struct perf_decoder *decoder, uint64_t id, uint32_t tid,
			     uint32_t event_index);
void perf_decoder_add_late_thread(struct perf_decoder *decoder, uint32_t tid);
void perf_decoder_done(struct perf_decoder *decoder);

/* Hands the event in this record, if there is one for us, to decoder->sink. `record` is aligned
 * to 8 bytes and `size` bytes can be read; its header's own size is not looked at. The first
 * parameter is a struct perf_decoder, so that this is a perf_ring_visitor. */
void perf_record_decode(void *decoder, const void *record, size_t size);

/* Hands over an EVENT_LOST. */
void perf_decoder_lost(struct perf_decoder *decoder, uint64_t time_ns, enum loss_cause cause,
		       uint64_t count);

#endif
