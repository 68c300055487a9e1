/* The heap in the bpf source, inside. Private to bpf_heap*.c. */
#ifndef RSPROF_SOURCE_BPF_HEAP_PARTS_H
#define RSPROF_SOURCE_BPF_HEAP_PARTS_H

#include "reader/source/bpf_heap.h"
#include "reader/source/heap_keeper.h"
#include "reader/source/heap_layers.h"
#include "reader/source/heap_threads.h"

struct bpf_heap {
	struct source_config config;
	struct bpf_loaded *loaded;
	struct bpf_control *control;
	struct heap_programs programs;
	struct heap_keeper keeper;
	struct heap_layers layers;
	struct heap_books books;
	struct heap_threads threads;
	struct heap_pace pace;
	struct arena arena; /* of what steps say */
	VEC(struct delta_step) steps;
	size_t steps_told;
	bpf_heap_thread_rows rows;
	bpf_heap_site_rows sites;
	VEC(uint32_t) ended; /* threads, since the last look */
	uint64_t exec_count; /* of the program that the layers are of */
	uint64_t start_ns;
	uint64_t look_ns, next_look_ns; /* of the last look, and when the next is due */
	const char *last_missing;	/* what layers had to say before */
	uint64_t due_ns;		/* when probes are to be placed; 0: they are */
	bool was_counted;		/* functions that allocate have been probed */
	bool was_watched;		/* any have been */
	bool has_begun;			/* there was an exec */
	bool is_open, is_stopped, told_missing, told_end;
};

/* Of a child that is to exec nothing is looked at before. */
bool bpf_heap_is_foreign(const struct bpf_heap *heap);
/* There was an exec since the layers were looked for. */
bool bpf_heap_is_replaced(const struct bpf_heap *heap);
/* The reason is copied. */
void bpf_heap_add_step(struct bpf_heap *heap, uint64_t time_ns, const char *reason);
/* pace.mode has changed. */
void bpf_heap_enter_mode(struct bpf_heap *heap);
/* Looks through code that is new; probes are placed in a while. */
void bpf_heap_probe_new(struct bpf_heap *heap);
void bpf_heap_place_probes(struct bpf_heap *heap);

#endif
