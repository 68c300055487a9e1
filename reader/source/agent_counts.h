/* The counters in an agent's memory, read again and again: what they came to by stack, and the
 * differences as events. A counter only grows; one that went back, or further than time allows, is
 * not believed in that look, and counted as a bad record.
 *
 * Frees are read first, of all lanes, then allocations: a block that is freed meanwhile has its
 * allocation in the same look. */
#ifndef RSPROF_SOURCE_AGENT_COUNTS_H
#define RSPROF_SOURCE_AGENT_COUNTS_H

#include "reader/source/agent_memory.h"
#include "reader/source/heap_told.h"
#include "reader/source/source.h"
#include "reader/util/hash.h"
#include "reader/util/vec.h"

struct agent_site {
	struct heap_counts seen; /* all lanes together */
	struct heap_told told;	 /* of seen */
	bool is_dirty;
	bool is_inherited; /* its blocks are from before: only their frees come */
	bool is_stack_told;
};

/* What was read of consecutive sites of one lane. */
struct agent_block;

/* Zero-initialised is empty and usable. */
struct agent_counts {
	uint32_t pid;
	uint64_t first_key; /* sites are told as first_key + number */
	bool is_estimate;   /* of samples: each allocation is an estimate */
	VEC(struct agent_site) sites;
	VEC(uint32_t) dirty;
	struct u64_map block_of;
	VEC(struct agent_block *) blocks;
	uint64_t most_calls; /* that a lane can have counted by now */
	uint32_t first_site;
	bool has_read;
	bool is_forked;
	/* All in all. */
	uint64_t inherited_frees, calls, bad;
	uint64_t alloc_bytes, free_bytes, growth_bytes; /* as far as they were believed */
	uint8_t *buffer;
};

/* Hands over the stack of a site; false: it is not there yet. */
typedef bool (*agent_tell_stack)(void *context, uint32_t site);

void agent_counts_done(struct agent_counts *counts);
/* Reads what has changed. The region has been refreshed. 0, or -EBADMSG: it ends before its end. */
int agent_counts_read(struct agent_counts *counts, const struct agent_region *region,
		      uint64_t now_ns);
/* Tells it. A site whose stack is not there yet waits; is_last: it does not. */
void agent_counts_tell(struct agent_counts *counts, uint64_t time_ns, bool is_last,
		       agent_tell_stack tell_stack, void *stack_context, source_sink sink,
		       void *context);
/* Its stack was told, or it has none. */
bool agent_counts_is_told(const struct agent_counts *counts, uint32_t number);
/* Of sites below end: what is alive is told as untracked, since its frees will not be seen. */
void agent_counts_write_off(struct agent_counts *counts, uint32_t end, uint64_t time_ns,
			    source_sink sink, void *context);
/* From now on blocks of sites below are from before. */
void agent_counts_set_first(struct agent_counts *counts, uint32_t first_site);

#endif
