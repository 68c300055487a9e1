/* The .eh_frame interpreter: hand-made sections, the sections of this process, damaged ones. */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/ehframe.h"
#include "tests/lib/kit.h"

enum { SECTION_VADDR = 0x400000, CODE = 0x1000, CODE_BYTES = 0x100, BUFFER_MAX = 8192 };

/* ---- hand-made sections */

struct buffer {
	uint8_t bytes[BUFFER_MAX];
	size_t size;
};

static void put(struct buffer *buffer, const void *bytes, size_t count)
{
	CHECK(buffer->size + count <= BUFFER_MAX);
	memcpy(buffer->bytes + buffer->size, bytes, count);
	buffer->size += count;
}

static void put_number(struct buffer *buffer, uint64_t value, size_t size)
{
	put(buffer, &value, size);
}

static size_t begin_entry(struct buffer *buffer)
{
	size_t start = buffer->size;

	put_number(buffer, 0, 4);
	return start;
}

static void end_entry(struct buffer *buffer, size_t start)
{
	uint32_t length = (uint32_t)(buffer->size - start - 4);

	memcpy(buffer->bytes + start, &length, 4);
}

/* Code alignment 1, data alignment -8, CFA = rsp + 8, return address at CFA - 8. */
static const uint8_t usual[] = {0x0c, 7, 8, 0x80 | 16, 1};

static size_t put_cie_with(struct buffer *buffer, const char *augmentation, const void *program,
			   size_t size)
{
	size_t start = begin_entry(buffer);

	put_number(buffer, 0, 4);
	put_number(buffer, 1, 1);
	put(buffer, augmentation, strlen(augmentation) + 1);
	put_number(buffer, 1, 1);
	put_number(buffer, 0x78, 1);
	put_number(buffer, 16, 1);
	if (augmentation[0] == 'z') {
		put_number(buffer, 1, 1); /* the only data is that of R */
		put_number(buffer, 0x1b, 1);
	}
	put(buffer, program, size);
	end_entry(buffer, start);
	return start;
}

static size_t put_cie(struct buffer *buffer, const char *augmentation)
{
	return put_cie_with(buffer, augmentation, usual, sizeof(usual));
}

/* For a zR CIE: relative to itself, 4 bytes. */
static size_t put_fde(struct buffer *buffer, size_t cie, uint64_t start, uint32_t size,
		      const void *program, size_t program_size)
{
	size_t entry = begin_entry(buffer);

	put_number(buffer, buffer->size - cie, 4);
	put_number(buffer, start - (SECTION_VADDR + buffer->size), 4);
	put_number(buffer, size, 4);
	put_number(buffer, 0, 1);
	put(buffer, program, program_size);
	end_entry(buffer, entry);
	return entry;
}

/* As text: "+0 rsp+8 same, +4 rsp+16 cfa-16". */
struct text {
	char text[1024];
	size_t length;
};

static const char *rule_name(const struct ehframe_rule *rule, char *into, size_t size)
{
	static const char *const names[] = {"none", "unsupported", "stop", "rsp",   "rbp",
					    "plt",  "*rsp",	   "*rbp", "signal"};
	int length;

	if (rule->cfa_type >= EH_CFA_REGISTER)
		length = snprintf(into, size, "r%d%+d", rule->cfa_type - EH_CFA_REGISTER,
				  rule->cfa_off);
	else if (rule->cfa_type == EH_CFA_RSP || rule->cfa_type == EH_CFA_RBP)
		length = snprintf(into, size, "%s%+d", names[rule->cfa_type], rule->cfa_off);
	else if (rule->cfa_type >= EH_CFA_PLT && rule->cfa_type <= EH_CFA_RBP_DEREF)
		length = snprintf(into, size, "%s%+d,%d", names[rule->cfa_type],
				  ehframe_low(rule->cfa_off), ehframe_high(rule->cfa_off));
	else
		length = snprintf(into, size, "%s", names[rule->cfa_type]);
	if (rule->rbp_type >= EH_RBP_RA_REGISTER)
		snprintf(into + length, size - length, " ra=r%d",
			 rule->rbp_type - EH_RBP_RA_REGISTER);
	else if (rule->rbp_type == EH_RBP_CFA)
		snprintf(into + length, size - length, " cfa%+d", rule->rbp_off);
	else if (rule->rbp_type == EH_RBP_RBP)
		snprintf(into + length, size - length, " rbp%+d", rule->rbp_off);
	else if (rule->rbp_type == EH_RBP_UNKNOWN)
		snprintf(into + length, size - length, " lost");
	return into;
}

