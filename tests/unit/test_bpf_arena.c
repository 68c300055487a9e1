/* Tables and lists as BPF programs find them, in plain memory: searched as bpf/tables.bpf.h does.
 */
#include <stdlib.h>

#include "reader/source/bpf_code.h"
#include "tests/lib/kit.h"

enum {
	TABLES = 60,
	PAGES_MAX = 40,
	ROWS_OF_PAGE_MAX = 12,
	CODE_MAX_HERE = 80,
	ROUNDS = 3000,
	ELF_BASE = 0x1000,
};

static uint32_t random_state = 12345;

static uint32_t random_below(uint32_t bound)
{
	random_state = random_state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)random_state * bound >> 32);
}

/* Rows of random rules; every page begins with one. */
static struct unwind_table *make_table(uint32_t pages, uint32_t rows_of_page_max)
{
	struct unwind_table *table = mem_zalloc(sizeof(*table));

	table->base = ELF_BASE;
	table->page_count = pages;
	table->index = mem_array(pages + 1, sizeof(*table->index));
	table->rows = mem_array((size_t)pages * rows_of_page_max, sizeof(*table->rows));
	for (uint32_t page = 0; page < pages; page++) {
		uint32_t rows = 1 + random_below(rows_of_page_max), offset = 0;

		table->index[page] = table->row_count;
		for (uint32_t i = 0; i < rows && offset < EH_PAGE_BYTES; i++) {
			table->rows[table->row_count++] = (struct ehframe_row){
				(uint16_t)offset, (uint16_t)random_below(UNWIND_RULES_MAX)};
			offset += 1 + random_below(100);
		}
	}
	table->index[pages] = table->row_count;
	return table;
}

/* What programs see. */
struct seen {
	struct bpf_publisher publisher;
	struct bpf_code_lists *lists;
	struct bpf_control control;
	uint32_t *words;
	struct ehframe_rule *rules;
	struct unwind_rules *told;
};

static void seen_start(struct seen *seen, uint32_t words)
{
	*seen = (struct seen){
		.lists = mem_zalloc(sizeof(*seen->lists)),
		.words = mem_array(words, sizeof(*seen->words)),
		.rules = mem_array(BPF_RULES_MAX, sizeof(*seen->rules)),
		.told = unwind_rules_new(),
	};
	seen->publisher = (struct bpf_publisher){
		.lists = seen->lists,
		.rules = seen->rules,
	};
	bpf_arena_init(&seen->publisher.arena, seen->words, words);
}

static void seen_end(struct seen *seen)
{
	bpf_publisher_done(&seen->publisher);
	unwind_rules_free(seen->told);
	free(seen->lists);
	free(seen->words);
	free(seen->rules);
}

static void publish(struct seen *seen, const struct source_code *code, size_t count)
{
	seen->publisher.control = &seen->control;
	bpf_publish(&seen->publisher, 7, code, count, seen->told);
}

static const struct bpf_code *find_code(const struct seen *seen, uint64_t address)
{
	const struct bpf_code_list *list = &seen->lists->list[seen->control.version & 1];
	const struct bpf_code *found;
	uint32_t low = 0;

	for (uint32_t step = BPF_CODE_MAX / 2; step; step /= 2) {
		if (low + step < list->count && list->code[low + step].start <= address)
			low += step;
	}
	found = &list->code[low];
	return list->count && found->start <= address && address < found->end ? found : NULL;
}

