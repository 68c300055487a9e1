/* What walking the stacks of waits may cost: predicted each second from what it cost in the second
 * before, and held below the share that was allowed by walking one stack of N. */
#ifndef RSPROF_SOURCE_BPF_PACE_H
#define RSPROF_SOURCE_BPF_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	/* One of 1,024: 50 walks a second where a target switches 50,000 times. */
	BPF_PACE_MASK_MAX = 1023,
	/* Seconds of low cost before more is walked again, so that it does not go to and fro. */
	BPF_PACE_CALM_SECONDS = 5,
	/* Low is below this part of what is allowed: twice as much is then still half of it. */
	BPF_PACE_LOW_SHARE = 4,
	/* What a target that does next to nothing is taken to use, in per cent of a CPU: a small
	 * cost is not large because it is divided by less. */
	BPF_PACE_FLOOR_PCT = 1,
};

struct bpf_pace {
	uint32_t mask;	 /* a stack is walked where a random number & mask is 0 */
	uint32_t calm_s; /* seconds of low cost so far */
};

/* What happened in one second (or however long wall_ns is). */
struct bpf_pace_second {
	uint64_t spent_ns;	  /* in the programs */
	uint64_t wall_ns, cpu_ns; /* of the target */
};

/* Per cent of the target's CPU time. */
double bpf_pace_overhead(const struct bpf_pace_second *second);
/* Returns whether the mask has changed. */
bool bpf_pace_step(struct bpf_pace *pace, const struct bpf_pace_second *second, uint32_t max_pct);
/* "bpf, 1 of 8 stacks"; constant. */
const char *bpf_pace_mode(uint32_t mask);

#endif
