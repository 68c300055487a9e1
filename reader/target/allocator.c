#include "reader/target/allocator.h"

#include <errno.h>
#include <string.h>

#include "reader/target/allocator_layers.h"
#include "reader/target/allocator_names.h"
#include "reader/util/own.h"

enum {
	ALL_BUNDLED = 1 << NAME_JEMALLOC | 1 << NAME_MIMALLOC | 1 << NAME_TCMALLOC,
};

/* ---- the family that serves malloc */

static const struct allocator_symbol *dynamic_malloc(const struct mapped_object *object)
{
	for (size_t i = 0; i < object->file->symbols.count; i++) {
		const struct allocator_symbol *symbol = &object->file->symbols.items[i];

		if (symbol->is_dynamic && !symbol->is_local &&
		    strcmp(allocator_names[symbol->name].text, "malloc") == 0)
			return symbol;
	}
	return NULL;
}

/* What the linker does not see of it, its own object may call. */
static bool add_family(struct search *search, const struct mapped_object *object)
{
	const char *kind = object_kind(object);
	struct choice choice = {.families = 1 << NAME_MALLOC | 1 << NAME_EXTENDED | ALL_BUNDLED};
	OWN(own_symbols) symbol_list symbols = {0};

	if (kind_has_operators(kind))
		choice.families |= 1 << NAME_OPERATOR;
	if (allocator_file_symbol(object->file, "__libc_start_main"))
		choice.families |= 1 << NAME_KERNEL;
	choose_symbols(object->file, &choice, &symbols);
	return add_layer(search, object, kind, &symbols);
}

/* True where it is decided who serves malloc, also where that cannot be probed. */
static bool find_linked_family(struct search *search)
{
	const struct mapped_objects *objects = search->objects;

	for (size_t i = 0; i < objects->order.count; i++) {
		const struct mapped_object *object = &objects->list.items[objects->order.items[i]];
		const struct allocator_symbol *symbol;

		if (!object_is_usable(object))
			continue;
		symbol = dynamic_malloc(object);
		if (symbol && symbol->is_ifunc) {
			add_missing(search,
				    arena_printf(&search->list->arena,
						 "%s chooses its malloc at run time (IFUNC), which "
						 "cannot be probed.",
						 object->name));
			return true;
		}
		if (symbol)
			return add_family(search, object);
	}
	return false;
}

static void find_family(struct search *search)
{
	const struct mapped_object *executable = search_executable(search);

	if (find_linked_family(search) || !object_is_static(executable))
		return;
	if (allocator_file_symbol(executable->file, "malloc"))
		add_family(search, executable);
}

/* ---- bundled allocators */

static void add_bundled(struct search *search, const struct mapped_object *object)
{
	const char *kind = object_kind(object);
	struct choice choice = {.families = ALL_BUNDLED};
	OWN(own_symbols) symbol_list symbols = {0};

	/* Linked in under the name of malloc, but not exported: this object's own calls go there.
	 */
	if (kind_has_operators(kind)) {
		choice.hidden_only = 1 << NAME_MALLOC | 1 << NAME_EXTENDED;
		choice.families |= choice.hidden_only;
	}
	choose_symbols(object->file, &choice, &symbols);
	/* A name alone is no allocator. */
	if (!symbols_have_call(&symbols, false) || !symbols_have_call(&symbols, true))
		return;
	vec_clear(&symbols);
	if (kind_has_operators(kind))
		choice.families |= 1 << NAME_OPERATOR;
	choose_symbols(object->file, &choice, &symbols);
	add_layer(search, object, kind, &symbols);
}

static void find_bundled(struct search *search)
{
	for (size_t i = 0; i < search->objects->list.count; i++) {
		const struct mapped_object *object = &search->objects->list.items[i];

		if (object_is_usable(object) && !has_layer(search, object))
			add_bundled(search, object);
	}
}

/* Of an unknown one, nobody can tell whether it ends in the malloc that is counted. */
static void tell_hidden(struct search *search)
{
	const struct mapped_object *executable = search_executable(search);
	const struct allocator_symbol *symbol;

	if (!executable || !object_is_usable(executable) || has_layer(search, executable))
		return;
	symbol = allocator_file_symbol(executable->file, "malloc");
	if (symbol && !symbol_is_exported(executable->file, symbol))
		add_missing(search,
			    "The program has a malloc of its own that it does not export: it "
			    "is not counted.");
}

static bool is_c_library(const struct mapped_object *object)
{
	return object_is_usable(object) && allocator_file_symbol(object->file, "__libc_start_main");
}

/* Behind the C library stands what was loaded later, with dlopen(): who calls its malloc knows why,
 * and nobody can tell from outside whether it ends in the one that is counted. */
