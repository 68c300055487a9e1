/* The bpf source, inside. Private to src_bpf.c, bpf_open.c and bpf_look.c. */
#ifndef RSPROF_SOURCE_BPF_SOURCE_H
#define RSPROF_SOURCE_BPF_SOURCE_H

#include <poll.h>

#include "reader/source/bpf_code.h"
#include "reader/source/bpf_events.h"
#include "reader/source/bpf_heap.h"
#include "reader/source/bpf_pace.h"
#include "reader/source/bpf_records.h"
#include "reader/source/perf_cpus.h"
#include "reader/source/perf_record.h"

/* Counters that only grow, as far as they have been told. */
struct told {
	uint64_t ring_full, waits_ring_full, wait_threads, waits_unwalked, switches_missed;
	uint64_t tables_full, code_full, bad_records;
	uint64_t heap_blocks_full, heap_stacks_full, heap_stacks_lost, heap_calls_missed;
};

struct src_bpf {
	struct source base;
	struct source_config config;
	struct permit permit;
	struct perf_notes notes;
	struct bpf_loaded loaded;
	struct bpf_events events;
	struct perf_cpus cpus;
	struct perf_decoder sideband;
	struct bpf_publisher publisher;
	struct bpf_decoder decoder;
	struct bpf_waits waits;
	bpf_thread_states states;
	struct heap_prices prices;
	struct bpf_heap *heap;	 /* NULL: it is not counted */
	const char *heap_reason; /* in the arena of notes; NULL: it was not asked for */
	int epoll_fd;
	struct pollfd *polls; /* wake_fd, epoll_fd, then the side-band's leaders */
	bool may_rest;	      /* the last drain had nothing of the target's in the side-band */

	struct bpf_pace pace;
	uint64_t look_ns;	   /* of the last look at waits in progress and at their cost */
	uint64_t spent_ns, cpu_ns; /* by then */
	VEC(struct delta_step) steps;
	size_t steps_told;
	uint64_t stacks_at_clear; /* stacks told when programs last forgot them */

	struct told told;
	bool told_start, is_stopped, told_end;
	uint64_t stop_ns;

	source_sink sink; /* of the drain under way */
	void *context;
};

static inline uint64_t bpf_read_counter(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

/* bpf_open.c: all that can be refused. What is open is closed by the caller also after a failure.
 */
int bpf_source_open(struct src_bpf *bpf, struct err *err);

/* bpf_look.c. Threads that sleep now are entered as waiting since bpf->waits.start_ns. */
void bpf_take_sleepers(struct src_bpf *bpf);
uint64_t bpf_target_cpu_ns(const struct src_bpf *bpf);
/* Each second, and at the end: waits in progress, and what walking their stacks has cost. The ring
 * has been read. */
void bpf_look(struct src_bpf *bpf);
/* What was lost since the last call, to bpf->sink. */
void bpf_tell_losses(struct src_bpf *bpf);
/* At the end. */
void bpf_tell_unsampled(struct src_bpf *bpf);
void bpf_tell_lost(struct src_bpf *bpf, enum loss_cause cause, uint64_t count);

#endif
