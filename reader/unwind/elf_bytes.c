#include "reader/unwind/elf_bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/unwind/elf_frames.h"
#include "reader/util/mem.h"

int elf_bytes_read(const struct elf_bytes *file, void *into, uint64_t count, uint64_t offset)
{
	char *at = into;

	if (offset > file->size || count > file->size - offset)
		return -EBADMSG;
	while (count) {
		ssize_t got = pread(file->fd, at, count, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -EBADMSG;
		at += got;
		offset += (uint64_t)got;
		count -= (uint64_t)got;
	}
	return 0;
}

int elf_bytes_open(int fd, struct elf_bytes *ret_file)
{
	struct elf_bytes file = {.fd = fd};
	struct stat status;
	int ret;

	if (fstat(fd, &status) != 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -ENOEXEC;
	file.size = (uint64_t)status.st_size;
	ret = elf_bytes_read(&file, &file.header, sizeof(file.header), 0);
	if (ret == -EBADMSG || (!ret && memcmp(file.header.e_ident, ELFMAG, SELFMAG) != 0))
		return -ENOEXEC;
	if (ret)
		return ret;
	if (file.header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    file.header.e_ident[EI_DATA] != ELFDATA2LSB || file.header.e_machine != EM_X86_64)
		return -ENOTSUP;
	if (file.header.e_type != ET_EXEC && file.header.e_type != ET_DYN)
		return -ENOTSUP;
	if (!file.header.e_phnum || file.header.e_phentsize != sizeof(Elf64_Phdr))
		return -EBADMSG;
	if (file.header.e_phnum > UNWIND_SEGMENTS_MAX)
		return -EFBIG;
	file.segment_count = file.header.e_phnum;
	file.segments = mem_array(file.segment_count, sizeof(*file.segments));
	ret = elf_bytes_read(&file, file.segments, file.segment_count * sizeof(*file.segments),
			     file.header.e_phoff);
	if (ret) {
		free(file.segments);
		return ret;
	}
	*ret_file = file;
	return 0;
}

bool elf_bytes_find(const struct elf_bytes *file, uint64_t vaddr, uint64_t *ret_offset,
		    uint64_t *ret_size)
{
	for (size_t i = 0; i < file->segment_count; i++) {
		const Elf64_Phdr *segment = &file->segments[i];
		uint64_t into = vaddr - segment->p_vaddr;

		if (segment->p_type != PT_LOAD || vaddr < segment->p_vaddr ||
		    into >= segment->p_filesz || segment->p_offset > file->size ||
		    segment->p_filesz > file->size - segment->p_offset)
			continue;
		*ret_offset = segment->p_offset + into;
		*ret_size = segment->p_filesz - into;
		return true;
	}
	return false;
}

void elf_bytes_done(struct elf_bytes *file)
{
	free(file->segments);
	file->segments = NULL;
	file->segment_count = 0;
}

size_t elf_bytes_dynamic(const struct elf_bytes *file, Elf64_Dyn **ret_entries)
{
	size_t size = 0, count = 0;
	uint64_t offset = 0;

	*ret_entries = NULL;
	for (size_t i = 0; i < file->segment_count && !size; i++) {
		const Elf64_Phdr *segment = &file->segments[i];

		if (segment->p_type != PT_DYNAMIC)
			continue;
		size = segment->p_filesz < ELF_DYNAMIC_BYTES_MAX ? segment->p_filesz
								 : ELF_DYNAMIC_BYTES_MAX;
		size -= size % sizeof(Elf64_Dyn);
		offset = segment->p_offset;
	}
	if (!size)
		return 0;
	*ret_entries = mem_alloc(size);
	if (elf_bytes_read(file, *ret_entries, size, offset) != 0)
		return 0;
	while (count < size / sizeof(Elf64_Dyn) && (*ret_entries)[count].d_tag != DT_NULL)
		count++;
	return count;
}