static void add_text(void *context, uint64_t start, const struct ehframe_rule *rule)
{
	struct text *text = context;
	char name[64];

	text->length += snprintf(text->text + text->length, sizeof(text->text) - text->length,
				 "%s+%d %s", text->length ? ", " : "", (int)(start - CODE),
				 rule_name(rule, name, sizeof(name)));
	CHECK(text->length < sizeof(text->text));
}

/* The rows of the only FDE of the section; the same from look-ups at each address. */
static void check_rows_of(const struct buffer *buffer, bool is_debug_frame, const char *want)
{
	/* A copy of the exact size: a sanitizer sees reads behind it. */
	uint8_t *bytes = malloc(buffer->size);
	struct ehframe_section section = {bytes, buffer->size, SECTION_VADDR, is_debug_frame};
	struct ehframe_walk walk;
	struct ehframe_fde fde, none;
	struct text text = {.length = 0}, looked_up = {.length = 0};
	struct ehframe_rule last = {0};

	memcpy(bytes, buffer->bytes, buffer->size);
	ehframe_walk_start(&walk, &section);
	CHECK(ehframe_walk_next(&walk, &fde));
	CHECK_EQ_U64(fde.start, CODE);
	CHECK_EQ_U64(fde.end, CODE + CODE_BYTES);
	ehframe_rows(&section, &walk.cie, &fde, add_text, &text);
	CHECK_EQ_STR(text.text, want);
	for (uint64_t pc = fde.start; pc < fde.end; pc++) {
		struct ehframe_rule rule = ehframe_rule_at(&section, &walk.cie, &fde, pc);

		if (memcmp(&rule, &last, sizeof(rule)) != 0)
			add_text(&looked_up, pc, &rule);
		last = rule;
	}
	CHECK_EQ_STR(looked_up.text, want);
	CHECK_EQ_U64(ehframe_rule_at(&section, &walk.cie, &fde, fde.end).cfa_type, EH_CFA_NONE);
	CHECK_EQ_U64(ehframe_rule_at(&section, &walk.cie, &fde, fde.start - 1).cfa_type,
		     EH_CFA_NONE);
	CHECK(!ehframe_walk_next(&walk, &none));
	CHECK_EQ_U64(walk.bad_count, 0);
	CHECK(!walk.is_cut);
	free(bytes);
}

#define CHECK_ROWS(augmentation, want, ...)                                                        \
	do {                                                                                       \
		static const uint8_t program[] = {__VA_ARGS__};                                    \
		struct buffer buffer = {.size = 0};                                                \
		size_t cie = put_cie(&buffer, augmentation);                                       \
		put_fde(&buffer, cie, CODE, CODE_BYTES, program, sizeof(program));                 \
		put_number(&buffer, 0, 4);                                                         \
		check_rows_of(&buffer, false, want);                                               \
	} while (0)

TEST(a_function_with_a_frame_pointer)
{
	CHECK_ROWS("zR", "+0 rsp+8, +1 rsp+16 cfa-16, +4 rbp+16 cfa-16, +80 rsp+8 cfa-16", 0x41,
		   0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x02, 76, 0x0c, 7, 8);
}

TEST(states_are_remembered_and_restored)
{
	CHECK_ROWS("zR", "+0 rsp+8, +1 rsp+16, +2 rsp+8, +3 rsp+16, +4 rsp+8 cfa-16, +5 rsp+8",
		   0x41, 0x0e, 16, 0x0a, 0x41, 0x0e, 8, 0x41, 0x0b, 0x41, 0x0e, 8, 0x86, 2, 0x41,
		   0xc6);
}

TEST(each_way_to_advance)
{
	CHECK_ROWS("zR", "+0 rsp+8, +2 rsp+16, +5 rsp+24, +9 rsp+32, +14 rsp+40", 0x42, 0x0e, 16,
		   0x02, 3, 0x0e, 24, 0x03, 4, 0, 0x0e, 32, 0x04, 5, 0, 0, 0, 0x0e, 40);
}

