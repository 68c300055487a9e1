#include "tests/lib/snapshot_builder.h"

#include <stdlib.h>
#include <string.h>

#include "reader/util/hash.h"
#include "reader/util/mem.h"
#include "reader/util/vec.h"

struct snapshot_builder {
	struct snapshot snapshot; /* its arena has the strings */
	struct snapshot_recording recording;
	VEC(struct snapshot_meta) meta;
	VEC(struct snapshot_event) events;
	VEC(struct snapshot_thread) threads;
	VEC(struct snapshot_module) modules;
	VEC(struct snapshot_location) locations;
	VEC(struct snapshot_frame) frames;
	VEC(uint32_t) lines;
	VEC(struct snapshot_node) nodes;
	VEC(struct snapshot_stack) stacks;
	VEC(struct snapshot_row) rows;
	VEC(struct snapshot_step) steps;
	VEC(struct snapshot_heap_poll) heap_polls;
	VEC(struct snapshot_heap_row) heap_rows;
	VEC(struct snapshot_heap_peak) heap_peaks;
	struct u64_map node_of; /* (parent, frame) → node */
};

enum { BUILDER_PID = 12345, BUILDER_SECONDS = 5 * 60 + 23 };

struct snapshot_builder *builder_new(void)
{
	struct snapshot_builder *builder = mem_zalloc(sizeof(*builder));
	struct snapshot *snapshot = &builder->snapshot;

	snapshot->duration_ns = BUILDER_SECONDS * UINT64_C(1000000000);
	snapshot->window_to_ns = UINT64_MAX;
	snapshot->file = "rsprof.my-app.250106143022.db";
	builder->recording = (struct snapshot_recording){
		.pid = BUILDER_PID,
		.process_name = "my-app",
		.exe_path = "/usr/bin/my-app",
		.command_line = "my-app",
		.duration_ns = snapshot->duration_ns,
		.is_finished = true,
	};
	snapshot->recordings = &builder->recording;
	snapshot->recording_count = 1;
	return builder;
}

void builder_free(struct snapshot_builder *builder)
{
	if (!builder)
		return;
	vec_done(&builder->meta);
	vec_done(&builder->events);
	vec_done(&builder->threads);
	vec_done(&builder->modules);
	vec_done(&builder->locations);
	vec_done(&builder->frames);
	vec_done(&builder->lines);
	vec_done(&builder->nodes);
	vec_done(&builder->stacks);
	vec_done(&builder->rows);
	vec_done(&builder->steps);
	vec_done(&builder->heap_polls);
	vec_done(&builder->heap_rows);
	vec_done(&builder->heap_peaks);
	u64_map_done(&builder->node_of);
	arena_done(&builder->snapshot.arena);
	free(builder);
}

static const char *keep(struct snapshot_builder *builder, const char *text)
{
	return arena_strdup(&builder->snapshot.arena, text);
}

void builder_file(struct snapshot_builder *builder, const char *file)
{
	builder->snapshot.file = keep(builder, file);
}

void builder_start(struct snapshot_builder *builder, uint64_t unix_ns)
{
	builder->recording.start_unix_ns = unix_ns;
}

void builder_window(struct snapshot_builder *builder, uint64_t from_ns, uint64_t to_ns)
{
	builder->snapshot.window_from_ns = from_ns;
	builder->snapshot.window_to_ns = to_ns;
}

void builder_meta(struct snapshot_builder *builder, const char *key, const char *value)
{
	*vec_add(&builder->meta) =
		(struct snapshot_meta){.key = keep(builder, key), .value = keep(builder, value)};
}

void builder_loss(struct snapshot_builder *builder, enum loss_cause cause, uint64_t count)
{
	builder->snapshot.losses.count[cause] = count;
}

uint32_t builder_event(struct snapshot_builder *builder, const char *name, bool is_cpu)
{
	*vec_add(&builder->events) = (struct snapshot_event){
		.name = keep(builder, name), .unit_name = "samples", .is_cpu = is_cpu};
	return (uint32_t)builder->events.count - 1;
}

