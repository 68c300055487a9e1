/* Models by hand, for tests of panes and of what charts are drawn from: a snapshot of a snapshot
 * builder, and a timeline bucket by bucket, whose indexes nothing checks. */
#ifndef RSPROF_TESTS_LIB_MODEL_BUILDER_H
#define RSPROF_TESTS_LIB_MODEL_BUILDER_H

#include "reader/view/model.h"
#include "tests/lib/snapshot_builder.h"

struct model_builder;

/* The snapshot is the test's and lives longer. */
struct model_builder *model_builder_new(struct snapshot_builder *snapshot);
/* The models that it built too, which nobody else may hold. */
void model_builder_free(struct model_builder *builder);

/* Of the timeline; the builder keeps the order of bucket, row and heap row as they come. */
void model_builder_from(struct model_builder *builder, uint64_t from_ns);
void model_builder_bucket(struct model_builder *builder, struct timeline_bucket bucket);
void model_builder_row(struct model_builder *builder, struct timeline_row row);
void model_builder_heap_row(struct model_builder *builder, struct timeline_heap_row row);
void model_builder_held(struct model_builder *builder, uint32_t stack, uint64_t live_bytes);
/* The chart has all that was added until now, the tail the last of it; request NULL: the whole
 * profile, the chart the last 60 s. The snapshot may not be added to any more. */
struct model *model_builder_build(struct model_builder *builder,
				  const struct model_request *request);

#endif
