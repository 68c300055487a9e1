/* Unwind tables of real files against libdw. */
#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/unwind/cache.h"
#include "reader/unwind/table.h"
#include "reader/util/clock.h"
#include "tests/lib/kit.h"
#include "tests/unit/elf_bytes.h"

#ifdef __SANITIZE_ADDRESS__
enum { ROW_STRIDE = 20 }; /* every row takes a minute there */
#else
enum { ROW_STRIDE = 1 };
#endif

/* ---- against libdw */

struct comparison {
	Dwarf_CFI *cfi;
	const struct unwind_rules *rules;
	uint64_t entry;
	uint64_t bare_start[2], bare_end[2]; /* .init and .fini */
	uint64_t query_count, difference_count, unsupported_count;
};

/* register + n, in either of the two ways of writing it. */
static bool is_sum(const Dwarf_Op *op, unsigned number, int64_t n)
{
	if (op->atom == DW_OP_bregx)
		return op->number == number && (int64_t)op->number2 == n;
	return op->atom == DW_OP_breg0 + number && (int64_t)op->number == n;
}

static bool is_plt(const Dwarf_Op *ops, size_t count, int32_t cfa_off)
{
	static const uint8_t tail[] = {DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus};

	if (count != 9 || !is_sum(&ops[0], EH_REGISTER_RSP, ehframe_low(cfa_off)) ||
	    !is_sum(&ops[1], EH_REGISTER_RA, 0) || ops[2].atom != DW_OP_lit15 ||
	    ops[3].atom != DW_OP_and || ops[4].atom != DW_OP_lit0 + ehframe_high(cfa_off))
		return false;
	for (size_t i = 0; i < 4; i++) {
		if (ops[5 + i].atom != tail[i])
			return false;
	}
	return true;
}

static bool is_deref(const Dwarf_Op *ops, size_t count, unsigned number, int32_t cfa_off)
{
	int32_t m = ehframe_high(cfa_off);

	if (count < 2 || !is_sum(&ops[0], number, ehframe_low(cfa_off)) ||
	    ops[1].atom != DW_OP_deref)
		return false;
	if (count == 2)
		return m == 0;
	return count == 3 && ops[2].atom == DW_OP_plus_uconst && (int64_t)ops[2].number == m;
}

static bool is_cfa_same(Dwarf_Frame *frame, const struct ehframe_rule *rule)
{
	Dwarf_Op *ops;
	size_t count;

	if (dwarf_frame_cfa(frame, &ops, &count) != 0)
		return false;
	switch (rule->cfa_type) {
	case EH_CFA_RSP:
		return count == 1 && is_sum(ops, EH_REGISTER_RSP, rule->cfa_off);
	case EH_CFA_RBP:
		return count == 1 && is_sum(ops, EH_REGISTER_RBP, rule->cfa_off);
	case EH_CFA_PLT:
		return is_plt(ops, count, rule->cfa_off);
	case EH_CFA_RSP_DEREF:
		return is_deref(ops, count, EH_REGISTER_RSP, rule->cfa_off);
	case EH_CFA_RBP_DEREF:
		return is_deref(ops, count, EH_REGISTER_RBP, rule->cfa_off);
	case EH_CFA_SIGNAL:
		return is_deref(ops, count, EH_REGISTER_RSP, EH_SIGNAL_RSP);
	default:
		return rule->cfa_type >= EH_CFA_REGISTER && count == 1 &&
		       is_sum(ops, rule->cfa_type - EH_CFA_REGISTER, rule->cfa_off);
	}
}

/* In memory at CFA + n. */
static bool is_at_cfa(const Dwarf_Op *ops, size_t count, int64_t n)
{
	if (!count || ops[0].atom != DW_OP_call_frame_cfa)
		return false;
	return count == 1 ? n == 0
			  : count == 2 && ops[1].atom == DW_OP_plus_uconst &&
				    (int64_t)ops[1].number == n;
}

