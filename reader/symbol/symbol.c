/* Joins what is known of a module: names from its symbol tables, units from its debug information,
 * unwind tables. Each is read on first use and kept. */
#include "reader/symbol/symbol.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reader/symbol/debug_file.h"
#include "reader/symbol/debug_root.h"
#include "reader/symbol/demangle.h"
#include "reader/symbol/dwarf_file.h"
#include "reader/symbol/elf_names.h"
#include "reader/symbol/frame_base.h"
#include "reader/symbol/intern.h"
#include "reader/symbol/scope_name.h"
#include "reader/util/str.h"

struct module_index {
	struct elf_file main_file, debug_file;
	char *debug_path;  /* of debug_file, where it is used */
	const char *label; /* "[libc.so.6]" */
	struct elf_names names;
	struct dwarf_file *dwarf;
	Dwarf_CFI *eh_frame, *debug_frame;
};

struct symbolizer {
	struct intern strings;
	char *debug_root;
	struct u64_map by_module; /* address of the module to its place in modules */
	VEC(struct module_index *) modules;
	VEC(struct source_line) lines; /* of the last answer */
};

struct symbolizer *symbolizer_new(void)
{
	struct symbolizer *symbolizer = mem_zalloc(sizeof(*symbolizer));

	symbolizer->debug_root = mem_strdup(DEBUG_ROOT);
	return symbolizer;
}

void symbolizer_set_debug_root(struct symbolizer *symbolizer, const char *root)
{
	free(symbolizer->debug_root);
	symbolizer->debug_root = mem_strdup(root);
}

static void close_index(struct module_index *index)
{
	elf_names_done(&index->names);
	dwarf_cfi_end(index->eh_frame);
	dwarf_file_free(index->dwarf);
	elf_file_close(&index->debug_file);
	elf_file_close(&index->main_file);
	free(index->debug_path);
	free(index);
}

void symbolizer_free(struct symbolizer *symbolizer)
{
	if (!symbolizer)
		return;
	for (size_t i = 0; i < symbolizer->modules.count; i++)
		close_index(symbolizer->modules.items[i]);
	vec_done(&symbolizer->modules);
	vec_done(&symbolizer->lines);
	u64_map_done(&symbolizer->by_module);
	intern_done(&symbolizer->strings);
	free(symbolizer->debug_root);
	free(symbolizer);
}

static const char *label_of(struct symbolizer *symbolizer, const struct module *module)
{
	const char *name = module->name ? module->name : "unknown";
	struct str text = {0};
	const char *label;

	/* "[vdso]" has its brackets. */
	str_addf(&text, name[0] == '[' ? "%s" : "[%s]", name);
	label = intern(&symbolizer->strings, text.text);
	str_done(&text);
	return label;
}

static void open_dwarf(struct symbolizer *symbolizer, struct module_index *index,
		       const struct module *module)
{
	const char *root = symbolizer->debug_root;

	index->dwarf = dwarf_file_new(&index->main_file, module->path, root, &index->main_file);
	if (index->dwarf)
		return;
	if (debug_file_find(root, module, &index->main_file, &index->debug_file,
			    &index->debug_path) != 0)
		return;
	index->dwarf =
		dwarf_file_new(&index->debug_file, index->debug_path, root,
			       index->main_file.elf ? &index->main_file : &index->debug_file);
}

static struct module_index *open_index(struct symbolizer *symbolizer, const struct module *module)
{
	struct module_index *index = mem_zalloc(sizeof(*index));

	index->label = label_of(symbolizer, module);
	if (module->fd >= 0)
		elf_file_open(module->fd, &index->main_file);
	open_dwarf(symbolizer, index, module);
	elf_names_read(&index->names, &index->main_file, &index->debug_file);
	if (index->main_file.elf)
		index->eh_frame = dwarf_getcfi_elf(index->main_file.elf);
	if (index->dwarf)
		index->debug_frame = dwarf_getcfi(index->dwarf->dwarf);
	return index;
}

static struct module_index *index_of(struct symbolizer *symbolizer, const struct module *module)
{
	uint64_t key = (uint64_t)(uintptr_t)module;
	uint32_t place = u64_map_get(&symbolizer->by_module, key);

	if (place == UINT32_MAX) {
		place = (uint32_t)symbolizer->modules.count;
		*vec_add(&symbolizer->modules) = open_index(symbolizer, module);
		u64_map_put(&symbolizer->by_module, key, place);
	}
	return symbolizer->modules.items[place];
}

static const char *symbol_name(struct symbolizer *symbolizer, const struct module_index *index,
			       uint64_t vaddr)
{
	struct elf_name *name = elf_names_find(&index->names, vaddr);

	if (!name)
		return NULL;
	if (!name->shown) {
		char *shown = demangle(name->text);

		name->shown = intern(&symbolizer->strings, shown);
		free(shown);
	}
	return name->shown;
}

