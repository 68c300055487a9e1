/* Unwind tables of damaged files and of those that are none; the set of rules and the cache. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/unwind/cache.h"
#include "reader/unwind/table.h"
#include "reader/util/clock.h"
#include "tests/lib/kit.h"
#include "tests/unit/elf_bytes.h"

/* ---- bad files */

TEST(other_files_are_refused_by_kind)
{
	struct unwind_rules *rules = unwind_rules_new();
	struct image image = read_image("/lib64/ld-linux-x86-64.so.2");
	Elf64_Ehdr *header = (Elf64_Ehdr *)image.bytes, good = *header;
	struct unwind_table *table = NULL;
	int fds[2];

	CHECK_EQ_I64(build_image("#!/bin/sh\n", 10, rules, &table), -ENOEXEC);
	CHECK_EQ_I64(build_image("", 0, rules, &table), -ENOEXEC);
	header->e_ident[EI_CLASS] = ELFCLASS32;
	CHECK_EQ_I64(build_image(image.bytes, image.size, rules, &table), -ENOTSUP);
	*header = good;
	header->e_ident[EI_DATA] = ELFDATA2MSB;
	CHECK_EQ_I64(build_image(image.bytes, image.size, rules, &table), -ENOTSUP);
	*header = good;
	header->e_machine = EM_AARCH64;
	CHECK_EQ_I64(build_image(image.bytes, image.size, rules, &table), -ENOTSUP);
	*header = good;
	header->e_phoff = image.size;
	CHECK_EQ_I64(build_image(image.bytes, image.size, rules, &table), -EBADMSG);
	*header = good;
	header->e_phnum = 0xffff;
	CHECK_EQ_I64(build_image(image.bytes, image.size, rules, &table), -EFBIG);
	*header = good;
	CHECK_EQ_I64(build_image(image.bytes, image.size / 2, rules, &table), -EBADMSG);
	CHECK(pipe(fds) == 0);
	CHECK_EQ_I64(unwind_table_build(fds[0], rules, &table), -ENOEXEC);
	CHECK_EQ_I64(unwind_table_build(-1, rules, &table), -EBADF);
	CHECK(table == NULL);
	unwind_rules_free(rules);
	free(image.bytes);
}

/* Code that the headers spread over more than a table may span. */
TEST(too_much_code_is_refused)
{
	struct unwind_rules *rules = unwind_rules_new();
	struct image image = read_image("/lib64/ld-linux-x86-64.so.2");
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)image.bytes;
	Elf64_Phdr *segments = (Elf64_Phdr *)(image.bytes + header->e_phoff);
	struct unwind_table *table = NULL;

	for (unsigned i = 0; i < header->e_phnum; i++) {
		if (segments[i].p_type == PT_LOAD && !(segments[i].p_flags & PF_X)) {
			segments[i].p_flags |= PF_X;
			segments[i].p_vaddr += UINT64_C(1) << 40;
			break;
		}
	}
	CHECK_EQ_I64(build_image(image.bytes, image.size, rules, &table), -EFBIG);
	unwind_rules_free(rules);
	free(image.bytes);
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 20;
}

/* Every search gives a rule of the set, whatever the file says; the rows are no more than bytes. */
static void check_sane(const struct unwind_table *table, const struct unwind_rules *rules,
		       size_t file_size, uint64_t *state)
{
	CHECK_EQ_U64(table->index[table->page_count], table->row_count);
	CHECK(table->row_count <= file_size + table->page_count);
	for (uint32_t page = 0; page < table->page_count; page++) {
		CHECK(table->index[page] < table->index[page + 1]);
		CHECK_EQ_U64(table->rows[table->index[page]].offset, 0);
		for (uint32_t i = table->index[page] + 1; i < table->index[page + 1]; i++)
			CHECK(table->rows[i - 1].offset < table->rows[i].offset &&
			      table->rows[i].offset < EH_PAGE_BYTES);
	}
	for (unsigned i = 0; i < 50; i++) {
		uint64_t span = (uint64_t)table->page_count * EH_PAGE_BYTES + 2048;

		CHECK(unwind_table_find(table, table->base - 1024 + next_random(state) % span) <
		      rules->count);
	}
}

