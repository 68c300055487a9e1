#include "reader/target/allocator_file.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "reader/target/elf_headers.h"
#include "reader/util/own.h"

static void own_found(elf_found_list *found)
{
	vec_done(found);
}

static int read_headers(int fd, struct allocator_file *file)
{
	OWN(own_free) Elf64_Phdr *headers = NULL;
	uint64_t file_bytes;
	Elf64_Ehdr header;
	int ret = elf_headers_read(fd, &header, &headers, &file_bytes);

	if (ret < 0)
		return ret;
	file->headers_offset = header.e_phoff;
	file->header_count = header.e_phnum;
	for (unsigned i = 0; i < header.e_phnum; i++) {
		const Elf64_Phdr *at = &headers[i];

		if (at->p_type == PT_INTERP)
			file->has_interpreter = true;
		if (at->p_type != PT_LOAD || !(at->p_flags & PF_X) ||
		    file->code.count >= SEGMENTS_MAX)
			continue;
		if (at->p_offset > file_bytes || at->p_filesz > file_bytes - at->p_offset ||
		    at->p_filesz > at->p_memsz || at->p_memsz > UINT64_MAX - at->p_vaddr)
			return -EBADMSG;
		*vec_add(&file->code) = (struct segment){
			.vaddr = at->p_vaddr,
			.file_offset = at->p_offset,
			.file_size = at->p_filesz,
			.memory_size = at->p_memsz,
		};
	}
	return 0;
}

static bool is_code(const struct allocator_file *file, uint64_t vaddr)
{
	for (size_t i = 0; i < file->code.count; i++)
		if (vaddr >= file->code.items[i].vaddr &&
		    vaddr - file->code.items[i].vaddr < file->code.items[i].file_size)
			return true;
	return false;
}

static void add_found(struct allocator_file *file, const struct elf_found *found)
{
	struct allocator_symbol *symbol;

	if (!found->is_defined) {
		if (found->is_dynamic)
			*vec_add(&file->imports) = found->name;
		return;
	}
	if (!is_code(file, found->vaddr))
		return;
	symbol = vec_add(&file->symbols);
	*symbol = (struct allocator_symbol){
		.name = found->name,
		.is_dynamic = found->is_dynamic,
		.is_local = found->is_local,
		.is_ifunc = found->type == STT_GNU_IFUNC,
		.vaddr = found->vaddr,
		.size = found->size,
	};
	memcpy(symbol->spelled, found->spelled, sizeof(symbol->spelled));
}

static bool has_function(const struct allocator_file *file)
{
	for (size_t i = 0; i < file->symbols.count; i++)
		if (allocator_names[file->symbols.items[i].name].call)
			return true;
	return false;
}

struct allocator_file *allocator_file_read(int fd, const struct elf_wanted *wanted)
{
	struct allocator_file *file = mem_zalloc(sizeof(*file));
	OWN(own_found) elf_found_list found = {0};
	struct elf_symbol_tables tables = {0};

	file->error = read_headers(fd, file);
	if (file->error == 0)
		file->error = elf_symbols_find(fd, wanted, &found, &tables);
	file->table_bytes = tables.bytes;
	if (file->error < 0) {
		vec_clear(&file->code);
		return file;
	}
	file->has_full_table = tables.has_full;
	file->is_cut = tables.is_cut;
	for (size_t i = 0; i < found.count; i++)
		add_found(file, &found.items[i]);
	if (has_function(file))
		allocator_file_mark_wrappers(file, fd, &found);
	return file;
}

void allocator_file_free(struct allocator_file *file)
{
	if (!file)
		return;
	vec_done(&file->code);
	vec_done(&file->symbols);
	vec_done(&file->imports);
	free(file);
}

const struct allocator_symbol *allocator_file_symbol(const struct allocator_file *file,
						     const char *name)
{
	for (size_t i = 0; i < file->symbols.count; i++)
		if (strcmp(allocator_names[file->symbols.items[i].name].text, name) == 0)
			return &file->symbols.items[i];
	return NULL;
}

bool allocator_file_imports(const struct allocator_file *file, const char *name)
{
	for (size_t i = 0; i < file->imports.count; i++)
		if (strcmp(allocator_names[file->imports.items[i]].text, name) == 0)
			return true;
	return false;
}

bool allocator_file_vaddr(const struct allocator_file *file, uint64_t file_offset,
			  uint64_t *ret_vaddr)
{
	uint64_t page_mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;

	for (size_t i = 0; i < file->code.count; i++) {
		const struct segment *code = &file->code.items[i];
		uint64_t start = code->file_offset & ~page_mask;

		if (file_offset >= start && file_offset < code->file_offset + code->file_size) {
			*ret_vaddr =
				code->vaddr - (code->file_offset - start) + (file_offset - start);
			return true;
		}
	}
	return false;
}
