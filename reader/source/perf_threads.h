/* Opening events on all threads of a running process, and what may stand in the way of it: what the
 * sources that use perf events have in common. */
#ifndef RSPROF_SOURCE_PERF_THREADS_H
#define RSPROF_SOURCE_PERF_THREADS_H

#include <stdint.h>
#include <sys/types.h>

#include "reader/source/source.h"
#include "reader/target/permit.h"
#include "reader/util/arena.h"
#include "reader/util/hash.h"
#include "reader/util/vec.h"

/* Whole sentences for source_facts. Zero-initialised is empty. */
struct perf_notes {
	VEC(const char *) list;
	struct arena arena;
};

/* The note is constant, or in notes->arena. */
void perf_notes_add(struct perf_notes *notes, const char *note);
void perf_notes_copy(const struct perf_notes *notes, struct arena *arena,
		     struct source_facts *facts);
void perf_notes_done(struct perf_notes *notes);

struct perf_threads;

struct perf_threads {
	const struct source_config *config;
	const struct permit *permit;
	struct perf_notes *notes;
	/* All events of one thread, or none of them: 0 or -errno; is_late: it was not in the first
	 * list. Where it fills err, nothing else is opened. */
	int (*open)(struct perf_threads *threads, pid_t tid, bool is_late, struct err *err);
	void *context;		 /* of open */
	size_t descriptors_each; /* that open takes */

	struct u64_map seen; /* tids */
	size_t descriptors_left;
	uint64_t descriptors_limit;
	uint32_t opened, no_room, failed;
	int first_error;
};

/* Raises the soft limit of descriptors to the hard one. */
void perf_raise_descriptor_limit(void);
/* ERR_USAGE where the kernel forbids so many samples a second. */
int perf_check_frequency(const struct source_config *config, const struct permit *permit,
			 struct err *err);
bool perf_is_refusal(int error);
/* Returns error, with the reason and a remedy. */
int perf_refuse(const struct source_config *config, const struct permit *permit, int error,
		const char *step, struct err *err);

/* Opens on all threads, until no new ones are found. Everything else that needs descriptors for the
 * whole recording is open by then. Zero-initialised but for the first members. */
int perf_threads_open(struct perf_threads *threads, struct err *err);
/* That found no room, or could not be opened. */
uint32_t perf_threads_not_opened(const struct perf_threads *threads);
void perf_threads_done(struct perf_threads *threads);

#endif
