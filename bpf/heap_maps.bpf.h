/* What programs know of the heap. Sizes that are 1 here are set by the loader. */
#ifndef RSPROF_BPF_HEAP_MAPS_BPF_H
#define RSPROF_BPF_HEAP_MAPS_BPF_H

#include "bpf/maps.bpf.h"

/* Tables of Poisson sampling, in units of 1 / 65536: -ln(1 - i / HEAP_TABLE_MAX), and
 * x / (1 - exp(-x)) for x = i * HEAP_WEIGHT_SPAN / HEAP_TABLE_MAX. */
const volatile __u32 heap_gaps[HEAP_TABLE_MAX + 1] = {0};
const volatile __u32 heap_weights[HEAP_TABLE_MAX + 1] = {0};

/* These programs run where memory may be had, and a map for millions of blocks is not to be filled
 * before there are any. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BPF_THREADS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct bpf_heap_thread);
} heap_threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct bpf_heap_site);
} heap_sites SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct bpf_heap_block);
} heap_blocks SEC(".maps");

/* A program may be preempted by another thread that runs the same one, so that a room belongs to
 * whoever took it, not to a CPU. */
struct heap_room {
	__u64 is_taken;
	struct scratch scratch;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct heap_room);
} heap_rooms SEC(".maps");

#endif
