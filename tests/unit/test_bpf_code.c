/* When hashes of stacks begin to mean something else: control.code_generation. */
#include <stdlib.h>

#include "reader/source/bpf_code.h"
#include "tests/lib/kit.h"

enum { WORDS = 1 << 10 };

static struct bpf_publisher publisher;
static struct bpf_control control;
static struct unwind_rules *rules;
static struct unwind_table first_table, second_table;
static uint64_t epoch = 7;

static void start(void)
{
	publisher.lists = mem_zalloc(sizeof(*publisher.lists));
	publisher.rules = mem_array(BPF_RULES_MAX, sizeof(*publisher.rules));
	publisher.control = &control;
	rules = unwind_rules_new();
	bpf_arena_init(&publisher.arena, mem_array(WORDS, sizeof(uint32_t)), WORDS);
	for (int i = 0; i < 2; i++) {
		struct unwind_table *table = i ? &second_table : &first_table;

		table->page_count = 1;
		table->row_count = 1;
		table->index = mem_zalloc(2 * sizeof(*table->index));
		table->index[1] = 1;
		table->rows = mem_zalloc(sizeof(*table->rows));
	}
}

static void end(void)
{
	free(publisher.lists);
	free(publisher.rules);
	free(publisher.arena.words);
	bpf_publisher_done(&publisher);
	unwind_rules_free(rules);
	free(first_table.index);
	free(first_table.rows);
	free(second_table.index);
	free(second_table.rows);
}

/* How many generations this was. */
static uint64_t publish(const struct source_code *code, size_t count)
{
	uint64_t before = control.code_generation;

	bpf_publish(&publisher, epoch, code, count, rules);
	return control.code_generation - before;
}

#define PUBLISH(...)                                                                               \
	publish((const struct source_code[]){__VA_ARGS__},                                         \
		sizeof((const struct source_code[]){__VA_ARGS__}) / sizeof(struct source_code))

#define PROGRAM                                                                                    \
	{                                                                                          \
		0x1000, 0x3000, 0x1000, &first_table                                               \
	}
#define LIBRARY                                                                                    \
	{                                                                                          \
		0x8000, 0x9000, 0x8000, &second_table                                              \
	}
#define WITHOUT_TABLE                                                                              \
	{                                                                                          \
		0x8000, 0x9000, 0x8000, NULL                                                       \
	}
#define GENERATED                                                                                  \
	{                                                                                          \
		0x20000, 0x30000, 0, NULL                                                          \
	}

TEST(code_that_joins_is_no_generation)
{
	start();
	CHECK_EQ_U64(PUBLISH(PROGRAM), 0);
	CHECK_EQ_U64(PUBLISH(PROGRAM, LIBRARY), 0);
	CHECK_EQ_U64(PUBLISH(PROGRAM, LIBRARY), 0);
	CHECK_EQ_U64(PUBLISH(PROGRAM, LIBRARY, GENERATED), 0);
	end();
}

TEST(a_table_that_comes_is_no_generation)
{
	start();
	CHECK_EQ_U64(PUBLISH(PROGRAM, WITHOUT_TABLE), 0);
	CHECK_EQ_U64(PUBLISH(PROGRAM, LIBRARY), 0);
	CHECK_EQ_U64(PUBLISH(PROGRAM, WITHOUT_TABLE), 1);
	end();
}

TEST(code_that_goes_or_moves_is_a_generation)
{
	start();
	CHECK_EQ_U64(PUBLISH(PROGRAM, LIBRARY), 0);
	CHECK_EQ_U64(PUBLISH(PROGRAM), 1);
	CHECK_EQ_U64(PUBLISH(PROGRAM, {0x9000, 0xa000, 0x9000, &second_table}), 0);
	CHECK_EQ_U64(PUBLISH(PROGRAM, {0xa000, 0xb000, 0xa000, &second_table}), 1);
	/* Its end is gone. */
	CHECK_EQ_U64(PUBLISH({0x1000, 0x2000, 0x1000, &first_table}), 1);
	CHECK_EQ_U64(publish(NULL, 0), 1);
	CHECK_EQ_U64(PUBLISH(PROGRAM), 0);
	end();
}

TEST(another_meaning_at_the_same_place_is_a_generation)
{
	start();
	CHECK_EQ_U64(PUBLISH(PROGRAM, LIBRARY), 0);
	CHECK_EQ_U64(PUBLISH(PROGRAM, {0x8000, 0x9000, 0x7000, &second_table}), 1);
	CHECK_EQ_U64(PUBLISH(PROGRAM, {0x8000, 0x9000, 0x7000, &first_table}), 1);
	/* In the midst of it. */
	CHECK_EQ_U64(PUBLISH(PROGRAM, {0x8000, 0x8400, 0x7000, &first_table},
			     {0x8400, 0x8800, 0x8400, NULL},
			     {0x8800, 0x9000, 0x7000, &first_table}),
		     1);
	end();
}

TEST(a_mapping_in_pieces_is_no_generation)
{
	start();
	CHECK_EQ_U64(PUBLISH(PROGRAM), 0);
	CHECK_EQ_U64(PUBLISH({0x1000, 0x2000, 0x1000, &first_table},
			     {0x2000, 0x3000, 0x1000, &first_table}),
		     0);
	CHECK_EQ_U64(PUBLISH(PROGRAM), 0);
	/* A hole in the midst. */
	CHECK_EQ_U64(PUBLISH({0x1000, 0x1800, 0x1000, &first_table},
			     {0x2000, 0x3000, 0x1000, &first_table}),
		     1);
	end();
}

TEST(generated_code_that_goes_is_no_generation)
{
	start();
	CHECK_EQ_U64(PUBLISH(PROGRAM, GENERATED), 0);
	CHECK_EQ_U64(PUBLISH(PROGRAM, {0x20000, 0x28000, 0, NULL}), 0);
	CHECK_EQ_U64(PUBLISH(PROGRAM), 0);
	CHECK_EQ_U64(PUBLISH(PROGRAM, GENERATED), 0);
	/* A file in its place. */
	CHECK_EQ_U64(PUBLISH(PROGRAM, {0x20000, 0x30000, 0x20000, NULL}), 1);
	end();
}

TEST(another_program_is_a_generation)
{
	start();
	CHECK_EQ_U64(PUBLISH(PROGRAM), 0);
	epoch++;
	CHECK_EQ_U64(PUBLISH(PROGRAM), 1);
	CHECK_EQ_U64(PUBLISH(PROGRAM), 0);
	end();
}

/* Else a walk might hash the old code with the number of the new. */
TEST(no_code_is_seen_while_the_number_changes)
{
	uint64_t version;

	start();
	PUBLISH(PROGRAM, LIBRARY);
	version = control.version;
	CHECK_EQ_U64(PUBLISH(PROGRAM), 1);
	CHECK_EQ_U64(control.version, version + 2);
	CHECK_EQ_U64(publisher.lists->list[control.version & 1].count, 1);
	CHECK_EQ_U64(publisher.lists->list[(control.version + 1) & 1].count, 0);
	end();
}

KIT_MAIN
