#include "reader/target/probe_point.h"

#include <errno.h>
#include <string.h>

#include "reader/target/elf_headers.h"
#include "reader/target/jump_scan.h"
#include "reader/target/x86_insn.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/vec.h"

enum { SYMBOLS_CHUNK = 4096 };

struct text_list {
	int fd;
	uint64_t file_bytes;
	VEC(struct jump_text) items;
};

static void own_text_list(struct text_list *list)
{
	vec_done(&list->items);
}

static int read_texts(int fd, Elf64_Ehdr *ret_header, struct text_list *ret_texts)
{
	OWN(own_free) Elf64_Phdr *segments = NULL;
	struct text_list texts = {.fd = fd};
	uint64_t left;
	Elf64_Ehdr header;
	int ret = elf_headers_read(fd, &header, &segments, &texts.file_bytes);

	if (ret < 0)
		return ret;
	if (header.e_machine != EM_X86_64)
		return -ENOTSUP;
	/* Segments do not share bytes: a damaged file is not read a thousand times. */
	left = texts.file_bytes;
	for (size_t i = 0; i < header.e_phnum; i++) {
		const Elf64_Phdr *segment = &segments[i];

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) ||
		    segment->p_offset > texts.file_bytes ||
		    segment->p_filesz > texts.file_bytes - segment->p_offset ||
		    segment->p_filesz > UINT64_MAX - segment->p_vaddr || segment->p_filesz > left)
			continue;
		*vec_add(&texts.items) = (struct jump_text){
			.vaddr = segment->p_vaddr,
			.offset = segment->p_offset,
			.size = segment->p_filesz,
		};
		left -= segment->p_filesz;
	}
	*ret_header = header;
	*ret_texts = texts;
	return 0;
}

static const struct jump_text *text_of(const struct text_list *texts, uint64_t vaddr)
{
	for (size_t i = 0; i < texts->items.count; i++) {
		const struct jump_text *text = &texts->items.items[i];

		if (vaddr >= text->vaddr && vaddr - text->vaddr < text->size)
			return text;
	}
	return NULL;
}

static void set_point(const struct jump_text *text, uint64_t vaddr, const struct x86_insn *insn,
		      struct probe_point *ret_point)
{
	*ret_point = (struct probe_point){
		.vaddr = vaddr,
		.file_offset = text->offset + (vaddr - text->vaddr),
		.is_emulated = x86_insn_is_emulated(insn->kind),
		.opcode = insn->opcode,
		.instruction = x86_insn_name(insn->kind),
	};
}

static unsigned argument_registers(uint8_t arguments)
{
	static const uint16_t registers[] = {X86_RDI, X86_RSI, X86_RDX, X86_RCX, X86_R8, X86_R9};
	unsigned all = 0;

	for (size_t i = 0; i < sizeof(registers) / sizeof(*registers); i++)
		if (!arguments || arguments >> i & 1)
			all |= registers[i];
	return all;
}

/* Two points: the entry, and what lies behind instructions that a probe may pass over, if that is
 * better. Without the latter they are the same. */
struct choice {
	struct probe_point entry, behind;
};

static int choose(const struct text_list *texts, const struct probe_request *request,
		  struct choice *ret_choice)
{
	const struct jump_text *text = text_of(texts, request->vaddr);
	uint8_t bytes[JUMP_WINDOW_BYTES_MAX + X86_INSN_BYTES_MAX];
	struct x86_insn insn = {0}, first;
	uint64_t count = sizeof(bytes), at = 0;
	unsigned arguments = argument_registers(request->arguments);
	struct choice choice;
	int ret;

	if (!text)
		return -EBADMSG;
	if (count > text->size - (request->vaddr - text->vaddr))
		count = text->size - (request->vaddr - text->vaddr);
	if (request->size && count > request->size)
		count = request->size;
	ret = elf_read_bytes(texts->fd, bytes, count,
			     text->offset + (request->vaddr - text->vaddr));
	if (ret < 0)
		return ret;
	if (!x86_insn_decode(bytes, count, &insn))
		insn = (struct x86_insn){.kind = X86_OTHER, .opcode = bytes[0]};
	set_point(text, request->vaddr, &insn, &choice.entry);
	choice.behind = choice.entry;
	first = insn;
	while (insn.kind == X86_PASSABLE && !(insn.writes & arguments)) {
		at += insn.length;
		if (at > JUMP_WINDOW_BYTES_MAX || !x86_insn_decode(bytes + at, count - at, &insn))
			break;
		if (x86_insn_is_emulated(insn.kind)) {
			set_point(text, request->vaddr + at, &insn, &choice.behind);
			break;
		}
		/* Single-stepped, but at least not what a kernel would rewrite. */
		if (first.is_nop5 && !insn.is_nop5 && choice.behind.vaddr == request->vaddr)
			set_point(text, request->vaddr + at, &insn, &choice.behind);
	}
	*ret_choice = choice;
	return 0;
}

