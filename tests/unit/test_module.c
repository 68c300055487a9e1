#include <fcntl.h>
#include <unistd.h>

#include "reader/core/module.h"
#include "reader/util/mem.h"
#include "tests/lib/kit.h"

/* LLD's layout: each segment's vaddr is a page further from its offset than the one before. */
static const struct segment lld[] = {
	{0x0, 0x0, 0x7a8, 0x7a8},
	{0x17b0, 0x7b0, 0x2c0, 0x2c0},
	{0x2a70, 0xa70, 0x1b0, 0x1b0},
};

static struct module_facts facts_of(const char *path, uint64_t inode)
{
	return (struct module_facts){
		.kind = MODULE_FILE,
		.path = path,
		.inode = inode,
		.device_major = 8,
		.segments = lld,
		.segment_count = 3,
		.fd = -1,
	};
}

TEST(offsets_become_vaddrs_by_program_headers)
{
	struct module_table *table = module_table_new();
	struct module_facts facts = facts_of("/bin/x", 1);
	bool is_new;
	const struct module *module = module_table_intern(table, &facts, &is_new);
	uint64_t vaddr = 0;

	CHECK(is_new);
	CHECK_EQ_U64(module->id.v, 1);
	CHECK_EQ_STR(module->name, "x");
	CHECK(module_offset_to_vaddr(module, 0x7b0, &vaddr));
	CHECK_EQ_U64(vaddr, 0x17b0);
	CHECK(module_offset_to_vaddr(module, 0xa6f, &vaddr));
	CHECK_EQ_U64(vaddr, 0x1a6f);
	CHECK(module_offset_to_vaddr(module, 0xa70, &vaddr));
	CHECK_EQ_U64(vaddr, 0x2a70);
	CHECK(!module_offset_to_vaddr(module, 0xc20, &vaddr));
	CHECK(!module_offset_to_vaddr(module, UINT64_MAX, &vaddr));
	module_table_free(table);
}

TEST(a_module_is_known_again_and_a_replaced_file_is_not)
{
	struct module_table *table = module_table_new();
	struct module_facts facts = facts_of("/lib/a.so", 10);
	const struct module *first, *second;
	bool is_new;

	first = module_table_intern(table, &facts, &is_new);
	CHECK(is_new);
	CHECK(module_table_intern(table, &facts, &is_new) == first);
	CHECK(!is_new);
	facts.inode = 11; /* the package was upgraded */
	second = module_table_intern(table, &facts, &is_new);
	CHECK(is_new && second != first);
	facts.build_id_size = 2;
	facts.build_id[0] = 0xab;
	CHECK(module_table_intern(table, &facts, &is_new) != second);
	CHECK(is_new);
	CHECK(module_table_find(table, "/lib/a.so", 10, 8, 0) == first);
	CHECK(!module_table_find(table, "/lib/a.so", 10, 9, 0));
	CHECK(!module_table_find(table, "/lib/b.so", 10, 8, 0));
	CHECK_EQ_U64(module_table_count(table), 4);
	module_table_free(table);
}

TEST(a_descriptor_has_one_owner)
{
	struct module_table *table = module_table_new();
	struct module_facts facts = facts_of("/lib/a.so", 10);
	bool is_new;
	int first, second;

	first = facts.fd = open("/dev/null", O_RDONLY);
	module_table_intern(table, &facts, &is_new);
	second = facts.fd = open("/dev/null", O_RDONLY);
	module_table_intern(table, &facts, &is_new);
	CHECK(fcntl(first, F_GETFD) >= 0);
	CHECK(fcntl(second, F_GETFD) < 0);
	module_table_free(table);
	CHECK(fcntl(first, F_GETFD) < 0);
}