uint32_t builder_thread(struct snapshot_builder *builder, uint32_t tid, const char *comm)
{
	*vec_add(&builder->threads) = (struct snapshot_thread){
		.pid = BUILDER_PID, .tid = tid, .comm = keep(builder, comm)};
	return (uint32_t)builder->threads.count - 1;
}

uint32_t builder_module(struct snapshot_builder *builder, const char *path)
{
	const char *slash = strrchr(path, '/');

	*vec_add(&builder->modules) = (struct snapshot_module){
		.path = keep(builder, path),
		.name = keep(builder, slash ? slash + 1 : path),
		.build_id = "",
		.kind = *path == '/' ? MODULE_FILE : MODULE_ANONYMOUS,
	};
	return (uint32_t)builder->modules.count - 1;
}

uint32_t builder_location(struct snapshot_builder *builder, uint32_t module, const char *function,
			  const char *file, uint32_t line)
{
	uint32_t index = (uint32_t)builder->locations.count;

	*vec_add(&builder->locations) = (struct snapshot_location){
		.function = keep(builder, function),
		.file = keep(builder, file),
		.line = line,
		.module = module,
		.address = index,
	};
	return index;
}

void builder_location_path(struct snapshot_builder *builder, uint32_t location, const char *path)
{
	builder->locations.items[location].path = keep(builder, path);
}

uint32_t builder_frame(struct snapshot_builder *builder, const uint32_t *locations, size_t count)
{
	const struct snapshot_location *first = &builder->locations.items[locations[0]];

	*vec_add(&builder->frames) = (struct snapshot_frame){
		.module = first->module,
		.vaddr = builder->frames.count,
		.quality = first->line ? SYMBOL_LINE : SYMBOL_FUNCTION,
		.is_resolved = true,
		.first_line = (uint32_t)builder->lines.count,
		.line_count = (uint32_t)count,
	};
	for (size_t i = 0; i < count; i++)
		*vec_add(&builder->lines) = locations[i];
	return (uint32_t)builder->frames.count - 1;
}

uint32_t builder_frame_at(struct snapshot_builder *builder, uint32_t location)
{
	return builder_frame(builder, &location, 1);
}

uint32_t builder_node(struct snapshot_builder *builder, uint32_t parent, uint32_t frame)
{
	*vec_add(&builder->nodes) = (struct snapshot_node){.parent = parent, .frame = frame};
	return (uint32_t)builder->nodes.count - 1;
}

uint32_t builder_stack(struct snapshot_builder *builder, const uint32_t *frames, size_t count,
		       enum stack_status status, uint32_t charged)
{
	uint32_t node = SNAPSHOT_NONE, raw = SNAPSHOT_NONE;

	for (size_t i = count; i-- > 0;) {
		uint64_t key = (uint64_t)node << 32 | frames[i];
		uint32_t known = u64_map_get(&builder->node_of, key);

		if (known == UINT32_MAX) {
			known = builder_node(builder, node, frames[i]);
			u64_map_put(&builder->node_of, key, known);
		}
		node = known;
	}
	if (count)
		raw = builder->lines.items[builder->frames.items[frames[0]].first_line];
	return builder_stack_at(builder, node, status, charged, raw);
}

uint32_t builder_stack_at(struct snapshot_builder *builder, uint32_t node, enum stack_status status,
			  uint32_t charged, uint32_t raw)
{
	*vec_add(&builder->stacks) = (struct snapshot_stack){
		.node = node, .status = status, .charged_location = charged, .raw_location = raw};
	return (uint32_t)builder->stacks.count - 1;
}

void builder_row(struct snapshot_builder *builder, uint32_t event, uint32_t thread, uint32_t stack,
		 uint64_t count, uint64_t kernel_count, uint64_t value)
{
	*vec_add(&builder->rows) = (struct snapshot_row){
		.event = event,
		.thread = thread,
		.stack = stack,
		.count = count,
		.kernel_count = kernel_count,
		.value = value,
	};
}

void builder_wait(struct snapshot_builder *builder, uint32_t event, uint32_t thread, uint32_t stack,
		  enum wait_kind kind, uint64_t waits, uint64_t wait_ns, uint64_t run_ns)
{
	*vec_add(&builder->rows) = (struct snapshot_row){
		.event = event,
		.thread = thread,
		.stack = stack,
		.kind = kind,
		.count = waits,
		.value = wait_ns,
		.run_ns = run_ns,
	};
}