TEST(equal_rules_are_one_row)
{
	CHECK_ROWS("zR", "+0 rsp+8", 0x41, 0x83, 2, 0x41, 0x8c, 3, 0x41, 0x2e, 16, 0x41, 0x0e, 8);
}

TEST(what_moves_past_the_end_is_no_row)
{
	CHECK_ROWS("zR", "+0 rsp+8", 0x03, 0, 1, 0x0e, 16);
}

TEST(a_row_changed_in_place_is_one_row)
{
	CHECK_ROWS("zR", "+0 rsp+24, +1 rsp+32", 0x0e, 16, 0x0e, 24, 0x41, 0x0e, 16, 0x40, 0x0e,
		   32);
}

TEST(the_linkers_plt)
{
	CHECK_ROWS("zR", "+0 rsp+16, +6 rsp+24, +16 plt+8,11", 0x0e, 16, 0x46, 0x0e, 24, 0x4a, 0x0f,
		   11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22);
}

TEST(the_cfa_from_memory)
{
	CHECK_ROWS("zR", "+0 *rbp-8,0, +1 *rsp+152,8, +2 *rsp+16,0, +3 unsupported", 0x0f, 3, 0x76,
		   0x78, 0x06, 0x41, 0x0f, 6, 0x77, 0x98, 0x01, 0x06, 0x23, 8, 0x41, 0x0f, 3, 0x77,
		   16, 0x06, 0x41, 0x0f, 3, 0x73, 16, 0x06);
}

TEST(a_realigned_stack)
{
	CHECK_ROWS("zR", "+0 rsp+8, +5 r10+0, +9 r10+0 rbp+0, +11 *rbp-8,0 rbp+0, +12 r10+0 rbp+0",
		   0x45, 0x0c, 10, 0, 0x44, 0x10, 6, 2, 0x76, 0, 0x42, 0x0f, 3, 0x76, 0x78, 0x06,
		   0x41, 0x0c, 10, 0);
}

TEST(a_return_address_in_a_register)
{
	CHECK_ROWS("zR", "+0 rsp+8, +1 rsp+0 ra=r5", 0x41, 0x0e, 0, 0x09, 16, 5);
}

TEST(the_last_frame_of_a_stack)
{
	CHECK_ROWS("zR", "+0 rsp+8, +2 stop", 0x42, 0x07, 16);
}

#define SIGNAL_PROGRAM                                                                             \
	0x0f, 4, 0x77, 0xa0, 0x01, 0x06, 0x10, 6, 3, 0x77, 0xf8, 0x00, 0x10, 7, 3, 0x77, 0xa0,     \
		0x01, 0x10, 16, 3, 0x77, 0xa8, 0x01

TEST(a_signal_frame)
{
	CHECK_ROWS("zRS", "+0 signal", SIGNAL_PROGRAM);
	/* The registers elsewhere: some other kernel's. */
	CHECK_ROWS("zRS", "+0 unsupported", 0x0e, 16);
}

TEST(lost_and_unusual_registers)
{
	CHECK_ROWS("zR", "+0 rsp+8 lost, +1 rsp+8, +2 rsp+8 lost", 0x07, 6, 0x41, 0x08, 6, 0x41,
		   0x09, 6, 3);
}

TEST(what_no_rule_expresses_is_unsupported)
{
	/* The return address at CFA - 16, the caller's rsp in memory, a huge offset; then sane. */
	CHECK_ROWS("zR", "+0 rsp+8, +1 unsupported, +2 rsp+8, +3 unsupported, +5 rsp+8", 0x41, 0x90,
		   2, 0x41, 0xd0, 0x41, 0x87, 3, 0x42, 0xc7);
	CHECK_ROWS("zR", "+0 unsupported, +1 rsp+8", 0x0e, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x41, 0x0c,
		   7, 8);
	CHECK_ROWS("zR", "+0 rsp+8 lost", 0x86, 0xff, 0xff, 0x7f);
}