/* In memory where an expression tells; libdw puts the CFA below it. */
static bool is_at_sum(const Dwarf_Op *ops, size_t count, unsigned number, int64_t n)
{
	return count == 2 && ops[0].atom == DW_OP_call_frame_cfa && is_sum(&ops[1], number, n);
}

static bool is_rbp_same(Dwarf_Frame *frame, const struct ehframe_rule *rule)
{
	Dwarf_Op memory[3], *ops;
	size_t count;

	if (dwarf_frame_register(frame, EH_REGISTER_RBP, memory, &ops, &count) != 0)
		return false;
	if (rule->cfa_type == EH_CFA_SIGNAL)
		return is_at_sum(ops, count, EH_REGISTER_RSP, EH_SIGNAL_RBP);
	switch (rule->rbp_type) {
	case EH_RBP_CFA:
		return is_at_cfa(ops, count, rule->rbp_off);
	case EH_RBP_RBP:
		return is_at_sum(ops, count, EH_REGISTER_RBP, rule->rbp_off);
	case EH_RBP_UNKNOWN:
		return count == 0 && ops == memory; /* undefined */
	default:
		return count == 0 && ops == NULL; /* as it is */
	}
}

static bool is_ra_same(Dwarf_Frame *frame, const struct ehframe_rule *rule)
{
	Dwarf_Op memory[3], *ops;
	size_t count;

	if (dwarf_frame_register(frame, EH_REGISTER_RA, memory, &ops, &count) != 0)
		return false;
	if (rule->cfa_type == EH_CFA_STOP)
		return count == 0 && ops == memory;
	if (rule->cfa_type == EH_CFA_SIGNAL)
		return is_at_sum(ops, count, EH_REGISTER_RSP, EH_SIGNAL_RIP);
	if (rule->rbp_type >= EH_RBP_RA_REGISTER)
		return count == 1 && ops[0].atom == DW_OP_regx &&
		       ops[0].number == (unsigned)(rule->rbp_type - EH_RBP_RA_REGISTER);
	return is_at_cfa(ops, count, -8);
}

/* Just behind a function that returns from signal handlers. */
static bool is_behind_signal_return(const struct comparison *comparison, uint64_t pc)
{
	Dwarf_Frame *frame;
	bool is_signal;

	if (dwarf_cfi_addrframe(comparison->cfi, pc - 1, &frame) != 0)
		return false;
	dwarf_frame_info(frame, NULL, NULL, &is_signal);
	free(frame);
	return is_signal;
}

/* What a table may say where libdw has nothing. */
static bool is_known_otherwise(const struct comparison *comparison, uint64_t pc,
			       const struct ehframe_rule *rule)
{
	if (rule->cfa_type == EH_CFA_STOP)
		return pc >= comparison->entry && pc - comparison->entry < UNWIND_ENTRY_BYTES;
	for (int i = 0; i < 2; i++) {
		if (pc >= comparison->bare_start[i] && pc < comparison->bare_end[i])
			return rule->cfa_type == EH_CFA_RSP && rule->rbp_type == EH_RBP_SAME;
	}
	if (rule->cfa_type == EH_CFA_SIGNAL)
		return is_behind_signal_return(comparison, pc);
	return rule->cfa_type == EH_CFA_NONE;
}

static void find_bare_sections(Elf *elf, struct comparison *comparison)
{
	Elf_Scn *section = NULL;
	size_t names, count = 0;

	CHECK(elf_getshdrstrndx(elf, &names) == 0);
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name;

		CHECK(gelf_getshdr(section, &header) != NULL);
		name = elf_strptr(elf, names, header.sh_name);
		if (count == 2 || (strcmp(name, ".init") != 0 && strcmp(name, ".fini") != 0))
			continue;
		comparison->bare_start[count] = header.sh_addr;
		comparison->bare_end[count++] = header.sh_addr + header.sh_size;
	}
}

