#include "reader/source/heap_layers.h"

#include <string.h>

#include "reader/target/probe_point.h"
#include "reader/util/own.h"

_Static_assert((int)ALLOCATOR_LAYERS_MAX == (int)HEAP_LAYERS_MAX, "as many objects");
_Static_assert((int)ALLOCATOR_ALLOC == (int)HEAP_CALL_ALLOC &&
		       (int)ALLOCATOR_CALLOC == (int)HEAP_CALL_CALLOC &&
		       (int)ALLOCATOR_REALLOC == (int)HEAP_CALL_REALLOC &&
		       (int)ALLOCATOR_REALLOCARRAY == (int)HEAP_CALL_REALLOCARRAY &&
		       (int)ALLOCATOR_POSIX_MEMALIGN == (int)HEAP_CALL_POSIX_MEMALIGN &&
		       (int)ALLOCATOR_FREE == (int)HEAP_CALL_FREE &&
		       (int)ALLOCATOR_MMAP == (int)HEAP_CALL_MMAP &&
		       (int)ALLOCATOR_MUNMAP == (int)HEAP_CALL_MUNMAP &&
		       (int)ALLOCATOR_SBRK == (int)HEAP_CALL_SBRK,
	       "calls have the same numbers");

void heap_layers_init(struct heap_layers *layers, const struct target *target,
		      struct bpf_control *control, const struct heap_programs *programs)
{
	*layers = (struct heap_layers){
		.target = target,
		.control = control,
		.programs = programs,
		.finder = allocator_finder_new(),
	};
}

static void let_go(struct heap_layers *layers, struct heap_layer *layer)
{
	heap_probes_done(&layer->probes);
	layers->control->heap_layers[layer->slot].start = 0;
	layers->control->heap_layers[layer->slot].end = 0;
	vec_done(&layer->vaddrs);
}

void heap_layers_drop(struct heap_layers *layers)
{
	for (size_t i = 0; i < layers->list.count; i++)
		let_go(layers, &layers->list.items[i]);
	vec_clear(&layers->list);
	vec_clear(&layers->code);
}

void heap_layers_done(struct heap_layers *layers)
{
	heap_layers_drop(layers);
	vec_done(&layers->list);
	vec_done(&layers->code);
	str_done(&layers->joined);
	str_done(&layers->left);
	str_done(&layers->refused);
	allocator_finder_free(layers->finder);
	arena_done(&layers->arena);
	*layers = (struct heap_layers){0};
}

void heap_layers_drop_frees(struct heap_layers *layers)
{
	layers->without_frees = true;
	for (size_t i = 0; i < layers->list.count; i++)
		heap_probes_drop_frees(&layers->list.items[i].probes);
}

bool heap_layers_give_blocks(const struct heap_layers *layers)
{
	for (size_t i = 0; i < layers->list.count; i++) {
		if (layers->list.items[i].gives_blocks)
			return true;
	}
	return false;
}

/* ---- code */

bool heap_layers_read_code(struct heap_layers *layers)
{
	OWN(target_mappings_done) target_mappings mappings = {0};
	size_t before = layers->code.count, count = 0;
	uint64_t bytes = 0;
	bool has_changed = false;

	if (target_list_mappings(layers->target, &mappings) < 0 || !mappings.count)
		return false;
	vec_reserve(&layers->code, mappings.count);
	for (size_t i = 0; i < mappings.count; i++) {
		const struct target_mapping *mapping = &mappings.items[i];
		struct heap_code code = {
			.start = mapping->start,
			.device = (uint64_t)mapping->device_major << 32 | mapping->device_minor,
			.inode = mapping->inode,
		};

		if (!mapping->is_executable || !mapping->inode)
			continue;
		has_changed |=
			count >= before || memcmp(&layers->code.items[count], &code, sizeof(code));
		layers->code.items[count++] = code;
		bytes += mapping->end - mapping->start;
	}
	layers->code.count = count;
	layers->code_bytes = bytes;
	return has_changed || count != before;
}

/* ---- one layer */

static bool is_allocating(enum allocator_call call)
{
	return call == ALLOCATOR_ALLOC || call == ALLOCATOR_CALLOC || call == ALLOCATOR_REALLOC ||
	       call == ALLOCATOR_REALLOCARRAY || call == ALLOCATOR_POSIX_MEMALIGN;
}

