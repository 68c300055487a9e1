#include "reader/unwind/elf_needs.h"

#include <stdlib.h>
#include <string.h>

#include "reader/unwind/elf_bytes.h"
#include "reader/util/mem.h"

/* The string at an offset of the file, or NULL: it has no end, or is empty or too long. */
static char *read_string(const struct elf_bytes *file, uint64_t offset)
{
	char text[ELF_NEEDS_STRING_MAX];
	uint64_t left = offset < file->size ? file->size - offset : 0;
	size_t size = left < sizeof(text) ? left : sizeof(text);

	if (!size || elf_bytes_read(file, text, size, offset) != 0 || !text[0] ||
	    !memchr(text, '\0', size))
		return NULL;
	return mem_strdup(text);
}

static void keep(char **slot, char *text)
{
	if (*slot)
		free(text);
	else
		*slot = text;
}

static void read_dynamic(const struct elf_bytes *file, struct elf_needs *needs)
{
	uint64_t strings = 0, strings_size = 0, offset, left;
	Elf64_Dyn *entries;
	size_t count = elf_bytes_dynamic(file, &entries);

	for (size_t i = 0; i < count; i++) {
		if (entries[i].d_tag == DT_STRTAB)
			strings = entries[i].d_un.d_ptr;
		else if (entries[i].d_tag == DT_STRSZ)
			strings_size = entries[i].d_un.d_val;
	}
	if (!elf_bytes_find(file, strings, &offset, &left))
		count = 0;
	needs->libraries = mem_array(ELF_NEEDS_MAX, sizeof(*needs->libraries));
	for (size_t i = 0; i < count; i++) {
		uint64_t at = entries[i].d_un.d_val;
		char *text;

		if ((entries[i].d_tag != DT_NEEDED && entries[i].d_tag != DT_RPATH &&
		     entries[i].d_tag != DT_RUNPATH) ||
		    at >= strings_size || at >= left)
			continue;
		text = read_string(file, offset + at);
		if (!text)
			continue;
		if (entries[i].d_tag == DT_RPATH)
			keep(&needs->rpath, text);
		else if (entries[i].d_tag == DT_RUNPATH)
			keep(&needs->runpath, text);
		else if (needs->library_count < ELF_NEEDS_MAX)
			needs->libraries[needs->library_count++] = text;
		else
			free(text);
	}
	free(entries);
}

int elf_needs_read(int fd, struct elf_needs *ret_needs)
{
	struct elf_needs needs = {0};
	struct elf_bytes file;
	int ret = elf_bytes_open(fd, &file);

	if (ret)
		return ret;
	for (size_t i = 0; i < file.segment_count; i++) {
		const Elf64_Phdr *segment = &file.segments[i];

		if (segment->p_type == PT_INTERP && !needs.interpreter)
			needs.interpreter = read_string(&file, segment->p_offset);
	}
	read_dynamic(&file, &needs);
	elf_bytes_done(&file);
	*ret_needs = needs;
	return 0;
}

void elf_needs_done(struct elf_needs *needs)
{
	free(needs->interpreter);
	free(needs->rpath);
	free(needs->runpath);
	for (size_t i = 0; i < needs->library_count; i++)
		free(needs->libraries[i]);
	free(needs->libraries);
	*needs = (struct elf_needs){0};
}
