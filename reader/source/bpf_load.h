/* The BPF programs and their maps, loaded, and the memory that is shared with them. All that knows
 * of libbpf and of the skeleton is behind this, but for the check (bpf_check.h). */
#ifndef RSPROF_SOURCE_BPF_LOAD_H
#define RSPROF_SOURCE_BPF_LOAD_H

#include <stdbool.h>

#include "bpf/shared.h"
#include "reader/source/bpf_waits.h"
#include "reader/source/heap_probes.h"
#include "reader/source/source.h"
#include "shm/ehframe.h"

enum {
	/* --unwind-memory: tables of 480 MB of code, where nothing else was asked for. */
	BPF_ARENA_BYTES_DEFAULT = 32 << 20,
	BPF_ARENA_BYTES_MIN = 64 << 10,
	/* The verifier refuses values of an array that are larger. */
	BPF_ARENA_BYTES_MAX = 1 << 29,
	/* A copied stack is 16 KiB, and the reader is woken at half of it. */
	BPF_RING_BYTES_MIN = 128 << 10,
	BPF_RING_BYTES_MAX = 1 << 30,
};

struct profile_bpf;
struct ring_buffer;

/* A part of memory that programs see as well. */
struct bpf_shared_memory {
	void *base;
	size_t bytes;
};

struct bpf_loaded {
	struct profile_bpf *skeleton;
	uint32_t copy_bytes; /* of a stack that the reader has to walk, at most */
	struct bpf_control *control;
	struct bpf_shared_memory arena, rules, code;
	uint64_t arena_bytes, ring_bytes;
	uint64_t arena_wanted_bytes; /* more than arena_bytes where the kernel allows no more */
	struct ring_buffer *ring;
	int ring_fd, threads_fd, stacks_fd, late_threads_fd;
	bool has_switches;
	/* Set by the caller before bpf_load: no better way of attaching is tried. 0 is the best. */
	enum heap_attach heap_attach;
	/* All of the heap only where config->heap asks for it. */
	bool has_heap;
	struct heap_programs heap_programs; /* the skeleton's descriptors */
	int heap_threads_fd, heap_sites_fd, heap_blocks_fd;
};

/* Loads what the configuration needs. The programs are not on. ERR_PERMISSION or ERR_GENERAL. To be
 * closed by the caller also after a failure.
 *
 * Where it fails with a heap that is not HEAP_MODE_OFF, the rest may work without: bpf_unload, and
 * bpf_load with a heap_attach one worse than heap_programs.attach was, or with a configuration
 * whose heap is HEAP_MODE_OFF. */
int bpf_load(struct bpf_loaded *loaded, const struct source_config *config, struct err *err);
void bpf_unload(struct bpf_loaded *loaded);

/* Attaches the program of an event to its descriptor; own_tid is not 0 for a thread that has events
 * of its own beside those it inherited: the descriptor that is returned then holds the program. 0,
 * a descriptor, or -errno. */
int bpf_attach_event(struct bpf_loaded *loaded, size_t event_index, int fd, uint32_t own_tid);

/* record: as bpf_record_decode; reads what is in the ring. */
int bpf_open_ring(struct bpf_loaded *loaded, int (*record)(void *, void *, size_t), void *context);
void bpf_read_ring(struct bpf_loaded *loaded);

/* Appends all threads of the map. */
typedef VEC(struct bpf_thread_state) bpf_thread_states;
void bpf_read_threads(struct bpf_loaded *loaded, bpf_thread_states *states);
/* Looks again: false where the thread is in another state by now. */
bool bpf_is_thread_still(struct bpf_loaded *loaded, const struct bpf_thread_state *state);
/* 0; -EEXIST where the programs know the thread by now. */
int bpf_add_thread(struct bpf_loaded *loaded, uint32_t tid, const struct bpf_thread *thread);
/* -E2BIG: no room. */
int bpf_add_late_thread(struct bpf_loaded *loaded, uint32_t tid);
void bpf_remove_late_thread(struct bpf_loaded *loaded, uint32_t tid);
void bpf_clear_late_threads(struct bpf_loaded *loaded);
/* Of the stacks that programs remember to have told. */
void bpf_clear_stacks(struct bpf_loaded *loaded);

/* Of the heap: appends what the maps hold now. What comes or goes meanwhile may be told or not;
 * what is there all the time is told once. */
struct bpf_heap_site_row {
	uint64_t key;
	struct bpf_heap_site site;
};
typedef VEC(struct bpf_heap_site_row) bpf_heap_site_rows;
void bpf_read_heap_sites(struct bpf_loaded *loaded, bpf_heap_site_rows *rows);

struct bpf_heap_thread_row {
	uint32_t tid;
	struct bpf_heap_thread thread;
};
typedef VEC(struct bpf_heap_thread_row) bpf_heap_thread_rows;
void bpf_read_heap_threads(struct bpf_loaded *loaded, bpf_heap_thread_rows *rows);
void bpf_remove_heap_thread(struct bpf_loaded *loaded, uint32_t tid);
/* No block is tracked any more. Ten million of them take some seconds. */
void bpf_clear_heap_blocks(struct bpf_loaded *loaded);

#endif