/* A file may be mapped twice, and a probe is in each of its mappings. */
static bool is_known(const struct heap_layers *layers, const struct heap_layer *layer,
		     uint64_t vaddr)
{
	for (size_t i = 0; i < layers->list.count; i++) {
		const struct heap_layer *other = &layers->list.items[i];

		if (other->device != layer->device || other->inode != layer->inode)
			continue;
		for (size_t j = 0; j < other->vaddrs.count; j++) {
			if (other->vaddrs.items[j] == vaddr)
				return true;
		}
	}
	return false;
}

static struct heap_probe probe_of(const struct heap_layers *layers, const struct heap_layer *layer,
				  const struct allocator_function *function,
				  const struct probe_point *point)
{
	return (struct heap_probe){
		.file_offset = point->file_offset,
		.cookie = HEAP_COOKIE(function->call, layer->slot, function->size_argument,
				      function->pointer_argument, !point->is_emulated),
		.wants_return = !layers->without_returns && is_allocating(function->call),
		.is_free = function->call == ALLOCATOR_FREE,
	};
}

/* The functions of the layer that are not known yet. */
static size_t choose(const struct heap_layers *layers, struct heap_layer *layer,
		     const struct allocator_list *found, uint32_t index,
		     const struct allocator_function **functions)
{
	size_t count = 0;

	for (size_t i = 0; i < found->functions.count && count < ALLOCATOR_FUNCTIONS_MAX; i++) {
		const struct allocator_function *function = &found->functions.items[i];

		if (function->layer != index || is_known(layers, layer, function->vaddr))
			continue;
		if (layers->without_frees && function->call == ALLOCATOR_FREE)
			continue;
		*vec_add(&layer->vaddrs) = function->vaddr;
		if (function->may_throw)
			layer->throwing++;
		else
			functions[count++] = function;
	}
	return count;
}

static int probe(struct heap_layers *layers, struct heap_layer *layer,
		 const struct allocator_list *found, uint32_t index)
{
	const struct allocator_function *functions[ALLOCATOR_FUNCTIONS_MAX];
	struct probe_request requests[ALLOCATOR_FUNCTIONS_MAX];
	struct probe_point points[ALLOCATOR_FUNCTIONS_MAX];
	struct heap_probe probes[ALLOCATOR_FUNCTIONS_MAX];
	int fd = found->layers.items[index].fd, failed;
	size_t count = choose(layers, layer, found, index, functions);

	if (!count)
		return 0;
	for (size_t i = 0; i < count; i++)
		requests[i] = allocator_probe_request(functions[i]);
	failed = probe_points_find(fd, requests, count, points);
	if (failed)
		return failed;
	for (size_t i = 0; i < count; i++)
		probes[i] = probe_of(layers, layer, functions[i], &points[i]);
	failed = heap_probes_add(&layer->probes, layers->programs, layers->target->pid, fd, probes,
				 count);
	if (failed)
		return failed;
	for (size_t i = 0; i < count; i++) {
		layer->stepped += !points[i].is_emulated;
		layer->gives_blocks |= is_allocating(functions[i]->call);
	}
	layer->probed += (uint32_t)count;
	return 0;
}

/* ---- words */

static void add_name(const struct heap_layer *layer, struct str *text)
{
	if (strcmp(layer->kind, "Rust") == 0)
		str_add(text, "Rust's allocator");
	else if (strcmp(layer->kind, "libc") == 0)
		str_add(text, "mmap and sbrk");
	else
		str_addf(text, "%s%s", layer->kind,
			 str_ends(layer->kind, "malloc") ? "" : " malloc");
	str_addf(text, " in %s", layer->object);
}

static void add_functions(const struct heap_layer *layer, struct str *text)
{
	add_name(layer, text);
	str_addf(text, ": %u function%s", layer->probed, layer->probed == 1 ? "" : "s");
	if (layer->stepped)
		str_addf(text, ", %u of them single-stepped", layer->stepped);
	if (layer->throwing)
		str_addf(text, ", and %u of C++ not watched, since exceptions pass through them",
			 layer->throwing);
}

static void add_ns(struct str *text, uint32_t ns)
{
	str_addf(text, "%u.%02u µs", ns / 1000, ns % 1000 / 10);
}

void heap_layers_describe(const struct heap_layers *layers, const struct heap_prices *prices,
			  struct str *text)
{
	uint32_t stepped = 0, probed = 0;

	for (size_t i = 0; i < layers->list.count; i++) {
		const struct heap_layer *layer = &layers->list.items[i];

		if (!layer->probed)
			continue;
		str_add(text, probed ? "; " : "");
		add_functions(layer, text);
		probed += layer->probed;
		stepped += layer->stepped;
	}
	if (!probed)
		return;
	if (!stepped)
		str_add(text, ", each on an instruction that the kernel emulates");
	str_add(text, ". A call costs ");
	add_ns(text, prices->call_ns);
	str_add(text, ", its return ");
	add_ns(text, prices->return_ns);
	if (stepped) {
		str_add(text, ", a single-stepped call ");
		add_ns(text, prices->stepped_ns);
	}
	str_add(text, ", beside the time in programs.");
}

