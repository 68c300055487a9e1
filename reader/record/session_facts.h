/* What a recording tells of itself in the table meta, when it begins and when it ends. */
#ifndef RSPROF_RECORD_SESSION_FACTS_H
#define RSPROF_RECORD_SESSION_FACTS_H

#include "reader/record/pump.h"
#include "reader/record/session.h"
#include "reader/record/symbol_worker.h"

enum { SESSION_FACTS_MAX = 40 };

struct session_facts {
	struct arena *arena; /* for the values */
	const struct session_config *config;
	const struct source_facts *source;
	struct store_fact items[SESSION_FACTS_MAX];
	size_t count;
};

void session_facts_begin(struct session_facts *facts);
void session_facts_end(struct session_facts *facts, const struct pump *pump,
		       const struct stack_share *share);

/* What counts the heap, or why nothing does. */
const char *session_heap_reason(const struct session_config *config,
				const struct source_facts *source);

#endif