static void tell_later(struct search *search)
{
	const struct mapped_objects *objects = search->objects;
	bool is_behind = false;

	for (size_t i = 0; i < objects->order.count; i++) {
		const struct mapped_object *object = &objects->list.items[objects->order.items[i]];

		if (is_behind && object_is_usable(object) && !has_layer(search, object) &&
		    dynamic_malloc(object))
			add_missing(search, arena_printf(&search->list->arena,
							 "%s has a malloc, too: what that gives is "
							 "not counted.",
							 object->name));
		is_behind |= is_c_library(object);
	}
}

/* ---- memory from the kernel */

static void find_kernel_calls(struct search *search)
{
	const struct mapped_objects *objects = search->objects;
	struct choice choice = {.families = 1 << NAME_KERNEL};

	for (size_t i = 0; i < objects->order.count; i++) {
		const struct mapped_object *object = &objects->list.items[objects->order.items[i]];
		OWN(own_symbols) symbol_list symbols = {0};

		if (!is_c_library(object) || has_layer(search, object))
			continue;
		choose_symbols(object->file, &choice, &symbols);
		if (add_layer(search, object, "libc", &symbols))
			return;
	}
}

/* ---- all of it */

static void tell_nothing_found(struct search *search)
{
	const struct mapped_object *executable = search_executable(search);

	if (object_is_static(executable) && !executable->file->has_full_table)
		add_missing(search, "The program is statically linked and has no symbols: its "
				    "allocator cannot be found (looked for malloc, je_*, _rjem_*, "
				    "mi_*, tc_* and __rust_alloc).");
	else
		add_missing(search,
			    arena_printf(&search->list->arena,
					 "No allocator was found in the %zu mapped files with code "
					 "(looked for malloc, je_*, _rjem_*, mi_*, tc_* and "
					 "__rust_alloc).",
					 search->objects->list.count));
}

/* What is mapped as code and is no ELF file has no allocator. */
static bool is_unread(const struct mapped_object *object)
{
	return object->missing && !(object->file && object->file->error == -ENOEXEC);
}

static void tell_bounds(struct search *search)
{
	bool is_cut = search->objects->is_cut;
	const struct mapped_object *unread = NULL;
	size_t others = 0;

	for (size_t i = 0; i < search->objects->list.count; i++) {
		const struct mapped_object *object = &search->objects->list.items[i];

		is_cut |= object->file && object->file->is_cut;
		if (is_unread(object) && unread)
			others++;
		else if (is_unread(object))
			unread = object;
	}
	if (is_cut)
		add_missing(search, "There are more mapped files or symbols than are looked at.");
	if (!unread)
		return;
	add_missing(search,
		    arena_printf(&search->list->arena, "An allocator in %s would not be seen: %s.",
				 unread->name, unread->missing));
	if (others)
		add_missing(search, arena_printf(&search->list->arena,
						 "%zu more files could not be read.", others));
}

int allocator_find(struct allocator_finder *finder, const struct target *target,
		   struct allocator_list *ret_list)
{
	OWN(mapped_objects_done) struct mapped_objects objects = {0};
	struct allocator_list list = {0};
	struct search search = {target, &objects, &list, {0}};
	int ret = mapped_objects_find(finder, target, &objects);

	if (ret < 0)
		return ret;
	find_family(&search);
	find_bundled(&search);
	find_rust(&search);
	tell_hidden(&search);
	tell_later(&search);
	if (list.layers.count > 0)
		find_kernel_calls(&search);
	else
		tell_nothing_found(&search);
	tell_bounds(&search);
	if (!target_is_alive(target)) {
		str_done(&search.missing);
		allocator_list_done(&list);
		return -ESRCH;
	}
	if (search.missing.length)
		list.missing = arena_strdup(&list.arena, str_text(&search.missing));
	str_done(&search.missing);
	*ret_list = list;
	return 0;
}

struct probe_request allocator_probe_request(const struct allocator_function *function)
{
	uint32_t size = 1u << function->size_argument, pointer = 1u << function->pointer_argument;
	struct probe_request request = {.vaddr = function->vaddr, .size = function->size};

	switch (function->call) {
	case ALLOCATOR_ALLOC:
	case ALLOCATOR_MUNMAP:
	case ALLOCATOR_SBRK:
		request.arguments = (uint8_t)size;
		break;
	case ALLOCATOR_CALLOC:
		request.arguments = (uint8_t)(size | size >> 1);
		break;
	case ALLOCATOR_REALLOC:
	case ALLOCATOR_POSIX_MEMALIGN:
		request.arguments = (uint8_t)(pointer | size);
		break;
	case ALLOCATOR_REALLOCARRAY:
		request.arguments = (uint8_t)(pointer | size | size >> 1);
		break;
	case ALLOCATOR_FREE:
		request.arguments = (uint8_t)pointer;
		break;
	case ALLOCATOR_MMAP: /* its flags, too */
		break;
	}
	return request;
}

void allocator_list_done(struct allocator_list *list)
{
	for (size_t i = 0; i < list->layers.count; i++)
		close(list->layers.items[i].fd);
	vec_done(&list->layers);
	vec_done(&list->functions);
	arena_done(&list->arena);
	list->missing = NULL;
}
