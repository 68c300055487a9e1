/* Rust programs. Each links a function __rust_alloc, which is the program's #[global_allocator], or
 * goes on to std's, which calls malloc. */
#include "reader/target/allocator_layers.h"

#include "reader/target/allocator_names.h"
#include "reader/util/own.h"

static const char UNTOLD[] =
	"This Rust program seems to have a global allocator of its own, of which it "
	"cannot be told whether it ends in malloc: only malloc is counted.";

/* Every allocator over std's System needs one of these, for alignments beyond malloc's. */
static bool may_use_system(const struct allocator_file *file)
{
	return allocator_file_imports(file, "posix_memalign") ||
	       allocator_file_imports(file, "aligned_alloc") ||
	       allocator_file_imports(file, "memalign");
}

static bool uses_no_malloc(const struct allocator_file *file)
{
	return !may_use_system(file) && !allocator_file_imports(file, "malloc") &&
	       !allocator_file_imports(file, "calloc") && !allocator_file_imports(file, "realloc");
}

/* Both, since either may have been inlined everywhere. */
static bool has_rust_functions(const struct allocator_file *file)
{
	return allocator_file_symbol(file, "__rust_alloc") &&
	       allocator_file_symbol(file, "__rust_dealloc");
}

/* A program whose #[global_allocator] is its own: old compilers call it __rg_alloc, new ones let
 * __rust_alloc be it. Without one, __rust_alloc goes on to __rdl_alloc, which link-time
 * optimisation may have inlined; it leaves no __rust_dealloc then. */
static bool has_own_allocator(const struct allocator_file *file)
{
	return allocator_file_symbol(file, "__rg_alloc") ||
	       (has_rust_functions(file) && !allocator_file_symbol(file, "__rdl_alloc"));
}

static void add_rust(struct search *search, const struct mapped_object *object)
{
	struct choice choice = {.families = 1 << NAME_RUST};
	OWN(own_symbols) symbol_list symbols = {0};

	choose_symbols(object->file, &choice, &symbols);
	add_layer(search, object, "Rust", &symbols);
}

/* A static program's allocator may be Rust's own, beside the C library's in the same file. */
static bool has_own_beside_malloc(const struct search *search,
				  const struct mapped_object *executable)
{
	return object_is_static(executable) && has_own_allocator(executable->file) &&
	       !kind_has_operators(search->list->layers.items[0].kind);
}

void find_rust(struct search *search)
{
	const struct mapped_object *executable = search_executable(search);
	const struct allocator_file *file;

	if (!executable || !object_is_usable(executable))
		return;
	file = executable->file;
	if (search->list->layers.count == 0) {
		if (has_rust_functions(file))
			add_rust(search, executable);
		return;
	}
	if (has_layer(search, executable)) {
		if (has_own_beside_malloc(search, executable))
			add_missing(search, UNTOLD);
		return;
	}
	if (!has_own_allocator(file) || may_use_system(file))
		return;
	if (uses_no_malloc(file) && has_rust_functions(file))
		add_rust(search, executable);
	else
		add_missing(search, UNTOLD);
}
