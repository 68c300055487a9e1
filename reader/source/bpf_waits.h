/* The books of waiting: waits that ended, and those in progress, become events so that the time
 * told of a thread is exactly the time that it waited.
 *
 * Ended waits come as records; those of one thread, stack and kind are summed until the next flush.
 * A wait in progress is credited from time to time with what has passed of it; when its record
 * comes, the rest is told. Programs end a wait in two steps, record and map, in between which the
 * reader may look into the map: a wait whose record has been seen is not credited again, and what
 * was credited beyond its end is owed by the thread's next waits. */
#ifndef RSPROF_SOURCE_BPF_WAITS_H
#define RSPROF_SOURCE_BPF_WAITS_H

#include <stdbool.h>

#include "bpf/shared.h"
#include "reader/source/bpf_stacks.h"
#include "reader/source/source.h"

/* A thread as it is in the map. */
struct bpf_thread_state {
	uint32_t tid;
	struct bpf_thread thread;
};

struct bpf_wait_sum {
	uint32_t tid, kind;
	uint64_t stack;
	uint64_t waits, wait_ns, run_ns, newest_ns;
};

/* A wait of a thread: in progress, or the last one that ended. */
struct bpf_wait_credit {
	uint32_t tid;
	uint32_t round; /* in which it was touched */
	uint64_t since_ns;
	uint64_t credited_ns; /* told of it so far */
	uint64_t owed_ns;     /* told too much */
	bool has_ended;	      /* its record has been seen */
};

struct bpf_waits {
	uint32_t target_pid, event_index;
	/* What was before is not told. UINT64_MAX: nothing is, yet. */
	uint64_t start_ns;
	struct bpf_stacks stacks;
	VEC(struct bpf_wait_sum) sums;
	struct u64_map sum_by_key;
	VEC(struct bpf_wait_credit) credits;
	struct u64_map credit_by_tid;
	uint32_t round;
	uint64_t stackless; /* waits told without the stack that they name, since the beginning */
};

void bpf_waits_init(struct bpf_waits *waits, uint32_t target_pid, uint32_t event_index);
void bpf_waits_done(struct bpf_waits *waits);

void bpf_waits_add(struct bpf_waits *waits, const struct bpf_wait *wait);
/* Credits the waits in progress. now_ns was read before the states were. is_last: programs are off,
 * all their records were added, and what threads ran is told, too. */
void bpf_waits_progress(struct bpf_waits *waits, uint64_t now_ns,
			const struct bpf_thread_state *states, size_t count, bool is_last);
/* The wait in this state was credited before, or has ended. One that was not should be looked at
 * twice: programs write states in several steps. */
bool bpf_waits_knows(const struct bpf_waits *waits, const struct bpf_thread_state *state);
/* Hands over what was summed. */
void bpf_waits_flush(struct bpf_waits *waits, source_sink sink, void *context);

#endif
