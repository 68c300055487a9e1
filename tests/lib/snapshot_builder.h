/* Snapshots by hand, for tests of what reads them. Everything is copied; ids are the indexes that
 * the snapshot has. Nothing is checked, so that a test can build what a damaged file would give. */
#ifndef RSPROF_TESTS_LIB_SNAPSHOT_BUILDER_H
#define RSPROF_TESTS_LIB_SNAPSHOT_BUILDER_H

#include "reader/core/snapshot.h"

struct snapshot_builder;

/* file and process of the snapshot are "rsprof.my-app.250106143022.db" and my-app (12345), its
 * length 5m23s, until told otherwise. */
struct snapshot_builder *builder_new(void);
void builder_free(struct snapshot_builder *builder); /* its snapshot too */

void builder_file(struct snapshot_builder *builder, const char *file);
void builder_start(struct snapshot_builder *builder, uint64_t unix_ns); /* of the recording */
void builder_window(struct snapshot_builder *builder, uint64_t from_ns, uint64_t to_ns);
void builder_meta(struct snapshot_builder *builder, const char *key, const char *value);
void builder_loss(struct snapshot_builder *builder, enum loss_cause cause, uint64_t count);
uint32_t builder_event(struct snapshot_builder *builder, const char *name, bool is_cpu);
uint32_t builder_thread(struct snapshot_builder *builder, uint32_t tid, const char *comm);
uint32_t builder_module(struct snapshot_builder *builder, const char *path);
uint32_t builder_location(struct snapshot_builder *builder, uint32_t module, const char *function,
			  const char *file, uint32_t line);
void builder_location_path(struct snapshot_builder *builder, uint32_t location, const char *path);
/* A frame that stands for these locations, innermost first. Its module is the first location's, its
 * quality what the line number tells. */
uint32_t builder_frame(struct snapshot_builder *builder, const uint32_t *locations, size_t count);
/* A frame of one location. */
uint32_t builder_frame_at(struct snapshot_builder *builder, uint32_t location);
uint32_t builder_node(struct snapshot_builder *builder, uint32_t parent, uint32_t frame);
/* Frames leaf first; nodes are shared with stacks that have the same callers. charged is a
 * location, or SNAPSHOT_NONE; raw is the first line of the leaf. */
uint32_t builder_stack(struct snapshot_builder *builder, const uint32_t *frames, size_t count,
		       enum stack_status status, uint32_t charged);
/* For a node made by hand. */
uint32_t builder_stack_at(struct snapshot_builder *builder, uint32_t node, enum stack_status status,
			  uint32_t charged, uint32_t raw);
void builder_row(struct snapshot_builder *builder, uint32_t event, uint32_t thread, uint32_t stack,
		 uint64_t count, uint64_t kernel_count, uint64_t value);

/* A row of waiting: value and count are its time and how often. */
void builder_wait(struct snapshot_builder *builder, uint32_t event, uint32_t thread, uint32_t stack,
		  enum wait_kind kind, uint64_t waits, uint64_t wait_ns, uint64_t run_ns);
void builder_step(struct snapshot_builder *builder, uint32_t recording, uint64_t time_ns,
		  const char *signal, const char *mode);

/* Of the heap. Polls in the order of time, the one that stands for what was before the window
 * first; rows in the order of their polls. Returns the poll's index. */
uint32_t builder_heap_poll(struct snapshot_builder *builder, struct snapshot_heap_poll poll);
void builder_heap_row(struct snapshot_builder *builder, uint32_t poll, uint32_t stack,
		      struct heap_counts counts);
/* By poll. */
void builder_heap_peak(struct snapshot_builder *builder, uint32_t poll, uint32_t stack,
		       uint64_t bytes);
/* Writes is_counted, live_bytes and live_blocks of all polls, as the rows tell them. */
void builder_heap_sum(struct snapshot_builder *builder);

/* The snapshot as it is now; valid until the builder is added to or freed. */
const struct snapshot *builder_snapshot(struct snapshot_builder *builder);

#endif
