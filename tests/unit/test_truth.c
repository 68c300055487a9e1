/* Two walks of a sample: compared, counted, and found in lists. */
#include "reader/record/truth_match.h"
#include "tests/lib/kit.h"

static struct truth_walk walk_of(const uint64_t *pcs, uint32_t count)
{
	return (struct truth_walk){.tid = 7,
				   .time_ns = 1000,
				   .rip = count ? pcs[0] : 0,
				   .is_complete = true,
				   .pcs = pcs,
				   .pc_count = count};
}

#define WALK(...) walk_of((const uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / 8)

static void check_kind(struct truth_walk ours, struct truth_walk libdw, enum truth_kind kind,
		       uint32_t index)
{
	uint32_t got = UINT32_MAX;

	CHECK_EQ_U64(truth_compare(&ours, &libdw, &got), kind);
	CHECK_EQ_U64(got, index);
}

TEST(each_kind_is_told)
{
	struct truth_walk empty = walk_of(NULL, 0);

	check_kind(WALK(1, 2, 3), WALK(1, 2, 3), TRUTH_IDENTICAL, 3);
	check_kind(WALK(1, 2, 3), WALK(1, 2), TRUTH_OURS_LONGER, 2);
	check_kind(WALK(1, 2), WALK(1, 2, 3), TRUTH_LIBDW_LONGER, 2);
	check_kind(WALK(1, 2, 3), WALK(1, 4, 3), TRUTH_DIFFERENT, 1);
	check_kind(WALK(1, 2, 3), WALK(1, 2, 4), TRUTH_DIFFERENT, 2);
	check_kind(WALK(1), WALK(2), TRUTH_DIFFERENT, 0);
	/* Longer, but no prefix. */
	check_kind(WALK(1, 2, 3, 4), WALK(1, 3), TRUTH_DIFFERENT, 1);
	check_kind(empty, empty, TRUTH_IDENTICAL, 0);
	check_kind(WALK(1), empty, TRUTH_OURS_LONGER, 0);
	check_kind(empty, WALK(1), TRUTH_LIBDW_LONGER, 0);
}

static void name_plainly(void *context, uint64_t pc, bool is_leaf, struct str *to)
{
	++*(uint64_t *)context;
	str_addf(to, "%s%" PRIu64, is_leaf ? "leaf" : "f", pc);
}

TEST(sums_and_examples)
{
	uint64_t named = 0;
	struct truth truth = {.name = name_plainly, .context = &named};
	struct truth_walk ours = WALK(1, 2, 3), same = WALK(1, 2, 3), shorter = WALK(1, 2),
			  other = WALK(9, 2);

	shorter.is_complete = false;
	for (int i = 0; i < 1000; i++)
		truth_add(&truth, &ours, &same);
	/* What is the same needs no name. */
	CHECK_EQ_U64(named, 0);
	for (int i = 0; i < TRUTH_EXAMPLES_MAX + 3; i++)
		truth_add(&truth, &ours, &shorter);
	truth_add(&truth, &shorter, &ours);
	truth_add(&truth, &ours, &other);
	CHECK_EQ_U64(truth.samples, 1000 + TRUTH_EXAMPLES_MAX + 3 + 2);
	CHECK_EQ_U64(truth.kinds[TRUTH_IDENTICAL], 1000);
	CHECK_EQ_U64(truth.kinds[TRUTH_OURS_LONGER], TRUTH_EXAMPLES_MAX + 3);
	CHECK_EQ_U64(truth.kinds[TRUTH_LIBDW_LONGER], 1);
	CHECK_EQ_U64(truth.kinds[TRUTH_DIFFERENT], 1);
	CHECK_EQ_U64(truth.our_complete, truth.samples - 1);
	CHECK_EQ_U64(truth.libdw_complete, truth.samples - TRUTH_EXAMPLES_MAX - 3);

	CHECK_EQ_U64(truth.example_counts[TRUTH_IDENTICAL], 0);
	CHECK_EQ_U64(truth.example_counts[TRUTH_OURS_LONGER], TRUTH_EXAMPLES_MAX);
	CHECK_EQ_STR(truth.examples[TRUTH_OURS_LONGER][0].last_common, "f2");
	CHECK_EQ_STR(truth.examples[TRUTH_OURS_LONGER][0].our_frame, "f3");
	CHECK_EQ_STR(truth.examples[TRUTH_OURS_LONGER][0].libdw_frame, "");
	CHECK_EQ_U64(truth.examples[TRUTH_OURS_LONGER][0].index, 2);
	CHECK_EQ_U64(truth.examples[TRUTH_OURS_LONGER][0].our_count, 3);
	CHECK_EQ_U64(truth.examples[TRUTH_OURS_LONGER][0].libdw_count, 2);
	CHECK_EQ_STR(truth.examples[TRUTH_LIBDW_LONGER][0].libdw_frame, "f3");
	CHECK_EQ_STR(truth.examples[TRUTH_DIFFERENT][0].last_common, "");
	CHECK_EQ_STR(truth.examples[TRUTH_DIFFERENT][0].our_frame, "leaf1");
	CHECK_EQ_STR(truth.examples[TRUTH_DIFFERENT][0].libdw_frame, "leaf9");
	truth_done(&truth);
}