/* The rule's number at an ELF address of code that has a table; every word in bounds. */
static uint32_t find_rule(const struct seen *seen, const struct bpf_code *code, uint64_t vaddr)
{
	uint32_t page = (uint32_t)((vaddr - code->base) >> EH_PAGE_BITS), first, count, low = 0;
	uint32_t offset = (uint32_t)(vaddr - code->base) % EH_PAGE_BYTES;

	if (vaddr < code->base || page >= code->page_count)
		return UNWIND_RULE_NONE;
	CHECK(code->index + page + 1 < seen->publisher.arena.used);
	first = seen->words[code->index + page];
	count = seen->words[code->index + page + 1] - first;
	first += code->rows;
	CHECK(count > 0 && count <= EH_PAGE_BYTES);
	CHECK(first + count <= seen->publisher.arena.used);
	for (uint32_t step = EH_PAGE_BYTES / 2; step; step /= 2) {
		if (low + step < count && (seen->words[first + low + step] & 0xffff) <= offset)
			low += step;
	}
	return seen->words[first + low] >> 16;
}

/* Returns how many of the pieces with a table have it in the arena. */
static size_t check_code(const struct seen *seen, const struct source_code *code, size_t count)
{
	size_t placed = 0;

	for (size_t i = 0; i < count; i++) {
		const struct bpf_code *found = find_code(seen, code[i].start);

		CHECK(found && found == find_code(seen, code[i].end - 1));
		if (!code[i].table) {
			CHECK(!found->page_count && !found->flags);
			continue;
		}
		CHECK(found->start == code[i].start && found->end == code[i].end);
		CHECK_EQ_U64(found->bias, code[i].bias);
		if (found->flags & CODE_IS_ELSEWHERE) {
			CHECK_EQ_U64(found->page_count, 0);
			continue;
		}
		placed++;
		for (int probe = 0; probe < 40; probe++) {
			uint64_t vaddr =
				ELF_BASE + random_below(code[i].table->page_count * EH_PAGE_BYTES);

			CHECK_EQ_U64(find_rule(seen, found, vaddr),
				     unwind_table_find(code[i].table, vaddr));
		}
		CHECK_EQ_U64(find_rule(seen, found, ELF_BASE - 1), UNWIND_RULE_NONE);
		CHECK_EQ_U64(
			find_rule(seen, found,
				  ELF_BASE + (uint64_t)code[i].table->page_count * EH_PAGE_BYTES),
			UNWIND_RULE_NONE);
	}
	return placed;
}

static uint64_t words_of(const struct unwind_table *table)
{
	return (uint64_t)table->page_count + 1 + table->row_count;
}

/* Random tables, some not mapped, some mapped twice, some mappings without one. */
static size_t make_code(struct unwind_table *const *tables, struct source_code *code)
{
	uint64_t at = 0x400000;
	size_t count = random_below(CODE_MAX_HERE);

	for (size_t i = 0; i < count; i++) {
		at += random_below(2) * 4096;
		code[i] = (struct source_code){.start = at, .end = at + 64 * EH_PAGE_BYTES};
		code[i].bias = at - ELF_BASE;
		if (random_below(4))
			code[i].table = tables[random_below(TABLES)];
		at = code[i].end;
	}
	return count;
}

static uint64_t wanted_words(const struct source_code *code, size_t count)
{
	uint64_t words = 0;

	for (size_t i = 0; i < count; i++) {
		bool is_new = code[i].table;

		for (size_t j = 0; j < i && is_new; j++)
			is_new = code[j].table != code[i].table;
		if (is_new)
			words += words_of(code[i].table);
	}
	return words;
}

static void random_tables_in_and_out(uint32_t arena_words, size_t *ret_fits, size_t *ret_short)
{
	static struct source_code code[CODE_MAX_HERE];
	struct unwind_table *tables[TABLES];
	struct seen seen;

	*ret_fits = *ret_short = 0;
	for (int i = 0; i < TABLES; i++)
		tables[i] = make_table(1 + random_below(PAGES_MAX), ROWS_OF_PAGE_MAX);
	seen_start(&seen, arena_words);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t version = seen.control.version;
		size_t count = make_code(tables, code), with_table = 0, placed;

		publish(&seen, code, count);
		CHECK(seen.control.version > version && seen.control.version <= version + 2);
		CHECK(seen.publisher.arena.used <= arena_words);
		for (size_t i = 0; i < count; i++)
			with_table += code[i].table != NULL;
		placed = check_code(&seen, code, count);
		if (wanted_words(code, count) <= arena_words) {
			CHECK_EQ_U64(placed, with_table);
			++*ret_fits;
		} else {
			CHECK(placed < with_table);
			++*ret_short;
		}
	}
	CHECK(seen.publisher.tables_full <= TABLES);
	CHECK_EQ_U64(seen.publisher.tables_full != 0, *ret_short != 0);
	seen_end(&seen);
	for (int i = 0; i < TABLES; i++)
		unwind_table_free(tables[i]);
}

