/* What is missing, in words. */
#include "tests/lib/kit.h"

#include <stdlib.h>

#include "reader/view/view.h"

static char *told(const struct losses *losses)
{
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	view_print_losses(to, losses);
	fclose(to);
	return text;
}

static void check_told(const struct losses *losses, const char *want)
{
	char *got = told(losses);

	CHECK_EQ_STR(got, want);
	free(got);
}

TEST(nothing_lost_says_nothing)
{
	struct losses losses = {0};

	check_told(&losses, "");
	CHECK_EQ_U64(losses_total(&losses), 0);
}

TEST(a_loss_tells_its_reason_and_what_helps)
{
	struct losses losses = {0};

	losses.count[LOSS_RING_FULL] = 312;
	check_told(&losses, "lost 312 samples (ring full): lower --cpu-freq or raise --buffer\n");
}

TEST(a_cause_without_help_ends_with_its_reason)
{
	struct losses losses = {0};

	losses.count[LOSS_THREADS_FULL] = 1234567;
	check_told(&losses, "lost 1,234,567 samples (thread table full)\n");
}

TEST(what_is_not_missing_is_only_noted)
{
	struct losses losses = {0};

	losses.count[LOSS_RING_FULL] = 1;
	losses.count[LOSS_LATE] = 4;
	losses.count[LOSS_SYSTEM_TIME_MS] = 1900;
	check_told(&losses, "lost 1 samples (ring full): lower --cpu-freq or raise --buffer\n"
			    "noted 1,900 ms of system time (only user time may be sampled): run as "
			    "root, or set "
			    "kernel.perf_event_paranoid to 1\n"
			    "noted 4 records (arrived late, put into a later checkpoint)\n");
	CHECK_EQ_U64(losses_total(&losses), 1);
}

TEST(every_cause_has_a_line_of_its_own)
{
	struct losses losses = {0};
	size_t lines = 0;
	char *text;

	for (int cause = 0; cause < LOSS_CAUSES; cause++) {
		losses.count[cause] = (uint64_t)cause + 1;
		CHECK_EQ_U64(loss_by_name(loss_texts[cause].name), (uint64_t)cause);
	}
	CHECK_EQ_U64(loss_by_name("no such cause"), LOSS_CAUSES);
	text = told(&losses);
	for (const char *at = text; *at; at++)
		lines += *at == '\n';
	CHECK_EQ_U64(lines, LOSS_CAUSES);
	free(text);
}

KIT_MAIN