TEST(an_unknown_instruction_ends_what_is_known)
{
	CHECK_ROWS("zR", "+0 rsp+8, +1 rsp+16, +3 unsupported", 0x41, 0x0e, 16, 0x42, 0x3f, 0x41,
		   0x0e, 8);
	/* Cut within an operand; restored without being remembered; remembered too deep. */
	CHECK_ROWS("zR", "+0 rsp+8, +1 unsupported", 0x41, 0x0e);
	CHECK_ROWS("zR", "+0 rsp+8, +1 unsupported", 0x41, 0x0b);
	CHECK_ROWS("zR", "+0 rsp+8, +1 unsupported", 0x41, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a,
		   0x0a, 0x0a);
	/* Expressions longer than the entry; numbers longer than 64 bits. */
	CHECK_ROWS("zR", "+0 rsp+8, +1 unsupported", 0x41, 0x0f, 0xff, 0x7f, 0x77);
	CHECK_ROWS("zR", "+0 rsp+8, +1 unsupported", 0x41, 0x0e, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		   0xff, 0xff, 0xff, 0x02);
}

/* ---- entries */

static struct ehframe_walk walk_all(const struct buffer *buffer, size_t size, unsigned *ret_count)
{
	uint8_t *bytes = malloc(size ? size : 1);
	struct ehframe_section section = {bytes, size, SECTION_VADDR, false};
	struct ehframe_walk walk;
	struct ehframe_fde fde;

	memcpy(bytes, buffer->bytes, size);
	*ret_count = 0;
	ehframe_walk_start(&walk, &section);
	while (ehframe_walk_next(&walk, &fde))
		++*ret_count;
	free(bytes);
	return walk;
}

TEST(damaged_entries_are_passed_over_and_counted)
{
	static const uint8_t large[EH_CIE_BYTES_MAX + 1];
	struct buffer buffer = {.size = 0};
	size_t good = put_cie(&buffer, "zR"), bad;
	struct ehframe_walk walk;
	unsigned count;

	put_fde(&buffer, good, CODE, 16, "", 0);
	bad = put_cie(&buffer, "zX"); /* an unknown letter */
	put_fde(&buffer, bad, CODE, 16, "", 0);
	bad = put_cie(&buffer, "zRRRRRRRRRRRRRRRRR"); /* no such augmentation */
	put_fde(&buffer, bad, CODE, 16, "", 0);
	bad = put_cie_with(&buffer, "zR", large, sizeof(large));
	put_fde(&buffer, bad, CODE, 16, "", 0);
	bad = put_cie_with(&buffer, "zR", "\x0b", 1); /* restores what nobody saved */
	put_fde(&buffer, bad, CODE, 16, "", 0);
	bad = put_fde(&buffer, good, CODE + 16, 16, "", 0);
	put_fde(&buffer, bad, CODE, 16, "", 0);		  /* its CIE is an FDE */
	put_fde(&buffer, (size_t)-4096, CODE, 16, "", 0); /* its CIE is outside */
	put_fde(&buffer, good, CODE + 32, 16, "", 0);
	walk = walk_all(&buffer, buffer.size, &count);
	CHECK_EQ_U64(count, 3);
	CHECK_EQ_U64(walk.bad_count, 6);
	CHECK(!walk.is_cut);
}

TEST(a_cut_section_ends_where_it_is_cut)
{
	struct buffer buffer = {.size = 0};
	size_t cie = put_cie(&buffer, "zR"), first, second;
	struct ehframe_walk walk;
	unsigned count;

	first = put_fde(&buffer, cie, CODE, 16, "", 0);
	second = put_fde(&buffer, cie, CODE + 16, 16, "", 0);
	for (size_t size = 0; size <= buffer.size; size++) {
		walk = walk_all(&buffer, size, &count);
		CHECK_EQ_U64(count, size == buffer.size ? 2 : size >= second);
		CHECK_EQ_U64(walk.is_cut,
			     size != 0 && size != first && size != second && size != buffer.size);
	}
}

TEST(the_terminator_ends_a_section)
{
	struct buffer buffer = {.size = 0};
	size_t cie = put_cie(&buffer, "zR");
	unsigned count;

	put_fde(&buffer, cie, CODE, 16, "", 0);
	put_number(&buffer, 0, 4);
	put_fde(&buffer, cie, CODE, 16, "", 0);
	walk_all(&buffer, buffer.size, &count);
	CHECK_EQ_U64(count, 1);
}

