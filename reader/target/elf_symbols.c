#include "reader/target/elf_symbols.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "reader/target/elf_headers.h"
#include "reader/util/own.h"
#include "reader/util/str.h"

enum {
	PIECE_BYTES = 65536,
	/* The largest browsers' tables with all local symbols take 200 MB. */
	TABLE_BYTES_MAX = 256 * 1024 * 1024,
	TAIL_BUCKETS = 256,
	/* Places in one string table where a wanted name ends a string: large programs have
	 * thousands of names that end in "free". */
	PLACES_MAX = 1024 * 1024,
	FILTER_BITS = 65536,
	SLOTS_MAX = 4096,
};

/* ---- names */

struct wanted_name {
	const char *text;
	uint32_t length;
	uint32_t next; /* of its bucket; count: none */
	bool is_rust;
};

struct elf_wanted {
	struct wanted_name *names;
	uint32_t count;
	uint32_t buckets[TAIL_BUCKETS];
};

/* Of the last four characters. */
static unsigned tail_bucket(const char *end)
{
	uint32_t tail;

	memcpy(&tail, end - ELF_WANTED_MIN, sizeof(tail));
	return tail * 2654435761U >> 24;
}

struct elf_wanted *elf_wanted_new(const char *const *names, size_t count)
{
	struct elf_wanted *wanted = mem_zalloc(sizeof(*wanted));

	wanted->names = mem_array(count, sizeof(*wanted->names));
	wanted->count = (uint32_t)count;
	for (size_t i = 0; i < TAIL_BUCKETS; i++)
		wanted->buckets[i] = wanted->count;
	for (uint32_t i = 0; i < wanted->count; i++) {
		struct wanted_name *name = &wanted->names[i];
		uint32_t *bucket;

		name->text = names[i];
		name->length = (uint32_t)strlen(names[i]);
		name->is_rust = str_starts(names[i], "__rust") || str_starts(names[i], "__rdl") ||
				str_starts(names[i], "__rg");
		/* From short to long: whoever looks stops at the first that is too long. */
		bucket = &wanted->buckets[tail_bucket(name->text + name->length)];
		while (*bucket < wanted->count && wanted->names[*bucket].length < name->length)
			bucket = &wanted->names[*bucket].next;
		name->next = *bucket;
		*bucket = i;
	}
	return wanted;
}

void elf_wanted_free(struct elf_wanted *wanted)
{
	if (!wanted)
		return;
	free(wanted->names);
	free(wanted);
}

/* "_RNvC", perhaps "s…_", "7___rustc", and the name as an identifier with its length before it. */
static bool is_mangled(const char *text, size_t length, const struct wanted_name *name)
{
	static const char start[] = "_RNvC", crate[] = "7___rustc";
	const char *end = text + length;
	unsigned long digits = 0;

	if (length >= ELF_NAME_BYTES || length < sizeof(start) + sizeof(crate) + name->length ||
	    memcmp(text, start, sizeof(start) - 1) != 0)
		return false;
	text += sizeof(start) - 1;
	if (*text == 's') {
		text = memchr(text, '_', (size_t)(end - text));
		if (!text)
			return false;
		text++;
	}
	if ((size_t)(end - text) < sizeof(crate) + name->length ||
	    memcmp(text, crate, sizeof(crate) - 1) != 0)
		return false;
	text += sizeof(crate) - 1;
	for (; text < end && *text >= '0' && *text <= '9' && digits < ELF_NAME_BYTES; text++)
		digits = digits * 10 + (unsigned long)(*text - '0');
	/* An identifier that begins with an underscore is kept apart from its length by another. */
	return digits == name->length && (size_t)(end - text) == name->length + 1 && *text == '_' &&
	       memcmp(text + 1, name->text, name->length) == 0;
}

/* ---- the string table: where in it wanted names are */

struct name_place {
	uint32_t offset, name;
};

struct name_places {
	VEC(struct name_place) list;
	bool is_cut;
	uint64_t filter[FILTER_BITS / 64];
};

static void own_places(struct name_places *places)
{
	vec_done(&places->list);
}

static unsigned filter_bit(uint32_t offset)
{
	return offset * 2654435761U >> 16;
}