TEST(random_tables_read_back_equal_where_all_fit)
{
	size_t fits, is_short;

	random_tables_in_and_out(1 << 16, &fits, &is_short);
	CHECK_EQ_U64(fits, ROUNDS);
}

TEST(random_tables_read_back_equal_where_the_arena_is_short)
{
	size_t fits, is_short;

	random_tables_in_and_out(4000, &fits, &is_short);
	CHECK(fits > ROUNDS / 10 && is_short > ROUNDS / 10);
}

TEST(a_table_that_stays_mapped_is_placed_once)
{
	struct unwind_table *table = make_table(10, 4);
	struct source_code code[] = {{.start = 0x1000, .end = 0x5000, .table = table},
				     {.start = 0x8000, .end = 0x9000, .bias = 1, .table = table}};
	struct seen seen;

	seen_start(&seen, 1 << 12);
	publish(&seen, code, 1);
	publish(&seen, code, 2);
	publish(&seen, code, 2);
	CHECK_EQ_U64(seen.publisher.arena.used, words_of(table));
	/* One turn for each: nothing was moved. */
	CHECK_EQ_U64(seen.control.version, 3);
	check_code(&seen, code, 2);
	seen_end(&seen);
	unwind_table_free(table);
}

TEST(tables_that_are_gone_make_room_behind_an_empty_list)
{
	struct unwind_table *first = make_table(100, 1), *second = make_table(60, 1);
	struct source_code old = {.start = 0x1000, .end = 0x5000, .table = first};
	struct source_code new = {.start = 0x1000, .end = 0x5000, .table = second};
	struct seen seen;

	seen_start(&seen, 256);
	publish(&seen, &old, 1);
	CHECK_EQ_U64(seen.control.version, 1);
	publish(&seen, &new, 1);
	CHECK_EQ_U64(seen.control.version, 3);
	CHECK_EQ_U64(check_code(&seen, &new, 1), 1);
	/* The list that was turned away from meanwhile is empty. */
	CHECK_EQ_U64(seen.lists->list[0].count, 0);
	CHECK_EQ_U64(seen.lists->list[0].exec_count, 7);
	CHECK_EQ_U64(seen.publisher.tables_full, 0);
	seen_end(&seen);
	unwind_table_free(first);
	unwind_table_free(second);
}

TEST(a_table_without_room_is_elsewhere_and_counted_once)
{
	struct unwind_table *small = make_table(5, 1), *big = make_table(300, 1);
	struct source_code code[] = {{.start = 0x1000, .end = 0x2000, .table = big},
				     {.start = 0x3000, .end = 0x4000, .bias = 9, .table = small},
				     {.start = 0x5000, .end = 0x6000, .table = big}};
	struct seen seen;

	seen_start(&seen, 256);
	for (int i = 0; i < 3; i++) {
		publish(&seen, code, 3);
		/* Nothing could be gained by moving. */
		CHECK_EQ_U64(seen.control.version, (uint64_t)i + 1);
		CHECK_EQ_U64(check_code(&seen, code, 3), 1);
		CHECK_EQ_U64(find_code(&seen, 0x1000)->flags, CODE_IS_ELSEWHERE);
		CHECK_EQ_U64(find_code(&seen, 0x5000)->flags, CODE_IS_ELSEWHERE);
	}
	CHECK_EQ_U64(seen.publisher.tables_full, 1);
	seen_end(&seen);
	unwind_table_free(small);
	unwind_table_free(big);
}