void builder_step(struct snapshot_builder *builder, uint32_t recording, uint64_t time_ns,
		  const char *signal, const char *mode)
{
	*vec_add(&builder->steps) = (struct snapshot_step){
		.recording = recording,
		.time_ns = time_ns,
		.signal = keep(builder, signal),
		.mode = keep(builder, mode),
		.reason = "",
	};
}

uint32_t builder_heap_poll(struct snapshot_builder *builder, struct snapshot_heap_poll poll)
{
	*vec_add(&builder->heap_polls) = poll;
	return (uint32_t)builder->heap_polls.count - 1;
}

void builder_heap_row(struct snapshot_builder *builder, uint32_t poll, uint32_t stack,
		      struct heap_counts counts)
{
	*vec_add(&builder->heap_rows) = (struct snapshot_heap_row){poll, stack, counts};
}

void builder_heap_peak(struct snapshot_builder *builder, uint32_t poll, uint32_t stack,
		       uint64_t bytes)
{
	*vec_add(&builder->heap_peaks) = (struct snapshot_heap_peak){poll, stack, bytes};
}

void builder_heap_sum(struct snapshot_builder *builder)
{
	struct heap_counts *sums = mem_array(builder->stacks.count, sizeof(*sums));
	size_t row = 0;

	for (size_t i = 0; i < builder->heap_polls.count; i++) {
		struct heap_state *state = &builder->heap_polls.items[i].state;

		for (; row < builder->heap_rows.count && builder->heap_rows.items[row].poll <= i;
		     row++)
			heap_counts_add(&sums[builder->heap_rows.items[row].stack],
					&builder->heap_rows.items[row].counts);
		state->is_counted = true;
		state->live_bytes = state->live_blocks = 0;
		for (size_t stack = 0; stack < builder->stacks.count; stack++) {
			state->live_bytes += heap_live_bytes(&sums[stack]);
			state->live_blocks += heap_live_blocks(&sums[stack]);
		}
	}
	free(sums);
}

/* The longest time between two polls. */
static uint64_t heap_resolution(const struct snapshot_builder *builder)
{
	uint64_t longest = 0;

	for (size_t i = 1; i < builder->heap_polls.count; i++) {
		uint64_t time = builder->heap_polls.items[i].time_ns -
				builder->heap_polls.items[i - 1].time_ns;

		longest = time > longest ? time : longest;
	}
	return longest;
}

const struct snapshot *builder_snapshot(struct snapshot_builder *builder)
{
	struct snapshot *snapshot = &builder->snapshot;

	snapshot->meta = builder->meta.items;
	snapshot->meta_count = builder->meta.count;
	snapshot->events = builder->events.items;
	snapshot->event_count = builder->events.count;
	snapshot->threads = builder->threads.items;
	snapshot->thread_count = builder->threads.count;
	snapshot->modules = builder->modules.items;
	snapshot->module_count = builder->modules.count;
	snapshot->locations = builder->locations.items;
	snapshot->location_count = builder->locations.count;
	snapshot->frames = builder->frames.items;
	snapshot->frame_count = builder->frames.count;
	snapshot->lines = builder->lines.items;
	snapshot->line_count = builder->lines.count;
	snapshot->nodes = builder->nodes.items;
	snapshot->node_count = builder->nodes.count;
	snapshot->stacks = builder->stacks.items;
	snapshot->stack_count = builder->stacks.count;
	snapshot->steps = builder->steps.items;
	snapshot->step_count = builder->steps.count;
	snapshot->rows = builder->rows.items;
	snapshot->row_count = builder->rows.count;
	snapshot->heap_polls = builder->heap_polls.items;
	snapshot->heap_poll_count = builder->heap_polls.count;
	snapshot->heap_rows = builder->heap_rows.items;
	snapshot->heap_row_count = builder->heap_rows.count;
	snapshot->heap_peaks = builder->heap_peaks.items;
	snapshot->heap_peak_count = builder->heap_peaks.count;
	snapshot->heap_resolution_ns = heap_resolution(builder);
	return snapshot;
}
