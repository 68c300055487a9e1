/* The list of code that BPF programs look addresses up in, and its publication (bpf/shared.h). */
#ifndef RSPROF_SOURCE_BPF_CODE_H
#define RSPROF_SOURCE_BPF_CODE_H

#include "bpf/shared.h"
#include "reader/source/bpf_arena.h"
#include "reader/source/source.h"

struct bpf_publisher {
	struct bpf_arena arena;
	struct bpf_code_lists *lists;
	struct ehframe_rule *rules; /* BPF_RULES_MAX of them */
	struct bpf_control *control;

	const struct unwind_rules *told_rules; /* whose rules they are */
	uint32_t rules_told;
	VEC(struct source_code) last; /* as it was published */
	uint64_t last_epoch;
	/* Since the beginning. */
	uint64_t tables_full; /* tables that found no room */
	uint64_t code_full;   /* mappings beyond the list, at the worst moment */
};

/* As set_code of a source: code is sorted by start, tables live as long as the publisher. Where
 * what was published last does not hold any more, control->code_generation is another one
 * afterwards. */
void bpf_publish(struct bpf_publisher *publisher, uint64_t epoch, const struct source_code *code,
		 size_t count, const struct unwind_rules *rules);
void bpf_publisher_done(struct bpf_publisher *publisher);

#endif