static const char *offset_name(struct symbolizer *symbolizer, const struct module *module,
			       uint64_t vaddr)
{
	struct str text = {0};
	const char *name;

	str_addf(&text, "%s+0x%" PRIx64, module->name ? module->name : "unknown", vaddr);
	name = intern(&symbolizer->strings, text.text);
	str_done(&text);
	return name;
}

static void add_line(struct symbolizer *symbolizer, const struct module_index *index,
		     const char *function, const struct unit_file *file, uint32_t line)
{
	*vec_add(&symbolizer->lines) = (struct source_line){
		.function = function,
		.file = file ? file->shown : index->label,
		.path = file ? file->path : NULL,
		.line = file ? line : 0,
	};
}

/* Lines of a place that a unit covers; false where the unit knows neither line nor function. */
static bool resolve_in_unit(struct symbolizer *symbolizer, struct module_index *index,
			    const struct module *module, struct unit *unit, uint64_t vaddr,
			    enum symbol_quality *ret_quality)
{
	struct intern *strings = &symbolizer->strings;
	const struct line_row *row = line_table_find(&unit->lines, vaddr);
	uint32_t at = range_index_find(&unit->index, vaddr);
	const struct unit_file *file = NULL;
	uint32_t line = 0;

	if (!row && at == RANGE_NONE)
		return false;
	if (row) {
		file = dwarf_file_source(unit, false, row->file, strings);
		line = row->line;
	}
	*ret_quality = file ? SYMBOL_LINE : SYMBOL_FUNCTION;
	/* A parent stands before its scopes in the array: this ends. */
	while (at != RANGE_NONE) {
		struct scope *scope = &unit->scopes.items[at];
		const char *name = scope_name(index->dwarf, unit, scope, strings);

		/* The symbol is the outermost function's. */
		if (!name && scope->parent == SCOPE_NONE)
			name = symbol_name(symbolizer, index, vaddr);
		if (!name)
			name = offset_name(symbolizer, module, vaddr);
		add_line(symbolizer, index, name, file, line);
		at = scope->parent;
		if (at != SCOPE_NONE) {
			file = dwarf_file_source(unit, true, scope->call_file, strings);
			line = scope->call_line;
		}
	}
	if (!symbolizer->lines.count) {
		const char *name = symbol_name(symbolizer, index, vaddr);

		if (!name)
			name = offset_name(symbolizer, module, vaddr);
		add_line(symbolizer, index, name, file, line);
	}
	return true;
}

static enum symbol_quality resolve_in(struct symbolizer *symbolizer, struct module_index *index,
				      const struct module *module, uint64_t vaddr)
{
	struct unit *unit = index->dwarf ? dwarf_file_unit(index->dwarf, vaddr) : NULL;
	enum symbol_quality quality;
	const char *name;

	if (unit && resolve_in_unit(symbolizer, index, module, unit, vaddr, &quality))
		return quality;
	name = symbol_name(symbolizer, index, vaddr);
	quality = name ? SYMBOL_FUNCTION : SYMBOL_NONE;
	if (!name)
		name = offset_name(symbolizer, module, vaddr);
	add_line(symbolizer, index, name, NULL, 0);
	return quality;
}

void symbolizer_resolve(struct symbolizer *symbolizer, const struct module *module, uint64_t vaddr,
			struct symbol_answer *ret_answer)
{
	struct symbol_answer answer = {.quality = SYMBOL_NONE, .base = FRAME_BASE_UNKNOWN};

	vec_clear(&symbolizer->lines);
	if (module->kind == MODULE_UNKNOWN || module->kind == MODULE_ANONYMOUS) {
		const char *label = module->kind == MODULE_UNKNOWN ? "[unknown]" : "[anon]";

		*vec_add(&symbolizer->lines) =
			(struct source_line){.function = label, .file = label};
	} else {
		struct module_index *index = index_of(symbolizer, module);
		const struct elf_file *file =
			index->main_file.elf ? &index->main_file : &index->debug_file;

		/* A thread in the kernel has the address after its system call, which may be on
		 * the next line: it is the call that takes the time. */
		if (elf_file_is_after_syscall(&index->main_file, vaddr))
			vaddr--;
		answer.quality = resolve_in(symbolizer, index, module, vaddr);
		answer.base =
			frame_base_find(index->eh_frame, index->debug_frame, file->machine, vaddr);
	}
	answer.lines = symbolizer->lines.items;
	answer.line_count = symbolizer->lines.count;
	*ret_answer = answer;
}

void symbolizer_describe(struct symbolizer *symbolizer, const struct module *module,
			 struct symbol_facts *ret_facts)
{
	struct symbol_facts facts = {.source = SYMBOL_SOURCE_NONE};

	if (module->kind == MODULE_FILE || module->kind == MODULE_VDSO) {
		const struct module_index *index = index_of(symbolizer, module);

		if (index->dwarf) {
			facts.source = SYMBOL_SOURCE_DWARF;
			facts.dwarf_version = index->dwarf->version;
			facts.language = index->dwarf->language;
		} else if (index->names.names.count) {
			facts.source = SYMBOL_SOURCE_ELF;
		}
		facts.debug_file = index->debug_path;
	}
	*ret_facts = facts;
}