static bool is_same(const struct comparison *comparison, uint64_t pc,
		    const struct ehframe_rule *rule)
{
	Dwarf_Frame *frame;
	bool is_signal, is_good;

	if (dwarf_cfi_addrframe(comparison->cfi, pc, &frame) != 0)
		return is_known_otherwise(comparison, pc, rule);
	dwarf_frame_info(frame, NULL, NULL, &is_signal);
	if (rule->cfa_type == EH_CFA_NONE)
		is_good = false;
	else if (rule->cfa_type == EH_CFA_STOP)
		is_good = is_ra_same(frame, rule);
	else
		is_good = is_cfa_same(frame, rule) && is_rbp_same(frame, rule) &&
			  is_ra_same(frame, rule) && is_signal == (rule->cfa_type == EH_CFA_SIGNAL);
	free(frame);
	return is_good;
}

static void compare(struct comparison *comparison, uint64_t pc, const struct ehframe_rule *rule)
{
	comparison->query_count++;
	if (rule->cfa_type == EH_CFA_UNSUPPORTED) {
		comparison->unsupported_count++;
		return;
	}
	if (is_same(comparison, pc, rule))
		return;
	comparison->difference_count++;
	if (comparison->difference_count <= 5)
		printf("# %#" PRIx64 ": cfa type %u %d, rbp type %u %d\n", pc, rule->cfa_type,
		       rule->cfa_off, rule->rbp_type, rule->rbp_off);
}

static struct unwind_table *build(const char *path, struct unwind_rules *rules)
{
	struct unwind_table *table = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		SKIP("%s is not here", path);
	ret = unwind_table_build(fd, rules, &table);
	if (ret)
		FAIL("%s: %s", path, strerror(-ret));
	close(fd);
	return table;
}

/* First and last address of each row. */
static void check_against_libdw(const char *path, size_t unsupported_max)
{
	struct unwind_rules *rules = unwind_rules_new();
	struct unwind_table *table = build(path, rules);
	struct comparison comparison = {.rules = rules};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	GElf_Ehdr header;
	Elf *elf;
	size_t number = 0;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	CHECK(elf != NULL && gelf_getehdr(elf, &header) != NULL);
	comparison.cfi = dwarf_getcfi_elf(elf);
	CHECK(comparison.cfi != NULL);
	comparison.entry = header.e_entry;
	find_bare_sections(elf, &comparison);
	for (uint32_t page = 0; page < table->page_count; page++) {
		uint64_t start = table->base + (uint64_t)page * EH_PAGE_BYTES;

		CHECK(table->index[page] < table->index[page + 1]);
		CHECK_EQ_U64(table->rows[table->index[page]].offset, 0);
		for (uint32_t i = table->index[page]; i < table->index[page + 1]; i++, number++) {
			const struct ehframe_row *row = &table->rows[i];
			unsigned end =
				i + 1 < table->index[page + 1] ? row[1].offset : EH_PAGE_BYTES;

			CHECK(row->offset < end);
			if (number % ROW_STRIDE)
				continue;
			compare(&comparison, start + row->offset, &rules->rules[row->rule]);
			compare(&comparison, start + end - 1, &rules->rules[row->rule]);
		}
	}
	printf("# %s: %" PRIu64 " FDEs, %u rows, %" PRIu64 " queries, %" PRIu64
	       " differences, %" PRIu64 " unsupported, %" PRIu64 " dropped, %u rules\n",
	       path, table->fde_count, table->row_count, comparison.query_count,
	       comparison.difference_count, comparison.unsupported_count, table->dropped_count,
	       rules->count);
	CHECK_EQ_U64(comparison.difference_count, 0);
	CHECK_EQ_U64(table->bad_count, 0);
	CHECK(!table->is_cut);
	CHECK(comparison.unsupported_count <= unsupported_max);
	CHECK_EQ_U64(comparison.query_count, 2 * ((number + ROW_STRIDE - 1) / ROW_STRIDE));
	CHECK(comparison.query_count > 0);
	dwarf_cfi_end(comparison.cfi);
	elf_end(elf);
	close(fd);
	unwind_table_free(table);
	unwind_rules_free(rules);
}

