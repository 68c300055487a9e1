/* Trees of calls of profiles made by hand, told as text. */
#ifndef RSPROF_TESTS_UNIT_CALLS_RIG_H
#define RSPROF_TESTS_UNIT_CALLS_RIG_H

#include <stdlib.h>

#include "reader/util/hash.h"
#include "reader/util/mem.h"
#include "reader/view/callers.h"
#include "reader/view/flame.h"
#include "tests/lib/kit.h"
#include "tests/lib/model_builder.h"
#include "tests/lib/sample_profile.h"

/* A model that is one test's. */
struct rig {
	struct snapshot_builder *profile;
	struct model_builder *models;
	struct model *model;
};

static inline struct rig rig_of(struct snapshot_builder *profile,
				const struct model_request *request)
{
	struct rig rig = {.profile = profile, .models = model_builder_new(profile)};

	rig.model = model_builder_build(rig.models, request);
	return rig;
}

static inline void rig_done(struct rig *rig)
{
	model_builder_free(rig->models);
	builder_free(rig->profile);
}

/* "main 0/85 {parse_header 40/70 {…}}": self and total, children in their order. */
static inline void tell(struct calls *calls, uint32_t node, bool has_self, FILE *to)
{
	uint32_t first, count;

	fprintf(to, "%s ", calls_name(calls, node));
	if (has_self)
		fprintf(to, "%" PRIu64 "/", calls_node(calls, node)->self);
	fprintf(to, "%" PRIu64, calls_node(calls, node)->total);
	calls_expand(calls, node);
	first = calls_node(calls, node)->first_child;
	count = calls_node(calls, node)->child_count;
	for (uint32_t i = 0; i < count; i++) {
		fputs(i ? ", " : " {", to);
		tell(calls, first + i, has_self, to);
	}
	if (count)
		fputc('}', to);
}

static inline void check_told(struct calls *calls, uint32_t node, bool has_self, const char *want)
{
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	tell(calls, node, has_self, to);
	fclose(to);
	CHECK_EQ_STR(text, want);
	free(text);
}

/* A model without rows of tables, for snapshots of which none could be made by hand. */
static inline struct rig bare_rig(struct snapshot_builder *profile)
{
	struct rig rig = {.profile = profile, .models = model_builder_new(profile)};

	rig.model = mem_zalloc(sizeof(*rig.model));
	rig.model->snapshot = (struct snapshot *)builder_snapshot(rig.profile);
	rig.model->cpu = mem_zalloc(sizeof(*rig.model->cpu));
	rig.model->cpu->event = rig.model->snapshot->events;
	return rig;
}

static inline void bare_rig_done(struct rig *rig)
{
	free(rig->model->cpu);
	free(rig->model);
	rig_done(rig);
}

/* Two lines of f in one module, and an f in another. */
static inline struct snapshot_builder *functions_of_one_name(void)
{
	struct snapshot_builder *b = builder_new();
	uint32_t cpu = builder_event(b, "cpu-clock", true), thread = builder_thread(b, 1, "a");
	uint32_t app = builder_module(b, "/bin/app"), lib = builder_module(b, "/lib/lib.so");
	uint32_t main_frame = builder_frame_at(b, builder_location(b, app, "main", "m.c", 1));
	uint32_t cold = builder_location(b, app, "f", "f.c", 10);
	uint32_t hot = builder_location(b, app, "f", "f.c", 20);
	uint32_t other = builder_location(b, lib, "f", "f.c", 30);
	uint32_t cold_frame = builder_frame_at(b, cold), hot_frame = builder_frame_at(b, hot);
	uint32_t other_frame = builder_frame_at(b, other);
	uint32_t cold_stack =
		builder_stack(b, (uint32_t[]){cold_frame, main_frame}, 2, STACK_COMPLETE, cold);
	uint32_t hot_stack =
		builder_stack(b, (uint32_t[]){hot_frame, main_frame}, 2, STACK_COMPLETE, hot);
	uint32_t other_stack = builder_stack(b, (uint32_t[]){other_frame, main_frame}, 2,
					     STACK_USED_FRAME_POINTERS, other);

	builder_row(b, cpu, thread, cold_stack, 3, 0, 3);
	builder_row(b, cpu, thread, hot_stack, 4, 0, 4);
	builder_row(b, cpu, thread, other_stack, 5, 0, 5);
	return b;
}

static inline void check_search(struct flame *flame, const char *pattern, uint64_t want)
{
	flame_search(flame, pattern);
	if (flame->matched != want)
		FAIL("\"%s\" matches %" PRIu64 ", not %" PRIu64, pattern ? pattern : "(null)",
		     flame->matched, want);
}

static inline uint32_t next_random(uint64_t *seed, uint32_t below)
{
	*seed = hash_u64(*seed + 1);
	return (uint32_t)(*seed % below);
}

#endif