/* ---- .debug_frame, of version 3 and 4, in 32 and 64 bits */

static void check_debug_frame(unsigned version, bool is_long)
{
	static const uint8_t program[] = {0x41, 0x0e, 16, 0x86, 2};
	struct buffer buffer = {.size = 0};
	size_t lengths[2];

	for (int i = 0; i < 2; i++) {
		size_t start = buffer.size;
		uint64_t length;

		if (is_long)
			put_number(&buffer, 0xffffffff, 4);
		lengths[i] = buffer.size;
		put_number(&buffer, 0, is_long ? 8 : 4);
		if (i == 0) {
			put_number(&buffer, UINT64_MAX, is_long ? 8 : 4);
			put_number(&buffer, version, 1);
			put_number(&buffer, 0, 1);
			if (version == 4)
				put_number(&buffer, 8, 2);
			put(&buffer, "\x01\x78\x10", 3);
			put(&buffer, usual, sizeof(usual));
		} else {
			put_number(&buffer, 0, is_long ? 8 : 4);
			put_number(&buffer, CODE, 8);
			put_number(&buffer, CODE_BYTES, 8);
			put(&buffer, program, sizeof(program));
		}
		length = buffer.size - lengths[i] - (is_long ? 8 : 4);
		memcpy(buffer.bytes + lengths[i], &length, is_long ? 8 : 4);
		CHECK(start < buffer.size);
	}
	check_rows_of(&buffer, true, "+0 rsp+8, +1 rsp+16 cfa-16");
}

TEST(debug_frame_of_each_version)
{
	for (unsigned version = 3; version <= 4; version++) {
		check_debug_frame(version, false);
		check_debug_frame(version, true);
	}
}

/* ---- this process */

struct loaded {
	const char *name; /* that the path ends with; "" is the program */
	const uint8_t *header;
	size_t header_size;
	const uint8_t *end; /* of the segment that holds the header */
};

static int find_loaded(struct dl_phdr_info *info, size_t size, void *context)
{
	struct loaded *loaded = context;
	size_t length = strlen(info->dlpi_name), want = strlen(loaded->name);

	if (want ? length < want || strcmp(info->dlpi_name + length - want, loaded->name) != 0
		 : length != 0)
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type != PT_GNU_EH_FRAME)
			continue;
		loaded->header = (const uint8_t *)(info->dlpi_addr + segment->p_vaddr);
		loaded->header_size = segment->p_memsz;
	}
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		const uint8_t *start = (const uint8_t *)(info->dlpi_addr + segment->p_vaddr);

		if (segment->p_type == PT_LOAD && loaded->header >= start &&
		    loaded->header < start + segment->p_filesz)
			loaded->end = start + segment->p_filesz;
	}
	return 1;
}

static void open_loaded(const char *name, struct ehframe_index *ret_index,
			struct ehframe_section *ret_section)
{
	struct loaded loaded = {.name = name};

	CHECK(dl_iterate_phdr(find_loaded, &loaded) == 1);
	CHECK(loaded.header != NULL && loaded.end != NULL);
	CHECK_EQ_I64(ehframe_index_open(loaded.header, loaded.header_size,
					(uint64_t)(uintptr_t)loaded.header, ret_index),
		     0);
	*ret_section = (struct ehframe_section){
		.bytes = (const uint8_t *)(uintptr_t)ret_index->frame_vaddr,
		.size = (size_t)((uintptr_t)loaded.end - ret_index->frame_vaddr),
		.vaddr = ret_index->frame_vaddr,
	};
}

static struct ehframe_rule look_up(const char *module, uint64_t pc)
{
	struct ehframe_index index;
	struct ehframe_section section;
	struct ehframe_cie cie = {0};
	struct ehframe_fde fde;

	open_loaded(module, &index, &section);
	CHECK_EQ_I64(ehframe_index_find(&index, &section, pc, &cie, &fde), 0);
	return ehframe_rule_at(&section, &cie, &fde, pc);
}

