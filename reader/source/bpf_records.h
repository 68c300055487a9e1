/* The records of BPF programs become events. As with perf's, decoding trusts nothing: lengths and
 * numbers are checked, and a record that cannot be is counted. */
#ifndef RSPROF_SOURCE_BPF_RECORDS_H
#define RSPROF_SOURCE_BPF_RECORDS_H

#include "bpf/shared.h"
#include "reader/source/bpf_waits.h"
#include "reader/source/heap_books.h"
#include "reader/source/source.h"

struct bpf_decoder {
	uint32_t target_pid;
	uint32_t event_count;
	struct bpf_waits *waits; /* NULL: none are recorded */
	struct heap_books *heap; /* NULL: the heap is not counted */

	uint64_t bad_count;   /* records that cannot be */
	uint64_t stacks_told; /* of waits, with those that found no room */
	source_sink sink;
	void *context;
};

/* As ring_buffer__new wants it: decoder is a struct bpf_decoder; always 0. */
int bpf_record_decode(void *decoder, void *record, size_t size);

/* The status of a stack by enum walk_end and enum walk_flags; STACK_STATUSES where there is no such
 * end. */
enum stack_status bpf_stack_status(uint32_t end, uint32_t flags);

#endif
