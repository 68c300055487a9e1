#include "reader/record/resolve.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "reader/core/attribute.h"
#include "reader/record/charge.h"
#include "reader/symbol/symbol.h"
#include "reader/target/elf_image.h"
#include "reader/util/hash.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/util/vec.h"

struct late {
	struct snapshot *snapshot;
	struct symbolizer *symbolizer;
	struct module *modules; /* by the snapshot's index */
	bool *is_usable;	/* the file is there and the same build */
	enum frame_base *bases; /* by frame */
	VEC(struct snapshot_location) locations;
	struct str_map known; /* key → location */
	VEC(uint32_t) lines;
};

/* The file at the module's path, if it is the build that was recorded. Without a build-id nothing
 * tells builds apart, and a wrong name is worse than none. */
static bool open_module(struct late *late, uint32_t index)
{
	const struct snapshot_module *from = &late->snapshot->modules[index];
	struct module *module = &late->modules[index];
	char build_id[2 * BUILD_ID_MAX + 1];
	struct elf_image image;

	module->id.v = index;
	module->kind = from->kind;
	module->path = (char *)from->path;
	module->name = (char *)from->name;
	module->fd = -1;
	if (from->kind != MODULE_FILE || !from->build_id[0])
		return false;
	module->fd = open(from->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (module->fd < 0 || elf_image_read(module->fd, &image) < 0)
		return false;
	memcpy(module->build_id, image.build_id, sizeof(module->build_id));
	module->build_id_size = image.build_id_size;
	if (strcmp(module_build_id_text(module, build_id), from->build_id))
		return false;
	module->segment_count = image.segment_count;
	module->segments = mem_copy(image.segments, sizeof(image.segments));
	return true;
}

/* What tells locations apart, as one string; control characters cannot be in the parts that matter.
 */
static char *location_key(const struct snapshot_location *location)
{
	struct str key = {0};

	str_addf(&key, "%u\n%u\n%s\n%s\n%s", location->module, location->line, location->function,
		 location->file, location->path ? location->path : "");
	return key.text;
}

static uint32_t add_location(struct late *late, uint32_t module, uint64_t address,
			     const struct source_line *line)
{
	struct arena *arena = &late->snapshot->arena;
	struct snapshot_location location = {
		.function = line->function,
		.file = line->file,
		.path = line->path,
		.line = line->line,
		.module = module,
		.address = address,
	};
	OWN(own_free) char *key = location_key(&location);
	uint32_t index = str_map_get(&late->known, key);

	if (index != UINT32_MAX)
		return index;
	index = (uint32_t)late->locations.count;
	location.function = arena_strdup(arena, line->function);
	location.file = arena_strdup(arena, line->file);
	location.path = arena_strdup(arena, line->path);
	*vec_add(&late->locations) = location;
	str_map_put(&late->known, key, index);
	return index;
}

static void learn_locations(struct late *late)
{
	for (size_t i = 0; i < late->snapshot->location_count; i++) {
		const struct snapshot_location *location = &late->snapshot->locations[i];
		OWN(own_free) char *key = location_key(location);

		*vec_add(&late->locations) = *location;
		str_map_put(&late->known, key, (uint32_t)i);
	}
}

static void resolve_frame(struct late *late, uint32_t index)
{
	struct snapshot_frame *frame = &late->snapshot->frames[index];
	struct symbol_answer answer;

	symbolizer_resolve(late->symbolizer, &late->modules[frame->module], frame->vaddr, &answer);
	frame->quality = answer.quality;
	frame->is_resolved = true;
	late->bases[index] = answer.base;
	frame->first_line = (uint32_t)late->lines.count;
	frame->line_count = (uint32_t)answer.line_count;
	for (size_t i = 0; i < answer.line_count; i++) {
		uint64_t address = (uint64_t)frame->module << 48 | (frame->vaddr & 0xffffffffffff);

		*vec_add(&late->lines) =
			add_location(late, frame->module, address, &answer.lines[i]);
	}
}

/* Statuses that waited for names. */
static void judge_stacks(struct late *late)
{
	struct snapshot *snapshot = late->snapshot;

	for (size_t i = 0; i < snapshot->stack_count; i++) {
		struct snapshot_stack *stack = &snapshot->stacks[i];
		struct frame_verdict verdicts[EVENT_FRAMES_MAX];
		size_t count = 0;

		if (stack->status != STACK_FRAME_POINTERS)
			continue;
		for (uint32_t node = stack->node; node != SNAPSHOT_NONE && count < EVENT_FRAMES_MAX;
		     node = snapshot->nodes[node].parent) {
			uint32_t index = snapshot->nodes[node].frame;
			const struct snapshot_frame *frame = &snapshot->frames[index];
			const struct snapshot_location *outermost =
				&snapshot->locations[snapshot->lines[frame->first_line +
								     frame->line_count - 1]];

			verdicts[count++] = (struct frame_verdict){
				.is_root = attribute_is_root(outermost->function,
							     snapshot->modules[frame->module].path),
				.base = late->bases[index],
			};
		}
		stack->status = stack_verdict(stack->status, verdicts, count);
	}
}

void resolve_late(struct snapshot *snapshot)
{
	struct late late = {.snapshot = snapshot};

	late.symbolizer = symbolizer_new();
	late.modules = mem_array(snapshot->module_count, sizeof(*late.modules));
	late.is_usable = mem_array(snapshot->module_count, sizeof(*late.is_usable));
	late.bases = mem_array(snapshot->frame_count, sizeof(*late.bases));
	for (uint32_t i = 0; i < snapshot->module_count; i++)
		late.is_usable[i] = open_module(&late, i);
	learn_locations(&late);
	for (size_t i = 0; i < snapshot->line_count; i++)
		*vec_add(&late.lines) = snapshot->lines[i];

	snapshot->unresolved_count = 0;
	for (uint32_t i = 0; i < snapshot->frame_count; i++) {
		if (snapshot->frames[i].is_resolved)
			continue;
		if (late.is_usable[snapshot->frames[i].module])
			resolve_frame(&late, i);
		else
			snapshot->unresolved_count++;
	}
	snapshot->locations = arena_copy(&snapshot->arena, late.locations.items,
					 late.locations.count * sizeof(*snapshot->locations));
	snapshot->location_count = late.locations.count;
	snapshot->lines = arena_copy(&snapshot->arena, late.lines.items,
				     late.lines.count * sizeof(*snapshot->lines));
	snapshot->line_count = late.lines.count;
	judge_stacks(&late);
	snapshot_recharge(snapshot);

	symbolizer_free(late.symbolizer);
	for (size_t i = 0; i < snapshot->module_count; i++) {
		if (late.modules[i].fd >= 0)
			close(late.modules[i].fd);
		free(late.modules[i].segments);
	}
	free(late.modules);
	free(late.is_usable);
	free(late.bases);
	vec_done(&late.locations);
	vec_done(&late.lines);
	str_map_done(&late.known);
}
