#include "reader/target/inject_libc.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reader/target/elf_headers.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"

enum {
	/* libc.so.6 has 3,000 dynamic symbols; its file is 2 MB. */
	LIBC_BYTES_MAX = 64 * 1024 * 1024,
	MODE_DLOPEN = (int)0x80000000, /* of __libc_dlopen_mode */
};

/* All that malloc.c exports, in any version. */
static const char *const malloc_names[] = {
	"malloc",
	"free",
	"cfree",
	"calloc",
	"realloc",
	"memalign",
	"aligned_alloc",
	"valloc",
	"pvalloc",
	"posix_memalign",
	"malloc_trim",
	"malloc_info",
	"malloc_usable_size",
	"mallinfo",
	"mallinfo2",
	"malloc_stats",
	"mallopt",
	"__default_morecore",
	"__libc_malloc",
	"__libc_free",
	"__libc_calloc",
	"__libc_realloc",
	"__libc_memalign",
	"__libc_valloc",
	"__libc_pvalloc",
	"__libc_mallopt",
	"__libc_mallinfo",
	"malloc_get_state",
	"malloc_set_state",
	"__malloc_check_init",
};

static bool is_malloc_name(const char *name)
{
	for (size_t i = 0; i < sizeof(malloc_names) / sizeof(malloc_names[0]); i++)
		if (strcmp(malloc_names[i], name) == 0)
			return true;
	return false;
}

struct dynamic_symbols {
	uint8_t *bytes;
	size_t size;
	const Elf64_Sym *symbols;
	size_t count;
	const char *names;
	size_t name_bytes;
};

static void own_symbols(struct dynamic_symbols *symbols)
{
	free(symbols->bytes);
}

static const char *name_of(const struct dynamic_symbols *symbols, const Elf64_Sym *symbol)
{
	return symbol->st_name < symbols->name_bytes ? symbols->names + symbol->st_name : "";
}

static bool is_in_file(const struct dynamic_symbols *symbols, uint64_t offset, uint64_t bytes)
{
	return offset <= symbols->size && bytes <= symbols->size - offset;
}

static int read_symbols(int fd, struct dynamic_symbols *symbols)
{
	const Elf64_Ehdr *header;
	const Elf64_Shdr *sections;
	struct stat stat;
	int ret;

	if (fstat(fd, &stat) < 0)
		return -errno;
	if (stat.st_size < (off_t)sizeof(*header) || stat.st_size > LIBC_BYTES_MAX)
		return -EFBIG;
	symbols->size = (size_t)stat.st_size;
	symbols->bytes = mem_alloc(symbols->size + 1);
	symbols->bytes[symbols->size] = 0;
	ret = elf_read_bytes(fd, symbols->bytes, symbols->size, 0);
	if (ret < 0)
		return ret;
	header = (const Elf64_Ehdr *)symbols->bytes;
	ret = elf_header_check(header);
	if (ret < 0)
		return ret;
	if (header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shoff % 8 ||
	    !is_in_file(symbols, header->e_shoff, header->e_shnum * sizeof(Elf64_Shdr)))
		return -EBADMSG;
	sections = (const Elf64_Shdr *)(symbols->bytes + header->e_shoff);
	for (unsigned i = 0; i < header->e_shnum; i++) {
		const Elf64_Shdr *at = &sections[i], *names;

		if (at->sh_type != SHT_DYNSYM || at->sh_link >= header->e_shnum)
			continue;
		names = &sections[at->sh_link];
		if (!is_in_file(symbols, at->sh_offset, at->sh_size) || at->sh_offset % 8 ||
		    !is_in_file(symbols, names->sh_offset, names->sh_size))
			return -EBADMSG;
		symbols->symbols = (const Elf64_Sym *)(symbols->bytes + at->sh_offset);
		symbols->count = at->sh_size / sizeof(Elf64_Sym);
		symbols->names = (const char *)symbols->bytes + names->sh_offset;
		symbols->name_bytes = names->sh_size;
		return 0;
	}
	return -ENODATA;
}

static bool is_function(const Elf64_Sym *symbol)
{
	unsigned type = ELF64_ST_TYPE(symbol->st_info);

	return symbol->st_shndx != SHN_UNDEF && symbol->st_value &&
	       (type == STT_FUNC || type == STT_GNU_IFUNC);
}

static uint64_t find_function(const struct dynamic_symbols *symbols, const char *name)
{
	for (size_t i = 0; i < symbols->count; i++)
		if (is_function(&symbols->symbols[i]) &&
		    strcmp(name_of(symbols, &symbols->symbols[i]), name) == 0)
			return symbols->symbols[i].st_value;
	return 0;
}

/* malloc.c as it lies in the library: its exported functions, what is before them as far as the end
 * of the last function of another file, and what is behind as far as the next one. */
static bool find_malloc(const struct dynamic_symbols *symbols, struct inject_libc *libc)
{
	uint64_t low = UINT64_MAX, high = 0, before = 0, after = UINT64_MAX;

	for (size_t i = 0; i < symbols->count; i++) {
		const Elf64_Sym *at = &symbols->symbols[i];

		if (!is_function(at) || !is_malloc_name(name_of(symbols, at)))
			continue;
		if (low > at->st_value)
			low = at->st_value;
		if (high < at->st_value + at->st_size)
			high = at->st_value + at->st_size;
	}
	for (size_t i = 0; i < symbols->count; i++) {
		const Elf64_Sym *at = &symbols->symbols[i];

		if (!is_function(at))
			continue;
		if (at->st_value < low && before < at->st_value + at->st_size)
			before = at->st_value + at->st_size;
		if (at->st_value >= high && after > at->st_value)
			after = at->st_value;
	}
	if (high == 0 || after == UINT64_MAX)
		return false;
	libc->malloc_start = before < low ? before : low;
	libc->malloc_end = after;
	return true;
}

int inject_libc_read(int fd, struct inject_libc *ret_libc)
{
	OWN(own_symbols) struct dynamic_symbols symbols = {0};
	struct inject_libc libc = {.open_flags = RTLD_NOW};
	int ret = read_symbols(fd, &symbols);

	if (ret < 0)
		return ret;
	if (!find_malloc(&symbols, &libc))
		return -EBADMSG;
	libc.open_function = find_function(&symbols, "dlopen");
	if (libc.open_function) {
		libc.error_function = find_function(&symbols, "dlerror");
	} else {
		libc.open_function = find_function(&symbols, "__libc_dlopen_mode");
		libc.open_flags |= MODE_DLOPEN;
	}
	*ret_libc = libc;
	return 0;
}