TEST(the_table_is_bounded)
{
	struct module_table *table = module_table_new();
	bool is_new;

	for (uint64_t inode = 1; inode < MODULES_MAX; inode++) {
		struct module_facts facts = {.kind = MODULE_FILE, .inode = inode, .fd = -1};
		char path[32];

		snprintf(path, sizeof(path), "/f%" PRIu64, inode);
		facts.path = path;
		CHECK(module_table_intern(table, &facts, &is_new));
	}
	{
		struct module_facts facts = facts_of("/one-more", 1);

		CHECK(!module_table_intern(table, &facts, &is_new));
	}
	module_table_free(table);
}

static void check_place(struct address_space *space, uint64_t address, uint32_t module,
			uint64_t vaddr)
{
	struct place place = {{77}, 77};

	CHECK(address_space_find(space, address, &place) == (module != 0));
	CHECK_EQ_U64(place.module.v, module);
	CHECK_EQ_U64(place.vaddr, vaddr);
}

TEST(mappings_replace_what_they_overlap)
{
	struct address_space *space = address_space_new();
	struct module plain[4];

	for (uint32_t i = 0; i < 4; i++)
		plain[i] = (struct module){.id = {i}, .kind = MODULE_FILE, .fd = -1};
	check_place(space, 0x1000, 0, 0x1000);
	address_space_map(space, 0x1000, 0x5000, 0, &plain[1]);
	check_place(space, 0x1000, 1, 0);
	check_place(space, 0x4fff, 1, 0x3fff);
	check_place(space, 0x5000, 0, 0x5000);
	check_place(space, 0xfff, 0, 0xfff);
	/* A hole in the middle: both sides stay, the right one with its own offset. */
	address_space_map(space, 0x2000, 0x3000, 0x100000, &plain[2]);
	CHECK_EQ_U64(address_space_count(space), 3);
	check_place(space, 0x1fff, 1, 0xfff);
	check_place(space, 0x2000, 2, 0x100000);
	check_place(space, 0x3000, 1, 0x2000);
	/* Over several, cutting both ends. */
	address_space_map(space, 0x1800, 0x4800, 0, &plain[3]);
	CHECK_EQ_U64(address_space_count(space), 3);
	check_place(space, 0x17ff, 1, 0x7ff);
	check_place(space, 0x2000, 3, 0x800);
	check_place(space, 0x47ff, 3, 0x2fff);
	check_place(space, 0x4800, 1, 0x3800);
	/* Exactly the same range. */
	address_space_map(space, 0x1800, 0x4800, 0, &plain[2]);
	CHECK_EQ_U64(address_space_count(space), 3);
	check_place(space, 0x2000, 2, 0x800);
	address_space_clear(space);
	check_place(space, 0x2000, 0, 0x2000);
	address_space_free(space);
}

TEST(random_mappings_agree_with_a_plain_array)
{
	enum { PAGES = 200 };
	struct address_space *space = address_space_new();
	struct module modules[16];
	uint32_t owner[PAGES] = {0};
	uint64_t offset[PAGES] = {0};
	uint32_t random = 12345;

	for (uint32_t i = 0; i < 16; i++)
		modules[i] = (struct module){.id = {i}, .kind = MODULE_FILE, .fd = -1};
	for (int round = 0; round < 3000; round++) {
		uint32_t from, to, module;

		random = random * 1664525 + 1013904223;
		from = (random >> 8) % PAGES;
		random = random * 1664525 + 1013904223;
		to = from + 1 + (random >> 8) % (PAGES - from);
		module = 1 + (random >> 4) % 15;
		address_space_map(space, from * 0x1000, to * 0x1000, round * 0x1000,
				  &modules[module]);
		for (uint32_t page = from; page < to; page++) {
			owner[page] = module;
			offset[page] = (uint64_t)round * 0x1000 + (page - from) * 0x1000;
		}
		for (uint32_t page = 0; page < PAGES; page++)
			check_place(space, page * 0x1000 + 5, owner[page],
				    owner[page] ? offset[page] + 5 : page * 0x1000 + 5);
	}
	address_space_free(space);
}

KIT_MAIN
