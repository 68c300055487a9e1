/* A source file with what its lines cost: sums by line out of a snapshot, whatever function they
 * are of. Lines of an inlined helper are those of its own file. The terminal and `rsprof annotate`
 * share it. */
#ifndef RSPROF_VIEW_ANNOTATE_H
#define RSPROF_VIEW_ANNOTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader/core/snapshot.h"
#include "reader/util/err.h"

struct annotate_request {
	const char *event;  /* name of a recorded event that is no waiting; NULL: the CPU event */
	const char *thread; /* comm (exact) or tid, or NULL */
	bool include_internal, no_inline;
	bool without_sum; /* of the file, which costs as much time as its lines */
};

/* What is asked for: a file, and in it perhaps a line or a function. Own copies. */
struct annotate_target {
	char *file, *path; /* as locations have them; path may be NULL */
	uint32_t line;	   /* 0: none */
	char *function;	   /* NULL: none; without the arguments of generics */
};

void annotate_target_done(struct annotate_target *target);

/* LOCATION ("src/parser.rs:142", a tail of it, or a file) or FUNCTION (whole, its last components,
 * or a part). ERR_USAGE where it is not there (with what is near) or could be several (with their
 * shares). */
int annotate_find(const struct snapshot *snapshot, const struct annotate_request *request,
		  const char *wanted, struct annotate_target *ret_target, struct err *err);

struct annotate_line {
	uint32_t line;		   /* 0: of the file, at no known line */
	double self_pct, incl_pct; /* of all samples of the event in the window */
	uint64_t samples, incl_samples;
	double live_pct, wait_pct; /* of all that is live, and of all the time waited */
	uint64_t live_bytes, total_alloc_bytes; /* bytes that were asked for */
	bool is_estimate;			/* these bytes */
	bool is_least; /* what is live is more: blocks found no room to be tracked */
	uint64_t wait_ns;
};

struct annotation {
	struct arena arena;
	char *file, *path;		   /* path may be NULL */
	const struct annotate_line *lines; /* those that have anything, by number, 0 last */
	size_t line_count;
	const char *event; /* its name; NULL: no samples but waits */
	bool has_heap; /* it was counted; not where one thread is asked for: it is not kept so */
	bool has_wait; /* it was recorded */
	uint64_t total_samples;	  /* of the event, in the window */
	uint64_t start_unix_ns;	  /* of the first recording; 0 where the file does not tell */
	struct annotate_line sum; /* of the file, if it is asked for: no sample twice */
	/* The function's lines that have anything, the first and the last; 0: none, or no function
	 * is asked for. */
	uint32_t function_from, function_to;
};

/* The snapshot is no longer needed afterwards. ERR_USAGE: an event or a thread that is not there.
 */
int annotate_build(const struct snapshot *snapshot, const struct annotate_request *request,
		   const struct annotate_target *target, struct annotation **ret_annotation,
		   struct err *err);
void annotate_free(struct annotation *annotation); /* NULL allowed */
/* NULL: the line has nothing. */
const struct annotate_line *annotate_line_at(const struct annotation *annotation, uint32_t line);

/* Length of a function's name without the arguments of generics at its end, "apply" of "apply<int>"
 * and "apply::<u8>": all of them are one function of the source. */
size_t annotate_name_length(const char *function);

#endif