TEST(damaged_files)
{
	enum { VARIANTS = 400, CHANGES_MAX = 20, WORST_MS = 2000 };
	struct image good = read_image("/lib64/ld-linux-x86-64.so.2");
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)good.bytes;
	uint8_t *bytes = malloc(good.size);
	uint64_t state = 42, built = 0, worst_ns = 0;

	for (unsigned variant = 0; variant < VARIANTS; variant++) {
		struct unwind_rules *rules = unwind_rules_new();
		unsigned changes = 1 + next_random(&state) % CHANGES_MAX;
		size_t size = variant % 5 ? good.size : next_random(&state) % good.size;
		struct unwind_table *table = NULL;
		uint64_t start;

		memcpy(bytes, good.bytes, good.size);
		for (unsigned i = 0; i < changes; i++) {
			/* The file's header, its segments, its sections, anywhere. */
			size_t from[] = {16, header->e_phoff, header->e_shoff, 0};
			size_t span[] = {48, header->e_phnum * sizeof(Elf64_Phdr),
					 header->e_shnum * sizeof(Elf64_Shdr), good.size};
			unsigned place = next_random(&state) % 4;

			bytes[from[place] + next_random(&state) % span[place]] =
				(uint8_t)next_random(&state);
		}
		start = clock_now_ns();
		if (build_image(bytes, size, rules, &table) == 0) {
			built++;
			check_sane(table, rules, size, &state);
		}
		if (clock_now_ns() - start > worst_ns)
			worst_ns = clock_now_ns() - start;
		unwind_table_free(table);
		unwind_rules_free(rules);
	}
	printf("# %d variants: %" PRIu64 " tables, worst %.1f ms\n", VARIANTS, built,
	       (double)worst_ns / (double)NS_PER_MS);
	CHECK(built > VARIANTS / 10);
	CHECK(worst_ns < WORST_MS * NS_PER_MS);
	free(bytes);
	free(good.bytes);
}

/* ---- rules and cache */

TEST(rules_are_kept_once_up_to_the_bound)
{
	struct unwind_rules *rules = unwind_rules_new();
	struct ehframe_rule rule = {.cfa_type = EH_CFA_RSP};
	uint16_t first;

	CHECK_EQ_U64(rules->rules[UNWIND_RULE_NONE].cfa_type, EH_CFA_NONE);
	CHECK_EQ_U64(rules->rules[UNWIND_RULE_UNSUPPORTED].cfa_type, EH_CFA_UNSUPPORTED);
	CHECK_EQ_U64(rules->rules[UNWIND_RULE_STOP].cfa_type, EH_CFA_STOP);
	first = unwind_rules_intern(rules, &rule);
	CHECK_EQ_U64(first, 3);
	for (int i = 0; i < UNWIND_RULES_MAX - 3; i++) {
		rule.cfa_off = i;
		CHECK_EQ_U64(unwind_rules_intern(rules, &rule), (uint64_t)(first + i));
	}
	CHECK_EQ_U64(rules->full_count, 0);
	rule.cfa_off = -8;
	CHECK_EQ_U64(unwind_rules_intern(rules, &rule), UNWIND_RULE_UNSUPPORTED);
	CHECK_EQ_U64(rules->full_count, 1);
	rule.cfa_off = 5;
	CHECK_EQ_U64(unwind_rules_intern(rules, &rule), (uint64_t)(first + 5));
	CHECK_EQ_U64(rules->count, UNWIND_RULES_MAX);
	unwind_rules_free(rules);
}

TEST(a_file_is_read_once_while_it_stays_the_same)
{
	struct unwind_cache *cache = unwind_cache_new();
	struct image image = read_image("/lib64/ld-linux-x86-64.so.2");
	const struct unwind_table *first = NULL, *again = NULL, *changed = NULL, *none = NULL;
	struct timespec times[2] = {{0, 0}, {0, 0}};
	int fd = image_fd(image.bytes, image.size), other, text;
	uint64_t bytes;

	CHECK_EQ_I64(futimens(fd, times), 0);
	CHECK_EQ_I64(unwind_cache_get(cache, fd, &first), 0);
	bytes = unwind_cache_bytes(cache);
	CHECK_EQ_U64(bytes, unwind_table_bytes(first));
	CHECK_EQ_I64(unwind_cache_get(cache, fd, &again), 0);
	CHECK(first == again);
	/* Another file with the same contents; the same file at another time. */
	other = image_fd(image.bytes, image.size);
	CHECK_EQ_I64(futimens(other, times), 0);
	CHECK_EQ_I64(unwind_cache_get(cache, other, &changed), 0);
	CHECK(changed != first);
	check_same(first, changed);
	times[1].tv_nsec = 1000000;
	CHECK_EQ_I64(futimens(fd, times), 0);
	CHECK_EQ_I64(unwind_cache_get(cache, fd, &changed), 0);
	CHECK(changed != first);
	CHECK_EQ_U64(unwind_cache_bytes(cache), 3 * bytes);
	/* What has no table is remembered too. */
	text = image_fd("text", 4);
	CHECK_EQ_I64(unwind_cache_get(cache, text, &none), -ENOEXEC);
	CHECK_EQ_I64(unwind_cache_get(cache, text, &none), -ENOEXEC);
	CHECK(none == NULL);
	CHECK_EQ_U64(unwind_cache_full_count(cache), 0);
	close(fd);
	close(other);
	close(text);
	unwind_cache_free(cache);
	free(image.bytes);
}

KIT_MAIN