TEST(libc_agrees_with_libdw)
{
	check_against_libdw("/lib/x86_64-linux-gnu/libc.so.6", 60);
}

static void check_cfa(const struct unwind_table *table, const struct unwind_rules *rules,
		      uint64_t vaddr, int32_t from_rsp)
{
	const struct ehframe_rule *rule = &rules->rules[unwind_table_find(table, vaddr)];

	CHECK_EQ_U64(rule->cfa_type, EH_CFA_RSP);
	CHECK_EQ_U64(rule->rbp_type, EH_RBP_SAME);
	CHECK_EQ_I64(rule->cfa_off, from_rsp);
}

/* The section's range; it must be there. */
static uint64_t section_of(const char *path, const char *wanted, uint64_t *ret_end)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf_Scn *section = NULL;
	size_t names;
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	CHECK(elf && elf_getshdrstrndx(elf, &names) == 0);
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;

		CHECK(gelf_getshdr(section, &header) != NULL);
		if (strcmp(elf_strptr(elf, names, header.sh_name), wanted) != 0)
			continue;
		elf_end(elf);
		close(fd);
		*ret_end = header.sh_addr + header.sh_size;
		return header.sh_addr;
	}
	FAIL("%s has no %s", path, wanted);
}

TEST(init_and_fini_are_followed_without_unwind_information)
{
	static const char path[] = "/lib/x86_64-linux-gnu/libm.so.6";
	struct unwind_rules *rules = unwind_rules_new();
	struct unwind_table *table = build(path, rules);
	static const char *const names[] = {".init", ".fini"};

	for (int i = 0; i < 2; i++) {
		uint64_t end, start = section_of(path, names[i], &end);

		check_cfa(table, rules, start, 8);
		check_cfa(table, rules, end - 5, 16); /* before add $8,%rsp */
		check_cfa(table, rules, end - 1, 8);  /* ret */
		CHECK_EQ_U64(unwind_table_find(table, end), UNWIND_RULE_NONE);
	}
	unwind_table_free(table);
	unwind_rules_free(rules);
}

TEST(init_code_of_another_make_is_left_alone)
{
	struct unwind_rules *rules = unwind_rules_new();
	struct unwind_table *table;
	char path[512], command[1200];
	uint64_t start, end;

	snprintf(path, sizeof(path), "%s/other.so", kit_folder());
	snprintf(command, sizeof(command),
		 "echo 'int f(void) { return 1; } "
		 "__asm__(\".section .init; push %%rax; pop %%rax; .text\");' | "
		 "gcc -xc -shared -fPIC -o %s - 2>&1",
		 path);
	if (system("gcc --version >/dev/null 2>&1") != 0)
		SKIP("there is no gcc");
	CHECK(system(command) == 0);
	table = build(path, rules);
	start = section_of(path, ".init", &end);
	for (uint64_t at = start; at < end; at++)
		CHECK_EQ_U64(unwind_table_find(table, at), UNWIND_RULE_NONE);
	unwind_table_free(table);
	unwind_rules_free(rules);
}

TEST(the_dynamic_linker_agrees_with_libdw)
{
	check_against_libdw("/lib64/ld-linux-x86-64.so.2", 20);
}

TEST(libm_agrees_with_libdw)
{
	check_against_libdw("/lib/x86_64-linux-gnu/libm.so.6", 0);
}

TEST(libstdcxx_agrees_with_libdw)
{
	check_against_libdw("/lib/x86_64-linux-gnu/libstdc++.so.6", 0);
}

TEST(a_rust_program_agrees_with_libdw)
{
	const char *targets = getenv("TARGETS");
	char path[4096];

	snprintf(path, sizeof(path), "%s/rust", targets ? targets : "build/targets");
	check_against_libdw(path, 0);
}

/* ---- files that are made here */