TEST(shares)
{
	CHECK_BETWEEN(truth_share(1, 4), 25, 25);
	CHECK_BETWEEN(truth_share(0, 0), 0, 0);
}

/* ---- matching */

enum { APART_NS = 500 };

static struct truth_walk at(uint32_t tid, uint64_t time_ns, uint64_t rip, uint64_t rsp)
{
	return (struct truth_walk){.tid = tid, .time_ns = time_ns, .rip = rip, .rsp = rsp};
}

struct lists {
	VEC(struct truth_walk) ours, libdw;
	struct truth_pair pairs[16];
};

static size_t match(struct lists *lists)
{
	return truth_match(lists->ours.items, lists->ours.count, lists->libdw.items,
			   lists->libdw.count, APART_NS, lists->pairs);
}

static void add_ours(struct lists *lists, struct truth_walk walk)
{
	*vec_add(&lists->ours) = walk;
}

static void add_libdw(struct lists *lists, struct truth_walk walk)
{
	*vec_add(&lists->libdw) = walk;
}

static void done(struct lists *lists)
{
	vec_done(&lists->ours);
	vec_done(&lists->libdw);
}

TEST(walks_are_matched_by_thread_place_and_time)
{
	struct lists lists = {0};

	add_ours(&lists, at(1, 2000, 10, 100));
	add_ours(&lists, at(1, 1000, 10, 100));
	add_ours(&lists, at(2, 1000, 10, 100));
	add_ours(&lists, at(3, 1000, 10, 100)); /* no such thread there */
	add_ours(&lists, at(4, 1000, 10, 100)); /* another rip */
	add_ours(&lists, at(5, 1000, 10, 100)); /* another rsp */
	add_ours(&lists, at(6, 1000, 10, 100)); /* too late */
	add_ours(&lists, at(7, 1000, 10, 0));	/* rsp is not told */
	add_libdw(&lists, at(7, 1000, 10, 55));
	add_libdw(&lists, at(6, 1501, 10, 100));
	add_libdw(&lists, at(5, 1000, 10, 101));
	add_libdw(&lists, at(4, 1000, 11, 100));
	add_libdw(&lists, at(2, 1010, 10, 100));
	add_libdw(&lists, at(1, 990, 10, 100));
	add_libdw(&lists, at(1, 2500, 10, 100));
	CHECK_EQ_U64(match(&lists), 4);
	CHECK_EQ_U64(lists.pairs[0].ours, 0);
	CHECK_EQ_U64(lists.pairs[0].libdw, 6);
	CHECK_EQ_U64(lists.pairs[1].ours, 1);
	CHECK_EQ_U64(lists.pairs[1].libdw, 5);
	CHECK_EQ_U64(lists.pairs[2].ours, 2);
	CHECK_EQ_U64(lists.pairs[2].libdw, 4);
	CHECK_EQ_U64(lists.pairs[3].ours, 7);
	CHECK_EQ_U64(lists.pairs[3].libdw, 0);
	done(&lists);
}

/* A hot loop: the same rip and rsp each time. Where a record is lost, its neighbours are not taken
 * for it. */
TEST(the_nearest_in_time_is_taken_and_each_once)
{
	struct lists lists = {0};

	add_ours(&lists, at(1, 1000, 10, 100));
	add_ours(&lists, at(1, 1400, 10, 100));
	add_ours(&lists, at(1, 1800, 10, 100));
	add_libdw(&lists, at(1, 1403, 10, 100));
	add_libdw(&lists, at(1, 1803, 10, 100));
	CHECK_EQ_U64(match(&lists), 2);
	CHECK_EQ_U64(lists.pairs[0].ours, 1);
	CHECK_EQ_U64(lists.pairs[0].libdw, 0);
	CHECK_EQ_U64(lists.pairs[1].ours, 2);
	CHECK_EQ_U64(lists.pairs[1].libdw, 1);
	done(&lists);
}

TEST(empty_lists_match_nothing)
{
	struct lists lists = {0};

	CHECK_EQ_U64(match(&lists), 0);
	add_ours(&lists, at(1, 100, 10, 100));
	CHECK_EQ_U64(match(&lists), 0);
	add_libdw(&lists, at(1, 100, 10, 100));
	CHECK_EQ_U64(match(&lists), 1);
	vec_clear(&lists.ours);
	CHECK_EQ_U64(match(&lists), 0);
	done(&lists);
}

KIT_MAIN