static void add_place(struct name_places *places, uint64_t offset, uint32_t name)
{
	unsigned bit = filter_bit((uint32_t)offset);

	if (places->list.count >= PLACES_MAX) {
		places->is_cut = true;
		return;
	}
	*vec_add(&places->list) = (struct name_place){(uint32_t)offset, name};
	places->filter[bit / 64] |= 1ULL << bit % 64;
}

/* A string of which the last `length` characters are here, all of them where it is whole. Linkers
 * let a name that is the end of another share its bytes. */
static void look_at_string(const struct elf_wanted *wanted, const char *text, size_t length,
			   bool is_whole, uint64_t offset, struct name_places *places)
{
	const struct wanted_name *name;

	if (length < ELF_WANTED_MIN)
		return;
	for (uint32_t i = wanted->buckets[tail_bucket(text + length)]; i < wanted->count;
	     i = name->next) {
		name = &wanted->names[i];
		if (name->length > length)
			break;
		if (memcmp(text + length - name->length, name->text, name->length) != 0)
			continue;
		add_place(places, offset + length - name->length, i);
		if (name->is_rust && is_whole && is_mangled(text, length, name))
			add_place(places, offset, i);
	}
}

static int compare_places(const void *a, const void *b)
{
	const struct name_place *one = a, *other = b;

	return (one->offset > other->offset) - (one->offset < other->offset);
}

static int find_places(int fd, const struct elf_wanted *wanted, const Elf64_Shdr *strings,
		       struct name_places *places)
{
	OWN(own_free) char *piece = mem_alloc(ELF_NAME_BYTES + PIECE_BYTES);
	uint64_t done = 0; /* bytes of the table that were read */
	size_t kept = 0;   /* of the last string, at the beginning of piece */
	bool is_whole = true;

	while (done < strings->sh_size) {
		size_t step = strings->sh_size - done < PIECE_BYTES ? strings->sh_size - done
								    : PIECE_BYTES;
		int ret = elf_read_bytes(fd, piece + kept, step, strings->sh_offset + done);
		char *at = piece, *end = piece + kept + step, *nul;

		if (ret < 0)
			return ret;
		done += step;
		while ((nul = memchr(at, '\0', (size_t)(end - at)))) {
			look_at_string(wanted, at, (size_t)(nul - at), is_whole,
				       done - (size_t)(end - at), places);
			at = nul + 1;
			is_whole = true;
		}
		kept = (size_t)(end - at);
		if (kept > ELF_NAME_BYTES) {
			at = end - ELF_NAME_BYTES;
			kept = ELF_NAME_BYTES;
			is_whole = false;
		}
		memmove(piece, at, kept);
	}
	if (places->list.count)
		qsort(places->list.items, places->list.count, sizeof(struct name_place),
		      compare_places);
	return 0;
}

/* ---- symbol tables */

struct sections {
	Elf64_Shdr *headers;
	size_t count;
	uint64_t file_bytes;
};

static void own_sections(struct sections *sections)
{
	free(sections->headers);
}

static int read_sections(int fd, struct sections *ret_sections)
{
	OWN(own_free) Elf64_Shdr *headers = NULL;
	Elf64_Ehdr header;
	struct stat stat;
	int ret;

	if (fstat(fd, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode) || stat.st_size < (off_t)sizeof(header))
		return -ENOEXEC;
	ret = elf_read_bytes(fd, &header, sizeof(header), 0);
	if (ret == 0)
		ret = elf_header_check(&header);
	if (ret < 0)
		return ret;
	*ret_sections = (struct sections){.file_bytes = (uint64_t)stat.st_size};
	if (header.e_shoff == 0 || header.e_shnum == 0)
		return 0;
	if (header.e_shentsize != sizeof(Elf64_Shdr))
		return -EBADMSG;
	headers = mem_array(header.e_shnum, sizeof(*headers));
	ret = elf_read_bytes(fd, headers, header.e_shnum * sizeof(*headers), header.e_shoff);
	if (ret < 0)
		return ret;
	ret_sections->headers = own_take(headers);
	ret_sections->count = header.e_shnum;
	return 0;
}