TEST(the_signal_frame_of_libc)
{
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} kernel;
	struct sigaction action = {.sa_handler = SIG_IGN};

	sigaction(SIGUSR1, &action, NULL);
	CHECK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &kernel, 8) == 0);
	CHECK_EQ_U64(look_up("/libc.so.6", (uint64_t)(uintptr_t)kernel.restorer).cfa_type,
		     EH_CFA_SIGNAL);
	/* The entry begins one byte early, for those who look up the address before a return. */
	CHECK_EQ_U64(look_up("/libc.so.6", (uint64_t)(uintptr_t)kernel.restorer - 1).cfa_type,
		     EH_CFA_SIGNAL);
}

TEST(vfork_keeps_its_return_address_in_a_register)
{
	/* libc's own: a sanitizer puts another before it. */
	uint64_t start = (uint64_t)(uintptr_t)dlsym(dlopen("libc.so.6", RTLD_NOW), "vfork");
	unsigned found = 0;

	CHECK(start != 0);
	CHECK_EQ_U64(look_up("/libc.so.6", start).rbp_type, EH_RBP_SAME);
	for (uint64_t pc = start; pc < start + 16; pc++)
		found += look_up("/libc.so.6", pc).rbp_type == EH_RBP_RA_REGISTER + EH_REGISTER_RDI;
	CHECK(found > 0);
}

extern void _start(void);

TEST(a_program_starts_where_stacks_stop)
{
	CHECK_EQ_U64(look_up("", (uint64_t)(uintptr_t)_start + 4).cfa_type, EH_CFA_STOP);
}

struct tally {
	const struct ehframe_index *index;
	const struct ehframe_section *section;
	struct ehframe_cie cie;
	uint64_t rows, differences;
};

static void compare_row(void *context, uint64_t start, const struct ehframe_rule *rule)
{
	struct tally *tally = context;
	struct ehframe_fde fde;
	struct ehframe_rule again;

	tally->rows++;
	if (ehframe_index_find(tally->index, tally->section, start, &tally->cie, &fde) != 0) {
		tally->differences++;
		return;
	}
	again = ehframe_rule_at(tally->section, &tally->cie, &fde, start);
	tally->differences += memcmp(&again, rule, sizeof(again)) != 0;
}

TEST(look_ups_and_the_walk_agree_on_all_of_libc)
{
	struct ehframe_index index;
	struct ehframe_section section;
	struct tally tally = {.index = &index, .section = &section};
	struct ehframe_walk walk;
	struct ehframe_fde fde;
	uint64_t fde_count = 0;

	open_loaded("/libc.so.6", &index, &section);
	ehframe_walk_start(&walk, &section);
	while (ehframe_walk_next(&walk, &fde)) {
		fde_count++;
		ehframe_rows(&section, &walk.cie, &fde, compare_row, &tally);
	}
	printf("# libc: %" PRIu64 " FDEs, %" PRIu64 " rows looked up\n", fde_count, tally.rows);
	CHECK_EQ_U64(fde_count, index.count);
	CHECK(tally.rows > 10000);
	CHECK_EQ_U64(tally.differences, 0);
	CHECK_EQ_U64(walk.bad_count, 0);
}

TEST(an_address_before_and_behind_all_code_has_no_entry)
{
	struct ehframe_index index;
	struct ehframe_section section;
	struct ehframe_cie cie = {0};
	struct ehframe_fde fde;

	open_loaded("/libc.so.6", &index, &section);
	CHECK_EQ_I64(ehframe_index_find(&index, &section, 0, &cie, &fde), -ENOENT);
	CHECK_EQ_I64(ehframe_index_find(&index, &section, UINT64_MAX, &cie, &fde), -ENOENT);
}

/* ---- damage */

enum { FRAME_BYTES = 16384, HEADER_BYTES = 4096, VARIANTS = 2500, LOOK_UPS = 20 };

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 20;
}

static void damage(uint8_t *bytes, size_t size, uint64_t *state)
{
	static const uint8_t nasty[] = {0x00, 0xff, 0x7f, 0x80, 0x0f, 0x0a, 0x0b, 0x40, 0xc6, 0x01};
	unsigned count = 1 + next_random(state) % 12;

	for (unsigned i = 0; i < count && size; i++) {
		uint8_t *byte = &bytes[next_random(state) % size];
		uint64_t draw = next_random(state);

		*byte = draw & 1 ? nasty[(draw >> 1) % sizeof(nasty)] : (uint8_t)(draw >> 1);
	}
}

