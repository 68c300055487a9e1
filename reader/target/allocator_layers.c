#include "reader/target/allocator_layers.h"

#include <string.h>

#include "reader/target/allocator_names.h"
#include "reader/util/own.h"

void add_missing(struct search *search, const char *sentence)
{
	str_addf(&search->missing, "%s%s", search->missing.length ? " " : "", sentence);
}

/* ---- which symbols */

bool symbol_is_exported(const struct allocator_file *file, const struct allocator_symbol *symbol)
{
	for (size_t i = 0; i < file->symbols.count; i++) {
		const struct allocator_symbol *at = &file->symbols.items[i];

		if (at->is_dynamic && !at->is_local && at->vaddr == symbol->vaddr)
			return true;
	}
	return false;
}

static bool is_chosen(const struct allocator_file *file, const struct allocator_symbol *symbol,
		      const struct choice *choice)
{
	unsigned family = 1U << allocator_names[symbol->name].family;

	if (!(choice->families & family) || symbol->is_ifunc || symbol->is_wrapper)
		return false;
	return !(choice->hidden_only & family) || !symbol_is_exported(file, symbol);
}

static int compare_symbols(const void *a, const void *b)
{
	const struct allocator_symbol *one = *(const struct allocator_symbol *const *)a;
	const struct allocator_symbol *other = *(const struct allocator_symbol *const *)b;

	if (one->vaddr != other->vaddr)
		return one->vaddr < other->vaddr ? -1 : 1;
	return (one->name > other->name) - (one->name < other->name);
}

void choose_symbols(const struct allocator_file *file, const struct choice *choice,
		    symbol_list *symbols)
{
	for (size_t i = 0; i < file->symbols.count; i++)
		if (is_chosen(file, &file->symbols.items[i], choice))
			*vec_add(symbols) = &file->symbols.items[i];
	if (symbols->count)
		qsort(symbols->items, symbols->count, sizeof(*symbols->items), compare_symbols);
}

bool symbols_have_call(const symbol_list *symbols, bool frees)
{
	for (size_t i = 0; i < symbols->count; i++) {
		unsigned call = allocator_names[symbols->items[i]->name].call;

		if (frees ? call == ALLOCATOR_FREE
			  : call == ALLOCATOR_ALLOC || call == ALLOCATOR_CALLOC)
			return true;
	}
	return false;
}

/* ---- layers */

static void add_function(struct search *search, uint32_t layer,
			 const struct allocator_symbol *symbol)
{
	const struct allocator_name *name = &allocator_names[symbol->name];
	struct allocator_list *list = search->list;

	if (list->functions.count >= ALLOCATOR_FUNCTIONS_MAX) {
		add_missing(search, "There are more allocating functions than can be probed.");
		return;
	}
	*vec_add(&list->functions) = (struct allocator_function){
		.name = arena_strdup(&list->arena, symbol->spelled),
		.call = name->call,
		.size_argument = name->size_argument,
		.pointer_argument = name->pointer_argument,
		.may_throw = name->may_throw,
		.layer = layer,
		.vaddr = symbol->vaddr,
		.size = symbol->size,
	};
}

static void add_functions(struct search *search, uint32_t layer, const symbol_list *symbols)
{
	for (size_t i = 0; i < symbols->count; i++) {
		const struct allocator_symbol *symbol = symbols->items[i];

		if (i == 0 || symbol->vaddr != symbols->items[i - 1]->vaddr)
			add_function(search, layer, symbol);
		else if (allocator_names[symbol->name].may_throw && search->list->functions.count)
			search->list->functions.items[search->list->functions.count - 1].may_throw =
				true;
	}
}

static bool asks_kernel(const struct allocator_function *function)
{
	return function->call == ALLOCATOR_MMAP || function->call == ALLOCATOR_MUNMAP ||
	       function->call == ALLOCATOR_SBRK;
}

