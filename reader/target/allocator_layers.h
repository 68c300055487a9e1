/* Layers under construction, out of the objects that are mapped. Private to this room. */
#ifndef RSPROF_TARGET_ALLOCATOR_LAYERS_H
#define RSPROF_TARGET_ALLOCATOR_LAYERS_H

#include <stdbool.h>

#include "reader/target/allocator.h"
#include "reader/target/allocator_objects.h"
#include "reader/util/str.h"

/* What has been found so far. */
struct search {
	const struct target *target;
	struct mapped_objects *objects;
	struct allocator_list *list;
	struct str missing;
};

void add_missing(struct search *search, const char *sentence);

/* What of a file is taken: bits by enum name_family. */
struct choice {
	unsigned families;
	unsigned hidden_only; /* of these, where the dynamic linker does not see them */
};

typedef VEC(const struct allocator_symbol *) symbol_list;

static inline void own_symbols(symbol_list *symbols)
{
	vec_done(symbols);
}

/* Appends them, by address; names of one address in the order of the table. */
void choose_symbols(const struct allocator_file *file, const struct choice *choice,
		    symbol_list *symbols);
/* One of them frees; or, where that is not asked, one gives memory. */
bool symbols_have_call(const symbol_list *symbols, bool frees);

/* It was opened, and its code is where its headers say. */
bool object_is_usable(const struct mapped_object *object);
/* NULL where it is not known. */
const struct mapped_object *search_executable(const struct search *search);
/* An executable, or NULL, that asks for no linker. */
bool object_is_static(const struct mapped_object *executable);
/* The dynamic linker sees it. */
bool symbol_is_exported(const struct allocator_file *file, const struct allocator_symbol *symbol);

/* A layer of the object with these functions; false where there are none, or it cannot be opened.
 */
bool add_layer(struct search *search, const struct mapped_object *object, const char *kind,
	       const symbol_list *symbols);
bool has_layer(const struct search *search, const struct mapped_object *object);

/* Whose malloc it is: see struct allocator_layer. */
const char *object_kind(const struct mapped_object *object);
/* C++ operators have ways of their own only in these kinds; others call malloc. */
bool kind_has_operators(const char *kind);

/* Rust's own names, where they are all there is; else what they leave untold. */
void find_rust(struct search *search);

#endif
