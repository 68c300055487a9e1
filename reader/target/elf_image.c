#include "reader/target/elf_image.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "reader/target/elf_headers.h"
#include "reader/util/own.h"

enum {
	/* Linkers write one to three PT_NOTE headers of some hundred bytes; the build-id is among
	 * the first notes. The bounds keep a hostile file cheap. */
	NOTE_HEADERS_MAX = 16,
	NOTE_BYTES_MAX = 4096,
};

static int add_segment(struct elf_image *image, const Elf64_Phdr *header, uint64_t file_bytes)
{
	if (header->p_filesz > header->p_memsz || header->p_offset > file_bytes ||
	    header->p_filesz > file_bytes - header->p_offset ||
	    header->p_memsz > UINT64_MAX - header->p_vaddr)
		return -EBADMSG;
	if (image->segment_count < SEGMENTS_MAX)
		image->segments[image->segment_count++] = (struct segment){
			.vaddr = header->p_vaddr,
			.file_offset = header->p_offset,
			.file_size = header->p_filesz,
			.memory_size = header->p_memsz,
		};
	return 0;
}

/* Looks for the build-id in one PT_NOTE. Notes that make no sense end the search, no more: nothing
 * else depends on them. */
static int read_notes(int fd, const Elf64_Phdr *header, uint64_t file_bytes,
		      struct elf_image *image)
{
	uint8_t bytes[NOTE_BYTES_MAX];
	size_t align = header->p_align == 8 ? 8 : 4, count, at = 0;
	int ret;

	if (header->p_offset > file_bytes || header->p_filesz > file_bytes - header->p_offset)
		return -EBADMSG;
	count = header->p_filesz < sizeof(bytes) ? header->p_filesz : sizeof(bytes);
	ret = elf_read_bytes(fd, bytes, count, header->p_offset);
	if (ret < 0)
		return ret;
	while (count - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		uint64_t value, next;

		memcpy(&note, bytes + at, sizeof(note));
		/* 64-bit sums of 32-bit sizes cannot overflow. */
		value = (at + sizeof(note) + (uint64_t)note.n_namesz + align - 1) & ~(align - 1);
		next = (value + note.n_descsz + align - 1) & ~(uint64_t)(align - 1);
		if (value > count || note.n_descsz > count - value)
			return 0;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && note.n_descsz > 0 &&
		    memcmp(bytes + at + sizeof(note), "GNU", 4) == 0) {
			image->build_id_size = note.n_descsz < BUILD_ID_MAX ? (uint8_t)note.n_descsz
									    : BUILD_ID_MAX;
			memcpy(image->build_id, bytes + value, image->build_id_size);
			return 0;
		}
		if (next > count)
			return 0;
		at = next;
	}
	return 0;
}

int elf_image_read(int fd, struct elf_image *ret_image)
{
	OWN(own_free) Elf64_Phdr *headers = NULL;
	struct elf_image image = {0};
	size_t note_headers = 0;
	uint64_t file_bytes;
	Elf64_Ehdr header;
	int ret = elf_headers_read(fd, &header, &headers, &file_bytes);

	if (ret < 0)
		return ret;
	image.type = header.e_type;
	for (unsigned i = 0; i < header.e_phnum && ret == 0; i++) {
		if (headers[i].p_type == PT_LOAD)
			ret = add_segment(&image, &headers[i], file_bytes);
		else if (headers[i].p_type == PT_NOTE && !image.build_id_size &&
			 note_headers++ < NOTE_HEADERS_MAX)
			ret = read_notes(fd, &headers[i], file_bytes, &image);
	}
	if (ret < 0)
		return ret;
	*ret_image = image;
	return 0;
}