/* A handler of the program that comes while its malloc runs is not that malloc. */
static void narrow_text(const struct allocator_list *list, uint32_t index,
			struct allocator_layer *layer)
{
	uint64_t start = UINT64_MAX, end = 0;

	for (size_t i = 0; i < list->functions.count; i++) {
		const struct allocator_function *function = &list->functions.items[i];
		uint64_t first = layer->bias + function->vaddr, last = first + function->size;

		if (function->layer != index || asks_kernel(function))
			continue;
		/* Of one without a size, nobody knows where it ends. */
		if (!function->size)
			last = layer->text_end;
		start = first < start ? first : start;
		end = last > end ? last : end;
	}
	if (start < layer->text_start || end > layer->text_end || start >= end)
		return;
	layer->text_start = start;
	layer->text_end = end;
}

bool has_layer(const struct search *search, const struct mapped_object *object)
{
	for (size_t i = 0; i < search->list->layers.count; i++)
		if (search->list->layers.items[i].inode == object->mapping->inode &&
		    search->list->layers.items[i].device == object->file->device)
			return true;
	return false;
}

bool add_layer(struct search *search, const struct mapped_object *object, const char *kind,
	       const symbol_list *symbols)
{
	struct allocator_list *list = search->list;
	const char *missing = NULL;
	int fd;

	if (symbols->count == 0)
		return false;
	if (list->layers.count >= ALLOCATOR_LAYERS_MAX) {
		add_missing(search, "There are more allocators than can be probed.");
		return false;
	}
	fd = target_open_mapping(search->target, object->mapping, &missing);
	if (fd < 0) {
		add_missing(search,
			    arena_printf(&list->arena, "The allocator in %s cannot be probed: %s.",
					 object->name, missing));
		return false;
	}
	*vec_add(&list->layers) = (struct allocator_layer){
		.kind = kind,
		.object = arena_strdup(&list->arena, object->name),
		.fd = fd,
		.bias = object->bias,
		.text_start = object->text_start,
		.text_end = object->text_end,
		.device = object->file->device,
		.inode = object->mapping->inode,
	};
	add_functions(search, (uint32_t)list->layers.count - 1, symbols);
	if (object == search_executable(search))
		narrow_text(list, (uint32_t)list->layers.count - 1,
			    &list->layers.items[list->layers.count - 1]);
	return true;
}

static bool is_musl(const struct mapped_object *object)
{
	return str_starts(object->name, "ld-musl-") || str_starts(object->name, "libc.musl-") ||
	       strcmp(object->name, "libc.so") == 0 ||
	       allocator_file_symbol(object->file, "__libc_malloc_impl") ||
	       allocator_file_symbol(object->file, "__malloc_donate");
}

const char *object_kind(const struct mapped_object *object)
{
	const struct allocator_file *file = object->file;

	if (allocator_file_symbol(file, "mi_malloc"))
		return "mimalloc";
	if (allocator_file_symbol(file, "tc_malloc"))
		return "tcmalloc";
	if (allocator_file_symbol(file, "mallctl") || allocator_file_symbol(file, "mallocx") ||
	    allocator_file_symbol(file, "je_malloc") || allocator_file_symbol(file, "_rjem_malloc"))
		return "jemalloc";
	if (is_musl(object))
		return "musl";
	return allocator_file_symbol(file, "__libc_malloc") ? "glibc" : "malloc";
}

bool kind_has_operators(const char *kind)
{
	return strcmp(kind, "mimalloc") == 0 || strcmp(kind, "tcmalloc") == 0 ||
	       strcmp(kind, "jemalloc") == 0;
}

bool object_is_usable(const struct mapped_object *object)
{
	return object->file && !object->missing;
}

const struct mapped_object *search_executable(const struct search *search)
{
	const struct mapped_objects *objects = search->objects;

	return objects->executable < objects->list.count ? &objects->list.items[objects->executable]
							 : NULL;
}

bool object_is_static(const struct mapped_object *executable)
{
	return executable && object_is_usable(executable) && !executable->file->has_interpreter;
}