static int mark_symbols(const struct text_list *texts, const Elf64_Shdr *section,
			struct jump_windows *windows)
{
	OWN(own_free) Elf64_Sym *symbols = mem_array(SYMBOLS_CHUNK, sizeof(*symbols));
	uint64_t left = section->sh_size / sizeof(*symbols), offset = section->sh_offset;

	if (section->sh_entsize != sizeof(*symbols))
		return -EBADMSG;
	while (left) {
		size_t count = left < SYMBOLS_CHUNK ? left : SYMBOLS_CHUNK;
		int ret = elf_read_bytes(texts->fd, symbols, count * sizeof(*symbols), offset);

		if (ret < 0)
			return ret;
		for (size_t i = 0; i < count; i++) {
			unsigned type = ELF64_ST_TYPE(symbols[i].st_info);

			if (symbols[i].st_shndx != SHN_UNDEF &&
			    (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE))
				jump_windows_mark(windows, symbols[i].st_value);
		}
		left -= count;
		offset += count * sizeof(*symbols);
	}
	return 0;
}

/* Programs run without sections, too: such a file names no function. */
static int mark_all_symbols(const struct text_list *texts, const Elf64_Ehdr *header,
			    struct jump_windows *windows)
{
	OWN(own_free) Elf64_Shdr *sections = NULL;
	uint64_t left = texts->file_bytes;
	int ret;

	if (!header->e_shoff || !header->e_shnum)
		return 0;
	if (header->e_shentsize != sizeof(*sections))
		return -EBADMSG;
	sections = mem_array(header->e_shnum, sizeof(*sections));
	ret = elf_read_bytes(texts->fd, sections, header->e_shnum * sizeof(*sections),
			     header->e_shoff);
	for (size_t i = 0; i < header->e_shnum && ret == 0; i++) {
		const Elf64_Shdr *section = &sections[i];

		if (section->sh_type != SHT_SYMTAB && section->sh_type != SHT_DYNSYM)
			continue;
		/* As of segments. */
		ret = section->sh_size > left ? -EBADMSG : mark_symbols(texts, section, windows);
		left -= section->sh_size;
	}
	return ret;
}

/* Into which of these does something lead? Into all, where the file does not tell. */
static int judge(const struct text_list *texts, const Elf64_Ehdr *header, struct jump_window *items,
		 size_t count)
{
	OWN(own_free) struct jump_windows *windows = NULL;

	if (!count)
		return 0;
	windows = mem_alloc(sizeof(*windows));
	jump_windows_init(windows, items, count);
	if (mark_all_symbols(texts, header, windows) < 0) {
		for (size_t i = 0; i < count; i++)
			items[i].is_reached = true;
		return 0;
	}
	return jump_scan(texts->fd, texts->items.items, texts->items.count, windows);
}

static bool is_reached(const struct jump_window *items, size_t count, const struct choice *choice)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (items[middle].start < choice->entry.vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	/* The same function may have been asked for twice, with different sizes. */
	for (; low < count && items[low].start == choice->entry.vaddr; low++)
		if (items[low].end == choice->behind.vaddr)
			return items[low].is_reached;
	return false;
}

int probe_points_find(int fd, const struct probe_request *requests, size_t count,
		      struct probe_point *ret_points)
{
	OWN(own_free) struct choice *choices = mem_array(count + 1, sizeof(*choices));
	OWN(own_free) struct jump_window *items = mem_array(count + 1, sizeof(*items));
	OWN(own_text_list) struct text_list texts = {0};
	size_t window_count = 0;
	Elf64_Ehdr header;
	int ret = read_texts(fd, &header, &texts);

	for (size_t i = 0; i < count && ret == 0; i++) {
		ret = choose(&texts, &requests[i], &choices[i]);
		if (ret == 0 && choices[i].behind.vaddr != choices[i].entry.vaddr)
			items[window_count++] = (struct jump_window){
				.start = choices[i].entry.vaddr,
				.end = choices[i].behind.vaddr,
			};
	}
	if (ret == 0)
		ret = judge(&texts, &header, items, window_count);
	if (ret < 0)
		return ret;
	for (size_t i = 0; i < count; i++)
		ret_points[i] = is_reached(items, window_count, &choices[i]) ? choices[i].entry
									     : choices[i].behind;
	return 0;
}
