/* The objects of the target whose allocating functions are probed: found by the mappings, planned,
 * probed, and let go when they are unmapped. */
#ifndef RSPROF_SOURCE_HEAP_LAYERS_H
#define RSPROF_SOURCE_HEAP_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/shared.h"
#include "reader/source/heap_calibrate.h"
#include "reader/source/heap_probes.h"
#include "reader/target/allocator.h"
#include "reader/util/arena.h"
#include "reader/util/str.h"
#include "reader/util/vec.h"

/* A mapping of a file's code, as far as it tells objects that join and leave. */
struct heap_code {
	uint64_t start, device, inode;
};

struct heap_layer {
	uint64_t device, inode, bias;
	uint64_t text_start, text_end;
	const char *kind, *object; /* in the layers' arena */
	uint32_t slot;		   /* in control.heap_layers */
	struct heap_probes probes;
	VEC(uint64_t) vaddrs;		    /* of the functions that are probed, or will never be */
	uint32_t probed, stepped, throwing; /* functions; stepped are of those probed */
	bool gives_blocks;		    /* a function that allocates is among them */
	bool is_found;			    /* by the look under way */
};

struct heap_layers {
	const struct target *target;
	struct bpf_control *control;
	const struct heap_programs *programs;
	struct allocator_finder *finder;
	struct arena arena;
	VEC(struct heap_layer) list;
	VEC(struct heap_code) code;
	uint64_t code_bytes;  /* of these mappings */
	const char *missing;  /* where nothing was found: what was looked for */
	struct str joined;    /* what the last update probed, "; " in between */
	struct str left;      /* and what is no longer mapped */
	struct str refused;   /* and what it could not: sentences */
	bool without_frees;   /* frees are not probed, or not any more */
	bool without_returns; /* nor the returns of what allocates */
};

void heap_layers_init(struct heap_layers *layers, const struct target *target,
		      struct bpf_control *control, const struct heap_programs *programs);
void heap_layers_done(struct heap_layers *layers); /* takes all probes away */

/* Reads the target's mappings: whether other code is mapped than at the last call. */
bool heap_layers_read_code(struct heap_layers *layers);
/* Probes what is new, lets go what is no longer mapped. 0, or -errno where the target is gone. */
int heap_layers_update(struct heap_layers *layers);
void heap_layers_drop_frees(struct heap_layers *layers);
/* All probes; forgets the layers, and the code. */
void heap_layers_drop(struct heap_layers *layers);

/* Functions that allocate are probed, and not only those that ask the kernel for memory. */
bool heap_layers_give_blocks(const struct heap_layers *layers);
/* "glibc malloc in libc.so.6: 10 functions, 2 of them single-stepped; …" and a sentence of the
 * prices. */
void heap_layers_describe(const struct heap_layers *layers, const struct heap_prices *prices,
			  struct str *text);

#endif
