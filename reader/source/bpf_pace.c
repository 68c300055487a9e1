#include "reader/source/bpf_pace.h"

double bpf_pace_overhead(const struct bpf_pace_second *second)
{
	uint64_t floor_ns = second->wall_ns * BPF_PACE_FLOOR_PCT / 100;
	uint64_t cpu_ns = second->cpu_ns > floor_ns ? second->cpu_ns : floor_ns;

	return cpu_ns ? 100.0 * (double)second->spent_ns / (double)cpu_ns : 0;
}

bool bpf_pace_step(struct bpf_pace *pace, const struct bpf_pace_second *second, uint32_t max_pct)
{
	double overhead = bpf_pace_overhead(second);

	if (overhead > max_pct) {
		pace->calm_s = 0;
		if (pace->mask >= BPF_PACE_MASK_MAX)
			return false;
		pace->mask = 2 * pace->mask + 1;
		return true;
	}
	if (overhead * BPF_PACE_LOW_SHARE >= max_pct || !pace->mask) {
		pace->calm_s = 0;
		return false;
	}
	if (++pace->calm_s < BPF_PACE_CALM_SECONDS)
		return false;
	pace->calm_s = 0;
	pace->mask /= 2;
	return true;
}

const char *bpf_pace_mode(uint32_t mask)
{
	static const char *const modes[] = {
		"bpf",
		"bpf, 1 of 2 stacks",
		"bpf, 1 of 4 stacks",
		"bpf, 1 of 8 stacks",
		"bpf, 1 of 16 stacks",
		"bpf, 1 of 32 stacks",
		"bpf, 1 of 64 stacks",
		"bpf, 1 of 128 stacks",
		"bpf, 1 of 256 stacks",
		"bpf, 1 of 512 stacks",
		"bpf, 1 of 1024 stacks",
	};
	uint32_t at = 0;

	_Static_assert(1 << (sizeof(modes) / sizeof(modes[0]) - 1) == BPF_PACE_MASK_MAX + 1,
		       "a name for each");
	while (mask >> at && at + 1 < sizeof(modes) / sizeof(modes[0]))
		at++;
	return modes[at];
}
