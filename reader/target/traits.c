#include "reader/target/traits.h"

#include <string.h>

#include "reader/target/elf_headers.h"
#include "reader/target/proc.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

enum {
	/* The text of large programs; more does not make the guess better. */
	TEXT_BYTES_MAX = 32 * 1024 * 1024,
	TEXT_CHUNK = 65536,
	PROLOGUE_BYTES = 4,
	/* Of .eh_frame_hdr, as GNU ld, gold and LLD write it: version 1, pointer pc-relative in 4
	 * bytes, count in 4 bytes. */
	TABLE_VERSION = 1,
	TABLE_POINTER_ENCODING = 0x1b,
	TABLE_COUNT_ENCODING = 0x03,
	/* Unwind entries that are no function of the program: _start and three linkage tables. */
	START_UP_ENTRIES = 4,
	/* The compiler leaves the frame out of some functions, and moves the first instructions of
	 * others: neither share is ever exact. */
	MOST_PCT = 50,
	NONE_PCT = 10,
	/* Of what a program is started with; the kernel allows 6 MiB by default. */
	ENVIRONMENT_MAX = 8 * 1024 * 1024,
};

static const char AGENT[] = "librsprof_agent.so";

struct eh_frame_table {
	uint8_t version, pointer_encoding, count_encoding, table_encoding;
	uint32_t pointer, count;
};

static uint64_t count_functions(int fd, const Elf64_Phdr *header)
{
	struct eh_frame_table table;

	if (header->p_filesz < sizeof(table) ||
	    elf_read_bytes(fd, &table, sizeof(table), header->p_offset) < 0 ||
	    table.version != TABLE_VERSION || table.pointer_encoding != TABLE_POINTER_ENCODING ||
	    table.count_encoding != TABLE_COUNT_ENCODING)
		return 0;
	return table.count;
}

/* push %rbp; mov %rsp,%rbp in both of its encodings. */
static uint64_t count_prologues(int fd, const Elf64_Phdr *header)
{
	static const uint8_t gnu[PROLOGUE_BYTES] = {0x55, 0x48, 0x89, 0xe5};
	static const uint8_t other[PROLOGUE_BYTES] = {0x55, 0x48, 0x8b, 0xec};
	uint64_t bytes = header->p_filesz < TEXT_BYTES_MAX ? header->p_filesz : TEXT_BYTES_MAX;
	uint64_t found = 0;

	/* Chunks overlap, so that none is missed at an edge. */
	for (uint64_t at = 0; at + PROLOGUE_BYTES <= bytes; at += TEXT_CHUNK - PROLOGUE_BYTES + 1) {
		uint8_t chunk[TEXT_CHUNK];
		size_t count = bytes - at < sizeof(chunk) ? bytes - at : sizeof(chunk);

		if (elf_read_bytes(fd, chunk, count, header->p_offset + at) < 0)
			return found;
		for (size_t i = 0; i + PROLOGUE_BYTES <= count; i++)
			found += memcmp(chunk + i, gnu, PROLOGUE_BYTES) == 0 ||
				 memcmp(chunk + i, other, PROLOGUE_BYTES) == 0;
	}
	return found;
}

enum frame_pointers frame_pointers_guess(int fd)
{
	OWN(own_free) Elf64_Phdr *headers = NULL;
	uint64_t functions = 0, prologues = 0, text_bytes = 0, file_bytes, share_pct;
	Elf64_Ehdr header;

	if (elf_headers_read(fd, &header, &headers, &file_bytes) < 0 ||
	    header.e_machine != EM_X86_64)
		return FRAME_POINTERS_UNKNOWN;
	for (unsigned i = 0; i < header.e_phnum; i++) {
		if (headers[i].p_type == PT_GNU_EH_FRAME) {
			functions = count_functions(fd, &headers[i]);
		} else if (headers[i].p_type == PT_LOAD && headers[i].p_flags & PF_X) {
			/* A count over a part of the text would be too low; and the sum bounds a
			 * file that names the same bytes many times. */
			if (headers[i].p_filesz > TEXT_BYTES_MAX - text_bytes)
				return FRAME_POINTERS_UNKNOWN;
			text_bytes += headers[i].p_filesz;
			prologues += count_prologues(fd, &headers[i]);
		}
	}
	if (functions <= START_UP_ENTRIES)
		return FRAME_POINTERS_UNKNOWN;
	share_pct = prologues * 100 / (functions - START_UP_ENTRIES);
	if (share_pct >= MOST_PCT)
		return FRAME_POINTERS_MOST;
	return share_pct < NONE_PCT ? FRAME_POINTERS_NONE : FRAME_POINTERS_SOME;
}

static bool is_mapped(const target_mappings *mappings, const char *library)
{
	for (size_t i = 0; i < mappings->count; i++) {
		const char *path = mappings->items[i].path;
		const char *slash = strrchr(path, '/');

		if (slash && str_starts(slash + 1, library))
			return true;
	}
	return false;
}

bool traits_has_agent(const target_mappings *mappings)
{
	return is_mapped(mappings, AGENT);
}

bool traits_preloads_agent(const struct target *target)
{
	OWN(str_done) struct str environment = {0};
	const char *at, *end;

	if (proc_read(target->proc_fd, "environ", ENVIRONMENT_MAX, &environment) < 0)
		return false;
	at = str_text(&environment);
	end = at + environment.length;
	for (; at < end; at += strlen(at) + 1) {
		if (str_starts(at, "LD_PRELOAD=") && strstr(at, AGENT))
			return true;
	}
	return false;
}

bool traits_has_linker(const target_mappings *mappings)
{
	return is_mapped(mappings, "ld-linux") || is_mapped(mappings, "ld-musl") ||
	       is_mapped(mappings, "ld-2.");
}

const struct target_mapping *traits_executable(const struct target *target,
					       const target_mappings *mappings)
{
	for (size_t i = 0; i < mappings->count; i++) {
		const struct target_mapping *at = &mappings->items[i];

		if (at->is_executable && *at->path && strcmp(at->path, target->exe_path) == 0)
			return at;
	}
	return NULL;
}
