/* Names and lines: the one owner of libdw. Not thread-safe: one symbolizer belongs to one thread.
 *
 * A module's file is indexed once: ELF symbols sorted by address, and for each compilation unit, on
 * its first use, its line table and its tree of functions and inlined calls as flat sorted arrays.
 * A look-up is then two binary searches and a walk of the inline chain, whatever the number of
 * addresses. */
#ifndef RSPROF_SYMBOL_SYMBOL_H
#define RSPROF_SYMBOL_SYMBOL_H

#include <stddef.h>
#include <stdint.h>

#include "reader/core/delta.h"
#include "reader/core/module.h"

struct symbolizer;

struct symbolizer *symbolizer_new(void);
void symbolizer_free(struct symbolizer *symbolizer);

struct symbol_answer {
	enum symbol_quality quality;
	enum frame_base base;
	const struct source_line *lines; /* innermost first, at least one */
	size_t line_count;
};

/* Never fails: what is not known is told as module+offset. Strings live as long as the symbolizer,
 * lines until the next call. */
void symbolizer_resolve(struct symbolizer *symbolizer, const struct module *module, uint64_t vaddr,
			struct symbol_answer *ret_answer);

/* What a module's names come from, for doctor and --require-debug-info. */
enum symbol_source {
	SYMBOL_SOURCE_NONE,
	SYMBOL_SOURCE_ELF,
	SYMBOL_SOURCE_DWARF,
};

struct symbol_facts {
	enum symbol_source source;
	int dwarf_version;	/* 0 where there is none */
	const char *language;	/* "Rust", "C", "C++", or NULL; of the first unit with code */
	const char *debug_file; /* the separate file that was used, or NULL */
};

void symbolizer_describe(struct symbolizer *symbolizer, const struct module *module,
			 struct symbol_facts *ret_facts);

#endif