static int check_section(const struct sections *sections, const Elf64_Shdr *section)
{
	if (section->sh_offset > sections->file_bytes ||
	    section->sh_size > sections->file_bytes - section->sh_offset)
		return -EBADMSG;
	return section->sh_size > TABLE_BYTES_MAX ? -EFBIG : 0;
}

static const Elf64_Shdr *find_section(const struct sections *sections, uint32_t type)
{
	for (size_t i = 0; i < sections->count; i++)
		if (sections->headers[i].sh_type == type)
			return &sections->headers[i];
	return NULL;
}

static const struct name_place *place_of(const struct name_places *places, uint32_t offset)
{
	struct name_place key = {.offset = offset};
	unsigned bit = filter_bit(offset);

	if (!(places->filter[bit / 64] >> bit % 64 & 1))
		return NULL;
	return bsearch(&key, places->list.items, places->list.count, sizeof(key), compare_places);
}

static bool is_function(const Elf64_Sym *symbol)
{
	unsigned type = ELF64_ST_TYPE(symbol->st_info);

	return type == STT_FUNC || type == STT_GNU_IFUNC ||
	       (type == STT_NOTYPE && symbol->st_shndx == SHN_UNDEF);
}

/* The name as the file spells it: the wanted one, or what it is mangled to. */
static int spell(int fd, const Elf64_Shdr *strings, const struct name_place *place,
		 char spelled[ELF_NAME_BYTES])
{
	uint64_t left = strings->sh_size - place->offset;
	size_t count = left < ELF_NAME_BYTES ? left : ELF_NAME_BYTES;
	int ret = elf_read_bytes(fd, spelled, count, strings->sh_offset + place->offset);

	if (ret == 0 && !memchr(spelled, '\0', count))
		ret = -EBADMSG;
	return ret;
}

struct table_walk {
	int fd;
	bool is_dynamic;
	const Elf64_Shdr *strings;
	const struct name_places *places;
};

static int add_symbol(const struct table_walk *walk, const Elf64_Sym *symbol, uint64_t index,
		      elf_found_list *found, bool *ret_is_cut)
{
	const struct name_place *place = place_of(walk->places, symbol->st_name);
	struct elf_found new;
	int ret;

	if (!place)
		return 0;
	if (found->count >= ELF_FOUND_MAX) {
		*ret_is_cut = true;
		return 0;
	}
	new = (struct elf_found){
		.name = place->name,
		.index = (uint32_t)index,
		.is_dynamic = walk->is_dynamic,
		.is_defined = symbol->st_shndx != SHN_UNDEF,
		.is_local = ELF64_ST_BIND(symbol->st_info) == STB_LOCAL,
		.type = ELF64_ST_TYPE(symbol->st_info),
		.vaddr = symbol->st_value,
		.size = symbol->st_size,
	};
	ret = spell(walk->fd, walk->strings, place, new.spelled);
	if (ret == 0)
		*vec_add(found) = new;
	return ret;
}