static void tell_joined(struct heap_layers *layers, const struct heap_layer *layer)
{
	str_add(&layers->joined, layers->joined.length ? "; " : "");
	add_functions(layer, &layers->joined);
}

static void tell_left(struct heap_layers *layers, const struct heap_layer *layer)
{
	if (!layer->probed)
		return;
	str_add(&layers->left, layers->left.length ? "; " : "");
	add_name(layer, &layers->left);
}

static void tell_refused(struct heap_layers *layers, const struct heap_layer *layer, int error)
{
	str_add(&layers->refused, layers->refused.length ? " " : "");
	add_name(layer, &layers->refused);
	str_addf(&layers->refused, " cannot be probed: %s.", strerror(-error));
}

/* ---- all of them */

/* Or HEAP_LAYERS_MAX. */
static uint32_t free_slot(const struct heap_layers *layers)
{
	uint32_t slot = 0;

	for (; slot < HEAP_LAYERS_MAX; slot++) {
		bool is_taken = false;

		for (size_t i = 0; i < layers->list.count; i++)
			is_taken |= layers->list.items[i].slot == slot;
		if (!is_taken)
			break;
	}
	return slot;
}

static struct heap_layer *find(struct heap_layers *layers, const struct allocator_layer *found)
{
	for (size_t i = 0; i < layers->list.count; i++) {
		struct heap_layer *layer = &layers->list.items[i];

		if (layer->device == found->device && layer->inode == found->inode &&
		    layer->bias == found->bias)
			return layer;
	}
	return NULL;
}

static void forget_missing(struct heap_layers *layers, const struct allocator_list *found)
{
	size_t kept = 0;

	for (size_t i = 0; i < layers->list.count; i++)
		layers->list.items[i].is_found = false;
	for (size_t i = 0; i < found->layers.count; i++) {
		struct heap_layer *layer = find(layers, &found->layers.items[i]);

		if (layer)
			layer->is_found = true;
	}
	for (size_t i = 0; i < layers->list.count; i++) {
		struct heap_layer *layer = &layers->list.items[i];

		if (layer->is_found) {
			layers->list.items[kept++] = *layer;
			continue;
		}
		tell_left(layers, layer);
		let_go(layers, layer);
	}
	layers->list.count = kept;
}

static struct heap_layer *add_layer(struct heap_layers *layers, const struct allocator_layer *found)
{
	uint32_t slot = free_slot(layers);
	struct heap_layer *layer;

	if (slot == HEAP_LAYERS_MAX)
		return NULL;
	layer = vec_add(&layers->list);
	*layer = (struct heap_layer){
		.device = found->device,
		.inode = found->inode,
		.bias = found->bias,
		.kind = arena_strdup(&layers->arena, found->kind),
		.object = arena_strdup(&layers->arena, found->object),
		.slot = slot,
		.is_found = true,
	};
	return layer;
}

/* Programs know where the object is before a probe is in it. */
static void take_layer(struct heap_layers *layers, const struct allocator_list *found,
		       uint32_t index)
{
	const struct allocator_layer *object = &found->layers.items[index];
	struct heap_layer *layer = find(layers, object);
	uint32_t before;
	int failed;

	if (!layer)
		layer = add_layer(layers, object);
	if (!layer)
		return;
	layer->text_start = object->text_start;
	layer->text_end = object->text_end;
	layers->control->heap_layers[layer->slot].start = object->text_start;
	layers->control->heap_layers[layer->slot].end = object->text_end;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	before = layer->probed;
	failed = probe(layers, layer, found, index);
	if (failed)
		tell_refused(layers, layer, failed);
	else if (layer->probed != before)
		tell_joined(layers, layer);
}

int heap_layers_update(struct heap_layers *layers)
{
	struct allocator_list found = {0};
	int failed = allocator_find(layers->finder, layers->target, &found);

	str_clear(&layers->joined);
	str_clear(&layers->left);
	str_clear(&layers->refused);
	if (failed) {
		/* To be looked at once more. */
		vec_clear(&layers->code);
		return failed;
	}
	forget_missing(layers, &found);
	for (size_t i = 0; i < found.layers.count; i++)
		take_layer(layers, &found, (uint32_t)i);
	layers->missing = arena_strdup(&layers->arena, found.missing);
	allocator_list_done(&found);
	return 0;
}
