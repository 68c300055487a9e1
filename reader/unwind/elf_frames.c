#include "reader/unwind/elf_frames.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/unwind/elf_bytes.h"
#include "reader/util/mem.h"

/* Not in every <elf.h>: .eh_frame by some assemblers. */
#define SECTION_TYPE_UNWIND 0x70000001

static bool is_code(const Elf64_Phdr *segment)
{
	return segment->p_type == PT_LOAD && (segment->p_flags & PF_X) && segment->p_filesz;
}

static int read_text(const struct elf_bytes *file, struct elf_frames *frames)
{
	frames->text_start = UINT64_MAX;
	for (size_t i = 0; i < file->segment_count; i++) {
		const Elf64_Phdr *segment = &file->segments[i];
		uint64_t end;

		if (!is_code(segment))
			continue;
		if (__builtin_add_overflow(segment->p_vaddr, segment->p_filesz, &end) ||
		    segment->p_offset > file->size ||
		    segment->p_filesz > file->size - segment->p_offset)
			return -EBADMSG;
		if (segment->p_vaddr < frames->text_start)
			frames->text_start = segment->p_vaddr;
		if (end > frames->text_end)
			frames->text_end = end;
		frames->text_bytes += segment->p_filesz;
	}
	if (frames->text_start == UINT64_MAX)
		return -ENODATA;
	if (frames->text_end - frames->text_start > UNWIND_TEXT_BYTES_MAX)
		return -EFBIG;
	return 0;
}

static int copy_section(const struct elf_bytes *file, uint64_t offset, uint64_t size,
			uint64_t vaddr, bool is_debug_frame, struct ehframe_section *ret_section)
{
	uint8_t *bytes;
	int ret;

	if (!size || vaddr + size < vaddr)
		return -EBADMSG;
	if (size > UNWIND_FRAME_BYTES_MAX)
		return -EFBIG;
	/* Before memory is taken for it. */
	if (offset > file->size || size > file->size - offset)
		return -EBADMSG;
	bytes = mem_alloc(size);
	ret = elf_bytes_read(file, bytes, size, offset);
	if (ret) {
		free(bytes);
		return ret;
	}
	*ret_section = (struct ehframe_section){bytes, size, vaddr, is_debug_frame};
	return 0;
}

/* At the pattern, whose zeros are any byte; advances *at over it. */
static bool is_next(const uint8_t *code, size_t size, const uint8_t *pattern, size_t length,
		    size_t *at)
{
	if (length > size - *at)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (pattern[i] && code[*at + i] != pattern[i])
			return false;
	}
	*at += length;
	return true;
}

static void read_bare_code(const struct elf_bytes *file, uint64_t vaddr, struct elf_frames *frames)
{
	static const uint8_t endbr[] = {0xf3, 0x0f, 0x1e, 0xfa};
	static const uint8_t push[] = {0x48, 0x83, 0xec, 0x08}; /* sub $8,%rsp */
	/* mov __gmon_start__@GOT(%rip),%rax; test %rax,%rax; je +2; call *%rax */
	static const uint8_t call[] = {0x48, 0x8b, 0x05, 0,    0,    0,	   0,
				       0x48, 0x85, 0xc0, 0x74, 0x02, 0xff, 0xd0};
	static const uint8_t pop[] = {0x48, 0x83, 0xc4, 0x08, 0xc3}; /* add $8,%rsp; ret */
	uint8_t code[sizeof(endbr) + sizeof(push) + sizeof(call) + sizeof(pop)];
	struct elf_bare_code bare = {.start = vaddr};
	uint64_t offset, size;
	size_t at = 0;

	if (frames->bare_count == 2 || vaddr < frames->text_start || vaddr >= frames->text_end ||
	    !elf_bytes_find(file, vaddr, &offset, &size))
		return;
	if (size > sizeof(code))
		size = sizeof(code);
	if (elf_bytes_read(file, code, size, offset) != 0)
		return;
	is_next(code, size, endbr, sizeof(endbr), &at);
	if (!is_next(code, size, push, sizeof(push), &at))
		return;
	bare.pushed = vaddr + at;
	is_next(code, size, call, sizeof(call), &at);
	if (!is_next(code, size, pop, sizeof(pop), &at))
		return;
	bare.end = vaddr + at;
	bare.popped = bare.end - 1;
	if (bare.end <= frames->text_end)
		frames->bare[frames->bare_count++] = bare;
}

/* By the dynamic section, which images from memory have as well. */
static void find_bare_code(const struct elf_bytes *file, struct elf_frames *frames)
{
	Elf64_Dyn *entries;
	size_t count = elf_bytes_dynamic(file, &entries);

	for (size_t i = 0; i < count; i++) {
		if (entries[i].d_tag == DT_INIT || entries[i].d_tag == DT_FINI)
			read_bare_code(file, entries[i].d_un.d_ptr, frames);
	}
	free(entries);
}

