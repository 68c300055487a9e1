#include "reader/target/elf_headers.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/util/mem.h"
#include "reader/util/own.h"

int elf_read_bytes(int fd, void *into, size_t count, uint64_t offset)
{
	char *at = into;

	if (offset > INT64_MAX - count)
		return -EBADMSG;
	while (count > 0) {
		ssize_t got = pread(fd, at, count, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EBADMSG;
		at += got;
		count -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}

int elf_header_check(const Elf64_Ehdr *header)
{
	if (memcmp(header->e_ident, ELFMAG, SELFMAG))
		return -ENOEXEC;
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    (header->e_machine != EM_X86_64 && header->e_machine != EM_AARCH64))
		return -ENOTSUP;
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		return -ENOTSUP;
	if (header->e_ident[EI_VERSION] != EV_CURRENT ||
	    header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0 ||
	    header->e_phnum > ELF_HEADERS_MAX)
		return -EBADMSG;
	return 0;
}

int elf_headers_read(int fd, Elf64_Ehdr *ret_header, Elf64_Phdr **ret_headers,
		     uint64_t *ret_file_bytes)
{
	OWN(own_free) Elf64_Phdr *headers = NULL;
	Elf64_Ehdr header;
	struct stat stat;
	int ret;

	if (fstat(fd, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode) || stat.st_size < SELFMAG)
		return -ENOEXEC;
	ret = elf_read_bytes(fd, header.e_ident, SELFMAG, 0);
	if (ret < 0)
		return ret;
	if (memcmp(header.e_ident, ELFMAG, SELFMAG))
		return -ENOEXEC;
	ret = elf_read_bytes(fd, &header, sizeof(header), 0);
	if (ret == 0)
		ret = elf_header_check(&header);
	if (ret < 0)
		return ret;
	headers = mem_array(header.e_phnum, sizeof(*headers));
	ret = elf_read_bytes(fd, headers, header.e_phnum * sizeof(*headers), header.e_phoff);
	if (ret < 0)
		return ret;
	*ret_header = header;
	*ret_headers = own_take(headers);
	*ret_file_bytes = (uint64_t)stat.st_size;
	return 0;
}