static int walk_symbols(const struct table_walk *walk, const Elf64_Shdr *table,
			elf_found_list *found, bool *ret_is_cut)
{
	enum { STEP = PIECE_BYTES / sizeof(Elf64_Sym) };
	OWN(own_free) Elf64_Sym *piece = mem_array(STEP, sizeof(*piece));
	uint64_t count = table->sh_size / sizeof(*piece);

	for (uint64_t at = 0; at < count; at += STEP) {
		size_t step = count - at < STEP ? count - at : STEP;
		int ret = elf_read_bytes(walk->fd, piece, step * sizeof(*piece),
					 table->sh_offset + at * sizeof(*piece));

		for (size_t i = 0; i < step && ret == 0; i++)
			if (is_function(&piece[i]))
				ret = add_symbol(walk, &piece[i], at + i, found, ret_is_cut);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int find_in_table(int fd, const struct elf_wanted *wanted, const struct sections *sections,
			 const Elf64_Shdr *table, elf_found_list *found,
			 struct elf_symbol_tables *tables)
{
	OWN(own_places) struct name_places places = {0};
	struct table_walk walk = {fd, table->sh_type == SHT_DYNSYM, NULL, &places};
	int ret;

	if (table->sh_link >= sections->count || table->sh_entsize != sizeof(Elf64_Sym))
		return -EBADMSG;
	walk.strings = &sections->headers[table->sh_link];
	if (walk.strings->sh_type != SHT_STRTAB)
		return -EBADMSG;
	ret = check_section(sections, table);
	if (ret == 0)
		ret = check_section(sections, walk.strings);
	if (ret < 0)
		return ret;
	tables->bytes += table->sh_size + walk.strings->sh_size;
	ret = find_places(fd, wanted, walk.strings, &places);
	if (ret < 0 || places.list.count == 0)
		return ret;
	tables->is_cut |= places.is_cut;
	return walk_symbols(&walk, table, found, &tables->is_cut);
}

int elf_symbols_find(int fd, const struct elf_wanted *wanted, elf_found_list *found,
		     struct elf_symbol_tables *ret_tables)
{
	OWN(own_sections) struct sections sections = {0};
	struct elf_symbol_tables tables = {0};
	const Elf64_Shdr *dynamic, *full;
	int ret = read_sections(fd, &sections);

	*ret_tables = tables;
	if (ret < 0)
		return ret;
	dynamic = find_section(&sections, SHT_DYNSYM);
	full = find_section(&sections, SHT_SYMTAB);
	tables.has_dynamic = dynamic;
	tables.has_full = full;
	if (dynamic)
		ret = find_in_table(fd, wanted, &sections, dynamic, found, &tables);
	if (full && ret == 0)
		ret = find_in_table(fd, wanted, &sections, full, found, &tables);
	*ret_tables = tables;
	return ret;
}

/* ---- slots */

typedef VEC(uint32_t) index_list;

static void own_indexes(index_list *indexes)
{
	vec_done(indexes);
}

static int compare_indexes(const void *a, const void *b)
{
	const uint32_t *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

static void list_indexes(const elf_found_list *found, index_list *indexes)
{
	for (size_t i = 0; i < found->count; i++)
		if (found->items[i].is_dynamic)
			*vec_add(indexes) = found->items[i].index;
	if (indexes->count)
		qsort(indexes->items, indexes->count, sizeof(uint32_t), compare_indexes);
}

static int walk_relocations(int fd, const Elf64_Shdr *table, const index_list *indexes,
			    elf_slot_list *slots)
{
	enum { STEP = PIECE_BYTES / sizeof(Elf64_Rela) };
	OWN(own_free) Elf64_Rela *piece = mem_array(STEP, sizeof(*piece));
	uint64_t count = table->sh_size / sizeof(*piece);

	for (uint64_t at = 0; at < count; at += STEP) {
		size_t step = count - at < STEP ? count - at : STEP;
		int ret = elf_read_bytes(fd, piece, step * sizeof(*piece),
					 table->sh_offset + at * sizeof(*piece));

		if (ret < 0)
			return ret;
		for (size_t i = 0; i < step && slots->count < SLOTS_MAX; i++) {
			uint32_t type = ELF64_R_TYPE(piece[i].r_info);
			uint32_t symbol = ELF64_R_SYM(piece[i].r_info);

			if ((type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT) &&
			    bsearch(&symbol, indexes->items, indexes->count, sizeof(symbol),
				    compare_indexes))
				*vec_add(slots) = (struct elf_slot){piece[i].r_offset, symbol};
		}
	}
	return 0;
}

int elf_slots_find(int fd, const elf_found_list *found, elf_slot_list *slots)
{
	OWN(own_sections) struct sections sections = {0};
	OWN(own_indexes) index_list indexes = {0};
	uint64_t bytes = 0;
	int ret = 0;

	list_indexes(found, &indexes);
	if (indexes.count > 0)
		ret = read_sections(fd, &sections);
	for (size_t i = 0; i < sections.count && ret == 0; i++) {
		const Elf64_Shdr *table = &sections.headers[i];

		if (table->sh_type != SHT_RELA || table->sh_link >= sections.count ||
		    sections.headers[table->sh_link].sh_type != SHT_DYNSYM)
			continue;
		ret = check_section(&sections, table);
		if (ret == 0 && (bytes += table->sh_size) > TABLE_BYTES_MAX)
			ret = -EFBIG;
		if (ret == 0)
			ret = walk_relocations(fd, table, &indexes, slots);
	}
	return ret;
}