/* Sections by name. A file whose section headers are damaged is read as one without them. */
static int read_sections(const struct elf_bytes *file, struct elf_frames *frames)
{
	const Elf64_Ehdr *header = &file->header;
	size_t count = header->e_shnum;
	Elf64_Shdr *sections, *names;
	int ret = 0;

	if (!count || header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shstrndx >= count ||
	    count > UNWIND_SECTIONS_MAX)
		return 0;
	sections = mem_array(count, sizeof(*sections));
	if (elf_bytes_read(file, sections, count * sizeof(*sections), header->e_shoff) != 0) {
		free(sections);
		return 0;
	}
	names = &sections[header->e_shstrndx];
	for (size_t i = 0; i < count && !ret; i++) {
		static const char eh_frame[] = ".eh_frame", debug_frame[] = ".debug_frame";
		const Elf64_Shdr *section = &sections[i];
		char name[sizeof(debug_frame)] = "";
		uint64_t left;

		if ((section->sh_type != SHT_PROGBITS && section->sh_type != SECTION_TYPE_UNWIND) ||
		    section->sh_name >= names->sh_size)
			continue;
		left = names->sh_size - section->sh_name;
		if (elf_bytes_read(file, name, left < sizeof(name) ? left : sizeof(name),
				   names->sh_offset + section->sh_name) != 0)
			continue;
		if (memcmp(name, eh_frame, sizeof(eh_frame)) == 0 && !frames->eh_frame.bytes &&
		    section->sh_size)
			ret = copy_section(file, section->sh_offset, section->sh_size,
					   section->sh_addr, false, &frames->eh_frame);
		if (memcmp(name, debug_frame, sizeof(debug_frame)) != 0 ||
		    frames->debug_frame.bytes || !section->sh_size)
			continue;
		if (section->sh_flags & SHF_COMPRESSED)
			frames->is_debug_frame_packed = true;
		else
			ret = copy_section(file, section->sh_offset, section->sh_size, 0, true,
					   &frames->debug_frame);
	}
	free(sections);
	/* Damaged sections count as absent; what is loaded may be sound. */
	return ret == -EBADMSG ? 0 : ret;
}

/* Without section headers: .eh_frame_hdr tells where .eh_frame begins, and its terminator ends it.
 */
static int read_by_segments(const struct elf_bytes *file, struct elf_frames *frames)
{
	uint8_t bytes[64]; /* the header needs 4 bytes and two pointers */
	struct ehframe_index index;
	uint64_t offset, size;

	for (size_t i = 0; i < file->segment_count; i++) {
		const Elf64_Phdr *segment = &file->segments[i];

		if (segment->p_type != PT_GNU_EH_FRAME)
			continue;
		size = segment->p_filesz < sizeof(bytes) ? segment->p_filesz : sizeof(bytes);
		/* The table behind the header is not read here: without it the count is 0. */
		if (size < 12 || elf_bytes_read(file, bytes, size, segment->p_offset) != 0)
			return 0;
		bytes[2] = 0xff;
		if (ehframe_index_open(bytes, size, segment->p_vaddr, &index) != 0 ||
		    !elf_bytes_find(file, index.frame_vaddr, &offset, &size))
			return 0;
		return copy_section(file, offset, size, index.frame_vaddr, false,
				    &frames->eh_frame);
	}
	return 0;
}

int elf_frames_read(int fd, struct elf_frames *ret_frames)
{
	struct elf_frames frames = {0};
	struct elf_bytes file;
	int ret;

	ret = elf_bytes_open(fd, &file);
	if (ret)
		return ret;
	ret = read_text(&file, &frames);
	if (!ret)
		ret = read_sections(&file, &frames);
	if (!ret && !frames.eh_frame.bytes)
		ret = read_by_segments(&file, &frames);
	if (!ret)
		find_bare_code(&file, &frames);
	frames.entry = file.header.e_entry;
	elf_bytes_done(&file);
	if (ret) {
		elf_frames_done(&frames);
		return ret;
	}
	*ret_frames = frames;
	return 0;
}

void elf_frames_done(struct elf_frames *frames)
{
	free((void *)frames->eh_frame.bytes);
	free((void *)frames->debug_frame.bytes);
	*frames = (struct elf_frames){0};
}

/* The build-id among the notes, or none. */
static struct unwind_build_id find_build_id(const uint8_t *bytes, size_t size)
{
	struct unwind_build_id id = {0};
	size_t at = 0;

	while (size - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		uint64_t name, content, end;

		memcpy(&note, bytes + at, sizeof(note));
		name = at + sizeof(note);
		content = name + (((uint64_t)note.n_namesz + 3) & ~UINT64_C(3));
		end = content + (((uint64_t)note.n_descsz + 3) & ~UINT64_C(3));
		if (content + note.n_descsz > size)
			break;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && note.n_descsz &&
		    memcmp(bytes + name, "GNU", 4) == 0) {
			id.size = note.n_descsz < UNWIND_BUILD_ID_MAX ? (uint8_t)note.n_descsz
								      : UNWIND_BUILD_ID_MAX;
			memcpy(id.bytes, bytes + content, id.size);
			break;
		}
		if (end > size)
			break;
		at = (size_t)end;
	}
	return id;
}

int elf_frames_build_id(int fd, struct unwind_build_id *ret_id)
{
	struct unwind_build_id id = {0};
	struct elf_bytes file;
	int ret;

	ret = elf_bytes_open(fd, &file);
	if (ret)
		return ret;
	for (size_t i = 0; i < file.segment_count && !id.size; i++) {
		const Elf64_Phdr *segment = &file.segments[i];
		uint8_t *bytes;

		if (segment->p_type != PT_NOTE || segment->p_filesz > UNWIND_NOTE_BYTES_MAX)
			continue;
		bytes = mem_alloc(segment->p_filesz);
		if (elf_bytes_read(&file, bytes, segment->p_filesz, segment->p_offset) == 0)
			id = find_build_id(bytes, segment->p_filesz);
		free(bytes);
	}
	elf_bytes_done(&file);
	*ret_id = id;
	return 0;
}
