/* The reasons behind the share of complete stacks. */
#include "reader/view/completeness.h"
#include "tests/lib/kit.h"

static void check_reasons(const uint64_t samples[STACK_STATUSES], const char *want)
{
	struct str line = {0};

	completeness_add_reasons(&line, samples);
	CHECK_EQ_STR(str_text(&line), want);
	str_done(&line);
}

TEST(complete_stacks_need_no_reason)
{
	check_reasons((uint64_t[STACK_STATUSES]){[STACK_COMPLETE] = 1000}, "");
	check_reasons((uint64_t[STACK_STATUSES]){0}, "");
}

TEST(the_two_largest_reasons_are_told_larger_first)
{
	check_reasons(
		(uint64_t[STACK_STATUSES]){
			[STACK_COMPLETE] = 991, [STACK_NO_MAPPING] = 6, [STACK_TRUNCATED] = 3},
		" (0.6 % no mapping, 0.3 % truncated)");
	check_reasons((uint64_t[STACK_STATUSES]){[STACK_COMPLETE] = 900,
						 [STACK_BROKEN] = 20,
						 [STACK_NO_TABLE] = 30,
						 [STACK_READ_ERROR] = 10,
						 [STACK_USED_FRAME_POINTERS] = 40},
		      " (4.0 % by frame pointers, 3.0 % no table)");
}

TEST(equal_reasons_keep_their_order)
{
	check_reasons(
		(uint64_t[STACK_STATUSES]){
			[STACK_NO_TABLE] = 5, [STACK_NO_MAPPING] = 5, [STACK_EMPTY] = 5},
		" (33.3 % no mapping, 33.3 % no table)");
}

TEST(one_sample_of_many_does_not_read_as_none)
{
	check_reasons(
		(uint64_t[STACK_STATUSES]){[STACK_COMPLETE] = 1000000, [STACK_HIDDEN_CALLER] = 1},
		" (< 0.1 % hidden caller)");
}

TEST(every_reason_has_a_text)
{
	for (int status = STACK_COMPLETE + 1; status < STACK_STATUSES; status++) {
		uint64_t samples[STACK_STATUSES] = {0};
		struct str line = {0};

		samples[status] = 1;
		completeness_add_reasons(&line, samples);
		CHECK(str_starts(str_text(&line), " (100.0 % "));
		CHECK(strlen(str_text(&line)) > strlen(" (100.0 % )"));
		CHECK(!strstr(str_text(&line), "null"));
		str_done(&line);
	}
}

KIT_MAIN