TEST(mappings_beyond_the_list_are_counted_and_the_others_are_found)
{
	enum { COUNT = BPF_CODE_MAX + 100 };
	struct source_code *code = mem_array(COUNT, sizeof(*code));
	struct seen seen;

	/* Apart from each other, so that none are merged. */
	for (uint64_t i = 0; i < COUNT; i++)
		code[i] = (struct source_code){.start = i << 20, .end = (i << 20) + 4096};
	seen_start(&seen, 256);
	publish(&seen, code, COUNT);
	publish(&seen, code, COUNT);
	CHECK_EQ_U64(seen.publisher.code_full, 100);
	CHECK_EQ_U64(seen.lists->list[0].count, BPF_CODE_MAX);
	check_code(&seen, code, BPF_CODE_MAX);
	CHECK(!find_code(&seen, code[BPF_CODE_MAX].start));
	seen_end(&seen);
	free(code);
}

TEST(neighbours_without_a_table_are_one)
{
	struct unwind_table *table = make_table(4, 1);
	struct source_code code[] = {{.start = 0x1000, .end = 0x2000},
				     {.start = 0x2000, .end = 0x3000, .bias = 5},
				     {.start = 0x3000, .end = 0x4000, .table = table},
				     {.start = 0x4000, .end = 0x5000},
				     {.start = 0x6000, .end = 0x7000}};
	struct seen seen;

	seen_start(&seen, 256);
	publish(&seen, code, 5);
	CHECK_EQ_U64(seen.lists->list[1].count, 4);
	check_code(&seen, code, 5);
	CHECK(!find_code(&seen, 0x5000) && !find_code(&seen, 0xfff) && !find_code(&seen, 0x7000));
	seen_end(&seen);
	unwind_table_free(table);
}

TEST(a_mapping_that_is_told_twice_does_not_hide_others)
{
	struct source_code code[] = {{.start = 0x1000, .end = 0x4000},
				     {.start = 0x2000, .end = 0x3000},
				     {.start = 0x3000, .end = 0x6000},
				     {.start = 0x8000, .end = 0x8000}};
	struct seen seen;

	seen_start(&seen, 256);
	publish(&seen, code, 4);
	for (uint64_t address = 0x1000; address < 0x6000; address += 0x800)
		CHECK(find_code(&seen, address));
	CHECK(!find_code(&seen, 0x8000));
	seen_end(&seen);
}

TEST(rules_are_all_there_and_those_of_another_set_replace_them)
{
	struct unwind_table *table = make_table(4, 1);
	struct source_code code = {.start = 0x1000, .end = 0x2000, .table = table};
	struct unwind_rules *other = unwind_rules_new();
	struct seen seen;

	seen_start(&seen, 256);
	for (int i = 0; i < 1000; i++) {
		struct ehframe_rule rule = {.cfa_type = EH_CFA_RSP, .cfa_off = i};

		unwind_rules_intern(seen.told, &rule);
		if (i % 100 == 0)
			publish(&seen, &code, 1);
		rule.cfa_off = -i;
		unwind_rules_intern(other, &rule);
	}
	publish(&seen, &code, 1);
	CHECK(seen.told->count > 1000);
	CHECK(!memcmp(seen.rules, seen.told->rules, seen.told->count * sizeof(*seen.rules)));
	unwind_rules_free(seen.told);
	seen.told = other;
	publish(&seen, &code, 1);
	CHECK(!memcmp(seen.rules, other->rules, other->count * sizeof(*seen.rules)));
	check_code(&seen, &code, 1);
	seen_end(&seen);
	unwind_table_free(table);
}

KIT_MAIN
