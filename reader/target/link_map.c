#include "reader/target/link_map.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "reader/target/elf_headers.h"
#include "reader/target/proc.h"
#include "reader/util/own.h"

enum {
	AUXV_BYTES_MAX = 4096,
	/* Linkers write thirty; the rest is room for them. */
	DYNAMIC_MAX = 256,
	TRIES = 3,
};

static int read_at(const struct link_map_reader *reader, uint64_t address, void *into, size_t count)
{
	if (address == 0 || address > INT64_MAX - count)
		return -EBADMSG;
	return reader->read(reader->context, address, into, count);
}

/* Where the executable's dynamic section is; 0 where it has none. */
static int find_dynamic(const struct link_map_reader *reader, uint64_t address, uint64_t count,
			uint64_t *ret_dynamic, uint64_t *ret_bytes)
{
	uint64_t bias = 0, dynamic = 0, bytes = 0;
	Elf64_Phdr header;

	for (uint64_t i = 0; i < count; i++) {
		int ret = read_at(reader, address + i * sizeof(header), &header, sizeof(header));

		if (ret < 0)
			return ret;
		if (header.p_type == PT_PHDR)
			bias = address - header.p_vaddr;
		if (header.p_type == PT_DYNAMIC) {
			dynamic = header.p_vaddr;
			bytes = header.p_memsz;
		}
	}
	*ret_dynamic = dynamic ? bias + dynamic : 0;
	*ret_bytes = bytes;
	return 0;
}

static int find_debug(const struct link_map_reader *reader, uint64_t dynamic, uint64_t bytes,
		      uint64_t *ret_debug)
{
	uint64_t count = bytes / sizeof(Elf64_Dyn);
	Elf64_Dyn entry;

	for (uint64_t i = 0; i < count && i < DYNAMIC_MAX; i++) {
		int ret = read_at(reader, dynamic + i * sizeof(entry), &entry, sizeof(entry));

		if (ret < 0)
			return ret;
		if (entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag == DT_DEBUG && entry.d_un.d_ptr != 0) {
			*ret_debug = entry.d_un.d_ptr;
			return 0;
		}
	}
	return -ENODATA;
}

static int walk_chain(const struct link_map_reader *reader, uint64_t first, linked_objects *objects)
{
	uint64_t at = first, before = 0;
	size_t count = 0;

	while (at != 0) {
		struct link_map map;
		int ret = read_at(reader, at, &map, sizeof(map));

		if (ret < 0)
			return ret;
		/* Each names the one before it: so a list without end is told from a long one. */
		if ((uintptr_t)map.l_prev != before || count++ >= LINK_MAP_MAX)
			return -EBADMSG;
		*vec_add(objects) = (struct linked_object){
			.bias = map.l_addr,
			.dynamic = (uintptr_t)map.l_ld,
		};
		before = at;
		at = (uintptr_t)map.l_next;
	}
	return 0;
}

int link_map_walk(const struct link_map_reader *reader, uint64_t program_headers, uint64_t count,
		  linked_objects *objects)
{
	uint64_t dynamic, bytes, address;
	size_t had = objects->count;
	struct r_debug debug;
	int ret;

	if (program_headers == 0 || count == 0)
		return -ENODATA;
	if (count > ELF_HEADERS_MAX)
		return -EBADMSG;
	ret = find_dynamic(reader, program_headers, count, &dynamic, &bytes);
	if (ret < 0)
		return ret;
	if (dynamic == 0)
		return -ENODATA;
	ret = find_debug(reader, dynamic, bytes, &address);
	if (ret == 0)
		ret = read_at(reader, address, &debug, sizeof(debug));
	if (ret < 0)
		return ret;
	if (debug.r_version <= 0 || !debug.r_map)
		return -ENODATA;
	ret = walk_chain(reader, (uintptr_t)debug.r_map, objects);
	if (ret < 0)
		objects->count = had;
	return ret;
}

int link_map_program_headers(const struct target *target, uint64_t *ret_address,
			     uint64_t *ret_count)
{
	OWN(own_close) int fd = process_open(target, ".", O_PATH | O_DIRECTORY);
	OWN(str_done) struct str text = {0};
	uint64_t address = 0, count = 0;
	int ret;

	if (fd < 0)
		return fd;
	ret = proc_read(fd, "auxv", AUXV_BYTES_MAX, &text);
	if (ret < 0)
		return ret;
	for (size_t at = 0; at + sizeof(Elf64_auxv_t) <= text.length; at += sizeof(Elf64_auxv_t)) {
		Elf64_auxv_t entry;

		memcpy(&entry, text.text + at, sizeof(entry));
		if (entry.a_type == AT_PHDR)
			address = entry.a_un.a_val;
		if (entry.a_type == AT_PHNUM)
			count = entry.a_un.a_val;
	}
	*ret_address = address;
	*ret_count = count;
	return 0;
}

static int read_memory(void *context, uint64_t address, void *into, size_t count)
{
	const int *fd = context;
	ssize_t got;

	do
		got = pread(*fd, into, count, (off_t)address);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return (size_t)got == count ? 0 : -EIO;
}

int link_map_read(const struct target *target, uint64_t program_headers, uint64_t count,
		  linked_objects *objects)
{
	OWN(own_close) int fd = process_open(target, "mem", O_RDONLY | O_CLOEXEC);
	struct link_map_reader reader = {read_memory, &fd};
	int ret = fd;

	/* It may be read while the target changes it. */
	for (unsigned i = 0; i < TRIES && fd >= 0; i++) {
		ret = link_map_walk(&reader, program_headers, count, objects);
		if (ret != -EBADMSG)
			break;
	}
	return ret;
}