struct bound {
	uint64_t rows, start, end, last;
	bool is_first;
};

static void check_order(void *context, uint64_t start, const struct ehframe_rule *rule)
{
	struct bound *bound = context;

	CHECK(start >= bound->start && start < bound->end);
	CHECK(bound->is_first ? start == bound->start : start > bound->last);
	CHECK(rule->cfa_type != EH_CFA_NONE);
	bound->is_first = false;
	bound->last = start;
	bound->rows++;
}

/* Whatever the bytes: it ends, stays within them, rows ascend and are no more than the bytes. */
TEST(damaged_sections)
{
	struct ehframe_index index, found;
	struct ehframe_section section;
	uint64_t state = 20260101, fdes = 0, rows = 0, opened = 0, hits = 0;

	open_loaded("/libc.so.6", &index, &section);
	CHECK(section.size > FRAME_BYTES && index.size > HEADER_BYTES);
	for (unsigned variant = 0; variant < VARIANTS; variant++) {
		size_t size = variant % 3 ? FRAME_BYTES : next_random(&state) % FRAME_BYTES;
		size_t header_size = variant % 4 ? index.size : next_random(&state) % HEADER_BYTES;
		uint8_t *bytes = malloc(size ? size : 1);
		uint8_t *header = malloc(header_size ? header_size : 1);
		struct ehframe_section cut = {bytes, size, section.vaddr, variant % 8 == 7};
		struct ehframe_cie cie = {0};
		struct ehframe_walk walk;
		struct ehframe_fde fde;
		uint64_t variant_rows = 0;

		memcpy(bytes, section.bytes, size);
		memcpy(header, index.bytes, header_size);
		damage(bytes, size, &state);
		damage(header, variant % 2 ? 16 < header_size ? 16 : header_size : header_size,
		       &state);
		ehframe_walk_start(&walk, &cut);
		while (ehframe_walk_next(&walk, &fde)) {
			struct bound bound = {0, fde.start, fde.end, 0, true};

			fdes++;
			ehframe_rows(&cut, &walk.cie, &fde, check_order, &bound);
			variant_rows += bound.rows;
		}
		CHECK(variant_rows <= size);
		rows += variant_rows;
		if (ehframe_index_open(header, header_size, index.vaddr, &found) == 0) {
			opened++;
			for (unsigned i = 0; i < LOOK_UPS; i++) {
				uint64_t pc = index.vaddr - next_random(&state) % 0x180000;

				if (ehframe_index_find(&found, &cut, pc, &cie, &fde) != 0)
					continue;
				hits++;
				ehframe_rule_at(&cut, &cie, &fde, pc);
			}
		}
		free(bytes);
		free(header);
	}
	printf("# %d variants: %" PRIu64 " FDEs, %" PRIu64 " rows, %" PRIu64
	       " headers opened, %" PRIu64 " found\n",
	       VARIANTS, fdes, rows, opened, hits);
	CHECK(fdes > VARIANTS && rows > fdes && opened > VARIANTS / 10 && hits > VARIANTS / 10);
}

/* Bytes of no origin at all. */
TEST(random_bytes)
{
	uint64_t state = 7;

	for (unsigned variant = 0; variant < VARIANTS; variant++) {
		size_t size = next_random(&state) % 300;
		uint8_t *bytes = malloc(size ? size : 1);
		struct ehframe_cie cie = {.is_valid = true,
					  .code_factor = next_random(&state) % 3,
					  .data_factor = -8,
					  .pointer_encoding = (uint8_t)next_random(&state)};
		struct ehframe_section section = {bytes, size, CODE, variant & 1};
		struct ehframe_fde fde = {
			.start = CODE, .end = CODE + 1000, .program = bytes, .program_size = size};
		struct bound bound = {0, fde.start, fde.end, 0, true};

		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)next_random(&state);
		ehframe_rows(&section, &cie, &fde, check_order, &bound);
		CHECK(bound.rows >= 1 && bound.rows <= size + 1);
		free(bytes);
	}
}

KIT_MAIN