/* Runs a shell command in a folder. */
__attribute__((format(printf, 2, 3))) static bool shell(const char *folder, const char *format, ...)
{
	char command[2048], whole[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	snprintf(whole, sizeof(whole), "cd '%s' && { %s; } >/dev/null 2>&1", folder, command);
	return system(whole) == 0;
}

static void write_source(const char *folder, const char *name, const char *text)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* How many rows have a rule for which `is_wanted`. */
static unsigned count_rules(const struct unwind_table *table, const struct unwind_rules *rules,
			    bool (*is_wanted)(const struct ehframe_rule *rule))
{
	unsigned count = 0;

	for (uint32_t i = 0; i < table->row_count; i++)
		count += is_wanted(&rules->rules[table->rows[i].rule]);
	return count;
}

static bool is_r10(const struct ehframe_rule *rule)
{
	return rule->cfa_type == EH_CFA_REGISTER + EH_REGISTER_R10;
}

static bool is_realigned(const struct ehframe_rule *rule)
{
	return rule->cfa_type == EH_CFA_RBP_DEREF && rule->rbp_type == EH_RBP_RBP;
}

static bool is_signal(const struct ehframe_rule *rule)
{
	return rule->cfa_type == EH_CFA_SIGNAL;
}

static bool is_vfork(const struct ehframe_rule *rule)
{
	return rule->rbp_type >= EH_RBP_RA_REGISTER;
}

static bool is_plt_rule(const struct ehframe_rule *rule)
{
	return rule->cfa_type == EH_CFA_PLT;
}

static bool is_rbp_cfa(const struct ehframe_rule *rule)
{
	return rule->cfa_type == EH_CFA_RBP && rule->rbp_type == EH_RBP_CFA;
}

TEST(libc_has_each_of_its_special_rules)
{
	struct unwind_rules *rules = unwind_rules_new();
	struct unwind_table *table = build("/lib/x86_64-linux-gnu/libc.so.6", rules);

	CHECK(count_rules(table, rules, is_signal) > 0);
	CHECK(count_rules(table, rules, is_vfork) > 0);
	CHECK(count_rules(table, rules, is_plt_rule) > 0);
	unwind_table_free(table);
	unwind_rules_free(rules);
}

TEST(a_stack_realigned_through_r10_agrees_with_libdw)
{
	static const char source[] =
		"__attribute__((noinline)) int take(volatile char *a, char *b) { return *a + *b; "
		"}\n"
		"__attribute__((noinline)) int realigned(int size)\n"
		"{\n"
		"	volatile char wide[64] __attribute__((aligned(64)));\n"
		"	char *more = __builtin_alloca(size);\n"
		"	wide[0] = more[0] = 1;\n"
		"	return take(wide, more);\n"
		"}\n"
		"int main(int argc, char **argv) { return realigned(argc * 64); }\n";
	struct unwind_rules *rules = unwind_rules_new();
	const char *folder = kit_folder();
	struct unwind_table *table;
	char path[4096];

	write_source(folder, "realign.c", source);
	if (!shell(folder, "gcc -O2 -mavx -fno-inline -o realign realign.c"))
		SKIP("gcc does not compile here");
	snprintf(path, sizeof(path), "%s/realign", folder);
	check_against_libdw(path, 0);
	table = build(path, rules);
	CHECK(count_rules(table, rules, is_r10) > 0);
	CHECK(count_rules(table, rules, is_realigned) > 0);
	unwind_table_free(table);
	unwind_rules_free(rules);
}

TEST(the_vdso_agrees_with_libdw)
{
	const uint8_t *image = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	Elf64_Ehdr header;
	char path[64];
	size_t size;
	int fd;

	if (!image)
		SKIP("this kernel has no vDSO");
	/* Its section headers are its last bytes. */
	memcpy(&header, image, sizeof(header));
	size = header.e_shoff + (size_t)header.e_shnum * header.e_shentsize;
	fd = image_fd(image, size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	check_against_libdw(path, 0);
	close(fd);
}

TEST(without_section_headers_the_table_is_the_same)
{
	static const char path[] = "/lib/x86_64-linux-gnu/libm.so.6";
	struct unwind_rules *rules = unwind_rules_new();
	struct unwind_table *whole = build(path, rules), *bare = NULL;
	struct image image = read_image(path);
	Elf64_Ehdr *header = (Elf64_Ehdr *)image.bytes;

	header->e_shnum = header->e_shstrndx = 0;
	header->e_shoff = 0;
	CHECK_EQ_I64(build_image(image.bytes, image.size, rules, &bare), 0);
	check_same(whole, bare);
	unwind_table_free(whole);
	unwind_table_free(bare);
	unwind_rules_free(rules);
	free(image.bytes);
}

TEST(debug_frame_alone_gives_the_same_rules)
{
	static const char source[] = "static __attribute__((noinline)) int inner(volatile int *n)\n"
				     "{ volatile int a[9] = {*n}; return a[3] + *n; }\n"
				     "int outer(int n) { return inner(&n) + n; }\n";
	struct unwind_rules *rules = unwind_rules_new();
	const char *folder = kit_folder();
	struct unwind_table *eh, *debug, *packed = NULL;
	char path[4096];
	int fd;

	write_source(folder, "two.c", source);
	if (!shell(folder,
		   "F='-O1 -fno-omit-frame-pointer -fPIC -nostdlib -shared -Wl,--build-id=none'; "
		   "gcc $F -o eh.so two.c && "
		   "gcc $F -fno-asynchronous-unwind-tables -fno-unwind-tables -g "
		   "-gz=none -o debug.so two.c && "
		   "gcc $F -fno-asynchronous-unwind-tables -fno-unwind-tables -g "
		   "-gz=zlib -o packed.so two.c"))
		SKIP("gcc does not compile here");
	snprintf(path, sizeof(path), "%s/eh.so", folder);
	eh = build(path, rules);
	snprintf(path, sizeof(path), "%s/debug.so", folder);
	debug = build(path, rules);
	CHECK_EQ_U64(eh->fde_count, 2);
	CHECK_EQ_U64(debug->fde_count, 2);
	CHECK_EQ_U64(eh->row_count, debug->row_count);
	CHECK(memcmp(eh->rows, debug->rows, eh->row_count * sizeof(*eh->rows)) == 0);
	CHECK_EQ_U64(count_rules(eh, rules, is_rbp_cfa), 2);
	CHECK(!debug->is_debug_frame_packed);
	/* Compressed it is left out; a small section the linker may have left as it is. */
	snprintf(path, sizeof(path), "%s/packed.so", folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (unwind_table_build(fd, rules, &packed) != -ENODATA)
		CHECK_EQ_U64(packed->fde_count, 2);
	close(fd);
	unwind_table_free(eh);
	unwind_table_free(debug);
	unwind_table_free(packed);
	unwind_rules_free(rules);
}

TEST(an_entry_point_without_entry_is_where_stacks_stop)
{
	static const char path[] = "/lib64/ld-linux-x86-64.so.2";
	struct unwind_rules *rules = unwind_rules_new();
	struct unwind_table *table = build(path, rules);
	struct image image = read_image(path);
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)image.bytes;

	CHECK_EQ_U64(unwind_table_find(table, header->e_entry), UNWIND_RULE_STOP);
	CHECK_EQ_U64(unwind_table_find(table, header->e_entry + 7), UNWIND_RULE_STOP);
	CHECK(unwind_table_find(table, header->e_entry + UNWIND_ENTRY_BYTES) != UNWIND_RULE_STOP);
	CHECK_EQ_U64(unwind_table_find(table, table->base - 1), UNWIND_RULE_NONE);
	CHECK_EQ_U64(unwind_table_find(table, UINT64_MAX), UNWIND_RULE_NONE);
	CHECK_EQ_U64(unwind_table_find(table, 0), UNWIND_RULE_NONE);
	unwind_table_free(table);
	unwind_rules_free(rules);
	free(image.bytes);
}

KIT_MAIN
